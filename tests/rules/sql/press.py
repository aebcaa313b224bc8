"""A second small database: put-off columns, subclasses, and a mapping that loads eagerly."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    mapped_column,
    relationship,
)
from sqlalchemy.pool import StaticPool

MAGAZINES = 3
ARTICLES_EACH = 4
PICTURES_EACH = 5


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "person"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    kind: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "person"}  # noqa: RUF012


class Editor(Person):
    __tablename__ = "editor"
    id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True)
    desk: Mapped[str]
    __mapper_args__ = {"polymorphic_identity": "editor"}  # noqa: RUF012


class Magazine(Base):
    __tablename__ = "magazine"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    articles: Mapped[list["Article"]] = relationship(back_populates="magazine")
    pictures: Mapped[list["Picture"]] = relationship()
    covers: Mapped[list["Cover"]] = relationship(lazy="selectin")


class Article(Base):
    __tablename__ = "article"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    body: Mapped[str] = mapped_column(deferred=True)
    magazine_id: Mapped[int] = mapped_column(ForeignKey("magazine.id"))
    magazine: Mapped[Magazine] = relationship(back_populates="articles")


class Picture(Base):
    __tablename__ = "picture"
    id: Mapped[int] = mapped_column(primary_key=True)
    magazine_id: Mapped[int] = mapped_column(ForeignKey("magazine.id"))


class Cover(Base):
    __tablename__ = "cover"
    id: Mapped[int] = mapped_column(primary_key=True)
    magazine_id: Mapped[int] = mapped_column(ForeignKey("magazine.id"))

    def as_dict(self) -> dict[str, object]:
        return {"id": self.id}


class Leaflet(Base):
    """Has a method that takes an object as a whole."""

    __tablename__ = "leaflet"
    id: Mapped[int] = mapped_column(primary_key=True)
    pages: Mapped[list["Page"]] = relationship()

    def as_dict(self) -> dict[str, object]:
        return {key: value for key, value in self.__dict__.items() if key[0] != "_"}


class Page(Base):
    __tablename__ = "page"
    id: Mapped[int] = mapped_column(primary_key=True)
    leaflet_id: Mapped[int] = mapped_column(ForeignKey("leaflet.id"))


def fill(session: Session) -> None:
    for number in range(1, MAGAZINES + 1):
        articles = [Article(title="t", body="b") for _ in range(ARTICLES_EACH)]
        pictures = [Picture() for _ in range(PICTURES_EACH)]
        session.add(
            Magazine(name=f"m{number}", articles=articles, pictures=pictures, covers=[Cover()])
        )
        session.add(Editor(name=f"e{number}", desk="d"))
    session.add(Leaflet(pages=[Page(), Page()]))
    session.commit()


@contextmanager
def press() -> Iterator[Engine]:
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        fill(session)
    yield engine
    engine.dispose()
