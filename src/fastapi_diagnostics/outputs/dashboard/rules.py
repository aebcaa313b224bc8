"""The rules: what they say of themselves."""

from itertools import groupby

import msgspec

from fastapi_diagnostics.finding import Rule
from fastapi_diagnostics.outputs.dashboard.highlight import Token, python
from fastapi_diagnostics.outputs.dashboard.rows import FAMILIES, SEVERITY_WORDS, family_of
from fastapi_diagnostics.outputs.dashboard.shell import Frame, Shell
from fastapi_diagnostics.outputs.dashboard.words import Part, paragraphs, prose
from fastapi_diagnostics.outputs.resource import AnswerError


class RuleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A rule in the list."""

    code: str
    name: str
    title: tuple[Part, ...]
    severity: str
    severity_word: str
    href: str
    selected: bool


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """Rules that belong together."""

    name: str
    rows: tuple[RuleRow, ...]


class RuleList(msgspec.Struct, frozen=True, kw_only=True):
    """The list."""

    shell: Shell
    families: tuple[Family, ...]


class RulePage(msgspec.Struct, frozen=True, kw_only=True):
    """One rule."""

    shell: Shell
    row: RuleRow
    what: tuple[tuple[Part, ...], ...]
    why: tuple[tuple[Part, ...], ...]
    example: tuple[Token, ...]
    instead: tuple[Token, ...]
    limits: tuple[tuple[Part, ...], ...]
    supersedes: tuple[tuple[str, str], ...]
    findings: str
    suppression: str


def rule_list(frame: Frame) -> RuleList:
    """Build the list; blocks."""
    rules = sorted(frame.backend.rules(), key=lambda rule: _order(rule.code))
    grouped = groupby(rules, key=lambda rule: family_of(rule.code))
    return RuleList(
        shell=frame.shell("Rules", "rules"),
        families=tuple(
            Family(
                name=FAMILIES.get(family, family), rows=tuple(_row(rule, frame) for rule in members)
            )
            for family, members in grouped
        ),
    )


def rule_page(frame: Frame, wanted: str) -> RulePage:
    """Build the page of one rule, looked up by code or name; blocks.

    Raises:
        AnswerError: There is no such rule.
    """
    rules = frame.backend.rules()
    rule = next((rule for rule in rules if wanted in {rule.code, rule.name}), None)
    if rule is None:
        raise AnswerError(404, "not-found", "There is no such rule here.")
    return RulePage(
        shell=frame.shell(f"{rule.code} {rule.name}", "rules"),
        row=_row(rule, frame),
        what=paragraphs(rule.what),
        why=paragraphs(rule.why),
        example=python(rule.example.strip("\n")),
        instead=python(rule.instead.strip("\n")),
        limits=tuple(prose(limit) for limit in rule.limits),
        supersedes=tuple((code, frame.links.rule(code)) for code in rule.supersedes),
        findings=frame.links.home(rule=rule.code, notes="1" if rule.severity == "info" else None),
        suppression=f"# diagnostics: ignore[{rule.code}] reason",
    )


def _order(code: str) -> tuple[int, str]:
    family = family_of(code)
    known = list(FAMILIES)
    return (known.index(family) if family in known else len(known), code)


def _row(rule: Rule, frame: Frame) -> RuleRow:
    return RuleRow(
        code=rule.code,
        name=rule.name,
        title=prose(rule.title),
        severity=rule.severity,
        severity_word=SEVERITY_WORDS[rule.severity],
        href=frame.links.rule(rule.code),
        selected=rule.selected,
    )
