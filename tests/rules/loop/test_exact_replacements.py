"""What to write instead is exact: the user's own arguments, and only advice that works."""

import pytest

from fastapi_diagnostics.record import Frame, LoopBlock
from fastapi_diagnostics.rules._calls import written
from fastapi_diagnostics.rules.loop._cures import fix_of
from tests.builders import a_location
from tests.rules.loop.blocks import CALLER, ENDPOINT, HERE, a_block, a_written

PROCESS = "await asyncio.get_running_loop().run_in_executor(process_pool, "


@pytest.mark.parametrize(
    ("kind", "call", "source", "code"),
    [
        ("sleep", "time.sleep", "time.sleep(1.5)", "await asyncio.sleep(1.5)"),
        ("sleep", "time.sleep", "nap(delay * 2,)", "await asyncio.sleep(delay * 2)"),
        ("sleep", "time.sleep", "bound()", "await run_in_threadpool(bound)"),
        ("sleep", "vendor.throttle", "throttle(120)", "await run_in_threadpool(throttle, 120)"),
        (
            "http",
            "httpx.get",
            'httpx.get(url, params={"q": "a,b"}, timeout=5)',
            (
                "async with httpx.AsyncClient() as client:\n"
                '    response = await client.get(url, params={"q": "a,b"}, timeout=5)'
            ),
        ),
        (
            "http",
            "httpx.get",
            "httpx.get(url, verify=False)",
            "await run_in_threadpool(httpx.get, url, verify=False)",
        ),
        (
            "http",
            "httpx.Client.get",
            "client.get(url)",
            "await run_in_threadpool(client.get, url)",
        ),
        (
            "http",
            "requests.get",
            "requests.get(url, timeout=5)",
            "await run_in_threadpool(requests.get, url, timeout=5)",
        ),
        (
            "http",
            "urllib.request.urlopen",
            "urlopen(url, timeout=3)",
            "await run_in_threadpool(urlopen, url, timeout=3)",
        ),
        (
            "db",
            "sqlite3.connect",
            'sqlite3.connect("shop.db")',
            'async with aiosqlite.connect("shop.db") as connection:\n    ...',
        ),
        (
            "db",
            "psycopg.Cursor.execute",
            'cursor.execute("SELECT 1")',
            'await run_in_threadpool(cursor.execute, "SELECT 1")',
        ),
        (
            "subprocess",
            "subprocess.run",
            'subprocess.run(["git", "status"], check=True)',
            'await run_in_threadpool(subprocess.run, ["git", "status"], check=True)',
        ),
        (
            "subprocess",
            "subprocess.Popen.wait",
            "process.wait()",
            "await run_in_threadpool(process.wait)",
        ),
        (
            "subprocess",
            "os.system",
            'os.system("make")',
            'await run_in_threadpool(os.system, "make")',
        ),
        (
            "dns",
            "socket.getaddrinfo",
            "socket.getaddrinfo(host, 443, proto=6)",
            "await asyncio.get_running_loop().getaddrinfo(host, 443, proto=6)",
        ),
        (
            "dns",
            "socket.getaddrinfo",
            "socket.getaddrinfo(host, 443, 2)",
            "await run_in_threadpool(socket.getaddrinfo, host, 443, 2)",
        ),
        (
            "dns",
            "socket.gethostbyname",
            "socket.gethostbyname(host)",
            "await run_in_threadpool(socket.gethostbyname, host)",
        ),
        (
            "password-hash",
            "bcrypt.hashpw",
            "bcrypt.hashpw(password, bcrypt.gensalt())",
            "await run_in_threadpool(bcrypt.hashpw, password, bcrypt.gensalt())",
        ),
        (
            "file",
            "open",
            'open(path, "rb")',
            'async with await anyio.open_file(path, "rb") as file:\n    ...',
        ),
        (
            "file",
            "pathlib.PosixPath.read_text",
            'path.read_text(encoding="utf-8")',
            'await anyio.Path(path).read_text(encoding="utf-8")',
        ),
        (
            "file",
            "pathlib.PosixPath.rename",
            "path.rename(other)",
            "await run_in_threadpool(path.rename, other)",
        ),
        (
            "lock",
            "concurrent.futures._base.Future.result",
            "future.result(5)",
            "await run_in_threadpool(future.result, 5)",
        ),
        (
            "lock",
            "concurrent.futures._base.Future.result",
            "future.result()",
            "await asyncio.wrap_future(future)",
        ),
        (
            "lock",
            "threading.Event.wait",
            "ready.wait(2)",
            "await run_in_threadpool(ready.wait, 2)",
        ),
        ("lock", "threading.Lock.acquire", "lock.acquire()", ""),
        ("cpu", "app.prices.work", "work(rows)", f"{PROCESS}work, rows)"),
        (
            "cpu",
            "app.prices.work",
            "work(rows, depth=3)",
            f"{PROCESS}partial(work, rows, depth=3))",
        ),
        ("cpu", "csv.DictWriter.writerows", "writer.writerows(rows)", f"{PROCESS}work, ...)"),
        ("cpu", "sorted", "sorted(rows, key=lambda row: row.id)", f"{PROCESS}work, ...)"),
        ("cpu", "sum", "sum(row.price for row in rows)", f"{PROCESS}work, ...)"),
        ("cpu", "sorted", "sorted(rows)", f"{PROCESS}sorted, rows)"),
        ("regex", "re.Pattern.match", "pattern.match(text)", ""),
        ("regex", "bs4.BeautifulSoup", "BeautifulSoup(page)", f"{PROCESS}BeautifulSoup, page)"),
        ("json", "json.dumps", "json.dumps(rows)", ""),
        ("unknown", "vendor.call", "call(1)", "await run_in_threadpool(call, 1)"),
    ],
)
def test_the_call_is_replaced_with_its_own_arguments(kind, call, source, code) -> None:
    assert fix_of(a_written(kind, call, source)).code == code


