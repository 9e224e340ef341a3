"""The connector `moengage`: who is added at all, what an answer means, and that no opt-out is touched."""

from __future__ import annotations

import json

import httpx
import pytest

from audiences import Form, Member
from audiences.errors import CredentialsRefused, Deferred, DefinitionError
from dialogue import delivered, documented, first, fixtures

ADA, ZOE = "user/1", "user/2"
COHORT = "/v1/integrations/cohortsync"

dialogue, far, speak = fixtures("moengage", send=("uid", "nps"))


@pytest.fixture(autouse=True)
def users(far):
    """A workspace with two users."""
    far.users |= {ADA: {}, ZOE: {}}


def told(*ids, **fields):
    """Members with these ids, keyed by them, and with the same fields."""
    return [Member(each, {"uid": each, **fields}, n) for n, each in enumerate(ids)]


def test_a_stranger_is_refused_and_not_made(dialogue, far, speak):
    """
    Whom MoEngage would pass over without a word is refused with the reason, and neither written nor sent.
    """
    receipt = speak().upsert(far.list, told(ADA, "nobody", nps=3))

    assert receipt.accepted == {ADA}
    assert "once your app makes one" in receipt.rejected["nobody"]
    assert far.users == {ADA: {"nps": 3}, ZOE: {}}
    assert [body["parameters"]["members"] for body in dialogue.sent("POST", COHORT)] == [[{"uid": ADA}]]


def test_strangers_alone_make_no_change(dialogue, far, speak):
    """
    Where nobody is left to add, no call that adds is made.
    """
    assert speak().upsert(far.list, told("nobody")).rejected

    assert len(dialogue.calls) == 1


def test_who_is_deleted_meanwhile_is_not_made_anew(dialogue, far, speak):
    """
    Attributes are written of users who are there alone, also where one has gone since the look-up.
    """
    remote = speak(lambda request: far.users.pop(ADA, None) if "/customer/" in request.url.path else None)

    remote.upsert(far.list, told(ADA, nps=3))

    assert ADA not in far.users


def test_null_leaves_an_attribute(dialogue, far, speak):
    """
    It is not sent: where nothing else is, no attribute is written.
    """
    far.users[ADA] = {"nps": 9}

    assert speak().upsert(far.list, told(ADA, nps=None)).accepted == {ADA}

    assert far.users[ADA] == {"nps": 9}
    assert not dialogue.sent("POST", "/v1/customer/")


def test_whose_attributes_are_refused_is_not_listed(far, speak):
    """
    In MoEngage's own words; the others are.
    """
    receipt = speak().upsert(far.list, [*told(ADA, created_time=3), *told(ZOE, nps=3)])

    assert receipt.rejected == {ADA: "created_time is not valid"}
    assert far.listed() == [ZOE]


@pytest.mark.parametrize("path", ["/customers/export", "/customer/ws-3187", "/cohortsync"])
def test_an_answer_of_success_that_says_it_failed_is_a_refusal(far, speak, path):
    """
    Each of the calls is read: a 200 whose status is "fail" is no success.
    """
    failed = httpx.Response(200, json={"status": "fail", "error": {"message": "Not today"}})
    remote = speak(lambda request: failed if request.url.path.endswith(path) else None)

    sent = delivered(remote, far.list, told(ADA, nps=3))

    assert sent.reasons == {ADA: "Not today"}


@pytest.mark.parametrize("name", ["moe_unsubscribe", "MOE_SMS_SUBSCRIPTION", "push_preference", "_id"])
def test_moengages_own_attributes_cannot_be_sent(dialogue, name):
    """
    Opt-outs are among them: they are refused before any call.
    """
    with pytest.raises(DefinitionError, match=f"{name}(?s:.*)take it out of send"):
        dialogue.speak(send=["uid", name])
    assert not dialogue.calls


def test_an_opt_out_is_not_spoken_of(dialogue, far, speak):
    """
    Through add, update and removal a user stays opted out.
    """
    far.opt_out({"uid": ADA})
    remote = speak()

    for verb in (remote.upsert, remote.upsert, remote.remove):
        assert verb(far.list, told(ADA, nps=3)).accepted == {ADA}
        assert far.consent({"uid": ADA}) == "unsubscribed"
    assert "subscri" not in json.dumps(dialogue.calls)


@pytest.mark.parametrize("name", [".hidden", "a:b", "a*", 'say "no"'])
def test_a_name_that_no_cohort_can_have_is_refused(dialogue, speak, name):
    """
    Before any call, with what to leave out.
    """
    with pytest.raises(DefinitionError, match="cannot be the name of a cohort"):
        speak().upsert(name, told(ADA))
    assert not dialogue.calls


def test_a_cohort_goes_by_its_name(dialogue, far, speak):
    """
    Whoever fills it, it is the same one; the partner is the account's.
    """
    remote = speak(settings={"MOENGAGE_PARTNER": "acme"})

    remote.upsert(remote.prepare("Detractors"), told(ADA))

    [body] = dialogue.sent("POST", COHORT)
    assert (body["partner"], body["parameters"]["cohort_id"]) == ("acme", "Detractors")
    assert body["parameters"]["cohort_name"] == "Detractors"


def test_a_throttle_is_waited_out_or_deferred(dialogue, far, speak):
    """
    A 429, which says nothing of when, is tried again after a minute; one that stays leaves the sync.
    """
    assert speak(first(far.throttled(0))).remove(far.list, told(ADA)).accepted == {ADA}

    assert 60 <= dialogue.clock.now < 65
    with pytest.raises(Deferred):
        speak(lambda request: far.throttled(0)).remove(far.list, told(ADA))


def test_checking_changes_nothing(dialogue, far, speak):
    """
    The check of an account looks for someone who is not there; a refused key is told.
    """
    speak().check()

    [(_, where, body)] = dialogue.calls
    assert where == "/v1/customers/export?app_id=ws-3187"
    assert body["data"]["identifiers"] == [{"identifier_type": "customer_id", "identifier": "audiences-check"}]
    with pytest.raises(CredentialsRefused):
        speak(settings={"MOENGAGE_API_KEY": "another"}).check()


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("moengage", tmp_path)

    assert not found.errors
    assert found.bindings["team.moengage"].identity == {"uid": Form.EXACT}
