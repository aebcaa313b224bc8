"""What is done once, when the shop opens."""

import time

PAUSE_S = 0.15


async def unlock() -> None:
    """Wait for the lock of the stockroom, and keep all that shares the loop waiting."""
    time.sleep(PAUSE_S)  # noqa: ASYNC251 # defect: LOOP104 unlocking
