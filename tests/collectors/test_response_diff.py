"""What the response model removes, seen through real FastAPI applications."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from fastapi import Depends, FastAPI
from fastapi import Response as PlainResponse
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    SerializeAsAny,
    computed_field,
    field_serializer,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from fastapi_diagnostics.collectors import response_diff
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.record import StrippedField
from fastapi_diagnostics.recorder import Recorder
from tests.collectors.recorded_calls import Outcome, call
from tests.installed import installed

T = TypeVar("T")


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(response_diff, root=Path(__file__).parent) as hooks:
        yield hooks


class AuthorOut(BaseModel):
    name: str


class BookOut(BaseModel):
    title: str
    author: AuthorOut | None = None
    note: str | None = None


class Page(BaseModel, Generic[T]):
    items: list[T]
    total: int = 0


def served(value: Any, model: Any = BookOut, **options: Any) -> Outcome:
    app = FastAPI()

    @app.get("/", response_model=model, **options)
    async def endpoint() -> Any:
        return value() if callable(value) and not isinstance(value, type) else value

    outcome = call(app, "/")
    assert outcome.error is None
    return outcome


def stripped(value: Any, model: Any = BookOut, **options: Any) -> dict[str, StrippedField]:
    diffs = served(value, model, **options).record.response_diffs
    return {field.path: field for diff in diffs for field in diff.fields}


# What is found.


def test_a_key_the_model_does_not_declare_is_found() -> None:
    fields = stripped({"title": "Momo", "margin": 0.4})

    assert list(fields) == ["margin"]
    assert fields["margin"].source == "dict"
    assert fields["margin"].model == "BookOut"
    assert fields["margin"].type_name == "float"
    assert fields["margin"].model_bases == "BaseModel"


def test_nested_keys_are_named_by_their_path_and_counted() -> None:
    book = {"title": "Momo", "author": {"name": "Ende", "email": "e@example.org"}}

    fields = stripped({"items": [book, book, book], "cursor": "x"}, Page[BookOut])

    assert list(fields) == ["cursor", "items[].author.email"]
    assert fields["items[].author.email"].count == 3
    assert fields["items[].author.email"].model == "AuthorOut"
    assert fields["cursor"].model == "Page"


@pytest.mark.parametrize(
    ("model", "value", "path"),
    [
        (list[BookOut], [{"title": "Momo", "margin": 1}], "[].margin"),
        (dict[str, BookOut], {"a": {"title": "Momo", "margin": 1}}, "*.margin"),
        (BookOut | None, {"title": "Momo", "margin": 1}, "margin"),
        (RootModel[list[BookOut]], [{"title": "Momo", "margin": 1}], "[].margin"),
        (Annotated[BookOut, Field(description="x")], {"title": "Momo", "margin": 1}, "margin"),
        (tuple[int, BookOut], (1, {"title": "Momo", "margin": 1}), "[].margin"),
    ],
)
def test_models_are_found_wherever_they_stand(model: Any, value: Any, path: str) -> None:
    assert list(stripped(value, model)) == [path]


def test_dataclasses_and_typed_dicts_are_models_too() -> None:
    @dataclass
    class Card:
        title: str

    class Row(TypedDict):
        title: str

    assert list(stripped({"title": "Momo", "margin": 1}, Card)) == ["margin"]
    assert list(stripped({"title": "Momo", "margin": 1}, Row)) == ["margin"]


def test_a_recursive_model_is_followed() -> None:
    leaf = {"name": "leaf", "depth": 2}

    fields = stripped({"name": "root", "children": [{"name": "mid", "children": [leaf]}]}, Tree)

    assert list(fields) == ["children[].children[].depth"]


class Tree(BaseModel):
    name: str
    children: "list[Tree]" = []


def test_the_last_item_of_a_long_list_is_looked_at() -> None:
    books: list[dict[str, Any]] = [{"title": str(number)} for number in range(100)]
    books[-1]["margin"] = 1

    assert list(stripped(books, list[BookOut])) == ["[].margin"]


def test_a_long_output_is_judged_by_its_head() -> None:
    books = [{"title": "x" * 1000, "margin": 1} for _ in range(100)]

    fields = stripped({"items": books, "cursor": 1}, Page[BookOut])

    assert list(fields) == ["cursor", "items[].margin"]


def test_an_object_of_a_larger_class_is_told_from_a_dict() -> None:
    class StoredBook(BookOut):
        margin: float

    class Unrelated(BaseModel):
        title: str
        margin: float

    class Plain:
        def __init__(self) -> None:
            self.title = "Momo"
            self.margin = 1
            self._private = 2

    for value in (StoredBook(title="Momo", margin=1), Unrelated(title="M", margin=1), Plain()):
        field = stripped(value)["margin"]
        assert field.source == "object"
        assert field.owner == type(value).__name__


def test_a_secret_that_stays_behind_is_protection() -> None:
    record = served({"title": "Momo", "author": {"name": "E", "hashed_password": "x"}}).record

    assert record.protected == ("author.hashed_password",)
    assert [field.secret for field in record.response_diffs[0].fields] == [True]


def test_a_close_name_that_went_out_empty_is_named() -> None:
    class UserOut(BaseModel):
        user_name: str | None = None
        mail: str | None = Field(default=None, alias="eMail")

    fields = stripped({"userName": "x", "mail": "y"}, UserOut)

    assert fields["userName"].near == "user_name"
    assert fields["mail"].near == "eMail"


# Look-alikes that are in order.


def before(value: Any) -> Any:
    return value


class WithBefore(BaseModel):
    title: str

    @model_validator(mode="before")
    @classmethod
    def flatten(cls, value: Any) -> Any:
        return {"title": f"{value['title']} {value['margin']}"}


class WithWrap(WithBefore):
    @model_validator(mode="wrap")
    @classmethod
    def wrapped(cls, value: Any, handler: Any) -> Any:
        return handler(value)


class WithSerializer(BaseModel):
    title: str

    @model_serializer
    def write(self) -> dict[str, Any]:
        return {"t": self.title}


class Allowing(BaseModel):
    model_config = ConfigDict(extra="allow")
    title: str


class Computed(BaseModel):
    title: str

    @computed_field
    def margin(self) -> int:
        return 1


class Aliased(BaseModel):
    title: str
    profit: int = Field(validation_alias="margin", serialization_alias="gain")


class Hidden(BaseModel):
    title: str
    margin: int = Field(exclude=True)


class FieldBefore(BaseModel):
    book: BookOut

    @field_validator("book", mode="before")
    @classmethod
    def look(cls, value: Any) -> Any:
        return value


class FieldSerialized(BaseModel):
    book: BookOut

    @field_serializer("book")
    def write(self, value: BookOut) -> str:
        return value.title


class AnnotatedBefore(BaseModel):
    book: Annotated[BookOut, BeforeValidator(before)]


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


@pytest.mark.parametrize(
    "model",
    [WithBefore, WithWrap, WithSerializer, Allowing, Computed, Aliased, Hidden, dict, Any],
)
def test_what_a_model_takes_care_of_is_not_stripped(model: Any) -> None:
    assert stripped({"title": "Momo", "margin": 1}, model) == {}


@pytest.mark.parametrize("model", [FieldBefore, FieldSerialized, AnnotatedBefore])
def test_fields_that_transform_their_value_are_passed_over(model: Any) -> None:
    assert stripped({"book": {"title": "Momo", "margin": 1}}, model) == {}


def test_of_a_union_only_what_no_member_declares_is_told() -> None:
    assert list(stripped({"kind": "cat", "lives": 9}, Cat | Dog)) == ["lives"]
    assert stripped([{"title": "Momo", "name": "Ende"}], list[BookOut | AuthorOut]) == {}
    assert stripped([Dog(kind="dog")], list[Cat | Dog]) == {}


def test_options_of_the_route_are_no_stripping() -> None:
    book = {"title": "Momo", "note": None, "author": {"name": "Ende", "email": "x"}}

    assert stripped(book, response_model_exclude={"author", "note"}) == {}
    assert stripped(book | {"x": 1}, response_model_exclude={"author", "x"}) == {}
    assert stripped({"title": "Momo"}, response_model_exclude_unset=True) == {}
    assert stripped({"title": "M", "note": None}, response_model_exclude_none=True) == {}


def test_fields_an_object_itself_never_sends_or_never_got_are_no_stripping() -> None:
    class Stored(BookOut):
        margin: float = Field(default=1, exclude=True)
        views: int = 0

    assert stripped(Stored(title="Momo", margin=2)) == {}


def test_an_object_that_is_sent_as_what_it_is_loses_nothing() -> None:
    class Stored(BookOut):
        margin: float = 1

    class Shelf(BaseModel):
        book: SerializeAsAny[BookOut]

    assert stripped(Shelf(book=Stored(title="Momo", margin=2)), Shelf) == {}


def test_without_a_model_or_with_a_response_nothing_is_compared() -> None:
    assert stripped({"title": "Momo", "margin": 1}, None) == {}
    assert stripped(lambda: PlainResponse("{}")) == {}


def test_the_mended_twin_is_silent() -> None:
    class Mended(BookOut):
        margin: float

    assert stripped({"title": "Momo", "margin": 1}, Mended) == {}


# As a guest.


def test_no_code_of_the_object_runs() -> None:
    touched: list[str] = []

    class Careful:
        def __init__(self) -> None:
            self.title = "Momo"
            self.margin = 1

        @property
        def secret_cost(self) -> int:
            touched.append("property")
            return 1

        def __getattr__(self, name: str) -> Any:
            touched.append(name)
            raise AttributeError(name)

    app = FastAPI()

    @app.get("/", response_model=BookOut)
    async def endpoint() -> Any:
        return Careful()

    call(app, "/", recorded=False)
    without = sorted(touched)
    touched.clear()
    call(app, "/")

    assert sorted(touched) == without


def test_the_answer_is_the_same_bytes() -> None:
    app = FastAPI()

    @app.get("/", response_model=BookOut)
    async def endpoint() -> Any:
        return {"title": "Momo", "margin": 1}

    assert call(app, "/").body == call(app, "/", recorded=False).body


def test_serialisation_is_a_phase_and_its_failure_belongs_to_it() -> None:
    app = FastAPI()

    @app.get("/", response_model=BookOut)
    async def endpoint() -> Any:
        return {"margin": 1}

    outcome = call(app, "/")

    assert type(outcome.error).__name__ == "ResponseValidationError"
    assert "serialisation" in [phase.name for phase in outcome.record.phases]
    assert [fact.phase for fact in outcome.record.exceptions] == ["serialisation"]


def test_later_responses_of_a_kind_are_sampled() -> None:
    app = FastAPI()

    @app.get("/", response_model=BookOut)
    async def endpoint() -> Any:
        return {"title": "Momo", "margin": 1}

    seen = [bool(call(app, "/").record.response_diffs) for _ in range(46)]

    assert seen[:25] == [True] * 25
    assert 2 <= sum(seen[25:]) <= 3


def test_a_model_that_nothing_is_known_of_is_silent() -> None:
    class Odd(BaseModel):
        title: str

        def __init__(self, **data: Any) -> None:
            super().__init__(title=str(data))

    assert stripped({"title": "Momo", "margin": 1}, Odd) == {}


def test_undo_puts_the_function_back() -> None:
    from fastapi import routing  # noqa: PLC0415

    hooks = Hooks()
    before_install = routing.serialize_response
    response_diff.install(hooks)
    hooks.undo()

    assert routing.serialize_response is before_install


def test_a_fastapi_without_the_function_is_reported() -> None:
    why = response_diff._misfit(SimpleNamespace())

    assert why == "this version of FastAPI has no serialize_response"


def test_a_capture_around_takes_the_differences_over() -> None:
    inner, outer = response_diff.ResponseDiffPart(), response_diff.ResponseDiffPart()
    inner.diffs += served({"title": "Momo", "secret": 1}).record.response_diffs
    recorder = Recorder(record_id="c", kind="capture", clock=lambda: 0.0, wall=lambda: 0.0)

    outer.absorb(inner, exceptions=3)

    assert outer.seal(recorder)["protected"] == ("secret",)


def test_remembered_results_of_cached_properties_are_no_fields() -> None:
    class Plain:
        def __init__(self) -> None:
            self.title = "Momo"
            assert self.margin

        @cached_property
        def margin(self) -> int:
            return 1

    assert stripped(Plain()) == {}


def test_camel_case_aliases_are_declared_names() -> None:
    class Camel(BaseModel):
        model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
        book_title: str
        author_out: AuthorOut

    by_name = {"book_title": "Momo", "author_out": {"name": "E", "email": "x"}}
    by_alias = {"bookTitle": "Momo", "authorOut": {"name": "E", "email": "x"}}

    assert list(stripped(by_name, Camel)) == ["authorOut.email"]
    assert list(stripped(by_alias, Camel)) == ["authorOut.email"]


def test_a_sync_endpoint_and_a_dependency_make_no_difference() -> None:
    app = FastAPI()

    def rate() -> float:
        return 0.4

    @app.get("/", response_model=BookOut)
    def endpoint(margin: Annotated[float, Depends(rate)]) -> Any:
        return {"title": "Momo", "margin": margin}

    diff = call(app, "/").record.response_diffs[0]

    assert diff.endpoint is not None
    assert diff.endpoint.function.endswith("endpoint")
    assert diff.fields[0].written_in == diff.endpoint
