"""LOOP104: the lifespan held the event loop while the application started."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Rule
from fastapi_diagnostics.record import Location, LoopBlock, RequestRecord
from fastapi_diagnostics.rules.loop._cures import fix_of
from fastapi_diagnostics.rules.loop._words import doing, evidence_of

MIN_MS = 100
"""Nobody is served yet, so what would not be noticed is not said: 100 ms feels instant."""

RULE = Rule(
    code="LOOP104",
    name="blocked-at-startup",
    family="loop",
    severity="info",
    title="The lifespan held the event loop at start-up",
    what=(
        "Reports calls without await in the lifespan (or a start-up handler) that held the event "
        "loop for 100 ms or more before the application was ready. A note: nobody is served at "
        "that moment."
    ),
    why=(
        "Loading models and warming caches at start-up is right. It delays readiness, though, and "
        "what shares the loop, such as tasks the lifespan has started, stands still meanwhile."
    ),
    example=(
        "@asynccontextmanager\n"
        "async def lifespan(app: FastAPI) -> AsyncIterator[None]:\n"
        "    time.sleep(2)  # wait for the broker\n"
        "    yield"
    ),
    instead=(
        "@asynccontextmanager\n"
        "async def lifespan(app: FastAPI) -> AsyncIterator[None]:\n"
        "    await asyncio.sleep(2)\n"
        "    yield"
    ),
    limits=(
        "What happens while modules are imported, before the lifespan begins, is not looked at.",
        "An application that does not get lifespan events from its server has none.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each line of the lifespan that held the loop."""
    lines: dict[Location, list[LoopBlock]] = {}
    for block in record.blocks:
        if block.phase == "startup" and block.location is not None and block.kind != "gil":
            lines.setdefault(block.location, []).append(block)
    for place, blocks in lines.items():
        total_ms = sum(block.duration_ms for block in blocks)
        if total_ms >= MIN_MS:
            yield _finding(place, blocks, total_ms)


def _finding(place: Location, blocks: list[LoopBlock], total_ms: float) -> Finding:
    longest = max(blocks, key=lambda block: block.duration_ms)
    return RULE.finding(
        f"Start-up held the event loop for {total_ms:.0f} ms {doing(longest)}.",
        location=place,
        confidence="likely" if longest.kind == "unknown" else "proven",
        fix=fix_of(longest),
        evidence=evidence_of(longest, blocks),
        cause=f"{longest.kind} {longest.call}".strip(),
    )
