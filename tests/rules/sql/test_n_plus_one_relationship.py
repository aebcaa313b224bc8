"""SQL101 through the real library: the defect at the right line, look-alikes silent."""

import pytest
from sqlalchemy import select
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import immediateload, joinedload, raiseload, selectinload

from fastapi_diagnostics.rules.sql.n_plus_one_relationship import RULE, check
from tests.builders import a_location, a_query, a_record
from tests.rules.sql.shop import (
    AUTHORS,
    Author,
    Book,
    Node,
    Note,
    line_of,
    recorded,
    recorded_async,
)


def test_a_loop_over_parents_is_found_with_its_proof_and_its_cure(engine):
    def use(s):
        authors = s.scalars(select(Author)).all()  # source of the loop
        for author in authors:
            len(author.books)  # guilty loop

    recording = recorded(engine, use)

    (finding,) = recording.findings()
    assert finding.rule == "SQL101"
    assert (finding.severity, finding.confidence) == ("error", "proven")
    assert finding.location.line == line_of("guilty loop", __file__)
    assert finding.location.function.endswith("use")
    assert finding.fix.location.line == line_of("source of the loop", __file__)
    assert finding.fix.code == "select(Author).options(selectinload(Author.books))"
    assert finding.fix.mechanical
    evidence = finding.evidence
    assert (evidence["attribute"], evidence["count"], evidence["parents"]) == (
        "Author.books",
        AUTHORS,
        AUTHORS,
    )
    assert evidence["parent_query"]["sql"].startswith("SELECT author.id")
    assert evidence["parent_query"]["location"] == finding.fix.location
    assert evidence["phase"] == "endpoint"
    assert evidence["response_field"] is None
    assert "book" in evidence["sql"]


@pytest.mark.parametrize(
    "option", [selectinload(Author.books), joinedload(Author.books)], ids=["selectin", "joined"]
)
def test_loaded_with_the_parents_is_clean(engine, option):
    def use(s):
        for author in s.scalars(select(Author).options(option)).unique().all():
            len(author.books)

    assert recorded(engine, use).codes == []


def test_what_the_page_says_against_its_return_makes_it_an_error(engine):
    query = select(Author).options(selectinload(Author.books), raiseload("*"))

    def use(s):
        author = s.scalars(query).first()
        assert author.books
        with pytest.raises(InvalidRequestError, match="raise"):
            author.notes  # noqa: B018

    assert recorded(engine, use).codes == []
    assert 'selectinload(Author.books), raiseload("*")' in RULE.instead


def test_chained_eager_loads_are_clean(engine):
    def use(s):
        chain = selectinload(Author.books).selectinload(Book.publisher)
        for author in s.scalars(select(Author).options(chain)).all():
            [book.publisher.name for book in author.books]

    recording = recorded(engine, use)

    assert recording.codes == []
    assert [query.kind for query in recording.record.queries] == ["query", "eager", "eager"]


def test_two_objects_fetched_one_by_one_are_clean(engine):
    def use(s):
        len(s.get(Author, 1).books)
        len(s.get(Author, 2).books)

    assert recorded(engine, use).codes == []


def test_a_helper_called_from_two_lines_is_clean(engine):
    def titles(author):
        return len(author.books)

    def use(s):
        sender, receiver, *_ = s.scalars(select(Author)).all()
        titles(sender)
        titles(receiver)

    assert recorded(engine, use).codes == []


def test_one_parent_read_often_is_clean(engine):
    def use(s):
        author = s.get(Author, 1)
        for _ in range(5):
            len(author.books)

    recording = recorded(engine, use)

    assert recording.codes == []
    assert recording.record.query_count == 2


def test_children_of_one_parent_are_clean(engine):
    def use(s):
        kept = s.scalars(select(Book).where(Book.author_id == 1)).all()
        return [book.author.name for book in kept]

    assert recorded(engine, use).codes == []


def test_many_to_one_counts_the_loads_not_the_rows(engine):
    def use(s):
        books = s.scalars(select(Book)).all()
        return [book.author for book in books]  # many to one

    (finding,) = recorded(engine, use).findings()

    assert finding.location.line == line_of("many to one", __file__)
    assert finding.evidence["count"] == finding.evidence["parents"] == AUTHORS
    assert finding.fix.code == "select(Book).options(joinedload(Book.author))"


def test_two_lines_are_two_findings_and_two_relationships_on_one_line_too(engine):
    def two_lines(s):
        for author in s.scalars(select(Author)).all():
            len(author.books)
        s.expire_all()
        for author in s.scalars(select(Author)).all():
            len(author.books)

    def one_line(s):
        books = s.scalars(select(Book)).all()
        return [(book.author, book.publisher) for book in books]

    lines = {finding.location.line for finding in recorded(engine, two_lines).findings("SQL101")}
    names = {f.evidence["attribute"] for f in recorded(engine, one_line).findings("SQL101")}
    assert len(lines) == 2
    assert names == {"Book.author", "Book.publisher"}


def test_the_loop_is_blamed_not_the_helper_in_it(engine):
    def titles(author):
        return [book.title for book in author.books]

    def use(s):
        for author in s.scalars(select(Author)).all():
            titles(author)  # loop that calls a helper

    (finding,) = recorded(engine, use).findings()

    assert finding.location.line == line_of("loop that calls a helper", __file__)


