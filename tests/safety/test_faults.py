"""Whatever of ours raises, the application answers as it does without us, and it is counted."""

import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel
from sqlalchemy import String, create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from fastapi_diagnostics import DiagnosticsMiddleware
from fastapi_diagnostics.faults import FAULTS
from fastapi_diagnostics.recorder import PARTS_FROM_START, Recorder
from fastapi_diagnostics.rules.catalogue import LoadedRule, all_rules

ERRORS = (ValueError, RecursionError, MemoryError)
OURS = {"x-diagnostics-id", "server-timing"}


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String)


class Shown(BaseModel):
    name: str


def refusing(*_args: Any, **_options: Any) -> Any:
    raise ArithmeticError("no one asks this object anything")


DUNDERS = ("__repr__", "__str__", "__eq__", "__ne__", "__len__", "__bool__", "__iter__", "__lt__")
ASKED = dict.fromkeys((*DUNDERS, "__format__", "__contains__", "__getattr__"), refusing)


class Nasty:
    """An object that answers nothing."""


class NastyText(str):
    """A text that a driver takes, and that answers nothing else."""

    __slots__ = ()


class NastyDict(dict):
    pass


class NastyError(Exception):
    """An error that has no text and is neither true nor false."""


for cls in (Nasty, NastyText, NastyDict, NastyError):
    for name, refuse in ASKED.items():
        if cls in {Nasty, NastyDict} or name != "__getattr__":
            setattr(cls, name, refuse)
    cls.__hash__ = object.__hash__


class HandledError(Exception):
    pass


def circle() -> Exception:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    return first


RAISED = {
    "plain": lambda: ValueError("x"),
    "nasty": NastyError,
    "handled": HandledError,
    "circle": circle,
    "group": lambda: ExceptionGroup("g", [NastyError(), circle(), ValueError()]),
    "recursion": RecursionError,
    "memory": MemoryError,
}  # fmt: skip


def an_app() -> FastAPI:  # noqa: C901 - one small endpoint for each hook
    app = FastAPI()
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    Base.metadata.create_all(engine)

    @app.exception_handler(HandledError)
    async def handled(_request: Request, _error: HandledError) -> JSONResponse:
        return JSONResponse({"handled": True}, 418)

    def session() -> Iterator[Session]:
        with Session(engine) as found:
            yield found

    @app.get("/sql")
    def sql(found: Session = Depends(session)) -> list[str]:  # noqa: B008, FAST002
        found.add(Author(name="Ursula"))
        found.flush()
        found.commit()
        found.execute(text("SELECT :name"), {"name": NastyText("x")})
        names = list(found.scalars(select(Author.name)))
        found.rollback()
        return names

    @app.get("/failing-sql")
    def failing_sql(found: Session = Depends(session)) -> None:  # noqa: B008, FAST002
        found.execute(text("SELECT * FROM nothing"))

    @app.get("/raise/{kind}")
    async def raising(kind: str) -> None:
        make = RAISED[kind]
        raise make()

    @app.get("/strict/{number}")
    async def strict(number: int) -> int:
        return number

    @app.get("/model", response_model=list[Shown])
    async def model() -> Any:
        return [{"name": "a", "more": Nasty()}, NastyDict(name="b", more=1)]

    @app.get("/nasty")
    async def nasty() -> Any:
        return Nasty()

    @app.get("/tasks")
    async def tasks(background: BackgroundTasks) -> None:
        background.add_task(lambda *_a, **_k: None, Nasty(), NastyText("x"), option=NastyDict(a=1))

    @app.get("/failing-task")
    async def failing_task(background: BackgroundTasks) -> None:
        background.add_task(refusing)
        background.add_task(refusing)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter([b"a", b"b"]))

    return app


PATHS = (
    *("/sql", "/failing-sql", "/strict/1", "/strict/x", "/model", "/nasty", "/tasks"),
    *("/failing-task", "/stream", "/nowhere", *(f"/raise/{kind}" for kind in RAISED)),
)


