"""Every route of ours, as the route table lists them, stands behind the one gate."""

import http.client
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from fastapi_diagnostics import DiagnosticsMiddleware
from fastapi_diagnostics.outputs.access.gate import SECURITY_HEADERS
from tests.safety.serving import PREFIX
from tests.serving import serve

SECRET_TOKEN = "0123456789abcdef0123"  # noqa: S105 - of these tests
ACTION = ("X-Diagnostics-Action", "1")
EVIL = "http://evil.test"
CANNOT = {400, 403}
"""h11 refuses some of these requests itself, before any application sees them."""

FOREIGN_HOSTS = (
    "evil.test",
    "evil.test:8000",
    "localhost.evil.test",
    "127.0.0.1.evil.test",
    "evil-localhost",
    "127.0.0.1@evil.test",
    "localhost:8000@evil",
    "localhost/evil",
    "localhost:99999",
    "localhost:abc",
    "",
    "0.0.0.0:8000",
    "[::]:8000",
    "0:8000",
    "2130706433",
    "0x7f.1",
    "127.1",
    "[::ffff:127.0.0.1]",
    "testserver",
    "printer.lan",
)
FORWARDED = (
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Forwarded-For", "0000::1"),
    ("X-Forwarded-For", "127.0.0.1, 8.8.8.8"),
    ("X-Forwarded-Host", "evil.test"),
    ("Forwarded", "for=127.0.0.1"),
    ("X-Real-IP", "127.0.0.1"),
    ("Via", "1.1 x"),
    ("CF-Connecting-IP", "127.0.0.1"),
)
FOREIGN = (
    (("Origin", EVIL),),
    (("Origin", "null"),),
    (("Origin", ""),),
    (("Origin", "http://localhost:3000"),),
    (("Origin", "https://localhost"),),
    (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Dest", "script")),
    (
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Dest", "iframe"),
        ("Sec-Fetch-Mode", "navigate"),
    ),
    (("Sec-Fetch-Site", "same-site"), ("Sec-Fetch-Mode", "cors")),
    (("Sec-Fetch-Site", "nonsense"),),
)
TRAVERSALS = (
    "/../x",
    "/%2e%2e%2fpyproject.toml",
    "/..%5cpyproject.toml",
    "/%00",
    "//etc/passwd",
    "/static/../../pyproject.toml",
    "/static/..%2f..%2fpyproject.toml",
    "/;/../pyproject.toml",
    "/static/%2fetc%2fpasswd",
    "/static//etc/passwd",
    "/static/app.css?raw??",
    "/static/app.css%00.png",
    "/static/%c0%ae%c0%ae%c0%afpyproject.toml",
    "/static/" + "a/" * 4000,
    "/api/../requests",
    "/api//requests",
    "/api/%2e%2e/static/app.css",
)
IDS = (
    "-1",
    "0",
    "1e9",
    "99999999999999999999",
    "%27%20OR%201=1--",
    "%00",
    "%F0%9F%92%A9",
    "%ff%fe",
    "..",
    "%2e%2e%2f%2e%2e",
    "v1:" + "0" * 16,
    "x" * 8000,
)
QUERIES = (
    "limit=-1",
    "limit=0",
    "limit=501",
    "limit=1e3",
    "limit=%00",
    "&".join(["limit=1"] * 1000),
    "cursor=garbage",
    "cursor=W10",
    "cursor=WyJyIiwxXQ",
    "cursor=%ff%00",
    "severity=%27",
    "state=all",
    "status=-1",
    "min_ms=nan",
    "min_ms=-inf",
    "route=" + "x" * 3000,
    "request_id=%27%20OR%201=1--",
    "since=%f0%9f%92%a9",
    "wait=forever",
    "sort=%27&page=-1&size=999999",
)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def named(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


@dataclass(frozen=True)
class Served:
    """A served application, and what is in front of its pages."""

    url: str
    runtime: Any

    def ask(
        self, method: str, target: str, *headers: tuple[str, str], host: str | None = "localhost",
        body: bytes | None = None,
    ) -> Answer:  # fmt: skip
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in (*([("Host", host)] if host is not None else []), *headers):
                connection.putheader(name, value)
            if body is not None or method == "POST":
                connection.putheader("Content-Length", str(len(body or b"")))
            connection.endheaders(body)
            response = connection.getresponse()
            found = [(name.lower(), value) for name, value in response.getheaders()]
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def all(self, asked: list[tuple[Any, ...]]) -> Iterator[tuple[tuple[Any, ...], Answer]]:
        """Ask many at once: some answers wait for a request that never comes."""
        with ThreadPoolExecutor(16) as threads:
            yield from zip(asked, threads.map(lambda one: self.ask(*one), asked), strict=True)

    def routes(self) -> list[Any]:
        return list(self.runtime._pages._app.routes)

    def state(self) -> Any:
        """Give all that an action could change."""
        self.runtime.drain(5)
        groups = self.ask("GET", f"{PREFIX}/api/findings?state=any").body
        return json.loads(groups)["findings"], self.runtime.store.changes(None).token


def an_app() -> FastAPI:
    app = FastAPI()

    @app.get("/broken")
    async def broken() -> None:
        raise ValueError("broken")

    return app


def runtime_of(app: Any) -> Any:
    while not hasattr(app, "_runtime"):
        app = getattr(app, "middleware_stack", None) or app.app
    return app._runtime


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    app = an_app()
    app.add_middleware(DiagnosticsMiddleware, token=SECRET_TOKEN)
    with serve(app, log_level="critical") as url:
        first = Served(url, None)
        first.ask("GET", "/broken")
        first.ask("GET", f"{PREFIX}/")
        yield Served(url, runtime_of(app))


@pytest.fixture
def unchanged(served) -> Iterator[None]:
    before = served.state()
    assert len(before[0]) == 1
    yield
    assert served.state() == before


def concrete(served: Served, path: str, wrong: str | None = None) -> str:
    """Fill the parameters of a route with what exists, or with something *wrong*."""
    finding = served.state()[0][0]
    values = {
        "fingerprint": finding["fingerprint"],
        "id": finding["request_id"],
        "code": "SQL101",
        "name": "app.css",
        "rest:path": "nothing/here",
    }
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", wrong if wrong is not None else value)
    assert "{" not in path, f"a new parameter: {path}"
    return PREFIX + path


def declared(served: Served, *, wrong: str | None = None) -> list[tuple[str, str]]:
    """List every route of the table with every method that it answers."""
    return [
        (method, concrete(served, route.path, wrong))
        for route in served.routes()
        for method in route.app._handlers
        if wrong is None or "{" in route.path
    ]


def is_action(route: Any) -> bool:
    return "POST" in route.app._handlers and "GET" not in route.app._handlers


def assert_safe(answer: Answer, what: Any) -> None:
    assert answer.status < 500, (what, answer)
    assert not [name for name, _ in answer.headers if name.startswith("access-control")], what
    if answer.status != 400:
        for name, value in SECURITY_HEADERS:
            assert answer.named(name.decode()) == [value.decode()], (what, name)
        assert len(answer.named("cache-control")) == 1, what


def assert_refused(answer: Answer, what: Any) -> None:
    assert_safe(answer, what)
    assert answer.status in CANNOT, (what, answer)
    assert len(answer.body) < 250, what
    assert b"broken" not in answer.body, what


def test_the_table_is_what_the_test_believes_it_to_be(served) -> None:
    assert len(served.routes()) >= 20
    assert sum(is_action(route) for route in served.routes()) == 2
    for method, target in declared(served):
        if method == "GET" and "nothing/here" not in target and target != f"{PREFIX}/api":
            assert served.ask(method, target).status == 200, target


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.usefixtures("unchanged")
def test_a_foreign_host_name_is_refused(served, host) -> None:
    for method, target in [*declared(served), ("GET", f"{PREFIX}/login"), ("GET", PREFIX)]:
        assert_refused(served.ask(method, target, ACTION, host=host), (method, target))


@pytest.mark.usefixtures("unchanged")
def test_no_host_name_and_two_of_them_are_refused(served) -> None:
    for method, target in declared(served):
        assert_refused(served.ask(method, target, ACTION, host=None), target)
        assert_refused(served.ask(method, target, ACTION, ("Host", "evil.test")), target)


def test_a_target_that_names_another_server_gets_nothing_of_ours(served) -> None:
    before = served.state()[0]

    for method, target in declared(served):
        answer = served.ask(method, f"{EVIL}{target}", ACTION)
        # The server takes the whole URL for the path: it is the application's to answer.
        assert answer.status in {*CANNOT, 404}, (method, target)
        assert len(answer.body) < 250

    assert served.state()[0] == before


@pytest.mark.parametrize("header", FORWARDED, ids=str)
@pytest.mark.usefixtures("unchanged")
def test_what_was_passed_on_needs_the_token(served, header) -> None:
    for method, target in declared(served):
        assert_refused(served.ask(method, target, ACTION, header), (method, target))

    answer = served.ask(
        "GET", f"{PREFIX}/api/status", header, ("Authorization", f"Bearer {SECRET_TOKEN}")
    )
    assert answer.status == 200


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.usefixtures("unchanged")
def test_requests_of_other_sites_are_refused(served, headers) -> None:
    for method, target in [*declared(served), ("POST", f"{PREFIX}/login")]:
        assert_refused(served.ask(method, target, ACTION, *headers), (method, target))


@pytest.mark.usefixtures("unchanged")
def test_a_link_elsewhere_opens_pages_and_nothing_else(served) -> None:
    link = (
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
    )
    for method, target in declared(served):
        answer = served.ask(method, target, *link)
        page = method == "GET" and not target.startswith((f"{PREFIX}/api", f"{PREFIX}/static"))
        assert_safe(answer, target)
        assert answer.status in ({200, 404} if page else {403}), (method, target)


@pytest.mark.usefixtures("unchanged")
def test_actions_need_their_header_and_their_method(served) -> None:
    for route in filter(is_action, served.routes()):
        target = concrete(served, route.path)
        for kind in ("text/plain", "multipart/form-data", "application/x-www-form-urlencoded"):
            body = b'{"state": "ignored"}'
            answer = served.ask("POST", target, ("Content-Type", kind), body=body)
            assert_refused(answer, target)
        for value in ("0", "true", ""):
            assert_refused(served.ask("POST", target, (ACTION[0], value)), target)
        for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
            override = ("X-HTTP-Method-Override", "POST")
            answer = served.ask(method, f"{target}?_method=POST", ACTION, override)
            assert_safe(answer, (method, target))
            assert answer.status == 405, (method, target)
            assert answer.named("allow") == ["POST"]


@pytest.mark.usefixtures("unchanged")
def test_a_body_that_is_wrong_or_too_long_changes_nothing(served) -> None:
    finding = served.state()[0][0]["fingerprint"]
    target = f"{PREFIX}/api/findings/{finding}/state"
    for body, status in (
        (b"x" * 2 * 1024 * 1024, 413),
        (b"[" * 60_000, 422),
        (b'{"state": "open", "sql": "DROP TABLE x"}', 422),
        (b'{"state": "open", "path": "/etc/passwd"}', 422),
        (b'{"state": "gone"}', 422),
        (b'{"state": "ignored", "reason": "%s"}' % (b"x" * 2000), 422),
        (b"\xff", 422),
        (b"", 422),
    ):
        answer = served.ask("POST", target, ACTION, body=body)
        assert_safe(answer, body[:40])
        assert answer.status == status, (body[:40], answer.body)


@pytest.mark.usefixtures("unchanged")
def test_ids_that_are_none(served) -> None:
    targets = [pair for wrong in IDS for pair in declared(served, wrong=wrong)]
    asked = [(method, target, ACTION) for method, target in targets]
    for what, answer in served.all(asked):
        assert_safe(answer, what)
        assert answer.status in {404, 422}, (what, answer.status)


@pytest.mark.parametrize("target", TRAVERSALS)
@pytest.mark.usefixtures("unchanged")
def test_paths_that_lead_elsewhere(served, target) -> None:
    answer = served.ask("GET", PREFIX + target)

    assert answer.status in {200, 400, 404}, answer
    assert b":0:0:" not in answer.body  # of /etc/passwd
    assert b"[project]" not in answer.body
    assert answer.status != 200 or target.endswith("raw??")


@pytest.mark.usefixtures("unchanged")
def test_parameters_out_of_range(served) -> None:
    lists = [target for method, target in declared(served) if method == "GET"]
    asked = [("GET", f"{target}?{query}") for target in lists for query in QUERIES]
    for what, answer in served.all(asked):
        assert_safe(answer, what)
        assert answer.status in {200, 404, 422}, (what, answer.status)


def test_json_is_plain_and_whole(served) -> None:
    target = f"{PREFIX}/api/rules"
    whole = served.ask("GET", target)
    for answer in (
        served.ask("GET", f"{target}?callback=x"),
        served.ask("GET", target, ("Range", "bytes=0-9")),
        served.ask("GET", target, ("If-None-Match", "*")),
    ):
        assert (answer.status, answer.body) == (200, whole.body)
        assert answer.named("content-type") == ["application/json"]


def ours_last(app: FastAPI) -> Any:
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True)
    app.add_middleware(DiagnosticsMiddleware)
    return app


def ours_first(app: FastAPI) -> Any:
    app.add_middleware(DiagnosticsMiddleware)
    app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True)
    return app


