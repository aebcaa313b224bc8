"""What comparing a response with its model costs, for lists of 100 items.

    python -m benchmarks.response_diff            print the table
    python -m benchmarks.response_diff --check    also fail where the goal is missed

The same application answers with a recording and without one in turns, in this process; the figure
is the median of the paired differences in CPU time of one response. Only the first 25 responses
of a kind and then one in ten are looked at; the table has the cost of one that is, which is what
the goal is for, and of one that is not.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, Generic, TypeVar

from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.subject import SCOPE
from fastapi_diagnostics.collectors import response_diff
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.response_diff.sampling import Sampling
from fastapi_diagnostics.recorder import CURRENT, Recorder

GOAL_US = 200.0
ROUNDS = 300
ITEMS = range(100)
T = TypeVar("T")


class Author(BaseModel):
    """A nested model."""

    id: int
    name: str


class Item(BaseModel):
    """A row of the list."""

    id: int
    title: str
    price: float
    tags: list[str]
    author: Author


class StoredItem(Item):
    """The same row with what stays inside."""

    margin: float = 0.5
    secret_key: str = "x" * 20


class Page(BaseModel, Generic[T]):
    """A page of anything."""

    items: list[T]
    total: int


class ApiResponse(BaseModel, Generic[T]):
    """The envelope around it."""

    data: T


@dataclass(frozen=True)
class Case:
    """An endpoint's answer and the model that it goes through."""

    name: str
    model: Any
    answer: Callable[[], Any]


def row(number: int) -> dict[str, Any]:
    """Make a row as a dict."""
    author = {"id": number % 9, "name": "Ada"}
    return {
        "id": number,
        "title": f"Title {number}",
        "price": number / 7,
        "tags": ["a", "b"],
        "author": author,
    }


def row_with_more(number: int) -> dict[str, Any]:
    """Make a row with keys that the model does not declare."""
    made = row(number)
    return {**made, "margin": 1, "author": {**made["author"], "email": "ada@example.com"}}


def cases() -> tuple[Case, ...]:
    """List what is measured."""
    rows, more = [row(n) for n in ITEMS], [row_with_more(n) for n in ITEMS]
    models = [Item(**one) for one in rows]
    stored = [StoredItem(**one) for one in rows]
    page = {"data": {"items": more, "total": 100}}
    return (
        Case("dicts, nothing removed", list[Item], lambda: rows),
        Case("dicts, two keys removed", list[Item], lambda: more),
        Case("ApiResponse[Page[Item]], two keys removed", ApiResponse[Page[Item]], lambda: page),
        Case("models, nothing removed", list[Item], lambda: models),
        Case("models of a subclass, two fields removed", list[Item], lambda: stored),
    )


def main() -> int:
    """Measure, print, and judge if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.response_diff")
    parser.add_argument("--check", action="store_true")
    return report(check=parser.parse_args().check)


def report(*, check: bool) -> int:
    """Print the table.

    Returns:
        1 if *check* and the goal is missed, else 0.
    """
    print("\n### Comparing a response of 100 items with its model, CPU time, µs a response\n")
    print("| returned | answering without us | looked at | not looked at |")
    print("| --- | --- | --- | --- |")
    worst = 0.0
    for case in cases():
        bare, looked = asyncio.run(measure(case, every=1))
        _, passed = asyncio.run(measure(case, every=10**9))
        worst = max(worst, looked)
        print(f"| {case.name} | {bare:.0f} | {looked:+.0f} | {passed:+.1f} |")
    print(f"\nThe goal is {GOAL_US:.0f} µs for one that is looked at; the worst is {worst:.0f}.")
    return 1 if check and worst > GOAL_US else 0


async def measure(case: Case, *, every: int) -> tuple[float, float]:
    """Give the median CPU time without us and of what is added, in µs.

    Args:
        case: What is answered.
        every: One in so many responses is looked at, also of the first ones.
    """
    app = FastAPI()

    @app.get("/", response_model=case.model)
    async def endpoint() -> Any:
        return case.answer()

    hooks = Hooks()
    response_diff.install(hooks)
    hooks.replace(response_diff, "_SAMPLING", lambda _: Sampling(0, every))
    for _ in range(10):
        await one(app, recorded=True)
    pairs = [(await one(app, recorded=False), await one(app, recorded=True)) for _ in range(ROUNDS)]
    hooks.undo()
    return median(bare for bare, _ in pairs), median(ours - bare for bare, ours in pairs)


async def one(app: Any, *, recorded: bool) -> float:
    """Answer once and give the CPU time in µs."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: dict[str, Any]) -> None:
        return None

    scope = {**SCOPE, "state": {}}
    recorder = Recorder(
        record_id="r", kind="http", clock=time.perf_counter, wall=time.time, scope=scope
    )
    token = CURRENT.set(recorder if recorded else None)
    began = time.thread_time()
    await app(scope, receive, send)
    spent = time.thread_time() - began
    CURRENT.reset(token)
    recorder.close()
    return spent * 1e6


if __name__ == "__main__":
    sys.exit(main())
