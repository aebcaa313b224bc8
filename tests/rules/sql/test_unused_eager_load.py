"""SQL107: what is loaded along and never read; and every way in which it is read after all."""

import copy
import pickle
import threading

import pytest
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, ConfigDict
from sqlalchemy import delete, inspect, select
from sqlalchemy.orm import (
    Session,
    contains_eager,
    joinedload,
    selectinload,
    subqueryload,
)

from fastapi_diagnostics.record import EagerLoad, ExceptionFact, ResponseDiff, StrippedField
from fastapi_diagnostics.rules.sql.unused_eager_load import check
from tests.builders import a_location, a_query, a_record
from tests.rules.sql.press import Leaflet, Magazine
from tests.rules.sql.shop import Author, Book, Node, line_of, recorded, recorded_async


def names(authors):
    return [author.name for author in authors]


@pytest.mark.parametrize(
    "option",
    [selectinload(Author.books), subqueryload(Author.books), joinedload(Author.books)],
    ids=["selectin", "subquery", "joined"],
)
def test_an_option_whose_relationship_nobody_reads_is_noted(engine, option):
    def use(s):
        authors = s.scalars(select(Author).options(option)).unique().all()  # for nothing
        return names(authors)

    (finding,) = recorded(engine, use).findings("SQL107")

    assert (finding.severity, finding.confidence) == ("info", "likely")
    assert finding.evidence["attribute"] == "Author.books"
    assert finding.location.line == line_of("for nothing", __file__)
    assert finding.fix.location.line == line_of("for nothing", __file__)


def test_without_the_option_it_is_clean(engine):
    assert recorded(engine, lambda s: names(s.scalars(select(Author)))).findings("SQL107") == []


def test_what_was_read_is_clean_also_at_one_parent_only(engine):
    def use(s):
        authors = s.scalars(select(Author).options(selectinload(Author.books))).all()
        return len(authors[0].books)

    assert recorded(engine, use).findings("SQL107") == []


def test_a_mapping_that_loads_eagerly_is_noted_with_the_way_out(press_engine):
    def use(s):
        return [magazine.name for magazine in s.scalars(select(Magazine))]  # mapped

    (finding,) = recorded(press_engine, use).findings("SQL107")

    assert finding.evidence["attribute"] == "Magazine.covers"
    assert finding.evidence["mapped"]
    assert finding.fix.code == "select(Magazine).options(lazyload(Magazine.covers))"
    assert finding.fix.location.line == line_of("mapped", __file__)
    assert "the mapping says so" in finding.message


def test_only_the_outermost_of_a_chain_is_told(engine):
    chain = selectinload(Author.books).selectinload(Book.publisher)

    def nothing(s):
        return names(s.scalars(select(Author).options(chain)))

    def outer_only(s):
        return [len(author.books) for author in s.scalars(select(Author).options(chain))]

    assert _attributes(recorded(engine, nothing)) == ["Author.books"]
    assert _attributes(recorded(engine, outer_only)) == ["Book.publisher"]


@pytest.mark.parametrize("there", [True, False], ids=["with-books", "without-a-book"])
def test_what_hangs_below_objects_that_are_not_there_had_nobody_to_read_it(engine, there):
    chain = joinedload(Author.books).joinedload(Book.publisher)
    if not there:
        with Session(engine) as session:
            session.execute(delete(Book))
            session.commit()

    def use(s):
        authors = s.scalars(select(Author).options(chain)).unique().all()
        return [len(author.books) for author in authors]

    assert _attributes(recorded(engine, use)) == (["Book.publisher"] if there else [])


def _attributes(recording):
    return [finding.evidence["attribute"] for finding in recording.findings("SQL107")]


class AuthorOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    name: str
    books: list["BookOut"]


class BookOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    title: str


