"""Real servers in processes of their own: uvicorn with workers, with reload, and killed."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

APP = """
import os
from fastapi import FastAPI
from fastapi_diagnostics import DiagnosticsMiddleware

VERSION = "one"
app = FastAPI()
app.add_middleware(DiagnosticsMiddleware)


@app.get("/pid")
async def pid() -> int:
    return os.getpid()


@app.get("/version")
async def version() -> str:
    return VERSION


@app.get("/broken")
async def broken() -> None:
    raise ValueError("broken")
"""


def write_app(folder: Path) -> Path:
    """Write a small application into *folder*, which becomes its project."""
    file = folder / "shop.py"
    file.write_text(APP)
    (folder / "pyproject.toml").touch()
    return file


@contextmanager
def uvicorn(folder: Path, *arguments: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve ``shop:app`` of *folder*; the socket listens before the server starts.

    So the first request waits in the kernel's queue, and no test has to poll or to guess a port.
    """
    environ = {
        name: value
        for name, value in os.environ.items()
        if name != "CI" and not name.startswith("PYTEST")
    }
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.set_inheritable(True)
        command = [sys.executable, "-m", "uvicorn", "shop:app", "--log-level", "warning"]
        process = subprocess.Popen(  # noqa: S603 - uvicorn, as a user would start it
            [*command, "--fd", str(listener.fileno()), *arguments],
            cwd=folder,
            env=environ,
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", process
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and everything it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)


def client_of(url: str) -> httpx.Client:
    """Make a client that opens a connection for each request, so that workers take turns."""
    return httpx.Client(
        base_url=url,
        timeout=20,
        headers={"Connection": "close"},
        limits=httpx.Limits(max_connections=20),
    )
