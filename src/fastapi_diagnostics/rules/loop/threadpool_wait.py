"""LOOP201: every worker thread was taken, and a ``def`` function had to wait for one."""

from collections.abc import Iterator
from typing import Any

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Location, RequestRecord, ThreadHolder, ThreadWait
from fastapi_diagnostics.rules.loop._words import name_of, plural

MIN_WAIT_MS = 50
"""What a blocked loop is reported for, too."""
ERROR_MS = 500
MAX_HOLDERS = 10

RULE = Rule(
    code="LOOP201",
    name="threadpool-wait",
    family="loop",
    severity="warning",
    title="A function waited for a worker thread",
    what=(
        "Measures how long `def` endpoints and dependencies, and other calls in the threadpool, "
        "waited because every thread was taken, and who had the threads at that moment. It is "
        "reported from 50 ms in one request on, and an error from 500 ms on."
    ),
    why=(
        "FastAPI runs each plain `def` endpoint, each `def` dependency and each class used as a "
        "dependency in one of 40 threads. When slow work fills them, requests queue that would "
        "take no time at all, although the event loop is free."
    ),
    example=(
        "class Pagination:\n"
        "    def __init__(self, page: int = 1) -> None:\n"
        "        self.page = page\n\n"
        '@app.get("/books")\n'
        "async def books(pages: Annotated[Pagination, Depends()]) -> list[Book]: ..."
    ),
    instead=(
        "async def pagination(page: int = 1) -> Pagination:\n"
        "    return Pagination(page)  # needs no thread\n\n"
        '@app.get("/books")\n'
        "async def books(pages: Annotated[Pagination, Depends(pagination)]) -> list[Book]: ..."
    ),
    limits=(
        "Threads of `asyncio.to_thread` and of other executors are another pool, not watched here.",
        "A thread that works for no request, such as one of a job, has no name here.",
        "Waits below 5 ms are not counted.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each function that had to wait."""
    waits: dict[tuple[str, Location | None], list[ThreadWait]] = {}
    for wait in record.thread_waits:
        waits.setdefault((wait.name, wait.location), []).append(wait)
    for (_, place), found in waits.items():
        if sum(wait.waited_ms for wait in found) >= MIN_WAIT_MS:
            yield _finding(place, found, record)


def _finding(place: Location | None, waits: list[ThreadWait], record: RequestRecord) -> Finding:
    longest = max(waits, key=lambda wait: wait.waited_ms)
    total_ms = sum(wait.waited_ms for wait in waits)
    evidence: dict[str, Any] = {
        "function": longest.name,
        "role": longest.role,
        "waited_ms": round(total_ms, 3),
        "count": len(waits),
        "threads": longest.threads,
        "ran_ms": longest.ran_ms,
        "holders": [_shown(holder) for holder in longest.holders[:MAX_HOLDERS]],
        "phase": longest.phase,
    }
    if place is None:
        evidence["no_user_frame"] = "A library asked for the thread; the endpoint stands for it."
    return RULE.finding(
        _message(longest, total_ms, record),
        location=place or record.endpoint,
        severity="error" if total_ms >= ERROR_MS else "warning",
        fix=_fix(longest, place or record.endpoint),
        evidence=evidence,
        cause=longest.name,
    )


def _message(wait: ThreadWait, total_ms: float, record: RequestRecord) -> str:
    text = (
        f"{name_of(record)} waited {total_ms:.0f} ms for a thread to run `{wait.name}`: "
        f"{'the only one' if wait.threads == 1 else f'all {wait.threads}'} "
        f"{'was' if wait.threads == 1 else 'were'} taken"
    )
    if wait.holders:
        text += f", {_who(wait.holders[0], wait.threads)}"
    return f"{text}."


def _who(holder: ThreadHolder, threads: int) -> str:
    most = f"{holder.threads} of them "
    if holder.threads == threads:
        most = "" if threads == 1 else "all "
    return f"{most}by {holder.route + ' ' if holder.route else ''}(`{holder.name}`)"


def _shown(holder: ThreadHolder) -> dict[str, Any]:
    return {
        "request_id": holder.request_id,
        "route": holder.route,
        "function": holder.name,
        "threads": holder.threads,
    }


def _fix(wait: ThreadWait, place: Location | None) -> Fix:
    name = wait.name.rpartition(".")[2]
    if wait.role == "class-dependency":
        return Fix(
            summary=f"FastAPI makes each {name} in a thread, because it is a class: depend on an "
            "`async def` function that returns it, which needs none.",
            code=f"async def get_{name.lower()}(...) -> {name}:\n    return {name}(...)",
            location=place,
        )
    if wait.role == "dependency":
        return Fix(
            summary=f"{name} takes a thread in every request, because it is a plain `def`: if it "
            "only computes, make it `async def`.",
            code=f"async def {name}(",
            location=place,
            replaces=f"def {name}(",
        )
    return Fix(
        summary="Shorten what has the threads, or make it asynchronous; if that work may wait, "
        f"allow more than {plural(wait.threads, 'thread')} at start-up.",
        code="anyio.to_thread.current_default_thread_limiter().total_tokens = 100",
        location=None,
    )
