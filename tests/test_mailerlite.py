"""The connector `mailerlite`: no status is touched, and each member of a batch has a fate of its own."""

from __future__ import annotations

import json

import httpx
import pytest

from audiences.errors import DefinitionError
from dialogue import ADA, ZOE, Dialogue, told

LIST = "NPS detractors"
FIELDS = ["email", "name", "nps_score"]


@pytest.fixture
def mailer(tmp_path):
    return Dialogue("mailerlite", tmp_path)


def batches(mailer):
    """What was asked in each batch, as text."""
    return [
        [f"{each['method']} {each['path']}" for each in body["requests"]] for body in mailer.sent("POST", "/api/batch")
    ]


def answering(method, path, answer):
    """In a batch, let every request of this method, to such a path, get this answer."""

    def before(request):
        asked = json.loads(request.content).get("requests", []) if request.content else []
        if asked and asked[0]["method"] == method and path in asked[0]["path"]:
            return httpx.Response(200, json={"responses": [answer] * len(asked) if answer else []})
        return None

    return before


@pytest.mark.parametrize("new", ["refuse", "subscribed"])
@pytest.mark.parametrize("status", ["active", "unsubscribed", "unconfirmed", "bounced", "junk"])
def test_a_status_stays_as_it_is(mailer, status, new):
    """
    Through add, update and removal a subscriber has the status they had, and no call speaks of one.
    """
    mailer.far.subscriber(ADA, status)
    remote = mailer.speak(new=new, send=FIELDS)
    group = remote.prepare(LIST)

    for verb in (remote.upsert, remote.upsert, remote.remove):
        assert verb(group, told(ADA, nps_score=3)).accepted == {ADA}
        assert mailer.far.found(ADA)["status"] == status
    assert mailer.far.groups_of(ADA) == []
    assert "status" not in json.dumps(mailer.calls)


def test_fifty_members_are_three_calls(mailer):
    """
    Found, written and put into the group, each in one batch; without fields nothing is written.
    """
    people = [f"p{n}@example.com" for n in range(50)]
    for each in people:
        mailer.far.subscriber(each)
    for send, fields, calls in ((["email", "name"], {"name": "Ada"}, 3), (["email"], {}, 2)):
        remote = mailer.speak(send=send)
        group = remote.prepare(LIST)
        remote.upsert(group, [])
        mailer.calls.clear()

        assert remote.upsert(group, told(*people, **fields)).accepted == {*people}
        assert len(batches(mailer)) == calls
        assert all(len(each) == 50 for each in batches(mailer))


def test_a_stranger_is_refused(mailer):
    """
    Who is no subscriber is not made one, and the reason names the option that would.
    """
    mailer.far.subscriber("Ada@Example.com")
    remote = mailer.speak()

    receipt = remote.upsert(remote.prepare(LIST), told(ADA, ZOE))

    assert receipt.accepted == {ADA}
    assert 'new = "subscribed"' in receipt.rejected[ZOE]
    assert mailer.far.found(ZOE) is None


def test_strangers_are_made_one_by_one(mailer):
    """
    With new = "subscribed" each is active, with their fields, in the group; whom MailerLite refuses spoils nobody else.
    """
    remote = mailer.speak(new="subscribed", send=FIELDS)
    mailer.far.subscriber(ADA, "unsubscribed")

    receipt = remote.upsert(remote.prepare(LIST), told(ZOE, ADA, "banned@example.com", name="Zoë", nps_score=3))

    assert receipt.rejected == {"banned@example.com": "The email must be a valid email address."}
    assert mailer.far.found(ZOE) == {"email": ZOE, "status": "active", "fields": {"name": "Zoë", "nps_score": 3}}
    assert (mailer.far.groups_of(ZOE), mailer.far.found(ADA)["status"]) == ([LIST], "unsubscribed")
    assert not [each for each in batches(mailer) if "POST api/subscribers" in each]


def test_what_is_no_address_is_no_id(mailer):
    """
    A subscriber is found by an address or an id: a member whose address is a number is nobody, and is not looked for.
    """
    mailer.far.subscriber(ADA)
    remote = mailer.speak(new="subscribed")
    group = remote.prepare(LIST)

    assert remote.upsert(group, told("7", "")).rejected == dict.fromkeys(("7", ""), "not an e-mail address")
    assert remote.remove(group, told("7")).accepted == {"7"}
    assert batches(mailer) == []


@pytest.mark.parametrize("address", ["a+b@example.com", "a/b@example.com", "a?b#c%40@example.com", "zoë@example.com"])
def test_any_address_is_found(mailer, address):
    """
    What has a meaning of its own in a path is written so that it has none.
    """
    mailer.far.subscriber(address)
    remote = mailer.speak()

    assert remote.upsert(remote.prepare(LIST), told(address)).accepted == {address}
    assert mailer.far.groups_of(address) == [LIST]


