import anyio
import pytest

from fastapi_diagnostics.outputs.api import requests as module
from tests.builders import a_finding, a_query, a_report
from tests.outputs.backends import connected

SUMMARY_KEYS = {
    "id", "kind", "state", "name", "method", "path", "route", "status", "started_at",
    "duration_ms", "query_count", "query_ms", "findings", "failed_tasks", "worker",
}  # fmt: skip


async def test_requests_are_listed_newest_first(client, backend):
    backend.store.save([a_report(id="r1"), a_report(a_finding(), id="r2")])

    answer = await client.get("api/requests")

    body = answer.json()
    assert [item["id"] for item in body["requests"]] == ["r2", "r1"]
    assert set(body["requests"][0]) == SUMMARY_KEYS
    assert body["requests"][0]["findings"] == ["SQL101"]
    assert body["next"] is None


async def test_filters_are_joined(client, backend):
    backend.store.save(
        [
            a_report(id="r1", method="GET", status=200, duration_ms=5),
            a_report(id="r2", method="GET", status=500, duration_ms=50),
            a_report(id="r3", method="POST", status=500, duration_ms=50, route="POST /books"),
        ]
    )

    answer = await client.get("api/requests?method=get&status=500&min_ms=10&route=GET%20/books")

    assert [item["id"] for item in answer.json()["requests"]] == ["r2"]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("status=9", "status"),
        ("status=ok", "status"),
        ("min_ms=-1", "min_ms"),
        ("min_ms=nan", "min_ms"),
        ("min_ms=inf", "min_ms"),
        ("min_ms=soon", "min_ms"),
    ],
)
async def test_filters_that_make_no_sense_are_named(client, query, name):
    answer = await client.get(f"api/requests?{query}")

    assert answer.status_code == 422
    assert f'"{name}"' in answer.json()["error"]["message"]


async def test_one_request_is_the_whole_record_and_its_findings(client, backend):
    backend.store.save([a_report(a_finding(), id="r1", queries=(a_query(),))])

    answer = await client.get("api/requests/r1")

    body = answer.json()
    assert set(body) == {"schema", "request", "findings"}
    assert body["request"]["id"] == "r1"
    assert body["request"]["queries"][0]["location"]["file"] == "app/services.py"
    assert set(body["request"]["time"]) == {
        "on_loop_ms",
        "queued_ms",
        "threadpool_ms",
        "awaiting_ms",
    }
    assert body["findings"][0]["rule"] == "SQL101"


async def test_a_record_of_another_worker_is_waited_for(client, backend):
    async def arrive() -> None:
        while not backend.drained:
            await anyio.lowlevel.checkpoint()
        backend.store.save([a_report(id="late")])

    async with anyio.create_task_group() as group:
        group.start_soon(arrive)
        answer = await client.get("api/requests/late")

    assert answer.status_code == 200


async def test_a_record_that_never_comes_is_404_in_the_end(client, monkeypatch):
    monkeypatch.setattr(module, "ARRIVAL_S", 0.0)

    answer = await client.get("api/requests/never")

    assert answer.status_code == 404
    assert "never" in answer.json()["error"]["message"]


async def test_an_open_record_is_answered_at_once(client, backend):
    backend.store.save([a_report(id="r1", state="open")])

    answer = await client.get("api/requests/r1")

    assert answer.json()["request"]["state"] == "open"


async def test_wait_closed_waits_for_the_close(client, backend):
    backend.store.save([a_report(id="r1", state="open")])

    async def close() -> None:
        while not backend.drained:
            await anyio.lowlevel.checkpoint()
        backend.store.save([a_report(id="r1", state="closed")])

    async with anyio.create_task_group() as group:
        group.start_soon(close)
        answer = await client.get("api/requests/r1?wait=closed")

    assert answer.json()["request"]["state"] == "closed"


async def test_wait_closed_gives_up_with_the_open_record(client, backend, monkeypatch):
    monkeypatch.setattr(module, "CLOSE_S", 0.0)
    backend.store.save([a_report(id="r1", state="open")])

    answer = await client.get("api/requests/r1?wait=closed")

    assert answer.status_code == 200
    assert answer.json()["request"]["state"] == "open"


async def test_wait_takes_nothing_else(client):
    answer = await client.get("api/requests/r1?wait=forever")

    assert answer.status_code == 422


async def test_waiting_does_not_hold_the_loop(backend, monkeypatch):
    monkeypatch.setattr(module, "ARRIVAL_S", 0.2)
    turns = 0
    done = anyio.Event()

    async def count() -> None:
        nonlocal turns
        while not done.is_set():
            turns += 1
            await anyio.sleep(0.01)

    async with (
        connected(backend) as client,
        anyio.create_task_group() as group,
    ):
        group.start_soon(count)
        await client.get("api/requests/never")
        done.set()

    assert turns > 3
