"""What the endpoints of the request corpus take."""

import enum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Colour(enum.Enum):
    red = "red"
    green = "green"


class Line(BaseModel):
    book_id: int
    quantity: Annotated[int, Field(ge=1, le=20)]


class Order(BaseModel):
    customer_name: str
    lines: list[Line]


class Address(BaseModel):
    street: str
    city: str


class Customer(BaseModel):
    full_name: str
    address: Address


class Item(BaseModel):
    title: str
    price: float


class Owner(BaseModel):
    login: str


class CamelUser(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)

    user_name: str
    birth_year: int = 1990


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str
    nickname: str | None = None


class Painted(BaseModel):
    colour: Colour
    size: Literal["small", "medium", "large"] = "small"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    tail: bool = True


class Filters(BaseModel):
    colour: str
    size: str = "any"


class Node(BaseModel):
    name: str
    children: "list[Node]" = []
