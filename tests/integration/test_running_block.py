"""A block that goes on is told while it runs: in the log, and on the page once it can answer."""

import logging
import re
import threading

import httpx
import pytest
from fastapi import FastAPI

from fastapi_diagnostics import DiagnosticsMiddleware
from fastapi_diagnostics.collectors.event_loop import watchdog
from fastapi_diagnostics.outputs.log import LOGGER_NAME
from tests.serving import serve


class Listener(logging.Handler):
    """Rings when it is told of a block that has not ended."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.rang = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "has not let go of it yet" in record.getMessage():
            self.texts.append(record.getMessage())
            self.rang.set()


@pytest.fixture
def listener():
    logger = logging.getLogger(LOGGER_NAME)
    handler = Listener()
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


def test_a_block_is_logged_while_it_runs_and_is_one_bar_when_it_is_over(
    listener, monkeypatch
) -> None:
    monkeypatch.setattr(watchdog, "RUNNING_S", 0.3)
    app = FastAPI()
    app.add_middleware(DiagnosticsMiddleware, log=True)
    heard: list[bool] = []

    @app.get("/stuck")
    async def stuck() -> None:
        heard.append(listener.rang.wait(20))  # the loop stands still until the log has told

    with serve(app) as url, httpx.Client(base_url=url, timeout=30) as client:
        client.get("/stuck")
        client.get("/_diagnostics/api/requests?wait=closed")
        page = client.get("/_diagnostics/loop").text

    assert heard == [True]
    assert "GET /stuck has held the event loop for" in listener.texts[0]
    assert "threading.Event.wait" in listener.texts[0]
    [headline] = re.findall("<h1>(.*?)</h1>", page)
    assert "held once in the last 5 min" in headline
