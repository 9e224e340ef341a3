"""The connector `activecampaign`: no subscription is touched, and each member has a fate of its own."""

from __future__ import annotations

import json

import httpx
import pytest

import specification
import specified
from audiences.errors import Deferred, DefinitionError
from dialogue import ADA, ZOE, Dialogue, told

FIELDS = ["email", "firstName", "NPS_SCORE"]

either_new = pytest.mark.parametrize("new", ["refuse", "unsubscribed"])


@pytest.fixture
def campaign(tmp_path):
    return Dialogue("activecampaign", tmp_path)


@either_new
@pytest.mark.parametrize("status", [1, 2, None], ids=["active", "unsubscribed", "on no list"])
def test_a_subscription_stays_as_it_is(campaign, status, new):
    """
    Through add, update and removal whoever has left a list has left it, and no call speaks of lists.
    """
    lists = campaign.far.contact(ADA, status)["lists"].copy()
    remote = campaign.speak(new=new, send=FIELDS)
    tag = remote.prepare("Detractors")

    for verb in (remote.upsert, remote.upsert, remote.remove):
        assert verb(tag, told(ADA, NPS_SCORE=3)).accepted == {ADA}
        assert campaign.far.found(ADA)["lists"] == lists
    assert campaign.far.tags_of(ADA) == []
    assert not [path for _, path, _ in campaign.calls if "list" in path.lower() or "sync" in path or "import" in path]
    assert "list" not in json.dumps([body for _, _, body in campaign.calls])


def test_a_stranger_is_refused(campaign):
    """
    Who is no contact is not made one, and the reason names the option that would.
    """
    campaign.far.contact(ADA)
    remote = campaign.speak()

    receipt = remote.upsert(remote.prepare("Detractors"), told(ADA, ZOE))

    assert receipt.accepted == {ADA}
    assert 'new = "unsubscribed"' in receipt.rejected[ZOE]
    assert campaign.far.found(ZOE) is None


def test_a_stranger_becomes_a_contact_of_no_list(campaign):
    """
    With new = "unsubscribed" a stranger is made a contact with its fields and the tag, and subscribes to nothing.
    """
    remote = campaign.speak(new="unsubscribed", send=FIELDS)

    receipt = remote.upsert(remote.prepare("Detractors"), told(ZOE, firstName="Zoë", NPS_SCORE=3))

    assert not receipt.rejected
    made = {"email": ZOE, "fields": {"firstName": "Zoë", "NPS_SCORE": "3"}, "lists": {}}
    assert campaign.far.found(ZOE) == made
    assert campaign.far.tags_of(ZOE) == ["Detractors"]


def test_an_address_alone_costs_two_calls(campaign):
    """
    Without fields nothing of a contact is written: it is found, whatever its case, and tagged.
    """
    campaign.far.contact("Ada@Example.com", 2)
    remote = campaign.speak()
    tag = remote.prepare("Detractors")
    remote.upsert(tag, [])
    campaign.calls.clear()

    assert remote.upsert(tag, told(ADA)).accepted == {ADA}
    assert [method for method, _, _ in campaign.calls] == ["GET", "POST"]
    assert campaign.sent("POST") == [{"contactTag": {"contact": 7, "tag": 8}}]


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"firstName": 7}, {"firstName": "7"}),
        ({"phone": None}, {"phone": ""}),
        ({"NPS_SCORE": 2.5}, {"fieldValues": [{"field": "1", "value": "2.5"}]}),
        ({"PLANS": ["a", "b"]}, {"fieldValues": [{"field": "2", "value": "||a||b||"}]}),
        ({"PLANS": []}, {"fieldValues": [{"field": "2", "value": ""}]}),
    ],
)
def test_values_travel_as_text(campaign, fields, sent):
    """
    A field of the contact's own by its name, a custom one by its id; NULL empties, a list has bars between.
    """
    campaign.far.contact(ADA)
    remote = campaign.speak(send=["email", *fields])

    remote.upsert(remote.prepare("Detractors"), told(ADA, **fields))

    assert campaign.sent("PUT") == [{"contact": sent}]


@pytest.mark.parametrize("value", [True, {"a": "secret"}, [["x"], {"a": "secret"}]])
def test_a_value_that_fits_no_field_is_refused(campaign, value):
    """
    A boolean or a struct is refused with the field's name and never with the value, and nothing is written.
    """
    campaign.far.contact(ADA)
    remote = campaign.speak(send=["email", "PLANS"])

    receipt = remote.upsert(remote.prepare("Detractors"), told(ADA, PLANS=value))

    assert "PLANS holds a" in receipt.rejected[ADA]
    assert "secret" not in receipt.rejected[ADA]
    assert (campaign.far.found(ADA)["fields"], campaign.far.tags_of(ADA)) == ({}, [])


