"""Ways in which a field was refused: what was wrong, what came, what was probably meant."""

import msgspec

from fastapi_diagnostics.finding import Group
from fastapi_diagnostics.outputs.dashboard.judged import Judged, texts_in
from fastapi_diagnostics.outputs.dashboard.queries import Mark
from fastapi_diagnostics.outputs.dashboard.refusals import ErrorFacts, Way
from fastapi_diagnostics.outputs.dashboard.shell import Frame
from fastapi_diagnostics.outputs.dashboard.words import Part, cut, prose, sentence, times

_TEXT = 60


class WayRow(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which a field was wrong.

    Attributes:
        samples: What came, as it was recorded.
        hint: What was probably meant; empty where nobody can tell.
        example: Link to the newest such request.
        mark: The finding of that request.
    """

    times: str
    message: str
    samples: tuple[str, ...]
    hint: tuple[Part, ...]
    example: str
    mark: Mark | None


def way_row(way: Way, ways: int, frame: Frame, judged: Judged) -> WayRow:
    """Describe one way of *ways* in which a field was wrong."""
    found = next(iter(_findings(way, judged)), None)
    hint = _hint(way.error, found) if found is not None else ""
    mark = None
    if found is not None:
        href = frame.links.finding(found.fingerprint)
        mark = Mark(label=found.rule, href=href, title=cut(found.title, 200))
    return WayRow(
        times=times(way.count) if ways > 1 else "",
        message=cut(_message(way.error), 300),
        samples=tuple(cut(sample, _TEXT) for sample, _ in way.samples.most_common()),
        hint=prose(cut(sentence(hint), 600)),
        example=frame.links.request(way.latest),
        mark=mark,
    )


def _message(error: ErrorFacts) -> str:
    if error.type == "missing":
        return "Missing; what came instead:" if error.keys else "Missing"
    if error.type == "extra_forbidden":
        return "Not declared; what came:"
    text = error.message.rstrip(". ")
    text = text[:1].upper() + text[1:]
    return f"{text}; came:" if error.input else text


def _findings(way: Way, judged: Judged) -> list[Group]:
    """Give the findings of the newest such request that name this very error."""
    return [
        group for group in judged.of(way.latest) if way.error.loc in _locations(group, "errors")
    ]


def _hint(error: ErrorFacts, found: Group) -> str:
    """Give the best hint about an error, or about its whole request."""
    hints = found.evidence.get("hints")
    for hint in hints if isinstance(hints, list) else ():
        if not isinstance(hint, dict) or not isinstance(hint.get("text"), str):
            continue
        loc = texts_in(hint.get("loc"))
        if not loc or loc == error.loc:
            return str(hint["text"])
    return ""


def _locations(group: Group, key: str) -> list[tuple[str, ...]]:
    entries = group.evidence.get(key)
    if not isinstance(entries, list):
        return []
    return [texts_in(entry.get("loc")) for entry in entries if isinstance(entry, dict)]
