"""Responses: what was stripped, misspelt, sent by mistake or refused, and what was meant."""

from typing import Any

from tests.corpus.http.response_models import HASH
from tests.corpus.http.responses_app import plain
from tests.corpus.http.situation import Situation

NOTE = {"severity": "info"}


def stripped(name: str, path: str, *paths: str, **rest: Any) -> Situation:
    return Situation(f"response: {name}", plain, path, rule="RES101", paths=paths, **rest)


def leaked(name: str, path: str, *paths: str, **rest: Any) -> Situation:
    return Situation(f"response: {name}", plain, path, rule="RES104", paths=paths, **rest)


def invalid(name: str, path: str, says: str, **rest: Any) -> Situation:
    return Situation(
        f"response: {name}",
        plain,
        path,
        rule="RES105",
        status=500,
        severity="error",
        says=says,
        **rest,
    )


def right(path: str, **rest: Any) -> Situation:
    return Situation(f"response right: {path.rpartition('/')[2]}", plain, path, **rest)


STRIPPED = [
    stripped("dict", "/dict", "margin", mark="WRITTEN_KEY"),
    stripped("nested generics", "/nested", "data.items[].author.email", mark="NESTED_KEY"),
    stripped("return annotation", "/annotated", "margin"),
    stripped("last of many", "/last", "[].margin"),
    stripped("mapping", "/mapping", "*.margin"),
    stripped("root model", "/root", "[].margin"),
    stripped("typed dict", "/typed", "margin"),
    stripped("aliases", "/aliased", "weight"),
    stripped("tagged union", "/union", "colour"),
    stripped("untagged union", "/untagged", "colour"),
    stripped("recursive model", "/recursive", "children[].weight"),
    stripped("subclass", "/subclass", "note", **NOTE),
    stripped("dataclass", "/dataclass", "z"),
    stripped("object that refuses looks", "/nasty", "note", **NOTE),
]
MISSPELT = [
    Situation("response: typo", plain, "/near/typo", rule="RES103", paths=("emial",), mark="TYPO"),
    Situation("response: other case", plain, "/near/case", rule="RES103", paths=("SHELF_MARK",)),
    stripped("plural", "/near/plural", "emails"),
    stripped("other words", "/near/not", "total_count", "and"),
]
SECRETS = [
    leaked("hash in model", "/secret/model", "password_hash"),
    leaked("hash without model", "/secret/no-model", "[].settings.hashed_password"),
    leaked(
        "password echoed",
        "/secret/echo",
        "password",
        method="POST",
        send={"json": {"name": "ada", "password": "hunter2"}},
    ),
    leaked("stored secret", "/secret/stored-key", "client_secret"),
    right("/secret/stripped"),
    right("/right/token", method="POST"),
    right("/right/masked"),
    right("/right/labels"),
    right("/right/form"),
    right("/right/new-key", method="POST"),
    Situation(
        "response right: hash not sent",
        plain,
        "/secret/echo",
        "POST",
        {"json": {"name": HASH, "digest": "a" * 32}},
    ),
]
INVALID = [
    invalid("nothing found", "/invalid/none", "it returned None"),
    invalid("null for a text", "/invalid/null", "title is None"),
    invalid("key with a slip", "/invalid/near", "lives is missing", mark="MISSING_LIVES"),
    invalid("item of a wrong type", "/invalid/type", "[].title is a value of type int"),
    invalid("another object", "/invalid/object", "name is missing"),
    right("/right/optional"),
    right("/right/404", status=404),
    right("/right/bounded"),
]
DECLARED = [
    right(f"/right/{name}")
    for name in (
        *("dict", "page", "excluded", "included", "unset", "none", "defaults", "computed"),
        *("computed-dict", "aliased", "open", "union", "no-model", "response"),
    )
]

SITUATIONS = [*STRIPPED, *MISSPELT, *SECRETS, *INVALID, *DECLARED]
