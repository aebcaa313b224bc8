"""What to write instead, by kind of block."""

import re
from typing import Final, NamedTuple

import msgspec

from fastapi_diagnostics.finding import Fix
from fastapi_diagnostics.record import Location, LoopBlock
from fastapi_diagnostics.rules._calls import Written, written
from fastapi_diagnostics.rules.loop._codes import (
    WORK,
    explained,
    in_process,
    in_thread,
    is_complete,
    replacement,
)

_THREAD_USELESS: Final = "A thread does not help, because this work keeps the GIL"


class Cure(NamedTuple):
    """Words for one kind.

    Attributes:
        doing: Completes "held the event loop for 412 ms ...", where no call is known.
        advice: What to do; a sentence without its full stop.
        def_helps: Whether FastAPI's own thread for a plain ``def`` endpoint is a good cure.
        threads: Whether running it in a thread frees the loop.
    """

    doing: str
    advice: str
    threads: bool = True
    def_helps: bool = False


CURES: Final = {
    "sleep": Cure(
        "sleeping",
        "Sleep without holding the loop",
    ),
    "http": Cure(
        "waiting for an HTTP response",
        "Use an asynchronous client, one for the application, such as `httpx.AsyncClient`; or run "
        "this call in a thread, which gives the same response",
    ),
    "db": Cure(
        "waiting for a synchronous database driver",
        "Use the asynchronous driver of this database, make the endpoint a plain `def`, or run "
        "this call in a thread",
        def_helps=True,
    ),
    "rows": Cure(
        "preparing a query, or building rows and objects from its result,",
        f"{_THREAD_USELESS}: if there are many rows, fetch fewer (LIMIT, pages), only the columns "
        "that are needed, or stream them with `yield_per`",
        threads=False,
    ),
    "subprocess": Cure(
        "waiting for another process",
        "Start the process with `asyncio.create_subprocess_exec`; or run this call in a thread, "
        "which gives the same result",
    ),
    "dns": Cure(
        "resolving a host name",
        "Resolve the name with `loop.getaddrinfo`, or run this call in a thread",
    ),
    "password-hash": Cure(
        "hashing a password",
        "Hash in a thread: it lets go of the GIL, so the loop is free meanwhile",
    ),
    "json": Cure(
        "converting JSON",
        f"{_THREAD_USELESS}: make the payload smaller, page it, stream it, or use orjson",
        threads=False,
    ),
    "yaml": Cure(
        "converting YAML",
        f"{_THREAD_USELESS}: make the document smaller, use the C loader, or load it once at start",
        threads=False,
    ),
    "msgpack": Cure("packing", f"{_THREAD_USELESS}: make the payload smaller", threads=False),
    "pickle": Cure(
        "pickling",
        f"{_THREAD_USELESS}: make the object smaller, or do it in a process pool",
        threads=False,
    ),
    "validation": Cure(
        "validating or serialising models",
        f"{_THREAD_USELESS}: send fewer objects (paginate), or validate bytes with `TypeAdapter`",
        threads=False,
    ),
    "regex": Cure(
        "matching a regular expression",
        f"{_THREAD_USELESS}: simplify the pattern (nested repetition is exponential), limit the "
        "length of the text, or use `re2`",
        threads=False,
    ),
    "gc": Cure(
        "collecting garbage",
        "Make fewer objects, call `gc.freeze()` after start-up, or raise `gc.set_threshold`",
        threads=False,
    ),
    "lock": Cure(
        "waiting for another thread",
        "Wait with what asyncio offers: `asyncio.Lock`, `asyncio.Queue`, or "
        "`await asyncio.wrap_future(future)`; or wait in a thread",
    ),
    "socket": Cure(
        "waiting for a socket",
        "Use asyncio streams or an asynchronous client, or run this call in a thread",
        def_helps=True,
    ),
    "file": Cure(
        "waiting for files",
        "Use `anyio.open_file` or `anyio.Path`, or run this call in a thread",
        def_helps=True,
    ),
    "import": Cure(
        "importing a module",
        "Import at the top of the module, or once at start-up, so that no request pays for it",
        threads=False,
    ),
    "logging": Cure(
        "writing a log record",
        "Let a `QueueHandler` take the records and a `QueueListener` write them in its own thread",
        threads=False,
    ),
    "tls": Cure(
        "loading certificates",
        "Make the client or the SSL context once, at start-up or in the lifespan, and reuse it",
        threads=False,
    ),
    "template": Cure("rendering a template", "Render in a thread"),
    "image": Cure("processing an image", "Process it in a thread"),
    "dataframe": Cure("computing on arrays", "Compute in a thread or process pool"),
    "compression": Cure("compressing", "Compress in a thread: it lets go of the GIL"),
    "cpu": Cure(
        "computing",
        "Compute in a process pool; a thread does not help Python code, because it keeps the GIL",
        threads=False,
    ),
}
_OTHER: Final = Cure("in a call that does not await", "Run this call in a thread", def_helps=True)
_PATTERNS: Final = ("re.", "regex.", "re2.")
_ELSEWHERE: Final = frozenset({"gc", "logging"})
"""Mended by setting something up, not by writing another call here."""
_FUNCTION: Final = re.compile(r"[\w.]+(?=\()")


