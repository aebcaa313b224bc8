"""Statements of a websocket: what is asked once for each message is no loop over rows."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from fastapi_diagnostics import DiagnosticsMiddleware
from tests.integration.clients import API
from tests.rules.sql.shop import AUTHORS, Author, Book, line_of, sync_engine

Answer = Callable[[Session, dict[int, Author], str], int]


@pytest.fixture
def engine() -> Iterator[Engine]:
    with sync_engine() as engine:
        yield engine


def books_of_one(_session: Session, authors: dict[int, Author], message: str) -> int:
    return len(authors[int(message)].books)


def one_by_key(session: Session, _authors: dict[int, Author], message: str) -> int:
    return session.get_one(Book, int(message)).id


def the_same_name(session: Session, _authors: dict[int, Author], _message: str) -> int:
    return len(session.scalars(select(Author.name).where(Author.id == 1)).all())


def write_one(session: Session, _authors: dict[int, Author], message: str) -> int:
    session.add(Author(id=100 + int(message), name=message))
    session.commit()
    return 1


def books_of_all(session: Session, _authors: dict[int, Author], _message: str) -> int:
    session.expire_all()
    found = session.scalars(select(Author)).all()
    return sum(len(author.books) for author in found)  # all of them


def the_same_twice(session: Session, _authors: dict[int, Author], _message: str) -> int:
    query = select(Author.name).where(Author.id == 1)
    found = 0
    for _ in range(2):
        found += len(session.scalars(query).all())  # twice
    return found


def recorded(engine: Engine, answer: Answer, messages: int) -> dict[str, Any]:
    """Send messages to a websocket that answers each, and give its record."""
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware)

    @app.websocket("/ask")
    async def ask(websocket: WebSocket) -> None:
        await websocket.accept()
        with Session(engine, expire_on_commit=False) as session:
            authors = {author.id: author for author in session.scalars(select(Author))}
            try:
                for _ in range(1000):
                    message = await websocket.receive_text()
                    await websocket.send_text(str(answer(session, authors, message)))
            except WebSocketDisconnect:
                return

    with TestClient(app) as client:
        with client.websocket_connect("/ask") as websocket:
            for number in range(1, messages + 1):
                websocket.send_text(str(number))
                websocket.receive_text()
        (summary,) = client.get(f"{API}/requests").json()["requests"]
        return client.get(f"{API}/requests/{summary['id']}", params={"wait": "closed"}).json()


def sql_findings(record: dict[str, Any]) -> list[dict[str, Any]]:
    # A session of a synchronous driver on the loop is another matter, and so are slow machines.
    others = {"SQL106", "SQL302", "SQL305"}
    found = (finding for finding in record["findings"] if finding["rule"] not in others)
    return [finding for finding in found if finding["rule"].startswith("SQL")]


@pytest.mark.parametrize("answer", [books_of_one, one_by_key, the_same_name, write_one])
def test_one_statement_for_each_message_is_in_order(engine: Engine, answer: Answer) -> None:
    record = recorded(engine, answer, AUTHORS)

    asked = [query for query in record["request"]["queries"] if query["window"]]
    assert {query["window"] for query in asked} == {1, 2, 3, 4}
    assert len(asked) >= 4
    assert sql_findings(record) == []
    assert "for 4 messages of the websocket" in [
        item["reason"] for item in record["request"]["cleared"]
    ]


def test_a_loop_within_a_message_is_found_and_told_once(engine: Engine) -> None:
    (finding,) = sql_findings(recorded(engine, books_of_all, 3))

    assert finding["rule"] == "SQL101"
    assert finding["evidence"]["count"] == finding["evidence"]["parents"] == AUTHORS
    assert finding["location"]["line"] == line_of("all of them", __file__)


def test_the_same_read_twice_within_a_message_is_found(engine: Engine) -> None:
    (finding,) = sql_findings(recorded(engine, the_same_twice, 1))

    assert finding["rule"] == "SQL105"
    assert finding["location"]["line"] == line_of("twice", __file__)
