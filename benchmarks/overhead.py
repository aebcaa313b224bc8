"""What a request costs with us and without, measured in turns.

    python -m benchmarks.overhead            print the tables
    python -m benchmarks.overhead --check    also fail where a goal is missed by half
    python -m benchmarks.overhead --quick    fewer rounds

Each row has two processes, one with us and one without, that take turns in short blocks (the row
"debug" is asyncio's debug mode without us), so that
a machine whose speed drifts slows both; the figure is the median of the paired differences.
"""

import argparse
import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import msgspec

from benchmarks import response_diff
from benchmarks.apps import SCENARIOS

GOALS_RATIO_SOCKET = {"trivial": 1.06}
GOALS_ADDED_US = {"trivial": 12.0, "queries": 200.0}
CHECK_SLACK = 1.5
"""A shared machine is noisy: a check fails only where a goal is missed by half of itself."""


class Row(msgspec.Struct, frozen=True):
    """One line of a table: medians over the rounds, in µs."""

    scenario: str
    loop: str
    mode: str
    bare_us: float
    added_us: float
    ratio: float


def main() -> int:
    """Measure, print, and judge if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--scenario", choices=SCENARIOS, action="append")
    options = parser.parse_args()
    rounds, block = (9, 60) if options.quick else (25, 150)
    scenarios = options.scenario or SCENARIOS
    cpu = [
        _row(scenario, loop, mode, _in_process(scenario, loop, mode, rounds, block))
        for loop in ("asyncio", "uvloop")
        for scenario in scenarios
        for mode in (("on", "off", "debug") if scenario == "trivial" else ("on",))
    ]
    _print("CPU time of the loop's thread, in process, µs a request", cpu)
    wall = [
        _row(scenario, loop, "on", _over_socket(scenario, loop, rounds, block))
        for loop in ("asyncio", "uvloop")
        for scenario in scenarios
    ]
    _print("Latency over uvicorn and a socket, one connection, µs a request", wall)
    missed = response_diff.report(check=options.check)
    return max(missed, _judge(cpu, wall)) if options.check else 0


Pairs = list[tuple[float, float]]


def _in_process(scenario: str, loop: str, mode: str, rounds: int, block: int) -> Pairs:
    def run(process: subprocess.Popen[str]) -> float:
        return float(json.loads(_ask(process, block))["cpu_us"])

    with (
        _subject(scenario, "bare", loop, "process") as bare,
        _subject(scenario, mode, loop, "process") as ours,
    ):
        return _in_turns(lambda: run(bare), lambda: run(ours), rounds)


def _over_socket(scenario: str, loop: str, rounds: int, block: int) -> Pairs:
    with (
        _subject(scenario, "bare", loop, "socket") as bare,
        _subject(scenario, "on", loop, "socket") as ours,
        _connection(bare) as first,
        _connection(ours) as second,
    ):
        return _in_turns(
            lambda: _latency_us(first, block), lambda: _latency_us(second, block), rounds
        )


def _in_turns(bare: Callable[[], float], ours: Callable[[], float], rounds: int) -> Pairs:
    bare(), ours()  # the first block warms up: imports, lazy schemas, connections
    pairs = []
    for number in range(rounds):
        if number % 2:
            ours_us, bare_us = ours(), bare()
        else:
            bare_us, ours_us = bare(), ours()
        pairs.append((bare_us, ours_us))
    return pairs


def _row(scenario: str, loop: str, mode: str, pairs: Pairs) -> Row:
    return Row(
        scenario=scenario,
        loop=loop,
        mode=mode,
        bare_us=median(bare for bare, _ in pairs),
        added_us=median(ours - bare for bare, ours in pairs),
        ratio=median(ours / bare for bare, ours in pairs),
    )


@contextmanager
def _subject(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.subject", *arguments]
    with subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None  # noqa: S101 - as asked for above
        process.stdin.close()


def _ask(process: subprocess.Popen[str], count: int) -> str:
    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(f"{count}\n")
    process.stdin.flush()
    return process.stdout.readline()


@contextmanager
def _connection(process: subprocess.Popen[str]) -> Iterator[socket.socket]:
    assert process.stdout is not None  # noqa: S101
    port = int(process.stdout.readline())
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def _latency_us(connection: socket.socket, count: int) -> float:
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    times = []
    for _ in range(count):
        began = time.perf_counter()
        connection.sendall(request)
        _read_response(connection)
        times.append(time.perf_counter() - began)
    return median(times) * 1e6


def _read_response(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _received(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    missing = length - len(body)
    while missing > 0:
        missing -= len(_received(connection))


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("The server closed the connection.")
    return data


def _print(title: str, rows: list[Row]) -> None:
    print(f"\n### {title}\n")
    print("| endpoint | loop | | without us | added | ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        print(
            f"| {row.scenario} | {row.loop} | {row.mode} | {row.bare_us:.1f} "
            f"| {row.added_us:+.1f} | {row.ratio:.3f} |"
        )


def _judge(cpu: list[Row], wall: list[Row]) -> int:
    missed = [
        f"{row.scenario} on {row.loop}: {row.added_us:.1f} µs added, the goal is {goal}"
        for row in cpu
        if row.mode == "on"
        and (goal := GOALS_ADDED_US.get(row.scenario))
        and row.added_us > goal * CHECK_SLACK
    ]
    missed += [
        f"{row.scenario} on {row.loop}: {row.ratio:.3f} of the latency, the goal is {goal}"
        for row in wall
        if (goal := GOALS_RATIO_SOCKET.get(row.scenario))
        and row.ratio - 1 > (goal - 1) * CHECK_SLACK
    ]
    for line in missed:
        print(f"MISSED: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
