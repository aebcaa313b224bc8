"""The proof of a finding, printed by the shape of its values.

Rules may add keys freely: what has no words of its own here is labelled by its key.
"""

from typing import Any, Literal

import msgspec

from fastapi_diagnostics.outputs.dashboard.highlight import Token, sql
from fastapi_diagnostics.outputs.dashboard.links import Links
from fastapi_diagnostics.outputs.dashboard.places import Place, location_in, place_of
from fastapi_diagnostics.outputs.dashboard.words import (
    NOTHING,
    clock_time,
    cut,
    milliseconds,
    number,
    size,
)

MAX_ROWS = 50
MAX_TEXT = 4_000

_LABELS = {
    "chain": "Relationships, one below the other",
    "chain_count": "Queries of all of them",
    "after_response": "After the response was sent",
    "cause": "Why it was not loaded",
    "cause_location": "What expired it",
    "count": "Times in this request",
    "distinct": "Distinct values",
    "errors": "What validation said",
    "hints": "Most likely",
    "hot_lines": "Where the time went",
    "parent_query": "The query that loaded the parents",
    "parents": "Distinct parents",
    "paths": "Fields",
    "sql": "The repeated statement",
    "started_at": "Started",
    "victims": "Requests that had to wait",
    "causes": "Caused by",
    "worker": "Process id",
    "stack": "Call chain",
}
_WORDS = {
    "never-loaded": "it was never loaded",
    "expired-by-commit": "the commit expired it",
    "refreshed-without-relationship": "refresh() does not load relationships",
    "raise-strategy": 'it is mapped with lazy="raise"',
    "earlier-task-failed": "an earlier task failed",
    "exception": "an exception ended the request",
    "replaced": "the response's background was replaced",
    "stream-broken": "the response stream broke",
    "client-gone": "the client went away",
}
_UNITS = frozenset({"ms", "us", "bytes"})
_SAID = frozenset({"count", "parents", "distinct"})
"""What the sentence says already."""
_NUMBERS_OF_QUERIES = frozenset({"queries"})
"""For machines: people find the queries in the request."""
_WORDED_KEYS = frozenset({"cause", "reason"})
_IDENTIFIERS = frozenset({"worker", "pid"})
"""Numbers that count nothing, and so have no separators."""
_COLUMNS = {
    "file": "Place",
    "ms": "Time",
    "request_id": "Request",
    "route": "Route",
    "waited_ms": "Waited",
    "loc": "Where",
    "type": "Type",
    "message": "Message",
    "input": "What came",
}
_HIDDEN_COLUMNS = frozenset({"function", "line"})
_ORDER = ("parent_query", "sql", "hints", "errors", "exception", "hot_lines", "victims", "paths")


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell of a table: text, a link, or a place."""

    text: str
    href: str = ""
    place: Place | None = None
    number: bool = False
    code: bool = False


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """The head of a column; numbers stand at its right."""

    label: str
    number: bool


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of evidence.

    Attributes:
        shape: Which of the other fields is used.
        sentences: Whether the items of a list are prose.
    """

    label: str
    shape: Literal["statement", "table", "list", "place", "text"]
    statement: tuple[Token, ...] = ()
    place: Place | None = None
    sentences: bool = False
    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    items: tuple[str, ...] = ()
    text: str = ""


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """A short value with its label."""

    label: str
    text: str
    code: bool = False


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """All of the evidence: a sentence, short facts, and what needs room."""

    sentence: str
    facts: tuple[Fact, ...]
    blocks: tuple[Block, ...]


def proof_of(evidence: dict[str, Any], links: Links) -> Proof:
    """Describe the evidence of a finding."""
    sentence = _sentence(evidence)
    facts: list[Fact] = []
    blocks: list[Block] = []
    for key in sorted(evidence, key=_position):
        value = evidence[key]
        if value is None or value in ("", [], {}) or (sentence and key in _SAID):
            continue
        if key in _NUMBERS_OF_QUERIES or _repeats(key, evidence):
            continue
        if isinstance(value, str | int | float) and not _is_long(key, value):
            facts.append(_fact(key, value))
        else:
            blocks.append(_block(key, value, links))
    return Proof(sentence=sentence, facts=tuple(facts), blocks=tuple(blocks))


def _repeats(key: str, evidence: dict[str, Any]) -> bool:
    """Tell what a chain of a single relationship says twice."""
    if key == "chain":
        return len(evidence[key]) == 1
    return key == "chain_count" and evidence[key] == evidence.get("count")


def label_of(key: str) -> str:
    """Name a key in words."""
    return _LABELS.get(key) or _capitalised(_without_unit(key))


