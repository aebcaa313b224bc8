"""Finds templates and static files, in a wheel and in a checkout."""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import jinja2

_PACKAGE = Path(__file__).resolve().parents[2]
_SHIPPED = _PACKAGE / "_dashboard"  # inside an installed wheel
_CHECKOUT = _PACKAGE.parents[1] / "dashboard"  # an editable install or a checkout
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class StaticFile(msgspec.Struct, frozen=True):
    """A file for the browser."""

    data: bytes
    media_type: str
    version: str


def dashboard_dir() -> Path:
    """Find the directory that holds ``templates/`` and ``static/``.

    Raises:
        FileNotFoundError: The installation is broken: neither place exists.
    """
    for place in (_SHIPPED, _CHECKOUT):
        if (place / "templates").is_dir():
            return place
    raise FileNotFoundError(f"no dashboard templates in {_SHIPPED} or {_CHECKOUT}")


@lru_cache(maxsize=1)
def static_files() -> dict[str, StaticFile]:
    """Read the files that may be served, by name: a name from outside never becomes a path."""
    found = {}
    for path in sorted((dashboard_dir() / "static").iterdir()):
        if path.suffix in _TYPES and path.is_file():
            data = path.read_bytes()
            version = hashlib.blake2b(data, digest_size=5).hexdigest()
            found[path.name] = StaticFile(data, _TYPES[path.suffix], version)
    return found


@lru_cache(maxsize=1)
def _environment() -> "jinja2.Environment":
    import jinja2  # noqa: PLC0415 - 15 ms that only who opens a page pays

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(dashboard_dir() / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **context: Any) -> bytes:
    """Render a page; reads files at first, so call it in a thread."""
    text = _environment().get_template(template).render(context)
    # Text of the user's program may hold half characters, which no page can carry.
    return text.encode("utf-8", "replace")
