"""How the diagnostics themselves are."""

from collections.abc import Mapping
from typing import Any

import msgspec

from fastapi_diagnostics.outputs.dashboard.evidence import Fact, label_of, shown_value
from fastapi_diagnostics.outputs.dashboard.shell import Frame, HookMark, Shell
from fastapi_diagnostics.outputs.dashboard.words import cut, number, plural, size

_TITLES = {
    "queue": "Queue",
    "dropped": "Dropped",
    "overhead": "Own cost",
    "versions": "Versions",
    "faults": "Own failures",
}
_CALM = {
    "dropped": "Nothing was dropped.",
    "faults": "None of ours failed.",
}
_SHOWN_ELSEWHERE = frozenset({"hooks", "store"})


class FaultRow(msgspec.Struct, frozen=True, kw_only=True):
    """A place of ours that failed."""

    where: str
    count: str
    last: str


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the page: facts, or a sentence where there are none."""

    title: str
    facts: tuple[Fact, ...]
    calm: str = ""


class StatusPage(msgspec.Struct, frozen=True, kw_only=True):
    """The page."""

    shell: Shell
    verdict: str
    good: bool
    hooks: tuple[HookMark, ...]
    store: Section
    sections: tuple[Section, ...]
    faults: tuple[FaultRow, ...]


def status_page(frame: Frame) -> StatusPage:
    """Build the page; blocks."""
    status = frame.status
    shell = frame.shell("Status", "status")
    faults = tuple(_fault(fault) for fault in status.get("faults", ()))
    off, problem = shell.hooks_off, frame.store.problem
    good = not (off or faults or problem)
    return StatusPage(
        shell=shell,
        verdict="Everything in use is watched."
        if good
        else _verdict(len(shell.hooks), off, len(faults), problem),
        good=good,
        hooks=shell.hooks,
        store=_store(frame),
        sections=tuple(_sections(status)),
        faults=faults,
    )


def _verdict(hooks: int, off: int, faults: int, problem: str) -> str:
    parts = []
    if off:
        parts.append(f"{hooks - off} of {hooks} kinds of facts are watched")
    if faults:
        parts.append(f"{plural(faults, 'place')} of ours failed")
    if problem:
        parts.append("the store fell back to memory")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "."


def _store(frame: Frame) -> Section:
    store, totals = frame.store, frame.store.totals
    facts = [
        Fact(label="Kind", text=store.kind),
        Fact(label="Where", text=store.where or "in memory", code=bool(store.where)),
        Fact(
            label="Requests",
            text=f"{number(totals.requests)} of at most {number(store.max_requests)}",
        ),
        Fact(label="Queries", text=number(totals.queries)),
        Fact(label="Size", text=f"{size(totals.bytes)} of at most {size(store.max_bytes)}"),
        Fact(label="Kept for", text=f"{number(store.max_age_hours)} hours"),
        Fact(label="Failed writes", text=number(store.errors)),
    ]
    if store.problem:
        facts.insert(0, Fact(label="Problem", text=store.problem))
        facts.insert(1, Fact(label="Wanted", text=store.wanted, code=True))
    return Section(title="Store", facts=tuple(facts))


def _sections(status: Mapping[str, Any]) -> list[Section]:
    sections, loose = [], []
    for key, value in status.items():
        if key in _SHOWN_ELSEWHERE or key == "faults":
            continue
        if isinstance(value, Mapping):
            named = key == "versions"  # names of packages stay as they are written
            facts = tuple(_fact(str(name), item, named=named) for name, item in value.items())
            title = _TITLES.get(key) or label_of(key)
            sections.append(Section(title=title, facts=facts, calm=_CALM.get(key, "None.")))
        else:
            loose.append(_fact(key, value))
    if loose:
        sections.append(Section(title="Process", facts=tuple(loose)))
    return sections


def _fact(name: str, value: Any, *, named: bool = False) -> Fact:
    label = name if named else label_of(name.replace("-", "_"))
    if value is None:
        return Fact(label=label, text="not measured")
    if isinstance(value, str | int | float):
        return Fact(label=label, text=cut(shown_value(name, value), 300))
    return Fact(label=label, text=cut(msgspec.json.encode(value).decode(), 300), code=True)


def _fault(fault: Mapping[str, Any] | Any) -> FaultRow:
    known = fault if isinstance(fault, Mapping) else msgspec.to_builtins(fault)
    return FaultRow(
        where=str(known.get("where", "")),
        count=number(known.get("count", 0)),
        last=cut(str(known.get("last", "")), 300),
    )
