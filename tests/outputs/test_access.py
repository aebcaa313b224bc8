"""The gate, driven with bare ASGI scopes: who is let through, who is refused, and how."""

import os
import stat
import threading
from urllib.parse import quote

import anyio
import pytest

from fastapi_diagnostics.asgi import route_path
from fastapi_diagnostics.outputs.access import (
    AccessPolicy,
    Gate,
    load_or_create_token,
    login_link,
    under_prefix,
)

PREFIX = "/_diagnostics"
TOKEN = "correct-horse-battery-staple"  # noqa: S105 - of the tests
SERVED, REFUSED, APP = 200, 403, 404
ACTION = ("X-Diagnostics-Action", "1")
LOCAL = AccessPolicy()
WITH_TOKEN = AccessPolicy(token=TOKEN)
STRICT = AccessPolicy(token=TOKEN, require_token=True)
PRODUCTION = AccessPolicy(token=TOKEN, production=True)
NO_TOKEN_PRODUCTION = AccessPolicy(production=True)
EXTRA = AccessPolicy(allowed_hosts=("dev.example.test:8000", "10.1.2.3"))
HEADERS = {
    "content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy",
    "cache-control", "cross-origin-resource-policy", "cross-origin-opener-policy",
}  # fmt: skip


class Answer:
    def __init__(self, messages, inner):
        self.messages = messages
        start = messages[0]
        self.status = start.get("status")
        self.pairs = [(k.decode(), v.decode()) for k, v in start.get("headers", ())]
        self.headers = dict(self.pairs)
        self.body = b"".join(message.get("body", b"") for message in messages[1:])
        self.inner = inner


def stub(seen, status, headers=()):
    async def app(scope, receive, send):  # noqa: ARG001
        seen.append(scope)
        await send({"type": "http.response.start", "status": status, "headers": [*headers]})
        await send({"type": "http.response.body", "body": b"from the stub"})

    return app


def scope_for(
    path=PREFIX + "/", *headers, host="localhost:8000", peer="127.0.0.1", method="GET", **more
):
    pairs = [("Host", host)] if host is not None else []
    return {
        "type": "http", "method": method, "scheme": "http", "path": path, "root_path": "",
        "raw_path": quote(path).encode(), "client": (peer, 50000) if peer is not None else None,
        "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in [*pairs, *headers]],
        "query_string": b"",
    } | more  # fmt: skip


class Visitor:
    """Sends requests through one gate; waits of the gate are noted and not waited."""

    def __init__(self, policy=LOCAL, inner_headers=()):
        self.waits = []
        self.inner, self.app = [], []
        self.gate = Gate(
            stub(self.inner, SERVED, inner_headers), policy, stub(self.app, APP), sleep=self._sleep
        )

    async def _sleep(self, seconds):
        self.waits.append(seconds)
        await anyio.lowlevel.checkpoint()

    async def ask(self, scope, body=b""):
        messages, before = [], len(self.inner)
        parts = [body[n : n + 1000] for n in range(0, len(body), 1000)] or [b""]

        async def receive():
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def send(message):
            messages.append(message)

        await self.gate(scope, receive, send)
        return Answer(messages, self.inner[before:])

    async def log_in(self, token=TOKEN, **more):
        form = ("Content-Type", "application/x-www-form-urlencoded")
        scope = scope_for(PREFIX + "/login", form, method="POST") | more
        return await self.ask(scope, f"token={quote(token)}".encode())


def check(answer, expected):
    assert answer.status == expected
    assert not [name for name in answer.headers if name.startswith("access-control")]
    if expected == APP:
        assert answer.body == b"from the stub"  # the application's own
        assert not HEADERS & set(answer.headers)
        return
    assert set(answer.headers) >= HEADERS
    assert len(answer.pairs) == len(answer.headers)
    if expected == REFUSED:
        assert answer.inner == []
        assert len(answer.body) < 200


