"""What is found in an application before any request, and what only a request shows."""

from typing import Any

from tests.corpus.http import eager_app
from tests.corpus.http.audited_app import APPS
from tests.corpus.http.situation import Situation

NOTE = {"severity": "info"}


def audit(name: str, rule: str, mark: str, **rest: Any) -> Situation:
    """An application in which one thing is wrong."""
    app = rest.pop("app", None) or APPS[name]
    return Situation(
        f"audit: {_words(name)}", app, "/start", standing=True, rule=rule, mark=mark, **rest
    )


def right(name: str) -> Situation:
    return Situation(f"audit right: {_words(name)}", APPS[name], "/start", standing=True)


def request(path: str, rule: str | None = None, **rest: Any) -> Situation:
    return Situation(f"audit in a request: {path}", APPS["in_requests"], path, rule=rule, **rest)


def _words(name: str) -> str:
    return name.replace("_", " ")


SITUATIONS = [
    audit("half_a_handler", "APP101", "HALF_A_HANDLER", says="404"),
    audit("old_validator", "APP102", "VALIDATOR", says="@validator"),
    audit("old_root_validator", "APP102", "ROOT_VALIDATOR", says="@root_validator"),
    audit("old_config", "APP102", "CONFIG", says="class Config"),
    audit("old_call", "APP102", "DICT_CALL", says="model_dump()"),
    audit("implicit_parameter", "APP103", "IMPLICIT_PARAMETER", **NOTE),
    audit("implicit_query", "APP103", "IMPLICIT_QUERY", **NOTE),
    audit("implicit_field", "APP103", "IMPLICIT_FIELD", **NOTE),
    audit("shadowed", "REQ102", "SHADOWS_AT_START", says="is never reached"),
    audit("same_path", "APP107", "SAME_PATH"),
    audit("unguarded", "APP105", "UNGUARDED", **NOTE),
    audit("eager_mapping", "APP108", "EAGER_MAPPING", app=eager_app.make, **NOTE),
    *(
        right(name)
        for name in (
            *("whole_handler", "handler_of_another_kind", "new_ways", "explicit_optionals"),
            *("in_order", "same_path_other_method", "guarded", "open_to_all", "in_requests"),
        )
    ),
    request("/old-call", "APP102", mark="RUN_TIME_CALL", says="This request called .dict()"),
    request("/new-call"),
    request("/counter", "APP104", mark="LOST_COUNT", **NOTE),
    request("/shared-counter"),
]
