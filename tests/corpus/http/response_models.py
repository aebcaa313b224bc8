"""Response models of all kinds, and an object that refuses to be looked at."""

import dataclasses
import datetime as dt
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, RootModel, SecretStr, computed_field
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

T = TypeVar("T")


class Author(BaseModel):
    name: str


class Book(BaseModel):
    title: str
    author: Author | None = None


class Page(BaseModel, Generic[T]):
    items: list[T]
    total: int


class ApiResponse(BaseModel, Generic[T]):
    data: T


class Card(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    book_title: str
    shelf_mark: str | None = None


class Profile(BaseModel):
    name: str
    email: str | None = None
    total_amount: int | None = None
    end: int | None = None


class ProfileInDb(Profile):
    hashed_password: str = ""
    note: str = ""


class Priced(BaseModel):
    net: float

    @computed_field
    @property
    def gross(self) -> float:
        return self.net * 1.22


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tail: bool = True


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    title: str


class Titles(RootModel[list[Book]]): ...


class Row(TypedDict):
    title: str


@dataclasses.dataclass
class Point:
    x: int


class Account(BaseModel):
    login: str
    password_hash: str


class Login(BaseModel):
    access_token: str
    refresh_token: str
    token_type: str = "bearer"  # noqa: S105 - no secret


class Vault(BaseModel):
    name: str
    password: SecretStr
    has_password: bool = True
    password_changed_at: dt.date | None = None


class Node(BaseModel):
    name: str
    children: "list[Node]" = []


class Nasty:
    """Whatever looks at it too closely fails."""

    def __init__(self) -> None:
        self.name = "nasty"
        self.note = "kept back"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment] # as Python does for a class with __eq__


HASH = "$2b$12$abcdefghijklmnopqrstuuK7Uo3y0zqGmQ3f6v0b6nJ8m1tYpW2zS"
