"""Rows that are written in loops."""

from fastapi import APIRouter
from sqlalchemy import delete, insert, select, text, update

from tests.corpus.sql.shop.database import AsyncDb, Db
from tests.corpus.sql.shop.models import Award, Book, BookTag, Invoice, InvoiceLine, Review, Tag

router = APIRouter()

NAMES = [f"new {number}" for number in range(8)]


# situation: commit-per-row
@router.post("/commit-per-row")
def commit_per_row(session: Db) -> int:
    for name in NAMES:
        session.add(Tag(name=name))
        session.commit()  # expect: SQL104
    return len(NAMES)


# situation: flush-per-row
@router.post("/flush-per-row")
def flush_per_row(session: Db) -> int:
    for name in NAMES:
        session.add(Tag(name=name))
        session.flush()  # expect: SQL104
    session.commit()
    return len(NAMES)


# situation: add-all (clean, like SQL104, mends flush-per-row)
@router.post("/add-all")
def add_all(session: Db) -> int:
    session.add_all([Tag(name=name) for name in NAMES])
    session.commit()
    return len(NAMES)


# situation: insert-per-row
@router.post("/insert-per-row")
def insert_per_row(session: Db) -> int:
    for name in NAMES:
        session.execute(insert(Tag).values(name=name))  # expect: SQL104
    session.commit()
    return len(NAMES)


# situation: insert-many (clean, like SQL104, mends insert-per-row)
@router.post("/insert-many")
def insert_many(session: Db) -> int:
    session.execute(insert(Tag), [{"name": name} for name in NAMES])
    session.commit()
    return len(NAMES)


# situation: raw-insert-per-row
@router.post("/raw-insert-per-row")
def raw_insert_per_row(session: Db) -> int:
    for name in NAMES:
        sql = text("INSERT INTO tag (name) VALUES (:name)")
        session.execute(sql, {"name": name})  # expect: SQL104
    session.commit()
    return len(NAMES)


# situation: async-commit-per-row
@router.post("/async-commit-per-row")
async def async_commit_per_row(session: AsyncDb) -> int:
    for name in NAMES:
        session.add(Tag(name=name))
        await session.commit()  # expect: SQL104
    return len(NAMES)


# situation: async-update-per-row
@router.post("/async-update-per-row")
async def async_update_per_row(session: AsyncDb) -> int:
    for book_id in range(1, 9):
        query = update(Book).where(Book.id == book_id).values(stock=book_id)
        await session.execute(query)  # expect: SQL104
    await session.commit()
    return 8


# situation: delete-per-row
@router.delete("/delete-per-row")
def delete_per_row(session: Db) -> int:
    ids = session.scalars(select(Review.id).order_by(Review.id)).all()
    for review_id in ids:
        session.execute(delete(Review).where(Review.id == review_id))  # expect: SQL104
    session.commit()
    return len(ids)


# situation: delete-in-one (clean, like SQL104, mends delete-per-row)
@router.delete("/delete-in-one")
def delete_in_one(session: Db) -> int:
    ids = session.scalars(select(Review.id).order_by(Review.id)).all()
    session.execute(delete(Review).where(Review.id.in_(ids)))
    session.commit()
    return len(ids)


# situation: changed-objects (clean, like SQL104)
@router.post("/changed-objects")
def changed_objects(session: Db) -> int:
    books = session.scalars(select(Book)).all()
    for book in books:
        book.stock += book.id
    session.commit()
    return len(books)


# situation: order-with-its-parts (clean, like SQL104)
@router.post("/order-with-its-parts")
def order_with_its_parts(session: Db) -> int:
    invoice = Invoice(total=5)
    session.add(invoice)
    session.flush()
    session.add(InvoiceLine(invoice_id=invoice.id))
    session.flush()
    session.add(Award(name="buyer of the year", author_id=1))
    session.commit()
    return invoice.total


# situation: flush-per-chunk (clean, like SQL104)
@router.post("/flush-per-chunk")
def flush_per_chunk(session: Db) -> int:
    names = [f"chunk {number}" for number in range(60)]
    for start in range(0, len(names), 10):
        session.add_all([Tag(name=name) for name in names[start : start + 10]])
        session.flush()
    session.commit()
    return len(names)


# situation: chunked-update (clean, like SQL104)
@router.post("/chunked-update")
def chunked_update(session: Db) -> int:
    for start in range(1, 17, 2):
        session.execute(update(Book).where(Book.id.in_([start, start + 1])).values(stock=0))
    session.commit()
    return 16


# situation: one-statement-per-table (clean, like SQL104)
@router.delete("/one-statement-per-table")
def one_statement_per_table(session: Db) -> int:
    models = (InvoiceLine, Invoice, Award, Review, BookTag)
    for model in models:
        session.execute(delete(model))
    session.commit()
    return len(models)


# situation: commit-per-item-on-purpose (undecided: a failure leaves the others, looks the same)
@router.post("/commit-per-item-on-purpose")
def commit_per_item_on_purpose(session: Db) -> int:
    for name in NAMES:
        session.add(Tag(name=name))
        session.commit()  # expect: SQL104 warning
    return len(NAMES)
