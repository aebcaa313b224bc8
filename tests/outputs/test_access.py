"""The gate: who may look, from which page an action may come, and what everybody else is told."""

import itertools

import pytest
from starlette.responses import PlainTextResponse

from fastapi_diagnostics.outputs.access import (
    GUARD_HEADERS,
    AccessPolicy,
    Gate,
    load_or_create_token,
)

TOKEN = "a-token-of-some-length-0123456789"  # noqa: S105 - of this test
LOCAL = ("127.0.0.1", 50000)
BRIDGE = ("172.17.0.1", 50000)


class Waits:
    """Stands in for sleeping: counts the seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0

    async def __call__(self, seconds: float) -> None:
        self.seconds += seconds


async def pages(scope, receive, send) -> None:
    headers = {"Access-Control-Allow-Origin": "*"}
    await PlainTextResponse(f"page {scope['root_path']}", headers=headers)(scope, receive, send)


async def application(scope, receive, send) -> None:
    await PlainTextResponse("the application's own 404", 404)(scope, receive, send)


def a_gate(**policy) -> tuple[Gate, Waits]:
    waits = Waits()
    settings = AccessPolicy(**{"prefix": "/_diagnostics", "token": TOKEN, **policy})
    return Gate(pages, settings, fallback=application, sleep=waits), waits


class Answer:
    def __init__(self, messages) -> None:
        self.status = messages[0]["status"]
        self.headers = [(k.decode(), v.decode()) for k, v in messages[0]["headers"]]
        self.body = b"".join(m.get("body", b"") for m in messages[1:]).decode()

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key == name), "")


async def ask(gate: Gate, path="/_diagnostics/", *, method="GET", client=LOCAL, **more) -> Answer:
    headers = [("host", "localhost:8000")] if "host" not in more else []
    headers += more.pop("host", [])
    headers += [(name.replace("_", "-"), value) for name, value in more.pop("headers", {}).items()]
    body = more.pop("body", b"")
    scope = {
        "type": "http",
        "method": method,
        "scheme": more.pop("scheme", "http"),
        "path": path,
        "root_path": more.pop("root_path", ""),
        "query_string": b"",
        "client": client,
        "headers": [(k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in headers],
    }
    messages = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message) -> None:
        messages.append(message)

    await gate(scope, receive, send)
    return Answer(messages)


GOOD_HOSTS = ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "app.localhost", "LOCALHOST."]
BAD_HOSTS = [
    *("evil.test", "evil.test:8000", "localhost.evil.test", "127.0.0.1.evil.test"),
    *("evil-localhost", "127.0.0.1@evil.test", "localhost:8000@evil", "localhost/evil"),
    *("localhost\t", "localhost:99999", "localhost:abc", "", "löcalhost", "0.0.0.0:8000"),
    *("[::]:8000", "0:8000", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]"),
    *("shop.lan", "[::1", "::1"),
]


@pytest.mark.parametrize("host", GOOD_HOSTS)
async def test_local_names_are_served(host) -> None:
    gate, _ = a_gate()

    assert (await ask(gate, host=[("host", host)])).status == 200


@pytest.mark.parametrize("host", BAD_HOSTS)
async def test_other_names_are_refused_even_with_the_token(host) -> None:
    gate, _ = a_gate()

    plain = await ask(gate, host=[("host", host)])
    with_token = await ask(
        gate, host=[("host", host)], headers={"authorization": f"Bearer {TOKEN}"}
    )

    assert (plain.status, with_token.status) == (403, 403)


@pytest.mark.parametrize("host", [[], [("host", "localhost"), ("host", "localhost")]])
async def test_a_missing_or_repeated_host_is_refused(host) -> None:
    gate, _ = a_gate()

    assert (await ask(gate, host=host)).status == 403


async def test_a_configured_name_is_served() -> None:
    gate, _ = a_gate(allowed_hosts=("shop.lan",))

    assert (await ask(gate, host=[("host", "Shop.LAN:8000")])).status == 200


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", "0000::1"),
        ("x-forwarded-host", "evil.test"),
        ("forwarded", "for=127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("via", "1.1 x"),
        ("cf-connecting-ip", "127.0.0.1"),
    ],
)
async def test_behind_a_proxy_nobody_is_local(name, value) -> None:
    gate, _ = a_gate()

    assert (await ask(gate, headers={name: value})).status == 403


@pytest.mark.parametrize("client", [("10.0.0.5", 1), None, ("::ffff:10.0.0.5", 1), ("nonsense", 1)])
async def test_other_peers_are_told_where_the_link_is(client) -> None:
    gate, _ = a_gate()

    answer = await ask(gate, client=client)

    assert answer.status == 403
    assert "Open the link printed in the server's terminal" in answer.body
    assert len(answer.body) < 200


@pytest.mark.parametrize("client", [("127.8.8.8", 1), ("::1", 1), ("::ffff:127.0.0.1", 1)])
async def test_every_loopback_peer_is_local(client) -> None:
    gate, _ = a_gate()

    assert (await ask(gate, client=client)).status == 200


async def test_the_token_opens_the_gate_to_a_container_host() -> None:
    gate, waits = a_gate()

    right = await ask(gate, client=BRIDGE, headers={"authorization": f"Bearer {TOKEN}"})
    wrong = await ask(gate, client=BRIDGE, headers={"authorization": "Bearer wrong"})

    assert (right.status, wrong.status) == (200, 403)
    assert waits.seconds >= 0.5


async def test_after_ten_wrong_tokens_the_right_one_is_refused_too() -> None:
    gate, _ = a_gate()
    for _ in range(10):
        await ask(gate, client=BRIDGE, headers={"authorization": "Bearer wrong"})

    right = await ask(gate, client=BRIDGE, headers={"authorization": f"Bearer {TOKEN}"})
    login = await log_in(gate)

    assert (right.status, login.status) == (403, 403)


async def log_in(gate: Gate, token: str = TOKEN, **more) -> Answer:
    return await ask(
        gate,
        "/_diagnostics/login",
        method="POST",
        client=BRIDGE,
        body=f"token={token}".encode(),
        headers={"sec_fetch_site": "same-origin", "origin": "http://localhost:8000"},
        **more,
    )


async def test_the_form_swaps_the_token_for_a_cookie_that_opens_the_gate() -> None:
    gate, _ = a_gate()

    answer = await log_in(gate)
    cookie = answer.header("set-cookie")
    page = await ask(gate, client=BRIDGE, headers={"cookie": cookie.partition(";")[0]})

    assert (answer.status, answer.header("location")) == (303, "/_diagnostics/")
    assert {"HttpOnly", "Path=/_diagnostics", "SameSite=strict"} <= set(cookie.split("; "))
    assert TOKEN not in cookie
    assert page.status == 200


async def test_a_wrong_token_in_the_form_is_refused_after_a_while() -> None:
    gate, waits = a_gate()

    assert (await log_in(gate, "wrong")).status == 403
    assert waits.seconds >= 0.5


@pytest.mark.parametrize("cookie", ["v1.x.y", "v1..", "x", f"v1.0.{'0' * 64}"])
async def test_a_forged_cookie_is_none(cookie) -> None:
    gate, _ = a_gate()
    name = AccessPolicy(prefix="/x", token=TOKEN).cookie

    assert (await ask(gate, client=BRIDGE, headers={"cookie": f"{name}={cookie}"})).status == 403


async def test_over_https_the_cookie_is_secure() -> None:
    gate, _ = a_gate()
    answer = await ask(
        gate,
        "/_diagnostics/login",
        method="POST",
        client=BRIDGE,
        scheme="https",
        body=f"token={TOKEN}".encode(),
        headers={"origin": "https://localhost:8000"},
    )

    assert "Secure" in answer.header("set-cookie")


async def test_the_login_page_holds_no_data_and_no_inline_script() -> None:
    gate, _ = a_gate()

    page = await ask(gate, "/_diagnostics/login", client=BRIDGE)
    script = await ask(gate, "/_diagnostics/login.js", client=BRIDGE)

    assert (page.status, script.status) == (200, 200)
    assert TOKEN not in page.body + script.body
    assert '<script src="/_diagnostics/login.js" defer></script>' in page.body


async def test_the_token_can_be_required_of_everybody() -> None:
    gate, _ = a_gate(require_token=True)

    without = await ask(gate)
    with_token = await ask(gate, headers={"authorization": f"Bearer {TOKEN}"})

    assert (without.status, with_token.status) == (403, 200)


@pytest.mark.parametrize(
    ("client", "headers"),
    [(LOCAL, {}), (BRIDGE, {}), (LOCAL, {"origin": "http://evil.test"}), (LOCAL, {"via": "x"})],
)
async def test_in_production_there_is_nothing_here(client, headers) -> None:
    gate, _ = a_gate(production=True)

    answer = await ask(gate, client=client, headers=headers)

    assert (answer.status, answer.body) == (404, "the application's own 404")
    assert answer.header("content-security-policy") == ""


ACTION = {"x_diagnostics_action": "1"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        (ACTION, 200),
        ({**ACTION, "origin": "http://localhost:8000"}, 200),
        ({**ACTION, "origin": "http://evil.test"}, 403),
        ({**ACTION, "origin": "null"}, 403),
        ({**ACTION, "origin": "http://localhost:3000"}, 403),
        ({**ACTION, "origin": "https://localhost:8000"}, 403),
        ({**ACTION, "sec_fetch_site": "same-origin"}, 200),
        ({**ACTION, "sec_fetch_site": "cross-site"}, 403),
        ({**ACTION, "sec_fetch_site": "same-site"}, 403),
        ({"x_diagnostics_action": "0"}, 403),
        ({"content_type": "application/x-www-form-urlencoded"}, 403),
        ({"x_http_method_override": "GET"}, 403),
    ],
)
async def test_actions_come_from_our_own_pages_or_from_a_tool(headers, status) -> None:
    gate, _ = a_gate()

    answer = await ask(gate, "/_diagnostics/api/clear", method="POST", headers=headers)

    assert answer.status == status


LINK = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/_diagnostics/", LINK, 200),
        ("/_diagnostics/api/findings", LINK, 403),
        ("/_diagnostics/", {**LINK, "hx_request": "true"}, 403),
        ("/_diagnostics/", {**LINK, "sec_fetch_dest": "iframe"}, 403),
        ("/_diagnostics/", {**LINK, "sec_fetch_mode": "cors"}, 403),
        ("/_diagnostics/", {"sec_fetch_site": "cross-site", "sec_fetch_dest": "script"}, 403),
        ("/_diagnostics/api/findings", {"origin": "http://evil.test"}, 403),
        ("/_diagnostics/api/findings", {"sec_fetch_site": "none"}, 200),
    ],
)
async def test_other_pages_may_link_to_a_page_and_no_more(path, headers, status) -> None:
    gate, _ = a_gate()

    assert (await ask(gate, path, headers=headers)).status == status


async def test_a_foreign_preflight_gets_no_permission() -> None:
    gate, _ = a_gate()
    headers = {"origin": "http://evil.test", "access_control_request_method": "POST"}

    answer = await ask(gate, "/_diagnostics/api/clear", method="OPTIONS", headers=headers)

    assert answer.status == 403


EVERY_ANSWER = [
    {},
    {"client": BRIDGE},
    {"path": "/_diagnostics/login", "client": BRIDGE},
    {"method": "POST"},
    {"host": []},
]


@pytest.mark.parametrize("request_", EVERY_ANSWER)
async def test_every_answer_carries_the_headers_and_opens_nothing_to_others(request_) -> None:
    gate, _ = a_gate()

    answer = await ask(gate, **request_)

    expected = {name.decode(): value.decode() for name, value in GUARD_HEADERS.items()}
    assert {name: answer.header(name) for name in expected} == expected
    assert answer.header("cache-control") == "no-store"
    assert [name for name, _ in answer.headers if name.startswith("access-control")] == []


@pytest.mark.parametrize(
    ("root_path", "path"),
    [("", "/_diagnostics/"), ("/api", "/_diagnostics/"), ("/api", "/api/_diagnostics/")],
)
async def test_pages_know_where_they_are_mounted(root_path, path) -> None:
    gate, _ = a_gate()

    answer = await ask(gate, path, root_path=root_path)

    assert answer.body == f"page {root_path}/_diagnostics"


async def test_a_websocket_is_closed() -> None:
    gate, _ = a_gate()
    messages = []

    async def send(message) -> None:
        messages.append(message)

    await gate({"type": "websocket", "path": "/_diagnostics/"}, None, send)

    assert [message["type"] for message in messages] == ["websocket.close"]


def test_the_token_is_made_once_and_is_private(tmp_path) -> None:
    file = tmp_path / "token"

    first, second = load_or_create_token(file), load_or_create_token(file)

    assert first == second
    assert len(first) >= 22
    assert file.stat().st_mode & 0o777 == 0o600


def test_without_a_place_to_keep_it_there_is_a_token_all_the_same(tmp_path) -> None:
    tokens = {load_or_create_token(tmp_path / "missing" / "token") for _ in range(3)}

    assert len(tokens) == 3
    assert all(len(a) == len(b) for a, b in itertools.pairwise(tokens))
