"""The connector `mailchimp`: nobody's subscription is touched, and nobody counts as listed who is not."""

from __future__ import annotations

import httpx
import pytest

from audiences.errors import DefinitionError
from dialogue import ADA, ZOE, fixtures, told
from world import World

OTHERS = ["cleaned", "pending", "transactional"]  # tests/test_every_consent.py has those who signed up and who left
AUDIENCE = """-- /// audience
-- about = "A test"
-- owner = "tests@example.com"
-- key = "id"
-- schedule = "@daily"
--
-- [sync.mailchimp]
-- list = "Detractors"
-- send = { email = "email", NPS = "nps" }
-- audience_id = "a1b2c3d4e5"
--
-- [guard]
-- removed = 1.0
-- ///
select id, email, nps from people
"""

with_or_without_fields = pytest.mark.parametrize("fields", [{}, {"FNAME": "Ada"}], ids=["email alone", "fields"])
either_new = pytest.mark.parametrize("new", ["refuse", "transactional"])


dialogue, far, speak = fixtures("mailchimp", audience_id="a1b2c3d4e5")


@pytest.fixture
def calls(dialogue):
    return dialogue.calls


def statuses(value):
    """Every word on somebody's status in a body, and every switch that could change one."""
    found = [*value.items()] if isinstance(value, dict) else [*enumerate(value)] if isinstance(value, list) else []
    words = {"status", "status_if_new", "sync_tags", "update_existing", "tags"}
    return [pair for pair in found if pair[0] in words] + [pair for _, each in found for pair in statuses(each)]


@either_new
@with_or_without_fields
@pytest.mark.parametrize("status", OTHERS)
def test_a_status_stays_as_it_is(far, speak, status, fields, new):
    """
    Through add, update and removal: who bounced, has yet to confirm, or is written to about orders alone stays so.
    """
    far.contact(ADA, status)
    remote = speak(new=new)
    tag = remote.prepare("Detractors")

    for verb in (remote.upsert, remote.upsert, remote.remove):
        assert verb(tag, told(ADA, **fields)).accepted == {ADA}
        assert far.status(ADA) == status
    assert far.tags(ADA) == []


@with_or_without_fields
def test_no_call_speaks_of_a_status(far, speak, calls, fields):
    """
    Of all that is sent, only the making of a contact names a status: transactional, and only where there is none.
    """
    far.contact(ADA, "unsubscribed")
    remote = speak(new="transactional")
    tag = remote.prepare("Detractors")

    for verb in (remote.upsert, remote.upsert, remote.remove):
        verb(tag, told(ADA, ZOE, **fields))

    assert statuses([body for _, _, body in calls]) == [("status_if_new", "transactional")]


@with_or_without_fields
def test_a_stranger_is_refused(far, speak, fields):
    """
    Who is no contact is not made one, and the reason names the option that would.
    """
    far.contact(ADA, "subscribed")
    remote = speak(new="refuse")

    receipt = remote.upsert(remote.prepare("Detractors"), told(ADA, ZOE, **fields))

    assert receipt.accepted == {ADA}
    assert 'new = "transactional"' in receipt.rejected[ZOE]
    assert far.status(ZOE) is None


@with_or_without_fields
def test_a_stranger_becomes_transactional(far, speak, fields):
    """
    With new = "transactional" a stranger is made a contact of that status, with the fields that are sent, and tagged.
    """
    remote = speak(new="transactional")

    receipt = remote.upsert(remote.prepare("Detractors"), told(ZOE, **fields))

    assert not receipt.rejected
    assert far.status(ZOE) == "transactional"
    assert far.holds({"email": ZOE, "FNAME": "", **fields})


def test_who_opts_out_meanwhile_stays_out(far, speak):
    """
    Someone who signs up and leaves again between two calls of one batch is not touched by the second.
    """
    remote = speak(lambda request: request.method == "PUT" and far.contact(ZOE, "unsubscribed"), new="transactional")

    receipt = remote.upsert(remote.prepare("Detractors"), told(ZOE, FNAME="Zoë"))

    assert not receipt.rejected
    assert far.status(ZOE) == "unsubscribed"


