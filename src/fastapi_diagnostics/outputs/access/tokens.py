"""The token: where it is kept, how it is shown, and the cookie that stands for it."""

import hashlib
import hmac
import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from fastapi_diagnostics.asgi import Scope, header_values
from fastapi_diagnostics.store.files import UnusableFileError, create_private, prepare_own_folder

TOKEN_BYTES: Final = 24
"""192 bit."""
FILE_NAME: Final = "token"
_READ: Final = 1024
_KEPT = re.compile(r"[A-Za-z0-9_-]{22,256}")
_COOKIE_VALUE = re.compile(r"v1\.([0-9a-f]{64})\.([0-9a-f]{32})")
_MAX_COOKIES: Final = 200


def load_or_create_token(folder: Path) -> str:
    """Give the token that all workers share, also across reloads.

    Args:
        folder: The store's own folder; made if it is missing.

    Returns:
        The token of the file ``token`` in it, which is made if it is missing.
        A new one for this process where that file cannot be kept or trusted.
    """
    path = folder / FILE_NAME
    new = secrets.token_urlsafe(TOKEN_BYTES)
    with suppress(OSError, UnusableFileError):
        prepare_own_folder(folder)
        with suppress(FileExistsError):
            _create(path, new)
        return _read(path) or new
    return new


def is_right(given: str, token: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(_bytes(given), _bytes(token))


def bearer(scope: Scope) -> str | None:
    """Give the token of the Authorization header; `None` without one."""
    for value in header_values(scope, b"authorization"):
        scheme, _, token = value.decode("latin-1").partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
    return None


def cookie_name(token: str) -> str:
    """Name the cookie of this instance: other servers on this host see all cookies of the name."""
    return f"fastapi_diagnostics_{_mac(token, 'name')[:12]}"


def new_cookie(token: str, nonce: str) -> str:
    """Make a cookie's value, from which the token cannot be had.

    Args:
        token: The token.
        nonce: 32 random hexadecimal digits.
    """
    return f"v1.{_mac(token, f'cookie {nonce}')}.{nonce}"


def has_cookie(scope: Scope, token: str) -> bool:
    """Tell whether the request carries a cookie that was made with this token."""
    name = cookie_name(token)
    for header in header_values(scope, b"cookie"):
        for pair in header.decode("latin-1").split(";", _MAX_COOKIES)[:_MAX_COOKIES]:
            key, _, value = pair.strip().partition("=")
            found = _COOKIE_VALUE.fullmatch(value) if key == name else None
            if found and hmac.compare_digest(value, new_cookie(token, found[2])):
                return True
    return False


def _mac(token: str, purpose: str) -> str:
    return hmac.new(_bytes(token), purpose.encode(), hashlib.sha256).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _create(path: Path, token: str) -> None:
    """Put the token there unless there is one; nobody ever sees it half written."""
    if path.exists():
        return
    draft = path.with_name(f".{FILE_NAME}-{secrets.token_hex(8)}")
    _write(draft, token)
    try:
        os.link(draft, path)
    except FileExistsError:
        return  # another worker was first
    except OSError:
        _write(path, token)  # no hard links there, as on some shared folders
    finally:
        draft.unlink(missing_ok=True)


def _write(path: Path, token: str) -> None:
    with os.fdopen(create_private(path), "w", encoding="ascii") as file:
        file.write(token)


def _read(path: Path) -> str | None:
    """Read the token; `None` if the file is not ours or holds none."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            return None
        if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
            return None
        if hasattr(os, "fchmod") and stat.S_IMODE(found.st_mode) & 0o077:
            os.fchmod(file.fileno(), 0o600)  # its folder has kept others out meanwhile
        text = file.read(_READ).decode("ascii", "replace").strip()
    return text if _KEPT.fullmatch(text) else None
