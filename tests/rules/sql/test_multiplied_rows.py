"""SQL108: sibling collections in one joined statement."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, contains_eager, joinedload, selectinload

from fastapi_diagnostics.record import JoinedCollection, JoinedRows
from fastapi_diagnostics.rules.sql.multiplied_rows import check
from tests.builders import a_query, a_record
from tests.rules.sql.press import ARTICLES_EACH, MAGAZINES, PICTURES_EACH, Article, Magazine
from tests.rules.sql.press import Picture as Pictured
from tests.rules.sql.shop import line_of, recorded

BOTH = (joinedload(Magazine.articles), joinedload(Magazine.pictures))


def test_two_joined_collections_are_found_with_their_rows(press_engine):
    with Session(press_engine) as session:
        session.add_all(Article(title="t", body="b", magazine_id=1) for _ in range(20))
        session.add_all(Pictured(magazine_id=1) for _ in range(20))
        session.commit()

    def use(s):
        s.scalars(select(Magazine).options(*BOTH)).unique().all()  # multiplies

    (finding,) = recorded(press_engine, use).findings("SQL108")

    rows = 2 * ARTICLES_EACH * PICTURES_EACH + (ARTICLES_EACH + 20) * (PICTURES_EACH + 20)
    assert (finding.severity, finding.confidence) == ("warning", "proven")
    assert finding.location.line == line_of("multiplies", __file__)
    assert finding.evidence["rows"] == rows
    assert finding.evidence["parents"] == MAGAZINES
    assert finding.evidence["distinct"] == [32, 35]
    assert finding.evidence["rows_apart"] == MAGAZINES + 32 + 35
    assert finding.fix.code == "selectinload(Magazine.articles), selectinload(Magazine.pictures)"


def test_few_rows_are_a_note(press_engine):
    def use(s):
        s.scalars(select(Magazine).options(*BOTH)).unique().all()

    (finding,) = recorded(press_engine, use).findings("SQL108")

    assert finding.severity == "info"
    assert finding.evidence["rows"] == MAGAZINES * ARTICLES_EACH * PICTURES_EACH


def test_behind_a_limit_they_are_counted_as_well(press_engine):
    def use(s):
        s.scalars(select(Magazine).options(*BOTH).limit(2)).unique().all()

    (finding,) = recorded(press_engine, use).findings("SQL108")

    assert finding.evidence["rows"] == 2 * ARTICLES_EACH * PICTURES_EACH
    assert finding.evidence["parents"] == 2


@pytest.mark.parametrize(
    "options",
    [
        (selectinload(Magazine.articles), selectinload(Magazine.pictures)),
        (joinedload(Magazine.articles), selectinload(Magazine.pictures)),
        (joinedload(Magazine.articles).joinedload(Article.magazine),),
    ],
    ids=["apart", "one joined", "one below the other"],
)
def test_what_multiplies_nothing_is_clean(press_engine, options):
    def use(s):
        s.scalars(select(Magazine).options(*options)).unique().all()

    assert recorded(press_engine, use).findings("SQL108") == []


def test_a_join_by_hand_is_passed_over(press_engine):
    def use(s):
        query = select(Magazine).join(Magazine.articles).join(Magazine.pictures)
        query = query.options(contains_eager(Magazine.articles), contains_eager(Magazine.pictures))
        s.scalars(query).unique().all()

    assert recorded(press_engine, use).findings("SQL108") == []


def test_the_application_gets_the_same_rows(press_engine):
    def use(s):
        found = s.scalars(select(Magazine).options(*BOTH).order_by(Magazine.id)).unique().all()
        return [(len(one.articles), len(one.pictures)) for one in found]

    seen = []
    recorded(press_engine, lambda s: seen.extend(use(s)))

    assert seen == [(ARTICLES_EACH, PICTURES_EACH)] * MAGAZINES


def test_single_children_multiply_nothing():
    collections = tuple(JoinedCollection(attribute=f"A.{n}", distinct=5) for n in "xy")
    joined = JoinedRows(query=0, rows=5, parents=5, collections=collections)

    assert list(check(a_record(queries=(a_query(),), joined_rows=(joined,)))) == []
