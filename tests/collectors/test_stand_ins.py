"""A stand-in takes what its original takes, and hands it on."""

import inspect
from typing import Any

import pytest

from fastapi_diagnostics.collectors.stand_ins import stand_in

DOUBLING = """
def doubled({parameters}):
    seen.append(a)
    return 2 * original({arguments})
"""


def test_it_has_the_parameters_and_the_name_of_the_original() -> None:
    def add(a: int, b: int = 2, *, c: int, d: int = 4) -> int:
        """Add."""
        return a + b + c + d

    made = stand_in(add, DOUBLING, {"seen": []})

    assert inspect.signature(made) == inspect.signature(add)
    assert (made.__name__, made.__doc__, made.__wrapped__) == ("add", "Add.", add)


def test_arguments_and_defaults_arrive_as_they_were_meant() -> None:
    def add(a: int, b: int = 2, *, c: int, d: int = 4) -> int:
        return a + 10 * b + 100 * c + 1000 * d

    seen: list[int] = []
    made = stand_in(add, DOUBLING, {"seen": seen})

    assert made(1, c=3) == 2 * 4321
    assert made(d=7, b=8, a=9, c=0) == 2 * 7089
    assert seen == [1, 9]


def test_a_default_is_the_very_object_of_the_original() -> None:
    default = object()

    def give(a: Any = default) -> Any:
        return a

    made = stand_in(give, "def same({parameters}):\n    return original({arguments})\n", {})

    assert made() is default


def test_wrong_arguments_are_refused_as_by_the_original() -> None:
    def add(a: int, *, b: int) -> int:
        return a + b

    made = stand_in(add, DOUBLING, {"seen": []})

    with pytest.raises(TypeError, match="unexpected keyword argument 'x'"):
        made(1, b=2, x=3)
    with pytest.raises(TypeError, match="missing 1 required"):
        made(1)


@pytest.mark.parametrize(
    "original",
    [lambda *args: args, lambda **options: options, lambda a, /: a],
    ids=["args", "kwargs", "positional"],
)
def test_parameters_that_cannot_be_named_are_refused(original: Any) -> None:
    with pytest.raises(ValueError, match="in a way of its own"):
        stand_in(original, DOUBLING, {"seen": []})
