"""Reports such as a bookshop's API would leave behind."""

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi_diagnostics import source
from fastapi_diagnostics.finding import Fix
from fastapi_diagnostics.record import (
    Cleared,
    ComparedResponse,
    DependencyRun,
    ExceptionFact,
    ExpectedField,
    Frame,
    HotLine,
    LoopBlock,
    Phase,
    Rejection,
    RejectionError,
    ResponseDiff,
    SentSecret,
    StrippedField,
    TaskRun,
    TimeSplit,
    Victim,
    Wait,
)
from fastapi_diagnostics.store.protocol import Report
from tests.builders import a_finding, a_location, a_query, a_report

AUTHORS = "app/authors.py"


def at(minutes_ago: float = 0.0) -> str:
    """A moment before now."""
    moment = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def loop_line() -> Any:
    return a_location(file=AUTHORS, line=11, function="list_authors", code="")


def parents_line() -> Any:
    return a_location(file=AUTHORS, line=8, function="list_authors", code="")


def n_plus_one_report(record_id: str = "01KB5E0N1", minutes_ago: float = 1.0) -> Report:
    """Twenty authors whose books are loaded one by one."""
    parents = a_query(
        sql="SELECT author.id, author.name, author.country, author.born, author.died "
        "FROM author LIMIT ?",
        started_ms=3.1,
        duration_ms=1.2,
        rows=20,
        kind="query",
        attribute="Author",
        location=a_location(file=AUTHORS, line=8, function="list_authors", code=""),
    )
    loads = tuple(
        a_query(
            index=number + 1,
            sql="SELECT book.id AS book_id, book.title AS book_title, book.author_id AS "
            "book_author_id, book.isbn AS book_isbn FROM book WHERE book.author_id = ?",
            started_ms=5.0 + number * 1.3,
            duration_ms=0.8,
            rows=3,
            kind="lazy",
            attribute="Author.books",
            values=(str(number),),
            location=loop_line(),
            stack=(Frame(location=loop_line(), in_loop=True), Frame(location=parents_line())),
            parent_query=0,
        )
        for number in range(20)
    )
    eager = a_query(
        index=21,
        sql="SELECT publisher.id, publisher.name FROM publisher WHERE publisher.id IN (?)",
        started_ms=31.5,
        duration_ms=0.6,
        rows=4,
        kind="eager",
        attribute="Book.publisher",
        batch=True,
        location=loop_line(),
        parent_query=1,
    )
    evidence = {
        "attribute": "Author.books",
        "count": 20,
        "parents": 20,
        "phase": "endpoint",
        "response_field": None,
        "parent_query": {"sql": parents.sql, "location": parents.location},
        "sql": loads[0].sql,
        "duration_ms": 16.4,
    }
    finding = source.complete(
        a_finding(
            severity="error",
            message="`Author.books` was loaded 20 times in one request, once for each of 20 "
            "authors: 20 queries where one would do.",
            location=loop_line(),
            fix=Fix(
                summary="Load the books of all authors together: add `selectinload` to the query "
                "that loads them.",
                code="select(Author).options(selectinload(Author.books)).limit(limit)",
                location=a_location(file=AUTHORS, line=8, function="list_authors", code=""),
            ),
            evidence=evidence,
            cause="Author.books",
        )
    )
    return a_report(
        finding,
        id=record_id,
        path="/authors/",
        query="limit=20",
        route="GET /authors/",
        started_at=at(minutes_ago),
        duration_ms=46.2,
        queries=(parents, *loads, eager),
        dependencies=(
            DependencyRun(
                name="app.database.get_session", started_ms=0.6, duration_ms=0.9, parent=1
            ),
            DependencyRun(
                name="app.auth.current_user", started_ms=1.5, duration_ms=1.1, threadpool=True
            ),
            DependencyRun(
                name="app.database.get_session", started_ms=2.6, duration_ms=0.0, cached=True
            ),
        ),
        phases=(
            Phase(name="middleware", started_ms=0, duration_ms=0.5),
            Phase(name="dependencies", started_ms=0.5, duration_ms=2.2),
            Phase(name="endpoint", started_ms=2.7, duration_ms=30.5),
            Phase(name="serialisation", started_ms=33.2, duration_ms=9.7),
            Phase(name="response", started_ms=42.9, duration_ms=3.3),
        ),
        time=TimeSplit(on_loop_ms=21.3, queued_ms=0.4, threadpool_ms=1.1, awaiting_ms=23.4),
        cleared=(
            Cleared(
                what="eager batch of selectinload",
                reason="one statement serves every author",
                queries=(21,),
            ),
            Cleared(what="chunked IN", reason="each batch serves several keys", count=3),
        ),
        overhead_ms=0.08,
    )


