"""Tells whether one name is a misspelling of another, strictly enough to say so."""

import re
from typing import Final

_TOKEN: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SHORT: Final = 4
"""Words with fewer letters are too alike: ``min`` and ``max``, ``lat`` and ``lng``."""
_LONG: Final = 8
"""From this length on two wrong letters still leave the word recognisable."""


def is_near(name: str, other: str) -> bool:
    """Tell whether two names differ in case and separators only, or by one slip of the keys.

    One letter may be wrong, missing, too many or swapped with its neighbour, two in a long word;
    the first letter must be right (``rate`` is no ``date``), numbers must be the same, and a
    plural is another word.
    """
    left, right = _plain(name), _plain(other)
    if left == right:
        return True
    words, wanted = _words(name), _words(other)
    if len(words) != len(wanted):
        return _slip(left, right)
    different = [pair for pair in zip(words, wanted, strict=True) if pair[0] != pair[1]]
    return len(different) == 1 and _slip(*different[0])


def _slip(word: str, other: str) -> bool:
    shorter = min(len(word), len(other))
    if shorter < _SHORT or word[0] != other[0] or word.isdigit() or other.isdigit():
        return False
    if re.sub(r"\D", "", word) != re.sub(r"\D", "", other):
        return False
    if f"{word}s" == other or f"{other}s" == word:
        return False
    allowed = 1 if shorter < _LONG else 2
    return abs(len(word) - len(other)) <= allowed and _distance(word, other) <= allowed


def _distance(word: str, other: str) -> int:
    """Count the slips between two words (restricted Damerau-Levenshtein distance)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        earlier, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == wanted:
                best = min(best, earlier[j - 2] + 1)
            row.append(best)
    return row[-1]


def _words(name: str) -> list[str]:
    return [word.casefold() for word in _TOKEN.findall(name)]


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()
