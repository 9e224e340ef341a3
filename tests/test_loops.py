"""The connector `loops`: whom it may make a contact, what is refused, and that no subscription is touched."""

from __future__ import annotations

import json

import httpx
import pytest

from audiences import Member
from audiences.errors import DefinitionError
from dialogue import ADA, ZOE, Dialogue, told

LIST = "npsDetractors"
FIELDS = ["email", "firstName", "npsScore"]

every_new = pytest.mark.parametrize("new", ["refuse", "unsubscribed", "subscribed"])


@pytest.fixture
def loops(tmp_path):
    return Dialogue("loops", tmp_path)


@every_new
@pytest.mark.parametrize("subscribed", [True, False])
def test_a_subscription_stays_as_it_is(loops, subscribed, new):
    """
    Through add, update and removal a contact has what it subscribed to, and no call speaks of it or of mailing lists.
    """
    loops.far.contact(ADA, subscribed)["mailingLists"] = {"cm1": True}
    remote = loops.speak(new=new, send=FIELDS)
    where = remote.prepare(LIST)

    for verb in (remote.upsert, remote.upsert, remote.remove):
        assert verb(where, told(ADA, npsScore=3)).accepted == {ADA}
        assert loops.far.found(email=ADA)["subscribed"] is subscribed
        assert loops.far.found(email=ADA)["mailingLists"] == {"cm1": True}
    said = json.dumps(loops.calls)
    assert "subscribed" not in said
    assert "/v1/lists" not in said
    assert "mailingLists" not in said


@pytest.mark.parametrize("name", ["subscribed", "mailingLists", "optInStatus"])
def test_a_subscription_cannot_be_sent(loops, name):
    """
    What a contact has subscribed to is refused as a field, before any call.
    """
    with pytest.raises(DefinitionError, match=f"{name}(?s:.*)take it out of send"):
        loops.speak(send=["email", name])
    assert not loops.calls


def test_a_stranger_is_refused(loops):
    """
    Who is no contact is not made one, though an update would make one; the reason names the option that would.
    """
    loops.far.contact(ADA)
    remote = loops.speak()

    receipt = remote.upsert(remote.prepare(LIST), told(ADA, ZOE, "nowhere"))

    assert receipt.accepted == {ADA}
    assert 'new = "unsubscribed"' in receipt.rejected[ZOE]
    assert receipt.rejected["nowhere"] == "Invalid email address."
    assert [each["email"] for each in loops.far.contacts.values()] == [ADA]
    assert loops.sent("PUT") == [{"email": ADA, LIST: True}]


@pytest.mark.parametrize(("new", "subscribed"), [("unsubscribed", False), ("subscribed", True)])
def test_a_stranger_becomes_what_the_sync_says(loops, new, subscribed):
    """
    Made a contact with the fields that are sent, who may be written to only where the sync says so.
    """
    remote = loops.speak(new=new, send=FIELDS)

    receipt = remote.upsert(remote.prepare(LIST), told(ZOE, firstName="Zoë", npsScore=3))

    assert not receipt.rejected
    contact = loops.far.found(email=ZOE)
    assert (contact["subscribed"], contact["firstName"], contact[LIST]) == (subscribed, "Zoë", True)
    assert not loops.sent("PUT")


@pytest.mark.parametrize("new", ["unsubscribed", "subscribed"])
@pytest.mark.parametrize("theirs", [True, False])
def test_who_comes_meanwhile_says_what_they_get(loops, new, theirs):
    """
    Someone who becomes a contact between the look and the making is put on the list, with the subscription they chose.
    """

    def before(request):
        if request.url.path.endswith("/create"):
            loops.far.contact(ZOE, theirs)

    remote = loops.speak(before, new=new)

    assert remote.upsert(remote.prepare(LIST), told(ZOE)).accepted == {ZOE}
    assert (loops.far.found(email=ZOE)["subscribed"], loops.far.found(email=ZOE)[LIST]) == (theirs, True)


def test_a_removal_makes_nobody(loops):
    """
    The property becomes false and the contact stays; who is a stranger, or not on the list, is not written at all.
    """
    loops.far.contact(ADA, firstName="Ada")
    loops.far.contact(ZOE)
    remote = loops.speak()
    where = remote.prepare(LIST)
    remote.upsert(where, told(ADA))
    loops.calls.clear()

    assert remote.remove(where, told(ADA, ZOE, "new@example.com")).accepted == {ADA, ZOE, "new@example.com"}
    assert loops.sent("PUT") == [{"email": ADA, LIST: False}]
    assert (loops.far.found(email=ADA)[LIST], loops.far.found(email=ADA)["firstName"]) == (False, "Ada")
    assert len(loops.far.contacts) == 2


