# ruff: noqa: ASYNC251 - what blocks a loop is the subject here
"""Requests that arrive while the loop is held, over real connections: who waited, and who not."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from fastapi_diagnostics.collectors import event_loop
from fastapi_diagnostics.collectors.event_loop.arrivals import knocking
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.record import RequestRecord
from fastapi_diagnostics.recorder import CURRENT, Recorder
from tests.installed import installed

both_loops = pytest.mark.parametrize(
    "make_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"]
)


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(event_loop, root=Path(__file__).parent) as hooks:
        yield hooks


class Server(asyncio.Protocol):
    """Answers each line in a task of its own, as uvicorn does; the line ``block`` takes 0.3 s."""

    records: list[RequestRecord]
    blocking: threading.Event

    def connection_made(self, transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.task = asyncio.get_running_loop().create_task(self.answer(data.decode().strip()))

    async def answer(self, name: str) -> None:
        event_loop.watch_running_loop()
        scope = {
            "type": "http",
            "method": "GET",
            "path": f"/{name}",
            "client": self.transport.get_extra_info("peername"),
        }
        recorder = Recorder(
            record_id=f"{name}-{len(self.records)}",
            kind="http",
            clock=time.perf_counter,
            wall=time.time,
            scope=scope,
        )
        CURRENT.set(recorder)
        if name == "block":
            self.blocking.set()
            time.sleep(0.3)
        event_loop.before_response(time.perf_counter())
        self.transport.write(b"done\n")
        recorder.responded = time.perf_counter()
        self.records.append(recorder.seal("closed", route=f"GET /{name}"))
        recorder.close()


def ask(connection: socket.socket, name: str) -> None:
    connection.sendall(f"{name}\n".encode())
    assert connection.recv(10) == b"done\n"


def serve(make_loop, client: Callable[[int, threading.Event], None]) -> list[RequestRecord]:
    """Run *client* in a thread against a server; give the records of what it asked for."""
    records: list[RequestRecord] = []
    blocking = threading.Event()

    def protocol() -> Server:
        made = Server()
        made.records, made.blocking = records, blocking
        return made

    async def main() -> None:
        event_loop.watch_running_loop()
        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await asyncio.to_thread(client, port, blocking)
        server.close()

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())
    return records


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def block_in_thread(connection: socket.socket, blocking: threading.Event) -> threading.Thread:
    thread = threading.Thread(target=ask, args=(connection, "block"))
    thread.start()
    blocking.wait(10)
    return thread


def waits_of(records: list[RequestRecord], name: str) -> list[bool]:
    return [
        wait.at_most for record in records if record.id.startswith(name) for wait in record.waits
    ]


@both_loops
def test_a_request_on_an_open_connection_is_a_victim(make_loop) -> None:
    def client(port: int, blocking: threading.Event) -> None:
        with connect(port) as one, connect(port) as two:
            ask(two, "warm")
            thread = block_in_thread(one, blocking)
            ask(two, "waits")
            thread.join()

    records = serve(make_loop, client)

    assert waits_of(records, "waits") == [True]
    assert waits_of(records, "warm") == waits_of(records, "block") == []


@both_loops
def test_a_request_on_a_new_connection_is_a_victim(make_loop) -> None:
    def client(port: int, blocking: threading.Event) -> None:
        with connect(port) as one:
            thread = block_in_thread(one, blocking)
            with connect(port) as two:
                ask(two, "waits")
            thread.join()

    assert waits_of(serve(make_loop, client), "waits") == [True]


@both_loops
@pytest.mark.parametrize("connections", [1, 2])
def test_what_is_asked_after_the_answer_is_no_victim(make_loop, connections) -> None:
    def client(port: int, _: threading.Event) -> None:
        opened = [connect(port) for _ in range(connections)]
        for connection in opened:
            ask(connection, "warm")
        for _ in range(3):
            ask(opened[0], "block")
            ask(opened[-1], "after")
        for connection in opened:
            connection.close()

    assert waits_of(serve(make_loop, client), "after") == []


@both_loops
def test_what_connects_after_the_answer_is_no_victim(make_loop) -> None:
    def client(port: int, _: threading.Event) -> None:
        for name in ("block", "after", "block", "after"):
            with connect(port) as connection:
                ask(connection, name)

    assert waits_of(serve(make_loop, client), "after") == []


def test_looking_takes_nothing_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with connect(port) as one:
            ours, _ = server.accept()
            one.sendall(b"x")
            with connect(port):
                deadline = time.monotonic() + 5
                while not (found := knocking()).unaccepted and time.monotonic() < deadline:
                    pass

                assert one.getsockname() in found.ready
                assert found.unaccepted == 1
                assert ours.recv(1) == b"x"
                server.accept()[0].close()
                ours.close()
    assert one.fileno() == -1
