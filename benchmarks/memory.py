"""How memory grows over many requests, with us and without.

python -m benchmarks.memory [--requests 100000] [--scenario trivial]
"""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from benchmarks.apps import SCENARIOS, make_app
from benchmarks.subject import SCOPE

STEPS = 10


def main() -> int:
    """Drive both applications, one after the other in processes of their own, and print growth."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--scenario", choices=SCENARIOS, default="trivial")
    parser.add_argument("--mode", choices=("bare", "on"))
    options = parser.parse_args()
    if options.mode is not None:
        asyncio.run(_drive(options.scenario, options.mode, options.requests))
        return 0
    for mode in ("bare", "on"):
        print(f"{mode}: resident MiB after each tenth of {options.requests} requests", flush=True)
        arguments = ["--requests", str(options.requests), "--scenario", options.scenario]
        command = [sys.executable, "-m", "benchmarks.memory", *arguments, "--mode", mode]
        subprocess.run(command, check=True)  # noqa: S603 - our own module
    return 0


async def _drive(scenario: str, mode: str, requests: int) -> None:
    app = make_app(scenario, watched=mode == "on")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: MutableMapping[str, Any]) -> None:
        return None

    figures = []
    for _ in range(STEPS):
        for _ in range(requests // STEPS):
            await app({**SCOPE, "state": {}}, receive, send)
        await asyncio.sleep(0.3)
        figures.append(_resident_mib())
    print("  " + " ".join(f"{figure:.1f}" for figure in figures), flush=True)


def _resident_mib() -> float:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())
