"""Background tasks as seen through real applications: facts, and the two rules over them."""

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.background import BackgroundTasks as PlainTasks
from starlette.routing import Route

from fastapi_diagnostics.collectors import background
from fastapi_diagnostics.collectors import fastapi as fastapi_collector
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.record import TaskRun
from fastapi_diagnostics.recorder import Recorder
from tests.collectors.recorded_calls import call
from tests.installed import installed

RAN: list[str] = []


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    RAN.clear()
    with installed(fastapi_collector, background, root=Path(__file__).parent) as hooks:
        yield hooks


async def good(name: str = "good") -> None:
    RAN.append(name)


def good_in_thread(name: str = "thread") -> None:
    RAN.append(name)


async def bad(number: int = 0, password: str = "") -> None:  # noqa: ARG001
    raise ValueError(f"no such order {number}")


def bad_in_thread() -> None:
    raise ValueError("no such order")


def app_of(endpoint: Callable[..., Any], **options: Any) -> FastAPI:
    app = FastAPI()
    app.get("/", **options)(endpoint)
    return app


def tasks_of(endpoint: Callable[..., Any], **options: Any) -> tuple[TaskRun, ...]:
    return call(app_of(endpoint), "/", **options).record.tasks


def states(tasks: tuple[TaskRun, ...]) -> list[tuple[str, str, str | None]]:
    return [(task.name, task.state, task.reason) for task in tasks]


# How tasks go.


def test_tasks_that_run_are_told_with_arguments_and_places() -> None:
    async def endpoint(tasks: BackgroundTasks) -> str:
        tasks.add_task(good, "a")
        tasks.add_task(good_in_thread, name="b")
        return "ok"

    tasks = tasks_of(endpoint)

    assert RAN == ["a", "b"]
    assert states(tasks) == [("good", "done", None), ("good_in_thread", "done", None)]
    assert tasks[0].arguments == ("name='a'",)
    assert tasks[0].registered_at is not None
    assert tasks[0].registered_at.function.endswith("endpoint")
    assert tasks[0].registered_at.line == endpoint.__code__.co_firstlineno + 1
    assert tasks[0].defined_at is not None
    assert tasks[0].defined_at.function == "good"
    assert tasks[0].after_response
    assert tasks[0].duration_ms is not None


def test_the_open_record_shows_what_is_still_to_come() -> None:
    async def endpoint(tasks: BackgroundTasks) -> str:
        tasks.add_task(good)
        return "ok"

    outcome = call(app_of(endpoint), "/")

    assert outcome.open_record is not None
    assert states(outcome.open_record.tasks) == [("good", "pending", None)]
    assert states(outcome.record.tasks) == [("good", "done", None)]


@pytest.mark.parametrize("function", [bad, bad_in_thread])
def test_a_failure_after_the_response_is_told_and_raised_unchanged(function: Any) -> None:
    async def endpoint(tasks: BackgroundTasks) -> str:
        tasks.add_task(function)
        return "ok"

    outcome = call(app_of(endpoint), "/")

    (task,) = outcome.record.tasks
    assert outcome.status == 200
    assert isinstance(outcome.error, ValueError)
    assert (task.state, task.after_response) == ("failed", True)
    assert task.exception is not None
    fact = outcome.record.exceptions[task.exception]
    assert (fact.type, fact.phase) == ("ValueError", "background")
    assert fact.location is not None
    assert fact.location.function == function.__name__


def test_a_failure_that_starlette_masks_is_told_as_it_was() -> None:
    async def missing() -> None:
        raise HTTPException(404, "gone")

    async def endpoint(tasks: BackgroundTasks) -> str:
        tasks.add_task(missing)
        return "ok"

    outcome = call(app_of(endpoint), "/")

    (task,) = outcome.record.tasks
    assert isinstance(outcome.error, RuntimeError)
    assert task.exception is not None
    assert outcome.record.exceptions[task.exception].type.endswith("HTTPException")


