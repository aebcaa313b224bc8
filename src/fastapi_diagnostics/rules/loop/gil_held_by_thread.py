"""LOOP103: another thread kept the GIL, and the event loop could not run."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import Location, LoopBlock, RequestRecord
from fastapi_diagnostics.rules.loop._codes import explained, in_process_from_thread, is_complete
from fastapi_diagnostics.rules.loop._words import doing, evidence_of, name_of, plural, victims_of

RULE = Rule(
    code="LOOP103",
    name="gil-held-by-thread",
    family="loop",
    severity="warning",
    title="Another thread kept the GIL, so the event loop could not run",
    what=(
        "Finds calls in other threads, such as a `def` endpoint's or a background thread's, that "
        "kept Python's global lock (the GIL) for longer than the threshold: the line of that "
        "thread, the call, and the request for which it worked. It is an error where a request is "
        "known to have waited."
    ),
    why=(
        "A thread frees the event loop only while it lets go of the GIL. One long call of C code "
        "that keeps it, such as a regular expression or the parsing of a large document, stops "
        "every request of the process as if it stood in an `async def`."
    ),
    example=(
        '@app.post("/scan")\n'
        "def scan(text: str) -> bool:\n"
        '    return re.match(r"(a+)+$", text) is not None  # a thread does not help'
    ),
    instead=(
        '@app.post("/scan")\n'
        "async def scan(text: str) -> bool:\n"
        "    loop = asyncio.get_running_loop()\n"
        "    return await loop.run_in_executor(process_pool, scan_text, text)"
    ),
    limits=(
        "Linux only: elsewhere the processor time of another thread cannot be read safely.",
        (
            "The thread is seen when the GIL is free again; one that has gone on to another line "
            "by then is not reported."
        ),
        (
            "Python code gives the GIL up every 5 ms, so only single calls of C code are found: "
            "from the threshold on where they are known to keep it (regular expressions, JSON, "
            "pickle, validation), any other from 200 ms on."
        ),
        "Nothing is looked at while no request is in flight.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield one finding for each line of another thread that kept the GIL."""
    lines: dict[Location, list[LoopBlock]] = {}
    for block in record.blocks:
        if block.kind == "gil" and block.thread and block.location is not None:
            lines.setdefault(block.location, []).append(block)
    for place, blocks in lines.items():
        yield _finding(place, blocks, record)


def _finding(place: Location, blocks: list[LoopBlock], record: RequestRecord) -> Finding:
    longest = max(blocks, key=lambda block: block.duration_ms)
    victims = victims_of(blocks)
    code = in_process_from_thread(longest)
    is_whole = is_complete(code)
    what = "run it" if is_whole else "run what it belongs to"
    return RULE.finding(
        _message(longest, blocks, len(victims), record),
        location=place,
        severity="error" if victims else "warning",
        fix=Fix(
            summary=f"A thread does not help here, because this call keeps the GIL: {what} in a "
            "process pool, or give it less to do at once."
            f"{explained(code)}",
            code=code,
            location=place,
            replaces=longest.source if is_whole else "",
        ),
        evidence=evidence_of(longest, blocks) | {"thread": longest.thread},
        cause=f"gil {longest.call}".strip(),
    )


def _message(block: LoopBlock, blocks: list[LoopBlock], waiting: int, record: RequestRecord) -> str:
    whose = "" if record.kind == "process" else f" of {name_of(record)}"
    total_ms = sum(one.duration_ms for one in blocks)
    times = f"{len(blocks)} times, " if len(blocks) > 1 else ""
    text = (
        f"A thread{whose} ({block.thread}) kept the GIL {times}for {total_ms:.0f} ms "
        f"{doing(block)}, and the event loop could not run"
    )
    if waiting:
        text += f"; {plural(waiting, 'other request')} waited"
    return f"{text}."
