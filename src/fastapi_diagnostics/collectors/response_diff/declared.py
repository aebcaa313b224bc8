"""What a model class declares and lets through: pydantic models, dataclasses, ``TypedDict``.

Models that look at the raw value themselves (``mode="before"`` validators), that write their own
output (custom serialisers) or that let extra fields through are opaque: nothing is ever said of
them. This is the one module that reads pydantic's internal names; `self_test` checks them.
"""

import dataclasses
import typing
from typing import Any, Final, NamedTuple, get_args, get_origin

import typing_extensions
from pydantic import AliasChoices, AliasPath, BaseModel
from pydantic.fields import FieldInfo

_SEES_RAW_MODEL: Final = frozenset({"before", "wrap"})
_SEES_RAW_FIELD: Final = frozenset({"before", "wrap", "plain"})


class FieldShape:
    """A declared field.

    Attributes:
        name: The Python name.
        keys: What a ``dict`` may call it.
        known: Every name by which it goes anywhere.
        sent: Names under which it may go out, the likelier first.
    """

    __slots__ = ("annotation", "keys", "known", "name", "opaque", "sent")

    def __init__(
        self,
        name: str,
        annotation: Any,
        *,
        keys: frozenset[str],
        known: frozenset[str],
        sent: tuple[str, ...],
        opaque: bool = False,
    ) -> None:
        self.name = name
        self.annotation = annotation
        self.keys = keys
        self.known = known
        self.sent = sent
        self.opaque = opaque


class Declared(NamedTuple):
    """The fields of a class, and the names under which it sends what it computes."""

    fields: list[FieldShape]
    computed: frozenset[str] = frozenset()


def declared_fields(cls: type) -> Declared | None:
    """Read a class; `None` if it is no model or an opaque one."""
    if issubclass(cls, BaseModel):
        return _pydantic_fields(cls)
    if dataclasses.is_dataclass(cls):
        return _dataclass_fields(cls)
    if typing_extensions.is_typeddict(cls):
        return _hinted_fields(cls, list(cls.__annotations__))
    return None


def excluded_by_class(cls: type) -> frozenset[str]:
    """Name the fields that a pydantic model itself never sends."""
    if not issubclass(cls, BaseModel):
        return frozenset()
    return frozenset(name for name, info in cls.model_fields.items() if info.exclude)


def self_test() -> str:
    """Check what is read of pydantic's internals; ``""`` or what is not as expected."""

    class Plain(BaseModel):
        name: str

    decorators = getattr(Plain, "__pydantic_decorators__", None)
    wanted = (
        "model_validators",
        "root_validators",
        "field_validators",
        "validators",
        "model_serializers",
        "field_serializers",
    )
    missing = [name for name in wanted if not hasattr(decorators, name)]
    if missing:
        return f"pydantic's decorators have no {missing[0]}"
    return "" if declared_fields(Plain) is not None else "a plain model is not recognised"


def custom(metadata: Any) -> bool:
    """Tell whether something in an ``Annotated`` validates or serialises in its own way."""
    for item in metadata:
        if isinstance(item, FieldInfo):
            if custom(item.metadata):
                return True
        elif hasattr(item, "__get_pydantic_core_schema__"):
            return True
    return False


def _pydantic_fields(cls: type[BaseModel]) -> Declared | None:
    decorators = cls.__pydantic_decorators__
    if _opaque(cls, decorators):
        return None
    by_name = bool(
        cls.model_config.get("populate_by_name") or cls.model_config.get("validate_by_name")
    )
    opaque = _opaque_fields(decorators)
    fields = [
        _pydantic_field(name, info, by_name=by_name, opaque=bool(opaque & {name, "*"}))
        for name, info in cls.model_fields.items()
    ]
    computed = {name: field.alias for name, field in cls.model_computed_fields.items()}
    names = frozenset(computed) | frozenset(alias for alias in computed.values() if alias)
    return Declared(fields, names)


def _opaque(cls: type[BaseModel], decorators: Any) -> bool:
    if cls.model_config.get("extra") == "allow" or decorators.model_serializers:
        return True
    if any(v.info.mode in _SEES_RAW_MODEL for v in decorators.model_validators.values()):
        return True
    if decorators.root_validators:
        return True
    names = ("__init__", "__get_pydantic_core_schema__", "model_validate", "model_dump")
    return any(_is_own(vars(base)[n]) for base in _own_bases(cls) for n in names if n in vars(base))


def _is_own(function: Any) -> bool:
    """Tell a method of the user's from the ``__init__`` that SQLAlchemy puts into tables."""
    return not hasattr(function, "_sa_original_init")


def _own_bases(cls: type) -> list[type]:
    libraries = ("pydantic.", "sqlmodel.", "typing", "builtins")
    return [base for base in cls.__mro__ if not base.__module__.startswith(libraries)]


def _opaque_fields(decorators: Any) -> set[str]:
    """Name the fields whose validator sees the raw value or whose serialiser writes its own."""
    found = {
        name
        for validator in (*decorators.field_validators.values(), *decorators.validators.values())
        if getattr(validator.info, "mode", "before") in _SEES_RAW_FIELD
        for name in validator.info.fields
    }
    for serializer in decorators.field_serializers.values():
        found.update(serializer.info.fields)
    return found


def _pydantic_field(name: str, info: FieldInfo, *, by_name: bool, opaque: bool) -> FieldShape:
    aliases = _validation_names(info.validation_alias) | _validation_names(info.alias)
    sent = info.serialization_alias or info.alias
    known = aliases | {name} | ({sent} if sent else set())
    accepted = _validation_names(info.validation_alias or info.alias)
    keys = accepted | {name} if by_name or not accepted else accepted
    return FieldShape(
        name,
        info.annotation,
        keys=frozenset(keys),
        known=frozenset(known),
        sent=(sent, name) if sent else (name,),
        opaque=opaque or bool(info.exclude) or custom(info.metadata),
    )


def _validation_names(alias: str | AliasPath | AliasChoices | None) -> set[str]:
    if alias is None:
        return set()
    if isinstance(alias, str):
        return {alias}
    if isinstance(alias, AliasPath):
        return {str(alias.path[0])}
    return set().union(*(_validation_names(choice) for choice in alias.choices))


def _dataclass_fields(cls: type) -> Declared | None:
    if hasattr(cls, "__pydantic_decorators__"):
        return None  # pydantic's own dataclasses may carry validators
    return _hinted_fields(cls, [field.name for field in dataclasses.fields(cls)])


def _plain_config(cls: type) -> bool:
    config: Any = getattr(cls, "__pydantic_config__", None) or {}
    return config.get("extra", "ignore") == "ignore" and not config.get("alias_generator")


def _hinted_fields(cls: type, names: list[str]) -> Declared | None:
    if not _plain_config(cls):
        return None
    try:
        hints = typing_extensions.get_type_hints(cls, include_extras=True)
    except Exception:  # noqa: BLE001 - a name that does not resolve here; pydantic saw more
        return None
    fields = []
    for name in names:
        hint = hints.get(name)
        if get_origin(hint) is typing.Annotated and any(
            isinstance(item, FieldInfo) for item in get_args(hint)[1:]
        ):
            return None  # may rename or exclude it
        own = frozenset({name})
        fields.append(FieldShape(name, hint, keys=own, known=own, sent=(name,)))
    return Declared(fields)
