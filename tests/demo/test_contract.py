"""The JSON API keeps its promises, on real findings of the demo application."""

from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from demo_app.main import app
from demo_app.pairs import PAIRS, Pair
from tests.serving import serve

API = "/_diagnostics/api"
PROMISED = {
    "SQL101": "attribute count parents parent_query sql phase response_field",
    "SQL102": "attribute count parents parent_query sql phase response_field",
    "SQL103": "sql count distinct phase",
    "SQL104": "sql count distinct phase",
    "SQL106": "sql duration_ms threshold_ms",
    "SQL107": "attribute how rows",
    "SQL108": "attributes rows rows_apart",
    "SQL109": "sql rows threshold",
    "SQL110": "attribute count parents parent_query sql phase response_field",
    "SQL105": "sql count distinct phase",
    "SQL201": "attribute cause cause_location",
    "SQL202": "attribute cause cause_location",
    "SQL203": "tasks overlaps first second",
    "SQL301": "waited_ms capacity timed_out holders",
    "SQL302": "idle_ms held_ms call in_transaction writes",
    "SQL303": "connections opened_at took_at",
    "SQL304": "task closed_at used_at",
    "SQL305": "statements duration_ms locations",
    "SQL306": "statements sql opened_at closed_at",
    "SQL307": "error status caught",
    "LOOP101": "kind call duration_ms started_at hot_lines victims",
    "LOOP102": "kind call duration_ms started_at hot_lines victims count total_ms",
    "LOOP103": "kind call duration_ms started_at hot_lines victims thread",
    "LOOP201": "waited_ms threads holders",
    "TASK101": "task exception after_response",
    "TASK102": "tasks reason",
    "TASK103": "task exception after_response",
    "TASK104": "task",
    "TASK105": "task exception after_response",
    "TASK106": "task exception after_response",
    "TASK107": "task",
    "APP101": "handler registered_for raised",
    "APP104": "attribute",
    "REQ101": "errors hints",
    "RES101": "paths",
    "RES102": "paths",
    "RES103": "paths",
    "RES104": "paths",
    "RES105": "errors",
    "REQ102": "shadowed",
    "REQ103": "to",
    "EXC102": "exception",
    "EXC101": "",
}
FINDING_KEYS = (
    "rule name severity confidence title message location fix evidence request_id route routes "
    "fingerprint occurrences first_seen last_seen state"
)
RECORD_KEYS = (
    "id kind state method path query route status started_at duration_ms phases queries "
    "query_count time dependencies tasks protected cleared"
)

TRIES = 5
"""A block of the loop is not told of while the machine is too busy to run us."""

# What a failed lazy load leaves behind in the driver, with us and without.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine 'Connection.cursor' was never awaited"),
    pytest.mark.filterwarnings("ignore:coroutine 'remind' was never awaited"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    headers = {"Connection": "close"}  # uvicorn drops a connection after an exception
    with serve(app) as url, httpx.Client(base_url=url, timeout=20, headers=headers) as client:
        yield client


def call(client: httpx.Client, pair: Pair) -> tuple[dict, list[dict]]:
    """Send the defect and give its record and findings."""
    wanted = pair.defect
    with (
        client.stream(
            wanted.method, wanted.path, json=wanted.json, data=wanted.form, headers=wanted.headers
        ) as response,
        suppress(httpx.RemoteProtocolError),  # a body may break off, as TASK106 shows
    ):
        response.read()
    record_id = response.headers["x-diagnostics-id"]
    answer = client.get(f"{API}/requests/{record_id}", params={"wait": "closed"}).json()
    return answer["request"], answer["findings"]


def finding_of(client: httpx.Client, pair: Pair) -> dict | None:
    """Send the defect and give what its rule says of it."""
    _, findings = call(client, pair)
    return next((found for found in findings if found["rule"] == pair.rule), None)


one_of_each = pytest.mark.parametrize(
    "pair", {pair.rule: pair for pair in PAIRS}.values(), ids=lambda pair: pair.rule
)


@one_of_each
def test_a_finding_has_every_promised_key(client, pair) -> None:
    found = filter(None, (finding_of(client, pair) for _ in range(TRIES)))

    finding = next(found, None)
    assert finding is not None
    assert set(FINDING_KEYS.split()) - set(finding) == set()
    assert set(PROMISED[pair.rule].split()) - set(finding["evidence"]) == set()
    assert set(finding["location"]) >= {"file", "line", "function", "code"}
    assert finding["location"]["code"]


@one_of_each
def test_a_record_has_every_promised_key(client, pair) -> None:
    record, _ = call(client, pair)

    assert set(RECORD_KEYS.split()) - set(record) == set()
    assert set(record["time"]) == {"on_loop_ms", "queued_ms", "threadpool_ms", "awaiting_ms"}
    assert record["state"] == "closed"


def test_a_query_has_every_promised_key(client) -> None:
    record, _ = call(client, next(pair for pair in PAIRS if pair.rule == "SQL101"))

    assert set(record["queries"][0]) >= {
        *("sql", "kind", "duration_ms", "rows", "location", "phase"),
    }


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("findings", {"schema", "findings", "next"}),
        ("requests", {"schema", "requests", "next"}),
        ("rules", {"schema", "rules"}),
        ("status", {"schema", "hooks", "store", "queue", "dropped", "overhead", "versions"}),
        ("changes", {"schema", "token"}),
    ],
)
def test_every_answer_has_its_schema_and_keys(client, path, keys) -> None:
    answer = client.get(f"{API}/{path}").json()

    assert keys - set(answer) == set()
    assert answer["schema"] == 1


def test_times_are_utc_with_microseconds(client) -> None:
    record, _ = call(client, PAIRS[0])

    assert record["started_at"].endswith("Z")
    assert len(record["started_at"]) == len("2026-11-23T10:00:00.000000Z")


def test_one_line_called_by_two_requests_is_one_group(client) -> None:
    pair = next(pair for pair in PAIRS if pair.rule == "EXC101")
    _, [first] = call(client, pair)
    _, [second] = call(client, pair)

    group = client.get(f"{API}/findings/{first['fingerprint']}").json()

    assert first["fingerprint"] == second["fingerprint"]
    assert group["finding"]["occurrences"] >= 2
    assert set(group["occurrences"][0]) >= {"request_id", "at", "evidence"}


def test_an_action_needs_its_header_and_then_forgets_everything(client) -> None:
    without = client.post(f"{API}/clear")
    with_it = client.post(f"{API}/clear", headers={"X-Diagnostics-Action": "1"})
    left = client.get(f"{API}/requests").json()["requests"]

    assert (without.status_code, with_it.status_code) == (403, 204)
    assert left == []
