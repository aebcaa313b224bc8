"""A part of the corpus: 16 clients at once, and no innocent request is ever called the culprit."""

import pytest

from tests.corpus.loop.__main__ import quick
from tests.corpus.loop.judging import Score

TURNS = 3
"""What the machine gave no processor is rightly left out, so a busy one gets more turns."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_among_sixteen_requests_the_guilty_ones_are_named_and_nobody_else(loop) -> None:
    for _ in range(TURNS):
        score = quick(loop)
        assert score.false == 0, score.wrong  # however busy the machine is
        if _is_told(score):
            return

    pytest.fail(f"not told in {TURNS} turns: {score.wrong}")


def _is_told(score: Score) -> bool:
    return (
        score.blocks >= 8
        and score.found >= score.blocks - 1
        and score.right_line >= score.found - 2
        and score.explained == score.waits
    )
