"""A line of the user's with another expression in it."""

import pytest

from fastapi_diagnostics.rewriting import filled_in, rewritten, with_own_session

CALL = "work(1)"
AWAITED = "await run_in_threadpool(work, 1)"


@pytest.mark.parametrize(
    ("line", "whole"),
    [
        ("work(1)", "await run_in_threadpool(work, 1)"),
        ("return work(1)", "return await run_in_threadpool(work, 1)"),
        ("total = 2 + work(1)", "total = 2 + await run_in_threadpool(work, 1)"),
        ("if work(1):", "if await run_in_threadpool(work, 1):"),
        ("for row in work(1):", "for row in await run_in_threadpool(work, 1):"),
        ("async for row in work(1):", "async for row in await run_in_threadpool(work, 1):"),
        ("name = work(1).name", "name = (await run_in_threadpool(work, 1)).name"),
        ("first = work(1)[0]", "first = (await run_in_threadpool(work, 1))[0]"),
        ("work(1)(2)", "(await run_in_threadpool(work, 1))(2)"),
        ("work(1)  # slow", "await run_in_threadpool(work, 1)"),
        ("call(work(1), 2)  # kept", "call(await run_in_threadpool(work, 1), 2)  # kept"),
    ],
)
def test_the_expression_takes_the_place_of_the_call(line: str, whole: str) -> None:
    assert rewritten(line, CALL, AWAITED) == whole


@pytest.mark.parametrize(
    "line",
    [
        "work(1) + work(1)",
        "rework(1)",
        "self.work(1)",
        "jobs.append(lambda: work(1))",
        "any(work(1) for _ in range(2))",
        "value = [row for row in work(1)]",
        "await work(1)",
        "something_else()",
        "",
    ],
)
def test_where_that_is_not_certain_nothing_is_written(line: str) -> None:
    assert rewritten(line, CALL, AWAITED) == ""


def test_what_is_needed_around_it_comes_before_the_line_and_no_name_is_made_up() -> None:
    code = "async with Client() as client:\n    response = await client.get(url)"

    assert rewritten("text = get(url).text", "get(url)", code) == (
        "async with Client() as client:\n    text = (await client.get(url)).text"
    )


@pytest.mark.parametrize("line", ["if get(url).ok:", "both = [get(url),", "get(url),"])
def test_a_line_that_does_not_stand_alone_is_not_moved_into_a_block(line: str) -> None:
    code = "async with Client() as client:\n    response = await client.get(url)"

    assert rewritten(line, "get(url)", code) == ""


@pytest.mark.parametrize(
    "code",
    [
        "process = await start()\nawait process.wait()",
        "async with open_file(path) as file:\n    ...",
    ],
)
def test_statements_are_no_expression(code: str) -> None:
    assert rewritten("work(1)", CALL, code) == ""


def test_without_a_part_there_is_nothing_to_replace() -> None:
    assert rewritten("work(1)", "", AWAITED) == ""


@pytest.mark.parametrize(
    ("line", "whole"),
    [
        ("async def work(row: Row) -> int:", "def work(row: Row) -> int:"),
        ("async def work(", "def work("),
        ("def work(row):", ""),
        ("async def rework(row):", ""),
    ],
)
def test_a_coroutine_becomes_a_function(line: str, whole: str) -> None:
    assert rewritten(line, "async def work(", "def work(") == whole


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("work(1)", "await work(1)"),
        ("self.jobs.work(row, key='(')", "await self.jobs.work(row, key='(')"),
        ("done = work([1], {2: (3,)})[0]", "await work([1], {2: (3,)})"),
        ("asyncio.create_task(work(1), name='a')", "await work(1)"),
    ],
)
def test_open_arguments_are_those_of_the_line(line: str, code: str) -> None:
    assert filled_in(line, "await work(...)") == code


@pytest.mark.parametrize(
    "line",
    [
        "",
        "rework(1)",
        "work(1) + work(2)",
        "work(work)",
        "find(1).work(2)",
        "rows[0].work(2)",
        "work(",
        "work(1,  # why",
        "work(')",
        "class work(Base):",
        "async def work(row):",
    ],
)
def test_a_call_that_is_not_certain_stays_open(line: str) -> None:
    assert filled_in(line, "await work(...)") == "await work(...)"


def test_other_open_arguments_are_left_alone() -> None:
    code = "await run_in_threadpool(work, ...)\nhandle.other(...)"

    assert filled_in("other(1); run_in_threadpool(2)", code) == code


@pytest.mark.parametrize(
    ("line", "whole"),
    [
        ("tasks.add_task(self.work(1, key=2))", "tasks.add_task(self.work, 1, key=2)"),
        ("tasks.add_task(work())", "tasks.add_task(work)"),
        ("return Response(background=BackgroundTask(work(1)))",
         "return Response(background=BackgroundTask(work, 1))"),
    ],
)  # fmt: skip
def test_what_another_is_to_call_is_handed_over(line: str, whole: str) -> None:
    part, code = filled_in(line, "work(...)"), filled_in(line, "work, ...")

    assert rewritten(line, part, code) == whole


def test_what_cannot_be_handed_over_for_certain_stays_open() -> None:
    assert filled_in("later = make()", "work, ...") == "work, ..."


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("s.add(Item())", "await s.commit()"),
        ("rows = await self.db.execute(query)", "await self.db.commit()"),
        ("db.add(await db.get(Item, 1))", "await db.commit()"),
        ("a.add(await b.scalar(query))", "await session.commit()"),
        ("answer = await client.get(url)", "await session.commit()"),
        ("make().add(Item())", "await session.commit()"),
        ("for item in items:", "await session.commit()"),
        ("", "await session.commit()"),
    ],
)
def test_a_session_has_the_users_name_where_the_line_tells_it(line: str, code: str) -> None:
    assert with_own_session(line, "await session.commit()") == code


def test_only_our_own_name_for_a_session_is_replaced() -> None:
    code = "my.session.commit()\nsession_of(x).commit()"

    assert with_own_session("s.add(1)", code) == code


@pytest.mark.parametrize(
    ("line", "part", "code", "whole"),
    [
        ("await s.add(1)", "await ", "", "s.add(1)"),
        ("row = (await [1])[0]", "await ", "", "row = ([1])[0]"),
        ("return await [1]", "await ", "", "return [1]"),
        ("await f(await g())", "await ", "", ""),
        ("async for row in rows:", "async for ", "for ", "for row in rows:"),
        ("[row async for row in rows]", "async for ", "for ", "[row for row in rows]"),
        ("return [a.dict() for a in all]", ".dict(", ".model_dump(",
         "return [a.model_dump() for a in all]"),
        ("a.dict() == b.dict()", ".dict(", ".model_dump(", ""),
    ],
)  # fmt: skip
def test_a_word_is_left_out_or_changed(line: str, part: str, code: str, whole: str) -> None:
    assert rewritten(line, part, code) == whole
