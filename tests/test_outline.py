"""Functions and names are found in the text of a module as a reader would find them."""

import textwrap

import pytest

from fastapi_diagnostics.outline import anchored_line, def_line, enclosing_def, end_line

TEXT = '''
    @router.get(
        "/items",
        response_model=Page,
    )
    async def items(
        page: int = 1,
    ) -> dict[str, object]:
        """List items.

    margin: a line of the docstring without indentation
        """
        # "margin": only a comment
        rows = [
            {"title": "x", "margin": 3}  # "cost": not here
            for _ in range(2)
        ]

        def inner():
            return rows

        return Page(rows=rows, cost=2)


    def after():
        return None
'''
LINES = tuple(textwrap.dedent(TEXT).split("\n"))


def line_of(text: str) -> int:
    [number] = [n for n, line in enumerate(LINES, 1) if text in line]
    return number


def test_a_decorator_leads_to_its_def() -> None:
    assert def_line(LINES, line_of("@router.get")) == line_of("async def items")
    assert def_line(LINES, line_of("async def items")) == line_of("async def items")


@pytest.mark.parametrize("line", [0, 1, 99])
def test_other_lines_lead_nowhere(line) -> None:
    assert def_line(LINES, line) is None


def test_a_function_ends_before_the_next_statement_of_its_level() -> None:
    assert end_line(LINES, line_of("async def items")) == line_of("return Page")
    assert end_line(LINES, line_of("def inner")) == line_of("return rows")


def test_the_innermost_function_around_a_line() -> None:
    assert enclosing_def(LINES, line_of("return rows")) == line_of("def inner")
    assert enclosing_def(LINES, line_of("return Page")) == line_of("async def items")
    assert enclosing_def(LINES, line_of("@router.get")) is None


@pytest.mark.parametrize(
    ("anchors", "text"),
    [
        (("margin",), '"margin": 3'),
        (("cost",), "cost=2"),
        (("title", "margin"), '"title"'),
        (("range",), "range(2)"),
        (("absent",), "return rows"),
        ((), "return rows"),
    ],
)
def test_an_anchor_is_found_where_it_is_written(anchors, text) -> None:
    assert anchored_line(LINES, line_of("async def items"), anchors) == line_of(text)


def test_without_anything_to_hold_on_to_there_is_none() -> None:
    assert anchored_line(("def f():", "    pass"), 1, ("x",)) is None
