"""Whose fault a long step was, judged from hand-made samples and clocks."""

import sys
from types import CodeType

import pytest

from fastapi_diagnostics.collectors.event_loop import verdict as module
from fastapi_diagnostics.collectors.event_loop.calls import Call
from fastapi_diagnostics.collectors.event_loop.pauses import Pauses
from fastapi_diagnostics.collectors.event_loop.pulse import Pulse
from fastapi_diagnostics.collectors.event_loop.sampling import Sample
from fastapi_diagnostics.collectors.event_loop.state import Reading
from fastapi_diagnostics.collectors.event_loop.verdict import Verdict, judge

HERE = (sys._getframe(0).f_code, 2)
SLEEP = Call("time.sleep", "time", "time.sleep")


def code_of(text: str) -> CodeType:
    return compile(text, "user.py", "exec")


def a_sample(at: float, **changes) -> Sample:
    defaults = {
        "at": at,
        "user": (HERE,),
        "inner": (),
        "leaf": HERE,
        "in_greenlet": False,
        "debugger": False,
        "system_call": -1,
    }
    return Sample(**defaults | changes)


def verdict(
    samples, *, seconds=0.2, call=None, own=0.0, others=0.0, starved=0.0, clocks=True, pulses=()
) -> Verdict | None:
    def reading(at: float, share: int) -> Reading:
        if not clocks:
            return Reading(at, None, 0.0, None)
        pulse = Pulse(pulses[share], 0.0) if pulses else None
        return Reading(at, own * share, (own + others) * share, starved * share, pulse)

    calls = {} if call is None else {HERE: call}
    return judge(
        10.0, 10.0 + seconds, samples, calls, reading(10.0, 0), reading(10.0 + seconds, 1), 0.05
    )


SEEN = [a_sample(10.02 + 0.01 * n) for n in range(18)]
ASLEEP = [sample._replace(system_call=230) for sample in SEEN]


def test_a_known_call_needs_no_clock() -> None:
    assert verdict(ASLEEP, call=SLEEP).kind == "sleep"
    assert verdict(SEEN, call=SLEEP, clocks=False).kind == "sleep"


def test_computing_is_told_by_the_clock_of_the_thread() -> None:
    assert verdict(SEEN, own=0.19).kind == "cpu"


def test_a_call_that_mostly_computes_and_then_waits_is_named_by_what_it_waits_for() -> None:
    building = [sample._replace(inner=("/site-packages/yaml/x.py",)) for sample in SEEN[:10]]
    asking = [sample._replace(inner=("/site-packages/httpx/_client.py",)) for sample in ASLEEP[10:]]

    assert verdict([*building, *asking], own=0.03).kind == "http"
    assert verdict([*building, *asking], own=0.12).kind == "yaml"


def test_a_thread_that_was_ready_and_had_no_processor_did_nothing_wrong() -> None:
    assert verdict(SEEN, own=0.01, starved=0.17) is None
    assert verdict(SEEN, call=SLEEP, starved=0.17) is None


@pytest.mark.parametrize(("computed_s", "found"), [(0.055, False), (0.12, True)])
def test_what_computed_before_a_short_step_is_not_charged_to_it_on_a_busy_machine(
    computed_s, found
) -> None:
    before = Reading(9.97, 0.0, 0.0, 0.0)  # 30 ms before it began: the step before it ran
    after = Reading(10.435, computed_s, computed_s, 0.3)

    seen = judge(10.0, 10.435, SEEN, {}, before, after, 0.05)

    assert (seen is not None) is found


def test_a_true_block_on_a_busy_machine_is_still_one() -> None:
    assert verdict(SEEN, seconds=0.4, own=0.1, starved=0.3).kind == "cpu"


def test_a_stopped_process_is_nobodys_fault() -> None:
    assert verdict([a_sample(10.02)], own=0.001) is None


def test_another_thread_that_computes_meanwhile_held_the_gil() -> None:
    assert verdict([a_sample(10.02)], others=0.19).kind == "gil"
    assert verdict([a_sample(10.02)], others=0.19, call=SLEEP).kind == "gil"


