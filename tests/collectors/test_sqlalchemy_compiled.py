"""What is found out once for all runs of a compiled statement holds for each of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session, loading, selectinload

from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.collectors import sqlalchemy as collector
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.collectors.sqlalchemy import sealing
from fastapi_diagnostics.collectors.sqlalchemy.private import new_run_id
from tests.installed import installed
from tests.rules.sql.shop import (
    Author,
    Book,
    Recording,
    line_of,
    recorded,
    recorded_async,
    sync_engine,
)


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(collector, root=Path(__file__).parent) as hooks:
        yield hooks


@pytest.fixture
def engine() -> Iterator[Engine]:
    with sync_engine() as engine:
        yield engine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"  # filled when it is opened


def lines(recording: Recording) -> list[int | None]:
    places = (query.location for query in recording.record.queries)
    return [None if place is None else place.line for place in places]


def test_a_lookup_and_a_query_by_the_same_key_stay_what_they_are(engine) -> None:
    def use(session: Session) -> None:
        for _ in range(2):
            session.expunge_all()
            session.get(Author, 1)
            session.scalars(select(Author).where(Author.id == 2)).all()

    queries = recorded(engine, use).record.queries

    assert [query.kind for query in queries] == ["get", "query", "get", "query"]


def test_a_lookup_with_options_and_one_without_are_told_apart(engine) -> None:
    def use(session: Session) -> None:
        for _ in range(2):
            session.expunge_all()
            session.get(Author, 1)
            session.expunge_all()
            session.get(Author, 1, options=[selectinload(Author.books)])

    queries = recorded(engine, use).record.queries

    lookups = [query.option for query in queries if query.kind == "get"]
    assert lookups == ["", "options", "", "options"]


def test_one_statement_of_a_session_and_of_a_connection_has_the_same_entity(engine) -> None:
    statement = select(Book).where(Book.id == 1)

    def use(session: Session) -> None:
        for _ in range(2):
            session.scalars(statement).all()
            session.connection().execute(statement).all()

    queries = recorded(engine, use).record.queries

    assert {(query.kind, query.attribute) for query in queries} == {("query", "Book")}


def test_lazy_loads_of_each_parent_have_its_key_and_the_query_that_loaded_it(engine) -> None:
    def use(session: Session) -> None:
        for number in (1, 2, 1):
            session.expunge_all()
            for author in session.scalars(select(Author).where(Author.id >= number)):
                assert author.books

    queries = recorded(engine, use).record.queries

    parents = [query.index for query in queries if query.kind == "query"]
    loads = [query for query in queries if query.kind == "lazy"]
    assert {query.parent_query for query in loads} == set(parents)
    first, second, third = (
        {query.parent_key for query in loads if query.parent_query == parent} for parent in parents
    )
    assert first == third
    assert second < first


def test_the_users_line_is_found_above_and_within_a_greenlet(path) -> None:
    def by_hand(session: Session) -> None:
        session.get(Author, 1)  # within

    async def use(session: AsyncSession) -> None:
        for _ in range(3):
            session.expunge_all()
            await session.get(Author, 1)  # above
            session.expunge_all()
            await session.run_sync(by_hand)

    above, within = line_of("above", __file__), line_of("within", __file__)

    assert lines(recorded_async(path, use)) == [above, within] * 3


def test_the_users_line_is_found_first_within_and_then_above_a_greenlet(path) -> None:
    def first(session: Session) -> None:
        session.scalars(select(Author)).all()  # first

    async def use(session: AsyncSession) -> None:
        for _ in range(2):
            await session.run_sync(first)
            (await session.scalars(select(Author))).all()  # then

    assert (
        lines(recorded_async(path, use))
        == [
            line_of("first", __file__),
            line_of("then", __file__),
        ]
        * 2
    )


def test_a_listener_of_the_user_that_comes_later_is_seen_in_the_greenlet(path) -> None:
    async def use(session: AsyncSession) -> None:
        statement = select(Author)
        for _ in range(2):
            (await session.scalars(statement)).all()  # bare
        event.listen(session.sync_session, "do_orm_execute", invoked)
        (await session.scalars(statement)).all()

    def invoked(state: Any) -> Any:
        return state.invoke_statement()  # listening

    bare = line_of("bare", __file__)

    assert lines(recorded_async(path, use)) == [bare, bare, line_of("listening", __file__)]


def test_what_was_resolved_is_forgotten_when_other_files_become_the_users(engine) -> None:
    def use(session: Session) -> None:
        session.get(Author, 1)

    before = recorded(engine, use).record.queries[0].location
    USER_CODE.reset()
    USER_CODE.add_root(Path(__file__).parent.parent)
    after = recorded(engine, use).record.queries[0].location

    assert before is not None
    assert after is not None
    assert (before.file, after.file) == (Path(__file__).name, f"collectors/{Path(__file__).name}")


def test_resolved_call_sites_are_bounded(engine, monkeypatch) -> None:
    monkeypatch.setattr(sealing, "MAX_STACKS", 3)
    sealing._STACKS.clear()
    names: dict[str, Any] = {"Author": Author}
    source = "\n".join(f"def use_{n}(session): session.get(Author, 1)" for n in range(10))
    exec(compile(source, __file__, "exec"), names)  # noqa: S102 - ten places

    for number in range(10):
        recording = recorded(engine, names[f"use_{number}"])
        assert lines(recording) == [number + 1]
        assert len(sealing._STACKS) <= 3


def test_the_orms_numbers_grow_with_ours() -> None:
    ours = new_run_id()

    before = loading._new_runid()
    number = ours()

    assert before < number < loading._new_runid()
