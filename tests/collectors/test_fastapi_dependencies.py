"""Which dependencies ran, for how long, and where."""

import functools
from collections.abc import Iterator

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Security, WebSocket
from fastapi.security import SecurityScopes

from fastapi_diagnostics.collectors import fastapi as fastapi_collector
from fastapi_diagnostics.collectors.fastapi import dependency_tree
from fastapi_diagnostics.collectors.hooks import Hooks
from tests.collectors.fastapi_recording import HERE, Recording
from tests.installed import installed


@pytest.fixture(autouse=True)
def hooks() -> Iterator[Hooks]:
    with installed(fastapi_collector, root=HERE) as hooks:
        yield hooks


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


async def broken(found=Depends(settings)):  # noqa: ARG001, B008 - as FastAPI has it
    raise HTTPException(403)


async def member(found=Depends(user), price=Depends(currency)):  # noqa: B008
    return found, price


class Unhashable:
    """As a dataclass with an ``__eq__`` is: FastAPI takes it for an override."""

    __hash__ = None

    def __call__(self, found=Depends(settings)):  # noqa: B008
        return found


def tree(found):
    """Give each run with the name of the one that asked for it."""
    return [(run.name, None if run.parent is None else found[run.parent].name) for run in found]


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


def test_each_run_names_the_one_that_asked_for_it():
    found = runs(app_with(Depends(member), Depends(session)))

    assert tree(found) == [
        ("user", "member"),
        ("settings", "currency"),
        ("currency", "member"),
        ("member", None),
        ("session", None),
    ]


def test_what_came_from_the_cache_stands_below_each_that_asked_for_it():
    found = runs(app_with(Depends(currency), Depends(settings), Depends(member)))

    assert [
        (name, parent, run.cached) for (name, parent), run in zip(tree(found), found, strict=True)
    ] == [
        ("settings", "currency", False),
        ("currency", None, False),
        ("settings", None, True),
        ("user", "member", False),
        ("settings", "currency", True),
        ("currency", "member", True),
        ("member", None, False),
    ]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (session, [("session (overrides currency)", "member")]),
        (sized, [("sized (overrides currency)", "member")]),
        (
            Unhashable(),
            [
                ("settings", "Unhashable (overrides currency)"),
                ("Unhashable (overrides currency)", "member"),
            ],
        ),
    ],
)
def test_an_override_brings_its_own_branch(override, expected):
    app = app_with(Depends(member))
    app.dependency_overrides[currency] = override

    found = runs(app)

    assert tree(found) == [("user", "member"), *expected, ("member", None)]


def test_what_the_one_that_raised_asked_for_stands_below_it():
    found = runs(app_with(Depends(session), Depends(broken), Depends(Paging)))

    assert tree(found) == [("session", None), ("settings", "broken"), ("broken", None)]
    assert [run.raised for run in found] == [False, False, True]


def test_what_raised_and_asks_for_no_cache_is_shown_too():
    found = runs(app_with(Depends(settings), Depends(broken, use_cache=False), Depends(session)))

    assert [(*pair, run.raised) for pair, run in zip(tree(found), found, strict=True)] == [
        ("settings", None, False),
        ("settings", "broken", False),
        ("broken", None, True),
    ]


def test_what_a_refused_one_asked_for_stands_below_the_next_one_above():
    def page(number: int, found=Depends(settings)):  # noqa: B008 - as FastAPI has it
        return number, found

    async def outer(found=Depends(page), price=Depends(currency)):  # noqa: B008
        return found, price

    found = runs(app_with(Depends(outer), Depends(session)), "/?number=x")

    assert tree(found) == [
        ("settings", None),
        ("settings", "currency"),
        ("currency", None),
        ("session", None),
    ]


def test_routes_of_included_routers_have_their_tree():
    router = APIRouter(dependencies=[Depends(member)])

    @router.get("/inner", dependencies=[Depends(currency)])
    async def endpoint():
        return 1

    app = FastAPI(dependencies=[Depends(session)])
    app.include_router(router, prefix="/outer")

    found = runs(app, "/outer/inner")

    assert [pair for pair in tree(found) if pair[1] is None] == [
        ("session", None),
        ("member", None),
        ("currency", None),
    ]


def test_a_websocket_has_its_tree_too():
    app = FastAPI()

    @app.websocket("/live")
    async def live(socket: WebSocket, found=Depends(member)):  # noqa: B008 - as FastAPI has it
        await socket.accept()
        await socket.close()
        return found

    recording = Recording(app)
    with recording.client().websocket_connect("/live"):
        pass

    assert tree(recording.last.dependencies) == [
        ("user", "member"),
        ("settings", "currency"),
        ("currency", "member"),
        ("member", None),
    ]


def test_a_very_large_tree_is_told_without_parents(monkeypatch):
    monkeypatch.setattr(dependency_tree, "MAX_NODES", 2)

    found = runs(app_with(Depends(member)))

    assert {run.parent for run in found} == {None}
