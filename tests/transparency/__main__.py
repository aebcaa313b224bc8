"""Compare FastAPI's and Starlette's own test suites with us and without.

    python -m tests.transparency                        both suites, the current releases
    python -m tests.transparency --version all          every release that is listed
    python -m tests.transparency --suite starlette --version 0.41.3
    python -m tests.transparency --only websocket       tests matching pytest's -k
    python -m tests.transparency --wrong                a wrong middleware: must be found out

Exit code: 0 if every test came out the same with ours around every application; 1 otherwise.
With ``--wrong`` it is 0 only if differences were found.
"""

# ruff: noqa: T201 - a command that prints its result

import argparse
import sys
from collections.abc import Sequence

from tests.transparency.compare import BrokenOffError, Mode, Run, Verdict, judge, run_suite
from tests.transparency.releases import RELEASES, Release, Suite, prepare

OUTCOMES = ("passed", "failed", "error", "skipped", "xfailed", "xpassed")


def main() -> int:
    options = _options()
    mode: Mode = "wrong" if options.wrong else "null" if options.null else "real"
    selected = [
        release
        for release in RELEASES
        if options.suite in {release.suite, "all"} and options.version in {release.version, "all"}
    ]
    if not selected:
        known = ", ".join(f"{release.suite} {release.version}" for release in RELEASES)
        print(f"No such release; there are: {known}.")
        return 2
    return max([_try(release, mode, options) for release in selected])


def _try(release: Release, mode: Mode, options: argparse.Namespace) -> int:
    suite = prepare(release)
    try:
        return _compare(suite, mode, options)
    except BrokenOffError as error:
        print(f"{release.suite} {suite.version}: NOT compared: {error}\n", flush=True)
        return 1


def _compare(suite: Suite, mode: Mode, options: argparse.Namespace) -> int:
    title = f"{suite.release.suite} {suite.version}"
    print(f"--- {title}: its own tests, without and with us ({mode})", flush=True)
    select = ("tests", *(("-k", options.only) if options.only else ()))
    runs: list[Run] = []
    for each in ("without", mode):
        run = run_suite(suite, each, label="all", workers=options.workers, select=select)
        runs.append(run)
        print(_row(run), flush=True)
    verdict = judge(suite, *runs, workers=options.workers, select=select)
    _print_verdict(verdict)
    if mode == "wrong":
        return _expect_found(title, verdict)
    if mode == "real" and not _was_there(runs[1]):
        print(f"{title}: NOT compared, for ours was not around every application.\n", flush=True)
        return 1
    return _expect_same(title, suite, verdict)


def _was_there(run: Run) -> bool:
    """Print what the middleware saw; tell whether it was around every application.

    Where ours fails while an application is built, that one runs without it, and its tests pass.
    """
    applications, watched = run.total("applications"), run.total("watched")
    requests = run.total("requests")
    print(f"recorded {requests} requests; around {watched} of {applications} applications")
    for label, key in (("findings", "findings"), ("dropped", "dropped"), ("OUR FAULTS", "faults")):
        merged = run.merged(key)
        if merged:
            counted = ", ".join(f"{name} {count}" for name, count in merged.most_common())
            print(f"{label}: {counted}")
    return requests > 0 and watched == applications


def _expect_same(title: str, suite: Suite, verdict: Verdict) -> int:
    if verdict.confirmed:
        print(f"{title}: NOT the same; logs below {suite.reports}\n", flush=True)
        return 1
    if verdict.unrepeated:
        count = len(verdict.unrepeated)
        print(f"{title}: the same but for {count} that did not come again; see {suite.reports}\n")
        return 0
    print(f"{title}: the same.\n", flush=True)
    return 0


def _expect_found(title: str, verdict: Verdict) -> int:
    if verdict.confirmed:
        print(f"{title}: the wrong middleware was found out, as it must be.\n", flush=True)
        return 0
    print(
        f"{title}: the wrong middleware was NOT found out; the comparison is blind.\n", flush=True
    )
    return 1


def _row(run: Run) -> str:
    counts = run.counts()
    cells = (f"{counts[outcome]:5} {outcome}" for outcome in OUTCOMES if counts[outcome])
    return f"{run.mode:8} {run.seconds:6.0f} s  {'  '.join(cells)}"


def _print_verdict(verdict: Verdict, at_most: int = 100) -> None:
    for heading, found in (("differs", verdict.confirmed), ("once", verdict.unrepeated)):
        for difference in found[:at_most]:
            print(f"{heading}: {difference.test}: {difference.without} -> {difference.forced}")
        if len(found) > at_most:
            print(f"... and {len(found) - at_most} more")


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.transparency",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--suite", choices=("fastapi", "starlette", "all"), default="all")
    parser.add_argument("--version", default="current", metavar="VERSION")
    parser.add_argument("--only", metavar="PATTERN", help="as pytest's -k")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    control = parser.add_mutually_exclusive_group()
    control.add_argument("--wrong", action="store_true", help="a deliberately wrong middleware")
    control.add_argument("--null", action="store_true", help="a middleware that does nothing")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