def block_report(record_id: str = "01KB5E0N2", minutes_ago: float = 3.0) -> Report:
    """A hash on the loop, with victims, and background tasks that fail."""
    line = a_location(file=AUTHORS, line=19, function="build_report", code="")
    finding = source.complete(
        a_finding(
            rule="LOOP101",
            name="blocked-event-loop",
            severity="error",
            title="The event loop was blocked",
            message="`bcrypt.hashpw` held the event loop for 412 ms; 3 other requests waited "
            "up to 380 ms.",
            location=line,
            cause="bcrypt.hashpw",
            fix=Fix(
                summary="Hash in a thread: bcrypt lets go of the GIL, so that the loop runs on.",
                code="password = await run_in_threadpool(\n"
                "    bcrypt.hashpw, report.secret.encode(), bcrypt.gensalt(12)\n)",
                location=line,
                mechanical=True,
            ),
            evidence={
                "kind": "password-hash",
                "call": "bcrypt.hashpw",
                "duration_ms": 412.0,
                "started_at": at(minutes_ago),
                "phase": "endpoint",
                "hot_lines": [
                    {"file": AUTHORS, "line": 19, "ms": 405.0},
                    {"file": AUTHORS, "line": 18, "ms": 7.0},
                ],
                "victims": [
                    {"request_id": "01KB5E0V1", "route": "GET /authors/", "waited_ms": 380.2},
                    {"request_id": "01KB5E0V2", "route": "GET /books", "waited_ms": 210.7},
                    {"request_id": "01KB5E0V3", "route": "GET /health", "waited_ms": 12.1},
                ],
            },
        )
    )
    failed = source.complete(
        a_finding(
            rule="TASK101",
            name="failed-background-task",
            severity="error",
            title="A background task failed after the response",
            message="`send_receipt` failed after the client had its 201: SMTPServerDisconnected.",
            location=a_location(file=AUTHORS, line=20, function="build_report", code=""),
            cause="send_receipt",
            evidence={
                "task": "send_receipt",
                "after_response": True,
                "exception": {
                    "type": "smtplib.SMTPServerDisconnected",
                    "message": "Connection unexpectedly closed",
                    "location": {"file": AUTHORS, "line": 20, "function": "build_report"},
                },
            },
        )
    )
    return a_report(
        finding,
        failed,
        id=record_id,
        method="POST",
        path="/authors/7/report",
        status=201,
        route="POST /authors/{author_id}/report",
        started_at=at(minutes_ago),
        duration_ms=448.0,
        phases=(
            Phase(name="middleware", started_ms=0, duration_ms=1),
            Phase(name="dependencies", started_ms=1, duration_ms=8),
            Phase(name="endpoint", started_ms=9, duration_ms=430),
            Phase(name="response", started_ms=439, duration_ms=9),
            Phase(name="background", started_ms=448, duration_ms=90),
        ),
        blocks=(
            LoopBlock(
                id="b1",
                kind="password-hash",
                call="bcrypt.hashpw",
                started_at=at(minutes_ago),
                started_ms=15.0,
                duration_ms=412.0,
                phase="endpoint",
                location=line,
                stack=(Frame(location=line), Frame(location=loop_line())),
                hot_lines=(
                    HotLine(file=AUTHORS, line=19, ms=405.0),
                    HotLine(file=AUTHORS, line=18, ms=7.0),
                ),
                victims=(
                    Victim(request_id="01KB5E0N1", route="GET /authors/", waited_ms=380.2),
                    Victim(
                        request_id="01KB5E0N3", route="POST /users", waited_ms=12.1, at_most=True
                    ),
                ),
                first_call=True,
            ),
        ),
        time=TimeSplit(on_loop_ms=420.0, queued_ms=3.4, awaiting_ms=24.6),
        tasks=(
            TaskRun(
                name="app.mail.send_receipt",
                state="failed",
                arguments=("email='a…'",),
                started_ms=450.0,
                duration_ms=71.0,
                exception=0,
                after_response=True,
                registered_at=line,
            ),
            TaskRun(name="app.search.reindex", state="never-ran", reason="earlier-task-failed"),
        ),
        exceptions=(
            ExceptionFact(
                type="smtplib.SMTPServerDisconnected",
                message="Connection unexpectedly closed",
                phase="background",
                location=line,
                stack=(Frame(location=line), Frame(location=loop_line())),
                causes=("ConnectionResetError: [Errno 104] Connection reset by peer",),
            ),
        ),
        queries=(a_query(started_ms=11.0, duration_ms=2.0, location=line),),
        protected=("author.password_hash",),
        waits=(Wait(block_id="b0", culprit_id="01KB5E0N9", waited_ms=3.4),),
    )


