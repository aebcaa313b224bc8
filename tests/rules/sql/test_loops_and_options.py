"""Which loop owns a statement, and options that mend it when they are taken as printed."""

import pytest
from sqlalchemy import orm, select
from sqlalchemy.orm import aliased, joinedload, selectinload

from fastapi_diagnostics.rules.sql._loaders import loader
from fastapi_diagnostics.rules.sql.n_plus_one_relationship import check
from tests.builders import a_location, a_query, a_record
from tests.rules.sql.shop import (
    AUTHORS,
    Author,
    Book,
    Node,
    Note,
    Publisher,
    line_of,
    recorded,
    recorded_async,
)

MODELS = {model.__name__: model for model in (Author, Book, Node, Note, Publisher)}


def printed(finding):
    """Give the options of a fix, evaluated as they are printed."""
    code = finding.fix.code
    start = code.index("options=[") + 8 if "options=[" in code else code.index(".options(") + 8
    given = eval(code[start:], vars(orm) | MODELS)  # noqa: S307 - our own text
    return tuple(given) if isinstance(given, list | tuple) else (given,)


# Options.


def of_one(s, *options):
    author = s.get(Author, 1, options=options)
    return [book.publisher.name for book in author.books]


def of_one_by_query(s, *options):
    author = s.scalars(select(Author).where(Author.id == 1).options(*options)).one()
    return [book.publisher.name for book in author.books]


def below_joined(s, *options):
    query = select(Author).options(joinedload(Author.books), *options)
    for author in s.scalars(query).unique():
        [book.publisher.name for book in author.books]


def below_selectin(s, *options):
    query = select(Author).options(selectinload(Author.books), *options)
    for author in s.scalars(query):
        [book.publisher.name for book in author.books]


def nested(s, *options):
    for author in s.scalars(select(Author).options(*options)):
        for book in author.books:
            book.publisher.name  # noqa: B018


def of_two_entities(s, *options):
    rows = s.execute(select(Book, Author).join(Book.author).options(*options)).all()
    return [len(author.books) for _, author in rows]


def walk(node):
    for child in node.children:
        walk(child)


def recursion(s, *options):
    walk(s.get(Node, 1, options=options))


@pytest.mark.parametrize(
    "use",
    [of_one, of_one_by_query, below_joined, below_selectin, nested, of_two_entities, recursion],
    ids=lambda use: use.__name__,
)
def test_the_printed_option_mends_the_defect(engine, use):
    found = recorded(engine, use).findings("SQL101")

    mended = recorded(engine, lambda s: use(s, *printed(found[0])))

    assert found[0].fix.mechanical
    assert mended.findings("SQL101", "SQL102", "SQL103") == []


def test_branches_below_one_relationship_are_written_as_branches():
    source = a_query(index=0, attribute="Author", root="Author", location=a_location(line=7))

    def load(index, attribute, parent, path, *, collection=False):
        return a_query(
            index=index,
            sql=attribute,
            kind="lazy",
            attribute=attribute,
            parent_key=f"{attribute}{index}",
            parent_query=parent,
            collection=collection,
            root="Author",
            path=path,
        )

    books = [load(n, "Author.books", 0, ("Author.books",), collection=True) for n in (1, 2)]
    below = [
        load(10 * n + k, name, n, ("Author.books", name))
        for n in (1, 2)
        for name in ("Book.publisher", "Book.shelf")
        for k in ((1, 2) if name == "Book.publisher" else (3, 4))
    ]

    (finding,) = check(a_record(queries=(source, *books, *below)))

    assert finding.fix.code == (
        "select(Author).options(selectinload(Author.books)"
        ".options(joinedload(Book.publisher), joinedload(Book.shelf)))"
    )


def test_the_whole_recursion_is_loaded_by_one_option(engine):
    (finding, *_) = recorded(engine, recursion).findings("SQL101")

    assert finding.fix.code == "options=[selectinload(Node.children, recursion_depth=-1)]"


def test_behind_an_alias_the_fix_does_not_pretend(engine):
    def use(s):
        writer = aliased(Author)
        return [len(author.books) for author in s.scalars(select(writer))]

    (finding,) = recorded(engine, use).findings("SQL101")

    assert not finding.fix.mechanical
    assert "alias" in finding.fix.summary


def test_a_query_that_locks_gets_no_outer_join():
    locking = a_query(sql="SELECT book.id FROM book FOR UPDATE")

    assert loader("Book.author", collection=False, source=locking) == "selectinload(Book.author)"
    assert loader("Book.author", collection=False, source=a_query()) == "joinedload(Book.author)"


# Loops.


def test_two_loops_on_one_line_are_two_findings(engine):
    def use(s):
        a, b = s.scalars(select(Author)).all()[:2], s.scalars(select(Author)).all()[2:]
        return [len(x.books) for x in a] + [len(x.books) for x in b]  # two loops

    found = recorded(engine, use).findings("SQL101")

    assert {finding.location.line for finding in found} == {line_of("two loops", __file__)}
    assert len({finding.cause for finding in found}) == len(found) == 2


def test_one_loop_with_two_reads_on_a_line_is_told_once_for_each_relationship(engine):
    def use(s):
        return [(len(x.books), len(x.notes)) for x in s.scalars(select(Author)).all()]

    found = recorded(engine, use).findings("SQL101")

    assert sorted(f.evidence["attribute"] for f in found) == ["Author.books", "Author.notes"]


def test_a_retry_inside_a_helper_does_not_own_the_loop(engine):
    def load(s, key):
        for _ in range(3):
            try:
                return s.get(Author, key)
            except ConnectionError:
                continue
        return None

    def use(s):
        for key in (1, 2, 3, 4):
            load(s, key)  # owner of the retries

    (finding,) = recorded(engine, use).findings("SQL103")

    assert finding.location.line == line_of("owner of the retries", __file__)


def test_a_while_retry_that_awaits_does_not_hide_the_loop(database):
    async def load(s, key):
        while True:
            try:
                found = await s.get(Author, key)
            except ConnectionError:
                continue
            break
        return found

    async def use(s):
        for key in (1, 2, 3, 4):
            await load(s, key)  # owner of the awaited retries

    (finding,) = recorded_async(database, use).findings("SQL103")

    assert finding.location.line == line_of("owner of the awaited retries", __file__)


def test_a_search_that_returns_what_it_finds_is_no_loop_over_rows(engine):
    def first(s, key):
        for _ in range(5):
            return s.get(Author, key)
        return None

    def use(s):
        return first(s, 1), first(s, 2), first(s, 3)

    assert recorded(engine, use).findings("SQL103") == []


def test_through_repository_and_service_the_loop_is_blamed(engine):
    def repository(s, key):
        return s.get(Author, key)

    def service(s, key):
        return repository(s, key)

    def use(s):
        names = []
        for key in range(1, AUTHORS + 1):
            author = service(s, key)  # loop above the service
            names.append(author.name)
        return names

    (finding,) = recorded(engine, use).findings("SQL103")

    assert finding.location.line == line_of("loop above the service", __file__)
    assert len(finding.evidence["call_chain"]) >= 3


def test_a_duplicate_in_a_helper_is_told_where_the_loop_calls_it(engine):
    def rate(s):
        return s.scalar(select(Author.name).where(Author.id == 1))

    def use(s):
        for _ in range(5):
            rate(s)  # same rate

    (finding,) = recorded(engine, use).findings("SQL105")

    assert finding.severity == "warning"
    assert finding.location.line == line_of("same rate", __file__)
    assert "before the loop" in finding.fix.summary
