"""The install/undo mechanism leaves every attribute as it was."""

from fastapi_diagnostics.collectors.hooks import Hooks


class Greeter:
    def greet(self) -> str:
        return "hello"


class Loud(Greeter):
    """Inherits `greet` without defining it."""


def _louder(original):
    return lambda *args: original(*args) + "!"


def test_undo_restores_an_attribute_of_a_class() -> None:
    hooks, before = Hooks(), Greeter.__dict__["greet"]

    hooks.replace(Greeter, "greet", _louder)
    replaced = Greeter().greet()
    hooks.undo()

    assert replaced == "hello!"
    assert Greeter.__dict__["greet"] is before


def test_undo_removes_what_was_only_inherited() -> None:
    hooks = Hooks()

    hooks.replace(Loud, "greet", _louder)
    hooks.undo()

    assert "greet" not in vars(Loud)
    assert Loud().greet() == "hello"


def test_an_instance_gets_its_class_method_back() -> None:
    hooks, greeter = Hooks(), Greeter()

    hooks.replace(greeter, "greet", _louder)
    replaced = greeter.greet()
    hooks.undo()

    assert replaced == "hello!"
    assert vars(greeter) == {}


def test_a_place_is_replaced_once_however_often_it_is_asked_for() -> None:
    hooks, greeter = Hooks(), Greeter()

    hooks.replace(greeter, "greet", _louder)
    hooks.replace(greeter, "greet", _louder)

    assert greeter.greet() == "hello!"


def test_what_somebody_else_put_over_ours_stays() -> None:
    hooks, greeter = Hooks(), Greeter()
    hooks.replace(greeter, "greet", _louder)
    theirs = lambda: "theirs"  # noqa: E731
    greeter.greet = theirs

    hooks.undo()

    assert greeter.greet is theirs


def test_other_changes_are_undone_in_reverse_order() -> None:
    hooks, undone = Hooks(), []

    hooks.on_undo(lambda: undone.append("first"))
    hooks.on_undo(lambda: undone.append("second"))
    hooks.undo()

    assert undone == ["second", "first"]
