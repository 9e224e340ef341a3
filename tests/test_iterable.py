"""The connector `iterable`: whom it may add, what it makes of an answer, and that no opt-out is touched."""

from __future__ import annotations

import httpx
import pytest

from audiences import BatchRefused, Member
from audiences.errors import CredentialsRefused, Deferred, DefinitionError
from dialogue import ADA, ZOE, Dialogue, told


@pytest.fixture
def iterable(tmp_path):
    return Dialogue("iterable", tmp_path)


def by_id(*names, **fields):
    return [Member(each, {"userId": each, **fields}, n) for n, each in enumerate(names)]


def answering(verb, **said):
    """Let a verb of the lists get this answer."""
    return lambda request: httpx.Response(200, json=said) if request.url.path.endswith(f"/lists/{verb}") else None


@pytest.mark.parametrize("new", ["refuse", "subscribed"])
def test_who_opted_out_stays_out(iterable, new):
    """
    Through add, update and removal an opt-out is as the user left it, and no call speaks of one.
    """
    iterable.far.user(ADA)["unsubscribedChannelIds"] = [5]
    remote = iterable.speak(new=new, send=["email", "npsScore"])
    where = remote.prepare("Detractors")

    for verb in (remote.upsert, remote.upsert, remote.remove):
        assert verb(where, told(ADA, npsScore=3)).accepted == {ADA}
        assert iterable.far.users[ADA]["unsubscribedChannelIds"] == [5]
    assert iterable.far.lists_of(ADA) == []
    assert [body["channelUnsubscribe"] for body in iterable.sent("POST", "/api/lists/unsubscribe")] == [False]


@pytest.mark.parametrize("name", ["emailListIds", "unsubscribedChannelIds", "subscribedMessageTypeIds"])
def test_an_opt_out_cannot_be_sent(iterable, name):
    """
    The fields in which Iterable keeps what a user has opted out of are refused before any call.
    """
    with pytest.raises(DefinitionError, match=f"{name}(?s:.*)take it out of send"):
        iterable.speak(send=["email", name])
    assert not iterable.calls


def test_a_stranger_is_refused(iterable):
    """
    Who is no user is not made one, though the project would make one; the reason names the option that would.
    """
    iterable.far.user(ADA)
    remote = iterable.speak()

    receipt = remote.upsert(remote.prepare("Detractors"), told(ADA, ZOE, "nowhere"))

    assert receipt.accepted == {ADA}
    assert 'new = "subscribed"' in receipt.rejected[ZOE]
    assert receipt.rejected["nowhere"] == "malformed, says Iterable"
    assert iterable.far.users.keys() == {ADA}


def test_strangers_alone_make_no_change(iterable):
    """
    Where nobody is left to add, no call that adds is made: each is refused for a reason of their own.
    """
    remote = iterable.speak()

    receipt = remote.upsert(remote.prepare("Detractors"), told(ADA, ZOE))

    assert receipt.rejected.keys() == {ADA, ZOE}
    assert not iterable.sent("POST", "/api/lists/")


def test_a_stranger_becomes_a_user_where_the_sync_says_so(iterable):
    """
    With new = "subscribed" nobody is looked up, and a stranger is made a user with the fields that are sent.
    """
    remote = iterable.speak(new="subscribed", send=["email", "npsScore"])

    receipt = remote.upsert(remote.prepare("Detractors"), told(ZOE, npsScore=3))

    assert not receipt.rejected
    assert iterable.far.holds({"email": ZOE, "npsScore": 3})
    assert not iterable.sent("GET", "/api/users")


@pytest.mark.parametrize("project", ["email", "userId", "hybrid"])
def test_a_user_may_go_by_id(iterable, project):
    """
    By userId a stranger is told by the call itself, whatever the kind of the project, and made where the sync says so.
    """
    iterable.far.project = project
    iterable.far.user("U-1")
    careful, free = (iterable.speak(send=["userId"], new=new) for new in ("refuse", "subscribed"))
    where = careful.prepare("Detractors")

    receipts = [each.upsert(where, by_id("U-1", "U-2")) for each in (careful, free)]

    assert [each.accepted for each in receipts] == [{"U-1"}, {"U-1", "U-2"}]
    assert not iterable.sent("GET", "/api/users")
    assert [*free.members(where)] == [{"userId": "U-1"}, {"userId": "U-2"}]


def test_a_user_goes_by_one_of_the_two(iterable):
    """
    Both identifiers at once are refused, with the way out.
    """
    with pytest.raises(DefinitionError, match=r"both are sent\n  do: send the one"):
        iterable.speak(send=["email", "userId"])


