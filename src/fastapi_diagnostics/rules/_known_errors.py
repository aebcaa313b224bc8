"""What well-known errors of the stack mean, and what mends them.

Each is told by its type and by the words of the library that raises it; a test raises each with the
real library. An error whose words are not known here is left to the general advice.
"""

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fastapi_diagnostics.finding import Fix
from fastapi_diagnostics.record import ExceptionFact

_OF_COROUTINES: Final = frozenset({"AttributeError", "TypeError", "ValueError"})
"""What comes of using a coroutine as if it were its result; FastAPI's encoder says ValueError."""
_COROUTINE: Final = re.compile(
    r"'coroutine' object|type '?coroutine\b|non-iterable coroutine|(?:not|got) coroutine$"
)
_FUNCTIONS: Final = frozenset({"function", "method", "builtin_function_or_method"})


class _Known(NamedTuple):
    """One error.

    Attributes:
        type: As `ExceptionFact.type` has it.
        words: Are looked for in the message.
        summary: What to do; or makes it of what was found.
        replaces: Likewise for `Fix.replaces`, for a line that only has to be written otherwise.
        code: Goes in the place of that.
        phase: Where it has to come from; empty for anywhere.
        nowhere: Whether no line of the user's may have run.
    """

    type: str
    words: re.Pattern[str]
    summary: str | Callable[[re.Match[str]], str]
    replaces: str = ""
    code: str = ""
    phase: str = ""
    nowhere: bool = False


def uses_coroutine(error: ExceptionFact) -> bool:
    """Tell whether a coroutine was used as if it were its result."""
    return error.type in _OF_COROUTINES and _COROUTINE.search(error.message) is not None


def known_fix(error: ExceptionFact) -> Fix | None:
    """Say what mends an error; `None` if it is not known."""
    if uses_coroutine(error):
        return Fix(summary=_AWAIT, location=error.location)
    for known in _ERRORS:
        found = known.words.search(error.message) if known.type == error.type else None
        is_there = known.phase in {"", error.phase} and not (known.nowhere and error.location)
        if found is not None and is_there:
            summary = known.summary if isinstance(known.summary, str) else known.summary(found)
            return Fix(
                summary=summary,
                code=known.code,
                location=error.location,
                replaces=known.replaces,
            )
    return None


def _needless_await(found: re.Match[str]) -> str:
    what = "None" if found[1] == "NoneType" else found[1]
    return f"What is called here gives {what} at once and is no coroutine: leave out await."


def _no_json(found: re.Match[str]) -> str:
    if found[1] in _FUNCTIONS:
        return "A function is to be sent here, and not what it gives: its parentheses are missing."
    return (
        f"JSON has no {found[1]}: `jsonable_encoder` of fastapi.encoders turns it into what JSON "
        "has. With what an endpoint returns itself FastAPI does that."
    )


_AWAIT: Final = (
    "What is used here is a coroutine that nobody awaited: put `await` before the call that made "
    "it. Only an `async def` can do that."
)
_LOOP_RUNS: Final = (
    "A loop is running here already: put `await` before the coroutine, in place of the call that "
    "is to run another loop."
)
_NO_LOOP: Final = (
    "This runs in a thread, as each plain `def` of FastAPI's does, and no loop runs there: make "
    "the endpoint `async def`, or call what is asynchronous with `anyio.from_thread.run`."
)
_OTHER_LOOP: Final = (
    "What is used here belongs to another event loop, or to one that is closed. Make engines, "
    "clients, locks and queues in the lifespan of the application: then they belong to the loop "
    "that serves it."
)
_NO_MANAGER: Final = (
    "A generator function is no context manager: call it as `{0}(name)()`, with {0} of contextlib. "
    "For Depends FastAPI does that, so the function itself stays as it is."
)
_TWICE: Final = (
    "Another row has this value already. Catch IntegrityError around the flush or commit, roll "
    "back and answer 409; to look first is not enough, because another request may come between."
)
_NO_PARTNER: Final = (
    "The row that is referred to is not there, or is still referred to. Look it up first and "
    "answer 404 or 409, or catch IntegrityError around the flush or commit and roll back."
)
_NO_VALUE: Final = (
    "A column that needs a value was given none: set it, or give it a default in the mapping."
)
_NONE: Final = (
    "Something is None here. If it was looked up and is not there, answer 404 before this line; "
    "else see to it that it has a value."
)
_CIRCLE: Final = (
    "Objects that refer to each other have no end as JSON: declare a response model whose models "
    "leave out one of the two directions."
)
_NO_RESPONSE: Final = (
    "None came in the place of a response: a middleware has to return what `await "
    "call_next(request)` gives, and an endpoint of a Starlette route a Response."
)
_SWALLOWED: Final = (
    "A dependency with `yield` caught what the endpoint raised and did not raise it again: put "
    "`raise` at the end of its `except` block."
)
_NOT_ROLLED_BACK: Final = (
    "An earlier statement of this session failed, and who caught that did not roll back: call "
    "`rollback()` there, or put what may fail into `begin_nested()`."
)
_SERVICE: Final = (
    "The other service cannot be reached or takes too long: catch `httpx.TransportError` here and "
    "answer 502 or 504."
)
_REFUSED: Final = (
    "The other service answered with an error: catch `httpx.HTTPStatusError` here, and answer 502, "
    "or what its status means for your client."
)
_QUERY: Final = (
    "AsyncSession has no query(): write `(await session.scalars(select(...))).all()`, with select "
    "of sqlalchemy."
)


