"""Filters: links that change one part of the URL."""

import msgspec


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A tab, a chip or an entry of a menu: a link that changes one part of the URL."""

    label: str
    href: str
    count: str = ""
    current: bool = False


class Menu(msgspec.Struct, frozen=True, kw_only=True):
    """A filter with many values."""

    label: str
    value: str
    choices: tuple[Choice, ...]