def test_nested_loads_are_one_finding_with_the_chain(engine):
    def use(s):
        for author in s.scalars(select(Author)).all():
            for book in author.books:
                book.publisher.name  # noqa: B018

    (finding,) = recorded(engine, use).findings()

    assert finding.evidence["chain"] == ["Author.books", "Book.publisher"]
    assert finding.evidence["chain_count"] == AUTHORS + 3 * AUTHORS
    assert finding.fix.code == (
        "select(Author).options(selectinload(Author.books).joinedload(Book.publisher))"
    )


def test_children_of_an_eager_load_are_found(engine):
    def use(s):
        for author in s.scalars(select(Author).options(selectinload(Author.books))):
            for book in author.books:
                book.publisher.name  # noqa: B018

    (finding,) = recorded(engine, use).findings()

    assert finding.evidence["attribute"] == "Book.publisher"
    assert "defaultload(Author.books).joinedload(Book.publisher)" in finding.fix.code


def test_immediate_loading_is_an_n_plus_one_by_configuration(engine):
    def by_option(s):
        return s.scalars(select(Author).options(immediateload(Author.books))).all()

    def by_mapping(s):
        return s.scalars(select(Note)).all()

    (option,) = recorded(engine, by_option).findings()
    (mapping,) = recorded(engine, by_mapping).findings()
    assert option.evidence["attribute"] == "Author.books"
    assert mapping.evidence["attribute"] == "Note.cover"
    assert "immediately" in mapping.message


def test_everything_on_one_line_is_found_as_well(engine):
    def use(s):
        return sum(len(author.books) for author in s.scalars(select(Author)))

    (finding,) = recorded(engine, use).findings()

    assert "in the line of the query" in finding.message


def test_deleting_parents_one_by_one_loads_their_children_one_by_one(engine):
    def use(s):
        with s.no_autoflush:
            for author in s.scalars(select(Author)).all():
                s.delete(author)  # cascade
        s.rollback()

    (finding,) = recorded(engine, use).findings()

    assert finding.location.line == line_of("cascade", __file__)


def test_a_retry_is_clean(engine):
    def use(s):
        for _ in range(4):
            s.get(Author, 1)
            s.scalars(select(Book).where(Book.author_id == 1)).all()
            s.rollback()

    assert recorded(engine, use).codes == []


def test_a_loop_after_commit_still_knows_the_query_of_the_parents(engine):
    def use(s):
        authors = s.scalars(select(Author)).all()  # source before commit
        s.commit()
        for author in authors:
            author.name  # noqa: B018
            len(author.books)

    (finding,) = recorded(engine, use).findings("SQL101")

    assert finding.fix.location.line == line_of("source before commit", __file__)


def test_a_recursive_walk_is_found(engine):
    def walk(node):
        for child in node.children:
            walk(child)

    def use(s):
        walk(s.get(Node, 1))

    found = recorded(engine, use).findings("SQL101")

    assert {finding.evidence["attribute"] for finding in found} == {"Node.children"}


def test_awaitable_attributes_in_a_loop_are_found(database):
    async def use(s):
        for author in (await s.scalars(select(Author))).all():  # async source
            await author.awaitable_attrs.books  # async loop

    (finding,) = recorded_async(database, use).findings()

    assert finding.location.line == line_of("async loop", __file__)
    assert finding.fix.location.line == line_of("async source", __file__)
    assert finding.evidence["count"] == AUTHORS


def test_awaitable_attributes_that_were_loaded_are_clean(database):
    async def use(s):
        for author in await s.scalars(select(Author).options(selectinload(Author.books))):
            await author.awaitable_attrs.books

    assert recorded_async(database, use).codes == []


def test_run_sync_is_followed_to_the_line(database):
    def lengths(_session, authors):
        return [len(author.books) for author in authors]  # in run_sync

    async def use(s):
        authors = (await s.scalars(select(Author))).all()
        await s.run_sync(lengths, authors)

    (finding,) = recorded_async(database, use).findings()

    assert finding.location.line == line_of("in run_sync", __file__)


def test_without_a_user_frame_the_parents_query_stands_for_it():
    source = a_query(index=0, attribute="Author", location=a_location(line=7))
    loads = [
        a_query(
            index=n,
            kind="lazy",
            attribute="Author.books",
            parent_key=f"p{n}",
            parent_query=0,
            collection=True,
            location=None,
            phase="serialisation",
        )
        for n in (1, 2)
    ]

    (finding,) = check(
        a_record(
            queries=(source, *loads),
            endpoint=a_location(function="books"),
            response_model="list[AuthorOut]",
        )
    )

    assert finding.location.line == 7
    assert finding.evidence["response_field"] == "books"
    assert "books() (list[AuthorOut]) read the field `books`" in finding.message


def test_parents_from_elsewhere_are_no_proof():
    loads = [
        a_query(index=n, kind="lazy", attribute="Author.books", parent_key=f"p{n}") for n in (1, 2)
    ]

    assert list(check(a_record(queries=tuple(loads)))) == []
