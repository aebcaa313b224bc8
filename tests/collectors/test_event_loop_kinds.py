"""Kinds and calls: what a line does, by what it calls and what is around it."""

import functools
import io
import sys
import threading
import time
from types import FrameType
from urllib import parse

import pytest

from fastapi_diagnostics.collectors.event_loop.calls import Call, named_call
from fastapi_diagnostics.collectors.event_loop.kinds import is_building, kind_of_call, recognised
from fastapi_diagnostics.collectors.event_loop.sampling import IN_LOGGING, Sample

HERE = (sys._getframe(0).f_code, 2)
PYDANTIC = "/app/lib/python3.11/site-packages/pydantic/main.py"


def a_sample(inner: tuple[str, ...] = (), outer: tuple[str, ...] = ()) -> Sample:
    return Sample(
        at=0.0,
        user=(HERE,),
        inner=inner,
        leaf=HERE,
        in_greenlet=False,
        debugger=False,
        outer=outer,
    )


def call_now() -> Call:
    """Name the call that the caller's frame is in."""
    frame: FrameType = sys._getframe(1)
    return named_call((frame.f_code, frame.f_lasti), frame)


class Entered:
    """Names the ``with`` statement that enters it."""

    call = Call()

    def __enter__(self) -> None:
        frame: FrameType = sys._getframe(1)
        self.call = named_call((frame.f_code, frame.f_lasti), frame)

    def __exit__(self, *_: object) -> None:
        """Nothing to do."""


def test_what_a_with_statement_enters_is_named() -> None:
    entered = Entered()

    with entered:
        pass

    assert entered.call.name.endswith("Entered.__enter__")


def test_a_partial_function_is_named_by_what_it_calls() -> None:
    named = functools.partial(call_now)

    assert named().name.endswith("call_now")


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (Call("urllib.request.urlopen", "urllib.request"), "http"),
        (Call("urllib.parse.quote", "urllib.parse"), ""),
        (Call("io.StringIO.write", "io"), ""),
        (Call("io.BufferedReader.read", "io"), "file"),
        (Call("read", "io"), "file"),
        (Call("threading.lock.__enter__", "threading"), "lock"),
    ],
)
def test_only_what_can_wait_has_a_kind_that_waits(call, kind) -> None:
    assert kind_of_call(call) == kind


def test_pickling_models_is_pickling() -> None:
    sample = a_sample(inner=(PYDANTIC,))

    assert recognised(sample, {HERE: Call("pickle.dumps", "pickle")}) == "pickle"
    assert recognised(sample, {HERE: Call("model_dump")}) == "validation"


def test_what_a_log_handler_does_is_logging() -> None:
    sleep = {HERE: Call("time.sleep", "time")}

    assert recognised(a_sample(outer=(IN_LOGGING,)), sleep) == "logging"
    assert recognised(a_sample(), sleep) == "sleep"


def test_building_a_schema_is_told_from_using_it() -> None:
    folder = "/app/lib/python3.11/site-packages/pydantic/"

    assert is_building((PYDANTIC, f"{folder}_internal/_generate_schema.py"))
    assert not is_building((PYDANTIC, f"{folder}type_adapter.py"))


def test_the_modules_that_are_told_apart_are_called_so() -> None:
    assert (parse.__name__, type(io.StringIO()).__module__) == ("urllib.parse", "_io")
    assert type(threading.Lock()).__module__ == "_thread"
    assert time.sleep.__module__ == "time"
