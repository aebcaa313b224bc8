"""SQL102 through the real library: the defect at the right line, look-alikes silent."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import (
    Session,
    defaultload,
    defer,
    load_only,
    selectin_polymorphic,
    selectinload,
    undefer,
)

from tests.rules.sql.press import ARTICLES_EACH, MAGAZINES, Article, Editor, Magazine, Person
from tests.rules.sql.shop import AUTHORS, Author, Book, line_of, recorded, recorded_async

CODES = ("SQL101", "SQL102", "SQL103", "SQL104", "SQL105")


def test_a_deferred_column_in_a_loop_is_found_with_its_query(press_engine):
    def use(s):
        articles = s.scalars(select(Article)).all()  # deferred source
        return [len(article.body) for article in articles]  # deferred loop

    (finding,) = recorded(press_engine, use).findings(*CODES)

    assert (finding.rule, finding.severity, finding.confidence) == ("SQL102", "error", "proven")
    assert finding.location.line == line_of("deferred loop", __file__)
    assert finding.fix.location.line == line_of("deferred source", __file__)
    assert finding.fix.code == "select(Article).options(undefer(Article.body))"
    assert finding.fix.mechanical
    evidence = finding.evidence
    assert evidence["attribute"] == "Article.body"
    assert evidence["count"] == evidence["parents"] == MAGAZINES * ARTICLES_EACH
    assert evidence["parent_query"]["location"] == finding.fix.location
    assert (evidence["phase"], evidence["response_field"]) == ("endpoint", None)


def test_the_printed_cure_mends_it(press_engine):
    def use(s):
        articles = s.scalars(select(Article).options(undefer(Article.body))).all()
        return [len(article.body) for article in articles]

    recording = recorded(press_engine, use)

    assert recording.findings(*CODES) == []
    assert recording.record.query_count == 1


def test_below_a_relationship_the_option_leads_down_to_the_column(press_engine):
    def use(s, *more):
        options = selectinload(Magazine.articles)
        for magazine in s.scalars(select(Magazine).options(options, *more)):
            [len(article.body) for article in magazine.articles]

    (finding,) = recorded(press_engine, use).findings(*CODES)
    option = defaultload(Magazine.articles).undefer(Article.body)
    mended = recorded(press_engine, lambda s: use(s, option))

    assert finding.fix.code == (
        "select(Magazine).options(defaultload(Magazine.articles).undefer(Article.body))"
    )
    assert mended.findings(*CODES) == []


def test_load_only_that_leaves_out_what_is_read_is_found(engine):
    def use(s, *more):
        query = select(Author).options(load_only(Author.id), *more)
        return [author.name for author in s.scalars(query)]

    (finding,) = recorded(engine, use).findings(*CODES)
    mended = recorded(engine, lambda s: use(s, undefer(Author.name)))

    assert finding.fix.code == "select(Author).options(undefer(Author.name))"
    assert mended.findings(*CODES) == []


def test_columns_of_a_subclass_want_the_polymorphic_option(press_engine):
    def use(s, *options):
        return [person.desk for person in s.scalars(select(Person).options(*options))]

    (finding,) = recorded(press_engine, use).findings(*CODES)
    mended = recorded(press_engine, lambda s: use(s, selectin_polymorphic(Person, [Editor])))

    assert finding.evidence["attribute"] == "Editor.desk"
    assert finding.fix.code == "select(Person).options(selectin_polymorphic(Person, [Editor]))"
    assert mended.findings(*CODES) == []


def test_a_put_off_column_of_one_object_is_clean(press_engine):
    def use(s):
        article = s.get(Article, 1)
        return article.body

    assert recorded(press_engine, use).findings(*CODES) == []


def test_a_put_off_column_that_nobody_reads_is_clean(engine):
    def use(s):
        return [a.id for a in s.scalars(select(Author).options(defer(Author.name)))]

    assert recorded(engine, use).findings(*CODES) == []


def test_objects_that_a_commit_expired_are_found_with_the_commit(engine):
    def use(s):
        authors = s.scalars(select(Author)).all()
        s.commit()  # expires
        return [author.name for author in authors]  # reads expired

    (finding,) = recorded(engine, use).findings(*CODES)

    assert finding.rule == "SQL102"
    assert finding.location.line == line_of("reads expired", __file__)
    assert finding.evidence["cause"] == "expired"
    assert finding.evidence["cause_location"].line == line_of("expires", __file__)
    assert finding.evidence["count"] == AUTHORS
    assert finding.fix.location.line == line_of("expires", __file__)
    assert "expire_on_commit=False" in finding.fix.code
    assert not finding.fix.mechanical


def test_a_session_that_does_not_expire_is_clean(engine):
    def use(_):
        with Session(engine, expire_on_commit=False) as s:
            authors = s.scalars(select(Author)).all()
            s.commit()
            return [author.name for author in authors]

    assert recorded(engine, use).findings(*CODES) == []


def test_rows_that_were_added_and_committed_are_reloaded_one_by_one(engine):
    def use(s):
        books = [Book(title="t", author_id=1, publisher_id=1) for _ in range(4)]
        s.add_all(books)
        s.commit()
        return [book.id for book in books]  # new rows

    (finding,) = recorded(engine, use).findings(*CODES)

    assert finding.location.line == line_of("new rows", __file__)
    assert finding.evidence["parents"] == 4
    assert finding.evidence["parent_query"] is None


def test_one_object_read_after_a_commit_is_clean(engine):
    def use(s):
        author = s.get(Author, 1)
        s.commit()
        return author.name

    assert recorded(engine, use).findings(*CODES) == []


def test_a_commit_of_another_session_is_not_blamed(engine):
    def use(s):
        authors = s.scalars(select(Author)).all()
        with Session(engine) as other:
            other.get(Author, 1)
            other.commit()
        s.expire_all()
        return [author.name for author in authors]

    (finding,) = recorded(engine, use).findings("SQL102")

    assert finding.evidence["cause_location"] is None
    assert "they had expired" in finding.message


def test_refreshing_in_a_loop_is_a_warning(engine):
    def use(s):
        for author in s.scalars(select(Author)).all():
            s.refresh(author)  # refreshes

    (finding,) = recorded(engine, use).findings(*CODES)

    assert (finding.rule, finding.severity) == ("SQL102", "warning")
    assert finding.location.line == line_of("refreshes", __file__)
    assert finding.evidence["count"] == AUTHORS


def test_the_same_object_refreshed_again_and_again_is_no_loop_over_rows(engine):
    def use(s):
        author = s.get(Author, 1)
        for _ in range(5):
            s.refresh(author)

    assert recorded(engine, use).findings("SQL102") == []


def test_one_query_that_populates_anew_is_clean(engine):
    def use(s):
        authors = s.scalars(select(Author)).all()
        ids = [author.id for author in authors]
        query = select(Author).where(Author.id.in_(ids))
        s.scalars(query.execution_options(populate_existing=True)).all()
        return [author.name for author in authors]

    assert recorded(engine, use).findings(*CODES) == []


@pytest.mark.parametrize("expire", [True, False], ids=["defect", "mended"])
def test_async_sessions_are_watched_alike(database, expire):
    async def use(s):
        s.sync_session.expire_on_commit = expire
        authors = (await s.scalars(select(Author))).all()
        await s.commit()
        await s.execute(text("SELECT 1"))
        for author in authors:
            await author.awaitable_attrs.name

    found = [finding.rule for finding in recorded_async(database, use).findings("SQL102")]

    assert found == (["SQL102"] if expire else [])


def test_a_commit_in_every_turn_is_told_once_as_what_it_is(engine):
    def use(s):
        for book in s.scalars(select(Book)).all():
            book.title += "!"
            s.commit()

    assert [finding.rule for finding in recorded(engine, use).findings(*CODES)] == ["SQL104"]
