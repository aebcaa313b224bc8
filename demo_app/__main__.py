"""Opens the shop: `python -m demo_app [--port 8000] [--check] [--no-traffic]`.

The application is imported late: the port is taken first, and `--check` sets its store.
"""

import argparse
import errno
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import uvicorn

HOST = "127.0.0.1"


def main() -> int:
    """Serve, send the traffic, say where to look; Ctrl-C is a clean end (exit code 0)."""
    options = _options()
    for stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(stop, signal.default_int_handler)
    try:
        return _open_shop(options)
    except KeyboardInterrupt:
        return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo_app", description="The demo bookshop.")
    parser.add_argument("--port", type=int, default=8000, help="0 picks a free one (default: 8000)")
    parser.add_argument("--check", action="store_true", help="verify every finding, then stop")
    parser.add_argument("--no-traffic", action="store_true", help="serve only")
    return parser.parse_args()


def _open_shop(options: argparse.Namespace) -> int:
    try:
        listener = _listen(options.port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        other = "Choose another one with --port, or any free one with --port 0."
        print(f"Port {options.port} is in use. {other}", file=sys.stderr)
        return 1
    if options.check:  # read when the application is imported
        os.environ["FASTAPI_DIAGNOSTICS_STORE_URL"] = "memory:"
    from demo_app.main import app

    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    url = f"http://{HOST}:{listener.getsockname()[1]}"
    with ThreadPoolExecutor(1) as visitors:
        visit = visitors.submit(_visit, server, url, options)
        try:
            server.run(sockets=[listener])
        finally:
            server.should_exit = True  # a visitor may still be waiting for the shop to open
    return visit.result()


def _listen(port: int) -> socket.socket:
    listener = socket.socket()
    if os.name == "posix":  # elsewhere this would let two servers share the port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    listener.listen()
    return listener


def _visit(server: uvicorn.Server, url: str, options: argparse.Namespace) -> int:
    """Be the shop's visitors, in a thread of their own; returns the exit code."""
    from demo_app.traffic import new_client

    try:
        while not server.started:
            if server.should_exit:
                return 1
            time.sleep(0.02)
        with new_client(url) as client:
            if options.check:
                code = _check(client)
                server.should_exit = True
                return code
            if not options.no_traffic:
                _show(client)
            print(f"{url}/_diagnostics/  (Ctrl-C closes the shop)", flush=True)
            return 0
    except Exception as error:
        closed_meanwhile = server.should_exit and isinstance(error, httpx.TransportError)
        server.should_exit = True
        if closed_meanwhile:
            return 0
        raise


def _show(client: httpx.Client) -> None:
    from demo_app.traffic import drive

    client.post("/_diagnostics/api/clear", headers={"X-Diagnostics-Action": "1"})
    client.get("/_diagnostics/application")  # looks at the shop itself again
    with _quiet_server():
        sent = len(list(drive(client)))
    print(f"The bookshop had {sent} requests, good and bad. See what was found in them:")


def _check(client: httpx.Client) -> int:
    from demo_app.check import judge
    from demo_app.traffic import drive

    with _quiet_server():
        verdicts = judge(client, list(drive(client)))
    print(*verdicts, sep="\n")
    failed = sum(bool(verdict.wrong) for verdict in verdicts)
    print(f"{len(verdicts) - failed} ok, {failed} failed", flush=True)
    return 1 if failed else 0


@contextmanager
def _quiet_server() -> Iterator[None]:
    """Keep back uvicorn's tracebacks: the visitors run into the defects on purpose."""
    log = logging.getLogger("uvicorn.error")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


if __name__ == "__main__":
    sys.exit(main())
