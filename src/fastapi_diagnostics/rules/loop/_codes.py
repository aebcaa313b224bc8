"""The exact text to write instead of a call, by kind; empty where it cannot be told."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from fastapi_diagnostics.record import LoopBlock
from fastapi_diagnostics.rules._calls import UNKNOWN, Written, keyword, written

_NAMELESS: Final = re.compile(r"\blambda\b|\bfor\b")
"""Functions and generators that no other process can be sent."""
WORK: Final = "work"
"""Stands, with unknown arguments, for a function that has yet to be written."""
_POOL: Final = "process_pool"
_POOL_IS: Final = (
    f" `{_POOL}` is a `concurrent.futures.ProcessPoolExecutor`, one for the application."
)
_HTTPX: Final = frozenset(
    f"httpx.{method}" for method in ("get", "post", "put", "patch", "delete", "head", "options")
)
_OF_THE_CLIENT: Final = frozenset({"verify", "cert", "proxy", "proxies", "trust_env"})
"""Arguments of httpx's functions that its clients take when they are made."""
_SAME_IN_ANYIO: Final = frozenset(
    {
        *("read_text", "read_bytes", "write_text", "write_bytes", "exists", "is_file", "is_dir"),
        *("stat", "mkdir", "rmdir", "unlink", "touch"),
    }
)
"""Methods of paths that give what those of `anyio.Path` give; others give its own paths."""
_MAX_POSITIONAL: Final = 2
"""The loop's `getaddrinfo` takes a host and a port, and the rest by name."""


def replacement(block: LoopBlock) -> str:
    """Write what takes the place of the call of a block, in the coroutine that makes it."""
    call = written(block.written, block.source)
    make = _BY_KIND.get(block.kind)
    return make(block, call) if make is not None else ""


def is_complete(code: str) -> bool:
    """Tell whether code can be copied as it stands: nothing in it is a stand-in."""
    return UNKNOWN not in code


def explained(code: str) -> str:
    """Say what the stand-ins in a code are, as sentences that begin with a space."""
    if _POOL not in code:
        return ""
    work = f" `{WORK}` is a function at the top of a module that you write, given plain values."
    return f"{work if f'{WORK}, {UNKNOWN}' in code else ''}{_POOL_IS}"


def in_thread(call: Written) -> str:
    """Run a call in a worker thread."""
    if not call.function:
        return f"await run_in_threadpool(lambda: {call.source})" if call.source else ""
    arguments = f", {call.arguments}" if call.arguments else ""
    return f"await run_in_threadpool({call.function}{arguments})"


def in_process(function: str, call: Written) -> str:
    """Run a call in a process pool, which takes no keyword arguments and nothing nameless."""
    if any(_NAMELESS.search(part) for part in call.parts or ()):
        function, call = WORK, Written(WORK)
    if any(keyword(part) for part in call.parts or ()):
        function, arguments = f"partial({function}, {call.arguments})", ""
    else:
        arguments = f", {call.arguments}" if call.arguments else ""
    return f"await asyncio.get_running_loop().run_in_executor({_POOL}, {function}{arguments})"


def in_process_from_thread(block: LoopBlock) -> str:
    """Run the call of a block in a process pool from a thread, which cannot await but may wait."""
    call = _sendable(block, written(block.written, block.source))
    if any(_NAMELESS.search(part) for part in call.parts or ()):
        call = Written(WORK)
    arguments = f", {call.arguments}" if call.arguments else ""
    return f"{_POOL}.submit({call.function}{arguments}).result()"


def _sleep(block: LoopBlock, call: Written) -> str:
    # What sleeps may be a function of a library, or one with its arguments bound.
    is_plain = block.call == "time.sleep" and (call.parts is None or len(call.positional) == 1)
    return f"await asyncio.sleep({call.arguments})" if is_plain else in_thread(call)


def _http(block: LoopBlock, call: Written) -> str:
    # An answer of requests has other attributes and other errors than one of httpx.
    of_the_client = any(keyword(part) in _OF_THE_CLIENT for part in call.parts or ())
    if block.call not in _HTTPX or of_the_client:
        return in_thread(call)
    method = block.call.rpartition(".")[2]
    return (
        f"async with httpx.AsyncClient() as client:\n    response = await client.{method}"
        f"({call.arguments})"
    )


def _database(block: LoopBlock, call: Written) -> str:
    if "sqlite3" in block.call or "sqlite3" in block.through:
        # A connection of sqlite3 refuses other threads.
        arguments = call.arguments if block.call == "sqlite3.connect" else UNKNOWN
        return f"async with aiosqlite.connect({arguments}) as connection:\n    ..."
    return in_thread(call)


def _dns(block: LoopBlock, call: Written) -> str:
    if block.call != "socket.getaddrinfo" or len(call.positional) > _MAX_POSITIONAL:
        return in_thread(call)
    return f"await asyncio.get_running_loop().getaddrinfo({call.arguments})"


def _lock(block: LoopBlock, call: Written) -> str:
    owner, _, method = call.function.rpartition(".")
    if method == "result" and owner and "Future" in block.call and not call.parts:
        return f"await asyncio.wrap_future({owner})"
    if method == "acquire":
        return ""  # a lock that another thread takes is not ours to release
    return in_thread(call)


def _file(block: LoopBlock, call: Written) -> str:
    owner, _, method = call.function.rpartition(".")
    if call.function in {"open", "io.open"}:
        return f"async with await anyio.open_file({call.arguments}) as file:\n    ..."
    if owner and block.call.startswith("pathlib.") and method in _SAME_IN_ANYIO:
        return f"await anyio.Path({owner}).{method}({call.arguments})"
    return in_thread(call)


def _threaded(_: LoopBlock, call: Written) -> str:
    return in_thread(call)


def _computing(block: LoopBlock, call: Written) -> str:
    call = _sendable(block, call)
    return in_process(call.function, call)


def _sendable(block: LoopBlock, call: Written) -> Written:
    """Give the call, or a stand-in for a function that has to be written around it."""
    # A call in a loop is one of many: what goes to another process is the loop.
    # What is bound to an object, or defined in a function, cannot be sent there, nor can what
    # comes back from a pattern.
    owner = block.call.rpartition(".")[0].rpartition(".")[2]
    is_bound = owner[:1].isupper() or "<" in block.call or (not owner and "." in call.function)
    if not call.function or is_bound or (block.stack and block.stack[0].in_loop):
        return Written(WORK)
    return call


_BY_KIND: Final[Mapping[str, Callable[[LoopBlock, Written], str]]] = {
    "sleep": _sleep,
    "http": _http,
    "db": _database,
    "dns": _dns,
    "lock": _lock,
    "file": _file,
    "cpu": _computing,
    "gc": lambda *_: "gc.freeze()",
    "logging": lambda *_: "logging.handlers.QueueHandler(queue)",
    **dict.fromkeys(
        (
            *("password-hash", "socket", "subprocess", "template", "image", "dataframe"),
            *("compression", "unknown"),
        ),
        _threaded,
    ),
}
