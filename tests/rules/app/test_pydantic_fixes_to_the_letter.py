"""What APP102 writes is put into the file: it does the same, and pydantic warns of nothing."""

import os
import sys
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_diagnostics.collectors.application import collect
from fastapi_diagnostics.finding import Finding
from fastapi_diagnostics.rules.app.pydantic_v1_api import check
from fastapi_diagnostics.source import complete
from fastapi_diagnostics.source_files import look_again
from tests.installed import installed

HEAD = """
from typing import Any
import pydantic
from pydantic import BaseModel, Field, root_validator, validator

class Row:
    name = " Ada "
"""
MODELS = {
    "a validator": """
class Member(BaseModel):
    name: str
    @validator("name")
    def clean(cls, value):
        return value.strip()

def use(given: Member):
    return Member(name=" Ada ")
""",
    "a validator that runs first, with its classmethod": """
class Member(BaseModel):
    name: str
    @pydantic.validator("name", pre=True, check_fields=False)
    @classmethod
    def clean(cls, value: Any) -> str:
        return str(value)

def use(given: Member):
    return Member(name=17)
""",
    "a root validator that runs first": """
class Member(BaseModel):
    name: str
    @root_validator(pre=True)
    def fill(cls, values):
        return {"name": "nobody", **values}

def use(given: Member):
    return Member()
""",
    "class Config": """
class Member(BaseModel):
    name: str = Field(alias="fullName")
    class Config: populate_by_name = True

def use(given: Member):
    return Member(name="Ada")
""",
    "a call": """
class Member(BaseModel):
    name: str

def use(given: Member):
    return given.dict(exclude_unset=True)
""",
    "another call": """
class Member(BaseModel):
    name: str

def use(given: Member):
    return [Member.parse_obj({"name": name}) for name in ("A", "B")]
""",
    "a copy": """
class Member(BaseModel):
    name: str

def use(given: Member):
    return given.copy()
""",
    "text": """
class Member(BaseModel):
    name: str

def use(given: Member):
    return [given.json(exclude_none=True)]
""",
    "a row": """
class Member(BaseModel):
    model_config = {"from_attributes": True}
    name: str

def use(given: Member):
    return Member.from_orm(Row())
""",
}
NEVER_WRITTEN = {
    "a method without a successor": """
class Member(BaseModel):
    name: str

def use(given: Member):
    return Member.schema_json()
""",
    "a validator with values": """
class Member(BaseModel):
    name: str
    @validator("name")
    def clean(cls, value, values):
        return value

def use(given: Member):
    return given
""",
}


@pytest.fixture(autouse=True)
def _user_code(tmp_path: Path) -> Iterator[None]:
    with installed(root=tmp_path):
        yield


def imported(path: Path, text: str) -> Any:
    path.write_text(text, encoding="utf-8")
    os.utime(path, (0, 0))  # before this process began, as a file that it imported
    look_again()
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    sys.modules[path.stem] = module
    exec(compile(text, path, "exec"), module.__dict__)  # noqa: S102 - a module of this test
    return module


def findings_of(module: Any) -> list[Finding]:
    app = FastAPI()
    app.add_api_route("/use", module.use, methods=["POST"], response_model=None)
    return [complete(finding) for finding in check(collect(app))]


def outcome(module: Any) -> str:
    return repr(module.use(module.Member.model_construct(name="Eve")))


def mended(text: str, findings: list[Finding]) -> str:
    lines = text.split("\n")
    imports: set[str] = set()
    for finding in findings:
        assert finding.fix is not None
        assert finding.fix.location is not None
        assert finding.fix.code
        old = lines[finding.fix.location.line - 1]
        indent = old[: len(old) - len(old.lstrip())]
        lines[finding.fix.location.line - 1] = textwrap.indent(finding.fix.code, indent)
        imports.update(finding.fix.imports)
    return "\n".join([*sorted(imports), *lines])


@pytest.mark.parametrize("body", MODELS.values(), ids=MODELS)
def test_what_is_written_does_the_same_without_a_warning(body: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = imported(tmp_path / "old_models.py", HEAD + body)
        before, findings = outcome(old), findings_of(old)
    assert len(findings) == 1

    new = imported(tmp_path / "new_models.py", mended(HEAD + body, findings))

    assert outcome(new) == before
    assert findings_of(new) == []


def test_all_lines_of_class_config_give_way_to_one(tmp_path: Path) -> None:
    body = (
        "class Member(BaseModel):\n"
        "    name: str = Field(alias='fullName')\n"
        "    class Config:\n"
        "        allow_population_by_field_name = True  # both\n"
        "        anystr_strip_whitespace = True\n"
        "\n"
        "def use(given: Member):\n"
        "    return Member(name=' Ada ')\n"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [finding] = findings_of(imported(tmp_path / "old_models.py", HEAD + body))
    assert finding.fix is not None
    assert "in place of class Config and all of its 3 lines" in finding.fix.summary
    lines = (HEAD + body).split("\n")
    at = finding.fix.location.line - 1 if finding.fix.location else 0
    lines[at : at + 3] = [f"    {finding.fix.code}"]

    new = imported(tmp_path / "new_models.py", "\n".join([*finding.fix.imports, *lines]))

    assert outcome(new) == "Member(name='Ada')"
    assert findings_of(new) == []


@pytest.mark.parametrize("body", NEVER_WRITTEN.values(), ids=NEVER_WRITTEN)
def test_what_changes_more_than_its_name_is_only_explained(body: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [finding] = findings_of(imported(tmp_path / "old_models.py", HEAD + body))

    assert finding.fix is not None
    assert finding.fix.code == ""
    assert finding.fix.summary.startswith("Write ")
