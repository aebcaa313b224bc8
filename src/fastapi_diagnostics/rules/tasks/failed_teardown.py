"""TASK105: what a dependency does after its `yield` failed, when the response was on its way."""

from collections.abc import Iterator

from fastapi_diagnostics.finding import Finding, Fix, Rule
from fastapi_diagnostics.record import ExceptionFact, RequestRecord
from fastapi_diagnostics.rules.tasks._words import (
    QUEUE,
    at,
    error_text,
    exception_evidence,
    function_of,
    status_text,
)

_AFTER_STATUS = frozenset({"response", "background", "teardown"})

RULE = Rule(
    code="TASK105",
    name="failed-teardown",
    family="tasks",
    severity="error",
    title="A dependency failed in its teardown, after the response",
    what=(
        "Reports an exception that a `yield` dependency raised in what stands behind its yield, "
        "once the response was on its way: which dependency, the exception itself (also where "
        "Starlette masks it as 'response already started'), and the line that raised."
    ),
    why=(
        "Since FastAPI 0.118 the part behind the yield runs after the response. The client has "
        "been told that all went well when the commit, the flush or the upload there fails, and "
        "no handler can change that any more."
    ),
    example="""\
async def get_audit():
    audit = Audit()
    yield audit
    await audit.send()
""",
    instead="""\
async def get_audit():
    audit = Audit()
    yield audit
    try:
        await audit.send()
    except AuditError:
        logger.exception("The audit was not sent.")
""",
    limits=(
        "Before FastAPI 0.118 the teardown runs before the response, which then becomes a 500.",
        "Code of a middleware that fails after the response is not reported here.",
    ),
)


def check(record: RequestRecord) -> Iterator[Finding]:
    """Yield a finding for each failure behind the yield of a dependency."""
    if record.kind not in {"http", "websocket"} or record.status is None:
        return
    of_others = {task.exception for task in record.tasks}
    of_others |= {stream.exception for stream in record.broken_streams}
    for index, error in enumerate(record.exceptions):
        name = _dependency(record, error)
        if name and index not in of_others and not _is_consequence(record, error, of_others):
            yield _finding(record, error, index, name)


def _dependency(record: RequestRecord, error: ExceptionFact) -> str:
    """Find the dependency that was being torn down; empty if it was none."""
    if error.phase not in _AFTER_STATUS or not error.answered:
        return ""
    ran = {run.name.partition(" (overrides ")[0] for run in record.dependencies if not run.cached}
    for frame in reversed(error.stack):  # the outermost one first
        function = function_of(frame.location)
        if function in ran:
            return function
        owner = function.rpartition(".")[0]
        if owner in ran and function.endswith(".__call__"):
            return owner
    return ""


def _is_consequence(
    record: RequestRecord, error: ExceptionFact, of_others: set[int | None]
) -> bool:
    """Tell whether it was raised from a failure that another rule names."""
    told = {
        error_text(record.exceptions[index])
        for index in of_others
        if index is not None and index < len(record.exceptions)
    }
    return any(cause in told or cause.rstrip(": ") in told for cause in error.causes)


def _finding(record: RequestRecord, error: ExceptionFact, index: int, name: str) -> Finding:
    return RULE.finding(
        f"The teardown of the dependency {name}() failed with {error_text(error)}"
        f"{at(error.location)}. {_answered(record)}, so nobody outside learns of it.",
        location=error.location,
        fix=Fix(
            summary=(
                "Do what must succeed before the response: in the endpoint, or in a dependency "
                'with Depends(..., scope="function") (FastAPI 0.121), whose teardown runs before '
                f"it and can still become an error. Guard the rest and log it. {QUEUE}"
            ),
            code=(
                "try:\n"
                "    ...  # what stands behind the yield\n"
                "except Exception:\n"
                f'    logger.exception("The teardown of {name} failed")'
            ),
            location=error.location,
        ),
        evidence={
            "task": name,
            "exception": exception_evidence(error),
            "after_response": True,
            "causes": list(error.causes),
            "stack": [frame.location for frame in error.stack],
        },
        cause=f"{name} {error.type}",
        subject=f"exceptions[{index}]",
    )


def _answered(record: RequestRecord) -> str:
    if record.kind == "websocket":
        return "The connection had been closed"
    return f"The client had already received its answer{status_text(record)}"
