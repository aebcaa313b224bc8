"""APP102, APP103 and APP108: what models, signatures and mappings say."""

import pytest

from fastapi_diagnostics.app_record import EagerMapping, ImplicitOptional, OldPydanticUse
from fastapi_diagnostics.collectors.application.calls import METHODS
from fastapi_diagnostics.rewriting import rewritten
from fastapi_diagnostics.rules.app import (
    eager_loading_in_mapping,
    implicit_optional,
    pydantic_v1_api,
)
from tests.builders import a_location
from tests.rules.app.facts import an_app


def old_use(api, code, **changes):
    return OldPydanticUse(model="Member", api=api, location=a_location(code=code), **changes)


@pytest.mark.parametrize(
    ("api", "lines", "instead"),
    [
        (
            "@validator",
            ('    @validator("name")', "    def clean(cls, value):"),
            '@field_validator("name")\n@classmethod',
        ),
        ("@root_validator", ("    @root_validator", "    def fill(cls, values):"), ""),
        (
            "class Config",
            ("    class Config: title = 'A'",),
            "model_config = ConfigDict(title='A')",
        ),
        ("class Config", (), ""),
    ],
)
def test_each_declaration_is_one_finding_with_what_to_write(api, lines, instead) -> None:
    use = old_use(api, lines[0].strip() if lines else "class Config:", lines=lines)

    [finding] = pydantic_v1_api.check(an_app(old_pydantic=(use,)))

    assert finding.location == use.location
    assert finding.severity == "warning"
    assert "Member" in finding.message
    assert (finding.fix.code, finding.fix.replaces) == (instead, "")


@pytest.mark.parametrize(
    ("api", "line", "mended"),
    [
        (".dict()", "return member.dict(by_alias=True)", "return member.model_dump(by_alias=True)"),
        (".parse_obj()", "Member.parse_obj(row)", "Member.model_validate(row)"),
        (".dict()", "return [a.dict() for a in all]", "return [a.model_dump() for a in all]"),
        (".copy()", "return member.copy()", "return member.model_copy()"),
        (".dict()", "return [a.dict(), b.dict()]", ""),
        (".copy()", 'return member.copy(exclude={"note"})', ""),
        (".parse_file()", "Member.parse_file(path)", ""),
        (".schema_json()", "Member.schema_json()", ""),
    ],
)
def test_of_a_call_only_its_name_changes_where_that_is_enough(api, line, mended) -> None:
    [finding] = pydantic_v1_api.check(an_app(old_pydantic=(old_use(api, line),)))

    assert rewritten(line, finding.fix.replaces, finding.fix.code) == mended


def test_what_a_declaration_takes_in_is_said() -> None:
    decorator = ("    @validator(", '        "name",', "    )", "    def clean(cls, value):")
    config = ("    class Config:", "        title = 'A'", "        extra = 'allow'")
    uses = (old_use("@validator", "@validator(", lines=decorator),
            old_use("class Config", "class Config:", lines=config))  # fmt: skip

    of_validator, of_config = pydantic_v1_api.check(an_app(old_pydantic=uses))

    assert "in place of the whole decorator." in of_validator.fix.summary
    assert "in place of class Config and all of its 3 lines." in of_config.fix.summary


def test_an_annotation_is_less_than_proof() -> None:
    use = old_use(".json()", "return member.json()", exact=False)

    [finding] = pydantic_v1_api.check(an_app(old_pydantic=(use,)))

    assert finding.confidence == "likely"
    assert "the annotated type here" in finding.message


def test_every_method_that_is_looked_for_has_its_cure() -> None:
    assert {f".{name}()" for name in METHODS} <= set(pydantic_v1_api.CURES)


def an_implicit(name, **changes):
    defaults = {"owner": "books", "annotation": "str", "location": a_location(function="books")}
    return ImplicitOptional(name=name, **defaults | changes)


def test_a_parameter_is_written_as_it_should_be() -> None:
    facts = (an_implicit("author", default="Query(None)"),)

    [finding] = implicit_optional.check(an_app(implicit_optionals=facts))

    assert finding.severity == "info"
    assert finding.message == (
        "The parameter author of books is declared as str, but its default is None."
    )
    assert finding.fix.code == "author: str | None = Query(None)"


@pytest.mark.parametrize(
    ("annotation", "written"),
    [
        ("list[UUID4]", "list[UUID4] | None"),
        ('"Book"', '"Book | None"'),
        ("Annotated[str, Query(max_length=5)]", "Annotated[str | None, Query(max_length=5)]"),
        ("t.Annotated[dict[str, int], Query()]", "t.Annotated[dict[str, int] | None, Query()]"),
    ],
)
def test_none_is_allowed_where_it_counts(annotation, written) -> None:
    [finding] = implicit_optional.check(
        an_app(implicit_optionals=(an_implicit("author", annotation=annotation),))
    )

    assert finding.fix.code == f"author: {written} = None"


def test_parameters_of_one_function_are_one_finding() -> None:
    facts = (an_implicit("author"), an_implicit("year", annotation="int"))

    [finding] = implicit_optional.check(an_app(implicit_optionals=facts))

    assert "author and year of books" in finding.message
    assert finding.fix.code == "author: str | None = None\nyear: int | None = None"


def test_functions_and_models_are_told_apart() -> None:
    other = a_location(function="Member")
    facts = (an_implicit("author"), an_implicit("note", owner="Member", location=other, field=True))

    findings = list(implicit_optional.check(an_app(implicit_optionals=facts)))

    assert [finding.cause for finding in findings] == ["books", "Member"]
    assert "The field note of Member" in findings[1].message


@pytest.mark.parametrize(
    ("lazy", "cost", "option"),
    [
        ("selectin", "one more statement (one for all parents, so it is not an N+1)", "selectin"),
        ("joined", "a join, and its columns in every row", "joined"),
        ("subquery", "runs the query again", "subquery"),
        ("immediate", "one more statement for each parent", "selectin"),
    ],
)
def test_a_mapping_is_told_with_its_true_cost(lazy, cost, option) -> None:
    mapping = EagerMapping(attribute="Author.books", lazy=lazy, location=a_location())

    [finding] = eager_loading_in_mapping.check(an_app(eager_mappings=(mapping,)))

    assert finding.severity == "info"
    assert cost in finding.message
    assert finding.fix.code == f"select(Author).options({option}load(Author.books))"
