"""Call sites: the user's line, in or out of a loop, past libraries, through comprehensions."""

import functools
import sys
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

from fastapi_diagnostics.callsite import (
    LIBRARY,
    STOP,
    USER,
    USER_CODE,
    Site,
    UserCode,
    caller_sites,
    definition,
    frames,
    user_traceback,
)


@pytest.fixture(autouse=True)
def this_folder_is_the_project():
    USER_CODE.reset()
    USER_CODE.add_root(Path(__file__).parent)
    yield
    USER_CODE.reset()


def here(limit=8):
    return frames(caller_sites(sys._getframe(1), limit)[0])


def in_for_loop():
    for _ in range(1):
        found = here(1)
    return found


def in_while_loop():
    while True:
        return here(1)


def after_a_loop():
    for _ in range(2):
        pass
    return here(1)


def in_comprehension():
    return next(here(1) for _ in range(1))


async def awaited_outside_of_a_loop():
    return await _later()


async def _later():
    return here(2)


def helper():
    return here(2)


def helper_called_in_a_loop():
    for _ in range(1):
        found = helper()
    return found


@pytest.mark.parametrize(
    ("function", "in_loop"),
    [
        (in_for_loop, True),
        (in_comprehension, True),
        (after_a_loop, False),
    ],
)
def test_the_bytecode_tells_whether_a_loop_was_running(function, in_loop) -> None:
    [frame] = function()

    assert frame.in_loop is in_loop
    assert frame.location.function == function.__name__
    assert frame.location.file == "test_callsite.py"


def test_waiting_for_an_await_is_no_loop() -> None:
    coroutine = awaited_outside_of_a_loop()
    with pytest.raises(StopIteration) as stopped:
        coroutine.send(None)

    assert [frame.in_loop for frame in stopped.value.value] == [False, False]


def test_the_loop_is_found_in_the_frame_that_owns_it() -> None:
    inner, outer = helper_called_in_a_loop()

    assert (inner.location.function, inner.in_loop) == ("helper", False)
    assert (outer.location.function, outer.in_loop) == ("helper_called_in_a_loop", True)


def test_libraries_are_passed_over() -> None:
    sites = functools.reduce(lambda _, __: here(2), [1, 2])

    assert sites[-1].location.function == "test_libraries_are_passed_over"


@pytest.mark.parametrize(
    ("filename", "kind"),
    [
        ("/project/app/main.py", USER),
        ("/project/.venv/lib/python3.11/site-packages/httpx/_api.py", LIBRARY),
        ("/elsewhere/main.py", LIBRARY),
        ("<string>", LIBRARY),
        ("/x/site-packages/fastapi/routing.py", STOP),
        ("/x/site-packages/shop/main.py", USER),
        ("/x/site-packages/shopkeeper/main.py", LIBRARY),
    ],
)
def test_files_are_told_apart(filename, kind) -> None:
    code = UserCode()
    code.roots = ("/project/",)
    code.packages = ("/x/site-packages/shop/",)

    assert code.kind(filename) == kind


def test_a_traceback_gives_the_innermost_user_frame_first() -> None:
    def outer():
        return inner()

    def inner():
        return {}["missing"]

    with pytest.raises(KeyError) as raised:
        outer()

    names = [
        f.location.function.rpartition(".")[2] for f in frames(user_traceback(raised.value, 2))
    ]
    assert names == ["inner", "outer"]


def test_a_definition_is_found_behind_partial_and_callable_objects() -> None:
    class Job:
        def __call__(self) -> None: ...

    assert definition(functools.partial(helper)).function == "helper"
    assert definition(Job()).function.endswith("Job.__call__")
    assert definition(len) is None
    assert definition(pytest.raises) is None


def test_a_templates_own_line_is_named(tmp_path: Path) -> None:
    found: list[tuple[Site, ...]] = []
    text = "<h1>\n</h1>\n\n{% for n in (1, 2) %}\n{{ look() }}\n{% endfor %}"
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    page = Environment(loader=FileSystemLoader(tmp_path), autoescape=True).get_template("page.html")
    USER_CODE.add_root(tmp_path)

    page.render(look=lambda: found.append(caller_sites(sys._getframe(1), 1)[0]))
    (frame,) = frames(found[0])

    assert (frame.location.file, frame.location.line) == ("page.html", 5)
    assert frame.in_loop


def test_a_template_of_a_relative_folder_is_the_users(tmp_path: Path, monkeypatch) -> None:
    found: list[tuple[Site, ...]] = []
    monkeypatch.chdir(tmp_path)
    Path("templates").mkdir()
    Path("templates/page.html").write_text("\n{{ look() }}", encoding="utf-8")
    page = Environment(loader=FileSystemLoader("templates"), autoescape=True).get_template(
        "page.html"
    )
    USER_CODE.add_root(tmp_path)

    page.render(look=lambda: found.append(caller_sites(sys._getframe(1), 1)[0]))
    (frame,) = frames(found[0])

    assert (frame.location.file, frame.location.line) == ("templates/page.html", 2)


def test_a_relative_name_of_compiled_code_is_a_librarys(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    USER_CODE.add_root(tmp_path)

    assert USER_CODE.kind("uvloop/loop.pyx") == LIBRARY


def test_a_file_that_only_looks_like_a_template_keeps_its_lines(tmp_path: Path) -> None:
    found: list[tuple[Site, ...]] = []
    USER_CODE.add_root(tmp_path)
    source = compile("\n\nlook()\n", str(tmp_path / "page.html"), "exec")

    exec(source, {"look": lambda: found.append(caller_sites(sys._getframe(1), 1)[0])})  # noqa: S102

    assert frames(found[0])[0].location.line == 3
