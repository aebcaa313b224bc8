"""A server in a process of its own, whose every printed byte is kept."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from wsproto import ConnectionType, WSConnection
from wsproto.events import Event, Request, TextMessage

PREFIX = "/_diagnostics"
_LINK = re.compile(r"""(?:href|src|action|hx-get)\s*=\s*["']([^"']*)["']""")


@contextmanager
def served(folder: Path, **environ: str) -> Iterator[str]:
    """Serve ``shop:app`` of *folder*; what it prints goes to ``printed.log`` there.

    uvicorn itself prints nothing: its access log and its tracebacks tell what they are told.
    """
    kept = {name: value for name, value in os.environ.items() if name != "CI"}
    kept = {name: value for name, value in kept.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "uvicorn", "shop:app", "--log-level", "critical"]
    with socket.create_server(("127.0.0.1", 0)) as listener, open_log(folder) as printed:
        process = subprocess.Popen(  # noqa: S603 - uvicorn, as a user would start it
            [*command, "--fd", str(listener.fileno())],
            cwd=folder,
            env=kept | environ,
            pass_fds=[listener.fileno()],
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


def client_of(url: str, **options: Any) -> httpx.Client:
    """Make a client that opens a connection for each request: uvicorn ends one after a 500."""
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(base_url=url, timeout=20, limits=limits, **options)


def open_log(folder: Path):
    return (folder / "printed.log").open("wb")


def crawl(client: httpx.Client, start: str) -> dict[str, bytes]:
    """Fetch the pages of ours that can be reached by links, with what they answered.

    Filters are followed one at a time: a page with a query is a leaf.
    """
    waiting, seen = [start], {}
    while waiting:
        url = waiting.pop()
        if url in seen:
            continue
        answer = client.get(url, headers={"Accept": "text/html"})
        assert answer.status_code < 500, (url, answer.text)
        seen[url] = answer.content + str(answer.headers).encode()
        if "html" in answer.headers.get("content-type", "") and "?" not in url:
            waiting += _links(url, answer.text)
    return seen


def _links(page: str, html: str) -> Iterator[str]:
    for link in _LINK.findall(html):
        parts = urlsplit(urljoin(page, unescape(link)))
        if not parts.netloc and parts.path.startswith(PREFIX + "/") and not parts.scheme:
            yield parts._replace(fragment="").geturl()


class WebSocketClient:
    """The least that talks to a websocket, with wsproto, which uvicorn uses here, too."""

    def __init__(self, url: str, path: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=10)
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._waiting: list[Event] = []
        self.send_event(Request(host=parts.netloc, target=path))
        self.opening = self.receive()

    def send_event(self, event: Event) -> None:
        self._socket.sendall(self._connection.send(event))

    def send(self, text: str) -> None:
        self.send_event(TextMessage(data=text))

    def receive(self) -> Event:
        while not self._waiting:
            data = self._socket.recv(65536)
            self._connection.receive_data(data or None)
            self._waiting += self._connection.events()
        return self._waiting.pop(0)

    def close(self) -> None:
        self._socket.close()
