"""The application. One line of it installs the diagnostics."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi_diagnostics import DiagnosticsMiddleware

from demo_app.authors.router import v1 as authors_v1
from demo_app.authors.router import v2 as authors_v2
from demo_app.books.router import v1 as books_v1
from demo_app.books.router import v2 as books_v2
from demo_app.campaigns.router import v1 as campaigns_v1
from demo_app.campaigns.router import v2 as campaigns_v2
from demo_app.circles.members import v1 as members_v1
from demo_app.circles.members_v2 import v2 as members_v2
from demo_app.circles.router import v1 as circles_v1
from demo_app.circles.router_v2 import v2 as circles_v2
from demo_app.database import dispose_engines
from demo_app.dispatch.router import v1 as dispatch_v1
from demo_app.dispatch.router import v2 as dispatch_v2
from demo_app.errors import AppException, handle_app_exception
from demo_app.gifts.router import v1 as gifts_v1
from demo_app.gifts.router import v2 as gifts_v2
from demo_app.gifts.sessions import till_engine
from demo_app.orders.router import v1 as orders_v1
from demo_app.orders.router import v2 as orders_v2
from demo_app.partners.app import partners, partners_v2
from demo_app.reports.router import v1 as reports_v1
from demo_app.reports.router import v2 as reports_v2
from demo_app.seed import seed
from demo_app.stockroom.opening import unlock
from demo_app.stockroom.opening_v2 import unlock_v2
from demo_app.stockroom.pool import close_pool
from demo_app.stockroom.router import v1 as stockroom_v1
from demo_app.stockroom.router import v2 as stockroom_v2
from demo_app.users.router import v1 as users_v1
from demo_app.users.router import v2 as users_v2
from demo_app.warehouse.router import v1 as warehouse_v1
from demo_app.warehouse.router import v2 as warehouse_v2
from demo_app.window.errors import (
    WindowFull,
    WindowFullV2,
    handle_window_full,
    handle_window_full_v2,
)
from demo_app.window.router import v1 as window_v1
from demo_app.window.router import v2 as window_v2


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Stock the shop afresh at every start."""
    await unlock()
    await unlock_v2()
    await seed()
    gc.freeze()  # what is loaded by now stays; without it a collection stops the shop for 70 ms
    yield
    gc.unfreeze()
    await run_in_threadpool(close_pool)
    await till_engine.dispose()
    await dispose_engines()


app = FastAPI(title="The Diagnosed Bookshop", lifespan=lifespan)
app.add_middleware(DiagnosticsMiddleware, select=["SQL110"])  # it is off by default
app.add_exception_handler(AppException, handle_app_exception)
app.add_exception_handler(WindowFull, handle_window_full)
app.add_exception_handler(WindowFullV2, handle_window_full_v2)
app.include_router(warehouse_v1)
app.include_router(warehouse_v2)
app.include_router(stockroom_v1)
app.include_router(stockroom_v2)

for router in (authors_v1, books_v1, dispatch_v1, orders_v1, users_v1, reports_v1, window_v1):
    app.include_router(router)
for router in (authors_v2, books_v2, dispatch_v2, orders_v2, users_v2, reports_v2, window_v2):
    app.include_router(router)
app.include_router(campaigns_v1)
app.include_router(campaigns_v2)
app.include_router(gifts_v1)
app.include_router(gifts_v2)
for router in (circles_v1, circles_v2, members_v1, members_v2):
    app.include_router(router)
app.mount("/partners", partners)
app.mount("/v2/partners", partners_v2)
