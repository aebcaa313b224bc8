"""Fixes say what can be taken as printed, and that a hand is needed where it cannot."""

import pytest
from sqlalchemy import exists, func, orm, select
from sqlalchemy.orm import (
    defer,
    immediateload,
    joinedload,
    lazyload,
    selectinload,
    subqueryload,
)

from fastapi_diagnostics.record import Frame
from fastapi_diagnostics.rules.sql import (
    n_plus_one_column,
    n_plus_one_lookup,
    n_plus_one_relationship,
)
from tests.builders import a_location, a_query, a_record
from tests.rules.sql.shop import Author, Book, Publisher, recorded

IDS = (1, 2, 3)
GROUPED = ".where(Book.author_id.in_(keys)).group_by(Book.author_id)"
MODELS = {model.__name__: model for model in (Author, Book, Publisher)}


def per_author(query):
    def use(s):
        for author_id in IDS:
            s.execute(query(author_id)).all()

    return use


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (
            lambda n: select(func.sum(Book.publisher_id)).where(Book.author_id == n),
            "select(Book.author_id, func.sum(Book.publisher_id))" + GROUPED,
        ),
        (
            lambda n: select(func.count()).select_from(Book).where(Book.author_id == n),
            "select(Book.author_id, func.count())" + GROUPED,
        ),
        (
            lambda n: select(exists().where(Book.author_id == n)),
            "select(book.c.author_id).where(book.c.author_id.in_(keys)).distinct()",
        ),
    ],
    ids=["sum", "count", "exists"],
)
def test_one_query_asks_what_the_lookups_asked(engine, query, code):
    (finding,) = recorded(engine, per_author(query)).findings("SQL103")

    assert finding.fix.code.replace("book.c.", "Book.") == code.replace("book.c.", "Book.")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (
            lambda n: select(Book).where(Book.publisher_id == 1, Book.author_id == n),
            "select(Book).where(Book.publisher_id == publisher_id, Book.author_id.in_(keys))",
        ),
        (
            lambda n: select(Book).where(Book.publisher_id == n, Book.author_id == n),
            "select(Book).where(tuple_(Book.publisher_id, Book.author_id).in_(keys))",
        ),
        (lambda n: select(Book).where(func.abs(Book.author_id) == n), ""),
        (lambda n: select(Book).join(Author).where(Author.id == n), ""),
    ],
    ids=["one-of-two", "both", "an-expression", "of-another-table"],
)
def test_the_column_that_changes_is_the_one_that_is_asked_for(engine, query, code):
    (finding,) = recorded(engine, per_author(query)).findings("SQL103")

    assert finding.fix.code == code


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("author.id = ?", "select(Author).where(Author.id.in_(keys))"),
        ("author.id = ? AND author.name = ?", ""),
    ],
)
def test_where_the_values_are_redacted_only_a_single_column_is_known_to_change(where, code):
    values = ("[redacted]",) * where.count("?")
    sql = "SELECT author.name FROM author WHERE " + where  # noqa: S608 - is not run
    alike = [
        a_query(
            index=n, sql=sql, values=values,
            values_digest=str(n), attribute="Author", kind="query", verb="SELECT",
            stack=(Frame(location=a_location(), in_loop=True, loop="for"),),
        )
        for n in IDS
    ]  # fmt: skip

    (finding,) = n_plus_one_lookup.check(a_record(queries=alike))

    assert finding.fix.code == code


@pytest.mark.parametrize(
    ("where", "said"),
    [((Book.title != "none",), True), ((), False)],
    ids=["more-than-the-key", "the-key-alone"],
)
def test_conditions_that_the_code_leaves_out_are_said(engine, where, said):
    query = per_author(lambda n: select(Book).where(Book.author_id == n, *where))
    (finding,) = recorded(engine, query).findings("SQL103")

    assert ("The other conditions stay as they are." in finding.fix.summary) is said


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (lambda n: select(Book).where(Book.author_id == n), "a dict of lists"),
        (lambda n: select(Author).where(Author.id == n), "in a dict. "),
        (lambda n: select(exists().where(Book.author_id == n)), "in a set. "),
        (lambda n: select(func.count(Book.id)).where(Book.author_id == n), "GROUP BY"),
    ],
    ids=["many", "one", "exists", "count"],
)
def test_lookups_are_put_together_by_hand(engine, query, words):
    (finding,) = recorded(engine, per_author(query)).findings("SQL103")

    assert words in finding.fix.summary
    assert "by hand" in finding.fix.summary
    assert not finding.fix.mechanical


