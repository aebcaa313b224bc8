"""Exceptions that became server errors, handlers that failed, and what was meant."""

from typing import Any

from tests.corpus.http.exceptions_app import (
    plain,
    with_failing_last_handler,
    with_http_middleware,
    with_last_handler,
)
from tests.corpus.http.situation import Situation


def failed(path: str, says: str, mark: str, **rest: Any) -> Situation:
    defaults: dict[str, Any] = {"status": 500, "rule": "EXC101", "severity": "error"}
    name = f"exception: {path.strip('/')}"
    return Situation(name, plain, path, says=says, mark=mark, **defaults | rest)


def behind(path: str, status: int, rule: str | None, **rest: Any) -> Situation:
    name = f"behind middleware: {path}"
    return Situation(name, with_http_middleware, f"/{path}", status=status, rule=rule, **rest)


def meant(name: str, status: int) -> Situation:
    return Situation(f"meant: {name}", plain, f"/meant/{name}", status=status)


SITUATIONS = [
    failed("/key-error", "KeyError", "KEY_ERROR"),
    failed("/threaded", "KeyError", "THREADED"),
    failed("/chain", "it came of KeyError", "CHAIN"),
    failed("/group", "it is a group of 2", "GROUP"),
    failed("/task-group", "it is a group of 1: KeyError", "MEMBER"),
    failed("/cyclic", "Cyclic", "CYCLIC"),
    failed("/unprintable", "Unprintable", "UNPRINTABLE"),
    failed("/own-validation", "your own code", "OWN_VALIDATION"),
    failed("/dependency", "KeyError", "DEPENDENCY"),
    failed("/deep", "RecursionError", ""),
    failed("/broken-handler", "while it handled", "HANDLER", rule="EXC102"),
    failed("/live", "ValueError", "LIVE", websocket=True, status=None, send={"texts": ["a"]}),
    Situation(
        "last handler fails",
        with_failing_last_handler,
        "/price/faust",
        status=500,
        rule="EXC102",
        severity="error",
        says="while it handled",
        mark="LAST_HANDLER",
    ),
    Situation(
        "last handler answers",
        with_last_handler,
        "/price/faust",
        status=500,
        rule="EXC101",
        severity="error",
        mark="BEHIND_HANDLER",
    ),
    behind("price/faust", 500, "EXC101", severity="error", mark="BEHIND_MIDDLEWARE"),
    behind("price/momo", 200, None),
    behind("book", 500, "RES105", severity="error", mark="REFUSED_BEHIND_MIDDLEWARE"),
    behind("stripped", 200, "RES101", paths=("margin",)),
    behind("slashed", 307, "REQ103", method="POST", send={"json": {"title": "a"}}),
    behind(
        "slashed/", 422, "REQ101", hint="misspelt-key", method="POST", send={"json": {"titel": "a"}}
    ),
    meant("404", 404),
    meant("503", 503),
    meant("own", 409),
    meant("renamed", 410),
    meant("caught", 500),
]
