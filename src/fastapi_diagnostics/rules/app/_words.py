"""Words that several rules about applications use."""

from collections.abc import Iterable

from fastapi_diagnostics.app_record import RouteFact


def listed(words: Iterable[str], most: int = 5) -> str:
    """Join words as people do: ``a, b and c``; of many, the first and how many more."""
    known = list(dict.fromkeys(words))
    shown = known[:most]
    if len(known) > most:
        shown.append(f"{len(known) - most} more")
    if len(shown) == 1:
        return shown[0]
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""


def place_of(route: RouteFact) -> str:
    """Name a route by its function and file, or as it is declared."""
    if route.location is None:
        return route.label
    return f"{route.location.function} ({route.location.file})"