@pytest.mark.parametrize("build", [ours_last, ours_first])
def test_the_applications_generous_cors_does_not_reach_ours(build) -> None:
    app = build(an_app())
    preflight = (
        ("Origin", EVIL),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "x-diagnostics-action"),
    )

    with serve(app, log_level="critical") as url:
        served = Served(url, None)
        allowed = served.ask("OPTIONS", "/broken", *preflight)
        served.ask("GET", f"{PREFIX}/")
        served = Served(url, runtime_of(app))
        served.ask("GET", "/broken")
        for method, target in declared(served):
            assert_refused(served.ask("OPTIONS", target, *preflight), target)
            assert_refused(served.ask(method, target, ACTION, ("Origin", EVIL)), target)
        assert len(served.state()[0]) == 1

    assert allowed.named("access-control-allow-origin") != []


def test_cors_wrapped_around_everything_lets_nobody_read_or_act() -> None:
    app = an_app()
    app.add_middleware(DiagnosticsMiddleware)
    around = CORSMiddleware(app, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"])

    with serve(around, log_level="critical") as url:
        Served(url, None).ask("GET", f"{PREFIX}/")
        served = Served(url, runtime_of(app))
        served.ask("GET", "/broken")
        for method, target in declared(served):
            answer = served.ask(method, target, ACTION, ("Origin", EVIL))
            assert answer.status == 403, (method, target)
            assert len(answer.body) < 250
        assert len(served.state()[0]) == 1