def test_one_wrong_value_spoils_one_member(campaign):
    """
    A value that ActiveCampaign refuses is told in its words, and that member is not tagged.
    """
    campaign.far.contact(ADA)
    campaign.far.contact(ZOE)
    remote = campaign.speak(send=FIELDS)

    members = [*told(ADA, NPS_SCORE="many"), *told(ZOE, NPS_SCORE=3)]
    receipt = remote.upsert(remote.prepare("Detractors"), members)

    assert receipt.rejected == {ADA: "NPS_SCORE: is no number"}
    assert (campaign.far.tags_of(ADA), campaign.far.tags_of(ZOE)) == ([], ["Detractors"])


@pytest.mark.parametrize(
    ("path", "send", "words"),
    [("/contacts/", FIELDS, "No Result found for Subscriber with id 7"), ("/contactTags", ["email"], "Not Found")],
)
def test_who_is_deleted_meanwhile_is_refused(campaign, path, send, words):
    """
    A contact that someone deletes between two calls of one batch is refused in ActiveCampaign's words.
    """
    campaign.far.contact(ADA)

    def before(request):
        if request.method in ("PUT", "POST") and path in request.url.path:
            campaign.far.contacts.clear()

    remote = campaign.speak(before, send=send)

    receipt = remote.upsert(remote.prepare("Detractors"), told(ADA, **({"NPS_SCORE": 3} if send == FIELDS else {})))

    assert receipt.rejected == {ADA: words}


def test_an_unknown_field_stops_the_sync(campaign):
    """
    A field that the account has not stops before anything is changed, and names those that there are.
    """
    campaign.far.contact(ADA)
    remote = campaign.speak(send=["email", "Plan"])
    tag = remote.prepare("Detractors")
    campaign.calls.clear()

    with pytest.raises(DefinitionError, match=r"'Plan' is the personalization tag of no field(?s:.*)NPS_SCORE, PLANS"):
        remote.upsert(tag, told(ADA, Plan="free"))
    assert {method for method, _, _ in campaign.calls} == {"GET"}


def test_a_removal_takes_the_tag_alone(campaign):
    """
    The contact and its other tags stay, also beyond the first page of them; a stranger is gone already.
    """
    campaign.far.contact(ADA, 1)
    remote = campaign.speak()
    campaign.far.given |= {1000 + n: (7, 3) for n in range(100)}
    tag = remote.prepare("Detractors")
    remote.upsert(tag, told(ADA))

    assert remote.remove(tag, told(ADA, ZOE)).accepted == {ADA, ZOE}
    assert "Detractors" not in campaign.far.tags_of(ADA)
    assert len(campaign.far.tags_of(ADA)) == 100
    assert campaign.far.found(ADA)["lists"] == {1: 1}


@pytest.mark.parametrize("gone", ["contactTags", "contact"])
def test_what_is_gone_meanwhile_is_removed(campaign, gone):
    """
    A tag that someone else took away, or a contact that was deleted, between two calls counts as removed.
    """
    campaign.far.contact(ADA)

    def before(request):
        if request.method == "DELETE" and gone == "contactTags":
            campaign.far.given.clear()
        if request.url.path.endswith("/contactTags") and request.method == "GET" and gone == "contact":
            campaign.far.contacts.clear()

    remote = campaign.speak(before)
    tag = remote.prepare("Detractors")
    remote.upsert(tag, told(ADA))

    assert remote.remove(tag, told(ADA)).accepted == {ADA}


def test_a_throttle_is_waited_out_or_deferred(campaign):
    """
    A 429 is waited out for as long as it asks; one that stays leaves the sync for the next run.
    """
    replies = [campaign.far.throttled(7)]

    assert campaign.speak(lambda request: replies.pop() if replies else None).prepare("Detractors") == "7"
    assert campaign.clock.now >= 7
    with pytest.raises(Deferred):
        campaign.speak(lambda request: campaign.far.throttled(1000)).prepare("Detractors")


def test_the_calls_that_change_something_are_as_specified(campaign):
    """
    Each is valid by the vendor's own file; pages and a contact's tags, which only look, are not in it whole.
    """
    if (folder := specified.folder()) is None:
        pytest.skip("the specifications are not here: see tests/specifications.toml for AUDIENCES_SPECIFICATIONS")
    document = json.loads((folder / "activecampaign" / "v3.json").read_bytes())
    vendor, requests = specification.Specification(specification.read(document)), []
    campaign.far.contact(ADA)
    remote = campaign.speak(lambda request: requests.append(request), new="unsubscribed", send=FIELDS)
    tag = remote.prepare("Detractors")
    remote.upsert(tag, told(ADA, ZOE, firstName="Ada", NPS_SCORE=3))
    remote.remove(tag, told(ADA))

    changes = [each for each in requests if each.method != "GET"]
    assert [each.method for each in changes] == ["POST", "PUT", "POST", "POST", "POST", "DELETE"]
    assert [vendor.faults(each) for each in changes] == [[]] * 6
    assert vendor.faults(httpx.Request("POST", changes[2].url, json={"contactTags": {}}))
