"""Which imports the code of a fix needs that the user's file does not have.

Only names that our own rules write are known; what else stands in a fix was taken from the file.
Without `ast`: see `fastapi_diagnostics.outline` for why nothing of ours parses.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from fastapi_diagnostics.outline import code_lines

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "fastapi": ("Body", "Depends", "Header", "Query"),
    "fastapi.concurrency": ("run_in_threadpool",),
    "fastapi.responses": ("JSONResponse",),
    "functools": ("partial",),
    "pydantic": ("AliasChoices", "ConfigDict", "Field", "field_validator", "model_validator"),
    "sqlalchemy": ("bindparam", "delete", "func", "insert", "select", "update"),
    "sqlalchemy.ext.asyncio": ("async_sessionmaker", "create_async_engine"),
    "sqlalchemy.orm": (
        *("contains_eager", "defer", "immediateload", "joinedload", "load_only", "raiseload"),
        *("selectinload", "subqueryload", "undefer"),
    ),
    "typing": ("Annotated",),
}
_MODULES: Final = ("aiosqlite", "anyio", "asyncio", "gc", "httpx", "logging.handlers")
_STATEMENTS: Final = {
    **{name: f"from {module} import {name}" for module, names in _NAMES.items() for name in names},
    **{module: f"import {module}" for module in _MODULES},
}
_USED: Final = {name: re.compile(rf"(?<![\w.]){re.escape(name)}(?=[.(\[])") for name in _STATEMENTS}
_BOUND: Final = {
    name: re.compile(rf"(?<![\w.]){re.escape(name)}(?!\w|\s+as\b)") for name in _STATEMENTS
}
_STRING: Final = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_EVERYTHING: Final = re.compile(r"^\s*from\s+\S+\s+import\s+\*", re.MULTILINE)


def names_to_import(code: str) -> tuple[str, ...]:
    """Give the names of other modules that the code of a fix uses."""
    code = _without_strings(code)
    return tuple(name for name, used in _USED.items() if used.search(code))


def missing_imports(names: Iterable[str], text: str) -> tuple[str, ...]:
    """Write the import statements that a file lacks.

    Args:
        names: What `names_to_import` gave.
        text: The file, as `code_of` gives it. A name that stands anywhere in it is taken to be
            there already; of a file that imports everything of a module nothing can be said.
    """
    if _EVERYTHING.search(text):
        return ()
    return tuple(_STATEMENTS[name] for name in names if not _BOUND[name].search(text))


def code_of(lines: Sequence[str]) -> str:
    """Give the code of a file, without comments and the text of strings."""
    return _without_strings("\n".join(code_lines(lines)))


def _without_strings(text: str) -> str:
    return _STRING.sub("''", text)
