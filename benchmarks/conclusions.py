"""What the worker does for a request without findings, in CPU time of its thread.

    python -m benchmarks.conclusions [--requests 2000]

Requests of the trivial endpoint are recorded while the worker sleeps; then they are concluded one
by one and kept in batches, as the worker would.
"""

import argparse
import asyncio
import sys
import time
from statistics import median
from typing import Any

from benchmarks.apps import make_app
from benchmarks.subject import SCOPE
from fastapi_diagnostics.pipeline import Pipeline

GOAL_US = 60.0
WARM_UP = 200
BATCH = 50


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conclusions")
    parser.add_argument("--requests", type=int, default=2000)
    options = parser.parse_args()
    jobs = _sealed(options.requests + WARM_UP)
    _concluded(jobs[:WARM_UP])
    conclude, keep = _concluded(jobs[WARM_UP:])
    print("| to conclude, µs | to keep | together | goal |\n| --- | --- | --- | --- |")
    print(f"| {conclude:.1f} | {keep:.1f} | {conclude + keep:.1f} | {GOAL_US:.0f} |")
    return 0


def _sealed(count: int) -> list[tuple[Pipeline, Any]]:
    """Record requests; give what would have been queued."""
    jobs: list[tuple[Pipeline, Any]] = []

    def submit(self: Pipeline, sealed: Any) -> bool:
        jobs.append((self, sealed))
        return True

    original = Pipeline.submit
    Pipeline.submit = submit  # type: ignore[method-assign] - of this process alone
    try:
        asyncio.run(_request(count))
    finally:
        Pipeline.submit = original  # type: ignore[method-assign]
    return jobs


async def _request(count: int) -> None:
    app = make_app("trivial", watched=True)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: dict[str, Any]) -> None:
        return None

    for _ in range(count):
        await app({**SCOPE, "state": {}}, receive, send)


def _concluded(jobs: list[tuple[Pipeline, Any]]) -> tuple[float, float]:
    """Give the µs of a conclusion, as median, and of keeping one result, as mean."""
    times, reports = [], []
    for pipeline, job in jobs:
        began = time.thread_time()
        reports.append(pipeline.conclude(job))
        times.append(time.thread_time() - began)
    began = time.thread_time()
    for start in range(0, len(reports), BATCH):
        pipeline.keep([report for report in reports[start : start + BATCH] if report is not None])
    return median(times) * 1e6, (time.thread_time() - began) / len(reports) * 1e6


if __name__ == "__main__":
    sys.exit(main())