def rejection_report(record_id: str = "01KB5E0N3", minutes_ago: float = 7.0) -> Report:
    """A 422 with a near miss."""
    errors = [
        {
            "loc": ["body", "user_name"],
            "type": "missing",
            "message": "Field required",
            "input": "{'username': 'ada'}",
        }
    ]
    finding = source.complete(
        a_finding(
            rule="REQ101",
            name="rejected-request",
            severity="warning",
            title="A request was rejected by validation",
            message="`POST /users` was refused: `user_name` is missing, but `username` came.",
            location=a_location(file=AUTHORS, line=25, function="profile", code=""),
            cause="user_name",
            evidence={
                "errors": errors,
                "hints": [{"code": "misspelt-key", "text": "Send user_name instead of username."}],
            },
            fix=Fix(
                summary="Send `user_name`, or accept both with an alias.",
                code='user_name: str = Field(validation_alias=AliasChoices("user_name", '
                '"username"))',
            ),
        )
    )
    return a_report(
        finding,
        id=record_id,
        method="POST",
        path="/users",
        route="POST /users",
        status=422,
        started_at=at(minutes_ago),
        duration_ms=2.1,
        rejections=(
            Rejection(
                errors=(
                    RejectionError(
                        loc=("body", "user_name"),
                        type="missing",
                        message="Field required",
                        input="{'username': 'ada'}",
                        keys=("username",),
                    ),
                ),
                content_type="application/json",
                expects="json",
                body_kind="json",
                fields=(
                    ExpectedField(
                        path=("body", "user_name"),
                        name="user_name",
                        type="str",
                        required=True,
                        constraints=("length >= 2",),
                    ),
                ),
                endpoint=a_location(file=AUTHORS, line=25, function="profile", code=""),
            ),
        ),
        phases=(Phase(name="dependencies", started_ms=0.2, duration_ms=1.4),),
    )


def stripped_report(record_id: str = "01KB5E0N4", minutes_ago: float = 90.0) -> Report:
    """A misspelt key in a response, and a note."""
    place = a_location(file=AUTHORS, line=24, function="profile", code="")
    finding = source.complete(
        a_finding(
            rule="RES103",
            name="misspelt-response-field",
            severity="warning",
            title="A field went out empty under a misspelt name",
            message="`profile` returns `emial`, which `ProfileOut` does not declare; its `email` "
            "went out empty.",
            location=place,
            anchors=("emial",),
            cause="emial",
            evidence={"paths": ["emial"], "near": "email"},
        )
    )
    note = source.complete(
        a_finding(
            rule="SQL107",
            name="unused-eager-load",
            severity="info",
            title="A relationship was loaded and never read",
            message="`Book.publisher` was loaded with selectinload and never read.",
            location=a_location(file=AUTHORS, line=8, function="list_authors", code=""),
            cause="Book.publisher",
            evidence={"attribute": "Book.publisher", "count": 1},
        )
    )
    return a_report(
        finding,
        note,
        id=record_id,
        path="/authors/profile",
        route="GET /authors/profile",
        started_at=at(minutes_ago),
        duration_ms=3.4,
        response_diffs=(
            ResponseDiff(
                endpoint=place,
                model="ProfileOut",
                fields=(
                    StrippedField(
                        path="emial", source="dict", owner="dict", model="ProfileOut", near="email"
                    ),
                    StrippedField(
                        path="password_hash",
                        source="dict",
                        owner="dict",
                        model="ProfileOut",
                        secret=True,
                        type_name="str",
                    ),
                ),
            ),
        ),
        compared_responses=(
            ComparedResponse(
                endpoint=place,
                returned="dict",
                model="ProfileOut",
                sent=("name", "email", "links[].title"),
                compared=True,
            ),
        ),
        sent_secrets=(SentSecret(path="reset_token", hashed=False, endpoint=place),),
    )


