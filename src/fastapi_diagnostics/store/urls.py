"""What ``store_url`` may say."""

import re
from pathlib import Path

DEFAULT_URL = "sqlite:///.fastapi_diagnostics/diagnostics.db"

_ALLOWED = (
    'allowed are "memory:", "sqlite:///relative.db", "sqlite:////absolute.db", '
    "or nothing for .fastapi_diagnostics/diagnostics.db"
)
_USERINFO = re.compile(r"^([a-z0-9+.\-]*:(?://)?)?.*@", re.IGNORECASE | re.DOTALL)
_PARAMETERS = re.compile(r"[?#].*", re.DOTALL)
_MEMORY = frozenset({"memory:", "memory://", "sqlite://", "sqlite:///", "sqlite:///:memory:"})


class StoreUrlError(ValueError):
    """The setting ``store_url`` has a value that cannot be used."""


def without_secrets(url: str) -> str:
    """Cut user, password and parameters out of a URL, so that it can be shown."""
    return _PARAMETERS.sub("?***", _USERINFO.sub(r"\1***@", url))


def file_of(url: str, directory: Path) -> Path | None:
    """Give the absolute path of the file that *url* names; `None` means memory.

    Args:
        url: The value of the setting ``store_url``.
        directory: What a relative path starts from.

    Raises:
        StoreUrlError: The URL is of a kind that is not supported (yet).
    """
    if url in _MEMORY:
        return None
    if url.startswith("sqlite:///") and "?" not in url and "\0" not in url:
        return Path(directory, url.removeprefix("sqlite:///")).absolute()
    shown = without_secrets(url)
    if url.lower().startswith(("postgresql", "postgres:")):
        raise StoreUrlError(f"store_url={shown!r}: PostgreSQL is not yet supported; {_ALLOWED}")
    raise StoreUrlError(f"store_url={shown!r} is not supported (not yet, perhaps); {_ALLOWED}")
