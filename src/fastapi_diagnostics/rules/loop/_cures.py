"""What to write instead, by kind of block."""

from typing import Final, NamedTuple

from fastapi_diagnostics.finding import Fix
from fastapi_diagnostics.record import LoopBlock

_THREAD_USELESS: Final = "A thread does not help, because this work keeps the GIL"


class Cure(NamedTuple):
    """Words for one kind.

    Attributes:
        doing: Completes "held the event loop for 412 ms ...", where no call is known.
        advice: What to do; a sentence without its full stop.
        code: With ``{call}`` for the call; empty where no code can be told.
        threads: Whether running it in a thread frees the loop.
    """

    doing: str
    advice: str
    code: str = ""
    threads: bool = True


_IN_THREAD: Final = "await run_in_threadpool({call}, ...)"

CURES: Final = {
    "sleep": Cure(
        "sleeping",
        "Sleep without holding the loop",
        "await asyncio.sleep(...)",
    ),
    "http": Cure(
        "waiting for an HTTP response",
        "Use an asynchronous client, one for the application, such as `httpx.AsyncClient`; or run "
        "this call in a thread",
        "async with httpx.AsyncClient() as client:\n    response = await client.get(...)",
    ),
    "db": Cure(
        "waiting for a synchronous database driver",
        "Use the asynchronous driver of this database, make the endpoint a plain `def`, or run "
        "this call in a thread",
        _IN_THREAD,
    ),
    "rows": Cure(
        "building rows and objects from the result of a query",
        f"{_THREAD_USELESS}: fetch fewer rows (LIMIT, pages), only the columns that are needed, or "
        "stream them with `yield_per`",
        threads=False,
    ),
    "subprocess": Cure(
        "waiting for another process",
        "Start the process through asyncio",
        "process = await asyncio.create_subprocess_exec(...)\nawait process.wait()",
    ),
    "dns": Cure(
        "resolving a host name",
        "Resolve the name through the loop",
        "await asyncio.get_running_loop().getaddrinfo(...)",
    ),
    "password-hash": Cure(
        "hashing a password",
        "Hash in a thread: it lets go of the GIL, so the loop is free meanwhile",
        _IN_THREAD,
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
        "gc.freeze()",
        threads=False,
    ),
    "lock": Cure(
        "waiting for another thread",
        "Wait with what asyncio offers: `asyncio.Lock`, `asyncio.Queue`, or "
        "`await asyncio.wrap_future(future)`; or wait in a thread",
        _IN_THREAD,
    ),
    "socket": Cure(
        "waiting for a socket",
        "Use asyncio streams or an asynchronous client, or run this call in a thread",
        _IN_THREAD,
    ),
    "file": Cure(
        "waiting for files",
        "Use `anyio.open_file` or `anyio.Path`, or run this call in a thread",
        _IN_THREAD,
    ),
    "import": Cure(
        "importing a module",
        "Import at the top of the module, or once at start-up, so that no request pays for it",
        threads=False,
    ),
    "logging": Cure(
        "writing a log record",
        "Let a `QueueHandler` take the records and a `QueueListener` write them in its own thread",
        "logging.handlers.QueueHandler(queue)",
        threads=False,
    ),
    "tls": Cure(
        "loading certificates",
        "Make the client or the SSL context once, at start-up or in the lifespan, and reuse it",
        threads=False,
    ),
    "template": Cure("rendering a template", "Render in a thread", _IN_THREAD),
    "image": Cure("processing an image", "Process it in a thread", _IN_THREAD),
    "dataframe": Cure("computing on arrays", "Compute in a thread or process pool", _IN_THREAD),
    "compression": Cure("compressing", "Compress in a thread: it lets go of the GIL", _IN_THREAD),
    "cpu": Cure(
        "computing",
        "Compute in a process pool; a thread does not help Python code, because it keeps the GIL",
        "await asyncio.get_running_loop().run_in_executor(process_pool, {call}, ...)",
        threads=False,
    ),
}
_OTHER: Final = Cure("in a call that does not await", "Run this call in a thread", _IN_THREAD)


def cure_of(kind: str) -> Cure:
    """Give the words for a kind; general ones if it has none of its own."""
    return CURES.get(kind, _OTHER)


def fix_of(block: LoopBlock) -> Fix:
    """Say what to write, and where ``await`` can be written."""
    cure = cure_of(block.kind)
    here = block.coroutine is not None and block.coroutine == block.location
    if here or block.coroutine is None or not cure.code:
        return Fix(
            summary=f"{cure.advice}.",
            code=_code(cure, block, block.written) if here else "",
            location=block.location,
        )
    helper = _called_there(block)
    summary = f"{cure.advice}; {helper} is no coroutine"
    if not cure.threads:
        return Fix(
            summary=f"{summary}, so change the call of it in {block.coroutine.function}.",
            code=_code(cure, block, helper),
            location=block.coroutine,
        )
    return Fix(
        summary=f"{summary}, so make it one, or call it in a thread.",
        code=_IN_THREAD.format(call=helper),
        location=block.coroutine,
    )


def _code(cure: Cure, block: LoopBlock, call: str) -> str:
    """Fill in the call; without one there is nothing exact to write."""
    if "{call}" not in cure.code:
        return cure.code
    name = call or ("work" if block.kind == "cpu" else "")
    return cure.code.format(call=name) if name else ""


def _called_there(block: LoopBlock) -> str:
    """Name the function that the coroutine called, on the way to the line."""
    name = block.location.function if block.location else ""
    for frame in block.stack:
        if frame.location == block.coroutine:
            break
        name = frame.location.function
    return name.rpartition(".")[2]
