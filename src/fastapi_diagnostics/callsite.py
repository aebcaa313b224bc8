"""Which line of the user's code is running: walks frames, through greenlets, past libraries.

On the request's path a call site is only ``(code, f_lasti)``, which keeps no frame alive.
`resolve` turns it into a `Frame` later, once per place.
"""

import dis
import re
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, TypeAlias

from fastapi_diagnostics.record import Frame, Location

Site: TypeAlias = tuple[CodeType, int]
"""A code object and the offset of the instruction that was running."""

LIBRARY: Final = 0
USER: Final = 1
FLUSH: Final = 2  # the unit of work of SQLAlchemy: what lies above was written by a flush
STOP: Final = 3  # below these files there is only server and middleware, 40 to 60 frames
TEMPLATE: Final = 4  # in `UserCode.kinds` only: the user's, and perhaps compiled from a template

_STOP_FILES = (
    "/fastapi/routing.py",
    "/starlette/routing.py",
    "/anyio/_backends/_asyncio.py",
    "/asyncio/events.py",
    "/asyncio/base_events.py",
)
_FLUSH_FILE = "/sqlalchemy/orm/unitofwork.py"
_OWN_PACKAGE = str(Path(__file__).resolve().parent) + "/"
_INSTALLED = ("/site-packages/", "/dist-packages/")
_CACHE_LIMIT = 20_000
_PYTHON = (".py", ".pyw", ".pyx", ".ipynb")
_TEMPLATES: dict[CodeType, str] = {}
"""What Jinja notes of the code that it compiles: pairs of lines, the template's and the code's."""
_MAX_TEMPLATES = 2000
_INNER = re.compile(r"\.<locals>\.<(?:listcomp|dictcomp|setcomp|genexpr|lambda)>")
_WHOLE_INNER = re.compile(r"^<(?:listcomp|dictcomp|setcomp|genexpr)>$")


class UserCode:
    """Tells the user's files from everybody else's; one for the process.

    User code lies below a project root, outside of installed packages and virtual environments,
    or in a package that was named or adopted, wherever that is installed.

    Attributes:
        version: Grows when files are judged anew; what was resolved before is out of date.
    """

    def __init__(self) -> None:
        self.version = 0
        self.roots: tuple[str, ...] = ()
        self.packages: tuple[str, ...] = ()
        self.kinds: dict[str, int] = {}
        self._libraries: tuple[str, ...] = (
            _OWN_PACKAGE,
            *{sysconfig.get_path(name) + "/" for name in ("stdlib", "platstdlib")},
        )

    def add_root(self, root: Path) -> None:
        """Count what lies below *root*, an absolute path without links, as the user's."""
        text = _posix(str(root)).rstrip("/") + "/"
        if text not in self.roots:
            self.roots = (*self.roots, text)
            self._forget()

    def add_package(self, path: Path) -> None:
        """Count a package's folder, or a module's file, as the user's although it is installed."""
        text = _posix(str(path))
        if path.is_dir():
            text = text.rstrip("/") + "/"
        if text not in self.packages:
            self.packages = (*self.packages, text)
            self._forget()

    def reset(self) -> None:
        """Forget all roots and packages; for tests."""
        self.roots = self.packages = ()
        self._forget()

    def kind(self, filename: str) -> int:
        """Classify a file name as found in ``co_filename``; cached."""
        known = self.kinds.get(filename)
        if known is None:
            if len(self.kinds) > _CACHE_LIMIT:
                self.kinds.clear()
            known = self.kinds[filename] = self._classify(filename)
        return USER if known == TEMPLATE else known

    def shown(self, filename: str) -> str:
        """Name a file as people know it: relative to the project root where it lies below it."""
        name = _posix(_full(filename))
        for root in self.roots:
            if name.startswith(root) and not _installed(name):
                return name[len(root) :]
        return name

    def absolute(self, shown: str) -> Path:
        """Find the file that `shown` named."""
        path = Path(shown)
        if path.is_absolute():
            return path
        for root in self.roots:
            candidate = Path(root) / shown
            if candidate.exists():
                return candidate
        return path

    def _forget(self) -> None:
        self.version += 1
        self.kinds.clear()
        resolve.cache_clear()

    def _classify(self, filename: str) -> int:
        if filename.startswith("<"):
            return LIBRARY
        name = _posix(_full(filename))
        if name.startswith(self.packages):
            return USER
        if name.endswith(_FLUSH_FILE):
            return FLUSH
        if name.endswith(_STOP_FILES):
            return STOP
        if _installed(name) or name.startswith(self._libraries):
            return LIBRARY
        users = USER if name.endswith(_PYTHON) else TEMPLATE
        return users if name.startswith(self.roots) else LIBRARY


USER_CODE = UserCode()


MAX_HANDED: Final = 4


class _Handed(threading.local):
    """The user's lines that handed this thread its present work, innermost first."""

    sites: tuple[Site, ...] = ()


HANDED = _Handed()


def caller_sites(
    frame: FrameType | None, limit: int, green: Any = None
) -> tuple[tuple[Site, ...], bool]:
    """Collect the user's call sites, innermost first.

    Args:
        frame: Where to begin, usually ``sys._getframe(1)``.
        limit: How many at most.
        green: The greenlet of that frame, if it is not the running one.

    Returns:
        The sites, those that handed the work to this thread included, and whether a flush of
        SQLAlchemy's unit of work lay in between.
    """
    kind_of = USER_CODE.kinds.get
    sites: tuple[Site, ...] = ()
    flush = False
    while True:
        while frame is not None:
            code = frame.f_code
            kind = kind_of(code.co_filename)
            if kind is None:
                USER_CODE.kind(code.co_filename)
                kind = kind_of(code.co_filename, LIBRARY)
            if kind:  # most are LIBRARY
                if kind == FLUSH:
                    flush = True
                elif kind == STOP:
                    return (sites + HANDED.sites)[:limit], flush
                else:
                    if kind == TEMPLATE:
                        _note_template(frame)
                    sites += ((code, frame.f_lasti),)
                    if len(sites) == limit:
                        return sites, flush
            frame = frame.f_back
        green = parent_greenlet(green)
        if green is None:
            return (sites + HANDED.sites)[:limit], flush
        # The frames of a greenlet end where it was spawned; its parent's go on from there.
        frame = green.gr_frame