def test_a_contact_may_go_by_user_id(loops):
    """
    By userId a contact is found and marked whatever its address; a stranger is refused and an address is never written.
    """
    loops.far.contact(ADA, userId="U-1")
    remote = loops.speak(send=["userId"])
    members = [Member(each, {"userId": each}, n) for n, each in enumerate(["U-1", "U-2"])]
    where = remote.prepare(LIST)

    receipt = remote.upsert(where, members)

    assert (receipt.accepted, receipt.rejected) == ({"U-1"}, {"U-2": "no contact of this account has this userId"})
    assert loops.far.found(email=ADA)[LIST] is True
    assert remote.remove(where, members).accepted == {"U-1", "U-2"}
    assert loops.sent("PUT") == [{"userId": "U-1", LIST: True}, {"userId": "U-1", LIST: False}]


@pytest.mark.parametrize(
    ("send", "new", "words"),
    [
        (["email", "userId"], "refuse", r"both are sent\n  do: send the one"),
        (["userId"], "subscribed", r'needs an address(?s:.*)send email(?s:.*)new = "refuse"'),
        (["firstName"], "refuse", "email, userId"),
    ],
)
def test_who_a_contact_is_has_to_be_clear(loops, send, new, words):
    """
    Both identifiers at once, none, or a new contact without an address: an error with the way out, before any call.
    """
    with pytest.raises(DefinitionError, match=words):
        loops.speak(send=send, new=new)
    assert not loops.calls


@pytest.mark.parametrize("value", ["Zoë", "", 3, -2.5, True, False, None])
def test_a_plain_value_travels_as_it_is(loops, value):
    """
    A text, a number or a boolean; NULL as null, which resets a property.
    """
    loops.far.properties["note"] = {str: "string", bool: "boolean"}.get(type(value), "number")
    loops.far.contact(ADA, note="before")
    remote = loops.speak(send=["email", "note"])

    assert remote.upsert(remote.prepare(LIST), told(ADA, note=value)).accepted == {ADA}
    assert loops.sent("PUT") == [{"email": ADA, "note": value, LIST: True}]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("npsScore", "many", "Invalid value for npsScore."),
        ("firstName", "x" * 501, "Invalid value for firstName."),
        ("firstName", ["secret"], "firstName holds a list or a struct"),
        ("firstName", {"a": "secret"}, "firstName holds a list or a struct"),
    ],
)
def test_one_wrong_value_spoils_one_member(loops, field, value, words):
    """
    Refused in Loops's words, or before it is asked; the others are on the list and the value is not in the reason.
    """
    loops.far.contact(ADA)
    loops.far.contact(ZOE)
    remote = loops.speak(send=FIELDS)

    receipt = remote.upsert(remote.prepare(LIST), [*told(ADA, **{field: value}), *told(ZOE)])

    assert receipt.accepted == {ZOE}
    assert receipt.rejected[ADA].startswith(words)
    assert "secret" not in receipt.rejected[ADA]
    assert loops.far.found(email=ADA).get(LIST) is None


@pytest.mark.parametrize("body", [{"success": False, "message": "No."}, {"success": False}])
@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_success_is_what_the_body_says(loops, verb, body):
    """
    A 200 that does not say success is none, for that member.
    """
    loops.far.contact(ADA)[LIST] = True
    said = httpx.Response(200, json=body)
    remote = loops.speak(lambda request: said if request.method == "PUT" else None)

    receipt = getattr(remote, verb)(remote.prepare(LIST), told(ADA))

    assert receipt.rejected == {ADA: body.get("message", "Loops gives no reason")}


@pytest.mark.parametrize("body", [{}, [], "", "fine"])
@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_success_that_says_neither_leaves_a_doubt(loops, verb, body):
    """
    Nobody is refused, and nobody accepted.
    """
    loops.far.contact(ADA)[LIST] = True
    said = httpx.Response(200, json=body)
    remote = loops.speak(lambda request: said if request.method == "PUT" else None)

    with pytest.raises(KeyError):
        getattr(remote, verb)(remote.prepare(LIST), told(ADA))
