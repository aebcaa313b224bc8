"""LOOP102: no step was long enough to be a block, but together they held the loop."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Rule
from fastapi_diagnostics.record import RequestRecord
from fastapi_diagnostics.rules.loop._cures import fix_of
from fastapi_diagnostics.rules.loop._shorts import Many, many_short
from fastapi_diagnostics.rules.loop._words import doing, evidence_of, name_of

RULE = Rule(
    code="LOOP102",
    name="many-short-blocks",
    family="loop",
    severity="warning",
    title="Many short stretches without await add up",
    what=(
        "Counts callbacks that took 40 to 100 % of the threshold (20 to 50 ms) in one function of "
        "your code, and reports 5 or more that took 200 ms together. Each lets others in between, "
        "but makes them wait again and again."
    ),
    why=(
        "A request that computes 30 ms, awaits, and computes again is served in turns with all the "
        "others: each of their steps waits up to 30 ms, so their latency grows with every turn."
    ),
    example=(
        '@app.get("/report")\n'
        "async def report(db: Db) -> list[Row]:\n"
        "    return [crunch(row) async for row in await db.stream(query)]  # 30 ms each"
    ),
    instead=(
        '@app.get("/report")\n'
        "async def report(db: Db) -> list[Row]:\n"
        "    rows = (await db.execute(query)).all()\n"
        "    return await loop.run_in_executor(process_pool, crunch_all, rows)"
    ),
    limits=(
        "Only steps that were seen at a line of your code are counted, so there may be more.",
        "Who waited for the single steps is not told.",
        "Stretches in which the machine gave this process no processor are not counted.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each function whose short stretches add up."""
    for many in many_short(record).values():
        yield _finding(many, record)


def _finding(many: Many, record: RequestRecord) -> Finding:
    longest = max(many.shorts, key=lambda shorts: shorts.total_ms).longest
    blocks = [shorts.longest for shorts in many.shorts] + many.stretched
    return RULE.finding(
        f"{name_of(record)} held the event loop {many.times} times for up to "
        f"{max(block.duration_ms for block in blocks):.0f} ms, {many.total_ms:.0f} ms in all, "
        f"{doing(longest)}.",
        location=longest.location,
        fix=fix_of(longest, record.endpoint),
        evidence=evidence_of(longest, blocks) | {"count": many.times, "total_ms": many.total_ms},
        cause=f"{longest.kind} {longest.call}".strip(),
    )