async def answers(app: Any) -> dict[str, Any]:
    """Ask for everything; what the application raises is part of its answer."""
    seen: dict[str, Any] = {}
    for path in PATHS:
        seen[path] = [await _answer(app, path, raised) for raised in (False, True)]
    return seen


async def _answer(app: Any, path: str, raised: bool) -> Any:  # noqa: FBT001
    transport = httpx.ASGITransport(app, raise_app_exceptions=raised)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        try:
            answer = await client.get(path)
        except Exception as error:  # noqa: BLE001 - compared
            return type(error)
    headers = [pair for pair in answer.headers.items() if pair[0] not in OURS]
    return answer.status_code, headers, answer.content


def runtime_of(app: FastAPI) -> Any:
    app.middleware_stack = app.build_middleware_stack()
    return app.middleware_stack._runtime


@pytest.fixture
def observed() -> Iterator[tuple[FastAPI, Any]]:
    FAULTS.clear()
    app = an_app()
    app.add_middleware(DiagnosticsMiddleware)
    yield app, runtime_of(app)
    FAULTS.clear()


async def without_us() -> dict[str, Any]:
    expected = await answers(an_app())
    assert expected["/sql"][0][0] == 200
    assert expected["/raise/handled"][0][0] == 418
    assert expected["/raise/nasty"][1] is NastyError
    return expected


def places() -> set[str]:
    return {fault.where for fault in FAULTS.all()}


async def test_nasty_objects_pass_and_trouble_nobody(observed) -> None:
    app, runtime = observed

    assert await answers(app) == await without_us()

    assert runtime.drain(5)
    assert places() == set()


async def test_errors_without_text_are_recorded_all_the_same(observed) -> None:
    app, runtime = observed
    await answers(app)
    runtime.drain(5)

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost"
    ) as client:
        found = (await client.get("/_diagnostics/api/findings?rule=EXC101")).json()["findings"]

    shown = {finding["evidence"]["exception"]["type"].rpartition(".")[2] for finding in found}
    assert {"NastyError", "ValueError", "ExceptionGroup", "OperationalError"} <= shown


def faulty(method: str, error: type[Exception]) -> type[Recorder]:
    def fails(_self: Recorder, *_args: Any, **_options: Any) -> Any:
        raise error(method)

    return type("FaultyRecorder", (Recorder,), {"__slots__": (), method: fails})


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(
    "method",
    ["__init__", "part", "note_exception", "index_of", "noted", "ms", "phase_during",
     "take", "close"],
)  # fmt: skip
async def test_a_recorder_that_fails(observed, monkeypatch, method, error) -> None:
    app, runtime = observed
    monkeypatch.setattr("fastapi_diagnostics.runtime.Recorder", faulty(method, error))

    assert await answers(app) == await without_us()

    assert runtime.drain(5)
    if method not in {"phase_during", "noted"}:  # asked for blocks and failed lazy loads only
        assert places()
        assert all(error.__name__ in fault.last for fault in FAULTS.all())


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("good", [0, 1, 2, 3, 4, 6, 8, 10])
async def test_a_clock_that_fails_after_some_readings(observed, good, error) -> None:
    app, runtime = observed
    left = good

    def clock() -> float:
        nonlocal left
        left -= 1
        if left < 0:
            raise error("clock")
        return time.perf_counter()

    def opened(scope: Any) -> Recorder:
        nonlocal left
        left = good
        return original(scope)

    original, runtime.open, runtime._clock = runtime.open, opened, clock

    assert await answers(app) == await without_us()

    assert runtime.drain(5)
    assert places()


