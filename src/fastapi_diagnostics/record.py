"""Immutable facts of one request: what was seen, without any judgement.

A `RequestRecord` holds plain values only, so that it can be a test fixture, a row in the store or
the answer of the JSON API as it stands: field names here *are* the names of the API.
All times that end in ``_ms`` are milliseconds; ``started_ms`` counts from the start of the record.
"""

from typing import Any, Literal

import msgspec

Kind = Literal["http", "websocket", "capture", "process"]
State = Literal["open", "closed"]
PhaseName = Literal[
    "middleware",
    "dependencies",
    "endpoint",
    "serialisation",
    "response",
    "background",
    "teardown",
    "startup",
    "outside",
]


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the user's code.

    Attributes:
        file: Relative to the project root where it lies below it, else absolute.
        line: Counted from one.
        function: The qualified name without the marks of comprehensions and lambdas.
        code: The text of the line without indentation; empty until the worker has read the file,
            or when the file has changed since it was imported.
    """

    file: str
    line: int
    function: str
    code: str = ""


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One user frame of a call chain.

    Attributes:
        location: The line that was running.
        in_loop: Whether that line was inside a ``for``, ``while`` or comprehension of its function.
        loop: Kind of the innermost loop around it: ``for`` (also comprehensions) where the items
            are known beforehand, ``while`` and ``async for`` where they may not be; empty
            without a loop, and where nobody asked.
        loop_column: Where that loop stands in this very line, from zero; `None` where it begins
            on another line. It tells two loops on one line apart.
    """

    location: Location
    in_loop: bool = False
    loop: str = ""
    loop_column: int | None = None


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the request; phases follow one another and never overlap."""

    name: PhaseName
    started_ms: float
    duration_ms: float


class TimeSplit(msgspec.Struct, frozen=True, kw_only=True):
    """Where the wall time of the request went; `None` where the hook that measures it is off."""

    on_loop_ms: float | None = None
    queued_ms: float | None = None
    threadpool_ms: float | None = None
    awaiting_ms: float | None = None


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One statement as it reached the database driver.

    Attributes:
        index: Position among all statements of the record, from zero.
        sql: Normalised text: literals and value lists replaced by ``?``; at most 16 KiB.
        kind: What the ORM was doing: ``core``, ``query``, ``get``, ``lazy``, ``eager``,
            ``column`` (deferred), ``expired``, ``refresh``.
        verb: First word, upper case: SELECT, INSERT, ...
        rows: Rows fetched or affected; `None` when nobody counted them.
        values: The bound values, redacted and cut; empty with ``values="none"``.
        values_digest: Keyed digest of the bound values: equal values have equal digests.
        executemany: Whether many parameter sets went with it.
        flush: Number of the unit-of-work flush it belongs to; `None` outside a flush.
        location: The innermost user frame; `None` when there is none (response serialisation).
        stack: User frames, innermost first, at most eight; only for statements that repeat and
            for lazy loads.
        attribute: ``Author.books`` for relationship and column loads, the entity for the others.
        parent_key: Digest of the identity whose attribute was loaded.
        parent_query: `index` of the query that loaded that parent.
        collection: Whether a loaded relationship holds a list.
        batch: Whether the statement serves several keys at once (IN, ANY, VALUES).
        error: Type of the driver's error; `None` when it succeeded.
        engine: Number of the engine within the record, from zero.
        dialect: ``sqlite``, ``postgresql``, ...
        task: Number of the asyncio task or thread within the record, from zero.
        transaction: Commits and rollbacks, of any session or connection, in the record before it.
        path: Of relationship and column loads: the relationships from the class that the first
            query selected down to the one that was loaded, such as ``("Author.books",
            "Book.publisher")``; for a column, those that lead to its object. Empty where it is
            not known, as behind an alias.
        root: Name of that class; empty where `path` is not known.
        expired_at: Of kind ``expired``: the commit or rollback that expired the object; `None`
            where none was seen. With `generated`: the write.
        connection: Number of SQLAlchemy's connection object within the record, from zero; one
            that is closed may pass its number on. `None` where nobody noted it.
        on_loop: Whether a synchronous driver ran it in the thread of a running event loop.
        locking: Whether it was written with ``with_for_update()``, which SQLite leaves out of
            the text.
        option: Of relationship and column loads: what the query of the parents already asks for
            this attribute, such as ``immediateload`` or ``defer``; empty if nothing. SQLAlchemy
            refuses a second option for it. Of kind ``get``: ``options`` if it was given some.
        is_async: Whether the driver is asynchronous.
        streamed: Whether its rows are fetched while they are read (``stream``, ``yield_per``).
        fresh: Whether it overwrites what the session holds (``populate_existing``).
        generated: Of kind ``expired``: columns whose values the database made when the object was
            written (``onupdate=func.now()``), where only those were read back.
        own_ms: Of a statement that took at least 50 ms: how much of that it was not waiting for
            the event loop, which others held, nor for threads of the process, at least; `None`
            for shorter ones, and where nobody watched.
        window: How many messages a websocket had received before it; zero elsewhere. What is
            asked once for each of them is no loop over rows.
    """

    index: int
    sql: str
    kind: str
    verb: str
    started_ms: float
    duration_ms: float
    phase: PhaseName
    rows: int | None = None
    values: tuple[str, ...] = ()
    values_digest: str = ""
    executemany: bool = False
    flush: int | None = None
    location: Location | None = None
    stack: tuple[Frame, ...] = ()
    attribute: str | None = None
    parent_key: str | None = None
    parent_query: int | None = None
    collection: bool = False
    batch: bool = False
    error: str | None = None
    engine: int = 0
    dialect: str = ""
    task: int = 0
    transaction: int = 0
    path: tuple[str, ...] = ()
    root: str = ""
    expired_at: Location | None = None
    connection: int | None = None
    on_loop: bool = False
    locking: bool = False
    option: str = ""
    own_ms: float | None = None
    window: int = 0
    is_async: bool = False
    streamed: bool = False
    fresh: bool = False
    generated: tuple[str, ...] = ()


