"""The labelled corpus, situation by situation."""

from collections import Counter

import pytest

from fastapi_diagnostics.collectors.hooks import HOOKS
from tests.corpus.heap import only_what_follows_is_collected
from tests.corpus.http.run import situations, verdicts
from tests.corpus.http.situation import Situation, judge

SITUATIONS = situations()

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def judged():
    with only_what_follows_is_collected():
        yield {verdict.situation.name: verdict for verdict in verdicts(SITUATIONS)}
    HOOKS.undo()  # other tests install hooks of their own


@pytest.mark.parametrize("name", [s.name for s in SITUATIONS if s.applies])
def test_it_is_judged_as_labelled(judged, name) -> None:
    verdict = judged[name]

    assert (verdict.missed, verdict.accused) == ([], [])


def a_finding(**changes):
    defaults = {
        "rule": "RES101",
        "severity": "warning",
        "message": "margin was removed",
        "evidence": {"paths": ["margin"], "hints": [{"code": "alias"}]},
        "location": {"file": "app.py", "line": 3},
    }
    return defaults | changes


LABEL = Situation(
    "x", dict, "/", rule="RES101", hint="alias", paths=("margin",), says="margin", mark="HERE"
)
PLACES = {"HERE": ("app.py", 3)}


@pytest.mark.parametrize(
    ("status", "findings"),
    [
        (200, []),
        (500, [a_finding()]),
        (200, [a_finding(severity="info")]),
        (200, [a_finding(evidence={"paths": ["other"], "hints": [{"code": "alias"}]})]),
        (200, [a_finding(evidence={"paths": ["margin"], "hints": []})]),
        (200, [a_finding(location={"file": "app.py", "line": 4})]),
        (200, [a_finding(message="something else")]),
    ],
    ids=["nothing", "status", "severity", "path", "hint", "line", "message"],
)
def test_every_miss_is_seen(status, findings) -> None:
    assert judge(LABEL, 200, [a_finding()], PLACES).right
    assert judge(LABEL, status, findings, PLACES).missed


def test_of_two_consequences_none_may_be_missing_and_none_is_an_accusation() -> None:
    label = Situation("z", dict, "/", rule="RES101", hint="alias", also={"TASK101"})
    second = a_finding(rule="TASK101")

    assert judge(label, 200, [a_finding(), second], {}).right
    assert judge(label, 200, [a_finding()], {}).missed == ["TASK101 not found"]
    assert judge(label, 200, [a_finding(), a_finding(rule="TASK102")], {}).accused


def test_every_wrong_accusation_is_seen() -> None:
    note = a_finding(rule="SQL107", severity="info")
    silent = Situation("y", dict, "/", notes=frozenset({"SQL107"}))

    assert judge(silent, 200, [note], {}).right
    assert judge(silent, 200, [note | {"severity": "warning"}], {}).accused
    assert judge(silent, 200, [a_finding(severity="info")], {}).accused
    assert judge(LABEL, 200, [a_finding(), a_finding()], PLACES).accused


def test_the_corpus_is_large_enough_and_its_names_are_unique() -> None:
    names = Counter(situation.name for situation in SITUATIONS)

    families = {situation.rule[:3] for situation in SITUATIONS if situation.rule}

    assert len(SITUATIONS) >= 80
    assert families >= {"REQ", "RES", "EXC", "TAS", "APP"}
    assert {name: count for name, count in names.items() if count > 1} == {}
