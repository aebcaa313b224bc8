"""A small database on real engines, and recordings of code that uses it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    WriteOnlyMapped,
    mapped_column,
    relationship,
)
from sqlalchemy.pool import StaticPool

from fastapi_diagnostics.finding import Finding
from fastapi_diagnostics.record import RequestRecord
from fastapi_diagnostics.recorder import CURRENT, Recorder
from fastapi_diagnostics.rules.catalogue import all_rules

AUTHORS = 4
BOOKS_EACH = 3


class Base(AsyncAttrs, DeclarativeBase):
    pass


class Publisher(Base):
    __tablename__ = "publisher"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    password: Mapped[str] = mapped_column(default="hunter2")
    books: Mapped[list["Book"]] = relationship(
        back_populates="author", order_by="Book.id", cascade="all, delete-orphan"
    )
    notes: Mapped[list["Note"]] = relationship(back_populates="author")


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    publisher_id: Mapped[int] = mapped_column(ForeignKey("publisher.id"))
    author: Mapped[Author] = relationship(back_populates="books")
    publisher: Mapped[Publisher] = relationship()


class Note(Base):
    __tablename__ = "note"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship(back_populates="notes", lazy="select")
    cover: Mapped["Cover | None"] = relationship(lazy="immediate")


class Cover(Base):
    __tablename__ = "cover"
    id: Mapped[int] = mapped_column(primary_key=True)
    note_id: Mapped[int] = mapped_column(ForeignKey("note.id"))


class Shelf(Base):
    __tablename__ = "shelf"
    id: Mapped[int] = mapped_column(primary_key=True)
    marks: WriteOnlyMapped["Mark"] = relationship()


class Mark(Base):
    __tablename__ = "mark"
    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column(ForeignKey("shelf.id"))


class Node(Base):
    __tablename__ = "node"
    id: Mapped[int] = mapped_column(primary_key=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
    children: Mapped[list["Node"]] = relationship(order_by="Node.id")


def fill(session: Session) -> None:
    """Add authors with books, each book of a publisher of its own."""
    number = 0
    for author_id in range(1, AUTHORS + 1):
        books = []
        for _ in range(BOOKS_EACH):
            number += 1
            books.append(
                Book(id=number, title=f"t{number}", publisher=Publisher(id=number, name="p"))
            )
        note = Note(id=author_id, text="n", cover=Cover(id=author_id))
        session.add(Author(id=author_id, name=f"a{author_id}", books=books, notes=[note]))
    root = Node(id=1, children=[Node(id=n, children=[Node(id=n * 10)]) for n in (2, 3, 4)])
    session.add_all([root, *(Shelf(id=number) for number in range(1, 5))])
    session.commit()


@contextmanager
def sync_engine(path: str = ":memory:") -> Iterator[Engine]:
    """Give a filled database that any thread may use."""
    options: dict[str, Any] = {"connect_args": {"check_same_thread": False}}
    if path == ":memory:":
        options["poolclass"] = StaticPool
    engine = create_engine(f"sqlite:///{path}", **options)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        fill(session)
    yield engine
    engine.dispose()


class Recording:
    """A record and what the rules conclude from it."""

    def __init__(self, record: RequestRecord) -> None:
        self.record = record

    def findings(self, *codes: str) -> list[Finding]:
        return [
            finding
            for loaded in all_rules()
            if loaded.rule.code in (codes or ("SQL101", "SQL103", "SQL105", "SQL201"))
            for finding in loaded.check(self.record)
        ]

    @property
    def codes(self) -> list[str]:
        return [finding.rule for finding in self.findings()]

    @property
    def severe(self) -> list[str]:
        return [finding.rule for finding in self.findings() if finding.severity != "info"]


def recorder(**changes: Any) -> Recorder:
    defaults: dict[str, Any] = {"record_id": "r1", "kind": "http", "phase": "endpoint"}
    return Recorder(clock=time.perf_counter, wall=time.time, **defaults | changes)


def sealed(run: Recorder) -> Recording:
    record = run.seal("closed", route="GET /x")
    run.close()
    return Recording(record)


def recorded(engine: Engine, use: Callable[[Session], object], **changes: Any) -> Recording:
    """Record what *use* does with a session."""
    run = recorder(**changes)
    token = CURRENT.set(run)
    try:
        with Session(engine) as session:
            use(session)
        return sealed(run)
    finally:
        CURRENT.reset(token)


def recorded_async(
    path: Path,
    use: Callable[[AsyncSession], Awaitable[object]],
    *,
    raises: type[BaseException] | None = None,
    **options: Any,
) -> Recording:
    """Record what *use* does with an asynchronous session on a filled file."""

    async def main() -> Recording:
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}", **options)
        run = recorder()
        CURRENT.set(run)
        try:
            async with AsyncSession(engine) as session:
                await use(session)
        except Exception as error:
            if raises is None or not isinstance(error, raises):
                raise
            run.note_exception(error)
        recording = sealed(run)
        await engine.dispose()
        return recording

    with sync_engine(str(path)):
        return asyncio.run(main())


async def in_own_session(engine: AsyncEngine, use: Callable[[AsyncSession], Any]) -> object:
    async with AsyncSession(engine) as session:
        return await use(session)


def line_of(mark: str, file: str) -> int:
    """Find the line of a file that ends with ``# mark``."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    found = [n for n, text in enumerate(lines, 1) if text.endswith(f"# {mark}")]
    assert len(found) == 1, mark
    return found[0]
