import json

import pytest

from tests.builders import a_finding, a_report

FINDING_KEYS = {
    "rule", "name", "severity", "confidence", "title", "message", "location", "fix", "evidence",
    "request_id", "route", "routes", "fingerprint", "occurrences", "first_seen", "last_seen",
    "state", "reason",
}  # fmt: skip


async def test_a_list_of_nothing_is_an_empty_list(client):
    answer = await client.get("api/findings")

    assert answer.status_code == 200
    assert answer.json() == {"schema": 1, "findings": [], "next": None}
    assert answer.headers["content-type"] == "application/json"


async def test_a_finding_has_every_key_of_the_contract(client, backend):
    backend.store.save([a_report(a_finding())])

    answer = await client.get("api/findings")

    [finding] = answer.json()["findings"]
    assert set(finding) == FINDING_KEYS
    assert set(finding["location"]) == {"file", "line", "function", "code"}
    assert finding["occurrences"] == 1
    assert finding["routes"] == ["GET /books"]


async def test_answers_wait_for_what_was_recorded_before(client, backend):
    await client.get("api/findings")

    assert backend.drained == 1


async def test_only_open_findings_are_listed_unless_asked(client, backend):
    backend.store.save([a_report(a_finding(fingerprint="f1"), a_finding(fingerprint="f2"))])
    backend.store.set_state("f2", "ignored", "known")

    listed = await client.get("api/findings")
    ignored = await client.get("api/findings?state=ignored")
    both = await client.get("api/findings?state=any")

    assert [item["fingerprint"] for item in listed.json()["findings"]] == ["f1"]
    assert [item["reason"] for item in ignored.json()["findings"]] == ["known"]
    assert len(both.json()["findings"]) == 2


async def test_the_findings_of_a_request_are_its_own_in_any_state(client, backend):
    backend.store.save([a_report(a_finding(fingerprint="f1"), id="r1"), a_report(id="r2")])
    backend.store.set_state("f1", "resolved")

    of_first = await client.get("api/findings?request_id=r1")
    of_second = await client.get("api/findings?request_id=r2")

    assert [item["fingerprint"] for item in of_first.json()["findings"]] == ["f1"]
    assert of_second.json()["findings"] == []


async def test_cursors_lead_through_all_pages(client, backend):
    backend.store.save(
        [a_report(a_finding(fingerprint=f"f{number}"), id=f"r{number}") for number in range(5)]
    )
    seen = []

    answer = await client.get("api/findings?limit=2")
    seen += answer.json()["findings"]
    while answer.json()["next"]:
        answer = await client.get(
            "api/findings", params={"limit": 2, "cursor": answer.json()["next"]}
        )
        seen += answer.json()["findings"]

    assert sorted(item["fingerprint"] for item in seen) == ["f0", "f1", "f2", "f3", "f4"]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=1&limit=2", "limit"),
        ("severity=fatal", "severity"),
        ("state=closed", "state"),
        (f"route={'x' * 3000}", "route"),
    ],
)
async def test_a_value_that_is_not_allowed_is_named_with_what_is(client, query, name):
    answer = await client.get(f"api/findings?{query}")

    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["code"] == "invalid-parameter"
    assert f'"{name}"' in error["message"]
    assert "must be" in error["message"]


@pytest.mark.parametrize("cursor", ["x", "!!!", "WyJyIiwxXQ", "%00", "'%20OR%201=1--"])
async def test_a_cursor_from_elsewhere_is_refused(client, cursor):
    answer = await client.get(f"api/findings?cursor={cursor}")

    assert answer.status_code == 422
    assert answer.json()["schema"] == 1


async def test_one_finding_comes_with_its_requests(client, backend):
    backend.store.save([a_report(a_finding(), id=f"r{number}") for number in range(3)])

    answer = await client.get("api/findings/f1?limit=2")

    body = answer.json()
    assert set(body) == {"schema", "finding", "occurrences", "next"}
    assert body["finding"]["occurrences"] == 3
    assert [set(item) for item in body["occurrences"]] == [{"request_id", "at", "evidence"}] * 2
    assert body["next"]


async def test_an_unknown_finding_is_404(client):
    answer = await client.get("api/findings/v1:nothing")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not-found"
    assert "v1:nothing" in answer.json()["error"]["message"]


async def test_marking_changes_the_state(client, backend):
    backend.store.save([a_report(a_finding())])

    answer = await client.post("api/findings/f1/state", json={"state": "ignored", "reason": "old"})
    again = await client.post("api/findings/f1/state", json={"state": "open"})

    assert answer.status_code == 200
    assert answer.json() == {"schema": 1, "fingerprint": "f1", "state": "ignored", "reason": "old"}
    assert again.json()["state"] == "open"
    assert backend.store.finding("f1").state == "open"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[]",
        b'"open"',
        b"{}",
        b'{"state": "closed"}',
        b'{"state": "open", "sql": "DROP TABLE t"}',
        b'{"state": "open", "reason": 1}',
        b'{"state": "open", "reason": "\xff"}',
        b"[" * 50_000,
        json.dumps({"state": "open", "reason": "x" * 1001}).encode(),
    ],
)
async def test_a_mark_of_another_shape_is_refused(client, backend, body):
    backend.store.save([a_report(a_finding())])

    answer = await client.post("api/findings/f1/state", content=body)

    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid-body"
    assert backend.store.finding("f1").state == "open"


async def test_a_huge_mark_is_refused_before_it_is_read_to_the_end(client):
    answer = await client.post("api/findings/f1/state", content=b"x" * (2 << 20))

    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "too-large"


async def test_marking_what_is_not_there_is_404(client):
    answer = await client.post("api/findings/none/state", json={"state": "open"})

    assert answer.status_code == 404
