"""Reads the labels that stand in the modules of the situations.

A situation begins with a comment and ends where the next one begins::

    # situation: lazy-loop
    # situation: selectinload (clean, like SQL101)
    # situation: free-slug (undecided: tries values until one is free looks the same)

In brackets: ``clean``; ``like CODE``, the rule whose defect it resembles; ``mends NAME``, the
situation that it answers like; ``times N``, sent so often at once; ``select CODE``, with a rule
that is off by default; ``notes CODE``, a rule whose notes (severity info) are right as well;
``undecided: WHY``, words of a limit of the rule: what is expected may be found, or not.
``template NAME``: labels stand in that template as well, as ``{# expect: … #}``.
A guilty line ends with ``# expect: SQL101 Author.books``, with several parts split by ``;``; the
word behind the code is an attribute that the finding names, or its severity.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from fastapi_diagnostics.rules.catalogue import all_rules

_HEADER = re.compile(r"^# situation: (?P<name>[a-z0-9-]+)(?: \((?P<rest>.*)\))?$")
_EXPECT = re.compile(r"  # expect: (?P<all>.+)$")
_EXPECT_THERE = re.compile(r"{# expect: (?P<all>.+) #}$")
TEMPLATES = Path(__file__).parent / "shop" / "templates"
_CODE = re.compile(r"^[A-Z]+\d{3}$")
_SEVERITIES = frozenset({"error", "warning", "info"})


@dataclass(frozen=True)
class Expected:
    """One finding that must be made.

    Attributes:
        line: Where.
        attribute: What its evidence must name; empty: any.
        severity: Empty: any.
        template: The template whose line it is; empty: that of the situation's module.
    """

    rule: str
    line: int
    attribute: str = ""
    severity: str = ""
    template: str = ""


@dataclass(frozen=True)
class Situation:
    """A few lines of code, and what is to be said of them.

    Attributes:
        name: Its path without the slash, or its function's name with hyphens.
        expected: Empty for one in which nothing is wrong.
        like: The rule whose defect it resembles; for a defect, empty.
        mends: The situation with the same answer.
        times: How many requests are sent at once.
        select: Rules to switch on.
        notes: A rule whose notes are no accusation here.
        undecided: Why nobody can tell whether it is a defect, in words of the rule's limits; empty
            where one can.
    """

    name: str
    module: ModuleType
    file: Path
    line: int
    clean: bool = False
    expected: tuple[Expected, ...] = ()
    like: str = ""
    mends: str = ""
    times: int = 1
    select: str = ""
    notes: str = ""
    undecided: str = ""

    @property
    def rules(self) -> tuple[str, ...]:
        """Codes that are expected."""
        return tuple(dict.fromkeys(one.rule for one in self.expected))

    @property
    def waits_for(self) -> tuple[str, ...]:
        """Codes that are expected and do not exist yet."""
        return tuple(code for code in (*self.rules, self.select) if code and code not in CODES)


CODES = frozenset(loaded.rule.code for loaded in all_rules())


@dataclass
class _Open:
    name: str
    line: int
    options: dict[str, str] = field(default_factory=dict)
    expected: list[Expected] = field(default_factory=list)


def situations_of(module: ModuleType) -> list[Situation]:
    """Read the labels of a module.

    Raises:
        ValueError: A label is not understood, or does not say what is expected.
    """
    file = Path(module.__file__ or "")
    return [_closed(opened, module, file) for opened in _regions(file)]


def _regions(file: Path) -> Iterator[_Open]:
    opened: _Open | None = None
    for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        header = _HEADER.match(text)
        if header is not None:
            if opened is not None:
                yield opened
            opened = _Open(header["name"], number, _options(header["rest"] or "", file, number))
        elif text.startswith("# situation"):
            raise ValueError(f"{file.name}:{number}: {text}")
        elif (expect := _EXPECT.search(text)) is not None:
            if opened is None:
                raise ValueError(f"{file.name}:{number} belongs to no situation")
            opened.expected += (_expected(part, number) for part in expect["all"].split(";"))
    if opened is not None:
        yield opened


def _options(text: str, file: Path, number: int) -> dict[str, str]:
    text, _, undecided = text.partition("undecided: ")
    options = {"undecided": undecided}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        word, _, value = part.partition(" ")
        if word not in {"clean", "like", "mends", "times", "select", "notes", "template"}:
            raise ValueError(f"{file.name}:{number}: {part!r}")
        options[word] = value or "yes"
    return options


def _expected(part: str, line: int) -> Expected:
    code, *words = part.split()
    if not _CODE.match(code):
        raise ValueError(f"line {line}: {code!r} is no rule")
    severity = next((word for word in words if word in _SEVERITIES), "")
    attribute = next((word for word in words if word not in _SEVERITIES), "")
    return Expected(code, line, attribute, severity)


def _expected_there(template: str) -> Iterator[Expected]:
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        if (expect := _EXPECT_THERE.search(line)) is not None:
            for part in expect["all"].split(";"):
                yield replace(_expected(part, number), template=template)


def _closed(opened: _Open, module: ModuleType, file: Path) -> Situation:
    options = opened.options
    if "template" in options:
        opened.expected += _expected_there(options["template"])
    clean = "clean" in options
    if clean == bool(opened.expected) and not options["undecided"]:
        raise ValueError(f"{file.name}:{opened.line}: {opened.name} is clean, or it expects a rule")
    return Situation(
        name=opened.name,
        module=module,
        file=file,
        line=opened.line,
        clean=clean,
        expected=tuple(opened.expected),
        like=options.get("like", ""),
        mends=options.get("mends", ""),
        times=int(options.get("times", "1")),
        select=options.get("select", ""),
        notes=options.get("notes", ""),
        undecided=options["undecided"],
    )
