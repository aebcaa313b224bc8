"""No secret that an application handles is stored, logged, printed or shown by us."""

import base64
import json
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from wsproto.events import AcceptConnection, CloseConnection

from tests.safety.serving import PREFIX, WebSocketClient, client_of, crawl, served

SHOP = Path(__file__).with_name("canary_shop.py")
API = f"{PREFIX}/api"


class Canaries:
    """Secrets that can be told apart, by the carrier each was given to."""

    def __init__(self) -> None:
        self.needles: dict[bytes, str] = {}

    def __call__(self, carrier: str) -> str:
        """Make a secret of no shape, which only the name of its carrier gives away."""
        return self.shaped(carrier, f"CANARY-{len(self.needles)}-{secrets.token_hex(6)}")

    def shaped(self, carrier: str, secret: str, *parts: str) -> str:
        """Take a secret of a certain shape; *parts* of it are sought, too."""
        for needle in (secret, *parts):
            self.needles[needle.encode()] = carrier
        return secret

    def found_in(self, data: bytes) -> set[str]:
        return {carrier for needle, carrier in self.needles.items() if needle in data}


Send = Callable[[httpx.Client, Canaries], None]


def send_bodies(client: httpx.Client, canary: Canaries) -> None:
    deep: object = canary("nested six deep")
    for name in ("api_key", "e", "d", "c", "b", "a"):
        deep = {name: deep}
    client.post("/login", json={"password": canary("JSON body")})
    client.post("/login", json={"password": canary("JSON body, refused"), "count": "x"})
    client.post("/loose", json={"count": "x", "rest": deep})
    client.post("/loose", json={"count": {"inner": deep}})
    client.post("/loose", json={"count": [{"name": "a", "pwd": canary("list of dicts")}]})
    client.post("/loose", json={"count": {"name": "token", "value": canary("name and value")}})
    client.post("/loose", json={"count": ["password", canary("pair")]})
    client.post("/loose", json=json.dumps({"count": 1, "secret": canary("encoded twice")}))
    client.post("/loose", content=f'{{"count": 1, "password": "{canary("broken JSON")}", x}}')
    client.post("/loose", content=f"{{'count': 1, 'password': '{canary('Python JSON')}'}}")
    client.post("/loose", content=f"password={canary('text body')}")
    client.post("/loose", data={"password": canary("form for JSON"), "count": "1"})
    client.post("/form", data={"password": canary("form"), "count": "x"})
    client.post("/form", json={"password": canary("JSON for form")})
    client.post("/pin", data={"pin": canary("form, refused")})
    files = {"token": (canary("multipart file name"), canary("multipart content").encode())}
    client.post("/upload", data={"password": canary("multipart field")}, files=files)
    files = {"file": (f"password={canary('file name')}", b"x")}
    client.post("/file", data={"count": "x"}, files=files)


def send_refused(client: httpx.Client, canary: Canaries) -> None:
    digits = str(secrets.randbelow(10**11) + 10**11)
    for body in (
        {"password": canary("422 input")},
        {"pin": int(canary.shaped("422 number", digits))},
        {"tokens": [canary("422 in a list of secrets")]},
        {"credentials": {"value": canary("422 in an object of secrets")}},
        {"credentials": canary("422 for an object of secrets")},
        {"api_key": canary("422 literal")},
        {"author": {"token": canary("422 below a plain name")}},
    ):
        assert client.post("/strict", json=body).status_code == 422
    for body in (
        {"password": canary("validator of a field")},
        {"token": canary("validator of a model")},
        {"password": canary("both validators, field"), "token": canary("both validators, model")},
    ):
        assert client.post("/quoting", json=body).status_code == 422