@pytest.mark.parametrize("value", ["Zoë", "", 0, 7, -2.5, None])
def test_texts_and_numbers_travel(mailer, value):
    """
    Each as it is; NULL empties a field.
    """
    mailer.far.subscriber(ADA)["fields"]["name"] = "before"
    remote = mailer.speak(send=["email", "name"])

    assert remote.upsert(remote.prepare(LIST), told(ADA, name=value)).accepted == {ADA}
    assert mailer.far.found(ADA)["fields"] == {"name": value}


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("many", "The nps_score must be a number."),
        (True, "nps_score holds a bool"),
        (["secret"], "nps_score holds a list"),
    ],
)
def test_one_wrong_value_spoils_one_member(mailer, value, words, new):
    """
    Refused in MailerLite's words, or before it is asked, and not in the group; the others are.
    """
    for each in [ZOE] if new else [ADA, ZOE]:
        mailer.far.subscriber(each)
    remote = mailer.speak(new="subscribed", send=FIELDS)

    receipt = remote.upsert(remote.prepare(LIST), [*told(ADA, nps_score=value), *told(ZOE, nps_score=3)])

    assert (receipt.accepted, receipt.rejected.keys()) == ({ZOE}, {ADA})
    assert receipt.rejected[ADA].startswith(words)
    assert "secret" not in receipt.rejected[ADA]
    assert (mailer.far.groups_of(ADA), mailer.far.groups_of(ZOE)) == ([], [LIST])


@pytest.mark.parametrize(("value", "kept"), [("Ada", None), ("Ada", ""), (None, "before"), ("", "before")])
def test_a_value_that_was_not_taken_is_told(mailer, value, kept):
    """
    Where the answer shows no value for one that was sent, or one that was to go, that member is refused.
    """
    mailer.far.subscriber(ADA)
    body = {"data": {"id": "7", "email": ADA, "fields": {"name": kept}}}
    remote = mailer.speak(answering("PUT", "subscribers/7", {"code": 200, "body": body}), send=["email", "name"])

    receipt = remote.upsert(remote.prepare(LIST), told(ADA, name=value))

    assert receipt.rejected == {ADA: "MailerLite did not take name"}
    assert mailer.far.groups_of(ADA) == []


OF_ANOTHER = {"code": 200, "body": {"data": {"id": "9", "email": ZOE, "fields": {"name": "Ada"}}}}
WRITES = ["PUT subscribers/", "POST /groups/", "DELETE /groups/"]


@pytest.mark.parametrize(
    ("place", "answer", "words"),
    [(place, {"code": 429, "body": {"message": "Wait."}}, "Wait.") for place in ["GET subscribers/", *WRITES]]
    + [(place, {"code": 500, "body": None}, "MailerLite gives no reason") for place in ["GET subscribers/", *WRITES]]
    + [(place, None, "MailerLite gives no reason") for place in ["GET subscribers/", *WRITES]]
    + [(place, OF_ANOTHER, "MailerLite gives no reason") for place in ["GET subscribers/", "PUT subscribers/"]],
)
def test_only_a_good_answer_is_one(mailer, place, answer, words):
    """
    In a batch that went well a request that did not, that has no answer, or one about somebody else, is told of.
    """
    method, path = place.split()
    mailer.far.subscriber(ADA)
    remote = mailer.speak(answering(method, path, answer), send=["email", "name"], new="subscribed")
    verb = remote.remove if method == "DELETE" else remote.upsert

    assert verb(remote.prepare(LIST), told(ADA, name="Ada")).rejected == {ADA: words}
    assert mailer.far.groups_of(ADA) == []
    assert not mailer.sent("POST", "/api/subscribers")


def test_a_removal_takes_out_of_the_group_alone(mailer):
    """
    The subscriber and their other groups stay; who is not in the group, or a stranger, is out of it already.
    """
    mailer.far.subscriber(ADA)
    mailer.far.subscriber(ZOE)
    mailer.far.held[3][7] = None
    remote = mailer.speak(send=["email", "name"])
    group = remote.prepare(LIST)
    remote.upsert(group, told(ADA, name="Ada"))

    assert remote.remove(group, told(ADA, ZOE, "new@example.com")).accepted == {ADA, ZOE, "new@example.com"}
    assert mailer.far.groups_of(ADA) == ["NPS detractors / May"]
    assert len(mailer.far.people) == 2


def test_an_unknown_field_stops_the_sync(mailer):
    """
    A field that the account has not, which MailerLite would drop unsaid, is named before anybody is written.
    """
    mailer.far.subscriber(ADA)
    remote = mailer.speak(send=["email", "plan"])

    with pytest.raises(DefinitionError, match=r"'plan' is the key of no field(?s:.*)last_name, name, nps_score"):
        remote.upsert(remote.prepare(LIST), told(ADA, plan="free"))
    assert not batches(mailer)
