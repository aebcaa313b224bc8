import importlib
import os
import sys
import textwrap
import time

import pytest

from fastapi_diagnostics import source, source_files
from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.finding import Fix
from tests.builders import a_finding, a_location

CODE = '''
@app.get("/authors")
async def authors():
    """The email of authors."""
    first = load(author)
    second = [name for name in names]  # diagnostics: ignore[SQL103, RES101] on purpose
    first = load(author)
    return {
        "name": first,
        "email": second,
    }


@app.get("/books")
def books(title):
    if title:
        return Book(title=title)
    return None


def helper():
    first = load(author)  # diagnostics: ignore because
    title.upper()
'''


@pytest.fixture
def project(tmp_path):
    """Make a project of one old file."""
    USER_CODE.reset()
    USER_CODE.add_root(tmp_path)
    write(tmp_path / "shop.py", CODE)
    yield tmp_path
    USER_CODE.reset()


def write(path, code, age_s=3600):
    path.write_text(code)
    moment = time.time() - age_s
    os.utime(path, (moment, moment))


def at(line, function="authors", **changes):
    return a_location(file="shop.py", line=line, function=function, code="", **changes)


def found(line, **changes):
    location = at(line, changes.pop("function", "authors"))
    return source.complete(a_finding(location=location, fingerprint="", **changes))


@pytest.mark.usefixtures("project")
def test_the_text_of_the_line_is_filled_in_everywhere():
    finding = found(
        5,
        fix=Fix(summary="Mend it.", location=at(6)),
        evidence={
            "parent_query": {"sql": "SELECT", "location": at(7)},
            "hot": [{"file": "shop.py", "line": 5}],
        },
    )

    assert finding.location.code == "first = load(author)"
    assert finding.fix.location.code.startswith("second = [name")
    assert finding.evidence["parent_query"]["location"]["code"] == "first = load(author)"
    assert finding.evidence["hot"][0]["code"] == "first = load(author)"


@pytest.mark.usefixtures("project")
def test_a_fix_for_a_part_of_a_line_becomes_the_whole_line_where_that_is_certain():
    def fix(part: str) -> Fix:
        made = Fix(summary="Mend it.", code="await load(author)", location=at(5), replaces=part)
        return found(5, fix=made).fix

    assert (fix("load(author)").code, fix("load(author)").replaces) == (
        "first = await load(author)",
        "",
    )
    assert (fix("load(a)").code, fix("load(a)").replaces) == ("await load(author)", "load(a)")


@pytest.mark.usefixtures("project")
def test_a_call_with_open_arguments_gets_those_of_the_line():
    made = Fix(summary="Wait.", code="await load(...)", location=at(5), replaces="load(...)")

    assert found(5, fix=made).fix.code == "first = await load(author)"


@pytest.mark.usefixtures("project")
def test_where_nothing_can_await_that_is_said():
    in_coroutine = Fix(summary="Wait.", code="await load(author)", location=at(5))
    in_function = Fix(summary="Wait.", code="await load(author)", location=at(23, "helper"))

    assert found(5, fix=in_coroutine).fix.summary == "Wait."
    assert found(23, fix=in_function).fix.summary == (
        "Wait. helper is a plain `def`, which cannot await: make it `async def` first."
    )


@pytest.mark.usefixtures("project")
def test_a_fix_names_the_imports_that_its_file_lacks():
    made = Fix(summary="Mend it.", code="await asyncio.sleep(1)", location=at(5))

    assert found(5, fix=made).fix.imports == ("import asyncio",)


@pytest.mark.usefixtures("project")
def test_of_a_file_that_cannot_be_read_no_import_is_said_to_be_missing():
    elsewhere = a_location(file="gone.py", line=5, code="")
    made = Fix(summary="Mend it.", code="await asyncio.sleep(1)", location=elsewhere)

    assert found(5, fix=made).fix.imports == ()


@pytest.mark.usefixtures("project")
def test_equal_lines_of_a_function_are_told_apart():
    first, second, other = found(5), found(7), found(22, function="helper")

    assert (first.ordinal, second.ordinal, other.ordinal) == (0, 1, 0)
    assert len({first.fingerprint, second.fingerprint, other.fingerprint}) == 3


def test_a_fingerprint_outlives_edits_above(project):
    before = found(5)
    write(project / "shop.py", "\n\n\n" + CODE, age_s=1800)
    source_files.look_again()

    after = found(8)

    assert before.fingerprint == after.fingerprint
    assert before.fingerprint.startswith("v1:")


@pytest.mark.usefixtures("project")
def test_a_fingerprint_knows_no_route_where_there_is_a_line():
    assert found(5, route="GET /a").fingerprint == found(5, route="GET /b").fingerprint


def test_a_fingerprint_without_a_line_is_that_of_the_route():
    first = source.complete(a_finding(location=None, route="GET /a"))
    second = source.complete(a_finding(location=None, route="GET /b"))

    assert first.fingerprint != second.fingerprint