def send_addresses(client: httpx.Client, canary: Canaries) -> None:
    client.get(f"/search?token={canary('query')}&author=me")
    client.get(f"/search?pass%77ord={canary('query, name in percent')}&count=x")
    client.get(f"/search?user%5Bpassword%5D={canary('query, name in brackets')}")
    client.get(f"/search?a=1;token={canary('query, semicolon')}")
    client.get(f"/search?next=/login?token%3D{canary('query in a query')}")
    client.get(f"/token-number?token={canary('query, refused')}")
    client.get(f"/reset-password/{canary('path behind a secret name')}")
    client.get(f"/verify/{canary('path parameter with a secret name')}")
    client.get(f"/confirm/{canary('path parameter with a secret name, refused')}/x")
    client.get(f"/things/{canary.shaped('path with a shape', secrets.token_hex(24))}")
    client.get(f"/things/{jwt(canary, 'path with a JWT')}")
    client.get(f"/things/password={canary('path with a pair')}")


def send_headers(client: httpx.Client, canary: Canaries) -> None:
    client.get("/header", headers={"X-Api-Key": canary("header")})
    client.get("/cookie", headers={"Cookie": f"session={canary('cookie')}"})
    for path in ("/bearer?count=x", "/bearer-broken"):
        for header in ("Authorization", "Cookie", "X-Api-Key"):
            client.get(path, headers={header: f"Bearer {canary(f'{header} of {path}')}"})
    cookies = f"theme=dark; sid={canary('any cookie')}"
    client.get("/cookies-broken", headers={"Cookie": cookies})
    client.get("/bearer-broken", headers={"Authorization": jwt(canary, "JWT header")})
    for path in ("/basic", "/decode"):
        password = canary(f"Basic of {path}")
        encoded = base64.b64encode(f"user:{password}".encode()).decode()
        canary.shaped(f"Basic of {path}, encoded", encoded.rstrip("="))
        client.get(path, headers={"Authorization": f"Basic {encoded}"})
        client.get("/search?count=x", headers={"Authorization": f"Basic {encoded}"})


def send_exceptions(client: httpx.Client, canary: Canaries) -> None:
    for kind in (
        *("message", "quoted", "dict", "json", "model", "url", "query", "bearer", "handled"),
        *("handler", "http", "http-dict", "group", "cause", "context"),
    ):
        client.post(f"/raise/{kind}", json={"password": canary(f"exception: {kind}")})
    client.post("/raise/jwt", json={"password": jwt(canary, "exception: JWT")})
    client.get("/dependency", params={"token": canary("dependency's HTTPException")})
    client.get("/dependency", params={"secret": canary("dependency's error")})


def send_work(client: httpx.Client, canary: Canaries) -> None:
    for kind in ("positional", "keyword", "failing", "method", "partial", "object", "never"):
        client.post(f"/tasks/{kind}", json={"password": canary(f"task: {kind}")})
    for kind in ("dict", "orm", "model", "invalid"):
        client.post(f"/responses/{kind}", json={"password": canary(f"response: {kind}")})
    for path in ("/sql", "/asql"):
        for kind in (
            *("literal", "comment", "positional", "named", "driver-named", "many", "orm"),
            *("json", "in", "failing", "failing-many", "failing-literal"),
        ):
            body = {"password": canary(f"{path}: {kind}")}
            answer = client.post(f"{path}/{kind}", json=body)
            assert answer.status_code == (500 if "failing" in kind else 200), (path, kind)


def send_websocket(client: httpx.Client, canary: Canaries) -> None:
    target = f"/ws?token={canary('query of a websocket')}"
    with closing(WebSocketClient(str(client.base_url), target)) as socket:
        socket.send(canary("websocket message"))
        ending = socket.receive()
    assert isinstance(socket.opening, AcceptConnection)
    assert isinstance(ending, CloseConnection)


def jwt(canary: Canaries, carrier: str) -> str:
    parts = [b'{"alg":"HS256"}', canary(carrier).encode(), secrets.token_bytes(24)]
    encoded = [base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts]
    return canary.shaped(carrier, ".".join(encoded), *encoded[1:])


SENDERS: tuple[Send, ...] = (
    send_bodies,
    send_refused,
    send_addresses,
    send_headers,
    send_exceptions,
    send_work,
    send_websocket,
)


