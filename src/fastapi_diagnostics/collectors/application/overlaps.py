"""Finds earlier routes that take every URL of a later one."""

import re
from typing import Any, Final

import msgspec

from fastapi_diagnostics.app_record import Overlap

_SAMPLES: Final = {
    "StringConvertor": "zq7-x",
    "PathConvertor": "zq7-x/y",
    "IntegerConvertor": "70813",
    "FloatConvertor": "70.813",
    "UUIDConvertor": "6f1c2b1e-8f0a-4f64-9c3e-0d8c5a1b2e3f",
}
"""A value of each kind of parameter that no ordinary path spells out."""
_NAMES = re.compile(r"\?P<\w+>")
_PARAMETER = re.compile(r"{(\w+)}")


class Candidate(msgspec.Struct, frozen=True):
    """A route as far as matching goes; lives only while the application is looked at.

    Attributes:
        container: Routes compete only within one router and the routers included into it.
        sample: A URL that stands for all it takes; empty where none can be made up.
        methods: `None` takes every one.
        literal: What every URL it takes begins with.
    """

    index: int
    container: int
    kind: str
    pattern: Any
    sample: str
    methods: frozenset[str] | None
    literal: str


def candidate(route: Any, index: int, container: int, kind: str) -> Candidate | None:
    """Describe a route; `None` for what matches in a way of its own."""
    pattern = getattr(route, "path_regex", None)
    if not isinstance(pattern, re.Pattern) or not _matches_by_path(route):
        return None
    path: str = getattr(route, "path_format", "")
    return Candidate(
        index=index,
        container=container,
        kind=kind,
        pattern=pattern,
        sample=_sample(route, path),
        methods=methods_of(route),
        literal=path.partition("{")[0],
    )


def _matches_by_path(route: Any) -> bool:
    """Tell whether path and method alone decide; a class of the user's may ask for a header."""
    declared = getattr(route, "original_route", route)  # as it was before it was included
    owner = getattr(getattr(type(declared), "matches", None), "__module__", "")
    return str(owner).partition(".")[0] in {"fastapi", "starlette"}


def methods_of(route: Any) -> frozenset[str] | None:
    """Give the methods that somebody wrote: a HEAD comes with every GET; `None` takes all."""
    methods = frozenset(getattr(route, "methods", None) or ())
    return methods - {"HEAD"} or methods or None


def overlaps(wanted: Candidate, earlier: list[Candidate]) -> tuple[Overlap, ...]:
    """Find the first earlier route for each method, if it takes all that *wanted* does."""
    if not wanted.sample or wanted.kind == "mount":
        return ()
    left = wanted.methods
    found: list[Overlap] = []
    for other in earlier:
        if other.container != wanted.container or not wanted.sample.startswith(other.literal):
            continue
        taken = _taken(left, other.methods)
        if taken is None or not _matches(other, wanted):
            continue
        found.append(_overlap(wanted, other, taken))
        if left is None or not (left := left - taken):
            break
    return tuple(found)


def _taken(left: frozenset[str] | None, theirs: frozenset[str] | None) -> frozenset[str] | None:
    """Give the methods of *left* that an earlier route takes; `None` where it leaves them all."""
    if theirs is None:
        return left or frozenset()
    # One that takes every method is not taken whole by one that takes some.
    return left & theirs or None if left is not None else None


def _matches(other: Candidate, wanted: Candidate) -> bool:
    return other.kind in {wanted.kind, "mount"} and bool(other.pattern.match(wanted.sample))


def _overlap(wanted: Candidate, other: Candidate, taken: frozenset[str]) -> Overlap:
    same = _NAMES.sub("", other.pattern.pattern) == _NAMES.sub("", wanted.pattern.pattern)
    return Overlap(route=other.index, methods=tuple(sorted(taken)), same_path=same)


def _sample(route: Any, path: str) -> str:
    convertors = getattr(route, "param_convertors", {})
    sample = path
    for name in _PARAMETER.findall(path):
        value = _SAMPLES.get(type(convertors.get(name)).__name__)
        if value is None:
            return ""
        sample = sample.replace(f"{{{name}}}", value)
    # What its own pattern refuses does not stand for it.
    return sample if route.path_regex.match(sample) else ""
