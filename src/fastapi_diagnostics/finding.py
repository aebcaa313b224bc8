"""What a rule is and what it concludes."""

from typing import Any, Literal

import msgspec

from fastapi_diagnostics.record import Location

__all__ = [
    "Confidence",
    "Family",
    "Finding",
    "Fix",
    "Group",
    "Location",
    "Rule",
    "Severity",
    "Subject",
]

Severity = Literal["error", "warning", "info"]
Confidence = Literal["proven", "likely"]
Family = Literal["sql", "loop", "tasks", "requests", "responses", "app"]
Subject = Literal["request", "application"]
FindingState = Literal["open", "resolved", "ignored"]


class Fix(msgspec.Struct, frozen=True, kw_only=True):
    """The change that mends a defect.

    Attributes:
        summary: One sentence that says what to do.
        code: What to write, as it would stand in the file; may be empty.
        location: Where it goes; `None` when the place cannot be told.
        mechanical: Whether replacing or adding `code` at `location` is all there is to do.
        replaces: The part of the line at `location` in whose place `code` goes; empty where it is
            the whole line, or goes beside it. A rule may name a part, and the line is written
            anew around it as far as that is certain.
        imports: Statements for the top of that file, without which `code` would miss a name. The
            rules leave it empty; it is filled in where the file can be read.
    """

    summary: str
    code: str = ""
    location: Location | None = None
    mechanical: bool = False
    replaces: str = ""
    imports: tuple[str, ...] = ()


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One conclusion about one record.

    Rules build it with `Rule.finding`; the pipeline completes it (request, route, source lines).

    Attributes:
        message: A complete sentence about this very request.
        location: The user's own line; `None` only where no user frame exists.
        evidence: Plain values, keyed as the rule's row in the documentation says.
        cause: What tells two findings of one rule at one line apart, such as ``Author.books``.
        subject: The fact that was judged, such as ``exceptions[0]``: a rule that supersedes
            another one takes its place only where both judged the same fact.
        also: Further facts that were judged; findings of superseded rules about them go as well.
        anchors: String literals or names to look for in the function of `location`; the first
            line that holds one becomes the line of the finding.
        ordinal: Which of the equal lines of its function this is, from zero.
    """

    rule: str
    name: str
    severity: Severity
    confidence: Confidence
    title: str
    message: str
    location: Location | None = None
    fix: Fix | None = None
    evidence: dict[str, Any] = {}
    cause: str = ""
    subject: str = ""
    also: tuple[str, ...] = ()
    anchors: tuple[str, ...] = ()
    ordinal: int = 0
    request_id: str | None = None
    route: str = ""
    fingerprint: str = ""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """The words of a rule, written once and printed everywhere.

    Attributes:
        code: Such as ``SQL101``; never reused.
        name: Reads well after "ignore": ``n-plus-one-relationship``.
        title: The general line for lists.
        what: What the rule does, in full sentences.
        why: Why the pattern is bad.
        example: Python code that shows the defect.
        instead: Python code that shows the cure.
        limits: What it cannot see or tell.
        severity: The usual one; a finding may lower it.
        supersedes: Codes of rules whose finding about the same fact this one replaces.
        selected: Whether it runs unless it is asked for by name.
        subjects: What its `check` judges: a `RequestRecord`, an `AppRecord`, or either.
    """

    code: str
    name: str
    family: Family
    severity: Severity
    title: str
    what: str
    why: str
    example: str
    instead: str
    limits: tuple[str, ...]
    supersedes: tuple[str, ...] = ()
    selected: bool = True
    subjects: tuple[Subject, ...] = ("request",)

    def finding(
        self,
        message: str,
        *,
        location: Location | None,
        confidence: Confidence = "proven",
        severity: Severity | None = None,
        **rest: Any,
    ) -> Finding:
        """Build a finding of this rule; *rest* are further fields of `Finding`."""
        return Finding(
            rule=self.code,
            name=self.name,
            title=rest.pop("title", self.title),
            severity=severity or self.severity,
            confidence=confidence,
            message=message,
            location=location,
            **rest,
        )


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """All findings of one cause, as the store keeps them and the JSON API answers.

    Attributes:
        occurrences: Distinct requests in which it was found.
        routes: Every route in which it was found, at most 50.
        first_seen: RFC 3339, UTC, microseconds; likewise `last_seen`.
        reason: Why it was ignored or resolved, in the user's words.
    """

    rule: str
    name: str
    severity: Severity
    confidence: Confidence
    title: str
    message: str
    location: Location | None
    fix: Fix | None
    evidence: dict[str, Any]
    request_id: str | None
    route: str
    routes: tuple[str, ...]
    fingerprint: str
    occurrences: int
    first_seen: str
    last_seen: str
    state: FindingState = "open"
    reason: str = ""


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """One request in which a finding was made."""

    request_id: str | None
    at: str
    evidence: dict[str, Any]
