import pytest

from fastapi_diagnostics.faults import FAULTS
from tests.builders import a_finding, a_report
from tests.outputs.backends import PREFIX

READABLE = ["findings", "requests", "rules", "rules/SQL101", "status", "changes"]


async def test_rules_are_listed_with_all_their_words(client):
    answer = await client.get("api/rules")

    first = answer.json()["rules"][0]
    assert {"code", "name", "title", "family", "severity", "what", "why", "example", "instead",
            "limits"} <= set(first)  # fmt: skip


@pytest.mark.parametrize("name", ["SQL101", "n-plus-one-relationship"])
async def test_a_rule_is_found_by_code_and_by_name(client, name):
    answer = await client.get(f"api/rules/{name}")

    assert answer.json()["rule"]["code"] == "SQL101"


async def test_the_status_is_handed_on(client, backend):
    answer = await client.get("api/status")

    assert answer.json() == {"schema": 1, **backend.status()}


async def test_changes_count_from_a_token(client, backend):
    before = (await client.get("api/changes")).json()
    backend.store.save([a_report(a_finding())])

    after = (await client.get("api/changes", params={"since": before["token"]})).json()
    again = (await client.get("api/changes", params={"since": after["token"]})).json()

    assert set(after) == {"schema", "token", "requests", "findings", "groups"}
    assert (after["requests"], after["findings"], after["groups"]) == (1, 1, 1)
    assert (again["requests"], again["findings"], again["groups"]) == (0, 0, 0)


async def test_clear_forgets_everything(client, backend):
    backend.store.save([a_report(a_finding())])

    answer = await client.post("api/clear")

    assert answer.status_code == 204
    assert answer.content == b""
    assert (await client.get("api/requests")).json()["requests"] == []


@pytest.mark.parametrize("path", ["api/nothing", "api/", "api", "api/findings/a/b/c"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_paths_that_are_none_are_404_in_json(client, path, method):
    answer = await client.request(method, f"http://test{PREFIX}/{path}")

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not-found"


@pytest.mark.parametrize("path", READABLE)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_are_405_with_what_is_allowed(client, path, method):
    answer = await client.request(method, f"api/{path}")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert answer.json()["error"]["code"] == "method-not-allowed"


@pytest.mark.parametrize("path", ["clear", "findings/f1/state"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
async def test_actions_are_post_only(client, backend, path, method):
    backend.store.save([a_report(a_finding())])

    answer = await client.request(method, f"api/{path}")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"
    assert backend.store.status().totals.requests == 1


@pytest.mark.parametrize("path", READABLE)
async def test_head_is_get_without_a_body(client, path):
    got = await client.get(f"api/{path}")
    headed = await client.head(f"api/{path}")

    assert headed.status_code == got.status_code == 200
    assert headed.content == b""
    assert headed.headers["content-length"] == got.headers["content-length"]


async def test_parameters_we_do_not_know_change_nothing(client):
    answer = await client.get("api/findings?callback=x")

    assert answer.json() == {"schema": 1, "findings": [], "next": None}


async def test_a_failure_of_ours_is_a_500_in_json_and_is_counted(client, backend, monkeypatch):
    FAULTS.clear()

    def failing() -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(backend, "status", failing)

    answer = await client.get("api/status")

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    assert "broken" not in answer.text
    assert FAULTS.count("api /api/status") == 1
    FAULTS.clear()
