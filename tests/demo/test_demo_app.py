"""The demo bookshop opens, answers as `pairs.py` says, and closes."""

import ast
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest

from demo_app.check import judge
from demo_app.pairs import AUDITS, CLEAN, PAIRS, Pair, marked_line
from demo_app.traffic import Outcome, every_call, new_client, send

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "demo_app")


@contextmanager
def open_shop() -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*COMMAND, "--port", "0", "--no-traffic"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        link = re.search(r"http://[\d.:]+", process.stdout.readline())
        assert link, "the shop printed no link"
        yield process, link.group()
    finally:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with open_shop() as (_, url), new_client(url) as opened:
        yield opened


@pytest.mark.parametrize(
    "call",
    every_call(),
    ids=[f"{number} {call}" for number, call in enumerate(every_call(), start=1)],
)
def test_every_call_answers_with_its_status(client, call):
    assert send(client, call).status == call.status


def test_shop_is_stocked_at_start(client):
    authors = client.get("/v2/authors/catalogue").json()["data"]

    assert len(authors) == 12
    assert sum(len(author["books"]) for author in authors) == 60


@pytest.mark.parametrize(
    ("defect", "twin"),
    [
        ("/authors/bibliographies", "/v2/authors/bibliographies"),
        ("/authors/catalogue", "/v2/authors/catalogue"),
        ("/orders/open", "/v2/orders/open"),
        ("/books/prices?currency=GBP", "/v2/books/prices?currency=GBP"),
        ("/books/9/card", "/v2/books/9/card"),
    ],
)
def test_twin_answers_the_same_as_the_defect(client, defect, twin):
    assert client.get(twin).json() == client.get(defect).json()


def test_password_hash_stays_at_home(client):
    me = next(call for call in CLEAN if call.path == "/users/me" and call.status == 200)

    answer = client.get(me.path, headers=me.headers).json()

    assert answer["data"]["user_name"] == "clerk"
    assert "password_hash" not in answer["data"]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair.rule}-{pair.name}")
def test_marker_is_in_the_defect_and_not_in_the_twin(pair):
    file, line = marked_line(pair)

    function = enclosing_function(ROOT / file, line)

    assert pair.marker.startswith(f"{pair.rule} ")
    assert not function.name.endswith("_v2")
    assert "mended" not in (ast.get_docstring(function) or "").lower()


def test_every_marker_in_the_source_belongs_to_a_pair():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "demo_app").glob("*/*.py")]

    markers = re.findall(r"# defect: (.+)$", "\n".join(sources), flags=re.MULTILINE)

    assert sorted(markers) == sorted({pair.marker for pair in (*PAIRS, *AUDITS)})


def test_every_twin_function_says_that_it_is_mended():
    trees = [ast.parse(path.read_text("utf-8")) for path in (ROOT / "demo_app").glob("*/*.py")]
    functions = [
        node
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef) and node.name.endswith("_v2")
    ]

    silent = [node.name for node in functions if "mended" not in ast.get_docstring(node).lower()]

    assert len(functions) > 20
    assert silent == []


def test_port_in_use_is_one_clear_message():
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        done = subprocess.run(  # noqa: S603 - our own command
            [*COMMAND, "--port", str(port)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"Port {port} is in use. Choose another one with --port, or any free one with --port 0.\n"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent in another way there")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_signal_closes_the_shop_cleanly(stop):
    with open_shop() as (process, _):
        process.send_signal(stop)

        assert process.wait(timeout=20) == 0


PAIR = next(pair for pair in PAIRS if pair.name == "get-in-loop")


def test_check_is_content_when_all_is_as_marked():
    assert wrong_with({"defect": [finding_of(PAIR)]}) == []


def test_check_notices_a_missing_finding():
    (wrong,) = wrong_with({})

    assert wrong.endswith("found not at all")


def test_check_notices_a_wrong_line():
    (wrong,) = wrong_with({"defect": [finding_of(PAIR, line=1)]})

    assert wrong.endswith(f"found only at {PAIR.file}:1")


def test_check_notices_an_accused_twin():
    found = finding_of(PAIR)

    (wrong,) = wrong_with({"defect": [found], "mended": [found]})

    assert "nothing is wrong here" in wrong


def test_check_lets_notes_pass_in_a_twin():
    found = finding_of(PAIR)

    assert wrong_with({"defect": [found], "mended": [found | {"severity": "info"}]}) == []


def test_check_notices_a_second_name_for_one_defect():
    found = finding_of(PAIR)

    (wrong,) = wrong_with({"defect": [found, found | {"rule": "SQL105"}]})

    assert "also reported as SQL105" in wrong


def test_check_notices_an_unexpected_status():
    (wrong,) = wrong_with({"defect": [finding_of(PAIR)]}, mended_status=500)

    assert wrong == f"{PAIR.mended}: answered 500, not 200"


def finding_of(pair: Pair, line: int | None = None) -> dict:
    file, marked = marked_line(pair)
    location = {"file": file, "line": line or marked}
    return {"rule": pair.rule, "severity": "warning", "message": "It is so.", "location": location}


def wrong_with(found: dict[str, list[dict]], mended_status: int = 200) -> list[str]:
    """What `judge` says of `PAIR` when the API answers *found*, by request id."""

    def api(request: httpx.Request) -> httpx.Response:
        request_id = request.url.params.get("request_id")
        return httpx.Response(200, json={"findings": found.get(request_id, [])})

    outcomes = [
        Outcome(PAIR.defect, 200, "defect"),
        Outcome(PAIR.mended, mended_status, "mended"),
    ]
    with httpx.Client(base_url="http://shop", transport=httpx.MockTransport(api)) as fake_api:
        verdicts = judge(fake_api, outcomes)
    return next(verdict.wrong for verdict in verdicts if verdict.title.endswith(PAIR.name))


def enclosing_function(path: Path, line: int) -> ast.FunctionDef | ast.AsyncFunctionDef:
    return next(
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.lineno <= line <= (node.end_lineno or node.lineno)
    )


@pytest.mark.parametrize("audit", AUDITS, ids=lambda audit: audit.marker)
def test_an_audit_has_its_twin_in_the_file_beside(audit):
    file, line = marked_line(audit)

    assert line > 0
    assert audit.mended == file.replace(".py", "_v2.py")
    assert "mended" in ast.get_docstring(ast.parse((ROOT / audit.mended).read_text("utf-8")))


def test_check_notices_a_missing_audit():
    def nothing(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"findings": []})

    with httpx.Client(base_url="http://shop", transport=httpx.MockTransport(nothing)) as fake_api:
        verdicts = judge(fake_api, [])

    wrong = next(one.wrong for one in verdicts if one.title.endswith(AUDITS[0].name))
    assert wrong == [
        "{} expected at {}:{}, found at no line".format(AUDITS[0].rule, *marked_line(AUDITS[0]))
    ]
