"""Which dependencies ran, for how long, and where."""

import functools

import pytest
from fastapi import Depends, FastAPI, HTTPException, Security
from fastapi.security import SecurityScopes

from fastapi_diagnostics.callsite import USER_CODE
from tests.collectors.fastapi_recording import HERE, Recording, installed


@pytest.fixture(autouse=True)
def hooks():
    USER_CODE.add_root(HERE)
    hooks = installed()
    yield hooks
    hooks.undo()
    USER_CODE.reset()


async def settings():
    return {"currency": "EUR"}


def currency(found=Depends(settings)):  # noqa: B008 - as FastAPI has it
    return found["currency"]


async def session():
    yield "session"


class Paging:
    def __init__(self, page: int = 1) -> None:
        self.page = page


class Guard:
    async def __call__(self):
        return True


def sized(size: int = 3):
    return size


async def user(scopes: SecurityScopes):
    return scopes.scopes


async def forbidden():
    raise HTTPException(403)


def runs(app: FastAPI, path: str = "/"):
    recording = Recording(app)
    recording.client().get(path)
    return recording.last.dependencies


def app_with(*dependencies) -> FastAPI:
    app = FastAPI()

    @app.get("/", dependencies=list(dependencies))
    async def endpoint():
        return 1

    return app


def test_dependencies_are_listed_in_the_order_they_ran():
    app = app_with(Depends(currency), Depends(session), Depends(Paging), Depends(Guard()))

    found = runs(app)

    assert [run.name for run in found] == ["settings", "currency", "session", "Paging", "Guard"]
    assert [run.threadpool for run in found] == [False, True, False, True, False]
    assert not any(run.cached or run.raised for run in found)
    assert all(run.duration_ms >= 0 for run in found)
    assert [run.started_ms for run in found] == sorted(run.started_ms for run in found)


def test_second_use_is_cached():
    found = runs(app_with(Depends(settings), Depends(currency)))

    assert [(run.name, run.cached) for run in found] == [
        ("settings", False),
        ("settings", True),
        ("currency", False),
    ]


def test_without_cache_each_use_runs():
    app = FastAPI()

    @app.get("/")
    async def endpoint(
        one=Depends(settings, use_cache=False),  # noqa: B008 - as FastAPI has it
        two=Depends(settings, use_cache=False),  # noqa: B008
    ):
        return one is two

    found = runs(app)

    assert [(run.name, run.cached) for run in found] == [("settings", False), ("settings", False)]


def test_scopes_are_solved_apart():
    found = runs(
        app_with(
            Security(user, scopes=["a"]), Security(user, scopes=["b"]), Security(user, scopes=["a"])
        )
    )

    assert [(run.name, run.cached) for run in found] == [
        ("user", False),
        ("user", False),
        ("user", True),
    ]


def test_partial_bears_the_name_of_its_function():
    found = runs(app_with(Depends(functools.partial(sized, size=4))))

    assert [(run.name, run.threadpool) for run in found] == [("sized", True)]


def test_override_is_named():
    app = app_with(Depends(settings))
    app.dependency_overrides[settings] = sized

    found = runs(app)

    assert [run.name for run in found] == ["sized (overrides settings)"]


def test_the_one_that_raised_is_marked_and_the_rest_did_not_run():
    found = runs(app_with(Depends(settings), Depends(forbidden), Depends(session)))

    assert [(run.name, run.raised) for run in found] == [("settings", False), ("forbidden", True)]


def test_refused_parameters_of_a_dependency_leave_the_others():
    app = app_with(Depends(Paging), Depends(settings))

    found = runs(app, "/?page=x")

    assert [run.name for run in found] == ["settings"]


def test_endpoint_without_dependencies_has_none():
    assert runs(app_with()) == ()
