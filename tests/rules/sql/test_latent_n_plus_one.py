"""SQL110: one parent today; off unless selected."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from fastapi_diagnostics.rules.catalogue import chosen_rules
from fastapi_diagnostics.rules.sql.latent_n_plus_one import RULE
from tests.rules.sql.shop import Author, line_of, recorded

ONE = select(Author).where(Author.name == "a1")


def test_a_loop_with_one_turn_is_found(engine):
    def use(s):
        for author in s.scalars(ONE).all():  # one parent
            len(author.books)  # one turn

    (finding,) = recorded(engine, use).findings("SQL110")

    assert (finding.severity, finding.confidence) == ("info", "likely")
    assert finding.location.line == line_of("one turn", __file__)
    assert finding.fix.location.line == line_of("one parent", __file__)
    assert finding.fix.code == "select(Author).options(selectinload(Author.books))"
    assert finding.evidence["parents"] == finding.evidence["count"] == 1


@pytest.mark.parametrize(
    "query",
    [
        ONE.options(selectinload(Author.books)),
        select(Author).limit(1),
        select(Author).where(Author.id == 1),
        select(Author),
    ],
    ids=["mended", "limited", "by key", "several"],
)
def test_look_alikes_in_a_loop_are_clean(engine, query):
    def use(s):
        for author in s.scalars(query).all():
            len(author.books)

    assert recorded(engine, use).findings("SQL110") == []


def test_a_single_object_is_clean(engine):
    recording = recorded(engine, lambda s: len(s.scalars(ONE).one().books))

    assert recording.findings("SQL110") == []


def test_it_is_off_unless_selected():
    def codes(*select_: str) -> set[str]:
        return {loaded.rule.code for loaded in chosen_rules(select_, ())}

    assert not RULE.selected
    assert "SQL110" not in codes()
    assert "SQL110" in codes("SQL110")
