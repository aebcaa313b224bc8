"""Malformed requests, each with the hint that must come first, and requests that are right."""

import json
from typing import Any

from tests.corpus.http.requests_app import plain, with_https_only, with_own_handler
from tests.corpus.http.situation import Situation

ITEM = {"title": "lamp", "price": 9.5}
LINE = {"book_id": 1, "quantity": 2}
ORDER = {"customer_name": "Ada", "lines": [LINE]}
TEXT = {"content-type": "text/plain"}
JSON = {"content-type": "application/json"}
HTTPS = {"x-forwarded-proto": "https", "authorization": "Bearer x"}


def refused(name: str, path: str, hint: str, **rest: Any) -> Situation:
    """A request that validation refuses: a warning where the mistake is known, else a note."""
    defaults: dict[str, Any] = {
        "method": "GET",
        "status": 422,
        "rule": "REQ101",
        "severity": "warning" if hint else "info",
    }
    send = {
        key: rest.pop(key) for key in ("json", "data", "files", "content", "headers") if key in rest
    }
    if set(send) - {"headers"}:
        defaults["method"] = "POST"
    return Situation(name, plain, path, send=send, hint=hint, **defaults | rest)


def shadowed(name: str, path: str, **rest: Any) -> Situation:
    """A request that an earlier route took; the note of REQ101 is part of its evidence."""
    defaults: dict[str, Any] = {"rule": "REQ102", "status": 422, "severity": "error"}
    return Situation(name, rest.pop("app", plain), path, **defaults | rest)


def right(name: str, path: str, **rest: Any) -> Situation:
    """A request in which nothing is to be found."""
    send = {
        key: rest.pop(key) for key in ("json", "data", "files", "content", "headers") if key in rest
    }
    method = "POST" if set(send) - {"headers"} else "GET"
    return Situation(name, plain, path, **{"method": method, "send": send} | rest)