def _in_a_thread(authors):
    thread = threading.Thread(target=lambda: len(authors[0].books))  # no context of the request
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    "read",
    [
        lambda authors: [AuthorOut.model_validate(author) for author in authors],
        jsonable_encoder,
        pickle.dumps,
        copy.deepcopy,
        _in_a_thread,
        lambda authors: inspect(authors[0]).attrs.books.value,
        lambda authors: getattr(authors[0], "books"),  # noqa: B009
    ],
    ids=["pydantic", "encoder", "pickle", "copy", "thread", "inspect", "getattr"],
)
def test_every_way_of_reading_counts(engine, read):
    def use(s):
        authors = s.scalars(select(Author).options(selectinload(Author.books))).all()
        read(list(authors))

    assert recorded(engine, use).findings("SQL107") == []


def test_objects_that_another_relationship_finds_in_the_session_were_useful(engine):
    def use(s):
        books = s.scalars(select(Book).options(selectinload(Book.author))).all()
        notes = s.scalars(select(Author).options(selectinload(Author.notes))).all()
        return [note.author.name for author in notes for note in author.notes], books

    assert "Book.author" not in _attributes(recorded(engine, use))


def test_a_join_that_filters_is_clean(engine):
    def use(s):
        query = select(Author).join(Author.books).options(contains_eager(Author.books))
        return names(s.scalars(query).unique())

    assert recorded(engine, use).findings("SQL107") == []


def test_a_model_that_takes_its_objects_as_a_whole_is_passed_over(press_engine):
    def use(s):
        leaflets = s.scalars(select(Leaflet).options(selectinload(Leaflet.pages))).all()
        return [leaflet.as_dict() for leaflet in leaflets]

    recording = recorded(press_engine, use)

    assert [load.read for load in recording.record.eager_loads] == [None]
    assert recording.findings("SQL107") == []


def test_what_is_loaded_to_be_deleted_along_is_clean(engine):
    def use(s):
        node = s.scalars(select(Node).options(selectinload(Node.children))).first()
        s.delete(node)
        s.flush()
        s.rollback()

    assert recorded(engine, use).findings("SQL107") == []


def test_async_reads_are_seen(tmp_path):
    query = select(Author).options(selectinload(Author.books))

    async def unread(s):
        names(await s.scalars(query))

    async def read(s):
        for author in await s.scalars(query):
            await author.awaitable_attrs.books

    assert _attributes(recorded_async(tmp_path / "1.db", unread)) == ["Author.books"]
    assert _attributes(recorded_async(tmp_path / "2.db", read)) == []


# What the rule passes over.


def a_load(**changes: object) -> EagerLoad:
    defaults = {
        "attribute": "Author.books",
        "path": ("Author.books",),
        "query": 1,
        "source": 0,
        "how": "selectin",
        "mapped": False,
        "collection": True,
        "read": False,
    }
    return EagerLoad(**defaults | changes)


QUERIES = (
    a_query(index=0, attribute="Author"),
    a_query(index=1, kind="eager", attribute="Author.books", rows=12),
)
STRIPPED = StrippedField(
    path="books",
    source="orm",
    owner="Author",
    model="AuthorOut",
    attribute="Author.books",
    relationship=True,
)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "open"},
        {"status": 404},
        {"exceptions": (ExceptionFact(type="E", message="", phase="endpoint"),)},
        {"queries": (QUERIES[0], a_query(index=1, kind="eager", rows=0))},
        {"queries": (*QUERIES, a_query(index=2, verb="DELETE", flush=1))},
        {"response_diffs": (ResponseDiff(endpoint=None, model="M", fields=(STRIPPED,)),)},
    ],
    ids=["still open", "refused", "failed", "no rows", "written", "told by RES102"],
)
def test_a_request_that_may_have_had_a_reason_is_passed_over(changes):
    plain = {"queries": QUERIES, "eager_loads": (a_load(),)}

    assert len(list(check(a_record(**plain)))) == 1
    assert list(check(a_record(**plain | changes))) == []


def test_several_requests_of_the_parents_are_one_finding():
    line = a_location(line=5)
    queries = tuple(
        a_query(index=n, kind="eager", attribute="Author.books", rows=3, location=line)
        for n in range(3)
    )
    loads = tuple(a_load(query=n, source=None) for n in range(3))

    (finding,) = check(a_record(queries=queries, eager_loads=loads))

    assert finding.evidence["count"] == 3
    assert finding.evidence["rows"] == 9