def _note_template(frame: FrameType) -> None:
    """Keep how the lines of compiled code belong to those of its template; Jinja tells it."""
    code = frame.f_code
    if code not in _TEMPLATES and len(_TEMPLATES) < _MAX_TEMPLATES:
        lines = frame.f_globals.get("debug_info")
        _TEMPLATES[code] = lines if isinstance(lines, str) else ""


def user_traceback(error: BaseException, limit: int) -> tuple[Site, ...]:
    """Collect the user's call sites of a traceback, innermost first, at most *limit*."""
    sites: list[Site] = []
    traceback = error.__traceback__
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if USER_CODE.kind(code.co_filename) == USER:
            sites.append((code, traceback.tb_lasti))
        traceback = traceback.tb_next
    return tuple(reversed(sites[-limit:]))


def frames(sites: Iterable[Site]) -> tuple[Frame, ...]:
    """Resolve call sites; a comprehension and its function at one line are one frame."""
    found: list[Frame] = []
    for code, lasti in sites:
        frame = resolve(code, lasti)
        if found and found[-1].location == frame.location:
            if frame.in_loop and not found[-1].in_loop:
                found[-1] = frame
            continue
        found.append(frame)
    return tuple(found)


@lru_cache(maxsize=8192)
def resolve(code: CodeType, lasti: int) -> Frame:
    """Turn a call site into a line of a file, and tell whether a loop was running there."""
    location = Location(
        file=USER_CODE.shown(code.co_filename),
        line=_line(code, lasti),
        function=function_name(code),
    )
    return Frame(location=location, in_loop=_in_loop(code, lasti))


def definition(function: object) -> Location | None:
    """Locate the ``def`` of a user's function; `None` for library code and builtins."""
    target = unwrapped(function)
    code = getattr(target, "__code__", None)
    if not isinstance(code, CodeType) or USER_CODE.kind(code.co_filename) != USER:
        return None
    return Location(
        file=USER_CODE.shown(code.co_filename),
        line=code.co_firstlineno,
        function=function_name(code),
    )


def unwrapped(function: object) -> object:
    """Look through ``functools.partial``, ``functools.wraps`` and callable objects."""
    for _ in range(20):
        inner = getattr(function, "__wrapped__", None) or getattr(function, "func", None)
        if inner is None:
            break
        function = inner
    if not hasattr(function, "__code__") and not isinstance(function, type):
        call = getattr(type(function), "__call__", None)  # noqa: B004 - the method itself is wanted
        return call if hasattr(call, "__code__") else function
    return function


def function_name(code: CodeType) -> str:
    """Name a function; comprehensions and lambdas bear the name of what holds them."""
    name = _INNER.sub("", code.co_qualname)
    return "<module>" if _WHOLE_INNER.match(name) else name


def _line(code: CodeType, lasti: int) -> int:
    lines = _TEMPLATES.get(code, "")
    for start, end, line in code.co_lines():
        if line is not None and start <= lasti < end:
            return _template_line(lines, line) if lines else line
    return code.co_firstlineno


def _template_line(lines: str, line: int) -> int:
    """Give the template's line for one of its compiled code; *lines* is like ``1=12&3=15``."""
    found = 1
    for pair in lines.split("&"):
        theirs, _, compiled = pair.partition("=")
        if not (theirs.isdecimal() and compiled.isdecimal()) or int(compiled) > line:
            break
        found = int(theirs)
    return found


def _in_loop(code: CodeType, lasti: int) -> bool:
    return any(start <= lasti <= end for start, end in _loops(code))


@lru_cache(maxsize=2048)
def _loops(code: CodeType) -> tuple[tuple[int, int], ...]:
    """Find the stretches between a backward jump and its target.

    The jumps with which ``await`` waits for its result are not loops of the user; CPython calls
    them JUMP_BACKWARD_NO_INTERRUPT.
    """
    return tuple(
        (instruction.argval, instruction.offset)
        for instruction in dis.get_instructions(code)
        if "JUMP_BACKWARD" in instruction.opname and "NO_INTERRUPT" not in instruction.opname
    )


_getcurrent: Callable[[], Any] | None = None


def parent_greenlet(green: Any = None) -> Any:
    """Give the parent of a greenlet, or of the running one; `None` outside of any."""
    global _getcurrent  # noqa: PLW0603 - found once somebody has imported greenlet
    if green is not None:
        return green.parent
    if _getcurrent is None:
        module = sys.modules.get("greenlet")
        if module is None:
            return None
        _getcurrent = module.getcurrent
    return _getcurrent().parent


def _full(filename: str) -> str:
    """Complete the relative name of a template; those in compiled extensions name no file here."""
    if filename.startswith("<"):
        return filename
    path = Path(filename)
    return filename if path.is_absolute() or not path.exists() else str(path.absolute())


def _installed(name: str) -> bool:
    return any(mark in name for mark in _INSTALLED)


def _posix(name: str) -> str:
    return name.replace("\\", "/")