def test_who_was_deleted_for_good_is_refused(speak):
    """
    An address that its owner had deleted for ever is refused in Mailchimp's words; the others are taken.
    """
    remote = speak(new="transactional")

    receipt = remote.upsert(remote.prepare("Detractors"), told(ADA, "forgotten@example.com", FNAME="Ada"))

    assert receipt.rejected == {"forgotten@example.com": "It was permanently deleted."}


@either_new
@with_or_without_fields
def test_an_archived_contact_is_refused(far, speak, fields, new):
    """
    Who was archived stays archived and untagged: whether they had opted out before is not told.
    """
    far.contact(ADA, "archived")
    remote = speak(new=new)

    receipt = remote.upsert(remote.prepare("Detractors"), told(ADA, **fields))

    assert "archived" in receipt.rejected[ADA]
    assert (far.status(ADA), far.tags(ADA)) == ("archived", [])


def test_who_is_archived_while_listed_is_refused(dialogue, far, speak):
    """
    An update of someone who was archived since is refused, though the tag is still there, and tags nobody.
    """
    far.contact(ADA, "subscribed")
    remote = speak()
    tag = remote.prepare("Detractors")
    remote.upsert(tag, told(ADA, FNAME="Ada"))
    far.contact(ADA, "archived")

    receipt = remote.upsert(tag, told(ADA, FNAME="Zoë"))

    assert "archived" in receipt.rejected[ADA]
    assert dialogue.sent("POST")[1:] == [
        {
            "members_to_add": [ADA],
        }
    ]


@with_or_without_fields
@pytest.mark.parametrize("reason", [None, "This contact is not to be tagged."])
def test_an_ignored_address_is_refused(far, speak, fields, reason):
    """
    A contact whom the call did not add, and who has no tag, is not taken for listed; a reason is passed on.
    """
    far.contact(ADA, "subscribed")
    errors = [{"email_addresses": [ADA.upper()], "error": reason}] if reason else []
    nobody = {"members_added": [], "members_removed": [], "errors": errors}

    def before(request):
        return httpx.Response(200, json=nobody) if b"members_to_add" in request.content else None

    remote = speak(before=before)

    receipt = remote.upsert(remote.prepare("Detractors"), told(ADA, **fields))

    assert (reason or "gave no reason") in receipt.rejected[ADA]


@with_or_without_fields
def test_who_has_the_tag_already_is_accepted(far, speak, fields):
    """
    Whom the call does not name because the tag was there is found by it, also behind fifty other tags.
    """
    far.contact(ADA, "subscribed")
    far.segments |= {n: {"name": f"tag {n}", "type": "static"} for n in range(100, 160)}
    far.tagged |= {n: {*far.contacts} for n in range(100, 160)}
    remote = speak()
    tag = remote.prepare("Detractors")

    receipts = [remote.upsert(tag, told(ADA, **fields)) for _ in range(2)]

    assert not receipts[0].rejected
    assert receipts[0] == receipts[1]


def test_calls_cost_what_the_page_says(dialogue, far, speak, calls):
    """
    A hundred are tagged by one call; with fields it is one more each, and one for the audience's fields.
    """
    people = [f"person{n}@example.com" for n in range(dialogue.cls.limits.batch)]
    for each in people:
        far.contact(each, "subscribed")
    remote = speak()
    tag = remote.prepare("Detractors")
    costs = []
    for verb, fields in (
        (remote.upsert, {}),
        (remote.remove, {}),
        (remote.upsert, {"NPS": 3}),
        (remote.upsert, {"NPS": 4}),
    ):
        before = len(calls)
        verb(tag, told(*people, **fields))
        costs.append(len(calls) - before)

    assert costs == [1, 1, 102, 101]


def test_removal_takes_only_the_tag(far, speak, calls):
    """
    A removal is one call that untags; the contact stays with its fields and other tags, and a stranger is accepted.
    """
    far.contact(ADA, "subscribed", NPS=3)
    far.tagged[7].update(far.contacts)
    remote = speak()
    tag = remote.prepare("Detractors")
    remote.upsert(tag, told(ADA))
    calls.clear()

    receipt = remote.remove(tag, told(ADA, ZOE))

    assert receipt.accepted == {ADA, ZOE}
    assert [body for _, _, body in calls if body] == [{"members_to_remove": [ADA, ZOE]}]
    assert far.tags(ADA) == ["Detractors since May"]
    assert far.status(ADA) == "subscribed"


