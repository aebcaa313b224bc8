"""Every setting, documented once.

A setting is a keyword of the middleware and an environment variable
``FASTAPI_DIAGNOSTICS_<NAME>``; the keyword wins.
The documentation's table and the errors are made from the declarations below.
"""

import difflib
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec

from fastapi_diagnostics.editors import EDITORS, editor_template
from fastapi_diagnostics.store.urls import without_secrets

ENV_SWITCH = "FASTAPI_DIAGNOSTICS"
ENV_PREFIX = "FASTAPI_DIAGNOSTICS_"

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
_PRODUCTION = frozenset({"production", "prod", "live"})
_ENVIRONMENT_NAMES = ("ENV", "APP_ENV", "ENVIRONMENT", "FASTAPI_ENV")

# What clients send as it is; they resolve "." and ".." themselves.
_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+")
_HOST = re.compile(
    r"(?:\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.?)(?::\d{1,5})?", re.IGNORECASE
)


class DiagnosticsError(Exception):
    """The root of our own errors; raised at set-up only, never into a request."""


class ConfigurationError(DiagnosticsError, ValueError):
    """A setting is unknown or its value is not allowed; the text says what is."""


class Setting(msgspec.Struct, frozen=True):
    """How a setting is read, and its words.

    Attributes:
        parse: Takes a Python value or the text of an environment variable and returns the value;
            raises `ValueError` or `TypeError` when it is not allowed.
        allowed: What is allowed, to end the sentence "… must be".
        doc: One or two sentences for the table in the documentation.
    """

    parse: Callable[[Any], Any]
    allowed: str
    doc: str


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(text)


def _optional_boolean(value: Any) -> bool | None:
    return None if value is None or value == "" else _boolean(value)


def _positive(value: Any) -> float:
    number = float(_no_boolean(value))
    if not 0 < number < float("inf"):
        raise ValueError(value)
    return number


def _count(value: Any) -> int:
    number = int(_no_boolean(value))
    if number < 1 or (isinstance(value, float) and value != number):
        raise ValueError(value)
    return number


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise TypeError(value)
    return value


def _path(value: Any) -> str:
    text = value.rstrip("/") if isinstance(value, str) else ""
    if not _PATH.fullmatch(text):
        raise ValueError(value)
    return text


def _names(value: Any) -> tuple[str, ...]:
    if isinstance(value, Mapping):
        raise TypeError(value)
    parts = value.split(",") if isinstance(value, str) else list(value)
    if not all(isinstance(part, str) for part in parts):
        raise TypeError(value)
    return tuple(part.strip() for part in parts if part.strip())


def _hosts(value: Any) -> tuple[str, ...]:
    names = _names(value)
    if not all(_HOST.fullmatch(name) for name in names):
        raise ValueError(value)
    return names


