"""The application with all situations, served in a process of its own.

python -m tests.corpus.loop.shop FD LOOP THRESHOLD
"""

import gc
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import uvicorn
from fastapi import FastAPI

from fastapi_diagnostics import DiagnosticsMiddleware
from tests.corpus.loop import calls, clean, places
from tests.corpus.loop.truth import CASE, ENDPOINTS, told


class CaseMiddleware:
    """Tells each statement to which request it belongs."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in {"http", "websocket"}:
            CASE.set(scope["path"])
        await self.app(scope, receive, send)


class SlowServer(BaseHTTPRequestHandler):
    """Answers after the milliseconds in its path."""

    def do_GET(self) -> None:
        time.sleep(float(self.path[1:]) / 1000)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def make_app(threshold_ms: float) -> FastAPI:
    """Build the application."""
    app = FastAPI(lifespan=places.lifespan)
    app.add_middleware(places.BaseMiddleware)
    app.add_middleware(places.PureMiddleware)
    app.add_middleware(CaseMiddleware)
    app.add_middleware(
        DiagnosticsMiddleware,
        block_threshold_ms=threshold_ms,
        store_url="memory:",
        log=False,
        banner=False,
        max_requests=20_000,
    )
    app.add_exception_handler(places.OutOfStockError, places.handle_out_of_stock)
    app.include_router(places.router)
    app.include_router(clean.router)
    app.mount("/mounted", places.mounted)
    for name, function in ENDPOINTS.items():
        app.add_api_route(f"/{name}/{{case}}", function)
    app.add_api_route("/truth", told)
    return app


def main() -> None:
    """Serve it on an inherited socket."""
    descriptor, loop, threshold_ms = sys.argv[1:]
    slow = ThreadingHTTPServer(("127.0.0.1", 0), SlowServer)
    slow.daemon_threads = True
    threading.Thread(target=slow.serve_forever, name="slow server", daemon=True).start()
    calls.SLOW["url"] = f"http://127.0.0.1:{slow.server_port}"
    calls.prepare((15, 30, 60, 100, 300))
    gc.collect()
    gc.freeze()  # or else the collector walks through all that was prepared
    listening = socket.socket(fileno=int(descriptor))
    config = uvicorn.Config(make_app(float(threshold_ms)), loop=loop, log_level="warning")
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