def test_what_a_middleware_swallows_is_still_told() -> None:
    async def endpoint(tasks: BackgroundTasks) -> str:
        tasks.add_task(bad, 7, password="hunter2")  # noqa: S106
        tasks.add_task(good)
        return "ok"

    app = app_of(endpoint)

    @app.middleware("http")
    async def pass_on(request: Request, call_next: Any) -> Response:
        return await call_next(request)

    outcome = call(app, "/")

    failed, left = outcome.record.tasks
    assert outcome.status == 200
    assert (failed.state, failed.after_response) == ("failed", True)
    assert failed.arguments[0] == "number=7"
    assert "hunter2" not in failed.arguments[1]
    assert (left.state, left.reason) == ("never-ran", "earlier-task-failed")


def test_partials_methods_and_callable_objects_have_names() -> None:
    class Mailer:
        async def send(self, to: str) -> None:
            RAN.append(to)

        async def __call__(self, to: str) -> None:
            RAN.append(to)

    async def endpoint(tasks: BackgroundTasks) -> str:
        tasks.add_task(partial(good, "p"))
        tasks.add_task(Mailer().send, "m")
        tasks.add_task(Mailer(), "o")
        return "ok"

    tasks = tasks_of(endpoint)

    assert RAN == ["p", "m", "o"]
    assert [task.name for task in tasks] == ["good", "Mailer.send", "Mailer.__call__"]
    assert [task.arguments for task in tasks] == [(), ("to='m'",), ("to='o'",)]


def test_a_plain_starlette_response_has_tasks_too() -> None:
    async def endpoint(_request: Any) -> Response:
        group = PlainTasks([BackgroundTask(bad)])
        group.add_task(good)
        return JSONResponse({}, background=group)

    outcome = call(Starlette(routes=[Route("/", endpoint)]), "/")

    assert states(outcome.record.tasks) == [
        ("bad", "failed", None),
        ("good", "never-ran", "earlier-task-failed"),
    ]


# Why tasks never run.


def test_the_tasks_behind_a_failed_one_never_run() -> None:
    async def endpoint(tasks: BackgroundTasks) -> str:
        for function in (good, bad, good_in_thread, good):
            tasks.add_task(function)
        return "ok"

    tasks = tasks_of(endpoint)

    assert [task.state for task in tasks] == ["done", "failed", "never-ran", "never-ran"]
    assert tasks[2].reason == "earlier-task-failed"
    assert tasks[2].cause == tasks[1].exception
    assert tasks[2].exception is None


def test_an_exception_of_the_endpoint_drops_its_tasks() -> None:
    async def endpoint(tasks: BackgroundTasks) -> str:
        tasks.add_task(good)
        raise HTTPException(409, "already there")

    outcome = call(app_of(endpoint), "/")

    (task,) = outcome.record.tasks
    assert outcome.status == 409
    assert (task.state, task.reason) == ("never-ran", "exception")
    assert task.cause is not None
    assert outcome.record.exceptions[task.cause].status == 409


def test_a_response_with_its_own_background_replaces_the_injected_tasks() -> None:
    async def endpoint(tasks: BackgroundTasks) -> Response:
        tasks.add_task(good)
        return JSONResponse({}, background=BackgroundTask(good_in_thread))

    assert states(tasks_of(endpoint)) == [
        ("good", "never-ran", "replaced"),
        ("good_in_thread", "done", None),
    ]


def stream_of(*, breaking: bool, sleeping: bool = False) -> Callable[..., Any]:
    async def body() -> Any:
        for number in range(20):
            yield b"x"
            if sleeping:
                await asyncio.sleep(0)
            if breaking and number == 3:
                raise ValueError("broken")

    async def endpoint(tasks: BackgroundTasks) -> Response:
        tasks.add_task(good)
        return StreamingResponse(body())

    return endpoint


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
def test_a_broken_stream_drops_the_tasks(spec: str) -> None:
    outcome = call(app_of(stream_of(breaking=True)), "/", spec=spec)

    assert outcome.error is not None
    assert states(outcome.record.tasks) == [("good", "never-ran", "stream-broken")]


