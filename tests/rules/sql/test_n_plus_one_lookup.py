"""SQL103 through the real library."""

import asyncio

import pytest
from sqlalchemy import func, select, text, tuple_
from sqlalchemy.ext.asyncio import create_async_engine

from fastapi_diagnostics.recorder import CURRENT
from fastapi_diagnostics.rules.sql.n_plus_one_lookup import check
from tests.builders import a_query, a_record
from tests.rules.sql.shop import (
    AUTHORS,
    Author,
    Book,
    Shelf,
    in_own_session,
    line_of,
    recorded,
    recorded_async,
    recorder,
    sealed,
    sync_engine,
)

IDS = range(1, AUTHORS + 1)


def test_get_in_a_loop_is_found(engine):
    def use(s):
        for author_id in IDS:
            s.get(Author, author_id)  # get in loop

    (finding,) = recorded(engine, use).findings()

    assert (finding.rule, finding.confidence, finding.severity) == ("SQL103", "proven", "error")
    assert finding.location.line == line_of("get in loop", __file__)
    assert finding.evidence["count"] == finding.evidence["distinct"] == AUTHORS
    assert finding.evidence["phase"] == "endpoint"
    assert finding.fix.code == "select(Author).where(Author.id.in_(keys))"


def test_one_query_for_all_of_them_is_clean(engine):
    def use(s):
        found = {a.id: a for a in s.scalars(select(Author).where(Author.id.in_(IDS)))}
        return [found[author_id].name for author_id in IDS]

    assert recorded(engine, use).codes == []


def test_get_from_the_identity_map_is_clean(engine):
    def use(s):
        kept = s.scalars(select(Author)).all()
        return [s.get(Author, author_id) for author_id in IDS], kept

    recording = recorded(engine, use)

    assert recording.codes == []
    assert recording.record.query_count == 1


@pytest.mark.parametrize(
    "lookup",
    [
        lambda n: select(Author).where(Author.name == f"a{n}"),
        lambda n: select(Author.name).where(Author.id == n).limit(1),
        lambda n: select(Author.__table__.c.name).where(Author.__table__.c.id == n),
        lambda n: select(func.count()).select_from(Book).where(Book.author_id == n),
        lambda n: select(select(Book).where(Book.author_id == n).exists()),
        lambda n: text(f"SELECT name FROM author WHERE id = {n}"),  # noqa: S608
        lambda n: text("SELECT name FROM author WHERE id = :id").bindparams(id=n),
        lambda n: text("SELECT name FROM author WHERE id=:id AND name<>:no").bindparams(
            id=n, no=""
        ),
    ],
    ids=["entity", "limit", "core", "count", "exists", "literal", "bound text", "tight text"],
)
def test_other_lookups_in_a_loop_are_likely(engine, lookup):
    def use(s):
        return [s.execute(lookup(n)).first() for n in IDS]

    (finding,) = recorded(engine, use).findings()

    assert (finding.rule, finding.confidence) == ("SQL103", "likely")


@pytest.mark.parametrize(
    "query",
    [
        lambda n: select(Book).order_by(Book.id).limit(2).offset(n * 2),
        lambda n: select(Book).where(Book.id > n * 2).order_by(Book.id).limit(2),
        lambda n: select(Book).where(Book.author_id == 1, Book.id > n).order_by(Book.id).limit(2),
        lambda n: select(Book).where(Book.id.in_([n, n + 1])),
        lambda n: select(Book).where(tuple_(Book.id, Book.author_id).in_([(n, 1), (n + 1, 1)])),
        lambda n: select(func.count()).where(Book.id.between(n, n + 3)),
        lambda n: select(Book).where(Book.title.like(f"%{n}%")),
        lambda _: select(Author).order_by(Author.id).limit(1),
    ],
    ids=["pages", "keyset", "keyset of one", "chunks", "tuples", "buckets", "search", "same"],
)
def test_pages_chunks_and_ranges_are_clean(engine, query):
    def use(s):
        for n in IDS:
            s.execute(query(n)).all()

    assert recorded(engine, use).findings("SQL101", "SQL103") == []