def cure_of(kind: str) -> Cure:
    """Give the words for a kind; general ones if it has none of its own."""
    return CURES.get(kind, _OTHER)


def fix_of(block: LoopBlock, endpoint: Location | None = None) -> Fix:
    """Say what to write, and where ``await`` can be written.

    Args:
        block: What held the loop.
        endpoint: Where the function that served the request is defined.
    """
    if block.kind == "regex" and block.call and not block.call.startswith(_PATTERNS):
        block = msgspec.structs.replace(block, kind="cpu")  # a library's pattern: nobody's to mend
    cure = cure_of(block.kind)
    if cure.def_helps and _is_endpoint(block, endpoint) and block.awaits is False:
        return _plain_def(cure, block, endpoint)
    here = block.coroutine is not None and block.coroutine == block.location
    code = replacement(block)
    if here or not code or block.kind in _ELSEWHERE:
        is_exact = here or block.kind in _ELSEWHERE
        code = code if is_exact else ""
        return Fix(
            summary=f"{cure.advice}.{explained(code)}",
            code=code,
            location=block.location,
            replaces="" if block.kind in _ELSEWHERE else _part(block.source, code),
        )
    if block.coroutine is None:
        return Fix(summary=f"{cure.advice}{_in_a_coroutine(block, code)}.", location=block.location)
    qualified = _called_there(block)
    helper = _shown(qualified)
    is_special = helper.endswith("__")  # nobody calls it by that name, and it has to be a function
    outer = _outer("" if is_special else helper, block.caller)
    summary = f"{cure.advice}; {helper} is no coroutine"
    if not cure.threads:
        # A method goes with its object, and what is defined in a function goes nowhere.
        if "." in qualified or not outer.function:
            outer = Written(WORK)
        code = in_process(outer.function, outer)
        how = f"so change the call of it in {block.coroutine.function}"
    else:
        code = in_thread(outer)
        how = "and cannot be one: run this in a thread"
        if not is_special:
            how = "so make it one, or call it in a thread"
    return Fix(
        summary=f"{summary}, {how}.{explained(code)}",
        code=code,
        location=block.coroutine,
        replaces=_part(block.caller, code),
    )


def _part(source: str, code: str) -> str:
    """Give the part of the line in whose place *code* goes, where both are known."""
    return source if code and is_complete(code) else ""


def _in_a_coroutine(block: LoopBlock, code: str) -> str:
    """Say that nothing of the user's on the way to the line can await."""
    if block.location is None or "\n" in code:
        return ""
    name = block.location.function.rpartition(".")[2]
    return (
        f"; a library calls {name}, which cannot await, so move this to a coroutine, such as an "
        f"asynchronous dependency, and write there: `{code}`"
    )


def _is_endpoint(block: LoopBlock, endpoint: Location | None) -> bool:
    place = block.coroutine
    return (
        endpoint is not None
        and place is not None
        and (place.file, place.function) == (endpoint.file, endpoint.function)
    )


def _plain_def(cure: Cure, block: LoopBlock, endpoint: Location | None) -> Fix:
    name = block.coroutine.function.rpartition(".")[2] if block.coroutine else ""
    return Fix(
        summary=f"{name} awaits nothing: make it a plain `def`, and FastAPI runs it in a thread of "
        f"its own. Or: {cure.advice[0].lower()}{cure.advice[1:]}.",
        code=f"def {name}(",
        location=endpoint,
        replaces=f"async def {name}(",
    )


def _called_there(block: LoopBlock) -> str:
    """Give the qualified name of the function that the coroutine called, on the way to the line."""
    name = block.location.function if block.location else ""
    for frame in block.stack:
        if frame.location == block.coroutine:
            break
        name = frame.location.function
    return name


def _outer(helper: str, caller: str) -> Written:
    """Take the call in the coroutine apart; where its text is unknown, only a name is there."""
    if not caller:
        return written(helper, "")
    called = _FUNCTION.match(caller)
    outer = written(called[0], caller) if called else Written("")
    return outer if outer.parts is not None else written("", caller)


def _shown(qualified: str) -> str:
    """Name a function; one of Python's special methods with its class."""
    owner, _, last = qualified.rpartition(".")
    return f"{owner.rpartition('.')[2]}.{last}" if owner and last.endswith("__") else last
