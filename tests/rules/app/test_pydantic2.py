"""Declarations of pydantic 1 are written as pydantic 2 has them, or not at all."""

import pytest

from fastapi_diagnostics.rules.app import _pydantic2

HEADER = "def clean(cls, value):"


@pytest.mark.parametrize(
    ("body", "options"),
    [
        ("    orm_mode = True", "from_attributes=True"),
        (
            "    orm_mode = True\n    # why\n    title = 'A, B'",
            "from_attributes=True, title='A, B'",
        ),
        ("    extra = Extra.forbid", 'extra="forbid"'),
        ("    extra = pydantic.Extra.allow  # any", 'extra="allow"'),
        ("    allow_mutation = False", "frozen=True"),
        ("    allow_mutation = True", ""),
        ("    smart_union = True\n    frozen = True", "frozen=True"),
        ("    anystr_strip_whitespace: bool = True", "str_strip_whitespace=True"),
        (
            '    """Settings."""\n    json_encoders = {\n        set: list,\n    }',
            "json_encoders={ set: list, }",
        ),
        ("    pass", ""),
    ],
)
def test_options_of_class_config_have_their_new_names(body: str, options: str) -> None:
    lines = ["class Config:", *body.split("\n")]

    assert _pydantic2.config(lines) == f"model_config = ConfigDict({options})"


def test_a_class_config_on_one_line_is_written_as_well() -> None:
    assert _pydantic2.config(["class Config: orm_mode = True"]) == (
        "model_config = ConfigDict(from_attributes=True)"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "class Config(Shared):\n    title = 'A'",
        "class Config:\n    fields = {'name': 'n'}",
        "class Config:\n    getter_dict = Getter",
        "class Config:\n    @staticmethod\n    def schema_extra(schema, model):\n        pass",
        "class Config:\n    if DEBUG:\n        extra = 'allow'",
        "class Config:\n    title = 'a#b'",
        "class Config:\n    title = (",
        'class Config:\n    """\n    Long.\n    """\n    title = "A"',
    ],
)
def test_a_class_config_that_has_more_in_it_is_left_to_the_user(text: str) -> None:
    assert _pydantic2.config(text.split("\n")) == ""


@pytest.mark.parametrize(
    ("decorator", "written"),
    [
        ('@validator("name")', '@field_validator("name")'),
        ('@pydantic.validator("name", "note")', '@pydantic.field_validator("name", "note")'),
        ('@validator("name", pre=True)', '@field_validator("name", mode="before")'),
        ('@validator("name", pre=False, allow_reuse=True)', '@field_validator("name")'),
        ('@validator("*", check_fields=False)', '@field_validator("*", check_fields=False)'),
        ('@validator(\n    "name",\n    pre=True,\n)', '@field_validator("name", mode="before")'),
        ('@validator("name")  # old', '@field_validator("name")'),
    ],
)
def test_a_validator_gets_its_new_decorator(decorator: str, written: str) -> None:
    lines = [*decorator.split("\n"), HEADER]

    assert _pydantic2.validator(lines) == f"{written}\n@classmethod"


@pytest.mark.parametrize(
    "decorator",
    [
        '@validator("name", each_item=True)',
        '@validator("name", always=True)',
        '@validator("name", pre=EARLY)',
        "@validator()",
        "@cleaned",
        "def clean(cls, value):",
        "",
    ],
)
def test_a_validator_that_means_more_is_left_to_the_user(decorator: str) -> None:
    assert _pydantic2.validator([decorator, HEADER]) == ""


@pytest.mark.parametrize(
    "header",
    [
        "def clean(cls, value, values):",
        "def clean(cls, value, field):",
        "def clean(cls, value, **kwargs):",
        "def clean(cls, *values):",
        "def clean(value):",
    ],
)
def test_a_validator_that_takes_more_than_the_value_is_left_to_the_user(header: str) -> None:
    assert _pydantic2.validator(['@validator("name")', header]) == ""


def test_a_header_may_have_types_and_several_lines() -> None:
    lines = ['@validator("name")', "def clean(", "    cls, value: dict[str, int]", ") -> str:"]

    assert _pydantic2.validator(lines) == '@field_validator("name")\n@classmethod'


def test_a_classmethod_stays_the_only_one() -> None:
    lines = ['@validator("name")', "@classmethod", HEADER]

    assert _pydantic2.validator(lines) == '@field_validator("name")'


def test_another_decorator_between_is_left_to_the_user() -> None:
    assert _pydantic2.validator(['@validator("name")', "@cached", HEADER]) == ""


@pytest.mark.parametrize(
    ("decorator", "written"),
    [
        ("@root_validator(pre=True)", '@model_validator(mode="before")\n@classmethod'),
        (
            "@pydantic.root_validator(pre=True, allow_reuse=True)",
            '@pydantic.model_validator(mode="before")\n@classmethod',
        ),
        ("@root_validator(skip_on_failure=True)", ""),
        ("@root_validator", ""),
    ],
)
def test_a_root_validator_is_written_where_it_runs_first(decorator: str, written: str) -> None:
    assert _pydantic2.root_validator([decorator, "def fill(cls, values):"]) == written
