"""The connector `userpilot`: one job at a time, what becomes of it, and values of the kinds that are documented."""

from __future__ import annotations

import httpx
import pytest

from audiences import Form, Member
from audiences.errors import CredentialsRefused, Deferred, DefinitionError
from dialogue import documented, fixtures

dialogue, far, speak = fixtures("userpilot", send=("user_id", "plan"))

LISTED = {"in_detractors": "true"}


def users(*names, **fields):
    return [Member(each, {"user_id": each, **fields}, n) for n, each in enumerate(names)]


def test_a_job_is_followed_to_its_end(speak, far):
    """
    Taken in is not yet judged; completed, everybody in it is taken, and nobody was written before.
    """
    remote = speak()
    receipt = remote.upsert("in_detractors", members := users("u-1", "u-2", plan="paid"))

    assert (receipt.accepted, receipt.ticket) == ({"u-1", "u-2"}, "job-1")
    assert (remote.outcome("job-1", members), far.users) == (None, {})
    far.works()
    assert speak().outcome("job-1", members).accepted == {"u-1", "u-2"}
    assert far.users == {each: {"plan": "paid", **LISTED} for each in ("u-1", "u-2")}


@pytest.mark.parametrize("status", ["queued", "validating", "processing", "pending_refresh", "something new"])
def test_only_the_two_last_states_are_a_verdict(speak, far, status):
    """
    Any other, one that is not documented too, is not yet.
    """
    remote = speak()
    receipt = remote.upsert("in_detractors", members := users("u-1"))
    far.jobs[receipt.ticket]["status"] = status

    assert remote.outcome(receipt.ticket, members) is None


def test_a_job_that_failed_or_is_forgotten_ends(speak, far):
    """
    Everybody in it is refused, so that they are sent again, and nobody waits for ever.
    """
    far.fails = True
    remote = speak()
    receipt = remote.upsert("in_detractors", members := users("u-1", "u-2"))
    far.works()

    assert "the job failed" in remote.outcome(receipt.ticket, members).rejected["u-2"]
    assert "does not know this job" in remote.outcome("job/7", members).rejected["u-1"]


def test_a_job_that_is_in_the_way_is_waited_for(speak, far, dialogue):
    """
    A 409 says that another one runs: half a minute later the same members are taken.
    """
    far.slow = True
    remote = speak()
    remote.upsert("in_detractors", users("u-1"))

    assert remote.upsert("in_detractors", users("u-2")).ticket == "job-2"
    assert [len(body["users"]) for body in dialogue.sent("POST")] == [1, 1, 1]
    assert dialogue.clock.now == pytest.approx(30, abs=1)


def test_a_job_that_stays_in_the_way_is_left_for_the_next_run(speak):
    """
    Past the patience of a run nothing is lost: nobody was told anything.
    """
    remote = speak(lambda request: httpx.Response(409, json={"error": "Another job is running"}))

    with pytest.raises(Deferred):
        remote.upsert("in_detractors", users("u-1"))


def test_a_removal_leaves_all_but_the_list(speak, far):
    """
    The property is set to "false", as how to empty one is not documented; who is a stranger gets it, too.
    """
    far.users = {"u-1": {"plan": "paid", "in_promoters": "true", **LISTED}}

    speak().remove("in_detractors", users("u-1", "u-2", plan="free"))
    far.works()

    assert far.users["u-1"] == {"plan": "paid", "in_promoters": "true", "in_detractors": "false"}
    assert far.users["u-2"] == {"in_detractors": "false"}


@pytest.mark.parametrize(("value", "kept"), [(True, "true"), (False, "false"), (7, 7), (2.5, 2.5), ("0012", "0012")])
def test_values_travel_as_text_and_numbers(speak, far, value, kept):
    """
    A boolean is not among the documented kinds, and is told as a text.
    """
    speak().upsert("in_detractors", users("u-1", plan=value))
    far.works()

    assert far.users["u-1"] == {"plan": kept, **LISTED}
    assert type(far.users["u-1"]["plan"]) is type(kept)


def test_null_leaves_a_property(speak, far, dialogue):
    """
    It is not sent; an option that would have it emptied is refused.
    """
    far.users = {"u-1": {"plan": "paid"}}

    speak().upsert("in_detractors", users("u-1", plan=None))
    far.works()

    assert far.users["u-1"]["plan"] == "paid"
    for option in ({"null": "clear"}, {"membership": "array"}):
        with pytest.raises(ValueError, match=next(iter(option))):
            dialogue.cls.Options(**option)


def test_a_list_or_a_struct_spoils_one_member(speak, far, dialogue):
    """
    It is refused unsent, and the others travel; where nobody is left there is no job, and so no ticket.
    """
    remote = speak()

    receipt = remote.upsert("in_detractors", [*users("u-1", plan=["a"]), *users("u-2", plan="paid")])
    alone = remote.upsert("in_detractors", users("u-1", plan={"a": 1}))

    assert "plan holds a list" in receipt.rejected["u-1"]
    assert (receipt.accepted, receipt.ticket) == ({"u-2"}, "job-1")
    assert (alone.rejected.keys(), alone.ticket) == ({"u-1"}, None)
    assert len(dialogue.sent("POST")) == 1


def test_a_full_batch_is_a_job_of_a_minute(dialogue):
    """
    1,200 users a minute are documented, so that a job that is in the way ends while a run waits.
    """
    assert dialogue.cls.limits.batch / 1200 * 60 < 60
    assert dialogue.cls.limits.concurrency == 1


def test_a_region_that_there_is_not_is_named(speak):
    """
    By its variable.
    """
    with pytest.raises(DefinitionError, match="USERPILOT_REGION"):
        speak(settings={"USERPILOT_REGION": "de"})


def test_checking_changes_nothing(speak, far, dialogue):
    """
    The check of an account is one look for a job that there is not; a refused key is told.
    """
    speak().check()

    assert [method for method, _, _ in dialogue.calls] == ["GET"]
    with pytest.raises(CredentialsRefused):
        speak(lambda request: httpx.Response(401)).check()


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("userpilot", tmp_path)

    assert not found.errors
    assert found.bindings["team.userpilot"].identity == {"user_id": Form.EXACT}
