"""Responses made of ORM objects: columns and relationships left out, and what was meant."""

from typing import Any

from tests.corpus.http.database_app import make
from tests.corpus.http.situation import Situation


def case(name: str, path: str, rule: str | None, *paths: str, **rest: Any) -> Situation:
    unused = frozenset({"SQL107", *rest.pop("notes", ())})
    return Situation(f"ORM: {name}", make, path, rule=rule, paths=paths, notes=unused, **rest)


OWN = {"severity": "info"}
SITUATIONS = [
    case("columns", "/columns", "RES101", "pen_name", **OWN),
    case("columns after a commit", "/committed", "RES101", "pen_name", **OWN),
    case("complete", "/complete", None),
    case("relationship wasted", "/eager", "RES102", "books", mark="WASTED"),
    case("relationship counted by a property", "/counted", "RES102", "books", **OWN),
    case("relationship behind a proxy", "/titled", "RES102", "books", **OWN),
    case("relationship read by the endpoint", "/read", "RES102", "books", **OWN),
    case("misspelt column", "/misspelt", "RES103", "pen_name"),
    case("hash without model", "/no-model", "RES104", "password_hash"),
    case("table as its own model", "/heroes/own", "RES102", "team"),
    case("table with another model", "/heroes/public", "RES102", "team"),
    case("table alone", "/heroes/plain", None),
    case(
        "session used after its end",
        "/task/of-request",
        "SQL304",
        severity="error",
        mark="USED_LATE",
    ),
    case("session of a task's own", "/task/own", None),
]
