"""APP104 over records."""

from fastapi_diagnostics.record import LostState
from fastapi_diagnostics.rules.app.lost_dependency_state import check
from tests.builders import a_location, a_record


def test_a_counter_is_a_note_at_the_line_that_counts() -> None:
    state = LostState(
        dependency="Limiter", attribute="calls", before=0, after=1, location=a_location()
    )

    (finding,) = check(a_record(lost_states=(state,)))

    assert (finding.severity, finding.confidence) == ("info", "likely")
    assert finding.location == a_location()
    assert finding.evidence["attribute"] == "Limiter.calls"
    assert "Limiter.calls went from 0 to 1, but Depends(Limiter) makes a new" in finding.message


def test_a_dictionary_is_told_by_its_entries() -> None:
    state = LostState(dependency="Cache", attribute="kept", before=0, after=3, entries=True)

    (finding,) = check(a_record(lost_states=(state,)))

    assert "went from 0 entries to 3 entries" in finding.message