HOSTS = [
    *((host, SERVED) for host in (  # rows 1-5
        "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "app.localhost", "LOCALHOST.",
        "localhost", "127.0.0.2", "a.b.localhost:1",
    )),
    *((host, REFUSED) for host in (  # rows 6-10
        "evil.test", "evil.test:8000", "localhost.evil.test", "127.0.0.1.evil.test",
        "evil-localhost", "127.0.0.1@evil.test", "localhost:8000@evil", "localhost/evil",
        "localhost\t", " localhost", "localhost:99999", "localhost:abc", "localhost:", "",
        "loc\xe4l", "localhost\x00",
        "0.0.0.0:8000", "[::]:8000", "0:8000", "2130706433", "0x7f.1", "127.1",
        "127.0.0.01", "[::ffff:127.0.0.1]", "[::1", "::1", "[0:0:0:0:0:0:0:1]", "localhost..",
        ".localhost", "a..localhost", "testserver", "*", "mycomputer", "x" * 300 + ".localhost",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("host", "expected"), HOSTS, ids=[str(n) for n in range(len(HOSTS))])
@pytest.mark.parametrize("path", ["/", "", "/api/findings", "/static/app.css"])
async def test_only_names_of_this_machine_are_served(host, expected, path):
    check(await Visitor().ask(scope_for(PREFIX + path, host=host)), expected)


async def test_a_missing_or_repeated_host_is_refused():
    check(await Visitor().ask(scope_for(host=None)), REFUSED)
    check(await Visitor().ask(scope_for(PREFIX, ("Host", "localhost"))), REFUSED)


async def test_another_authority_in_the_request_target_is_refused():
    target = b"http://evil.test/_diagnostics/"

    check(await Visitor().ask(scope_for(raw_path=target)), REFUSED)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("dev.example.test", SERVED), ("DEV.example.test:99", SERVED), ("10.1.2.3:8000", SERVED),
     ("x.dev.example.test", REFUSED), ("10.1.2.4", REFUSED)],
)  # fmt: skip
async def test_further_names_can_be_allowed(host, expected):
    check(await Visitor(EXTRA).ask(scope_for(host=host)), expected)


FORWARDED = [
    ("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-For", "::1"), ("X-Forwarded-For", "0000::1"),
    ("X-Forwarded-For", "127.0.0.1, 8.8.8.8"), ("Forwarded", "for=127.0.0.1"),
    ("X-Real-IP", "127.0.0.1"), ("Via", "1.1 x"), ("X-Forwarded-Host", "evil.test"),
    ("CF-Connecting-IP", "127.0.0.1"), ("X-Forwarded-Anything", ""),
]  # fmt: skip


@pytest.mark.parametrize("header", FORWARDED, ids=str)
async def test_forwarded_requests_are_not_local(header):
    check(await Visitor().ask(scope_for(PREFIX, header)), REFUSED)  # rows 11, 20-24
    check(await Visitor(WITH_TOKEN).ask(scope_for(PREFIX, header)), REFUSED)
    check(await Visitor(PRODUCTION).ask(scope_for(PREFIX, header)), APP)


@pytest.mark.parametrize(
    ("peer", "expected"),
    [("127.0.0.1", SERVED), ("127.8.0.1", SERVED), ("::1", SERVED), ("::ffff:127.0.0.1", SERVED),
     ("testclient", SERVED), ("10.0.0.5", REFUSED), ("::ffff:10.0.0.5", REFUSED), (None, REFUSED),
     ("", REFUSED), ("1.0.0.127", REFUSED), ("localhost", REFUSED), ("fe80::1%eth0", REFUSED)],
)  # fmt: skip
async def test_only_loopback_peers_are_local(peer, expected):
    check(await Visitor().ask(scope_for(peer=peer)), expected)  # row 25
    check(await Visitor(WITH_TOKEN).ask(scope_for(peer=peer)), expected)


async def test_a_test_client_may_use_its_own_host():
    check(await Visitor().ask(scope_for(peer="testclient", host="testserver")), SERVED)
    check(await Visitor().ask(scope_for(peer="testclient", host="evil.test")), REFUSED)