def test_a_client_that_is_gone_drops_the_tasks_of_a_stream() -> None:
    outcome = call(app_of(stream_of(breaking=False)), "/", spec="2.4", gone_after=3)

    assert states(outcome.record.tasks) == [("good", "never-ran", "client-gone")]


# Bodies that break off.


def body_of(*chunks: Any, error: Exception | None = None) -> Callable[..., Any]:
    async def body() -> Any:
        for chunk in chunks:
            yield chunk
        if error is not None:
            raise error

    async def endpoint() -> Response:
        return StreamingResponse(body())

    return endpoint


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
@pytest.mark.parametrize("error", [ValueError("broken"), OSError("the disk is gone")])
def test_a_body_that_breaks_off_is_told_with_what_it_raised(spec: str, error: Exception) -> None:
    record = call(app_of(body_of(b"x", error=error)), "/", spec=spec).record

    (broken,) = record.broken_streams
    fact = record.exceptions[broken.exception]
    assert broken.response == "StreamingResponse"
    assert (fact.type, fact.message) == (type(error).__name__, str(error))
    assert fact.location is not None
    assert fact.location.function.endswith("body")


def test_a_body_of_the_wrong_type_is_a_broken_one() -> None:
    record = call(app_of(body_of(1)), "/").record

    (broken,) = record.broken_streams
    assert record.exceptions[broken.exception].type == "AttributeError"


def test_an_iterator_object_may_be_the_body() -> None:
    class Rows:
        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> bytes:
            raise LookupError

    async def endpoint() -> Response:
        return StreamingResponse(Rows())

    assert len(call(app_of(endpoint), "/").record.broken_streams) == 1


def test_a_sending_that_fails_is_no_broken_body() -> None:
    gone = call(app_of(body_of(b"x", b"y", b"z")), "/", spec="2.4", gone_after=2)

    assert gone.error is not None
    assert gone.record.broken_streams == ()


def test_a_task_that_fails_behind_a_body_is_no_broken_body() -> None:
    async def endpoint() -> Response:
        return StreamingResponse(iter([b"x"]), background=BackgroundTask(bad))

    record = call(app_of(endpoint), "/").record

    assert [task.state for task in record.tasks] == ["failed"]
    assert record.broken_streams == ()


# Look-alikes that are in order.


def test_a_client_that_is_gone_by_message_leaves_the_tasks_running() -> None:
    endpoint = stream_of(breaking=False, sleeping=True)

    outcome = call(app_of(endpoint), "/", spec="2.3", gone_after=3)

    assert [task.state for task in outcome.record.tasks] == ["done"]


def test_a_task_that_is_built_and_dropped_was_never_registered() -> None:
    async def endpoint() -> str:
        BackgroundTask(good)
        PlainTasks().add_task(good)
        return "ok"

    assert tasks_of(endpoint) == ()


def test_a_response_that_is_built_and_dropped_registers_nothing() -> None:
    async def endpoint() -> str:
        JSONResponse({}, background=BackgroundTask(good))
        return "ok"

    assert tasks_of(endpoint) == ()


def test_injected_tasks_that_are_passed_on_run() -> None:
    async def same(tasks: BackgroundTasks) -> Response:
        tasks.add_task(good)
        return JSONResponse({}, background=tasks)

    async def merged(tasks: BackgroundTasks) -> Response:
        tasks.add_task(good)
        return JSONResponse({}, background=PlainTasks([*tasks.tasks, BackgroundTask(good)]))

    assert [task.state for task in tasks_of(same)] == ["done"]
    assert [task.state for task in tasks_of(merged)] == ["done", "done"]


def test_groups_and_tasks_that_run_in_their_own_way_are_not_accused() -> None:
    class Direct(PlainTasks):
        async def __call__(self) -> None:
            for task in self.tasks:
                await task.func(*task.args, **task.kwargs)

    class Careful(BackgroundTask):
        async def __call__(self) -> None:
            await self.func(*self.args, **self.kwargs)

    async def grouped() -> Response:
        group = Direct()
        group.add_task(good)
        return JSONResponse({}, background=group)

    async def single() -> Response:
        return JSONResponse({}, background=Careful(good))

    async def replacing(tasks: BackgroundTasks) -> Response:
        tasks.add_task(good)
        return JSONResponse({}, background=Direct(tasks.tasks))

    for endpoint in (grouped, single, replacing):
        assert tasks_of(endpoint) == ()
    assert RAN == ["good"] * 3


