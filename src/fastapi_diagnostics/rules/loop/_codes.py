"""The exact text to write instead of a call, by kind; empty where it cannot be told."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from fastapi_diagnostics.record import LoopBlock
from fastapi_diagnostics.rules.loop._calls import UNKNOWN, Written, keyword, written

_NAMELESS: Final = re.compile(r"\blambda\b|\bfor\b")
"""Functions and generators that no other process can be sent."""
WORK: Final = "work"
"""Stands, with unknown arguments, for a function that has yet to be written."""
_HTTP_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})
_OTHERWISE_IN_HTTPX: Final = frozenset(
    {"allow_redirects", "cert", "hooks", "proxies", "stream", "verify", "data"}
)
"""Arguments of requests that httpx takes elsewhere or under another name."""


def replacement(block: LoopBlock) -> str:
    """Write what takes the place of the call of a block, in the coroutine that makes it."""
    call = written(block.written, block.source)
    make = _BY_KIND.get(block.kind)
    return make(block, call) if make is not None else ""


def is_complete(code: str) -> bool:
    """Tell whether code can be copied as it stands: nothing in it is a stand-in."""
    return UNKNOWN not in code


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
    return f"await asyncio.get_running_loop().run_in_executor(process_pool, {function}{arguments})"


def in_process_from_thread(block: LoopBlock) -> str:
    """Run the call of a block in a process pool from a thread, which cannot await but may wait."""
    call = _sendable(block, written(block.written, block.source))
    if any(_NAMELESS.search(part) for part in call.parts or ()):
        call = Written(WORK)
    arguments = f", {call.arguments}" if call.arguments else ""
    return f"process_pool.submit({call.function}{arguments}).result()"


def _sleep(block: LoopBlock, call: Written) -> str:
    # What sleeps may be a function of a library, or one with its arguments bound.
    is_plain = block.call == "time.sleep" and (call.parts is None or len(call.positional) == 1)
    return f"await asyncio.sleep({call.arguments})" if is_plain else in_thread(call)


def _http(block: LoopBlock, call: Written) -> str:
    method = block.call.rpartition(".")[2]
    if method not in _HTTP_METHODS:
        return in_thread(call)
    differs = any(keyword(part) in _OTHERWISE_IN_HTTPX for part in call.parts or ())
    arguments = UNKNOWN if differs else call.arguments
    return (
        f"async with httpx.AsyncClient() as client:\n    response = await client.{method}"
        f"({arguments})"
    )


def _database(block: LoopBlock, call: Written) -> str:
    if "sqlite3" in block.call or "sqlite3" in block.through:
        # A connection of sqlite3 refuses other threads.
        arguments = call.arguments if block.call == "sqlite3.connect" else UNKNOWN
        return f"async with aiosqlite.connect({arguments}) as connection:\n    ..."
    return in_thread(call)


def _subprocess(block: LoopBlock, call: Written) -> str:
    command = call.positional[0] if call.positional else UNKNOWN
    shell = block.call in {"os.system", "os.popen"} or "shell=True" in (call.parts or ())
    if shell:
        start = f"asyncio.create_subprocess_shell({command})"
    else:
        is_list = command.startswith("[") and command.endswith("]")
        words = command[1:-1] if is_list else command
        star = "" if is_list or command == UNKNOWN or command[0] in "'\"" else "*"
        start = f"asyncio.create_subprocess_exec({star}{words})"
    return f"process = await {start}\nawait process.wait()"


def _dns(block: LoopBlock, call: Written) -> str:
    arguments = call.arguments
    if block.call != "socket.getaddrinfo":
        host = call.positional[0] if call.positional else UNKNOWN
        arguments = f"{host}, None"
    return f"await asyncio.get_running_loop().getaddrinfo({arguments})"


def _lock(block: LoopBlock, call: Written) -> str:
    owner, _, method = call.function.rpartition(".")
    if method == "result" and owner and "Future" in block.call:
        return f"await asyncio.wrap_future({owner})"
    if method == "acquire":
        return ""  # a lock that another thread takes is not ours to release
    return in_thread(call)


def _file(block: LoopBlock, call: Written) -> str:
    owner, _, method = call.function.rpartition(".")
    if call.function in {"open", "io.open"}:
        return f"async with await anyio.open_file({call.arguments}) as file:\n    ..."
    if owner and block.call.startswith("pathlib.") and method != "open":
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
    "subprocess": _subprocess,
    "dns": _dns,
    "lock": _lock,
    "file": _file,
    "cpu": _computing,
    "gc": lambda *_: "gc.freeze()",
    "logging": lambda *_: "logging.handlers.QueueHandler(queue)",
    **dict.fromkeys(
        ("password-hash", "socket", "template", "image", "dataframe", "compression", "unknown"),
        _threaded,
    ),
}
