"""Judges one long stretch: whose line it was, what it did, and whether it was the machine."""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from fastapi_diagnostics.callsite import Site, resolve
from fastapi_diagnostics.collectors.event_loop.calls import Call
from fastapi_diagnostics.collectors.event_loop.kinds import (
    COMPUTING,
    RUNNING,
    kind_of_call,
    recognised,
    waiting_kind,
)
from fastapi_diagnostics.collectors.event_loop.pauses import FORKS, PAUSES
from fastapi_diagnostics.collectors.event_loop.pulse import (
    SLICES_A_SECOND,
    is_stopped,
    waited_for_gil,
)
from fastapi_diagnostics.collectors.event_loop.sampling import Sample, awaiting_site
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
FORK_SHARE: Final = 0.5
"""Of a stretch that nobody saw: forking for more than half of it is what it was."""
BUSY_SHARE: Final = 0.9
"""Computing and waiting must make up this much of the threshold: clocks are read around a step."""
STOPPED_S: Final = 0.04
"""Shorter gaps between looks are told from a stopped process by nobody."""
LONG_STOP_S: Final = 1.0
SEEN_SHARE: Final = 0.5
"""A line that was seen for half of what nobody saw still is the best answer."""
NAMED_SHARE: Final = 0.2
"""What is known of so many of a line's samples is said of all: the others fell beside the call."""
GIL_GAP_S: Final = 0.02
"""Waiting that long for the GIL, the watchdog was kept from looking by one call."""
FEW_LOOKS: Final = 5
"""With fewer looks the watchdog may itself have waited for the GIL most of the time."""
COMPUTED_SHARE: Final = 0.5
"""A process that had more CPU than this in a gap was not stopped in it."""


class Verdict(NamedTuple):
    """What a block was.

    Attributes:
        stack: User call sites, innermost first; empty when no sample shows the culprit.
        hot: Seconds by file and line.
        inner: Files of the frames between the user's line and what ran, nearest to it first.
        caller: Text of the call that led there, where ``await`` can be written.
    """

    kind: str
    call: Call
    stack: tuple[Site, ...]
    hot: dict[tuple[str, int], float]
    inner: tuple[str, ...] = ()
    caller: str = ""


class Shares(NamedTuple):
    """Parts of a block's duration, from 0 to 1 and more; `None` where no clock tells.

    Attributes:
        computing: Of the loop's thread, in the time in which it was not starved.
        others: CPU time of all other threads, likewise.
        starved: Of the whole.
        own_s: CPU seconds of the loop's thread; `None` like `computing`.
        process: CPU time of the whole process, of the whole.
        asking: How often in a second the thread was given a processor: who waits for the GIL asks
            for it every 5 ms, and who waits for a lock or a socket sleeps. `None` where it was
            hardly looked at, which is so while one call keeps the GIL.
    """

    computing: float | None
    others: float
    starved: float
    own_s: float | None = None
    process: float = 1.0
    asking: float | None = None


class _Evidence(NamedTuple):
    """What a verdict is made of; `weights` are the seconds of each sample."""

    samples: Sequence[Sample]
    weights: Sequence[float]
    calls: Mapping[Any, Call]
    shares: Shares


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
    shares = shares_of(before, after, begin)._replace(asking=_asking(samples))
    lost_s = _stopped(begin, samples, before, after) if shares.process < COMPUTED_SHARE else 0.0
    computed_s = _computed_s(begin, before, shares)
    if shares.starved > STARVED_SHARE:
        lost_s += (end - begin) * shares.starved
        # The clocks were read long before it began, and what came before may have computed, too.
        shares = shares._replace(own_s=computed_s)
    is_machine = lost_s > 0 and max(end - begin - lost_s, computed_s) < threshold_s
    if is_machine or any(sample.debugger for sample in samples):
        return None
    weights, unseen_s = _weights(samples, begin, end, after)
    evidence = _Evidence(samples, weights, calls, shares)
    main = _main(samples, evidence.weights, unseen_s)
    if main is None:
        unseen_kind = _kind_unseen(begin, end, computed_s, shares, threshold_s)
        return Verdict(unseen_kind, Call(), (), {})
    collecting = PAUSES.within(begin, end) / (end - begin)
    mine = [pair for pair in _pairs(evidence) if _place(pair[0]) == _place(main)]
    kind = _kind(mine, calls, shares, collecting)
    if kind is None:
        return None
    unseen = _unseen(samples, begin, end) > UNSEEN_SHARE
    if kind == "gil" or (unseen and _is_held_by_others(shares)):
        return Verdict("gil", Call(), (), {})
    if _busy_s(kind, evidence) < threshold_s * BUSY_SHARE:
        return None
    call = calls.get(main.user[0] if main.user else main.leaf, Call())
    if not main.user and kind_of_call(call) != kind:
        call = Call()  # some call deep in a library says nothing
    caller = calls.get(awaiting_site(main.user), Call()).source
    return Verdict(kind, call, main.user, _hot(samples, evidence.weights), main.inner, caller)


