"""Every situation, alone and behind a BaseHTTPMiddleware, on asyncio and on uvloop.

Run with ``-s`` to see the table.
"""

import asyncio
import gc
import re
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import fastapi
import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.routing import APIRoute

from fastapi_diagnostics import DiagnosticsMiddleware
from fastapi_diagnostics.faults import FAULTS
from tests.corpus.heap import only_what_follows_is_collected
from tests.corpus.tasks import defects, look_alikes

uvloop = pytest.importorskip("uvloop", reason="needs uvloop: pip install uvloop")

API = "/_diagnostics/api"
UNLABELLED = {("/defects/stream-of-numbers", "TASK106")}
"""The body itself is wrong there, and no line of it runs when that is noticed."""
TEARDOWN_AFTER_RESPONSE = tuple(map(int, fastapi.__version__.split(".")[:2])) >= (0, 118)
"""Before, a teardown that fails makes the answer a 500, which is no matter of these rules."""
WITHOUT_REQUEST = {"/defects/in-a-lambda"}
"""The thread that called the lambda drops its coroutine with its next job, in no request any more;
and there may be no next job."""
_GUILTY = re.compile(r"# guilty: (\S+) (\w+)$")


class Label(NamedTuple):
    """What is to be found: the rule and the line, of the request to this path."""

    path: str
    rule: str
    line: int


def paths() -> list[str]:
    routes = [*defects.router.routes, *look_alikes.router.routes]
    return [route.path for route in routes if isinstance(route, APIRoute)]


def expected() -> set[Label]:
    lines = Path(defects.__file__).read_text(encoding="utf-8").splitlines()
    found = [(_GUILTY.search(line), number) for number, line in enumerate(lines, 1)]
    labels = {Label(f"/defects{match[1]}", match[2], number) for match, number in found if match}
    assert {label.path for label in labels} <= set(paths())
    if not TEARDOWN_AFTER_RESPONSE:
        labels = {label for label in labels if label.rule != "TASK105"}
    numbers = defects.stream_of_numbers.__code__.co_firstlineno + 1
    return labels | {Label(path, rule, numbers) for path, rule in UNLABELLED}


def an_app(*, behind_middleware: bool) -> FastAPI:
    app = FastAPI()
    app.include_router(defects.router)
    app.include_router(look_alikes.router)
    if behind_middleware:

        @app.middleware("http")
        async def pass_on(request: Request, call_next: Any) -> Any:
            return await call_next(request)

    app.add_middleware(DiagnosticsMiddleware, store_url="memory:", log=False)
    return app


@asynccontextmanager
async def a_client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def drive(app: FastAPI) -> set[Label]:
    """Make every call, each with what it left behind, and read what was found."""
    look_alikes.STAYING = asyncio.Event()
    look_alikes.KEPT.clear()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    async with a_client(app) as client:
        ids = {path: await answered(client, path) for path in paths()}
        found = {
            Label(path, finding["rule"], (finding["location"] or {}).get("line", 0))
            for path, record_id in ids.items()
            for finding in await findings_of(client, record_id)
        }
        groups = (await client.get(f"{API}/findings", params={"limit": 500})).json()["findings"]
    look_alikes.STAYING.set()
    await settled(keep=set())
    for task in look_alikes.KEPT:
        task.exception()
    return found | {of_nobody(group) for group in groups if group["request_id"] is None}


def of_nobody(group: dict[str, Any]) -> Label:
    """Label what belongs to no request, by its line where that is as it has to be."""
    rule, line = group["rule"], (group["location"] or {}).get("line", 0)
    labels = [label for label in expected() if (label.rule, label.line) == (rule, line)]
    known = [label for label in labels if label.path in WITHOUT_REQUEST]
    return known[0] if known else Label("nobody", rule, line)


async def answered(client: httpx.AsyncClient, path: str) -> str:
    response = await client.get(path)
    await settled(keep={"stays"})
    return response.headers["x-diagnostics-id"]


async def settled(keep: set[str]) -> None:
    """Let everything end that was started, and let go of what is lost."""
    await asyncio.sleep(0)
    gc.collect()
    others = [
        task
        for task in asyncio.all_tasks() - {asyncio.current_task()}
        if task.get_name() not in keep
    ]
    if others:
        await asyncio.wait(others, timeout=5)
    del others
    await asyncio.sleep(0)
    gc.collect()
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def findings_of(client: httpx.AsyncClient, record_id: str) -> list[dict[str, Any]]:
    answer = await client.get(f"{API}/requests/{record_id}", params={"wait": "closed"})
    return [f for f in answer.json()["findings"] if f["rule"].startswith("TASK")]


def table(found: set[Label], wanted: set[Label]) -> str:
    rules = sorted({label.rule for label in wanted | found})
    lines = [f"{'rule':<8} {'defects':>7} {'found':>5} {'right line':>10} {'wrong':>5}"]
    for rule in rules:
        labelled = {label for label in wanted if label.rule == rule}
        places = {label.path for label in labelled}
        hit = {label.path for label in found if label.rule == rule} & places
        exact = {label for label in found if label.rule == rule} & labelled
        wrong = {label for label in found if label.rule == rule and label.path not in places}
        lines.append(f"{rule:<8} {len(labelled):>7} {len(hit):>5} {len(exact):>10} {len(wrong):>5}")
    silent = len(look_alikes.router.routes)
    return "\n".join([*lines, f"look-alikes: {silent}"])


@pytest.mark.parametrize("behind_middleware", [False, True], ids=["alone", "behind-middleware"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_every_defect_is_found_at_its_line_and_nothing_else(
    loop: str, *, behind_middleware: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    app = an_app(behind_middleware=behind_middleware)
    factory = uvloop.new_event_loop if loop == "uvloop" else None

    with (
        only_what_follows_is_collected(),
        warnings.catch_warnings(),
        asyncio.Runner(loop_factory=factory) as runner,
    ):
        warnings.simplefilter("ignore", RuntimeWarning)  # the coroutines that nobody awaits
        warnings.simplefilter("ignore", ResourceWarning)  # BaseHTTPMiddleware before Starlette 0.46
        found = runner.run(drive(app))
        gc.collect()

    wanted = expected()
    with capsys.disabled():
        print(f"\n{loop}, behind a middleware: {behind_middleware}\n{table(found, wanted)}")  # noqa: T201
    missed = {label for label in wanted - found if label.path not in WITHOUT_REQUEST}
    assert sorted(missed) == []
    assert sorted(found - wanted) == []
    assert FAULTS.all() == ()


def test_there_are_enough_situations_of_both_kinds() -> None:
    assert len({label.path for label in expected()}) >= 25
    assert len(look_alikes.router.routes) >= 20