def test_a_tag_that_stays_is_told(far, speak):
    """
    Where Mailchimp leaves the tag on someone, as on an archived contact, the removal is refused, not assumed.
    """
    far.contact(ADA, "subscribed")
    remote = speak()
    tag = remote.prepare("Detractors")
    remote.upsert(tag, told(ADA))
    far.contact(ADA, "archived")

    receipt = remote.remove(tag, told(ADA))

    assert "left the tag" in receipt.rejected[ADA]


def test_one_wrong_value_spoils_one_member(far, speak):
    """
    A value that Mailchimp refuses is refused in its words, and the member is not tagged.
    """
    far.contact(ADA, "subscribed")
    far.contact(ZOE, "subscribed")
    remote = speak()

    members = [*told(ADA, NPS=3), *told(ZOE, NPS="many")]
    receipt = remote.upsert(remote.prepare("Detractors"), members)

    assert receipt.rejected == {ZOE: "NPS: Please enter a number"}
    assert (far.tags(ADA), far.tags(ZOE)) == (["Detractors"], [])


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"FNAME": 7}, {"FNAME": "7"}),
        ({"FNAME": None}, {"FNAME": ""}),
        ({"NPS": 2.5}, {"NPS": 2.5}),
        ({"NPS": None}, {"NPS": ""}),
        ({"HOME": {"addr1": "1 Way", "city": "Bonn", "state": "NW", "zip": "53111"}},) * 2,
    ],
)
def test_values_travel_as_their_field_wants_them(dialogue, far, speak, fields, sent):
    """
    Numbers stay numbers in a number and are text elsewhere, NULL empties a field, a struct fills an address.
    """
    far.contact(ADA, "subscribed")
    remote = speak()

    remote.upsert(remote.prepare("Detractors"), told(ADA, **fields))

    assert {"merge_fields": sent} in dialogue.sent("PATCH")


@pytest.mark.parametrize(
    "fields", [{"FNAME": True}, {"FNAME": ["secret"]}, {"NPS": {"a": "secret"}}, {"HOME": "secret"}]
)
def test_a_value_that_fits_no_field_is_refused(dialogue, far, speak, fields):
    """
    Booleans, lists and misplaced structs are refused with the field's name and type, and never with the value.
    """
    far.contact(ADA, "subscribed")
    remote = speak()

    receipt = remote.upsert(remote.prepare("Detractors"), told(ADA, **fields))

    [reason] = receipt.rejected.values()
    assert next(iter(fields)) in reason
    assert "secret" not in reason
    assert not dialogue.sent("PATCH")


def test_an_unknown_merge_field_stops_the_sync(far, speak, calls):
    """
    A field that the audience has not stops before anything is changed, and names those that there are.
    """
    far.contact(ADA, "subscribed")
    remote = speak()
    tag = remote.prepare("Detractors")
    calls.clear()

    with pytest.raises(DefinitionError, match=r"'fname' is the tag of no merge field(?s:.*)FNAME, NPS, HOME"):
        remote.upsert(tag, told(ADA, fname="Ada"))
    assert [method for method, _, _ in calls] == ["GET"]


def test_who_joined_and_left_through_a_whole_run(far, tmp_path, monkeypatch):
    """
    From SQL to tag: an unsubscribed contact is tagged and untagged again and stays unsubscribed; a stranger is refused.
    """
    for variable, value in far.settings.items():
        monkeypatch.setenv(variable, value)
    far.contact(ADA, "unsubscribed")
    world = World(tmp_path)
    world.define(text=AUDIENCE)
    wire = httpx.MockTransport(far)

    world.people((1, ADA, 3), (2, ZOE, 5))
    first = world.sync(transport=wire)
    there = far.tags(ADA)
    world.people((2, ZOE, 5))
    second = world.sync(transport=wire)

    assert (first.delivered, first.fresh, there) == (1, 1, ["Detractors"])
    assert (second.delivered, far.tags(ADA), far.status(ADA)) == (1, [], "unsubscribed")
    assert far.status(ZOE) is None