class EagerLoad(msgspec.Struct, frozen=True, kw_only=True):
    """A relationship that was loaded along with its parents, and whether anybody read it.

    Attributes:
        attribute: ``Author.books``.
        path: Down to it, as in `Query.path`.
        query: `Query.index` of the statement that brought it: one of its own, or with ``joined``
            that of the parents.
        source: `Query.index` of the query it was asked for in; `None` if unknown.
        how: ``joined``, or ``selectin`` for every way with a statement of its own.
        mapped: Whether the mapping asks for it (``lazy="selectin"``), not an option of the query.
        collection: Whether it holds a list.
        read: Whether it, or something that the loaded objects may have served, was read before
            the record was sealed, by anybody in the process; `None` where code on the way looks
            into ``__dict__``, so that nobody can tell, and where its parents turned out not to
            be there.
    """

    attribute: str
    path: tuple[str, ...]
    query: int
    source: int | None
    how: Literal["joined", "selectin"]
    mapped: bool
    collection: bool
    read: bool | None


class JoinedCollection(msgspec.Struct, frozen=True, kw_only=True):
    """A collection that was joined to its parents, and how many different objects came of it."""

    attribute: str
    distinct: int


class JoinedRows(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a statement that joined collections which do not contain one another.

    Attributes:
        query: `Query.index` of the statement.
        rows: Rows that were looked at, at most 20,000.
        parents: Different objects of the class that was selected.
        collections: In the order of the statement.
    """

    query: int
    rows: int
    parents: int
    collections: tuple[JoinedCollection, ...]


class LazyLoadFailure(msgspec.Struct, frozen=True, kw_only=True):
    """An attribute that could not be loaded where it was read (MissingGreenlet and relatives).

    Attributes:
        attribute: ``Author.books``.
        collection: Whether the relationship holds a list; `None` for a column.
        cause: Why it was not there.
        cause_location: The commit or refresh that expired it; `None` for ``never-loaded``.
        parent_query: `Query.index` of the query that loaded the object; `None` if unknown.
        read_at: The user's line that read it; `None` during response serialisation.
        exception: Index into `RequestRecord.exceptions`; `None` when it never surfaced.
        kind: What refused to load it: ``async`` (MissingGreenlet), ``detached`` (its session was
            gone: DetachedInstanceError) or ``raise`` (``lazy="raise"`` or ``raiseload``).
        closed_at: Of a ``detached`` one: where its session was closed; `None` if unknown.
        is_async: Whether the record's sessions are asynchronous ones.
        path: The relationships from the class that was selected down to the object; `root` is the
            name of that class. Both are empty where they are not known.
        option: As in `Query.option`.
        generated: Whether the database made the value when the object was written, and nobody
            read it back: `cause_location` is the write then.
    """

    attribute: str
    collection: bool | None
    cause: Literal[
        "never-loaded", "expired-by-commit", "refreshed-without-relationship", "raise-strategy"
    ]
    cause_location: Location | None
    parent_query: int | None
    read_at: Location | None
    phase: PhaseName
    exception: int | None = None
    kind: Literal["async", "detached", "raise"] = "async"
    closed_at: Location | None = None
    is_async: bool = True
    path: tuple[str, ...] = ()
    root: str = ""
    option: str = ""
    generated: bool = False


class ExceptionFact(msgspec.Struct, frozen=True, kw_only=True):
    """An exception that was seen passing through; recorded once however often it passed.

    Attributes:
        type: Qualified name without ``builtins.``.
        message: Redacted, at most 500 characters.
        location: Innermost user frame; `None` if it never touched user code.
        stack: User frames, innermost first, at most sixteen.
        causes: ``type: message`` of the chain, nearest first.
        members: ``type: message`` of each member of an exception group.
        member_locations: The innermost user frame of each of those members.
        status: The status code that an HTTPException asked for; `None` for all others.
        handler: Name of the application's handler that turned it into an answer; `None` if none.
        handler_location: Where that handler is defined.
        raised_by_handler: Whether a handler raised it while handling another exception.
        raised_in: Where that handler is defined; `None` without one, or if it is no user code.
        answered: Whether the response had begun when it was seen first: then no handler could
            change what the client gets.
    """

    type: str
    message: str
    phase: PhaseName
    location: Location | None = None
    stack: tuple[Frame, ...] = ()
    causes: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    member_locations: tuple[Location | None, ...] = ()
    status: int | None = None
    handler: str | None = None
    handler_location: Location | None = None
    raised_by_handler: bool = False
    raised_in: Location | None = None
    answered: bool = False


class TaskRun(msgspec.Struct, frozen=True, kw_only=True):
    """A background task that was registered with the response.

    Attributes:
        name: Qualified name of the function.
        arguments: Redacted previews such as ``email='a…'``.
        state: ``pending`` only while the record is open.
        registered_at: The user's line that added it; `None` if it was added by a library.
        defined_at: Where the function is defined, when that is user code.
        exception: Index into `RequestRecord.exceptions`.
        after_response: Whether it started after the last byte of the response was sent.
        reason: Why it never ran; `None` for all other states.
        cause: Index into `RequestRecord.exceptions` of what kept it from running; `None` where no
            exception did.
        uncallable: Type of what was registered in place of a function, such as ``coroutine``;
            empty where it can be called.
    """

    name: str
    state: Literal["pending", "running", "done", "failed", "never-ran"]
    arguments: tuple[str, ...] = ()
    registered_at: Location | None = None
    defined_at: Location | None = None
    started_ms: float | None = None
    duration_ms: float | None = None
    exception: int | None = None
    after_response: bool = False
    reason: (
        Literal["earlier-task-failed", "exception", "replaced", "stream-broken", "client-gone"]
        | None
    ) = None
    cause: int | None = None
    uncallable: str = ""


class BrokenStream(msgspec.Struct, frozen=True, kw_only=True):
    """A response whose body ended with an exception after its status had been sent.

    Attributes:
        response: Class of the response, such as ``StreamingResponse``.
        exception: Index into `RequestRecord.exceptions`.
    """

    response: str
    exception: int


class LooseTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task or a coroutine that nobody waited for, and that came to grief.

    Attributes:
        id: Unique among all workers; the fact may be told of after its request was sealed.
        kind: ``failed`` with an exception that nobody retrieved, ``destroyed`` while pending, or
            ``never-awaited`` (a coroutine that was made and dropped).
        name: Qualified name of the coroutine function.
        at: When asyncio or the interpreter told of it; RFC 3339, UTC, microseconds.
        created_at: The user's line that started the task, or that made the coroutine; `None` if
            a library did, or if that line cannot be told.
        defined_at: Where the coroutine function is defined, when that is user code.
        exact: Whether `created_at` was seen; otherwise it is the only line that fits.
        exception: What a failed task raised.
        after_response: Whether it was told of when the response had begun or was over.
    """

    id: str
    kind: Literal["failed", "destroyed", "never-awaited"]
    name: str
    at: str
    created_at: Location | None = None
    defined_at: Location | None = None
    exact: bool = True
    exception: ExceptionFact | None = None
    after_response: bool = False


class RejectionError(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a 422.

    Attributes:
        loc: Path such as ``("body", "user_name")``; list positions are written as numbers.
        type: Pydantic's error type, such as ``missing``.
        message: Pydantic's text, scanned for secrets.
        input: Redacted preview of what came.
        expected: Enumerated or constrained expectation taken from pydantic's ``ctx``; may be empty.
        came: What came, in words of JSON (``string``, ``object``, ...); empty for a missing key.
        keys: Names of the keys that came where a missing or an extra one was looked for, at most
            50; found while the input was still there.
        nearest: The one of the enumerated values that is closest to the input; empty if none is.
    """

    loc: tuple[str, ...]
    type: str
    message: str
    input: str = ""
    expected: tuple[str, ...] = ()
    came: str = ""
    keys: tuple[str, ...] = ()
    nearest: str = ""


class ExpectedField(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter or body field that the endpoint declares.

    Attributes:
        path: Where it is expected, such as ``("body", "user_name")``; without list positions.
        name: The Python name; differs from the last part of `path` where an alias is set.
        type: Readable annotation, such as ``int`` or ``list[str]``.
        required: Whether leaving it out is an error.
        constraints: Such as ``>= 1`` and ``at most 20 characters``; empty without any.
    """

    path: tuple[str, ...]
    name: str
    type: str
    required: bool
    constraints: tuple[str, ...] = ()


class Rejection(msgspec.Struct, frozen=True, kw_only=True):
    """A request that validation refused, with what is needed to explain it.

    Attributes:
        content_type: Of the request, without parameters; empty if there was none.
        expects: What kind of body the endpoint reads.
        body_kind: What the body turned out to be; ``unread`` if FastAPI never read it,
            ``json-text`` for text that is JSON itself: encoded twice, or without the content type.
        body_keys: Names of the keys that came, as dotted paths without list positions, at most
            100.
        body_excerpt: Text around the position of a JSON error, its values masked and the
            position marked with ``▸``; empty otherwise.
        query_keys: Names in the query string.
        header_names: Names of the request's headers.
        fields: What the endpoint declares, at most 200.
        body_parameters: Names of the endpoint's body parameters.
        embedded: Whether the body must be an object keyed by those names.
        shadowed_routes: Later routes whose pattern also matches this URL and method, with the
            endpoint's location.
        endpoint: Where the endpoint is defined.
        takes_request: Whether the endpoint or a dependency takes the Request itself, and so may
            read a body that it does not declare.
        example: JSON of a body with every required value, built from what is declared; empty
            where the endpoint takes none, or where none can be made up.
    """

    errors: tuple[RejectionError, ...]
    content_type: str = ""
    expects: Literal["json", "form", "none"] = "none"
    body_kind: Literal["json", "json-text", "text", "form", "empty", "unread"] = "unread"
    body_keys: tuple[str, ...] = ()
    body_excerpt: str = ""
    query_keys: tuple[str, ...] = ()
    header_names: tuple[str, ...] = ()
    fields: tuple[ExpectedField, ...] = ()
    body_parameters: tuple[str, ...] = ()
    embedded: bool = False
    shadowed_routes: tuple[tuple[str, Location | None], ...] = ()
    endpoint: Location | None = None
    takes_request: bool = False
    example: str = ""


class InvalidResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint returned and its own response model refused.

    Attributes:
        errors: With locations below what was returned; `RejectionError.came` names the type.
        model: Readable name of the response model; empty if it is not known.
        endpoint: The function that returned it.
        exception: Index into `RequestRecord.exceptions`.
    """

    errors: tuple[RejectionError, ...]
    model: str
    endpoint: Location | None
    exception: int


class SlashRedirect(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that only sent the client to the same path with or without its last slash.

    Attributes:
        to: The path it was sent to, redacted.
        route: What serves that path, such as ``POST /orders/``.
        endpoint: Where its endpoint is defined.
        body: Whether the request carried a body.
        authorization: Whether it carried the header ``Authorization``.
        leaves_https: Whether a proxy took the request over https while the redirect says http.
    """

    to: str
    route: str
    endpoint: Location | None = None
    body: bool = False
    authorization: bool = False
    leaves_https: bool = False


class StrippedField(msgspec.Struct, frozen=True, kw_only=True):
    """A field that the endpoint returned and the response model did not send.

    Attributes:
        path: Such as ``items[].author.email``.
        source: What held it: the endpoint's own ``dict``, an ``orm`` object, or another ``object``.
        owner: Name of the class that held it (``dict`` for a dict).
        model: Name of the response-model class that does not declare it.
        count: In how many of the looked-at places of this response it was stripped.
        secret: Whether its name looks like a secret: then removing it is protection at work.
        relationship: Whether it is a loaded ORM relationship.
        near: A declared field with a close name that went out empty; `None` without one.
        type_name: Type of the value, such as ``int`` or ``str | None``; empty where only `None`
            was seen.
        model_module: Module of that response-model class.
        model_bases: What its class statement derives from, such as ``BaseModel``.
        written_in: The user's function that wrote the key of a ``dict``: the endpoint or one it
            calls; `None` if the key is written nowhere near, as in a dict from elsewhere.
        attribute: Of a relationship, as queries name it: ``Author.books``; else empty.
        read: Whether the user's code reads a relationship itself, and so had a use for it.
        subclass: Whether what held it is of a class derived from the response model.
    """

    path: str
    source: Literal["dict", "orm", "object"]
    owner: str
    model: str
    count: int = 1
    secret: bool = False
    relationship: bool = False
    near: str | None = None
    type_name: str = ""
    model_module: str = ""
    model_bases: str = ""
    written_in: Location | None = None
    attribute: str = ""
    read: bool = False
    subclass: bool = False


class SentSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A text with a secret-looking name that went out; never the text itself.

    Attributes:
        path: Such as ``items[].password_hash``.
        hashed: Whether the text looks like the hash of a password.
        endpoint: The function that returned it.
        model: Readable name of the response model; empty without one.
    """

    path: str
    hashed: bool
    endpoint: Location | None
    model: str = ""


class ResponseDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What the response model removed from one response.

    Attributes:
        endpoint: The function that returned it.
        model: Readable name of the response model.
        fields: One entry for each path, at most 50.
    """

    endpoint: Location | None
    model: str
    fields: tuple[StrippedField, ...]


class ComparedResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What a response that was looked at came from and what it was made of; names only.

    Attributes:
        endpoint: The function that returned it.
        returned: Readable type of what it returned, such as ``dict`` or ``list[Book]``.
        model: Readable name of the response model; empty without one, when all of it goes out.
        sent: Paths of declared fields that went out, such as ``items[].title``, at most 60;
            empty where the model does not tell what it lets through.
        compared: Whether it was compared with what went out; some models cannot be, such as
            those that let extra fields through.
    """

    endpoint: Location | None
    returned: str
    model: str = ""
    sent: tuple[str, ...] = ()
    compared: bool = False


class HotLine(msgspec.Struct, frozen=True, kw_only=True):
    """A user line and the milliseconds during which samples found it running."""

    file: str
    line: int
    ms: float


class Victim(msgspec.Struct, frozen=True, kw_only=True):
    """A request that waited while another one held the loop.

    Attributes:
        at_most: Whether `waited_ms` is an upper bound: its bytes arrived while the loop was held,
            and nobody could note when.
    """

    request_id: str
    route: str
    waited_ms: float
    at_most: bool = False


class LoopBlock(msgspec.Struct, frozen=True, kw_only=True):
    """One callback of the event loop that ran too long.

    Attributes:
        id: Unique in the process; victims are added to it later.
        kind: A name from the table of kinds: ``sleep``, ``http``, ``db``, ``cpu``, ...
        call: The call as resolved, such as ``time.sleep``; empty when only a line is known.
        written: The function of that call as the line writes it, such as ``session.execute``;
            empty where it is the attribute of an expression.
        stack: User frames, innermost first.
        location: The user's line; `None` when no sample was taken.
        coroutine: The innermost user line on the stack that lies in an ``async def``, where
            ``await`` can be written; `None` without one.
        first_call: Whether it was the first call of its route in this process.
        source: That call as the user's file writes it, such as ``time.sleep(1.5)``; empty where the
            file cannot be read or the call is over 300 characters.
        caller: The call in `coroutine` that led to the line, likewise; empty where it is the line.
        through: Libraries between the user's line and what ran, nearest to the user first, such as
            ``("sqlalchemy", "sqlite3")``.
        gc_ms: What of it the cyclic garbage collector took.
        awaits: Whether the function of `coroutine` awaits anything at all; `None` without one.
        thread: Name of the other thread that kept the GIL; empty where the loop's own did it.
        ended: Whether it was over when this was noted.
        builds: Whether it built what later calls use again, such as the validators of a model.
    """

    id: str
    kind: str
    call: str
    started_at: str
    started_ms: float
    duration_ms: float
    phase: PhaseName
    location: Location | None = None
    stack: tuple[Frame, ...] = ()
    coroutine: Location | None = None
    hot_lines: tuple[HotLine, ...] = ()
    victims: tuple[Victim, ...] = ()
    first_call: bool = False
    written: str = ""
    source: str = ""
    caller: str = ""
    through: tuple[str, ...] = ()
    gc_ms: float = 0.0
    awaits: bool | None = None
    thread: str = ""
    ended: bool = True
    builds: bool = False


class ShortBlocks(msgspec.Struct, frozen=True, kw_only=True):
    """Callbacks at one user line that ran for 40 to 100 % of the threshold each.

    Attributes:
        longest: The longest of them; it knows no victims.
        count: How many there were.
        total_ms: Sum of their durations.
    """

    longest: LoopBlock
    count: int
    total_ms: float


class ThreadHolder(msgspec.Struct, frozen=True, kw_only=True):
    """What occupied worker threads while a call waited for one.

    Attributes:
        request_id: One of the requests; empty for work of no request, like `route`.
        name: Qualified name of the function in the thread.
        location: Where it is defined, when that is user code.
        threads: How many threads it had.
    """

    name: str
    request_id: str = ""
    route: str = ""
    location: Location | None = None
    threads: int = 1


class ThreadWait(msgspec.Struct, frozen=True, kw_only=True):
    """A call that had to wait because every worker thread was taken.

    Attributes:
        name: Qualified name of the function, or of the class.
        role: What took the thread: a ``def`` endpoint, a ``def`` or class dependency, or other
            work such as ``run_in_threadpool``.
        location: Where it is defined, when that is user code.
        ran_ms: Its own duration; `None` when it never got a thread.
        threads: How many there are.
        holders: Who had them when it asked, most threads first, at most ten.
    """

    name: str
    role: Literal["endpoint", "dependency", "class-dependency", "other"]
    started_ms: float
    waited_ms: float
    phase: PhaseName
    location: Location | None = None
    ran_ms: float | None = None
    threads: int = 0
    holders: tuple[ThreadHolder, ...] = ()


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Time this request lost because another one held the loop; `at_most` as in `Victim`."""

    block_id: str
    culprit_id: str
    waited_ms: float
    at_most: bool = False


class ConnectionHolder(msgspec.Struct, frozen=True, kw_only=True):
    """Who had connections of a pool while somebody waited for one.

    Attributes:
        request_id: One of the requests; empty for work of no request, like `route`.
        location: The user's line that ran the first statement on it.
        connections: How many connections it had.
        held_ms: How long the one held longest was out, until it went back or the wait ended.
        idle_ms: For how long of it that one ran no statement.
        own: Whether the request that waited held them itself.
    """

    request_id: str = ""
    route: str = ""
    location: Location | None = None
    connections: int = 1
    held_ms: float = 0.0
    idle_ms: float = 0.0
    own: bool = False


class PoolWait(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that was asked for when every one of its pool was out.

    Attributes:
        capacity: Connections the pool may have, overflow included.
        location: The user's line that needed it.
        holders: Who had them when it asked, most connections first, at most ten.
        timed_out: Whether the pool gave up.
        exception: Index into `RequestRecord.exceptions` of that; `None` if it never surfaced.
    """

    started_ms: float
    waited_ms: float
    phase: PhaseName
    capacity: int
    location: Location | None = None
    holders: tuple[ConnectionHolder, ...] = ()
    timed_out: bool = False
    exception: int | None = None


class IdleConnection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that ran no statement while its request waited for something else.

    Attributes:
        started_ms: End of the statement before the wait.
        idle_ms: Until the next statement, the end of the transaction, or its return.
        waited_at: The user's line that was found waiting.
        call: The library function that waited there, such as ``asyncio.tasks.sleep``; may be empty.
        took_at: The user's line of the first statement on it.
        held_ms: How long it had been out by the end of the wait.
        in_transaction: Whether a transaction was open on it.
        writes: Statements of that transaction that had changed rows.
        streaming: Whether its last statement reads rows in batches, which are fetched as it goes.
        scarce: Whether others have to do without it; false for pools that share one connection.
        database: Share of the looks that found other statements of the request running.
        dialect: ``sqlite``, ``postgresql``, ...
        is_async: Whether the driver is asynchronous.
    """

    started_ms: float
    idle_ms: float
    phase: PhaseName
    waited_at: Location
    call: str = ""
    took_at: Location | None = None
    held_ms: float = 0.0
    in_transaction: bool = False
    writes: int = 0
    streaming: bool = False
    scarce: bool = True
    database: float = 0.0
    dialect: str = ""
    is_async: bool = False


class OpenConnection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection that was checked out in a request and still out when all of it was over.

    Attributes:
        opened_at: The user's line that made the session; `None` without a session.
        took_at: The user's line of the first statement on it.
        session: Whether a session holds it, made in the same request.
        closed_at: Where that session had been closed before it was used again; `None` if never.
        closed_before: Whether it had been.
        in_transaction: Whether a transaction is open on it.
        writes: Statements of that transaction that changed rows; they were not committed.
        is_async: Whether the driver is asynchronous.
    """

    started_ms: float
    held_ms: float
    phase: PhaseName
    opened_at: Location | None = None
    took_at: Location | None = None
    session: bool = True
    closed_at: Location | None = None
    closed_before: bool = False
    in_transaction: bool = False
    writes: int = 0
    is_async: bool = False


class SessionReuse(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was used again after it had been closed.

    Attributes:
        used_ms: When it was used; likewise `closed_ms`.
        phase: In which it was used; `closed_phase` is the one in which it was closed.
        used_at: The user's line.
        opened_at: The user's line that made the session.
        closed_at: Where it was closed: the line of a ``with``, or of ``close()``.
        closed_again: Whether it was closed once more after that.
        refused: Whether the session refused it (``close_resets_only=False``).
        is_async: Whether the driver is asynchronous.
        exception: Index into `RequestRecord.exceptions` of that; `None` if it never surfaced.
    """

    used_ms: float
    closed_ms: float
    phase: PhaseName
    closed_phase: PhaseName
    used_at: Location | None = None
    opened_at: Location | None = None
    closed_at: Location | None = None
    closed_again: bool = False
    refused: bool = False
    is_async: bool = False
    exception: int | None = None


class LostWrites(msgspec.Struct, frozen=True, kw_only=True):
    """Changes that were rolled back because a session or connection was closed without a commit.

    Attributes:
        queries: `Query.index` of the statements that had changed rows, at most 20.
        statements: How many there were.
        added: Classes of objects that were added and never flushed, at most ten.
        added_at: The user's line that added the first of them.
        opened_at: The user's line that made the session; `None` for a connection without one.
        closed_at: Where it was closed.
        is_async: Whether the driver is asynchronous.
    """

    phase: PhaseName
    queries: tuple[int, ...] = ()
    statements: int = 0
    added: tuple[str, ...] = ()
    added_at: Location | None = None
    opened_at: Location | None = None
    closed_at: Location | None = None
    is_async: bool = False


class FailedCommit(msgspec.Struct, frozen=True, kw_only=True):
    """A commit of a session that raised.

    Attributes:
        error: ``type: message``, redacted.
        answered: Whether the response had begun by then.
        repeated: Whether a later commit of the same session went well.
        exception: Index into `RequestRecord.exceptions`; `None` when somebody caught it.
    """

    phase: PhaseName
    error: str
    location: Location | None = None
    answered: bool = False
    repeated: bool = False
    exception: int | None = None


class SessionClash(msgspec.Struct, frozen=True, kw_only=True):
    """A call of a session, or a statement on its connection, while another one was under way.

    Attributes:
        error: SQLAlchemy's sentence; empty where it let both go on.
        location: The user's line that made the call, or that gathers the tasks that met.
        closing: Whether the session was being closed at that moment.
        exception: Index into `RequestRecord.exceptions`; `None` when it never surfaced.
    """

    error: str
    phase: PhaseName
    location: Location | None = None
    closing: bool = False
    exception: int | None = None


class DependencyRun(msgspec.Struct, frozen=True, kw_only=True):
    """One resolved dependency; `cached` ones cost nothing.

    Attributes:
        duration_ms: Its own call alone, without those of the dependencies it asks for.
        threadpool: Whether it runs in a worker thread.
        parent: Position in `RequestRecord.dependencies` of the one that asked for it; `None` for
            those that the endpoint asks for, and where nobody noted it.
    """

    name: str
    started_ms: float
    duration_ms: float
    cached: bool = False
    threadpool: bool = False
    raised: bool = False
    parent: int | None = None


class LostState(msgspec.Struct, frozen=True, kw_only=True):
    """An attribute that a request changed on a dependency which was made for this request only.

    Attributes:
        dependency: Name of the class that FastAPI calls for each request.
        before: Before the endpoint ran: the number, or how many entries the dictionary had.
        after: The same when the record was sealed.
        entries: Whether it is a dictionary.
        location: The line of a method of that class that changes it.
    """

    dependency: str
    attribute: str
    before: float
    after: float
    entries: bool = False
    location: Location | None = None


class OldPydanticCall(msgspec.Struct, frozen=True, kw_only=True):
    """A line that called a method which pydantic 2 keeps for what was written for pydantic 1.

    Attributes:
        model: Name of the receiver's class.
        api: The method, such as ``.dict()``.
    """

    model: str
    api: str
    location: Location


class BypassedHandler(msgspec.Struct, frozen=True, kw_only=True):
    """An exception handler that was not asked, because what it is for is a subclass.

    Attributes:
        name: Of the application's handler for ``fastapi.HTTPException``.
        location: Where it is defined; `None` for library code.
    """

    name: str
    location: Location | None = None


class Cleared(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was considered and found to be in order, with the reason.

    Attributes:
        count: How often it was considered in this record.
        queries: `Query.index` of the statements it is about, at most 50; empty if it is about none.
    """

    what: str
    reason: str
    count: int = 1
    queries: tuple[int, ...] = ()


class RequestRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of one request.

    Attributes:
        id: Unique among all workers; also sent as ``X-Diagnostics-Id``.
        name: The name given to ``capture``; empty for requests.
        route: ``GET /authors/{id}``, the name of a capture, or ``""`` when nothing matched.
        query: Query string with values redacted.
        status: `None` until a response starts.
        started_at: RFC 3339, UTC, microseconds.
        duration_ms: Until the last byte was sent, not until the last background task.
        endpoint: The function that served it.
        response_model: Readable name; `None` without one.
        query_count: All statements, also those beyond the ones kept in `queries`.
        protected: Paths of secret-looking fields that the response model removed.
        worker: Process id of the worker that recorded it.
        overhead_ms: Our own time on the request's path, where it was measured.
        truncated: Names of fields of this record that were cut to their bounds.
        shadowed_routes: Of a request that was answered with an error: later routes whose pattern
            also matches this URL, word for word where the one that took it has a parameter.
        slash_redirect: `None` unless the answer was such a redirect.
        bypassed_handlers: Of a 404 or 405 of the router itself: the handler that did not see it.
        compared_responses: Of the responses that were sampled; of a stream those items that
            differ from one another.
    """

    id: str
    kind: Kind
    state: State
    started_at: str
    duration_ms: float
    name: str = ""
    method: str = ""
    path: str = ""
    query: str = ""
    route: str = ""
    status: int | None = None
    endpoint: Location | None = None
    response_model: str | None = None
    phases: tuple[Phase, ...] = ()
    time: TimeSplit = TimeSplit()
    queries: tuple[Query, ...] = ()
    query_count: int = 0
    lazy_failures: tuple[LazyLoadFailure, ...] = ()
    eager_loads: tuple[EagerLoad, ...] = ()
    joined_rows: tuple[JoinedRows, ...] = ()
    exceptions: tuple[ExceptionFact, ...] = ()
    tasks: tuple[TaskRun, ...] = ()
    broken_streams: tuple[BrokenStream, ...] = ()
    lost_states: tuple[LostState, ...] = ()
    loose_tasks: tuple[LooseTask, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    response_diffs: tuple[ResponseDiff, ...] = ()
    protected: tuple[str, ...] = ()
    blocks: tuple[LoopBlock, ...] = ()
    waits: tuple[Wait, ...] = ()
    short_blocks: tuple[ShortBlocks, ...] = ()
    thread_waits: tuple[ThreadWait, ...] = ()
    dependencies: tuple[DependencyRun, ...] = ()
    cleared: tuple[Cleared, ...] = ()
    worker: int = 0
    overhead_ms: float | None = None
    truncated: tuple[str, ...] = ()
    shadowed_routes: tuple[tuple[str, Location | None], ...] = ()
    slash_redirect: SlashRedirect | None = None
    invalid_responses: tuple[InvalidResponse, ...] = ()
    sent_secrets: tuple[SentSecret, ...] = ()
    pool_waits: tuple[PoolWait, ...] = ()
    idle_connections: tuple[IdleConnection, ...] = ()
    open_connections: tuple[OpenConnection, ...] = ()
    session_reuses: tuple[SessionReuse, ...] = ()
    lost_writes: tuple[LostWrites, ...] = ()
    failed_commits: tuple[FailedCommit, ...] = ()
    session_clashes: tuple[SessionClash, ...] = ()
    bypassed_handlers: tuple[BypassedHandler, ...] = ()
    compared_responses: tuple[ComparedResponse, ...] = ()
    old_pydantic_calls: tuple[OldPydanticCall, ...] = ()


def decode_record(data: bytes) -> RequestRecord:
    """Read a record back from its JSON.

    Raises:
        msgspec.ValidationError: The bytes are JSON of another shape.
        msgspec.DecodeError: The bytes are no JSON.
    """
    return _decoder.decode(data)


def encode(value: Any) -> bytes:
    """Write facts as JSON, the form in which they are stored and served."""
    return _encoder.encode(value)


_decoder = msgspec.json.Decoder(RequestRecord)
_encoder = msgspec.json.Encoder()