def test_without_the_source_the_arguments_stay_open() -> None:
    assert fix_of(a_block()).code == "await asyncio.sleep(...)"


def test_a_helper_is_called_in_a_thread_with_the_arguments_of_its_caller() -> None:
    block = a_written(
        "sleep",
        "time.sleep",
        "time.sleep(pause)",
        coroutine=CALLER,
        stack=(Frame(location=HERE), Frame(location=CALLER)),
        caller="service.report(user, day=today())",
    )

    fix = fix_of(block)

    assert fix.code == "await run_in_threadpool(service.report, user, day=today())"
    assert fix.location == CALLER


def test_an_endpoint_that_awaits_nothing_becomes_a_plain_def() -> None:
    block = a_written("db", "psycopg.Cursor.execute", 'cursor.execute("SELECT 1")', awaits=False)

    fix = fix_of(block, ENDPOINT)

    assert "make it a plain `def`" in fix.summary
    assert (fix.code, fix.replaces, fix.location) == ("def report(", "async def report(", ENDPOINT)


@pytest.mark.parametrize(
    ("awaits", "endpoint"), [(True, ENDPOINT), (False, CALLER), (False, None), (None, ENDPOINT)]
)
def test_what_awaits_or_is_no_endpoint_stays_asynchronous(awaits, endpoint) -> None:
    block = a_written("db", "psycopg.Cursor.execute", 'cursor.execute("x")', awaits=awaits)

    assert fix_of(block, endpoint).code == 'await run_in_threadpool(cursor.execute, "x")'


def test_a_call_in_a_loop_is_not_sent_to_another_process_one_by_one() -> None:
    block = a_written("cpu", "sum", "sum(row)", stack=(Frame(location=HERE, in_loop=True),))

    assert fix_of(block).code == f"{PROCESS}work, ...)"


