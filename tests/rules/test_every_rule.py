"""What holds for every rule, without a list of them anywhere."""

import ast
import re
from pathlib import Path

import pytest

from fastapi_diagnostics.__main__ import generated_pages
from fastapi_diagnostics.app_record import AppRecord
from fastapi_diagnostics.rules.catalogue import all_rules, chosen_rules
from tests.builders import a_record

DOCS = Path(__file__).parents[2] / "docs"
RULES = all_rules()
each_rule = pytest.mark.parametrize("loaded", RULES, ids=lambda item: item.rule.code)


def test_the_first_set_is_there() -> None:
    codes = {loaded.rule.code for loaded in RULES}

    assert codes >= {
        *("SQL101", "SQL103", "SQL105", "SQL201", "LOOP101"),
        *("TASK101", "TASK102", "REQ101", "RES101", "EXC101"),
    }


def test_codes_and_names_are_unique() -> None:
    assert len({loaded.rule.code for loaded in RULES}) == len(RULES)
    assert len({loaded.rule.name for loaded in RULES}) == len(RULES)


@each_rule
def test_code_and_name_are_well_formed(loaded) -> None:
    assert re.fullmatch(r"(SQL|LOOP|TASK|REQ|RES|EXC|APP)\d{3}", loaded.rule.code)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", loaded.rule.name)


@each_rule
def test_an_empty_record_yields_nothing(loaded) -> None:
    empty = {"request": a_record(), "application": AppRecord()}

    assert [list(loaded.check(empty[subject])) for subject in loaded.rule.subjects] == [
        [] for _ in loaded.rule.subjects
    ]


@each_rule
def test_examples_are_python(loaded) -> None:
    ast.parse(loaded.rule.example)
    ast.parse(loaded.rule.instead)


@each_rule
def test_it_says_what_why_and_what_it_cannot_see(loaded) -> None:
    rule = loaded.rule

    assert all(len(text) > 40 for text in (rule.what, rule.why))
    assert rule.limits
    assert rule.title.strip()


def test_the_generated_pages_are_fresh() -> None:
    stale = [
        path
        for path, text in generated_pages(DOCS).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]

    assert stale == [], "run python -m fastapi_diagnostics pages"


def test_rules_are_ignored_by_code_family_and_name() -> None:
    def left(*ignore: str) -> set[str]:
        return {loaded.rule.code for loaded in chosen_rules((), ignore)}

    assert "SQL101" not in left("SQL101")
    assert not any(code.startswith("SQL") for code in left("sql"))
    assert "SQL101" not in left("n-plus-one-relationship")
    assert "EXC101" in left("SQL101", "sql", "n-plus-one-relationship")