async def test_refusals_tell_what_helps():
    async def told(policy, *args, **more):
        return (await Visitor(policy).ask(scope_for(PREFIX, *args, **more))).body.decode()

    assert "link printed in the server's terminal" in await told(WITH_TOKEN, peer="10.0.0.5")
    assert "Only the machine" in await told(LOCAL, peer="10.0.0.5")
    assert "allowed_hosts" in await told(LOCAL, host="evil.test")
    answer = await Visitor().ask(scope_for(PREFIX + "/api/status", host="evil.test"))
    assert answer.headers["content-type"] == "application/json"
    assert b'"error":{"code":"refused"' in answer.body


NAVIGATE = (("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"))
CROSS, SAME_SITE = ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site")
BROWSERS = [
    # method, path, headers, expected
    ("GET", "/", [], SERVED),
    ("GET", "/", [("Sec-Fetch-Site", "none"), *NAVIGATE], SERVED),
    ("GET", "/api/findings", [("Sec-Fetch-Site", "same-origin")], SERVED),
    ("GET", "/api/findings", [("Origin", "http://localhost:8000")], SERVED),
    ("GET", "/api/findings", [("Origin", "http://evil.test")], REFUSED),  # row 51
    ("GET", "/", [("Origin", "http://evil.test"), ("HX-Request", "true")], REFUSED),
    ("GET", "/", [("Origin", "null")], REFUSED),
    ("GET", "/", [("Origin", "")], REFUSED),
    ("GET", "/", [("Origin", "http://localhost:8000"), ("Origin", "http://evil.test")], REFUSED),
    ("GET", "/", [CROSS, ("Sec-Fetch-Dest", "script")], REFUSED),  # row 52
    ("GET", "/", [CROSS, ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")], REFUSED),
    ("GET", "/", [CROSS, ("Sec-Fetch-Dest", "image")], REFUSED),
    ("GET", "/", [CROSS, *NAVIGATE], SERVED),  # row 53
    ("GET", "/findings/abc", [SAME_SITE, *NAVIGATE], SERVED),
    ("GET", "/", [CROSS, *NAVIGATE, ("HX-Request", "true")], REFUSED),
    ("GET", "/", [CROSS, *NAVIGATE, ("Sec-Fetch-Dest", "iframe")], REFUSED),
    ("GET", "/", [CROSS, ("Sec-Fetch-Site", "none")], REFUSED),
    ("GET", "/api/findings", [CROSS, *NAVIGATE], REFUSED),
    ("GET", "/static/app.js", [CROSS, *NAVIGATE], REFUSED),
    ("POST", "/", [CROSS, *NAVIGATE, ACTION], REFUSED),
    ("OPTIONS", "/api/clear", [("Origin", "http://evil.test"),  # row 50
                               ("Access-Control-Request-Method", "POST")], REFUSED),
    ("POST", "/api/clear", [], REFUSED),  # row 30
    ("POST", "/api/clear", [ACTION, ("Origin", "http://evil.test")], REFUSED),  # rows 31-34
    ("POST", "/api/clear", [ACTION, ("Origin", "null")], REFUSED),
    ("POST", "/api/clear", [ACTION, ("Origin", "http://localhost:3000")], REFUSED),
    ("POST", "/api/clear", [ACTION, ("Origin", "https://localhost:8000")], REFUSED),
    ("POST", "/api/clear", [ACTION, ("Origin", "http://127.0.0.1:8000")], REFUSED),
    ("POST", "/api/clear", [("Origin", "http://localhost:8000")], REFUSED),  # row 35
    ("POST", "/api/clear", [("X-Diagnostics-Action", "true")], REFUSED),
    ("POST", "/api/clear", [ACTION, ACTION], REFUSED),
    ("POST", "/api/clear", [ACTION, CROSS], REFUSED),  # row 36
    ("POST", "/api/clear", [ACTION, SAME_SITE], REFUSED),
    ("PUT", "/api/clear", [], SERVED),  # row 37: the pages answer 405
    ("DELETE", "/api/clear", [("Origin", "http://evil.test")], REFUSED),
    ("POST", "/api/clear", [("X-HTTP-Method-Override", "GET")], REFUSED),  # row 38
    ("GET", "/api/clear", [("X-HTTP-Method-Override", "POST")], SERVED),
    ("POST", "/api/clear", [("Content-Type", "text/plain")], REFUSED),  # row 39
    ("POST", "/api/clear", [("Content-Type", "multipart/form-data")], REFUSED),
    ("POST", "/api/clear", [("Content-Type", "application/x-www-form-urlencoded")], REFUSED),
    ("POST", "/api/clear", [ACTION], SERVED),  # row 41, as curl sends it
    ("POST", "/api/clear", [ACTION, ("Origin", "http://localhost:8000"),
                            ("Sec-Fetch-Site", "same-origin")], SERVED),
]  # fmt: skip


@pytest.mark.parametrize("place", ["", "/api", "mounted"])
@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"), BROWSERS, ids=[str(n) for n in range(len(BROWSERS))]
)
async def test_other_sites_can_neither_read_nor_act(method, path, headers, expected, place):
    if place == "mounted":  # row 72: the server has stripped the root path
        scope = scope_for(PREFIX + path, *headers, method=method, root_path="/sub/")
    else:
        scope = scope_for(place + PREFIX + path, *headers, method=method, root_path=place)
    visitor = Visitor()

    answer = await visitor.ask(scope)

    check(answer, expected)
    assert len(visitor.inner) == (expected == SERVED)


@pytest.mark.parametrize(
    ("host", "scheme", "sent"),
    [("localhost", "https", "https://localhost"), ("localhost:443", "https", "https://localhost"),
     ("localhost:80", "http", "http://localhost"), ("[::1]:1", "http", "http://[::1]:1"),
     ("LocalHost:1", "http", "http://localhost:1")],
)  # fmt: skip
async def test_the_own_origin_is_recognised(host, scheme, sent):
    scope = scope_for(PREFIX, ("Origin", sent), ACTION, host=host, scheme=scheme, method="POST")

    check(await Visitor().ask(scope), SERVED)


@pytest.mark.parametrize(
    ("root", "path", "inner_root", "inner_path"),
    [
        ("", PREFIX, PREFIX, PREFIX + "/"),
        ("", PREFIX + "/rules/X", PREFIX, PREFIX + "/rules/X"),
        ("/api", "/api" + PREFIX, "/api" + PREFIX, "/api" + PREFIX + "/"),
        ("/api/", PREFIX + "/rules", "/api" + PREFIX, "/api" + PREFIX + "/rules"),
    ],
)
async def test_the_pages_see_themselves_mounted(root, path, inner_root, inner_path):
    visitor = Visitor()

    await visitor.ask(scope_for(path, root_path=root, app="the application"))

    assert visitor.inner[0]["root_path"] == inner_root
    assert visitor.inner[0]["path"] == inner_path
    assert "app" not in visitor.inner[0]


@pytest.mark.parametrize("path", ["/", "/_diagnosticsx", "/sub/_diagnostics", "/apix/_diagnostics"])
async def test_other_paths_are_the_applications(path):
    check(await Visitor().ask(scope_for(path, root_path="/api", host="evil.test")), APP)


def test_paths_are_read_with_and_without_the_root_path():
    scope = scope_for("/api", root_path="/api")

    assert route_path(scope) == "/"
    assert route_path(scope_for("/apix", root_path="/api")) == "/apix"
    assert under_prefix(scope_for("/api" + PREFIX, root_path="/api"), PREFIX)
    assert not under_prefix(scope_for(PREFIX + "x"), PREFIX)


async def test_headers_of_the_pages_cannot_weaken_ours():
    weak = [(b"Access-Control-Allow-Origin", b"*"), (b"X-Frame-Options", b"ALLOWALL"),
            (b"content-type", b"text/html")]  # fmt: skip

    answer = await Visitor(inner_headers=weak).ask(scope_for())

    check(answer, SERVED)
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["content-type"] == "text/html"
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_files_may_say_how_long_they_can_be_kept():
    caching = [(b"Cache-Control", b"max-age=31536000, immutable")]

    answer = await Visitor(inner_headers=caching).ask(scope_for(PREFIX + "/static/x.js"))

    assert answer.headers["cache-control"] == "max-age=31536000, immutable"


@pytest.mark.parametrize("headers", [[], [("Origin", "http://localhost:8000")]])
async def test_websockets_are_closed_before_they_are_accepted(headers):
    answer = await Visitor().ask(scope_for(PREFIX, *headers, type="websocket"))

    assert [message["type"] for message in answer.messages] == ["websocket.close"]


async def test_production_without_a_token_shows_nothing_of_ours():
    visitor = Visitor(NO_TOKEN_PRODUCTION)

    for path in (PREFIX, PREFIX + "/login", PREFIX + "/api/status"):
        check(await visitor.ask(scope_for(path)), APP)


async def test_production_answers_refusals_with_the_applications_own_answer():
    visitor = Visitor(PRODUCTION)

    check(await visitor.ask(scope_for()), APP)
    check(await visitor.ask(scope_for(host="evil.test")), APP)
    check(await visitor.ask(scope_for(PREFIX + "/login", host="evil.test")), APP)
    check(await visitor.ask(scope_for(PREFIX, ("Authorization", "Bearer wrong"))), APP)
    check(await visitor.log_in("wrong"), APP)
    assert visitor.waits == [0.5, 0.5]
    check(await visitor.ask(scope_for(PREFIX, ("Authorization", f"Bearer {TOKEN}"))), SERVED)


# The token.

REMOTE = "10.0.0.5"


def cookie_of(answer):
    return answer.headers["set-cookie"].partition(";")[0]


async def test_the_right_token_gives_a_cookie_that_opens_the_pages():
    visitor = Visitor(WITH_TOKEN)

    entry = await visitor.log_in(client=(REMOTE, 1))

    assert entry.status == 303
    assert entry.headers["location"] == PREFIX + "/"
    name, _, rest = entry.headers["set-cookie"].partition("=")
    assert name.startswith("fastapi_diagnostics_")
    assert rest.startswith("v1.")
    assert rest.endswith(f"; Path={PREFIX}; HttpOnly; SameSite=Strict")
    assert TOKEN not in entry.headers["set-cookie"]
    cookie = ("Cookie", "a=b; " + cookie_of(entry))
    check(await visitor.ask(scope_for(PREFIX, cookie, peer=REMOTE)), SERVED)  # row 26
    check(await visitor.ask(scope_for(PREFIX, cookie, host="evil.test", peer=REMOTE)), REFUSED)
    check(await visitor.ask(scope_for(PREFIX, cookie, CROSS, peer=REMOTE)), REFUSED)
    check(await visitor.ask(scope_for(PREFIX, cookie, peer=REMOTE, method="POST")), REFUSED)


async def test_all_workers_take_the_cookie_and_other_instances_do_not():
    first, second = Visitor(WITH_TOKEN), Visitor(STRICT)
    one, two = cookie_of(await first.log_in()), cookie_of(await first.log_in())
    other = Visitor(AccessPolicy(token="another-token-of-16"))  # noqa: S106

    check(await second.ask(scope_for(PREFIX, ("Cookie", one))), SERVED)
    check(await other.ask(scope_for(PREFIX, ("Cookie", one), peer=REMOTE)), REFUSED)
    assert one != two
    assert one.partition("=")[0] == two.partition("=")[0]
    assert not one.startswith(cookie_of(await other.log_in("another-token-of-16")).split("=")[0])


FORGERIES = {
    "another nonce": lambda c: c[:-1] + ("0" if c[-1] != "0" else "1"),
    "longer": lambda c: c + "0",
    "upper case": str.upper,
    "another version": lambda c: c.replace("v1.", "v2."),
    "empty": lambda c: c.partition("=")[0] + "=",
    "no value": lambda c: c.partition("=")[0],
    "the token": lambda c: c.partition("=")[0] + "=" + TOKEN,
    "no ASCII": lambda c: c.replace("=", "=\xe4"),
}


@pytest.mark.parametrize("spoil", FORGERIES.values(), ids=FORGERIES)
async def test_a_forged_cookie_opens_nothing(spoil):
    visitor = Visitor(STRICT)
    cookie = spoil(cookie_of(await visitor.log_in()))

    check(await visitor.ask(scope_for(PREFIX, ("Cookie", cookie))), REFUSED)


async def test_on_https_the_cookie_is_secure_and_below_the_root_path():
    answer = await Visitor(WITH_TOKEN).log_in(scheme="https", root_path="/a;b")

    assert answer.headers["set-cookie"].endswith("; Secure")
    assert f"; Path=/a%3Bb{PREFIX};" in answer.headers["set-cookie"]
    assert answer.headers["location"] == f"/a%3Bb{PREFIX}/"


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer  {TOKEN} "])
async def test_programs_may_send_the_token_in_a_header(header):
    bearer = ("Authorization", header)

    check(await Visitor(STRICT).ask(scope_for(PREFIX + "/api/status", bearer)), SERVED)
    check(await Visitor(STRICT).ask(scope_for(PREFIX, bearer, ACTION, method="POST")), SERVED)


async def test_a_token_is_no_excuse_for_a_foreign_site():
    bearer = ("Authorization", f"Bearer {TOKEN}")

    for headers in ([("Origin", "http://evil.test")], [CROSS]):
        check(await Visitor(STRICT).ask(scope_for(PREFIX, bearer, *headers)), REFUSED)


async def test_local_requests_may_carry_tokens_of_the_application():
    visitor = Visitor(WITH_TOKEN)

    check(await visitor.ask(scope_for(PREFIX, ("Authorization", "Bearer of-the-app"))), SERVED)
    assert visitor.waits == []


@pytest.mark.parametrize("way", ["form", "header"])
async def test_ten_wrong_tokens_lock_all_out_but_those_who_are_in(way):
    visitor = Visitor(WITH_TOKEN)
    cookie = ("Cookie", cookie_of(await visitor.log_in()))

    async def attempt(token):
        if way == "form":
            return (await visitor.log_in(token)).status
        bearer = ("Authorization", f"Bearer {token}")
        return (await visitor.ask(scope_for(PREFIX, bearer, peer=REMOTE))).status

    wrong = [await attempt(f"wrong-{n}") for n in range(10)]

    assert wrong == [403] * 10
    assert visitor.waits == [0.5] * 10
    assert await attempt(TOKEN) == 403
    assert (await visitor.log_in()).status == 403
    check(await visitor.ask(scope_for(PREFIX, cookie, peer=REMOTE)), SERVED)


async def test_guesses_at_the_same_time_are_counted_before_they_wait():
    visitor = Visitor(WITH_TOKEN)
    answers = []

    async def guess(token):
        answers.append((await visitor.log_in(token)).status)

    async with anyio.create_task_group() as group:
        for n in range(30):
            group.start_soon(guess, f"wrong-{n}")

    assert answers == [403] * 30
    assert len(visitor.waits) <= 11


async def test_the_form_works_for_everybody_who_may_ask():
    visitor = Visitor(WITH_TOKEN)

    page = await visitor.ask(scope_for(PREFIX + "/login", peer=REMOTE))
    wrong = await visitor.log_in("wrong", client=(REMOTE, 1))
    head = await visitor.ask(scope_for(PREFIX + "/login", method="HEAD"))

    check(page, 200)
    text = page.body.decode()
    assert '<form method="post" action="login">' in text
    assert "<style" not in text
    assert "<script>" not in text
    assert " style=" not in text
    assert TOKEN not in text
    assert wrong.status == 403
    assert b"not the token" in wrong.body
    assert head.body == b""
    assert head.headers["content-length"] == str(len(page.body))
    assert visitor.inner == []


@pytest.mark.parametrize(("name", "kind"), [("css", "text/css"), ("js", "text/javascript")])
async def test_the_form_brings_its_own_files(name, kind):
    visitor = Visitor(WITH_TOKEN)

    answer = await visitor.ask(scope_for(f"{PREFIX}/static/login.{name}", peer=REMOTE))

    check(answer, 200)
    assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [("PUT", "/login", [], 405), ("POST", "/static/login.js", [], 405),
     ("POST", "/login", [("Origin", "http://evil.test")], 403),
     ("POST", "/login", [("Origin", "null")], 403), ("POST", "/login", [CROSS], 403),
     ("GET", "/login", [CROSS, *NAVIGATE], 200), ("GET", "/login/", [], 403)],
)  # fmt: skip
async def test_the_form_is_guarded_like_the_rest(method, path, headers, expected):
    scope = scope_for(PREFIX + path, *headers, method=method, peer=REMOTE)

    answer = await Visitor(WITH_TOKEN).ask(scope)

    check(answer, expected)
    assert ("allow" in answer.headers) == (expected == 405)


