"""Words that the rules about background work share."""

from fastapi_diagnostics.record import ExceptionFact, Location, RequestRecord

QUEUE = (
    "What must not be lost belongs in a queue that keeps it and repeats it (ARQ, Celery, taskiq)."
)


def error_text(error: ExceptionFact) -> str:
    """Write an exception as Python prints it."""
    return f"{error.type}: {error.message}" if error.message else error.type


def at(location: Location | None) -> str:
    """Write a place behind a sentence; empty without one."""
    return "" if location is None else f" at {location.file}:{location.line}"


def exception_evidence(error: ExceptionFact) -> dict[str, object]:
    """Give an exception as evidence, in the form that readers may rely on."""
    return {"type": error.type, "message": error.message, "location": error.location}


def status_text(record: RequestRecord) -> str:
    """Write the status behind a word for the answer; empty if there is none."""
    return "" if record.status is None else f" ({record.status})"


def function_of(location: Location) -> str:
    """Name the function of a place without those around it."""
    return location.function.rpartition("<locals>.")[2]
