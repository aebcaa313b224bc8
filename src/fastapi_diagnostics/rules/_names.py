"""Compares names as people mistype them."""

import difflib
from collections.abc import Iterable

NEAR = 0.75
"""`difflib` ratio from which one name is taken for another; tried on pairs such as
``quantity``/``quantitiy`` (0.94) and ``customer_nam``/``customer_name`` (0.96); a lower bar would
pair ``price`` with ``place``."""
NEAR_WITHOUT_FIRST = 0.85
"""The same where the first letters differ: takes ``email``/``mail`` (0.89), and not
``name``/``game`` (0.75)."""


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Find the closest name: equal but for case and separators, else by `difflib`.

    Returns:
        Empty if none is close.
    """
    known = {plain(candidate): candidate for candidate in sorted(candidates)}
    if plain(name) in known:
        return known[plain(name)]
    close = difflib.get_close_matches(plain(name), known, n=3, cutoff=NEAR)
    likely = [
        other for other in close if other[:1] == plain(name)[:1] or _is_very_near(name, other)
    ]
    return known[likely[0]] if likely else ""


def _is_very_near(name: str, other: str) -> bool:
    """First letters are seldom mistyped: without them more of the rest must be the same."""
    return difflib.SequenceMatcher(None, plain(name), other).ratio() >= NEAR_WITHOUT_FIRST


def plain(name: str) -> str:
    """Leave out case and separators."""
    return name.casefold().replace("_", "").replace("-", "")
