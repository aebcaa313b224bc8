"""Streamed items: stripped, misspelt, secret, refused, and right."""

from typing import Any

from tests.corpus.http.situation import Situation
from tests.corpus.http.streams_app import make


def case(name: str, path: str, rule: str | None = None, *paths: str, **rest: Any) -> Situation:
    new = {"since": (0, 135)}
    return Situation(f"stream: {name}", make, path, rule=rule, paths=paths, **new | rest)


SITUATIONS = [
    case("JSONL", "/jsonl", "RES101", "[].margin", mark="JSONL"),
    case("JSONL in a thread", "/jsonl/sync", "RES101", "[].margin"),
    case("JSONL misspelt", "/jsonl/typo", "RES103", "[].subtitel"),
    case("JSONL with a hash", "/jsonl/secret", "RES104", "[].password_hash"),
    case("JSONL refused", "/jsonl/invalid", "RES105", severity="error", says="title is None"),
    case("JSONL right", "/jsonl/right"),
    case("events", "/events", "RES101", "[].margin"),
    case("events of its own making", "/events/own"),
    case("lines of its own making", "/lines", since=()),
]