@pytest.mark.parametrize(
    ("source", "arguments", "parts"),
    [
        ("f()", "", ()),
        ("f(a, b)", "a, b", ("a", "b")),
        ("f('a,b', [1, 2], {3: (4, 5)})", "'a,b', [1, 2], {3: (4, 5)}", None),
        ('f("\\",", x)', '"\\",", x', ('"\\","', "x")),
        ("f(x for x in rows)", "(x for x in rows)", ("(x for x in rows)",)),
        ("f(a,  # why\n b)", "...", ()),
        ('f("""a, b""")', "...", ()),
        ("g(a)", "...", ()),
    ],
)
def test_calls_are_taken_apart(source, arguments, parts) -> None:
    call = written("f", source)

    assert call.arguments == arguments
    if parts is not None:
        assert (call.parts or ()) == parts
    else:
        assert len(call.parts) == 3


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("Client().fetch(120)", "await run_in_threadpool(lambda: Client().fetch(120))"),
        ("frame[x].mean()", "await run_in_threadpool(lambda: frame[x].mean())"),
        ("make(await rows()).mean()", ""),
        ("make(\n    rows\n).mean()", ""),
        ("(found := rows()).mean()", ""),
    ],
)
def test_a_call_on_a_result_moves_to_a_thread_as_a_whole(source, code) -> None:
    block = a_block(kind="dataframe", call="mean", written="", source=source)

    assert fix_of(block).code == code


def test_what_a_library_calls_is_told_where_it_can_be_awaited() -> None:
    block = a_written("sleep", "time.sleep", "time.sleep(0.1)", coroutine=None)

    fix = fix_of(block)

    assert fix.code == ""
    assert "a library calls report, which cannot await" in fix.summary
    assert fix.summary.endswith("write there: `await asyncio.sleep(0.1)`.")


def test_a_slow_log_handler_gets_a_queue_and_not_another_call() -> None:
    block = a_written(
        "logging",
        "time.sleep",
        "time.sleep(0.1)",
        coroutine=CALLER,
        stack=(Frame(location=HERE), Frame(location=CALLER)),
        caller='log.info("sold")',
    )

    assert fix_of(block).code == "logging.handlers.QueueHandler(queue)"


def of_a_helper(function: str, caller: str, **changes: object) -> LoopBlock:
    there = a_location(file="app/keys.py", line=3, function=function)
    return a_block(
        location=there,
        coroutine=CALLER,
        stack=(Frame(location=there), Frame(location=CALLER)),
        caller=caller,
        **changes,
    )


def test_a_slow_constructor_is_called_by_the_name_of_its_class() -> None:
    fix = fix_of(of_a_helper("Key.__init__", 'Key("a")'))

    assert fix.code == 'await run_in_threadpool(Key, "a")'
    assert fix.replaces == 'Key("a")'
    assert "Key.__init__ is no coroutine, and cannot be one: run this in a thread" in fix.summary


@pytest.mark.parametrize(
    ("function", "caller"), [("Key.__init__", ""), ("Shelf.__getitem__", "shelf[3]")]
)
def test_a_special_method_is_never_called_by_its_name(function, caller) -> None:
    assert fix_of(of_a_helper(function, caller)).code == ""


@pytest.mark.parametrize("function", ["Planner.plan", "report.plan", "Key.__init__"])
def test_what_belongs_to_an_object_or_a_function_is_not_sent_to_another_process(function) -> None:
    fix = fix_of(of_a_helper(function, "self.plan(3)", kind="cpu", call=""))

    assert fix.code == f"{PROCESS}work, ...)"
    assert fix.replaces == ""


@pytest.mark.parametrize(
    ("kind", "caller", "code"),
    [
        ("sleep", "shop.find(1).total", ""),  # a property is no call
        ("sleep", "find(1).load(2)", "await run_in_threadpool(lambda: find(1).load(2))"),
        ("sleep", "factory()(3)", "await run_in_threadpool(lambda: factory()(3))"),
        ("cpu", "find(1).load(2)", f"{PROCESS}work, ...)"),
    ],
)
def test_what_is_more_than_one_call_is_not_taken_for_the_first(kind, caller, code) -> None:
    assert fix_of(of_a_helper("load", caller, kind=kind)).code == code


@pytest.mark.parametrize("caller", ["digest(key)", ""])
def test_a_part_is_named_only_where_its_arguments_are_known(caller) -> None:
    fix = fix_of(of_a_helper("digest", caller))

    assert fix.code == f"await run_in_threadpool(digest, {'key' if caller else '...'})"
    assert fix.replaces == caller
