"""After the response: failed tasks, tasks that never ran, broken streams, failed teardowns."""

from typing import Any

from tests.corpus.http.background_app import behind_middleware, plain
from tests.corpus.http.situation import Situation

AFTER_RESPONSE = (0, 118)
"""Before, the teardown of a dependency came before the response: its failure is a 500."""


def situations_of(app: Any, prefix: str) -> list[Situation]:
    def failed(path: str, mark: str, says: str = "KeyError", **rest: Any) -> Situation:
        return _error(f"/failed/{path}", "TASK101", mark, says, **rest)

    def lost(path: str, mark: str, says: str, **rest: Any) -> Situation:
        return _error(f"/lost/{path}", "TASK102", mark, says, **rest)

    def broken(path: str, mark: str) -> Situation:
        return _error(f"/broken/{path}", "TASK106", mark, "broke off")

    def teardown(path: str, mark: str) -> list[Situation]:
        late = _error(f"/teardown/{path}", "TASK105", mark, "teardown", since=AFTER_RESPONSE)
        early = _error(
            f"/teardown/{path}", "EXC101", mark, "KeyError", until=AFTER_RESPONSE, status=500
        )
        return [late, early]

    def _error(path: str, rule: str, mark: str, says: str, **rest: Any) -> Situation:
        name = f"{prefix}: {path.strip('/')}" + (", before 0.118" if "until" in rest else "")
        return Situation(name, app, path, rule=rule, severity="error", mark=mark, says=says, **rest)

    def right(path: str, status: int = 200) -> Situation:
        return Situation(f"{prefix}: {path.strip('/')}", app, path, status=status)

    return [
        failed("task", "MAIL", "mail(language='sv')"),
        failed("secret", "MAIL", "password=<redacted>"),
        failed("thread", "MAIL_IN_THREAD"),
        failed("masked", "FORBID", "HTTPException"),
        failed("of-response", "MAIL"),
        failed("of-dependency", "MAIL"),
        failed("behind-stream", "MAIL"),
        lost("behind-another", "BEHIND_ANOTHER", "the task mail() before it", also={"TASK101"}),
        lost("exception", "BEFORE_EXCEPTION", "HTTPException", status=409),
        lost("replaced", "REPLACED", "background of its own"),
        lost("stream", "", "broke off", also={"TASK106"}),
        broken("async", "BROKEN_STREAM"),
        broken("sync", "BROKEN_SYNC_STREAM"),
        broken("first", "BROKEN_AT_ONCE"),
        *teardown("async", "TEARDOWN"),
        *teardown("sync", "TEARDOWN_IN_THREAD"),
        right("/teardown/right"),
        right("/teardown/missing", 404),
        right("/right/one"),
        right("/right/several"),
        right("/right/guarded"),
        right("/right/of-dependency"),
        right("/right/passed-on"),
        right("/right/merged"),
        right("/right/answered", 409),
        right("/right/unused", 409),
        right("/right/stream"),
    ]


SITUATIONS = [
    *situations_of(plain, "after"),
    *situations_of(behind_middleware, "after, behind middleware"),
]
