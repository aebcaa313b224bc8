"""Statements that bring too much: slow, unbounded, multiplied, or never read."""

from fastapi import APIRouter
from sqlalchemy import select, text
from sqlalchemy.orm import joinedload, selectinload

from tests.corpus.sql.shop.database import AsyncDb, Db, new_session
from tests.corpus.sql.shop.models import Author, Book, LogEntry, Magazine

router = APIRouter()

COUNTING = (
    "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :n) "
    "SELECT max(n) FROM numbers"
)


# situation: slow
@router.get("/slow")
def slow(session: Db) -> int:
    return session.execute(text(COUNTING), {"n": 2_000_000}).scalar_one()  # expect: SQL106


# situation: fast (clean, like SQL106)
@router.get("/fast")
def fast(session: Db) -> int:
    return session.execute(text(COUNTING), {"n": 20}).scalar_one()


# situation: eager-never-read
@router.get("/eager-never-read")
def eager_never_read(session: Db) -> list[str]:
    query = select(Author).options(selectinload(Author.books)).order_by(Author.id)
    return [author.name for author in session.scalars(query)]  # expect: SQL107 Author.books


# situation: eager-joined-never-read
@router.get("/eager-joined-never-read")
def eager_joined_never_read(session: Db) -> list[str]:
    query = select(Book).options(joinedload(Book.publisher)).order_by(Book.id)
    return [book.title for book in session.scalars(query)]  # expect: SQL107 Book.publisher


# situation: eager-in-mapping
@router.get("/eager-in-mapping")
async def eager_in_mapping(session: AsyncDb) -> list[str]:
    query = select(Magazine).order_by(Magazine.id)
    magazines = await session.scalars(query)  # expect: SQL107 Magazine.issues
    return [magazine.name for magazine in magazines]


# situation: eager-and-read (clean, like SQL107)
@router.get("/eager-and-read")
async def eager_and_read(session: AsyncDb) -> list[int]:
    magazines = await session.scalars(select(Magazine).order_by(Magazine.id))
    return [len(magazine.issues) for magazine in magazines]


# situation: eager-read-of-some (clean, like SQL107)
@router.get("/eager-read-of-some")
def eager_read_of_some(session: Db) -> list[str]:
    authors = session.scalars(select(Author).options(selectinload(Author.books))).all()
    return [book.title for book in authors[0].books]


# situation: multiplied
@router.get("/multiplied")
def multiplied(session: Db) -> int:
    query = select(Author).options(joinedload(Author.books), joinedload(Author.awards))
    authors = session.scalars(query).unique().all()  # expect: SQL108
    return sum(len(author.books) + len(author.awards) for author in authors)


# situation: joined-and-selectin (clean, like SQL108)
@router.get("/joined-and-selectin")
def joined_and_selectin(session: Db) -> int:
    query = select(Author).options(joinedload(Author.books), selectinload(Author.awards))
    authors = session.scalars(query).unique().all()
    return sum(len(author.books) + len(author.awards) for author in authors)


# situation: all-log-entries
@router.get("/all-log-entries")
def all_log_entries(session: Db) -> int:
    entries = session.scalars(select(LogEntry)).all()  # expect: SQL109 info
    return len(entries)


# situation: a-page-of-entries (clean, like SQL109)
@router.get("/a-page-of-entries")
def a_page_of_entries(session: Db) -> int:
    return len(session.scalars(select(LogEntry).order_by(LogEntry.id).limit(1000)).all())


# situation: streamed-entries (clean, like SQL109)
@router.get("/streamed-entries")
async def streamed_entries(session: AsyncDb) -> int:
    count = 0
    async for _ in await session.stream_scalars(select(LogEntry)):
        count += 1
    return count


# situation: one-parent-so-far (select SQL110)
@router.get("/one-parent-so-far")
def one_parent_so_far(session: Db) -> list[str]:
    titles = []
    for author in session.scalars(select(Author).where(Author.name.like("%7"))):
        titles += [book.title for book in author.books]  # expect: SQL110 Author.books
    return titles


# situation: one-by-its-key (clean, like SQL110, select SQL110)
@router.get("/one-by-its-key")
def one_by_its_key(session: Db) -> list[str]:
    titles = []
    for author in session.scalars(select(Author).where(Author.id == 7)):
        titles += [book.title for book in author.books]
    return titles


# situation: all-entries-in-a-script (clean, like SQL109)
def all_entries_in_a_script() -> int:
    with new_session() as session:
        return len(session.scalars(select(LogEntry)).all())