@pytest.mark.usefixtures("project")
def test_a_fingerprint_tells_causes_and_rules_apart():
    prints = {
        found(5).fingerprint,
        found(5, cause="Book.publisher").fingerprint,
        found(5, rule="SQL103").fingerprint,
    }

    assert len(prints) == 3


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("line", "function", "anchors", "moved_to"),
    [
        pytest.param(2, "authors", ("email",), 10, id="the key, not the docstring"),
        pytest.param(3, "authors", ("email",), 10, id="from the def line, too"),
        pytest.param(2, "authors", ("nothing", "name"), 9, id="the first of several"),
        pytest.param(14, "books", ("title",), 17, id="a keyword before a mere name"),
        pytest.param(2, "authors", ("nothing",), 8, id="else the return"),
        pytest.param(21, "helper", ("nothing",), 21, id="else the def"),
        pytest.param(5, "authors", ("email",), 5, id="a line that is no def stays"),
        pytest.param(2, "authors", (), 3, id="without anchors from a decorator to its def"),
        pytest.param(5, "authors", (), 5, id="without anchors a line stays"),
    ],
)
def test_a_finding_about_a_function_moves_to_its_anchor(line, function, anchors, moved_to):
    finding = found(line, function=function, anchors=anchors)

    assert finding.location.line == moved_to


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize(
    ("rule", "name", "line", "expected"),
    [
        ("SQL103", "n-plus-one-lookup", 6, True),
        ("RES101", "stripped-response-field", 6, True),
        ("SQL101", "n-plus-one-relationship", 6, False),
        ("SQL103", "n-plus-one-lookup", 5, False),
        ("SQL103", "n-plus-one-lookup", 22, False),
    ],
)
def test_only_the_named_rules_are_suppressed_and_only_on_their_line(rule, name, line, expected):
    finding = found(line, rule=rule, name=name)

    assert source.suppressed(finding) is expected


def test_a_finding_without_a_place_is_never_suppressed():
    assert source.suppressed(a_finding(location=None)) is False


@pytest.mark.usefixtures("project")
def test_a_snippet_marks_its_line():
    shown = source.snippet(at(6), context=2)

    assert [line.number for line in shown.lines] == [4, 5, 6, 7, 8]
    assert [line.number for line in shown.lines if line.marked] == [6]
    assert shown.lines[0].text == '"""The email of authors."""'
    assert shown.why == ""


def test_a_file_changed_since_it_was_imported_shows_nothing_and_says_why(project):
    write(project / "shop.py", CODE, age_s=-60)

    shown = source.snippet(at(6))

    assert shown.lines == ()
    assert "changed since it was imported" in shown.why


def test_the_line_of_the_running_code_is_remembered_beyond_an_edit(project):
    before = found(5)
    write(project / "shop.py", "# all new\n" * 30, age_s=-60)
    source_files.look_again()

    after = found(5)

    assert after.location.code == "first = load(author)"
    assert after.fingerprint == before.fingerprint


def test_a_file_is_looked_at_once_a_second(project):
    lines = source_files.imported("shop.py", clock=lambda: 0.0).lines
    write(project / "shop.py", "# another program\n", age_s=1800)

    soon, later = (source_files.imported("shop.py", clock=lambda at=at: at) for at in (0.9, 1.1))

    assert soon.lines == lines
    assert later.lines[0] == "# another program"


def test_a_module_imported_late_is_as_it_was_imported(project, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.syspath_prepend(str(project))
    write(project / "late_module.py", "x = 1\n", age_s=-60)
    importlib.invalidate_caches()
    importlib.import_module("late_module")

    shown = source.snippet(a_location(file="late_module.py", line=1, code="x = 1"))

    assert [line.text for line in shown.lines] == ["x = 1"]
    sys.modules.pop("late_module")


def test_a_line_that_moved_is_found_again(project):
    recorded = found(6).location
    write(project / "shop.py", "\n\n" + CODE, age_s=1800)

    shown = source.snippet(recorded)

    assert shown.line == 8
    assert [line.number for line in shown.lines if line.marked] == [8]


def test_a_line_that_is_gone_is_not_replaced_by_another(project):
    recorded = found(6).location
    write(project / "shop.py", textwrap.dedent("x = 1\n" * 30), age_s=1800)

    shown = source.snippet(recorded)

    assert shown.lines == ()
    assert "no longer in it" in shown.why


@pytest.mark.parametrize(
    "file",
    ["../../etc/passwd", "/etc/passwd", "secrets.env", "link.py", "missing.py", "nul\0.py", "",
     "../outside.py"],
)  # fmt: skip
def test_only_python_files_of_the_user_are_opened(project, file):
    outside = project.parent / "outside.py"
    write(outside, "SECRET = 1\n")
    write(project / "secrets.env", "SECRET=1\n")
    (project / "link.py").symlink_to(outside)

    shown = source.snippet(a_location(file=file, line=1, code=""))

    assert shown.lines == ()
    assert shown.why
    assert source.line_text(file, 1) == ""


def test_files_of_any_encoding_and_ending_are_read(project):
    (project / "latin.py").write_bytes("# -*- coding: latin-1 -*-\r\nx = 'é'\r\n".encode("latin-1"))
    moment = time.time() - 3600
    os.utime(project / "latin.py", (moment, moment))

    assert source.line_text("latin.py", 2) == "x = 'é'"


def test_a_file_that_does_not_parse_still_has_lines(project):
    write(project / "broken.py", "def broken(:\n    pass\n")

    finding = source.complete(
        a_finding(location=a_location(file="broken.py", line=1, code=""), anchors=("x",))
    )

    assert finding.location.code == "def broken(:"