@pytest.mark.parametrize(
    "body",
    [b"", b"token=", b"token", b"other=1", b"\xff\xfe", b"token=" + b"x" * 10_000,
     b"&".join([b"token=x"] * 100), b"token=%ff%zz"],
)  # fmt: skip
async def test_strange_forms_are_wrong_tokens(body):
    visitor = Visitor(WITH_TOKEN)

    answer = await visitor.ask(scope_for(PREFIX + "/login", method="POST"), body)

    assert answer.status == 403
    assert visitor.waits == [0.5]


async def test_the_whole_link_may_be_pasted():
    link = "http://localhost:8000" + login_link(PREFIX, "ä token&=#/x-of-16")

    answer = await Visitor(AccessPolicy(token="ä token&=#/x-of-16")).log_in(f" {link} ")  # noqa: S106

    assert answer.status == 303


def test_the_policy_does_not_print_its_token():
    assert TOKEN not in repr(WITH_TOKEN)


# The file of the token.


def test_the_token_is_kept_for_the_next_process_and_for_nobody_else(tmp_path):
    folder = tmp_path / "own"
    umask = os.umask(0)
    try:
        token = load_or_create_token(folder)
    finally:
        os.umask(umask)

    assert load_or_create_token(folder) == token
    assert len(token) >= 22
    assert stat.S_IMODE((folder / "token").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", "token"]


def test_workers_that_start_together_agree(tmp_path):
    folder, found = tmp_path / "own", []
    barrier = threading.Barrier(8)

    def start():
        barrier.wait()
        found.append(load_or_create_token(folder))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_token_that_others_can_read_is_made_private(tmp_path):
    token = load_or_create_token(tmp_path)
    (tmp_path / "token").chmod(0o644)

    assert load_or_create_token(tmp_path) == token
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "short", "x" * 1000, "two words of twenty-two"])
def test_a_spoilt_token_is_not_used(tmp_path, content):
    (tmp_path / "token").write_text(content)

    token = load_or_create_token(tmp_path)

    assert token != content
    assert len(token) >= 22


def test_a_planted_link_is_not_followed(tmp_path):
    planted = tmp_path / "planted"
    planted.write_text("p" * 30)
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "token").symlink_to(planted)

    assert load_or_create_token(folder) != "p" * 30
    assert planted.read_text() == "p" * 30


def test_without_a_folder_every_process_has_its_own(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")

    first, second = (load_or_create_token(blocked / "own") for _ in range(2))

    assert first != second
