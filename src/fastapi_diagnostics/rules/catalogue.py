"""Finds the rules by looking at this package and at what others offer.

A rule is a module with a `RULE` and a function `check(record)`; `Rule.subjects` says whether it
takes a `RequestRecord`, an `AppRecord` or either. Third parties offer such modules through the
entry-point group ``fastapi_diagnostics.rules``.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

import msgspec

from fastapi_diagnostics import rules
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.finding import Finding, Rule

ENTRY_POINTS = "fastapi_diagnostics.rules"


class LoadedRule(msgspec.Struct, frozen=True):
    """A rule's words and its judgement.

    Attributes:
        check: Takes a record of what `Rule.subjects` names.
    """

    rule: Rule
    check: Callable[[Any], Iterable[Finding]]


@lru_cache(maxsize=1)
def all_rules() -> tuple[LoadedRule, ...]:
    """Load every rule, ordered by code; one of a third party that fails to load is left out."""
    loaded = [LoadedRule(module.RULE, module.check) for module in _builtin_modules()]
    loaded += _third_party()
    return tuple(sorted(loaded, key=lambda item: item.rule.code))


def chosen_rules(select: tuple[str, ...], ignore: tuple[str, ...]) -> tuple[LoadedRule, ...]:
    """Leave out what is ignored, and what is off unless selected."""
    return tuple(
        item
        for item in all_rules()
        if not _named(item.rule, ignore) and (item.rule.selected or _named(item.rule, select))
    )


def unknown_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Give those of *names* that fit no rule."""
    return tuple(name for name in names if not any(_named(i.rule, (name,)) for i in all_rules()))


def _named(rule: Rule, names: tuple[str, ...]) -> bool:
    return any(name == rule.name or rule.code.startswith(name.upper()) for name in names)


def _builtin_modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(rules.__path__, f"{rules.__name__}."):
        name = found.name.rpartition(".")[2]
        if found.ispkg or name.startswith("_") or name == "catalogue":
            continue
        module = importlib.import_module(found.name)
        if hasattr(module, "RULE"):
            yield module


def _third_party() -> list[LoadedRule]:
    loaded = []
    for entry in entry_points(group=ENTRY_POINTS):
        with FAULTS.contained(f"loading rule {entry.name}"):
            module = entry.load()
            loaded.append(LoadedRule(module.RULE, module.check))
    return loaded