def _kind_unseen(
    begin: float, end: float, computed_s: float, shares: Shares, threshold_s: float
) -> str:
    """Name what nobody saw, by the clocks alone."""
    forking_s = FORKS.within(begin, end)
    if computed_s - forking_s >= threshold_s:  # whatever it was, it was this callback
        return "gc" if PAUSES.within(begin, end) > (end - begin) * GC_SHARE else "cpu"
    if forking_s > (end - begin) * FORK_SHARE:
        return "fork"
    return "gil" if _is_held_by_others(shares) else "unknown"


def shares_of(before: Reading | None, after: Reading, begin: float) -> Shares:
    """Compare two readings of the clocks of a loop's thread, around what began at *begin*."""
    if before is None or before.thread is None or after.thread is None:
        return Shares(None, 0.0, 0.0)
    wall = max(after.at - before.at, 1e-6)
    own = after.thread - before.thread
    starved = 0.0
    if before.starved is not None and after.starved is not None:
        starved = min(after.starved - before.starved, wall)
    net = max(wall - starved, 1e-6)
    process = after.process - before.process
    # Where the clocks were first read after the beginning, the rest was like what was seen.
    own_s = own * max(1.0, (after.at - begin) / wall)
    return Shares(own / net, (process - own) / net, starved / wall, own_s, process / wall)


def _asking(samples: Sequence[Sample]) -> float | None:
    """Tell how often the thread ran between the looks at it."""
    looks = [(sample.at, sample.slices) for sample in samples if sample.slices is not None]
    if len(looks) < FEW_LOOKS:
        return None
    (begin, first), (end, last) = looks[0], looks[-1]
    return (last - first) / max(end - begin, 1e-6)


def _computed_s(begin: float, before: Reading | None, shares: Shares) -> float:
    """Give the CPU seconds that the thread had in the block at least."""
    if before is None or shares.own_s is None:
        return 0.0
    return shares.own_s - max(0.0, begin - before.at)


def _stopped(
    begin: float, samples: Sequence[Sample], before: Reading | None, after: Reading
) -> float:
    """Sum up the seconds in which nobody looked because the process stood still.

    A thread that was seen waiting goes on waiting while a virtual machine has no processor: only
    long gaps count then.
    """
    looks = [(sample.at, sample.pulse, _is_in_system(sample)) for sample in samples]
    first = [] if before is None else [(max(begin, before.at), before.pulse, False)]
    looks = [*first, *looks, (after.at, after.pulse, False)]
    stopped = 0.0
    for (at, pulse, waits), (later, next_pulse, _) in itertools.pairwise(looks):
        least = LONG_STOP_S if waits else STOPPED_S
        if later - at > least and is_stopped(pulse, next_pulse, later - at):
            stopped += later - at
    return stopped


def _busy_s(kind: str, evidence: _Evidence) -> float:
    """Give the seconds for which the thread computed or waited, rather than for a processor.

    What a virtual machine is not given shows in no clock of a thread but as time that is missing.
    """
    own_s = evidence.shares.own_s
    if own_s is None:
        return sum(evidence.weights)
    waiting = [
        weight
        for sample, weight in _pairs(evidence)
        if sample.system_call != RUNNING and (kind not in COMPUTING or _waits(sample, evidence))
    ]
    return own_s + sum(waiting)