@pytest.mark.parametrize(
    ("again", "why"),
    [
        (lambda s, author: s.refresh(author), "refresh() takes no options"),
        (lambda s, _: s.commit(), "a commit or rollback had expired it"),
    ],
    ids=["refreshed", "expired"],
)
def test_what_is_read_again_takes_no_option(engine, again, why):
    def use(s):
        author = Author(id=99, name="new", books=[Book(title="t", publisher_id=n) for n in IDS])
        s.add(author)
        s.commit()
        again(s, author)
        assert author.name
        return [book.publisher.name for book in author.books]

    (finding,) = recorded(engine, use).findings("SQL101")

    option = "selectinload(Author.books).joinedload(Book.publisher)"
    assert finding.fix.code == f"select(Author).options({option})"
    assert not finding.fix.mechanical
    assert why in finding.fix.summary


def test_a_repeated_query_is_moved_by_hand(engine):
    def use(s):
        for _ in range(3):
            s.scalar(select(func.count()).select_from(Book))

    (finding,) = recorded(engine, use).findings("SQL105")

    assert "by hand" in finding.fix.summary


@pytest.mark.parametrize("option", [immediateload, lazyload])
def test_an_option_that_is_there_has_to_make_way_by_hand(engine, option):
    def use(s):
        authors = s.scalars(select(Author).options(option(Author.books))).all()
        return [author.books for author in authors]

    (finding,) = recorded(engine, use).findings("SQL101")

    assert not finding.fix.mechanical
    assert f"By hand: it takes the place of the {option.__name__}()" in finding.fix.summary


def test_a_deferring_option_has_to_make_way_by_hand(engine):
    def use(s):
        authors = s.scalars(select(Author).options(defer(Author.name))).all()
        return [author.name for author in authors]

    (finding,) = recorded(engine, use).findings("SQL102")

    assert not finding.fix.mechanical
    assert "takes the place of the defer()" in finding.fix.summary


@pytest.mark.parametrize("other", [lazyload("*"), defer(Author.password), None])
def test_options_for_something_else_do_not_matter(engine, other):
    def use(s):
        options = () if other is None else (other,)
        authors = s.scalars(select(Author).options(*options)).unique().all()
        return [author.books for author in authors]

    (finding,) = recorded(engine, use).findings("SQL101")

    assert finding.fix.mechanical


@pytest.mark.parametrize("eager", [subqueryload, selectinload, joinedload])
def test_below_a_list_the_option_leaves_alone_how_it_is_loaded(engine, eager):
    def use(s, *options):
        query = select(Author).options(eager(Author.books), *options)
        for author in s.scalars(query).unique():
            [book.publisher.name for book in author.books]

    (finding,) = recorded(engine, use).findings("SQL101")
    mended = recorded(engine, lambda s: use(s, printed(finding)))

    assert mended.findings("SQL101") == []


def test_below_a_single_object_as_well(engine):
    def use(s, *options):
        query = select(Book).options(selectinload(Book.author), *options)
        return [len(book.author.books) for book in s.scalars(query)]

    (finding,) = recorded(engine, use).findings("SQL101")
    mended = recorded(engine, lambda s: use(s, printed(finding)))

    assert mended.findings("SQL101") == []


def printed(finding):
    """Evaluate the option of a fix as it is printed."""
    code = finding.fix.code
    return eval(code[code.index(".options(") + 8 :], vars(orm) | MODELS)  # noqa: S307 - our text


PROPERTY = a_location(file="app/models.py", line=30, function="book_count")
PARENTS = a_location(line=5)


def loaded_by_a_property(kind, attribute, **changes):
    loads = (
        a_query(
            index=index,
            kind=kind,
            attribute=attribute,
            parent_key=str(index),
            parent_query=0,
            location=PROPERTY,
            stack=(Frame(location=PROPERTY, **changes),),
            phase="serialisation",
        )
        for index in range(1, 5)
    )
    return a_record(queries=(a_query(location=PARENTS, attribute="Author", rows=4), *loads))


@pytest.mark.parametrize(
    ("rule", "kind", "attribute"),
    [
        (n_plus_one_relationship, "lazy", "Author.books"),
        (n_plus_one_column, "column", "Author.name"),
    ],
)
def test_what_a_response_reads_through_a_property_is_the_querys_defect(rule, kind, attribute):
    (finding,) = rule.check(loaded_by_a_property(kind, attribute))

    assert finding.location == PARENTS
    assert "app/models.py:30" in finding.message


def test_a_loop_of_the_users_own_keeps_it():
    record = loaded_by_a_property("lazy", "Author.books", in_loop=True, loop="for")

    (finding,) = n_plus_one_relationship.check(record)

    assert finding.location == PROPERTY


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (lambda n: select(Book).where(Book.author_id == n).order_by(Book.id.desc()).limit(1), True),
        (lambda n: select(Book).where(Book.author_id == n).limit(1), False),
        (lambda n: select(Book).where(Book.author_id == n).order_by(Book.id), False),
    ],
    ids=["the-latest", "any-one", "all"],
)
def test_the_first_row_of_each_is_to_be_numbered(engine, query, said):
    (finding,) = recorded(engine, per_author(query)).findings("SQL103")

    assert ("row_number()" in finding.fix.summary) is said
