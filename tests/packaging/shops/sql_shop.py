"""A shop on synchronous SQLAlchemy, which needs no greenlet."""

from fastapi import FastAPI
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.pool import StaticPool

from fastapi_diagnostics import DiagnosticsMiddleware

engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
app = FastAPI()
app.add_middleware(DiagnosticsMiddleware)


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    books: Mapped[list["Book"]] = relationship()


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))


Base.metadata.create_all(engine)
with Session(engine) as first:
    first.add_all(Author(books=[Book(title=f"Book {n}")]) for n in range(5))
    first.commit()


@app.get("/titles")
def titles() -> list[str]:
    with Session(engine) as session:
        found = []
        for author in session.scalars(select(Author)):
            found += [book.title for book in author.books]
        return found
