"""Structured log: one event for each new finding, through the user's own logging.

With structlog configured by the user, through structlog; otherwise on the standard logger
``fastapi_diagnostics``, which gets a handler of ours only if nothing handles it.
The level is at most WARNING, so that error trackers raise no alarm.
"""

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

from fastapi_diagnostics.app_record import NAME
from fastapi_diagnostics.finding import Finding
from fastapi_diagnostics.redaction import redact_text
from fastapi_diagnostics.store.protocol import Report

LOGGER_NAME = "fastapi_diagnostics"
REPEAT_S = 60.0
"""A repeat is logged at most this often, with its count."""
MAX_REMEMBERED = 2000

_LOGGED = frozenset({"error", "warning"})


class FindingLog:
    """Subscriber of the pipeline that logs findings; `info` findings are not logged.

    Args:
        clock: Monotonic seconds.
        link: Makes the link to a finding's page from its fingerprint.
    """

    def __init__(self, *, clock: Callable[[], float], link: Callable[[str], str]) -> None:
        self._clock = clock
        self._link = link
        self._last: dict[str, float] = {}
        self._missed: dict[str, int] = {}
        self._request: dict[str, str | None] = {}

    def __call__(self, reports: Sequence[Report], new: frozenset[str]) -> None:
        """Log what was not logged within the last minute, and count what was.

        What is found in the application itself is logged by the first worker and start that finds
        it, and not again by each that follows.
        """
        for report in reports:
            standing = report.record.kind == "process" and report.record.name == NAME
            for finding in report.findings:
                if finding.severity in _LOGGED and (not standing or finding.fingerprint in new):
                    self._consider(finding)

    def _consider(self, finding: Finding) -> None:
        fingerprint = finding.fingerprint
        if finding.request_id is not None and self._request.get(fingerprint) == finding.request_id:
            return  # the record was stored again, at its close
        now = self._clock()
        last = self._last.get(fingerprint)
        self._request[fingerprint] = finding.request_id
        if last is not None and now - last < REPEAT_S:
            self._missed[fingerprint] = self._missed.get(fingerprint, 0) + 1
            return
        count = self._missed.pop(fingerprint, 0) + 1
        self._remember(fingerprint, now)
        _write(finding.name, event_fields(finding, count=count, url=self._link(fingerprint)))

    def _remember(self, fingerprint: str, now: float) -> None:
        if len(self._last) >= MAX_REMEMBERED:
            self._last.clear()
            self._missed.clear()
            self._request.clear()
        self._last[fingerprint] = now


def event_fields(finding: Finding, *, count: int, url: str) -> dict[str, Any]:
    """Give the keys of a log event.

    Args:
        finding: Complete.
        count: How often it was found since the last event of its fingerprint.
        url: Link to its page.
    """
    location = finding.location
    fields = {
        "rule": finding.rule,
        "severity": finding.severity,
        "route": finding.route,
        "location": f"{location.file}:{location.line}" if location else None,
        "request_id": finding.request_id,
        "count": count,
        "duration_ms": finding.evidence.get("duration_ms"),
        "fix": finding.fix.summary if finding.fix else None,
        "message": finding.message,
        "url": url,
    }
    return {
        key: redact_text(value) if isinstance(value, str) else value
        for key, value in fields.items()
    }


def log_store_problem(problem: str, url: str) -> None:
    """Warn that findings are not kept as the settings ask for.

    Args:
        problem: A sentence about the store.
        url: Link to the status page.
    """
    name, problem = "store-problem", redact_text(problem)
    if _is_structlog_used():
        sys.modules["structlog"].get_logger(LOGGER_NAME).warning(name, problem=problem, url=url)
        return
    logger = logging.getLogger(LOGGER_NAME)
    _ensure_handled(logger)
    logger.warning("%s %s", problem, url, extra={"event": name, "url": url})


def readable(name: str, fields: dict[str, Any]) -> str:
    """Write an event as one line for a terminal."""
    place = f" at {fields['location']}" if fields["location"] else ""
    fix = f" Fix: {fields['fix']}" if fields["fix"] else ""
    text = f"{fields['rule']} {name}{place}: {fields['message']}{fix} {fields['url']}"
    return " ".join(text.split())


def _write(name: str, fields: dict[str, Any]) -> None:
    if _is_structlog_used():
        # "message" is a reserved key of the standard library's records, which may lie below.
        shown = {key: value for key, value in fields.items() if key != "message"}
        logger = sys.modules["structlog"].get_logger(LOGGER_NAME)
        logger.warning(name, conclusion=fields["message"], **shown)
        return
    logger = logging.getLogger(LOGGER_NAME)
    _ensure_handled(logger)
    extra = {key: value for key, value in fields.items() if key != "message"}
    logger.warning("%s", readable(name, fields), extra={"event": name, **extra})


def _is_structlog_used() -> bool:
    # Whoever configured structlog has imported it; for others it would cost every start 30 ms.
    structlog = sys.modules.get("structlog")
    return structlog is not None and bool(structlog.is_configured())


def _ensure_handled(logger: logging.Logger) -> None:
    if logger.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s:     %(message)s"))
    logger.addHandler(handler)