def example_reports() -> list[Report]:
    """A little of everything, oldest first."""
    calm = [
        a_report(
            id=f"01KB5CALM{number}",
            path=f"/books/{number}",
            route="GET /books/{book_id}",
            started_at=at(20 - number),
            duration_ms=4.0 + 3 * number,
            queries=(a_query(), a_query(index=1)),
        )
        for number in range(12)
    ]
    return [stripped_report(), *calm, rejection_report(), block_report(), n_plus_one_report()]


def _many_errors(number: int) -> Rejection:
    errors = tuple(
        RejectionError(
            loc=("body", "line_items", str(row), f"a_rather_long_name_of_a_field_{row}"),
            type="int_parsing",
            message="Input should be a valid integer, unable to parse string as an integer",
            input=f"'{number}-{'x' * 60}'",
        )
        for row in range(12)
    )
    return Rejection(errors=errors, content_type="application/json", body_kind="json")


def _many_fields(number: int) -> ResponseDiff:
    fields = tuple(
        StrippedField(
            path=f"data.items[].a_rather_long_relationship.and_a_long_name_{row}_{number % 5}",
            source="orm",
            owner="AClassWithQuiteALongName",
            model=f"ApiResponse[Page[AModelWithQuiteALongName{number % 7}]]",
            type_name="datetime | None",
        )
        for row in range(20)
    )
    return ResponseDiff(endpoint=a_location(), model=fields[0].model, fields=fields)


def many_reports(groups: int = 200, queries: int = 1_000) -> list[Report]:
    """Much data: many groups, and one request with very many queries."""
    reports = []
    severities = ("error", "warning", "info")
    rules = ("SQL101", "SQL103", "LOOP101", "TASK101", "REQ101", "RES101", "EXC101")
    for number in range(groups):
        finding = a_finding(
            rule=rules[number % len(rules)],
            severity=severities[number % 3],
            fingerprint=f"v1:{number:016x}",
            message=f"Finding number {number} of a rather large service, in a sentence of usual "
            "length that says what happened and where it can be seen.",
            location=a_location(
                file=f"src/service/module_{number % 17}/handlers.py", line=10 + number
            ),
        )
        reports.append(
            a_report(
                finding,
                id=f"01KB5MANY{number:03d}",
                started_at=at(300 - number),
                path=f"/tenants/{number}/orders",
                route=f"GET /tenants/{{id}}/r{number % 23}",
                duration_ms=5.0 + number % 40,
                rejections=(_many_errors(number),),
                response_diffs=(_many_fields(number),),
            )
        )
    statements = tuple(
        a_query(
            index=number,
            sql=f"SELECT name FROM t{number % 300} WHERE id = ?",  # noqa: S608 - shown, not run
            started_ms=2.0 + number * 1.1,
            duration_ms=0.7,
        )
        for number in range(queries)
    )
    reports.append(
        a_report(
            id="01KB5HUGE",
            path="/export",
            route="GET /export",
            started_at=at(0.5),
            duration_ms=1150.0,
            queries=statements,
            phases=(Phase(name="endpoint", started_ms=1, duration_ms=1140),),
        )
    )
    return reports
