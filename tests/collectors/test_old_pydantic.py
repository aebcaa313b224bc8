"""Calls of pydantic 1's methods, noted as they happen."""

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydantic.main
import pytest
from fastapi import FastAPI
from pydantic import BaseModel

from fastapi_diagnostics.collectors import old_pydantic
from fastapi_diagnostics.collectors.application.calls import METHODS
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.record import OldPydanticCall
from tests.collectors.recorded_calls import call
from tests.installed import installed

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(old_pydantic, root=Path(__file__).parent) as hooks:
        yield hooks


class Item(BaseModel):
    title: str = "lamp"


class Lamp(Item):
    watts: int = 5


class Own(BaseModel):
    title: str = "lamp"

    def dict(self, **options: Any) -> Any:
        return self.model_dump(**options)


def called_in(endpoint: Any, **options: Any) -> list[OldPydanticCall]:
    app = FastAPI()
    app.get("/", response_model=None)(endpoint)
    outcome = call(app, "/", **options)
    assert outcome.error is None
    return list(outcome.record.old_pydantic_calls)


def line_of(function: Any, text: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    start = function.__code__.co_firstlineno
    return next(n for n, line in enumerate(lines[start:], start + 1) if text in line)


def anything() -> Any:
    return Lamp()


async def of_unknown_type() -> Any:
    return anything().dict()


def test_a_receiver_that_no_source_names_is_told_with_its_class_and_line() -> None:
    [found] = called_in(of_unknown_type)

    assert (found.model, found.api) == ("Lamp", ".dict()")
    assert found.location.file.endswith("test_old_pydantic.py")
    assert found.location.line == line_of(of_unknown_type, "anything().dict()")
    assert found.location.function == "of_unknown_type"


@pytest.mark.parametrize(
    ("name", "run"),
    [
        ("dict", lambda: Item().dict()),
        ("json", lambda: Item().json()),
        ("copy", lambda: Item().copy()),
        ("construct", Item.construct),
        ("parse_obj", lambda: Item.parse_obj({})),
        ("parse_raw", lambda: Item.parse_raw("{}")),
        ("from_orm", lambda: FromAttributes.from_orm(Item())),
        ("schema", Item.schema),
        ("schema_json", Item.schema_json),
        ("validate", lambda: Item.validate({})),
        ("update_forward_refs", Item.update_forward_refs),
    ],
)
def test_each_method_is_told_once(name, run) -> None:
    async def endpoint() -> None:
        run()

    assert [found.api for found in called_in(endpoint)] == [f".{name}()"]


class FromAttributes(BaseModel):
    model_config = {"from_attributes": True}
    title: str


def test_the_methods_are_those_that_the_audit_looks_for() -> None:
    assert set(old_pydantic.METHODS) == METHODS


def test_a_line_in_a_loop_is_told_once() -> None:
    async def endpoint() -> Any:
        return [item.dict() for item in [Item(), Lamp(), Item()]]

    assert len(called_in(endpoint)) == 1


def test_a_thread_of_the_request_is_watched_too() -> None:
    def endpoint() -> Any:
        return Item().dict()

    assert len(called_in(endpoint)) == 1


def test_what_is_in_order_is_not_told() -> None:
    async def endpoint() -> Any:
        Own().dict()
        Item.model_construct(title=1)
        return [Item().model_dump(), Item().model_copy(), {"a": 1}.copy()]

    assert called_in(endpoint) == []


def test_what_a_library_calls_is_its_own_affair() -> None:
    library: dict[str, Any] = {}
    exec(compile("def dump(item):\n    return item.dict()\n", "<library>", "exec"), library)  # noqa: S102 - ours

    async def endpoint() -> Any:
        return library["dump"](Item())

    assert called_in(endpoint) == []


def test_a_capture_around_takes_the_lines_over() -> None:
    inner = old_pydantic.OldPydanticPart()
    inner.calls[(of_unknown_type.__code__, 0)] = ("Item", "dict")
    outer = old_pydantic.OldPydanticPart()

    outer.absorb(inner, exceptions=0)

    assert [one.model for one in outer.seal(None)["old_pydantic_calls"]] == ["Item"]


@pytest.mark.parametrize("recorded", [True, False])
def test_the_warning_names_the_same_line_as_without_us(recorded) -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        called = call(an_app(), "/", recorded=recorded)

    assert called.status == 200
    [warning] = [one for one in told if "`dict`" in str(one.message)]
    assert (warning.filename, warning.lineno) == (
        __file__,
        line_of(of_unknown_type, "anything().dict()"),
    )


def an_app() -> FastAPI:
    app = FastAPI()
    app.get("/", response_model=None)(of_unknown_type)
    return app


def test_what_others_set_there_reaches_the_module(monkeypatch) -> None:
    heard: list[Any] = []

    monkeypatch.setattr("pydantic.main.warnings.warn", lambda *args, **_: heard.append(args))
    Item().dict()

    assert len(heard) == 1


def test_undo_leaves_pydantic_as_it_was(hooks) -> None:
    hooks.undo()

    assert pydantic.main.warnings is warnings


def test_a_pydantic_that_warns_otherwise_is_reported(monkeypatch) -> None:
    hooks = Hooks()

    class Silent(BaseModel):
        def dict(self) -> None:
            return None

    monkeypatch.setattr(sys.modules["pydantic.main"], "BaseModel", Silent)
    old_pydantic.install(hooks)

    [status] = hooks.status()
    assert not status.on
    assert "dict" in status.why
