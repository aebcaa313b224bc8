"""What is noted of each statement, through real engines."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError, MissingGreenlet
from sqlalchemy.orm import Session, defer, selectinload

from fastapi_diagnostics.collectors import sqlalchemy as collector
from fastapi_diagnostics.collectors.hooks import Hooks
from fastapi_diagnostics.recorder import CURRENT
from tests.installed import installed
from tests.rules.sql.shop import (
    Author,
    Book,
    Recording,
    recorded,
    recorder,
    sealed,
    sync_engine,
)

SECRET = "hunter2"  # noqa: S105 - of the test


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(collector, root=Path(__file__).parent) as hooks:
        yield hooks


@pytest.fixture
def engine() -> Iterator[Engine]:
    with sync_engine() as engine:
        yield engine


def kinds(recording: Recording) -> list[tuple[str, str | None]]:
    return [(query.kind, query.attribute) for query in recording.record.queries]


# Installing.


def test_without_sqlalchemy_it_is_off_and_imports_nothing() -> None:
    code = (
        "import sys\n"
        "from fastapi_diagnostics.collectors import sqlalchemy as collector\n"
        "from fastapi_diagnostics.collectors.hooks import Hooks\n"
        "hooks = Hooks(); collector.install(hooks)\n"
        "assert 'sqlalchemy' not in sys.modules and not collector.wanted()\n"
        "(status,) = hooks.status()\n"
        "assert (status.on, status.why) == (False, 'SQLAlchemy is not imported'), status\n"
        "import sqlalchemy\n"
        "assert collector.wanted()\n"
        "collector.install(hooks)\n"
        "assert hooks.status()[0].on and not collector.wanted()\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)  # noqa: S603


def test_installing_twice_notes_each_statement_once(hooks, engine) -> None:
    collector.install(hooks)

    recording = recorded(engine, lambda s: s.execute(text("SELECT 1 FROM author")))

    assert recording.record.query_count == len(recording.record.queries) == 1


def test_undo_restores_everything_and_it_can_be_installed_again(hooks, engine) -> None:
    assert "__init__" in vars(MissingGreenlet)

    hooks.undo()

    silent = recorded(engine, lambda s: s.get(Author, 1))
    assert silent.record.queries == ()
    assert "__init__" not in vars(MissingGreenlet)
    assert collector.wanted()
    collector.install(hooks)
    assert recorded(engine, lambda s: s.get(Author, 1)).record.query_count == 1


def test_outside_of_a_request_and_after_its_end_nothing_is_noted(engine) -> None:
    run = recorder()
    token = CURRENT.set(run)
    sealed(run)
    with Session(engine) as session:
        session.get(Author, 1)
    CURRENT.reset(token)

    assert run.parts == {}


# What the ORM was doing.


def test_kinds_and_attributes(engine) -> None:
    def use(s):
        s.execute(text("SELECT 1"))
        s.scalars(select(Author)).all()
        s.expunge_all()
        author = s.get(Author, 1)
        author.books  # noqa: B018
        s.refresh(author)
        s.commit()
        author.name  # noqa: B018
        s.expunge_all()
        s.scalars(select(Author).options(selectinload(Author.books))).all()
        s.expunge_all()
        s.scalars(select(Author).options(defer(Author.name))).first().name  # noqa: B018

    assert kinds(recorded(engine, use)) == [
        ("core", None),
        ("query", "Author"),
        ("get", "Author"),
        ("lazy", "Author.books"),
        ("refresh", "Author"),
        ("expired", "Author"),
        ("query", "Author"),
        ("eager", "Author.books"),
        ("query", "Author"),
        ("column", "Author.name"),
    ]


def test_whether_a_relationship_holds_a_list(engine) -> None:
    def use(s):
        book = s.get(Book, 1)
        book.author.books  # noqa: B018

    loads = [query for query in recorded(engine, use).record.queries if query.kind == "lazy"]

    assert [(q.attribute, q.collection) for q in loads] == [
        ("Book.author", False),
        ("Author.books", True),
    ]


def test_the_loader_of_each_parent_is_known(engine) -> None:
    def use(s):
        first = s.scalars(select(Author).where(Author.id == 1)).one()
        second = s.scalars(select(Author).where(Author.id == 2)).one()
        s.execute(text("SELECT 1"))
        second.books[0].publisher  # noqa: B018
        first.books  # noqa: B018

    queries = recorded(engine, use).record.queries

    lazy = [(q.attribute, q.parent_query) for q in queries if q.kind == "lazy"]
    assert lazy == [("Author.books", 1), ("Book.publisher", 3), ("Author.books", 0)]


def test_an_expired_parent_is_traced_to_its_first_query(engine) -> None:
    def use(s):
        author = s.scalars(select(Author)).first()
        s.commit()
        author.name  # noqa: B018
        author.books  # noqa: B018

    queries = recorded(engine, use).record.queries

    assert [(q.kind, q.parent_query) for q in queries] == [
        ("query", None),
        ("expired", 0),
        ("lazy", 0),
    ]


def test_parents_from_before_the_request_have_no_query(engine) -> None:
    with Session(engine) as session:
        authors = session.scalars(select(Author)).all()
        recording = recorded(engine, lambda _: [len(author.books) for author in authors])

    assert {query.parent_query for query in recording.record.queries} == {None}
    assert recording.codes == []


# Writes.


def test_a_flush_is_numbered_and_no_finding(engine) -> None:
    def use(s):
        s.add_all([Author(name=str(n)) for n in range(50)])
        s.commit()
        s.add(Author(name="x"))
        s.flush()

    recording = recorded(engine, use)

    flushes = [query.flush for query in recording.record.queries]
    assert set(flushes) == {1, 2}
    assert {query.verb for query in recording.record.queries} == {"INSERT"}
    assert recording.codes == []


def test_dirty_objects_of_one_flush_are_no_finding(engine) -> None:
    def use(s):
        for author in s.scalars(select(Author)).all():
            author.name += "!"
        s.commit()

    recording = recorded(engine, use)

    assert recording.codes == []
    assert recording.record.queries[-1].executemany


def test_transactions_and_write_rows_are_counted(engine) -> None:
    def use(s):
        s.execute(update(Author).where(Author.id < 3).values(name="n"))
        s.commit()
        s.execute(select(Author.id))
        s.rollback()
        s.execute(select(Author.id))

    queries = recorded(engine, use).record.queries

    assert [query.transaction for query in queries] == [0, 1, 2]
    assert queries[0].rows == 2


def test_a_failed_statement_is_noted_with_its_error(engine) -> None:
    def use(s):
        with pytest.raises(IntegrityError):
            s.execute(insert(Author).values(id=1, name="again"))

    recording = recorded(engine, use)

    assert [query.error for query in recording.record.queries] == ["IntegrityError"]
    assert recording.record.query_count == 1


# Values.


def test_values_are_shown_with_their_names_and_secrets_are_not(engine) -> None:
    def use(s):
        query = select(Author.id).where(Author.password == SECRET, Author.name == "a1")
        s.execute(query).all()
        s.execute(insert(Author).values(name="n", password=SECRET))

    recording = recorded(engine, use)

    select_, insert_ = recording.record.queries
    assert select_.values[1] == "'a1'"
    assert SECRET not in repr(recording.record)
    assert len(select_.values) == len(insert_.values) == 2


def test_secrets_in_lists_are_not_shown_either(engine) -> None:
    def use(s):
        s.execute(select(Author.id).where(Author.password.in_([SECRET, SECRET + "3"]))).all()

    recording = recorded(engine, use)

    assert SECRET not in repr(recording.record)
    assert recording.record.queries[0].batch


@pytest.mark.parametrize(
    "where", ["password = :given", "lower(password) = :given", ":given = password"]
)
def test_a_value_is_a_secret_for_its_column_whatever_it_is_called(engine, where) -> None:
    query = text(f"SELECT name FROM author WHERE {where} AND name = :name")  # noqa: S608

    recording = recorded(engine, lambda s: s.execute(query, {"given": SECRET, "name": "a1"}).all())

    assert SECRET not in repr(recording.record)
    assert "'a1'" in recording.record.queries[0].values


def test_a_value_around_a_function_is_a_secret_for_its_column(engine) -> None:
    query = select(Author.id).where(func.lower(Author.password) == SECRET)

    recording = recorded(engine, lambda s: s.execute(query).all())

    assert SECRET not in repr(recording.record)


def test_no_values_when_they_are_not_wanted(engine) -> None:
    recording = recorded(engine, lambda s: s.get(Author, 1), values="none")

    assert recording.record.queries[0].values == ()
    assert recording.record.queries[0].values_digest


def test_equal_values_have_equal_digests(engine) -> None:
    def use(s):
        for name in ("a", "b", "a"):
            s.execute(select(Author.id).where(Author.name == name))

    one, two, three = [query.values_digest for query in recorded(engine, use).record.queries]

    assert one == three != two
