"""Prints the corpus as a table; ends with 1 if anything was missed or wrongly accused.

python -m tests.corpus.http [--markdown] [NAME ...]
"""

import argparse
import sys
from collections import Counter

import fastapi

from tests.corpus.http.run import situations, verdicts
from tests.corpus.http.situation import Verdict


def main(arguments: list[str]) -> int:
    """Run the situations whose names contain one of *arguments*, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus.http")
    parser.add_argument("names", nargs="*", help="situations whose names contain one of these")
    parser.add_argument("--markdown", action="store_true", help="a table for the documentation")
    parser.add_argument("--db", help=argparse.SUPPRESS)  # other corpora run on several databases
    options = parser.parse_args(arguments)
    names, markdown = options.names, options.markdown
    chosen = [s for s in situations() if not names or any(name in s.name for name in names)]
    judged = verdicts(chosen)
    for line in _table(judged, markdown=markdown):
        print(line)  # noqa: T201 - a program
    wrong = [verdict for verdict in judged if not verdict.right]
    for verdict in wrong:
        for text in (*verdict.missed, *verdict.accused):
            print(f"{verdict.situation.name}: {text}", file=sys.stderr)  # noqa: T201 - a program
    return 1 if wrong or not judged else 0


def _table(judged: list[Verdict], *, markdown: bool) -> list[str]:
    rows = [
        (
            verdict.situation.name,
            verdict.situation.rule or "none",
            verdict.found,
            "" if not verdict.missed else "MISSED",
            str(len(verdict.accused)) if verdict.accused else "",
        )
        for verdict in judged
    ]
    head = ("situation", "rule", "path, or hint in first place", "missed", "wrong accusations")
    if markdown:
        lines = [f"| {' | '.join(row)} |" for row in (head, ("---",) * 5, *rows)]
    else:
        widths = [max(len(row[i]) for row in (head, *rows)) for i in range(5)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (head, *rows)
        ]
    defects = sum(verdict.situation.rule is not None for verdict in judged)
    rules = Counter(v.situation.rule for v in judged if v.situation.rule)
    missed = sum(bool(verdict.missed) for verdict in judged)
    accused = sum(bool(verdict.accused) for verdict in judged)
    return [
        *lines,
        "",
        (
            f"FastAPI {fastapi.__version__}: {len(judged)} situations, {defects} defects, "
            f"{len(judged) - defects} look-alikes; {missed} missed, {accused} wrongly accused"
        ),
        ", ".join(f"{rule} {count}" for rule, count in sorted(rules.items())),
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