@pytest.mark.parametrize("error", ERRORS)
async def test_a_part_that_cannot_be_sealed_costs_its_own_facts_only(
    observed, monkeypatch, error
) -> None:
    class Part:
        def seal(self, _recorder: Recorder) -> dict[str, Any]:
            raise error("seal")

    app, runtime = observed
    monkeypatch.setitem(PARTS_FROM_START, "broken", Part)

    assert await answers(app) == await without_us()

    assert runtime.drain(5)
    assert places() == {"seal broken"}
    assert runtime.store.status().totals.requests == 2 * len(PATHS)


@pytest.mark.parametrize("error", ERRORS)
async def test_a_rule_that_fails_is_switched_off_and_the_others_go_on(observed, error) -> None:
    def check(_record: Any) -> Iterator[Any]:
        raise error("rule")
        yield

    app, runtime = observed
    known = next(loaded.rule for loaded in all_rules() if loaded.rule.code == "SQL101")
    rule = msgspec.structs.replace(known, code="X1")
    runtime.pipeline.rules = (LoadedRule(rule, check), *runtime.pipeline.rules)

    assert await answers(app) == await without_us()

    assert runtime.drain(5)
    assert FAULTS.count("rule X1") == 3
    assert places() == {"rule X1"}
    assert runtime.store.status().totals.groups_open > 3


@pytest.mark.parametrize("place", ["submit", "conclude", "keep", "findings"])
@pytest.mark.parametrize("error", ERRORS)
async def test_a_pipeline_that_fails(observed, monkeypatch, place, error) -> None:
    def fails(*_args: Any) -> Any:
        raise error(place)

    app, runtime = observed
    monkeypatch.setattr(runtime.pipeline, place, fails)

    assert await answers(app) == await without_us()

    assert runtime.drain(5)
    assert places()


async def test_a_subscriber_that_fails(observed) -> None:
    app, runtime = observed
    runtime.pipeline.subscribe(refusing)

    assert await answers(app) == await without_us()

    assert runtime.drain(5)
    assert places() == {"subscriber"}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_what_ends_the_process_is_not_held_up(observed, error) -> None:
    app, runtime = observed

    @app.get("/ends")
    async def ends() -> None:
        raise error

    thrown = error()

    @app.get("/same")
    async def same() -> None:
        raise thrown

    with pytest.raises(error) as raised:
        await _answer(app, "/same", True)  # noqa: FBT003

    assert raised.value is thrown
    assert runtime.drain(5)
    assert places() == set()


def test_a_store_at_an_impossible_place(tmp_path) -> None:
    (tmp_path / "file").touch()
    app = an_app()
    app.add_middleware(
        DiagnosticsMiddleware, store_url=f"sqlite:///{tmp_path}/file/below/diagnostics.db"
    )
    runtime = runtime_of(app)

    statuses = _statuses(app)

    assert statuses == [200] * 20
    assert runtime.drain(5)
    assert runtime.store.status().kind == "memory"
    assert runtime.store.status().totals.requests == 20


def test_a_store_that_somebody_holds_delays_no_request(tmp_path) -> None:
    path = tmp_path / "diagnostics.db"
    app = an_app()
    app.add_middleware(DiagnosticsMiddleware, store_url=f"sqlite:///{path}")
    runtime = runtime_of(app)
    assert runtime.store.status().kind == "sqlite"
    holder = sqlite3.connect(path, isolation_level=None)

    holder.execute("BEGIN EXCLUSIVE")
    try:
        began = time.perf_counter()
        statuses = _statuses(app)
        took = time.perf_counter() - began
    finally:
        holder.execute("ROLLBACK")
        holder.close()

    assert statuses == [200] * 20
    assert took < 2  # the store itself waits for seconds
    assert runtime.drain(10)
    assert runtime.store.status().totals.requests == 20
    runtime.pipeline.close()


def _statuses(app: FastAPI) -> list[int]:
    import anyio  # noqa: PLC0415

    async def ask() -> list[int]:
        return [(await _answer(app, "/stream", False))[0] for _ in range(20)]  # noqa: FBT003

    return anyio.run(ask)
