"""What the guard lets pass, what it stops, and how a plan reads."""

from __future__ import annotations

import pytest

from audiences.audience import Guard, Sync
from audiences.errors import UnsafePlan
from audiences.plan import Plan

SYNC = Sync("detractors", "intercom", "intercom", {"email": "email"}, list="Detractors")


def plan(**counts):
    return Plan(SYNC, **({"rows": 1000, "listed": 1000} | counts))


@pytest.mark.parametrize(("verb", "share"), [("removed", 0.2), ("added", 0.5), ("updated", 0.5)])
def test_a_share_holds_to_the_member(verb, share):
    """
    Exactly the share passes, one member more is stopped.
    """
    most = int(1000 * share)
    plan(**{verb: most}).check(Guard())

    with pytest.raises(UnsafePlan) as stopped:
        plan(**{verb: most + 1}).check(Guard())
    assert f"{most + 1:,} {'to' if verb == 'added' else 'of'} 1,000 members" in stopped.value.what
    assert f"its guard allows {share:.0%}" in stopped.value.what
    assert "audiences sync detractors.intercom --force" in stopped.value.do


@pytest.mark.parametrize(("listed", "stopped"), [(9, False), (10, True)])
def test_the_floor_is_the_first_length_that_is_guarded(listed, stopped):
    """
    A list of floor members is guarded by shares, a shorter one is not, even if all leave.
    """
    gone = plan(listed=listed, removed=listed)
    if not stopped:
        gone.check(Guard())
        return

    with pytest.raises(UnsafePlan):
        gone.check(Guard())


def test_the_first_run_is_not_guarded_by_shares():
    """
    The first run of a sync, which lists nobody, adds as many as there are.
    """
    plan(listed=0, added=100_000).check(Guard())


def test_most_holds_at_any_length_and_with_force():
    """
    `most` counts all that change, from the first run on; force does not pass it.
    """
    some = plan(listed=5, added=1, updated=1, removed=1)
    some.check(Guard(most=3))

    for force in (False, True):
        with pytest.raises(UnsafePlan, match="would change 3 members; its guard allows 2 a run"):
            some.check(Guard(most=2), force)


def test_an_empty_result_holds_at_any_length_and_with_force():
    """
    A query without a row empties no list, unless the guard says so; where nobody is listed it is no matter.
    """
    for force in (False, True):
        with pytest.raises(UnsafePlan, match="returns nobody, and 1 member is listed"):
            plan(rows=0, listed=1, removed=1).check(Guard(), force)
    plan(rows=0, listed=0).check(Guard())
    plan(rows=0, listed=5, removed=5).check(Guard(empty=True))


def test_an_empty_result_that_is_allowed_still_has_a_share():
    """
    empty = true lets the query be empty; a long list is still emptied only with force.
    """
    emptied = plan(rows=0, removed=1000)

    with pytest.raises(UnsafePlan, match="remove 1,000 of 1,000"):
        emptied.check(Guard(empty=True))
    emptied.check(Guard(empty=True), force=True)


def test_force_passes_shares():
    """
    With force a plan over every share goes through.
    """
    plan(added=900, updated=900, removed=900).check(Guard(), force=True)


def test_the_rest_of_a_plan_that_was_broken_off_passes():
    """
    What an earlier plan was allowed to change, and did not, passes whatever share it is now; one member more does not.
    """
    plan(listed=5000, added=15_000).check(Guard(), promised={"added": 20_000})

    with pytest.raises(UnsafePlan, match="add 20,001 to 5,000"):
        plan(listed=5000, added=20_001).check(Guard(), promised={"added": 20_000})
    with pytest.raises(UnsafePlan, match="remove 2,000 of 5,000"):
        plan(listed=5000, removed=2000).check(Guard(), promised={"added": 20_000})


def test_the_reason_is_asked_for_only_when_a_share_stops_the_plan():
    """
    Finding a reason costs a query: nobody pays for it while nothing is wrong.
    """
    asked = []
    plan(removed=1).check(Guard(), why=lambda: asked.append(1) or "")
    assert asked == []

    with pytest.raises(UnsafePlan, match=r"\(every value of email became NULL\)"):
        plan(removed=999).check(Guard(), why=lambda: "every value of email became NULL")


def test_how_a_plan_reads():
    """
    The counts in one line, and a line for each further thing to know.
    """
    text = str(
        plan(added=1204, updated=87, removed=31, keyless=1, repeated=2, nameless=3, waiting=4, unknown=5, unsettled=6)
    )

    assert text.splitlines() == [
        "detractors → intercom (Detractors)",
        "  + 1,204 added   ~ 87 updated   − 31 removed   of 1,000 listed",
        "  set aside: 1 without a key, 2 with a key that the query returns more than once, 3 without an identifier",
        "  waiting: 4 refused before and unchanged (audiences refused detractors.intercom)",
        "  unknown: 5 sent without an answer, and not sent again before someone says what became of them"
        " (audiences resolve detractors.intercom)",
        "  an interrupted run left up to 6 rows in doubt; the next sync settles them first",
    ]
    assert plan().notes == []
