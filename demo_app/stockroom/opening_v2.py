"""What is done once, when the shop opens (mended)."""

import asyncio

from demo_app.stockroom.opening import PAUSE_S


async def unlock_v2() -> None:
    """Mended: whatever else starts goes on meanwhile."""
    await asyncio.sleep(PAUSE_S)
