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
            are known beforehand, ``while`` (also ``async for``) where they may not be; empty
            without a loop, and where nobody asked.
    """

    location: Location
    in_loop: bool = False
    loop: str = ""


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
        stack: User frames, innermost first, at most eight; only for statements that repeat.
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


class ExceptionFact(msgspec.Struct, frozen=True, kw_only=True):
    """An exception that was seen passing through; recorded once however often it passed.

    Attributes:
        type: Qualified name without ``builtins.``.
        message: Redacted, at most 500 characters.
        location: Innermost user frame; `None` if it never touched user code.
        stack: User frames, innermost first, at most sixteen.
        causes: ``type: message`` of the chain, nearest first.
        members: ``type: message`` of each member of an exception group.
        status: The status code that an HTTPException asked for; `None` for all others.
        handler: Name of the application's handler that turned it into an answer; `None` if none.
        handler_location: Where that handler is defined.
        raised_by_handler: Whether a handler raised it while handling another exception.
    """

    type: str
    message: str
    phase: PhaseName
    location: Location | None = None
    stack: tuple[Frame, ...] = ()
    causes: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    status: int | None = None
    handler: str | None = None
    handler_location: Location | None = None
    raised_by_handler: bool = False


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
    """

    path: tuple[str, ...]
    name: str
    type: str
    required: bool


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


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Time this request lost because another one held the loop; `at_most` as in `Victim`."""

    block_id: str
    culprit_id: str
    waited_ms: float
    at_most: bool = False


class DependencyRun(msgspec.Struct, frozen=True, kw_only=True):
    """One resolved dependency; `cached` ones cost nothing."""

    name: str
    started_ms: float
    duration_ms: float
    cached: bool = False
    threadpool: bool = False
    raised: bool = False


class Cleared(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was considered and found to be in order, with the reason."""

    what: str
    reason: str
    count: int = 1


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
    exceptions: tuple[ExceptionFact, ...] = ()
    tasks: tuple[TaskRun, ...] = ()
    rejections: tuple[Rejection, ...] = ()
    response_diffs: tuple[ResponseDiff, ...] = ()
    protected: tuple[str, ...] = ()
    blocks: tuple[LoopBlock, ...] = ()
    waits: tuple[Wait, ...] = ()
    dependencies: tuple[DependencyRun, ...] = ()
    cleared: tuple[Cleared, ...] = ()
    worker: int = 0
    overhead_ms: float | None = None
    truncated: tuple[str, ...] = ()


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
