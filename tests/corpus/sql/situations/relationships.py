"""Relationships that are read in loops, in endpoints of a synchronous application."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy import select
from sqlalchemy.orm import (
    Session,
    immediateload,
    joinedload,
    selectinload,
)

from tests.corpus.sql.shop.database import Db
from tests.corpus.sql.shop.models import Author, Book, Category, Invoice

router = APIRouter()


# situation: lazy-loop
@router.get("/lazy-loop")
def lazy_loop(session: Db) -> dict[str, list[str]]:
    authors = session.scalars(select(Author).order_by(Author.id)).all()
    titles = {}
    for author in authors:
        titles[author.name] = [book.title for book in author.books]  # expect: SQL101 Author.books
    return titles


# situation: lazy-loop-selectin (clean, like SQL101, mends lazy-loop)
@router.get("/lazy-loop-selectin")
def lazy_loop_selectin(session: Db) -> dict[str, list[str]]:
    query = select(Author).options(selectinload(Author.books)).order_by(Author.id)
    return {author.name: [book.title for book in author.books] for author in session.scalars(query)}


# situation: three-parents
@router.get("/three-parents")
def three_parents(session: Db) -> int:
    top = session.scalars(select(Author).order_by(Author.name).limit(3)).all()
    return sum(len(author.books) for author in top)  # expect: SQL101 Author.books


# situation: many-to-one
@router.get("/many-to-one")
def many_to_one(session: Db) -> list[str]:
    books = session.scalars(select(Book).order_by(Book.id)).all()
    return [f"{book.title} by {book.author.name}" for book in books]  # expect: SQL101 Book.author


# situation: many-to-one-joined (clean, like SQL101, mends many-to-one)
@router.get("/many-to-one-joined")
def many_to_one_joined(session: Db) -> list[str]:
    query = select(Book).options(joinedload(Book.author)).order_by(Book.id)
    return [f"{book.title} by {book.author.name}" for book in session.scalars(query)]


# situation: one-author-for-all (clean, like SQL101)
@router.get("/one-author-for-all")
def one_author_for_all(session: Db) -> list[str]:
    books = session.scalars(select(Book).where(Book.author_id == 1)).all()
    return [book.author.name for book in books]  # one query, for the first of them


# situation: many-to-many
@router.get("/many-to-many")
def many_to_many(session: Db) -> dict[str, list[str]]:
    result = {}
    for book in session.scalars(select(Book).order_by(Book.id)):
        names = [tag.name for tag in book.tags]  # expect: SQL101 Book.tags
        result[book.title] = names
    return result


# situation: nested-loops
@router.get("/nested-loops")
def nested_loops(session: Db) -> list[str]:
    names = []
    for author in session.scalars(select(Author).order_by(Author.id)):
        for book in author.books:  # expect: SQL101 Author.books
            names.append(book.publisher.name)
    return names


# situation: nested-selectin (clean, like SQL101, mends nested-loops)
@router.get("/nested-selectin")
def nested_selectin(session: Db) -> list[str]:
    option = selectinload(Author.books).joinedload(Book.publisher)
    authors = session.scalars(select(Author).options(option).order_by(Author.id)).all()
    return [book.publisher.name for author in authors for book in author.books]


# situation: three-levels (clean, like SQL101)
@router.get("/three-levels")
def three_levels(session: Db) -> int:
    option = selectinload(Author.books).selectinload(Book.reviews)
    authors = session.scalars(select(Author).options(option, selectinload(Author.awards))).all()
    stars = [review.stars for author in authors for book in author.books for review in book.reviews]
    return sum(stars) + sum(len(author.awards) for author in authors)


# situation: inner-level-only
@router.get("/inner-level-only")
def inner_level_only(session: Db) -> int:
    query = select(Author).options(selectinload(Author.books)).order_by(Author.id)
    stars = 0
    for author in session.scalars(query):
        for book in author.books:
            stars += sum(review.stars for review in book.reviews)  # expect: SQL101 Book.reviews
    return stars


# situation: two-loops
@router.get("/two-loops")
def two_loops(session: Db) -> dict[str, int]:
    authors = session.scalars(select(Author).order_by(Author.id)).all()
    here = sum(len(a.books) for a in authors if a.country == "AT")  # expect: SQL101 Author.books
    there = sum(len(a.books) for a in authors if a.country != "AT")  # expect: SQL101 Author.books
    return {"here": here, "there": there}


# situation: two-relationships-on-a-line
@router.get("/two-relationships-on-a-line")
def two_relationships_on_a_line(session: Db) -> list[str]:
    lines = []
    for b in session.scalars(select(Book).order_by(Book.id)):
        line = b.author.name, b.publisher.name  # expect: SQL101 Book.author; SQL101 Book.publisher
        lines.append(", ".join(line))
    return lines


# situation: behind-a-property
@router.get("/behind-a-property")
def behind_a_property(session: Db) -> dict[str, int]:
    counts = {}
    for author in session.scalars(select(Author).order_by(Author.id)):
        counts[author.name] = author.book_count  # expect: SQL101 Author.books
    return counts


# situation: through-layers
class AuthorRepository:
    def __init__(self, session: Session) -> None:
        self.session = session

    def all(self) -> list[Author]:
        return list(self.session.scalars(select(Author).order_by(Author.id)))


class AuthorService:
    def __init__(self, authors: AuthorRepository) -> None:
        self.authors = authors

    def titles(self, author: Author) -> list[str]:
        return self.sorted_titles(author)

    def sorted_titles(self, author: Author) -> list[str]:
        return sorted(book.title for book in author.books)


@router.get("/through-layers")
def through_layers(session: Db) -> list[list[str]]:
    service = AuthorService(AuthorRepository(session))
    result = []
    for author in service.authors.all():
        result.append(service.titles(author))  # expect: SQL101 Author.books
    return result


# situation: tree-walk
def names_below(category: Category) -> list[str]:
    names = [category.name]
    for child in category.children:
        names += names_below(child)  # expect: SQL101 Category.children
    return names


@router.get("/tree-walk")
def tree_walk(session: Db) -> list[str]:
    root = session.scalars(select(Category).where(Category.parent_id.is_(None))).one()
    return names_below(root)


# situation: tree-walk-loaded (clean, like SQL101, mends tree-walk)
@router.get("/tree-walk-loaded")
def tree_walk_loaded(session: Db) -> list[str]:
    option = selectinload(Category.children, recursion_depth=-1)
    query = select(Category).where(Category.parent_id.is_(None)).options(option)
    return names_below(session.scalars(query).one())


# situation: of-one-get
@router.get("/of-one-get")
def of_one_get(session: Db) -> list[int]:
    author = session.get_one(Author, 1)
    return [len(book.reviews) for book in author.books]  # expect: SQL101 Book.reviews


# situation: in-a-dependency
def newest_books(session: Db) -> list[str]:
    found = session.scalars(select(Book).order_by(Book.id.desc()).limit(5))
    return [book.publisher.name for book in found]  # expect: SQL101 Book.publisher


@router.get("/in-a-dependency")
def in_a_dependency(names: Annotated[list[str], Depends(newest_books)]) -> list[str]:
    return names


# situation: legacy-query
@router.get("/legacy-query")
def legacy_query(session: Db) -> list[int]:
    authors = session.query(Author).order_by(Author.id).all()
    return [len(author.awards) for author in authors]  # expect: SQL101 Author.awards


# situation: immediate-for-each
@router.get("/immediate-for-each")
def immediate_for_each(session: Db) -> list[int]:
    query = select(Author).options(immediateload(Author.books)).order_by(Author.id)
    authors = session.scalars(query).all()  # expect: SQL101 Author.books
    return [len(author.books) for author in authors]


# situation: not-for-each (clean, like SQL101, mends immediate-for-each)
@router.get("/not-for-each")
def not_for_each(session: Db) -> list[int]:
    query = select(Author).options(selectinload(Author.books)).order_by(Author.id)
    return [len(author.books) for author in session.scalars(query)]


# situation: deleted-one-by-one
@router.delete("/deleted-one-by-one")
def deleted_one_by_one(session: Db) -> int:
    invoices = session.scalars(select(Invoice).order_by(Invoice.id)).all()
    for invoice in invoices:
        session.delete(invoice)  # expect: SQL101 Invoice.lines
    session.commit()
    return len(invoices)


# situation: deleted-with-loaded-lines (clean, like SQL101, mends deleted-one-by-one)
@router.delete("/deleted-with-loaded-lines")
def deleted_with_loaded_lines(session: Db) -> int:
    query = select(Invoice).options(selectinload(Invoice.lines)).order_by(Invoice.id)
    invoices = session.scalars(query).all()
    for invoice in invoices:
        session.delete(invoice)
    session.commit()
    return len(invoices)


# situation: yielded-by-helper
def in_stock(session: Session) -> Iterator[Book]:
    for book in session.scalars(select(Book).order_by(Book.id)).all():
        if book.stock:
            yield book


@router.get("/yielded-by-helper")
def yielded_by_helper(session: Db) -> list[str]:
    result = []
    for book in in_stock(session):
        result.append(book.publisher.name)  # expect: SQL101 Book.publisher
    return result


# situation: sorted-by-relationship
@router.get("/sorted-by-relationship")
def sorted_by_relationship(session: Db) -> list[str]:
    books = session.scalars(select(Book).where(Book.stock > 0)).all()
    books = sorted(books, key=lambda book: book.author.name)  # expect: SQL101 Book.author
    return [book.title for book in books]


# situation: two-entities
@router.get("/two-entities")
def two_entities(session: Db) -> list[str]:
    rows = session.execute(select(Book, Author).join(Book.author).order_by(Book.id)).all()
    result = []
    for book, author in rows:
        result.append(f"{author.name}: {book.publisher.name}")  # expect: SQL101 Book.publisher
    return result
