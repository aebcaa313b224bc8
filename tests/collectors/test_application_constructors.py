"""Which classes take a thread as dependencies, and which of them for nothing."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.security import OAuth2PasswordRequestForm
from pydantic import BaseModel, field_validator

from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.collectors.application import collect
from fastapi_diagnostics.collectors.application.constructors import only_stores
from tests.collectors.fastapi_recording import line_of


@pytest.fixture(autouse=True)
def tests_are_user_code() -> Iterator[None]:
    USER_CODE.reset()
    USER_CODE.add_root(Path(__file__).parent)
    yield
    USER_CODE.reset()


class Paging:  # paging
    def __init__(self, page: int = 1, size: int = 20) -> None:
        self.page = max(page, 1)
        self.size = min(size, 100)


class Search:
    def __init__(self, q: str = "") -> None:
        self.q = q.strip().lower()


@dataclass
class Sorting:
    by: str = "name"


@dataclass
class WithFactory:
    names: list[str] = field(default_factory=list)


class Filters(BaseModel):
    colour: str = ""


class CheckedFilters(BaseModel):
    colour: str = ""

    @field_validator("colour")
    @classmethod
    def known(cls, value: str) -> str:
        return value


class Nothing:
    pass


class Waits:
    def __init__(self) -> None:
        time.sleep(0)


class Connects:
    def __init__(self, url: str = "") -> None:
        self.connection = open_connection(url)


class CallsWhatItGets:
    def __init__(self, page: Any = None) -> None:
        self.page = page()


class Imports:
    def __init__(self) -> None:
        import json  # noqa: PLC0415 - what is judged

        self.json = json


class Inherits(Waits):
    pass


class Made:
    def __new__(cls) -> Self:
        return object.__new__(cls)


def open_connection(url: str) -> str:
    return url


@pytest.mark.parametrize("cls", [Paging, Search, Sorting, Filters, Nothing])
def test_a_class_that_only_stores_what_came_takes_its_thread_for_nothing(cls) -> None:
    assert only_stores(cls)


@pytest.mark.parametrize(
    "cls",
    [Waits, Connects, CallsWhatItGets, Imports, Inherits, Made, WithFactory, CheckedFilters],
)
def test_a_class_whose_making_may_wait_is_not_accused(cls) -> None:
    assert not only_stores(cls)


def test_classes_are_listed_once_with_place_and_routes() -> None:
    app = FastAPI(openapi_url=None)
    router = APIRouter(dependencies=[Depends(Paging)])
    router.add_api_route("/a", lambda: 1)
    router.add_api_route("/b", lambda: 1, dependencies=[Depends(Paging), Depends(Waits)])
    app.include_router(router)

    found = {one.name: one for one in collect(app).thread_classes}

    assert list(found) == ["Paging", "Waits"]
    assert (found["Paging"].routes, found["Paging"].only_stores) == (2, True)
    assert (found["Waits"].routes, found["Waits"].only_stores) == (1, False)
    assert found["Paging"].location.line == line_of("paging", __file__)


def test_functions_instances_and_library_classes_are_left_out() -> None:
    class Guard:
        def __call__(self) -> None: ...

    async def paging(page: int = 1) -> Paging:
        return Paging(page)

    app = FastAPI(openapi_url=None)

    others = [Depends(paging), Depends(OAuth2PasswordRequestForm), Depends(Guard())]
    app.add_api_route("/", lambda: 1, methods=["POST"], dependencies=others)

    assert collect(app).thread_classes == ()