def test_a_value_of_another_type_spoils_one_member(iterable):
    """
    Whom Iterable names in an answer of success as not updated is refused; the others are on the list.
    """
    for each in (ADA, ZOE):
        iterable.far.user(each)
    remote = iterable.speak(send=["email", "npsScore"])

    receipt = remote.upsert(remote.prepare("Detractors"), [*told(ADA, npsScore=3), *told(ZOE, npsScore="many")])

    assert "another type" in receipt.rejected[ZOE]
    assert (iterable.far.lists_of(ADA), iterable.far.lists_of(ZOE)) == (["Detractors"], [])


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("subscribe", {"successCount": 1, "failCount": 1}),
        ("subscribe", {"successCount": 1, "failCount": 0, "failedUpdates": {}}),
        ("subscribe", {"successCount": 1, "failCount": 1, "failedUpdates": {"conflictEmails": ["other@example.com"]}}),
        ("unsubscribe", {"successCount": 1, "failCount": 1}),
    ],
)
def test_a_failure_that_names_nobody_is_found_by_halving(iterable, verb, said):
    """
    Where the counts say that somebody was left out and nobody is named, the batch is refused, so that it is halved.
    """
    remote = iterable.speak(answering(verb, **said), new="subscribed")
    where = remote.prepare("Detractors")

    with pytest.raises(BatchRefused) as refusal:
        (remote.upsert if verb == "subscribe" else remote.remove)(where, told(ADA, ZOE))
    assert "1 of 2" in refusal.value.reason


@pytest.mark.parametrize(
    "failed",
    [{"invalidDataEmails": [ADA.upper()]}, {"conflictEmails": [ADA]}, {"forgottenEmails": [ADA]}, {"newEmails": [ADA]}],
)
def test_whoever_is_named_is_refused(iterable, failed):
    """
    Every kind of failure counts, one that is new too, and an address is recognised in capitals.
    """
    said = {"successCount": 1, "failCount": 1, "failedUpdates": failed}
    remote = iterable.speak(answering("subscribe", **said), new="subscribed")

    receipt = remote.upsert(remote.prepare("Detractors"), told(ADA, ZOE))

    assert receipt.rejected.keys() == {ADA}


@pytest.mark.parametrize(
    ("why", "left"), [("notFoundEmails", set()), ("forgottenEmails", set()), ("conflictEmails", {ADA})]
)
def test_who_is_no_user_is_on_no_list(iterable, why, left):
    """
    A removal of someone whom Iterable does not know, or has forgotten, is done; any other failure is told.
    """
    said = {"successCount": 0, "failCount": 1, "failedUpdates": {why: [ADA]}}
    remote = iterable.speak(answering("unsubscribe", **said))

    assert remote.remove(remote.prepare("Detractors"), told(ADA)).rejected.keys() == left


def test_a_field_that_is_dropped_stops_the_sync(iterable):
    """
    A project that takes only the fields it knows is an error that names those it dropped.
    """
    iterable.far.keeps_unknown = False
    remote = iterable.speak(new="subscribed", send=["email", "plan"])

    with pytest.raises(DefinitionError, match=r"does not know: plan\n  do: add them"):
        remote.upsert(remote.prepare("Detractors"), told(ADA, plan="free"))


def test_each_region_has_its_host(iterable):
    """
    A project in the EU is spoken to there; a region that Iterable does not have is named.
    """
    iterable.far.settings["ITERABLE_REGION"] = "eu"

    assert iterable.speak().prepare("Detractors") == "1001"
    iterable.far.settings["ITERABLE_REGION"] = "de"
    with pytest.raises(DefinitionError, match="ITERABLE_REGION"):
        iterable.speak()


def test_a_throttle_is_waited_out_or_deferred(iterable):
    """
    A 429, which says nothing of when, is tried again a few times; one that stays leaves the sync for the next run.
    """
    replies = [iterable.far.throttled(0)]

    assert iterable.speak(lambda request: replies.pop() if replies else None).prepare("Detractors") == "1001"
    with pytest.raises(Deferred):
        iterable.speak(lambda request: iterable.far.throttled(0)).prepare("Detractors")


def test_checking_changes_nothing(iterable):
    """
    The check of an account is one look at its lists; a refused key is told.
    """
    iterable.speak().check()

    assert iterable.calls == [("GET", "/api/lists", None)]
    iterable.far.settings["ITERABLE_API_KEY"] = "not-a-real-key-either"
    remote = iterable.speak(lambda request: httpx.Response(401))
    with pytest.raises(CredentialsRefused):
        remote.check()
