"""Immutable facts of an application as it stands before any request: routes, models, mappings.

Like `record.RequestRecord` it holds plain values only and no judgement.
"""

from typing import Literal

import msgspec

from fastapi_diagnostics.record import Location

NAME = "application"
"""Name of the record of kind ``process`` with which an application's findings are kept."""

Guarding = Literal["", "guard", "optional"]


class DependencyFact(msgspec.Struct, frozen=True, kw_only=True):
    """One dependency of a route, as declared.

    Attributes:
        depth: 0 for those of the endpoint, its router or the application; one more for each that
            asked for it.
        location: Where it is defined; `None` for library code.
        threadpool: Whether it runs in a worker thread.
        guarding: ``guard`` where it lets only some requests through, as far as its type and its
            name tell; ``optional`` where it finds out who asks but lets everybody through.
        scopes: Those that ``Security(...)`` asks for here.
    """

    name: str
    depth: int = 0
    location: Location | None = None
    threadpool: bool = False
    guarding: Guarding = ""
    scopes: tuple[str, ...] = ()


class Overlap(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier route that takes every URL of a route.

    Attributes:
        route: `RouteFact.index` of the earlier one.
        methods: Those that both have; empty for websockets, and where both take every method.
        same_path: Whether their paths differ in the names of parameters at most.
    """

    route: int
    methods: tuple[str, ...] = ()
    same_path: bool = False


class RouteFact(msgspec.Struct, frozen=True, kw_only=True):
    """One route, mount or websocket.

    Attributes:
        index: Position in the order in which routes are tried, from zero.
        methods: Without the HEAD and OPTIONS that come with a GET; empty where it takes every one.
        path: As declared, with the paths of the mounts around it.
        name: Of the endpoint's function; of a mount that of what is mounted.
        location: Where the endpoint is defined; `None` for library code.
        operation_id: In the schema; empty for what is not in it.
        explicit_id: Whether somebody wrote that id at the route.
        response_model: Readable name; `None` without one.
        answers_itself: Whether it returns a response object, a stream or nothing, so that there
            is nothing for a response model to do.
        looks_itself: Whether the endpoint, or a decorator around it, looks at headers, cookies,
            the session or a user, so that it may check who asks without a dependency.
        overlaps: Earlier routes that take all its URLs.
    """

    index: int
    kind: Literal["http", "websocket", "mount"]
    path: str
    methods: tuple[str, ...] = ()
    name: str = ""
    location: Location | None = None
    operation_id: str = ""
    explicit_id: bool = False
    response_model: str | None = None
    answers_itself: bool = False
    looks_itself: bool = False
    dependencies: tuple[DependencyFact, ...] = ()
    overlaps: tuple[Overlap, ...] = ()

    @property
    def label(self) -> str:
        """Give it as `RequestRecord.route` names it: ``GET /users/me``."""
        return self.label_for(self.methods)

    def label_for(self, methods: tuple[str, ...]) -> str:
        """Give it with some of its methods only."""
        if self.kind == "mount":
            return f"mount {self.path or '/'}"
        return f"{'WS' if self.kind == 'websocket' else ', '.join(methods) or 'ANY'} {self.path}"

    @property
    def guards(self) -> tuple[DependencyFact, ...]:
        """List the dependencies that keep somebody out."""
        return tuple(one for one in self.dependencies if one.guarding == "guard")


class HandlerFact(msgspec.Struct, frozen=True, kw_only=True):
    """An exception handler of an application.

    Attributes:
        application: Path at which the application is mounted; empty for the outermost.
        handles: Qualified name of the exception class, or the status code.
        name: Of the handler.
        location: Where it is defined; `None` for library code.
        builtin: Whether it is the framework's own.
    """

    application: str
    handles: str
    name: str
    location: Location | None = None
    builtin: bool = False


class OldPydanticUse(msgspec.Struct, frozen=True, kw_only=True):
    """A place that uses the API of pydantic 1 on a model of pydantic 2.

    Attributes:
        model: Name of the class.
        api: What is used: ``@validator``, ``@root_validator``, ``class Config``, ``.dict()``, ...
        exact: Whether the class is certain; otherwise an annotation says so.
        lines: Of a declaration, as the file has them: ``class Config`` to its end, a validator from
            its decorator to the end of the header. Empty for calls, and where they are too many.
    """

    model: str
    api: str
    location: Location
    exact: bool = True
    lines: tuple[str, ...] = ()


class ImplicitOptional(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter or a field whose default is `None` although its type does not allow it.

    Attributes:
        owner: Name of the function or class.
        name: Of the parameter or field.
        annotation: As it stands in the source, or would.
        default: ``None``, or what stands for it, such as ``Query(None)``; likewise.
        field: Whether it is a field of a model.
    """

    owner: str
    name: str
    annotation: str
    location: Location
    default: str = "None"
    field: bool = False


class EagerMapping(msgspec.Struct, frozen=True, kw_only=True):
    """A relationship whose mapping says that every query is to load it.

    Attributes:
        attribute: ``Author.books``.
        lazy: ``selectin``, ``joined``, ``subquery`` or ``immediate``.
    """

    attribute: str
    lazy: str
    location: Location


class ThreadClass(msgspec.Struct, frozen=True, kw_only=True):
    """A class of the application's that is used as a dependency, so that a thread makes it.

    Attributes:
        routes: How many routes depend on it.
        only_stores: Whether making one calls nothing that could wait, so that the thread is for
            nothing; false also where that cannot be told.
    """

    name: str
    location: Location
    routes: int
    only_stores: bool = False


class AppRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of an application without a request.

    Attributes:
        title: Of the application; may be empty.
        guarding_middleware: Names of middleware that may check who asks, as far as names tell.
        truncated: Names of fields of this record that were cut to their bounds.
        duration_ms: CPU time that it took to find out.
    """

    title: str = ""
    routes: tuple[RouteFact, ...] = ()
    handlers: tuple[HandlerFact, ...] = ()
    old_pydantic: tuple[OldPydanticUse, ...] = ()
    implicit_optionals: tuple[ImplicitOptional, ...] = ()
    eager_mappings: tuple[EagerMapping, ...] = ()
    thread_classes: tuple[ThreadClass, ...] = ()
    guarding_middleware: tuple[str, ...] = ()
    truncated: tuple[str, ...] = ()
    duration_ms: float = 0.0
