"""What looking at an application of 300 routes costs, before its first request.

    python -m benchmarks.audits            print the figures
    python -m benchmarks.audits --check    also fail where the goal is missed

The routes have guards, dependencies, 120 models, bodies and response models. FastAPI expands
included routers when somebody first walks them; that is its own cost, which the first requests
would pay otherwise, and is shown apart.
"""

import argparse
import importlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi_diagnostics.callsite import USER_CODE
from fastapi_diagnostics.collectors.application import collect
from fastapi_diagnostics.collectors.route_tree import expanded
from fastapi_diagnostics.rules.catalogue import all_rules

GOAL_MS = 50.0
ROUTERS = 60
HEAD = """
from typing import Annotated, Any
from fastapi import APIRouter, Depends, FastAPI
from fastapi.security import HTTPBearer
from pydantic import BaseModel

bearer = HTTPBearer()
app = FastAPI()

async def current_user(token: Annotated[Any, Depends(bearer)]) -> str:
    return "ada"

def db() -> int:
    return 1

def paging(page: int = 1, size: int = 10) -> int:
    return page * size

Db = Annotated[int, Depends(db)]
"""
ROUTER = """
class In{n}(BaseModel):
    name: str
    tags: list[str] = []

class Out{n}(In{n}):
    id: int

router{n} = APIRouter(prefix="/things{n}", dependencies=[Depends(current_user)])

@router{n}.get("")
async def list{n}(db: Db, offset: Annotated[int, Depends(paging)]) -> list[Out{n}]:
    return []

@router{n}.post("")
async def create{n}(item: In{n}, db: Db) -> Out{n}:
    return Out{n}(id=1, **item.model_dump())

@router{n}.get("/{{id}}")
async def read{n}(id: int, db: Db) -> Out{n}:
    return Out{n}(id=id, name="")

@router{n}.put("/{{id}}")
async def update{n}(id: int, item: In{n}, db: Db) -> Out{n}:
    return Out{n}(id=id, **item.model_dump())

@router{n}.delete("/{{id}}")
async def delete{n}(id: int, db: Db) -> None:
    return None

app.include_router(router{n})
"""


def main() -> int:
    """Measure, print, and judge if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audits")
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        app = make_app(Path(folder))
        own_ms, _ = timed(lambda: list(expanded(app.routes)))
        ours_ms, record = timed(lambda: collect(app))
        again_ms, _ = timed(lambda: collect(app))
        rules_ms, found = timed(lambda: judged(record))
    print(f"\n### Looking at {len(record.routes)} routes before the first request, CPU time, ms\n")
    print("| FastAPI's own preparation | the look | again | the rules | found |")
    print("| --- | --- | --- | --- | --- |")
    print(f"| {own_ms:.0f} | {ours_ms:.1f} | {again_ms:.1f} | {rules_ms:.1f} | {len(found)} |")
    print(f"\nThe goal is {GOAL_MS:.0f} ms for the look and the rules.")
    return 1 if check and ours_ms + rules_ms > GOAL_MS else 0


def make_app(folder: Path) -> Any:
    """Write the application into a module, so that its lines can be read, and import it."""
    routers = (ROUTER.format(n=number) for number in range(ROUTERS))
    (folder / "large_shop.py").write_text("\n".join([HEAD, *routers]), encoding="utf-8")
    USER_CODE.add_root(folder)
    sys.path.insert(0, str(folder))
    return importlib.import_module("large_shop").app


def judged(record: Any) -> list[Any]:
    """Run the rules of the audits."""
    rules = [loaded for loaded in all_rules() if "application" in loaded.rule.subjects]
    return [finding for loaded in rules for finding in loaded.check(record)]


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Give the CPU time of an action in ms, and its result."""
    began = time.thread_time()
    result = action()
    return (time.thread_time() - began) * 1000, result


if __name__ == "__main__":
    sys.exit(main())
