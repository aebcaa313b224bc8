"""Outside of the endpoint: streams, background tasks, websockets, teardown."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from tests.corpus.sql.shop.database import Db, new_async_session, new_session
from tests.corpus.sql.shop.models import Author, Book, Publisher, User

router = APIRouter()


# situation: stream-lazy
def lines_of_all() -> Iterator[str]:
    with new_session() as session:
        for book in session.scalars(select(Book).order_by(Book.id)):
            yield f"{book.title},{book.publisher.name}\n"  # expect: SQL101 Book.publisher


@router.get("/stream-lazy")
def stream_lazy() -> StreamingResponse:
    return StreamingResponse(lines_of_all(), media_type="text/csv")


# situation: stream-loaded (clean, like SQL101, mends stream-lazy)
def lines_of_joined() -> Iterator[str]:
    with new_session() as session:
        query = select(Book).options(joinedload(Book.publisher)).order_by(Book.id)
        for book in session.scalars(query):
            yield f"{book.title},{book.publisher.name}\n"


@router.get("/stream-loaded")
def stream_loaded() -> StreamingResponse:
    return StreamingResponse(lines_of_joined(), media_type="text/csv")


# situation: async-stream-lookups
async def titles_by_id() -> AsyncIterator[str]:
    async with new_async_session() as session:
        for book_id in (2, 4, 6, 8):
            book = await session.get_one(Book, book_id)  # expect: SQL103
            yield f"{book.title}\n"


@router.get("/async-stream-lookups")
async def async_stream_lookups() -> StreamingResponse:
    return StreamingResponse(titles_by_id(), media_type="text/plain")


# situation: async-stream-at-once (clean, like SQL103, mends async-stream-lookups)
async def titles_of_all() -> AsyncIterator[str]:
    async with new_async_session() as session:
        query = select(Book).where(Book.id.in_((2, 4, 6, 8))).order_by(Book.id)
        for book in (await session.scalars(query)).all():
            yield f"{book.title}\n"


@router.get("/async-stream-at-once")
async def async_stream_at_once() -> StreamingResponse:
    return StreamingResponse(titles_of_all(), media_type="text/plain")


# situation: async-stream-never-loaded
async def book_counts() -> AsyncIterator[str]:
    async with new_async_session() as session:
        for author in (await session.scalars(select(Author).order_by(Author.id))).all():
            yield f"{author.name}: "
            yield f"{len(author.books)}\n"  # expect: SQL201 Author.books


@router.get("/async-stream-never-loaded")
async def async_stream_never_loaded() -> StreamingResponse:
    return StreamingResponse(book_counts(), media_type="text/plain")


# situation: stream-in-portions (clean, like SQL101)
async def all_titles() -> AsyncIterator[str]:
    async with new_async_session() as session:
        query = select(Book).options(selectinload(Book.reviews)).execution_options(yield_per=5)
        async for book in await session.stream_scalars(query):
            yield f"{book.title} {len(book.reviews)}\n"


@router.get("/stream-in-portions")
async def stream_in_portions() -> StreamingResponse:
    return StreamingResponse(all_titles(), media_type="text/plain")


# situation: background-lazy
def recount() -> None:
    with new_session() as session:
        for author in session.scalars(select(Author).order_by(Author.id)):
            print(end=" " * 0 * len(author.books))  # expect: SQL101 Author.books


@router.post("/background-lazy")
def background_lazy(tasks: BackgroundTasks) -> str:
    tasks.add_task(recount)
    return "accepted"


# situation: background-loaded (clean, like SQL101)
def recount_loaded() -> None:
    with new_session() as session:
        authors = session.scalars(select(Author).options(selectinload(Author.books)))
        print(end=" " * 0 * sum(len(author.books) for author in authors))


@router.post("/background-loaded")
def background_loaded(tasks: BackgroundTasks) -> str:
    tasks.add_task(recount_loaded)
    return "accepted"


# situation: async-background-lookups
async def greet_all() -> None:
    async with new_async_session() as session:
        for user_id in (1, 2, 3, 4):
            await session.get_one(User, user_id)  # expect: SQL103


@router.post("/async-background-lookups")
async def async_background_lookups(tasks: BackgroundTasks) -> str:
    tasks.add_task(greet_all)
    return "accepted"


# situation: async-background-at-once (clean, like SQL103, mends async-background-lookups)
async def greet_together() -> None:
    async with new_async_session() as session:
        await session.scalars(select(User).where(User.id.in_((1, 2, 3, 4))))


@router.post("/async-background-at-once")
async def async_background_at_once(tasks: BackgroundTasks) -> str:
    tasks.add_task(greet_together)
    return "accepted"


# situation: async-background-never-loaded
async def count_books(author_id: int) -> None:
    async with new_async_session() as session:
        author = await session.get_one(Author, author_id)
        print(end=" " * 0 * len(author.books))  # expect: SQL201 Author.books


@router.post("/async-background-never-loaded")
async def async_background_never_loaded(tasks: BackgroundTasks) -> str:
    tasks.add_task(count_books, 1)
    return "accepted"


# situation: async-loose-task-never-loaded
@router.post("/async-loose-task-never-loaded")
async def async_loose_task_never_loaded() -> str:
    task = asyncio.create_task(count_awards(1))  # expect: TASK103
    await asyncio.wait([task])
    return "started"


async def count_awards(author_id: int) -> int:
    async with new_async_session() as session:
        author = await session.get_one(Author, author_id)
        return len(author.awards)  # expect: SQL201 Author.awards


# situation: websocket-lazy
@router.websocket("/websocket-lazy")
async def websocket_lazy(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive_text()
    async with new_async_session() as session:
        for publisher in (await session.scalars(select(Publisher).order_by(Publisher.id))).all():
            books = await publisher.awaitable_attrs.books  # expect: SQL101 Publisher.books
            await websocket.send_text(f"{publisher.name}: {len(books)}")
    await websocket.close()


# situation: websocket-question-per-message (clean, like SQL103)
@router.websocket("/websocket-question-per-message")
async def websocket_question_per_message(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            number = int(await websocket.receive_text())
            async with new_async_session() as session:
                book = await session.get_one(Book, number)
            await websocket.send_text(book.title)
    except WebSocketDisconnect:
        pass


# situation: websocket-iterated (clean, like SQL103)
@router.websocket("/websocket-iterated")
async def websocket_iterated(websocket: WebSocket) -> None:
    await websocket.accept()
    async for message in websocket.iter_text():
        async with new_async_session() as session:
            book = await session.get_one(Book, int(message))
        await websocket.send_text(book.title)


# situation: websocket-same-question (clean, like SQL105)
@router.websocket("/websocket-same-question")
async def websocket_same_question(websocket: WebSocket) -> None:
    await websocket.accept()
    async with new_async_session() as session:
        async for message in websocket.iter_text():
            name = await session.scalar(select(User.name).where(User.id == 1))
            await websocket.send_text(f"{name}: {message}")


# situation: teardown-lazy
def audited(session: Db) -> Iterator[Session]:
    yield session
    for author in session.scalars(select(Author).order_by(Author.id)):
        print(end=" " * 0 * len(author.awards))  # expect: SQL101 Author.awards


@router.get("/teardown-lazy")
def teardown_lazy(session: Annotated[Session, Depends(audited)]) -> str:
    return session.get_one(Publisher, 1).name