def shop_in(folder: Path) -> Path:
    shutil.copy(SHOP, folder / "shop.py")
    (folder / "pyproject.toml").touch()
    return folder


def shown(client: httpx.Client) -> Iterator[tuple[str, bytes]]:
    """Give whatever can be had of us over HTTP."""
    for path in ("findings?state=any&limit=500", "status", "rules", "changes"):
        yield f"api/{path}", client.get(f"{API}/{path}").content
    listed = client.get(f"{API}/requests?limit=500")
    yield "api/requests", listed.content
    for summary in listed.json()["requests"]:
        path = f"requests/{summary['id']}"
        yield f"api/{path}", client.get(f"{API}/{path}?wait=closed").content
        yield f"{PREFIX}/{path}", client.get(f"{PREFIX}/{path}").content
    found = client.get(f"{API}/findings?state=any&limit=500").json()["findings"]
    for finding in found:
        path = f"findings/{finding['fingerprint']}"
        yield f"api/{path}", client.get(f"{API}/{path}").content
    yield from crawl(client, f"{PREFIX}/").items()


def kept(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in (folder / ".fastapi_diagnostics").rglob("*"):
        if path.is_file():
            yield f"store {path.name}", path.read_bytes()
    for name in ("printed.log", "events.log"):
        yield name, (folder / name).read_bytes()


@pytest.mark.timeout(180)
@pytest.mark.parametrize("values", ["redacted", "none"])
def test_no_canary_is_found_anywhere(tmp_path, values) -> None:
    folder, canary = shop_in(tmp_path), Canaries()

    with (
        served(folder, FASTAPI_DIAGNOSTICS_VALUES=values) as url,
        client_of(url) as client,
    ):
        for send in SENDERS:
            send(client, canary)
        seen = dict(shown(client))
        seen |= {f"live {name}": data for name, data in kept(folder)}
    seen |= dict(kept(folder))

    assert len(canary.needles) > 100
    assert b"unhandled-exception" in seen["events.log"]
    assert b"unhandled-exception" in seen["printed.log"]
    assert sum(name.startswith(f"{PREFIX}/requests/") for name in seen) > 90
    assert any(b"unhandled-exception" in data for n, data in seen.items() if n.startswith("store"))
    places: dict[str, list[str]] = {}
    for name, data in seen.items():
        for carrier in canary.found_in(data):
            places.setdefault(carrier, []).append(name)
    assert not places, "\n".join(f"{c}: {p[:3]}" for c, p in places.items())


PLAIN = {
    "author": "Ursula",
    "passenger": "Genly Ai",
    "max_tokens": 4096,
    "id": "550e8400-e29b-41d4-a716-446655440000",
    "file": "/srv/shop/passengers/lists_of_2024.py",
}


def test_what_is_no_secret_stays_readable(tmp_path) -> None:
    with served(shop_in(tmp_path)) as url, client_of(url) as client:
        client.post("/strict", json={"author": "Ursula K. Le Guin"})
        client.post("/loose", json={"count": PLAIN})
        client.get(f"/things/{PLAIN['id']}?author=Ursula&max_tokens=4096")
        client.get("/authors/Ursula")
        client.get("/confirm/abcdef12/x")
        client.post("/tasks/keyword", json={"password": "x"})
        client.post("/sql/named", json={"password": "x"})
        seen = b"".join(data for name, data in shown(client) if name.startswith("api/")).decode()

    assert "'Ursula K. Le Guin'" in seen
    assert "{'author': 'Ursula', 'passenger': 'Genly Ai', 'max_tokens': 4096, 'id': '550e84" in seen
    assert f"/things/{PLAIN['id']}" in seen
    assert "author=Ursula&max_tokens=4096" in seen
    assert "author=Ursula has no passenger in /srv/shop/passengers.py" in seen
    assert '"path":"/confirm/<redacted>/x"' in seen
    assert "password=<redacted>" in seen
    assert '"values":["<redacted>","5"]' in seen