def shown_value(key: str, value: Any) -> str:
    """Write a plain value, in the unit that its key names."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and key not in _IDENTIFIERS:
        return _measured(key, value)
    text = str(value)
    if key.endswith("_at"):
        return clock_time(text)
    return _WORDS.get(text, text) if key in _WORDED_KEYS else text


def _measured(key: str, value: float) -> str:
    parts = key.split("_")
    if "ms" in parts:
        return milliseconds(value)
    if "us" in parts:
        return f"{value:.1f} µs"
    return size(value) if "bytes" in parts else number(value)


def _sentence(evidence: dict[str, Any]) -> str:
    count, parents, distinct = (evidence.get(key) for key in ("count", "parents", "distinct"))
    if isinstance(count, int) and isinstance(parents, int):
        return f"{count:,} loads for {parents:,} distinct parents: one each time."
    if isinstance(count, int) and isinstance(distinct, int):
        values = "the same values each time" if distinct == 1 else f"{distinct:,} distinct values"
        return f"Ran {count:,} times in one request, with {values}."
    return ""


def _position(key: str) -> tuple[int, str]:
    return (_ORDER.index(key) if key in _ORDER else len(_ORDER), key)


def _is_long(key: str, value: Any) -> bool:
    return key == "sql" or (isinstance(value, str) and (len(value) > 80 or "\n" in value))  # noqa: PLR2004 - a line


def _fact(key: str, value: Any) -> Fact:
    return Fact(
        label=label_of(key),
        text=shown_value(key, value),
        code=key in {"attribute", "call", "response_field", "task"},
    )


def _block(key: str, value: Any, links: Links) -> Block:
    label = label_of(key)
    place = location_in(value)
    if place is not None:
        return Block(label=label, shape="place", place=place_of(place, links))
    if key == "sql":
        return Block(label=label, shape="statement", statement=sql(str(value)))
    if isinstance(value, dict):
        return _mapping(key, value, links)
    if isinstance(value, list):
        return _list(key, value[:MAX_ROWS], links)
    return Block(label=label, shape="text", text=cut(_flat(value), MAX_TEXT))


def _list(key: str, value: list[Any], links: Links) -> Block:
    label = label_of(key)
    if key == "hints":
        items = tuple(_hint(item) for item in value)
        return Block(label=label, shape="list", sentences=True, items=items)
    if value and all(isinstance(item, int | float) for item in value):
        return Block(label=label, shape="list", items=(", ".join(map(_flat, value)),))
    if all(isinstance(item, dict) for item in value):
        return _table(label, value, links)
    return Block(label=label, shape="list", items=tuple(cut(_flat(item), 500) for item in value))


def _mapping(key: str, value: dict[str, Any], links: Links) -> Block:
    """Print a statement or an exception with its place, anything else as a table of one row."""
    label = label_of(key)
    place = place_of(location_in(value.get("location")), links)
    if isinstance(value.get("sql"), str):
        return Block(
            label=label,
            shape="statement",
            statement=sql(value["sql"]),
            place=place,
        )
    if key == "exception" and isinstance(value.get("type"), str):
        message = f": {value['message']}" if value.get("message") else ""
        text = cut(f"{value['type']}{message}", MAX_TEXT)
        return Block(label=label, shape="text", text=text, place=place)
    return _table(label, [value], links)


def _table(label: str, rows: list[dict[str, Any]], links: Links) -> Block:
    keys = dict.fromkeys(str(key) for row in rows for key in row)
    placed = "file" in keys
    shown = [key for key in keys if not (placed and key in _HIDDEN_COLUMNS)]
    if placed:
        shown = [key for key in shown if key != "code"]
    cells = tuple(tuple(_cell(key, row, links) for key in shown) for row in rows)
    columns = tuple(
        Column(
            label=_COLUMNS.get(key) or label_of(key),
            number=all(row[position].number for row in cells),
        )
        for position, key in enumerate(shown)
    )
    return Block(label=label, shape="table", columns=columns, rows=cells)


def _cell(key: str, row: dict[str, Any], links: Links) -> Cell:
    value = row.get(key)
    place = location_in(row) if key == "file" else location_in(value)
    if place is not None:
        return Cell(text="", place=place_of(place, links))
    if value is None:
        return Cell(text=NOTHING)
    if key == "request_id" and isinstance(value, str):
        return Cell(text=cut(value, 12), href=links.request(value), code=True)
    if key == "loc" and isinstance(value, list):
        return Cell(text=" → ".join(str(part) for part in value), code=True)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number or isinstance(value, str | bool):
        return Cell(text=cut(shown_value(key, value), 500), number=is_number)
    return Cell(text=cut(_flat(value), 500))


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return value
    place = location_in(value)
    if place is not None:
        return f"{place.file}:{place.line} {place.function}".strip()
    if isinstance(value, dict) and isinstance(value.get("location"), dict):
        return _flat(value["location"])
    return msgspec.json.encode(value).decode("utf-8", "replace")


def _hint(item: Any) -> str:
    return cut(str(item.get("text", "")), 500) if isinstance(item, dict) else cut(_flat(item), 500)


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def _without_unit(key: str) -> str:
    parts = [part for part in key.split("_") if part not in _UNITS]
    return " ".join(parts or [key]).replace("cpu", "CPU")
