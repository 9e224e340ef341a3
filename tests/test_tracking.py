"""Connectors that change profiles by `identify` events, `segment` and `rudderstack`: what an event says, and its id."""

from __future__ import annotations

import httpx
import pytest

from audiences import BatchRefused, Member, Unanswered
from audiences.errors import DefinitionError
from dialogue import Dialogue, documented

LIST = "in_detractors"


@pytest.fixture(params=["segment", "rudderstack"])
def name(request):
    return request.param


@pytest.fixture
def dialogue(name, tmp_path):
    return Dialogue(name, tmp_path, send=("userId", "plan"))


@pytest.fixture
def speak(dialogue):
    return dialogue.speak


def told(*names, seq=1, **fields):
    return [Member(f"key of {each}", {"userId": each, **fields}, seq + n) for n, each in enumerate(names)]


def events(dialogue):
    return [event for body in dialogue.sent("POST", "/v1/batch") for event in body["batch"]]


def traits_of(dialogue):
    """Of each event, from where the provider's own SDK has them."""
    where = {"segment": lambda event: event, "rudderstack": lambda event: event["context"]}[dialogue.path.stem]
    return [where(event)["traits"] for event in events(dialogue)]


def said(status=200, **answer):
    return lambda request: httpx.Response(status, **answer)


def test_the_manual_shows_a_section_that_works(name, tmp_path):
    """
    The sample in the docstring is a sync.
    """
    assert documented(name, tmp_path)


def test_an_event_is_as_documented(dialogue, speak):
    """
    One call for all members, signed with the write key; traits keep their types.
    """
    remote = speak(send=["userId", "seats"])
    remote.upsert(remote.prepare("Detractors"), told("u-1", "u-2", seats=3))

    [request] = dialogue.requests
    assert request.headers["authorization"] == "Basic bm90LWEtcmVhbC1rZXk6"
    assert [(each["type"], each["userId"]) for each in events(dialogue)] == [("identify", "u-1"), ("identify", "u-2")]
    assert traits_of(dialogue) == [{"seats": 3, LIST: True}] * 2


def test_a_removal_says_false_and_no_more(dialogue, speak):
    """
    Null might be left out on the way; false says to every destination that the user left. Other traits are not told.
    """
    speak().remove(LIST, told("u-1", plan="pro"))

    assert traits_of(dialogue) == [{LIST: False}]


@pytest.mark.parametrize(("null", "traits"), [("clear", {"plan": None, LIST: True}), ("keep", {LIST: True})])
def test_null_clears_or_keeps(dialogue, speak, null, traits):
    """
    A trait that is NULL travels as null, or with `null = "keep"` not at all; never as the false of a removal.
    """
    speak(null=null).upsert(LIST, told("u-1", plan=None))

    assert traits_of(dialogue) == [traits]


def test_an_id_is_of_the_sending_and_not_of_its_content(dialogue, speak):
    """
    Added, removed and added again in one run or the next are other events, however alike; two members' are, too.
    """
    first, next_ = speak(outbox="acme-detractors-1"), speak(outbox="acme-detractors-2")
    first.upsert(LIST, told("u-1", seq=1, plan="pro"))
    first.remove(LIST, told("u-1", seq=2, plan="pro"))
    first.upsert(LIST, told("u-1", "u-2", seq=3, plan="pro"))
    next_.upsert(LIST, told("u-1", seq=1, plan="pro"))

    ids = [each["messageId"] for each in events(dialogue)]
    assert len({*ids}) == len(ids) == 5
    assert not [each for each in ids if "detractors" in each]


def test_another_attempt_has_the_same_ids(dialogue, speak):
    """
    A call whose answer is lost is made again with the ids of the first, and so is a batch that is sent in halves.
    """
    lossy = speak(dialogue.losing("POST", "/v1/batch"), outbox="acme-detractors-1")
    lossy.upsert(LIST, told("u-1", "u-2", plan="pro"))
    speak(outbox="acme-detractors-1").upsert(LIST, told("u-2", seq=2, plan="pro"))

    ids = [[each["messageId"] for each in body["batch"]] for body in dialogue.sent("POST")]
    assert ids[0] == ids[1]
    assert ids[2] == ids[0][1:]


def test_an_event_that_is_too_large_refuses_its_member(dialogue, speak):
    """
    Told before it is sent, since the provider refuses the whole call; alone it is no call at all.
    """
    remote = speak()

    receipt = remote.upsert(LIST, [*told("u-1", plan="é" * 20_000), *told("u-2", seq=2, plan=2**70)])

    assert receipt.accepted == {"key of u-2"}
    assert "32,000" in receipt.rejected["key of u-1"]
    assert len(remote.upsert(LIST, told("u-1", plan="é" * 20_000)).rejected) == 1
    assert len(dialogue.requests) == 1


def test_who_has_no_user_id_goes_by_the_key(dialogue, speak):
    """
    Where `userId` is not sent the member's key is it.
    """
    speak(send=["plan"]).upsert(LIST, [Member("u-7", {"plan": "pro"}, 1)])

    assert [each["userId"] for each in events(dialogue)] == ["u-7"]


def test_success_that_says_otherwise_is_none(speak):
    """
    An answer of success with a refusal in it is one; a page for people is no answer; any other text is not read.
    """
    with pytest.raises(BatchRefused) as refusal:
        speak(said(json={"success": False, "message": "no such source"})).upsert(LIST, told("u-1", plan="pro"))
    with pytest.raises(Unanswered, match="a page"):
        speak(said(text="\n<!doctype html>")).upsert(LIST, told("u-1", plan="pro"))

    assert refusal.value.reason == "no such source"
    for text in ("OK", "{", "[]", ""):
        assert speak(said(text=text)).upsert(LIST, told("u-1", plan="pro")).accepted == {"key of u-1"}


def test_a_list_is_no_array(speak):
    """
    A trait is replaced whole, so a name cannot be added to an array: the option has one value.
    """
    with pytest.raises(ValueError, match="membership"):
        speak(membership="array")


@pytest.mark.parametrize("url", ["http://data.example.com", "https://", "data.example.com", "https://a b"])
def test_a_data_plane_has_an_address(tmp_path, url):
    """
    RudderStack's is the account's own: https and a host, or the variable is named.
    """
    rudderstack = Dialogue("rudderstack", tmp_path, send=("userId",))

    with pytest.raises(DefinitionError, match="RUDDERSTACK_DATA_PLANE_URL"):
        rudderstack.speak(settings={"RUDDERSTACK_DATA_PLANE_URL": url})


def test_a_data_plane_may_have_a_path(tmp_path):
    """
    Behind a gateway, the API is below the address that is given.
    """
    rudderstack = Dialogue("rudderstack", tmp_path, send=("userId",))
    settings = {"RUDDERSTACK_DATA_PLANE_URL": "https://gateway.example.com/rudder/"}

    rudderstack.speak(said(text="OK"), settings=settings).upsert(LIST, told("u-1"))

    assert str(rudderstack.requests[0].url) == "https://gateway.example.com/rudder/v1/batch"