def _text(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _editor(value: Any) -> str | None:
    text = _text(value)
    if text is not None and not editor_template(text):
        raise ValueError(text)
    return text


def _token(value: Any) -> str | None:
    text = _text(value)
    if text is not None and len(text) < 16:  # noqa: PLR2004 - below 16 characters guessing is easy
        raise ValueError("too short")
    return text


def _store_url(value: Any) -> str | None:
    text = _text(value)
    if text is None or text == "memory:":
        return text
    file = text.removeprefix("sqlite:///")
    if file == text or not file or "?" in file or "\0" in file:
        raise ValueError(text)
    return text


def _folder(value: Any) -> str | None:
    if value is None or value == "":
        return None
    path = Path(value)
    if not path.is_dir():
        raise ValueError(value)
    return str(path.resolve())


def _values(value: Any) -> str:
    if value not in ("redacted", "none"):
        raise ValueError(value)
    return str(value)


def _path_map(value: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(value, Mapping):
        pairs = [list(pair) for pair in value.items()]
    elif isinstance(value, str):
        pairs = [part.split("=", 1) for part in _names(value)]
    else:
        pairs = [list(pair) for pair in value]
    if not all(len(pair) == 2 and all(isinstance(p, str) for p in pair) for pair in pairs):  # noqa: PLR2004
        raise ValueError(value)
    return tuple((source, target) for source, target in pairs)


_YES_NO = "true or false"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, checked; build it with `read_settings`."""

    enabled: Annotated[
        bool,
        Setting(
            _boolean,
            _YES_NO,
            "Switches everything off: the middleware then forwards every call untouched. "
            "The environment variable is `FASTAPI_DIAGNOSTICS`.",
        ),
    ] = True
    path: Annotated[
        str,
        Setting(
            _path,
            'a path that begins with "/", such as "/_diagnostics", is not "/" alone and is made of '
            "letters, digits and . _ ~ -",
            "Where the pages and the JSON API are served.",
        ),
    ] = "/_diagnostics"
    store_url: Annotated[
        str | None,
        Setting(
            _store_url,
            '"memory:" or "sqlite:///<file>" ("postgresql://" is not supported yet)',
            "Where findings are kept. Without it: `.fastapi_diagnostics/diagnostics.db` in the "
            "working directory, or memory under pytest and where `CI` is set.",
        ),
    ] = None
    max_requests: Annotated[
        int, Setting(_count, "a whole number above 0", "How many requests are kept.")
    ] = 5000
    max_age_hours: Annotated[
        float, Setting(_positive, "a number above 0", "How long requests are kept.")
    ] = 72.0
    max_mib: Annotated[
        float, Setting(_positive, "a number above 0", "How large the store may grow, in MiB.")
    ] = 100.0
    block_threshold_ms: Annotated[
        float,
        Setting(
            _positive,
            "a number of milliseconds above 0",
            "From which duration one step on the event loop counts as a block.",
        ),
    ] = 50.0
    select: Annotated[
        tuple[str, ...],
        Setting(
            _names,
            "rule codes, families or names such as SQL101, SQL or n-plus-one-relationship",
            "Rules to run although they are off by default.",
        ),
    ] = ()
    ignore: Annotated[
        tuple[str, ...],
        Setting(
            _names,
            "rule codes, families or names such as SQL105, SQL or duplicate-query",
            "Rules whose findings are not made.",
        ),
    ] = ()
    headers: Annotated[
        bool,
        Setting(
            _boolean,
            _YES_NO,
            "Whether responses carry `X-Diagnostics-Id` and `Server-Timing`.",
        ),
    ] = True
    values: Annotated[
        Literal["redacted", "none"],
        Setting(
            _values,
            '"redacted" or "none"',
            "Whether bound values and inputs are shown (secrets are always redacted) or only "
            "their types and sizes.",
        ),
    ] = "redacted"
    project_root: Annotated[
        str | None,
        Setting(
            _folder,
            "an existing folder",
            "What lies below it is your code. Without it: the nearest folder with a "
            "`pyproject.toml` or `.git`, from the working directory upwards.",
        ),
    ] = None
    user_packages: Annotated[
        tuple[str, ...],
        Setting(
            _names,
            "import names of packages",
            "Installed packages that are your code too.",
        ),
    ] = ()
    editor: Annotated[
        str | None,
        Setting(
            _editor,
            f"{', '.join(EDITORS)}, or a link with {{file}} and {{line}}",
            "Makes source lines links into your editor.",
        ),
    ] = None
    editor_path_map: Annotated[
        tuple[tuple[str, str], ...],
        Setting(
            _path_map,
            'pairs such as {"/app": "/home/me/project"}',
            "Where files of a container lie on the machine of the editor.",
        ),
    ] = ()
    allowed_hosts: Annotated[
        tuple[str, ...],
        Setting(
            _hosts,
            "host names such as dev.local, without scheme, path or wildcard",
            "Names besides localhost under which the pages may be opened.",
        ),
    ] = ()
    token: Annotated[
        str | None,
        Setting(
            _token,
            "a text of at least 16 characters",
            "The token for clients that are not on this machine. Without it one is made and kept "
            "beside the store.",
        ),
    ] = None
    require_token: Annotated[
        bool,
        Setting(_boolean, _YES_NO, "Whether clients on this machine need the token, too."),
    ] = False
    allow_production: Annotated[
        bool,
        Setting(
            _boolean,
            _YES_NO,
            "Whether to run where the environment calls itself production; needs a token.",
        ),
    ] = False
    banner: Annotated[
        bool | None,
        Setting(
            _optional_boolean,
            _YES_NO,
            "Whether one line at start says where the pages are. Off under pytest and `CI`.",
        ),
    ] = None
    log: Annotated[
        bool | None,
        Setting(
            _optional_boolean,
            _YES_NO,
            "Whether findings are logged. Off under pytest and `CI`.",
        ),
    ] = None


def declarations() -> dict[str, Setting]:
    """List the settings by name, in their order."""
    hints = get_type_hints(Settings, include_extras=True)
    return {name: hints[name].__metadata__[0] for name in Settings.__struct_fields__}


def read_settings(options: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Check keywords and environment.

    Raises:
        ConfigurationError: A name is unknown or a value is not allowed.
    """
    known = declarations()
    values: dict[str, Any] = {}
    for variable, text in environ.items():
        name = _setting_name(variable)
        if name is not None and name not in options:
            values[name] = _checked(known, name, text, f"environment variable {variable}")
    for name, value in options.items():
        values[name] = _checked(known, name, value, f"setting {name}")
    settings = Settings(**values)
    return _for_surroundings(settings, environ)


def source_of(name: str, options: Mapping[str, Any]) -> str:
    """Name where a setting came from, for an error about its value."""
    return f"setting {name}" if name in options else f"environment variable {_variable(name)}"


def in_production(environ: Mapping[str, str]) -> bool:
    """Tell whether the environment calls itself production."""
    return any(environ.get(name, "").strip().lower() in _PRODUCTION for name in _ENVIRONMENT_NAMES)


def automated(environ: Mapping[str, str]) -> bool:
    """Tell whether this is a test run or CI."""
    return (
        "PYTEST_VERSION" in environ
        or "PYTEST_CURRENT_TEST" in environ
        or environ.get("CI", "").lower() in _TRUE
        or "_pytest.main" in sys.modules
    )


def find_project_root(start: Path) -> Path:
    """Find the nearest folder that holds a project, or *start* itself."""
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file() or (folder / ".git").exists():
            return folder
    return start


def _variable(name: str) -> str:
    return ENV_SWITCH if name == "enabled" else ENV_PREFIX + name.upper()


def _setting_name(variable: str) -> str | None:
    if os.name == "nt":
        variable = variable.upper()
    if variable == ENV_SWITCH:
        return "enabled"
    return variable[len(ENV_PREFIX) :].lower() if variable.startswith(ENV_PREFIX) else None


def _checked(known: Mapping[str, Setting], name: str, value: Any, what: str) -> Any:
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}."
        raise ConfigurationError(f"fastapi-diagnostics: {what} is unknown; {hint}")
    declared = known[name]
    try:
        return declared.parse(value)
    except (ValueError, TypeError):
        shown = "..." if name == "token" else _shown(name, value)
        raise ConfigurationError(
            f"fastapi-diagnostics: {what} must be {declared.allowed}, not {shown}."
        ) from None


def _shown(name: str, value: Any) -> str:
    if name == "store_url" and isinstance(value, str):
        value = without_secrets(value)
    text = repr(value)[:200]
    head, separator, tail = text.rpartition("@")
    if not separator or "://" not in head:
        return text
    return head[: head.index("://") + 3] + "***@" + tail


def _for_surroundings(settings: Settings, environ: Mapping[str, str]) -> Settings:
    quiet = automated(environ)
    return msgspec.structs.replace(
        settings,
        store_url=settings.store_url or ("memory:" if quiet else None),
        banner=settings.banner if settings.banner is not None else not quiet,
        log=settings.log if settings.log is not None else not quiet,
    )
