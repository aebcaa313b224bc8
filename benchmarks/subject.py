"""A process that is measured: answers each line ``<count>`` on standard input with its times.

    python -m benchmarks.subject trivial on asyncio process
    python -m benchmarks.subject trivial on asyncio socket

``process``: drives the application in this process and answers, as JSON, the median over the
requests of the CPU time of the loop's thread and of the wall time, in µs.
``socket``: serves it with uvicorn, answers with the port once, and ends when its input does.
"""

import asyncio
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from benchmarks.apps import make_app

App = Callable[[dict[str, Any], Any, Any], Awaitable[None]]

SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.4"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "root_path": "",
    "headers": [(b"host", b"localhost"), (b"user-agent", b"benchmark")],
    "client": ("127.0.0.1", 50000),
    "server": ("127.0.0.1", 8000),
    "state": {},
}


def main() -> None:
    """Measure or serve, as the arguments say."""
    scenario, mode, loop_name, way = sys.argv[1:5]
    if mode == "off":
        os.environ["FASTAPI_DIAGNOSTICS"] = "0"
    app = make_app(scenario, watched=mode not in {"bare", "debug"})
    new_loop = _loop_factory(loop_name)
    if way == "socket":
        _serve(app, loop_name)
        return
    with asyncio.Runner(loop_factory=new_loop, debug=mode == "debug" or None) as runner:
        for line in sys.stdin:
            times = runner.run(_measure(app, int(line)))
            sys.stdout.write(json.dumps(times) + "\n")
            sys.stdout.flush()


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "uvloop":
        import uvloop  # noqa: PLC0415 - only where asked for

        return uvloop.new_event_loop
    return asyncio.new_event_loop


async def _measure(app: App, count: int) -> dict[str, float]:
    body = {"type": "http.request", "body": b"", "more_body": False}

    async def receive() -> dict[str, Any]:
        return body

    async def send(_: dict[str, Any]) -> None:
        return None

    async def request() -> None:
        await app({**SCOPE, "state": {}}, receive, send)

    cpu, wall = [], []
    for _ in range(count):
        # A task for each request, as under a server.
        began, cpu_began = time.perf_counter(), time.thread_time()
        await asyncio.create_task(request())
        cpu.append(time.thread_time() - cpu_began)
        wall.append(time.perf_counter() - began)
    return {"cpu_us": median(cpu) * 1e6, "wall_us": median(wall) * 1e6}


def _serve(app: App, loop_name: str) -> None:
    import uvicorn  # noqa: PLC0415 - only where asked for

    # The protocol is named, as uvicorn's own listeners do: asyncio sets TCP_NODELAY only then,
    # and without it each answer waits 40 ms for the client's acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    # The connection waits for its turn as long as it takes.
    config = uvicorn.Config(
        app, loop=loop_name, log_level="warning", access_log=False, timeout_keep_alive=3600
    )
    server = uvicorn.Server(config)

    def stop_with_input() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=stop_with_input, daemon=True).start()
    server.run(sockets=[listener])


if __name__ == "__main__":
    main()