def test_groups_in_groups_and_plain_callables_are_taken_as_they_come() -> None:
    async def nested() -> Response:
        return JSONResponse({}, background=PlainTasks([PlainTasks([BackgroundTask(good)])]))

    async def plain() -> Response:
        return JSONResponse({}, background=partial(good, "plain"))

    assert states(tasks_of(nested)) == [("good", "done", None)]
    assert tasks_of(plain) == ()
    assert RAN == ["good", "plain"]


def test_a_task_added_by_a_dependency_runs() -> None:
    def audit(tasks: BackgroundTasks) -> None:
        tasks.add_task(good)

    async def endpoint(_audit: None = Depends(audit)) -> str:
        return "ok"

    assert states(tasks_of(endpoint)) == [("good", "done", None)]


def test_an_exception_handler_may_run_the_tasks_itself() -> None:
    app = FastAPI()

    @app.exception_handler(LookupError)
    async def answer(request: Request, _error: Exception) -> Response:
        return JSONResponse({}, status_code=404, background=request.state.tasks)

    @app.get("/")
    async def endpoint(request: Request, tasks: BackgroundTasks) -> str:
        request.state.tasks = tasks
        tasks.add_task(good)
        raise LookupError

    outcome = call(app, "/")

    assert outcome.status == 404
    assert states(outcome.record.tasks) == [("good", "done", None)]


def test_a_cancelled_task_accuses_nobody() -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    async def endpoint(tasks: BackgroundTasks) -> str:
        tasks.add_task(cancelled)
        tasks.add_task(good)
        return "ok"

    outcome = call(app_of(endpoint), "/")

    assert isinstance(outcome.error, asyncio.CancelledError)
    assert [(task.state, task.exception) for task in outcome.record.tasks] == [("failed", None)]


def test_a_capture_around_takes_the_tasks_over() -> None:
    async def endpoint(tasks: BackgroundTasks) -> str:
        tasks.add_task(bad)
        tasks.add_task(good)
        return "ok"

    capture = Recorder(
        record_id="c", kind="capture", clock=time.perf_counter, wall=time.time, name="capture"
    )
    capture.note_exception(LookupError("an earlier one"))
    record = call(app_of(endpoint), "/", outer=capture).record

    tasks = capture.seal("closed").tasks

    assert states(tasks) == states(record.tasks)
    assert (tasks[0].exception, tasks[1].cause) == (1, 1)
    assert tasks[0].started_ms is not None
    assert record.tasks[0].started_ms is not None
    assert tasks[0].started_ms >= record.tasks[0].started_ms


# As a guest.


@pytest.mark.parametrize("function", [good, bad, bad_in_thread])
def test_messages_and_errors_are_the_same_with_and_without_a_recording(function: Any) -> None:
    async def endpoint(tasks: BackgroundTasks) -> str:
        tasks.add_task(function)
        return "ok"

    app = app_of(endpoint)
    with_us, without = call(app, "/"), call(app, "/", recorded=False)

    assert with_us.messages == without.messages
    assert repr(with_us.error) == repr(without.error)


def test_undo_leaves_starlette_as_it_was() -> None:
    before = (vars(BackgroundTask).copy(), vars(Response).copy())
    hooks = Hooks()
    background.install(hooks)
    hooks.undo()

    assert (dict(vars(BackgroundTask)), dict(vars(Response))) == before


@pytest.mark.parametrize("cls", [Response, StreamingResponse, FileResponse])
def test_a_response_still_is_an_asgi_application_for_who_asks(cls: type[Response]) -> None:
    assert inspect.iscoroutinefunction(cls.__call__)
