"""What becomes known when no record can take it any more: victims above all."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec

from fastapi_diagnostics.collectors.event_loop.state import SETTLED_S, Block
from fastapi_diagnostics.locks import Lock
from fastapi_diagnostics.record import LoopBlock

_REMEMBERED: Final = 64


class LateVictims:
    """Remembers blocks by record until their victims are known."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._blocks: OrderedDict[str, list[Block]] = OrderedDict()

    def expect(self, block: Block) -> None:
        """Remember a block; the oldest record gives way."""
        with self._lock:
            self._blocks.setdefault(block.culprit_id or block.id, []).append(block)
            while len(self._blocks) > _REMEMBERED:
                self._blocks.popitem(last=False)

    def count(self, record_id: str) -> int:
        """Tell how many blocks of a record are remembered."""
        return len(self._blocks.get(record_id, ()))

    def settled(self, now: float) -> list[tuple[str, tuple[LoopBlock, ...]]]:
        """Give the sealed records whose blocks have news since they were last told.

        The record id is empty for a block of nobody, which is told once and forgotten.
        """
        with self._lock:
            found = [
                (record_id, tuple(blocks))
                for record_id, blocks in self._blocks.items()
                if any(_is_news(block, now) for block in blocks)
            ]
            for record_id, known in found:
                if not known[0].culprit_id:
                    del self._blocks[record_id]
        return [
            (known[0].culprit_id, tuple(_told(block) for block in known))
            for _, known in found
            if all(block.fact is not None for block in known)
        ]

    def pending(self, now: float) -> bool:
        """Tell whether a block is too young to know its victims."""
        with self._lock:
            return any(now - known[-1].end < SETTLED_S for known in self._blocks.values())

    def forget(self) -> None:
        """Forget everything; for undoing."""
        with self._lock:
            self._blocks.clear()


class Nobody:
    """Passes on blocks that belong to no record of a request.

    Attributes:
        tell: Called on the watchdog's thread with the block and with a route, which is empty where
            the block belongs to none.
    """

    def __init__(self) -> None:
        self.tell: Callable[[LoopBlock, str], object] = lambda *_: None


LATE = LateVictims()
NOBODY = Nobody()


def _is_news(block: Block, now: float) -> bool:
    return len(block.victims) > block.told and now - block.end >= SETTLED_S


def _told(block: Block) -> LoopBlock:
    victims = tuple(block.victims.values())
    block.told = len(victims)
    assert block.fact is not None  # noqa: S101 - the caller has looked
    block.fact = msgspec.structs.replace(block.fact, victims=victims)
    return block.fact