def test_a_sleep_beside_a_thread_that_shares_the_gil_is_a_sleep() -> None:
    assert verdict(ASLEEP, others=0.19, call=SLEEP).kind == "sleep"


def test_a_breakpoint_is_no_block() -> None:
    assert verdict([*SEEN, a_sample(10.19, debugger=True)], call=SLEEP) is None


def test_without_a_sample_only_the_duration_is_known() -> None:
    found = verdict([], own=0.01)

    assert (found.kind, found.stack, found.hot) == ("unknown", (), {})


def test_without_a_sample_the_clock_of_the_thread_still_tells_computing() -> None:
    found = verdict([], own=0.19)

    assert (found.kind, found.stack, found.hot) == ("cpu", (), {})


@pytest.mark.parametrize(
    ("forked_until", "kind"), [(10.17, "fork"), (10.03, "cpu")], ids=["most of it", "a little"]
)
def test_without_a_sample_a_fork_is_no_computing(
    forked_until: float, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    forks = Pauses(iter([10.01, forked_until]).__next__)
    forks.begin()
    forks.end()
    monkeypatch.setattr(module, "FORKS", forks)

    assert verdict([], own=0.19).kind == kind


def test_who_sleeps_on_a_lock_beside_a_busy_thread_does_not_wait_for_the_gil() -> None:
    asleep = [sample._replace(system_call=202, slices=7) for sample in SEEN]
    asking = [sample._replace(system_call=202, slices=7 + n) for n, sample in enumerate(SEEN)]
    lock = Call("threading.lock.__enter__", "threading")

    assert verdict(asleep, others=0.19, call=Call()).kind != "gil"
    assert verdict(asleep, others=0.19, call=lock).kind == "lock"
    assert verdict(asking, others=0.19, call=Call()).kind == "gil"


def test_the_line_that_took_most_is_named_and_all_lines_have_their_time() -> None:
    code = code_of("a = 1\nb = 2\n")
    first = (code, next(start for start, _, line in code.co_lines() if line == 1))
    second = (code, next(start for start, _, line in code.co_lines() if line == 2))
    samples = [
        *(a_sample(10.0 + 0.01 * n, user=(first,)) for n in range(5)),
        *(a_sample(10.05 + 0.01 * n, user=(second,)) for n in range(15)),
    ]

    found = verdict(samples, own=0.19)

    assert found.stack == (second,)
    assert {line: round(seconds, 2) for (_, line), seconds in found.hot.items()} == {
        1: 0.05,
        2: 0.15,
    }


def test_time_that_no_clock_shows_belongs_to_the_machine() -> None:
    assert verdict(SEEN, seconds=0.08, own=0.02) is None
    assert verdict(SEEN, seconds=0.08, own=0.07).kind == "cpu"


def test_reading_a_file_is_system_call_zero_and_no_computing() -> None:
    reading = [sample._replace(system_call=0) for sample in SEEN]

    assert verdict(reading, own=0.001).kind in {"file", "unknown"}


def test_a_gap_without_time_slices_is_a_stopped_process() -> None:
    def look(at: float, slices: int):
        return a_sample(at, system_call=-1, pulse=Pulse(slices, 0.0))

    known = Call("os.kill", "os", "os.kill")
    stopped = [look(10.19, 3)]
    held = [look(10.19, 60)]

    assert verdict(stopped, own=0.001, call=known, pulses=(1, 4)) is None
    assert verdict([*held], own=0.19, call=known, pulses=(1, 62)).kind == "file"


def test_what_waited_before_the_gap_goes_on_waiting() -> None:
    asleep = [
        a_sample(10.02, system_call=230, pulse=Pulse(2, 0.0)),
        a_sample(10.19, system_call=230, pulse=Pulse(3, 0.0)),
    ]

    assert verdict(asleep, own=0.001, call=SLEEP, pulses=(1, 4)).kind == "sleep"