ROUTES = [
    shadowed("shadow int", "/users/me", hint="shadowed-route", mark="SHADOWING", says="/users/me"),
    shadowed("shadow text 404", "/books/latest", status=404),
    shadowed("shadow in router", "/shop/orders/stats", hint="shadowed-route"),
    shadowed("shadow in mount", "/inner/parts/search", hint="shadowed-route"),
    shadowed(
        "shadow, own handler",
        "/orders/latest",
        app=with_own_handler,
        status=400,
        hint="shadowed-route",
    ),
    right("no shadow: right order", "/right/users/me"),
    right("no shadow: plain 404", "/right/users/999", status=404),
    right("no shadow: 404 of a text", "/books/faust", status=404),
    right("no such route", "/nowhere", status=404),
    right("wrong method", "/nodes", status=405),
    refused("no number in path", "/users/abc", ""),
    refused("no shadow: other method", "/things/new", ""),
]
FORMS = [
    refused("form for JSON", "/items", "form-for-json", data={"title": "lamp", "price": "9.5"}),
    refused("multipart for JSON", "/items", "form-for-json", files={"title": (None, "lamp")}),
    refused("JSON for form", "/login", "json-for-form", json={"user_name": "a", "password": "b"}),
    refused("JSON for file", "/uploads", "json-for-form", json={"document": "text"}),
    refused("form key misspelt", "/login", "misspelt-key", data={"username": "a", "password": "b"}),
    refused("form key missing", "/login", "", data={"password": "b"}),
    right("right form", "/login", data={"user_name": "a", "password": "b"}),
    right("right file", "/uploads", files={"document": ("a.txt", b"text")}),
]
CONTENT = [
    refused("no content type", "/items", "content-type", content=json.dumps(ITEM), since=(0, 132)),
    right("no content type, before", "/items", content=json.dumps(ITEM), until=(0, 132)),
    refused("text/plain", "/items", "content-type", content=json.dumps(ITEM), headers=TEXT),
    refused(
        "JSON as form (curl -d)",
        "/items",
        "content-type",
        content=json.dumps(ITEM),
        headers={"content-type": "application/x-www-form-urlencoded"},
    ),
    refused("plain text where it is wanted", "/raw", "", content="lamp", headers=TEXT),
    refused("plain text", "/items", "content-type", content="lamp", headers=TEXT),
    refused(
        "no text at all", "/items", "content-type", content=b"\xff\xfe", headers=TEXT, status=500
    ),
    refused("encoded twice", "/items", "double-encoded", json=json.dumps(ITEM)),
    refused("list encoded twice", "/items/bulk", "double-encoded", json=json.dumps([ITEM])),
    right("a text that is JSON", "/notes", json=json.dumps(ITEM)),
    right(
        "vendor JSON",
        "/items",
        content=json.dumps(ITEM),
        headers={"content-type": "application/vnd.shop+json"},
    ),
    right(
        "JSON with charset",
        "/items",
        content=json.dumps(ITEM),
        headers={"content-type": "application/json; charset=utf-8"},
    ),
    refused("trailing comma", "/items", "broken-json", content='{"title": "a",}', headers=JSON),
    refused("single quotes", "/items", "broken-json", content="{'title': 'a'}", headers=JSON),
    refused("cut off", "/items", "broken-json", content='{"title": "a", "pri', headers=JSON),
    refused("undefined", "/items", "broken-json", content='{"price": undefined}', headers=JSON),
    refused("empty body", "/items", "", content=b"", headers=JSON, method="POST"),
    refused(
        "nested beyond the parser",
        "/nodes",
        "nesting",
        content=b"[" * 200_000,
        headers=JSON,
        status=400,
    ),
    refused(
        "not UTF-8",
        "/items",
        "broken-json",
        content='{"title": "Café", "price": 1}'.encode("latin-1"),
        headers=JSON,
        status=400,
    ),
    refused(
        "multipart without boundary",
        "/login",
        "content-type",
        content=b"--x\r\n",
        headers={"content-type": "multipart/form-data"},
        status=400,
    ),
]
SHAPES = [
    refused("wrapped in its name", "/items", "unwrap", json={"item": ITEM}),
    refused("wrapped in data", "/items", "nesting", json={"data": ITEM}),
    refused("two bodies, not keyed", "/items/owned", "embed", json={**ITEM, "login": "ada"}),
    refused("embedded, not keyed", "/items/embedded", "embed", json=ITEM),
    refused("one of two bodies missing", "/items/owned", "", json={"item": ITEM}),
    refused("an object for a list", "/items/bulk", "", json=ITEM),
    refused(
        "one level too high",
        "/customers",
        "nesting",
        json={"full_name": "Ada", "address": {"city": "Turin"}, "street": "Via Po"},
    ),
    right("keyed", "/items/owned", json={"item": ITEM, "owner": {"login": "ada"}}),
    right("embedded", "/items/embedded", json={"item": ITEM}),
]
PARAMETERS = [
    refused("list without Query", "/by-ids?ids=1&ids=2", "query-list"),
    refused("list with commas", "/by-query?ids=1,2", "query-list"),
    right("right list", "/by-query?ids=1&ids=2"),
    refused("model without Query", "/by-filters?colour=red", "query-list"),
    refused("scalars in body", "/transfers", "scalar-in-body", json={"amount": 1, "target": "a"}),
    refused("scalar beside body", "/items/counted", "scalar-in-body", json={**ITEM, "amount": 3}),
    refused("query misspelt", "/search?pagesize=5", "misspelt-key"),
    refused("query by Python name", "/history?since=now", "alias"),
    refused("query missing", "/search", ""),
    refused("query out of bounds", "/pages?page=0", "", says="page"),
    refused("query no number", "/pages?page=two", ""),
    refused("query enum", "/search?page_size=1&colour=gren", "nearest-value"),
    refused("header with underscore", "/headed", "header-underscore", headers={"x_token": "a"}),
    refused("header with hyphen", "/underscored", "header-underscore", headers={"x-token": "a"}),
    refused("header missing", "/headed", ""),
    refused("header like a standard one", "/hosted", ""),
    refused("header misspelt", "/headed", "misspelt-key", headers={"x-tokn": "a"}),
    refused("websocket query", "/live?roomname=a", "misspelt-key", websocket=True, status=None),
    right("right query", "/search?page_size=2&from=now&colour=green"),
    right("right header", "/headed", headers={"x-token": "a"}),
    right("right websocket", "/live?room_name=a", websocket=True, status=None),
]
KEYS = [
    refused("camel for snake", "/orders", "misspelt-key", json={"customerName": "A", "lines": []}),
    refused("snake for camel", "/camel", "alias", json={"user_name": "ada"}),
    refused("upper case", "/items", "misspelt-key", json={"Title": "lamp", "price": 1}),
    refused("typo", "/items", "misspelt-key", json={"tilte": "lamp", "price": 1}),
    refused(
        "typo in a list",
        "/orders",
        "misspelt-key",
        json={"customer_name": "A", "lines": [LINE, {"book_id": 1, "quantitiy": 2}]},
    ),
    refused(
        "typo, extra forbidden", "/strict", "misspelt-key", json={"title": "a", "nickame": "b"}
    ),
    refused("unknown, extra forbidden", "/strict", "", json={"title": "a", "weight": 1}),
    refused("another key", "/items", "", json={"little": "lamp", "price": 1}),
    refused("key missing", "/items", "", json={"title": "lamp"}),
    refused("null", "/items", "", json={"title": None, "price": 1}),
    refused("wrong type", "/items", "", json={"title": "lamp", "price": "cheap"}),
    refused(
        "out of bounds",
        "/orders",
        "",
        json={"customer_name": "A", "lines": [{"book_id": 1, "quantity": 99}]},
    ),
    refused("enum with a slip", "/painted", "nearest-value", json={"colour": "gren"}),
    refused("enum in capitals", "/painted", "nearest-value", json={"colour": "RED"}),
    refused(
        "literal with a slip", "/painted", "nearest-value", json={"colour": "red", "size": "mediun"}
    ),
    refused("enum far off", "/painted", "", json={"colour": "transparent"}),
    refused("tag with a slip", "/pets", "nearest-value", json={"kind": "cta"}),
    refused(
        "recursive model", "/nodes", "misspelt-key", json={"name": "a", "children": [{"nmae": "b"}]}
    ),
    Situation(
        "typo, own handler",
        with_own_handler,
        "/orders",
        "POST",
        {"json": {"customer_nam": "A", "lines": []}},
        400,
        "REQ101",
        "misspelt-key",
    ),
    right("right order", "/orders", json=ORDER),
    right("right camel", "/camel", json={"userName": "ada"}),
    right("right pet", "/pets", json={"kind": "dog"}),
    right("extra ignored", "/items", json={**ITEM, "titel": "x"}),
]
SLASHES = [
    Situation(
        "redirect with body", plain, "/slashed", "POST", {"json": ITEM}, 307, "REQ103",
        mark="SLASHED",
    ),
    Situation(
        "redirect in mount", plain, "/inner/bolts", "POST", {"json": ITEM}, 307, "REQ103",
        mark="BOLTS",
    ),
    Situation(
        "redirect with login", plain, "/slashed", send={"headers": {"authorization": "Bearer x"}},
        status=307, rule="REQ103", severity="info",
    ),
    Situation(
        "redirect leaves https", plain, "/slashed", send={"headers": HTTPS}, status=307,
        rule="REQ103", says="https",
    ),
    Situation(
        "redirect of a DELETE with login", plain, "/unslashed/a/", "DELETE",
        {"headers": {"authorization": "Bearer x"}}, 307, "REQ103", severity="info",
    ),
    Situation(
        "redirect of a middleware", with_https_only, "/items", "POST", {"json": ITEM}, 307
    ),
    right("plain redirect", "/slashed", status=307),
    right("right slash", "/slashed/", json=ITEM),
]  # fmt: skip

SITUATIONS = [*ROUTES, *FORMS, *CONTENT, *SHAPES, *PARAMETERS, *KEYS, *SLASHES]
