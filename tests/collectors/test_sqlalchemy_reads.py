"""Relationships that are watched: only eager ones, put back afterwards, queries none the slower."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import encoders
from sqlalchemy import select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import InstrumentedAttribute, joinedload, selectinload

from fastapi_diagnostics.collectors import sqlalchemy as collector
from fastapi_diagnostics.collectors.hooks import Hooks
from tests.installed import installed
from tests.rules.sql.shop import Author, recorded, sync_engine


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(collector, root=Path(__file__).parent) as hooks:
        yield hooks


@pytest.fixture
def engine() -> Iterator[Engine]:
    with sync_engine() as engine:
        yield engine


def test_only_eager_relationships_are_watched_and_all_are_put_back(engine, hooks):
    option = selectinload(Author.notes)
    recorded(engine, lambda s: s.scalars(select(Author).options(option)).all())

    watched = type(vars(Author)["notes"])
    left_alone = type(vars(Author)["name"])
    hooks.undo()

    assert watched is not InstrumentedAttribute
    assert left_alone is InstrumentedAttribute
    assert type(vars(Author)["notes"]) is InstrumentedAttribute


def test_queries_with_a_watched_relationship_are_still_compiled_once(engine):
    def use(s):
        s.scalars(select(Author).options(selectinload(Author.notes))).all()
        for _ in range(2):
            s.scalars(select(Author).join(Author.notes)).all()
            s.scalars(select(Author).where(Author.notes.any())).all()

    def compiled_anew(s):
        use(s)
        before = len(engine._compiled_cache)
        use(s)
        assert len(engine._compiled_cache) == before

    recorded(engine, compiled_anew)

    assert select(Author).join(Author.notes)._generate_cache_key() is not None


def test_what_was_compiled_before_is_watched_again_after_a_new_installation(engine, hooks) -> None:
    query = select(Author).options(joinedload(Author.notes))

    def unread(s):
        s.scalars(query).unique().all()

    def read(s):
        [len(author.notes) for author in s.scalars(query).unique()]

    recorded(engine, unread)
    hooks.undo()
    collector.install(hooks)

    (load,) = recorded(engine, read).record.eager_loads

    assert load.read is True


def test_the_encoder_is_left_as_it_was(hooks) -> None:
    assert "vars" in vars(encoders)
    hooks.undo()
    assert "vars" not in vars(encoders)


def test_what_fastapi_cannot_encode_is_refused_as_without_us(engine) -> None:
    """The fixture tells if that was counted as a failure of ours."""
    option = selectinload(Author.notes)
    recorded(engine, lambda s: s.scalars(select(Author).options(option)).all())

    with pytest.raises(ValueError, match="vars\\(\\) argument must have __dict__ attribute"):
        encoders.jsonable_encoder(object())
