"""State on dependencies that are new for every request."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from pydantic import BaseModel

from fastapi_diagnostics.collectors import dependency_state
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.record import LostState
from tests.collectors.recorded_calls import call
from tests.installed import installed


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(dependency_state, root=Path(__file__).parent) as hooks:
        yield hooks
    dependency_state._counted.cache_clear()


class Counter:
    def __init__(self) -> None:
        self.calls = 0

    def count(self) -> int:
        self.calls += 1
        return self.calls


class Limiter:
    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def check(self, client: str) -> None:
        self.seen[client] = self.seen.get(client, 0) + 1


class Paging:
    def __init__(self, page: int = 1) -> None:
        self.page = page
        self.last = False

    def turn(self) -> None:
        self.page += 1
        self.last = True


class Filter(BaseModel):
    page: int = 1

    def turn(self) -> None:
        self.page += 1


class Strange:
    def __init__(self) -> None:
        object.__setattr__(self, "calls", 0)

    def __getattribute__(self, name: str) -> Any:
        if name == "__dict__":
            raise RuntimeError("nobody may look")
        return object.__getattribute__(self, name)

    def count(self) -> None:
        self.calls += 1


def lost_in(endpoint: Any) -> tuple[LostState, ...]:
    app = FastAPI()
    app.get("/")(endpoint)
    return call(app, "/").record.lost_states


def test_a_counter_on_a_new_instance_is_told_with_its_line() -> None:
    async def endpoint(counter: Annotated[Counter, Depends(Counter)]) -> int:
        return counter.count() + counter.count()

    (state,) = lost_in(endpoint)

    assert (state.dependency, state.attribute) == ("Counter", "calls")
    assert (state.before, state.after, state.entries) == (0, 2, False)
    assert state.location is not None
    assert state.location.line == Counter.count.__code__.co_firstlineno + 1


def test_a_dictionary_that_fills_is_told_by_its_length() -> None:
    async def endpoint(limiter: Annotated[Limiter, Depends()]) -> None:
        limiter.check("a")

    (state,) = lost_in(endpoint)

    assert (state.attribute, state.before, state.after, state.entries) == ("seen", 0, 1, True)


def test_an_object_that_lets_nobody_look_is_looked_at_without_asking_it() -> None:
    async def endpoint(strange: Annotated[Strange, Depends(Strange)]) -> None:
        strange.count()

    assert len(lost_in(endpoint)) == 1


SHARED = Counter()


def test_what_lasts_or_belongs_to_the_request_is_not_told() -> None:
    async def shared(counter: Annotated[Counter, Depends(lambda: SHARED)]) -> int:
        return counter.count()

    async def paging(paging: Annotated[Paging, Depends(Paging)]) -> None:
        paging.turn()

    async def model(query: Annotated[Filter, Depends(Filter)]) -> None:
        query.turn()

    async def unused(_counter: Annotated[Counter, Depends(Counter)]) -> None:
        return

    for endpoint in (shared, paging, model, unused):
        assert lost_in(endpoint) == ()


def test_undo_leaves_fastapi_as_it_was(hooks: Hooks) -> None:
    hooks.undo()

    from fastapi import routing  # noqa: PLC0415 - looked at after the undoing

    assert "fastapi_diagnostics" not in routing.run_endpoint_function.__code__.co_filename
