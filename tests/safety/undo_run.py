"""Run in a fresh process by test_undo.py: prints what differs after installing and undoing.

The application runs once without us before the first look, so that what libraries set up lazily
is there and does not count.
"""

import asyncio
import gc
import json
import logging
import sys
import threading
import types
from typing import Any

import anyio
import anyio.to_thread
import fastapi
import httpx
import sqlalchemy
import starlette
from fastapi import BackgroundTasks, FastAPI
from pydantic import BaseModel
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool, StaticPool

LIBRARIES = tuple(module.__name__ for module in (fastapi, starlette, anyio, sqlalchemy))
engine = create_engine("sqlite://", poolclass=StaticPool)


class Shown(BaseModel):
    name: str


def an_app() -> FastAPI:
    app = FastAPI()

    @app.get("/query", response_model=Shown)
    async def query(background: BackgroundTasks) -> Any:
        background.add_task(print, end="")
        with Session(engine) as session:
            session.execute(text("SELECT 1"))
            session.commit()
        return {"name": "a", "extra": 1}

    @app.get("/thread")
    def thread() -> None:
        raise ValueError("x")

    return app


async def run(app: Any) -> list[int]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return [
            (await client.get(path)).status_code for path in ("/query", "/thread", "/query?a", "/x")
        ]


async def recorded(app: Any) -> list[tuple[str, int]]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = (await client.get("/_diagnostics/api/requests")).json()
        return [(one["route"], one["query_count"]) for one in answer["requests"]]


def look() -> dict[str, Any]:
    """Give every attribute of the libraries' modules and classes, and all else we touch."""
    seen: dict[str, Any] = {}
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] in LIBRARIES:
            _look_at(seen, name, module)
    for target in (Engine, Dialect, Pool, Session):
        for event in sorted(target.dispatch._event_names):
            levels = getattr(target.dispatch, event)._clslevel
            for cls, listeners in list(levels.items()):
                if listeners:  # an empty level appears when it is looked at
                    seen[f"event {cls.__name__}.{event}"] = tuple(listeners)
    loop = asyncio.get_running_loop()
    seen["loop"] = tuple(sorted(vars(loop).keys() - {"_ready", "_scheduled"}))
    seen["loop handler"] = loop.get_exception_handler()
    seen["loop factory"] = loop.get_task_factory()
    seen["gc"] = tuple(gc.callbacks)
    seen["hooks"] = (sys.excepthook, sys.unraisablehook, threading.excepthook, sys.getprofile())
    seen["logging"] = tuple(logging.root.handlers), logging.getLogRecordFactory()
    seen["threads"] = tuple(sorted(t.name for t in threading.enumerate() if "watchdog" in t.name))
    return seen


def _look_at(seen: dict[str, Any], name: str, module: types.ModuleType) -> None:
    for key, value in list(vars(module).items()):
        if isinstance(value, types.ModuleType):
            continue
        seen[f"{name}.{key}"] = value
        if isinstance(value, type) and value.__module__ == name:
            for inner, held in list(vars(value).items()):
                if inner == "_has_events":
                    continue  # SQLAlchemy sets it at the first listener and never takes it back
                seen[f"{name}.{key}.{inner}"] = held


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    keys = before.keys() | after.keys()
    missing = object()
    return sorted(k for k in keys if not _same(before.get(k, missing), after.get(k, missing)))


def _same(one: Any, other: Any) -> bool:
    if type(one) is tuple and type(other) is tuple:
        return len(one) == len(other) and all(map(_same, one, other))
    return one is other or (isinstance(one, str | int) and one == other)


async def main() -> dict[str, Any]:
    plain = await run(an_app())
    await run(an_app())
    await anyio.sleep(0)  # noqa: ASYNC115 - sets itself on its module when it is first asked for
    before = look()
    told: dict[str, Any] = {"unstable": changed(before, look())}

    from fastapi_diagnostics import DiagnosticsMiddleware
    from fastapi_diagnostics.collectors.hooks import HOOKS

    for turn in ("first", "second"):
        app = an_app()
        app.add_middleware(DiagnosticsMiddleware)
        told[f"{turn} answers"] = await run(app) == plain
        told[f"{turn} recorded"] = await recorded(app)
        told[f"{turn} installed"] = changed(before, look())
        HOOKS.undo()
        told[f"{turn} left"] = changed(before, look())
        told[f"{turn} undone"] = await run(app) == plain
    return told


print(json.dumps(asyncio.run(main())))