def _waits(sample: Sample, evidence: _Evidence) -> bool:
    return recognised(sample, evidence.calls) not in {"", *COMPUTING}


def _pairs(evidence: _Evidence) -> list[tuple[Sample, float]]:
    return list(zip(evidence.samples, evidence.weights, strict=True))


def _kind(
    mine: Sequence[tuple[Sample, float]],
    calls: Mapping[Any, Call],
    shares: Shares,
    collecting: float,
) -> str | None:
    """Vote among the samples of one line; `None` for nobody's fault."""
    if collecting > GC_SHARE:  # it begins by itself wherever objects are made
        return "gc"
    kind = _vote([(recognised(sample, calls), weight) for sample, weight in mine])
    if kind and kind not in COMPUTING:
        return kind
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
    # A first call over https computes nearly as long as it waits: that makes it no bare socket.
    named = [(recognised(sample, calls), weight) for sample, weight in mine]
    waits = [(name, weight) for name, weight in named if name not in {"", *COMPUTING}]
    if waits:
        return _vote(waits)
    return _vote([(waiting_kind(sample, calls), weight) for sample, weight in mine]) or (
        "unknown" if any(_is_in_system(sample) for sample, _ in mine) else None
    )


def _is_in_system(sample: Sample) -> bool:
    return sample.system_call is not None and sample.system_call != RUNNING


def _is_held_by_others(shares: Shares) -> bool:
    if shares.asking is not None and shares.asking < SLICES_A_SECOND:
        return False
    return shares.others > OTHERS_SHARE and (shares.computing or 0.0) < COMPUTING_SHARE


def _unseen(samples: Sequence[Sample], begin: float, end: float) -> float:
    """Give the share of the longest time without a look."""
    moments = [begin, *(sample.at for sample in samples), end]
    return max(later - earlier for earlier, later in itertools.pairwise(moments)) / (end - begin)


def _vote(votes: Sequence[tuple[str, float]]) -> str:
    sums: dict[str, float] = defaultdict(float)
    for kind, weight in votes:
        sums[kind] += weight
    named = {kind: weight for kind, weight in sums.items() if kind} or sums
    best = max(named, key=named.__getitem__)
    return best if named[best] >= sum(sums.values()) * NAMED_SHARE else ""


def _weights(
    samples: Sequence[Sample], begin: float, end: float, after: Reading
) -> tuple[list[float], float]:
    """Give each sample the time until the next one, and the first one what came before it.

    Where the watchdog waited for the GIL, the time belongs to the sample behind it: that is where
    the call that kept the GIL has just come back.

    Returns:
        The seconds of each sample, and those that belong to none.
    """
    if not samples:
        return [], 0.0
    weights = [0.0] * (len(samples) + 1)
    weights[0] = samples[0].at - begin
    looks = [*((sample.at, sample.pulse) for sample in samples), (end, after.pulse)]
    for index, ((at, pulse), (later, next_pulse)) in enumerate(itertools.pairwise(looks)):
        behind = later - at > GIL_GAP_S and waited_for_gil(pulse, next_pulse, later - at)
        weights[index + behind] += later - at
    return weights[:-1], weights[-1]


def _place(sample: Sample) -> tuple[Any, int] | None:
    """Give code and line of the innermost user frame."""
    if not sample.user:
        return None
    code, lasti = sample.user[0]
    return code, resolve(code, lasti).location.line


def _main(samples: Sequence[Sample], weights: Sequence[float], unseen_s: float) -> Sample | None:
    """Give the sample of the line that took most; of that line, the one with most weight.

    `None` where nobody saw what took by far the most.
    """
    sums: dict[Any, float] = defaultdict(float)
    for sample, weight in zip(samples, weights, strict=True):
        sums[_place(sample)] += weight
    if not sums or max(sums.values()) < unseen_s * SEEN_SHARE:
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