def _known(
    type_: str, words: str, summary: str | Callable[[re.Match[str]], str], **rest: Any
) -> _Known:
    return _Known(type_, re.compile(words), summary, **rest)


_ERRORS: Final = (
    _known("RuntimeError", r"cannot be called from a running event loop$", _LOOP_RUNS),
    _known("RuntimeError", r"^This event loop is already running$", _LOOP_RUNS),
    _known("RuntimeError", r"^Cannot run the event loop while another loop is", _LOOP_RUNS),
    _known("RuntimeError", r"^no running event loop$", _NO_LOOP),
    _known("RuntimeError", r"^There is no current event loop in thread", _NO_LOOP),
    _known("RuntimeError", r"attached to a different loop$", _OTHER_LOOP),
    _known("RuntimeError", r"is bound to a different event loop$", _OTHER_LOOP),
    _known("RuntimeError", r"^Event loop is closed$", _OTHER_LOOP),
    _known(
        "TypeError",
        r"^(?:object |')(\S+?)(?: can't be used in 'await' expression|' object can't be awaited)$",
        _needless_await,
        replaces="await ",
    ),
    _known(
        "TypeError",
        r"^'async for' requires an object with __aiter__ method, got ",
        "What is iterated here is not asynchronous: leave out async.",
        replaces="async for ",
        code="for ",
    ),
    _known(
        "TypeError",
        r"^'async_generator' object does not support the asynchronous context manager protocol$",
        _NO_MANAGER.format("asynccontextmanager"),
    ),
    _known(
        "TypeError",
        r"^'generator' object does not support the context manager protocol$",
        _NO_MANAGER.format("contextmanager"),
    ),
    _known("TypeError", r"^Object of type (\w+) is not JSON serializable$", _no_json),
    _known("TypeError", r"^'NoneType' object is not (?:subscriptable|iterable)$", _NONE),
    _known("AttributeError", r"^'NoneType' object has no attribute ", _NONE),
    _known("AttributeError", r"^'AsyncSession' object has no attribute 'query'$", _QUERY),
    _known("TypeError", r"^'NoneType' object is not callable$", _NO_RESPONSE, nowhere=True),
    _known("RecursionError", r"", _CIRCLE, phase="serialisation", nowhere=True),
    _known(
        "fastapi.exceptions.FastAPIError",
        r"^Response not awaited|^No response object was returned",
        _SWALLOWED,
    ),
    _known(
        "sqlalchemy.exc.IntegrityError",
        r"UNIQUE constraint failed|violates unique constraint|Duplicate entry",
        _TWICE,
    ),
    _known(
        "sqlalchemy.exc.IntegrityError",
        r"(?i:foreign key constraint)",
        _NO_PARTNER,
    ),
    _known(
        "sqlalchemy.exc.IntegrityError",
        r"NOT NULL constraint failed|violates not-null constraint|cannot be null",
        _NO_VALUE,
    ),
    _known("sqlalchemy.exc.PendingRollbackError", r"", _NOT_ROLLED_BACK),
    *(
        _known(f"httpx.{name}", r"", _SERVICE)
        for name in ("ConnectError", "ConnectTimeout", "ReadTimeout", "WriteTimeout", "ReadError")
    ),
    _known("httpx.HTTPStatusError", r"", _REFUSED),
)