def test_probing_in_a_while_loop_is_clean(engine):
    def use(s):
        number = 1
        while s.scalar(select(Author.id).where(Author.name == f"a{number}")):
            number += 1

    recording = recorded(engine, use)

    assert recording.codes == []
    assert recording.record.query_count == AUTHORS + 1


def test_the_same_line_called_from_several_places_is_clean(engine):
    def load(s, author_id):
        return s.get(Author, author_id)

    def use(s):
        return load(s, 1), load(s, 2), load(s, 3)

    def elsewhere(s):
        load(s, 1)
        load(s, 2)
        load(s, 3)

    assert recorded(engine, use).codes == []
    assert recorded(engine, elsewhere).codes == []


def test_a_pair_of_names_is_clean(engine):
    def use(s):
        return [s.get(Author, author_id) for author_id in (1, 2)]

    assert recorded(engine, use).codes == []


def test_a_loop_that_calls_a_repository_is_blamed(engine):
    def load(s, author_id):
        return s.get(Author, author_id)

    def use(s):
        for author_id in IDS:
            load(s, author_id)  # calls repository

    (finding,) = recorded(engine, use).findings()

    assert finding.location.line == line_of("calls repository", __file__)


def test_a_write_only_relationship_per_parent_is_found(engine):
    def use(s):
        for shelf in s.scalars(select(Shelf)).all():
            s.scalars(shelf.marks.select()).all()  # per shelf

    (finding,) = recorded(engine, use).findings()

    assert finding.location.line == line_of("per shelf", __file__)
    assert finding.fix.code == "select(Mark).where(Mark.shelf_id.in_(keys))"


def test_an_async_loop_is_found(database):
    async def use(s):
        for author_id in IDS:
            await s.get(Author, author_id)  # async get

    (finding,) = recorded_async(database, use).findings()

    assert finding.location.line == line_of("async get", __file__)
    assert finding.confidence == "proven"


def test_gathered_lookups_are_found_and_their_mended_twin_is_clean(database):
    async def load(engine, author_id):
        return await in_own_session(engine, lambda s: s.get(Author, author_id))  # gathered

    async def main(*, mended):
        engine = create_async_engine(f"sqlite+aiosqlite:///{database}")
        run = recorder()
        CURRENT.set(run)
        if mended:
            query = select(Author).where(Author.id.in_(IDS))
            await in_own_session(engine, lambda s: s.scalars(query))
        else:
            await asyncio.gather(*(load(engine, author_id) for author_id in IDS))
        await engine.dispose()
        return sealed(run)

    with sync_engine(str(database)):
        guilty = asyncio.run(main(mended=False))
        mended = asyncio.run(main(mended=True))

    (finding,) = guilty.findings()
    assert finding.evidence["concurrent"] is True
    assert "concurrent tasks" in finding.message
    assert mended.codes == []


def test_a_paced_loop_is_clean():
    queries = tuple(
        a_query(
            index=n,
            kind="get",
            started_ms=n * 300.0,
            values=(str(n),),
            values_digest=str(n),
            stack=(looping(),),
        )
        for n in range(5)
    )

    assert list(check(a_record(queries=queries))) == []


def looping():
    from fastapi_diagnostics.record import Frame  # noqa: PLC0415
    from tests.builders import a_location  # noqa: PLC0415

    return Frame(location=a_location(), in_loop=True, loop="for")


@pytest.mark.parametrize("operator", ["=", "<"])
def test_lookups_by_values_that_are_not_shown_are_told_from_ranges(engine, operator):
    def use(session):
        for number in range(5):
            query = text(f"SELECT id FROM book WHERE title {operator} :token")  # noqa: S608
            session.scalars(query, {"token": f"t{number}"}).all()

    recording = recorded(engine, use)

    assert len({query.values for query in recording.record.queries}) == 1  # redacted
    assert recording.codes == (["SQL103"] if operator == "=" else [])
