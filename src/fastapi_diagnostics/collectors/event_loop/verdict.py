"""Judges one long stretch: whose line it was, what it did, and whether it was the machine."""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from fastapi_diagnostics.callsite import Site, resolve
from fastapi_diagnostics.collectors.event_loop.calls import Call
from fastapi_diagnostics.collectors.event_loop.kinds import COMPUTING, recognised, waiting_kind
from fastapi_diagnostics.collectors.event_loop.pauses import PAUSES
from fastapi_diagnostics.collectors.event_loop.sampling import Sample
from fastapi_diagnostics.collectors.event_loop.state import Reading

COMPUTING_SHARE: Final = 0.2
"""A thread that had less CPU than this was not computing."""
OTHERS_SHARE: Final = 0.4
"""Other threads with more CPU than this kept the GIL."""
STARVED_SHARE: Final = 0.25
"""Below this share of time ready and without CPU the machine is not the reason: measured false
alarms had 0.49 to 0.80."""
UNSEEN_SHARE: Final = 0.5
"""The watchdog looks every 4 to 50 ms; a longer gap means that it did not get the GIL either."""
GC_SHARE: Final = 0.7


class Verdict(NamedTuple):
    """What a block was.

    Attributes:
        stack: User call sites, innermost first; empty when no sample shows the culprit.
        hot: Seconds by file and line.
    """

    kind: str
    call: Call
    stack: tuple[Site, ...]
    hot: dict[tuple[str, int], float]


class Shares(NamedTuple):
    """Parts of a block's duration, from 0 to 1 and more; `None` where no clock tells.

    Attributes:
        computing: Of the loop's thread, in the time in which it was not starved.
        others: CPU time of all other threads, likewise.
        starved: Of the whole.
    """

    computing: float | None
    others: float
    starved: float


def judge(
    begin: float,
    end: float,
    samples: Sequence[Sample],
    calls: Mapping[Any, Call],
    before: Reading | None,
    after: Reading,
    threshold_s: float,
) -> Verdict | None:
    """Name the block; `None` if the machine, a debugger or nobody in particular did it."""
    shares = shares_of(before, after)
    net_s = (end - begin) * (1 - shares.starved)
    starved = shares.starved > STARVED_SHARE and net_s < threshold_s
    if starved or any(sample.debugger for sample in samples):
        return None
    weights = _weights(samples, begin, end)
    main = _main(samples, weights)
    if main is None:
        return Verdict("unknown", Call(), (), {})
    mine = [
        (sample, weight)
        for sample, weight in zip(samples, weights, strict=True)
        if _place(sample) == _place(main)
    ]
    kind = _kind(mine, calls, shares, PAUSES.within(begin, end) / (end - begin))
    if kind is None:
        return None
    unseen = _unseen(samples, begin, end) > UNSEEN_SHARE
    if kind == "gil" or (unseen and _is_held_by_others(shares)):
        return Verdict("gil", Call(), (), {})
    call = calls.get(main.user[0] if main.user else main.leaf, Call())
    return Verdict(kind, call, main.user, _hot(samples, weights))


def shares_of(before: Reading | None, after: Reading) -> Shares:
    """Compare two readings of the clocks of a loop's thread."""
    if before is None or before.thread is None or after.thread is None:
        return Shares(None, 0.0, 0.0)
    wall = max(after.at - before.at, 1e-6)
    own = after.thread - before.thread
    starved = 0.0
    if before.starved is not None and after.starved is not None:
        starved = min(after.starved - before.starved, wall)
    net = max(wall - starved, 1e-6)
    others = after.process - before.process - own
    return Shares(own / net, others / net, starved / wall)


def _kind(
    mine: Sequence[tuple[Sample, float]],
    calls: Mapping[Any, Call],
    shares: Shares,
    collecting: float,
) -> str | None:
    """Vote among the samples of one line; `None` for nobody's fault."""
    kind = _vote([(recognised(sample, calls), weight) for sample, weight in mine])
    if kind and kind not in COMPUTING:
        return kind
    if collecting > GC_SHARE and kind in {"", "cpu"}:
        return "gc"
    if shares.computing is None:
        return kind or "unknown"
    if shares.computing >= COMPUTING_SHARE:
        return kind or "cpu"
    return "gil" if _is_held_by_others(shares) else _waiting(kind, mine, calls)


def _waiting(
    kind: str, mine: Sequence[tuple[Sample, float]], calls: Mapping[Any, Call]
) -> str | None:
    """Name what a thread without CPU did; `None` if it was ready to run and had no processor."""
    if kind == "rows":
        return "db"  # a synchronous driver that is not in our tables
    return _vote([(waiting_kind(sample, calls), weight) for sample, weight in mine]) or (
        "unknown" if any((sample.system_call or -1) >= 0 for sample, _ in mine) else None
    )


def _is_held_by_others(shares: Shares) -> bool:
    return shares.others > OTHERS_SHARE and (shares.computing or 0.0) < COMPUTING_SHARE


def _unseen(samples: Sequence[Sample], begin: float, end: float) -> float:
    """Give the share of the longest time without a look."""
    moments = [begin, *(sample.at for sample in samples), end]
    return max(later - earlier for earlier, later in itertools.pairwise(moments)) / (end - begin)


def _vote(votes: Sequence[tuple[str, float]]) -> str:
    sums: dict[str, float] = defaultdict(float)
    for kind, weight in votes:
        sums[kind] += weight
    return max(sums, key=sums.__getitem__)


def _weights(samples: Sequence[Sample], begin: float, end: float) -> list[float]:
    """Give each sample the time until the next one, and the first one what came before it."""
    if not samples:
        return []
    moments = [begin, *(sample.at for sample in samples[1:]), end]
    return [later - earlier for earlier, later in itertools.pairwise(moments)]


def _place(sample: Sample) -> tuple[Any, int] | None:
    """Give code and line of the innermost user frame."""
    if not sample.user:
        return None
    code, lasti = sample.user[0]
    return code, resolve(code, lasti).location.line


def _main(samples: Sequence[Sample], weights: Sequence[float]) -> Sample | None:
    """Give the sample of the line that took most; of that line, the one with most weight."""
    sums: dict[Any, float] = defaultdict(float)
    for sample, weight in zip(samples, weights, strict=True):
        sums[_place(sample)] += weight
    if not sums:
        return None
    most = max(sums, key=sums.__getitem__)
    ranked = [
        (weight, -index, sample)
        for index, (sample, weight) in enumerate(zip(samples, weights, strict=True))
        if _place(sample) == most
    ]
    return max(ranked)[2]


def _hot(samples: Sequence[Sample], weights: Sequence[float]) -> dict[tuple[str, int], float]:
    hot: dict[tuple[str, int], float] = defaultdict(float)
    for sample, weight in zip(samples, weights, strict=True):
        place = _place(sample)
        if place is not None:
            hot[place[0].co_filename, place[1]] += weight
    return dict(hot)
