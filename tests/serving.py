"""A real server on a real socket, for tests that need one."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn

STOP_WITHIN_S = 10.0


@contextlib.contextmanager
def serve(app: Any, **options: Any) -> Iterator[str]:
    """Serve *app* on loopback and give its URL, such as ``http://127.0.0.1:40123``.

    The socket listens before the server runs: the kernel queues the first connection, so there is
    nothing to wait for. *options* go to `uvicorn.Config`.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        settings = {"log_level": "warning", "timeout_graceful_shutdown": 5} | options
        server = uvicorn.Server(uvicorn.Config(app, **settings))
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listening]}, name="test-server", daemon=True
        )
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(STOP_WITHIN_S)
    if thread.is_alive():
        raise RuntimeError("the test server did not stop")
