"""The connector `salesforce`: whose records it writes, what becomes of each, and that nobody's opt-out is touched."""

from __future__ import annotations

import httpx
import pytest

from audiences import BatchRefused, Member
from audiences.errors import DefinitionError
from dialogue import ADA, SHOWN, ZOE, fixtures
from world import HEADER, World

SECTION = """-- [sync.salesforce]
-- list = "L"
-- send = { Email = "email", NPS__c = "nps" }
-- identify = "Email\""""


OWN, CREATE = {"new": "refuse"}, {"new": "create"}

dialogue, far, speak = fixtures("salesforce", ("Customer_No__c", "LastName"), identify="Customer_No__c", **CREATE)


def people(count=1, **fields):
    """Members k0, k1 and so on, with the customer numbers C-0, C-1 and so on."""
    return [Member(f"k{n}", {"Customer_No__c": f"C-{n}", "LastName": "Ada", **fields}, n) for n in range(count)]


def refused(*codes):
    """An answer about records, each refused with a code, or done where it is None."""
    said = [{"success": not code, "id": "001", "errors": [{"statusCode": code, "message": "no"}] * bool(code)}
            for code in codes]  # fmt: skip
    return httpx.Response(200, json=said)


@pytest.mark.parametrize("options", [OWN, CREATE], ids=["refuse", "create"])
@pytest.mark.parametrize("opted_out", [True, False])
def test_an_opt_out_stays_as_it_is(dialogue, speak, far, options, opted_out):
    """
    Whoever has opted out of e-mail stays so through add, update and removal, and no call has a word on it.
    """
    ada = far.keep("Contact", {"Customer_No__c": "C-0", "LastName": "Z", "HasOptedOutOfEmail": opted_out})
    remote = speak(**options)
    campaign = remote.prepare("L")

    for verb in (remote.upsert, remote.upsert, remote.remove):
        assert verb(campaign, people()).accepted == {"k0"}
        assert far.tables["Contact"][ada]["HasOptedOutOfEmail"] is opted_out
    assert not any(b"OptedOut" in call.content for call in dialogue.requests)


@pytest.mark.parametrize("name", ["HasOptedOutOfEmail", "hasoptedoutoffax", "DoNotCall"])
def test_an_opt_out_cannot_be_sent(speak, name):
    """
    A field that holds a person's own choice is an error of the file, before anything is sent.
    """
    with pytest.raises(DefinitionError, match=f"{name} is a person's own choice(?s:.*)do: take it out of send"):
        speak(send=("Customer_No__c", name))


def test_an_identifier_that_is_not_sent_is_named(speak):
    """
    What identifies a record must be among the fields; the error names them.
    """
    with pytest.raises(DefinitionError, match=r"'Customer_No__c', which is not sent(?s:.*)choose from: Email, NPS__c"):
        speak(send=("Email", "NPS__c"))


def test_a_stranger_is_refused_or_created(speak, far):
    """
    By default who has no record gets none, and the reason names the option that makes one.
    """
    far.keep("Contact", {"Customer_No__c": "C-0", "LastName": "Z"})
    remote = speak(**OWN)
    campaign = remote.prepare("L")
    refusal = remote.upsert(campaign, people(2))
    known = len(far.tables["Contact"])
    created = speak(**CREATE).upsert(campaign, people(2))

    assert (refusal.accepted, known) == ({"k0"}, 1)
    assert 'new = "create"' in refusal.rejected["k1"]
    assert created.accepted == {"k0", "k1"}
    assert [each["LastName"] for each in far.tables["Contact"].values()] == ["Ada", "Ada"]


def test_who_was_deleted_meanwhile_is_not_made_anew(speak, far):
    """
    Where strangers are refused, a record that is deleted between the look and the update stays so.
    """
    far.keep("Contact", {"Customer_No__c": "C-0", "LastName": "Z"})
    remote = speak(**OWN, before=lambda call: call.method == "PATCH" and far.tables["Contact"].clear())

    receipt = remote.upsert(remote.prepare("L"), people())

    assert receipt.rejected == {"k0": "ENTITY_IS_DELETED: entity is deleted"}
    assert not far.tables["Contact"]


@pytest.mark.parametrize("new", ["refuse", "create"])
def test_an_identifier_of_several_is_refused(speak, far, new):
    """
    An address that two records have is nobody's: none is changed, added or removed.
    """
    twins = [far.keep("Contact", {"Email": ADA.upper(), "LastName": "Z"}) for _ in range(2)]
    remote = speak(send=("Email", "LastName"), identify="Email", new=new)
    campaign, member = remote.prepare("L"), [Member("k0", {"Email": ADA, "LastName": "Ada"})]

    added = remote.upsert(campaign, member)
    for twin in twins:
        far.keep("CampaignMember", {"CampaignId": campaign, "ContactId": twin})
    removed = remote.remove(campaign, member)

    assert added.rejected.keys() == removed.rejected.keys() == {"k0"}
    assert len(far.tables["CampaignMember"]) == 2
    assert {each["LastName"] for each in far.tables["Contact"].values()} == {"Z"}


def test_an_answer_that_was_lost_leaves_nobody_refused(dialogue, speak, far):
    """
    A call that was applied and is made again finds everybody there already, which is what it was for.
    """
    remote = speak(before=dialogue.losing("POST", "/composite/sobjects$"))

    assert remote.upsert(remote.prepare("L"), people(3)).accepted == {"k0", "k1", "k2"}
    assert len(far.tables["CampaignMember"]) == 3


@pytest.mark.parametrize("method", ["PATCH", "POST"])
def test_each_record_has_its_own_fate(speak, far, method):
    """
    A lock refuses the record that it meets, in Salesforce's words, when it is written or added; the other is taken.
    """
    campaign = speak().prepare("L")
    speak().upsert(campaign, people(2))
    far.tables["CampaignMember"].popitem()

    def locked(call):
        if call.method != method or "/sobjects" not in call.url.path:
            return None
        return refused(*[None] * (method == "PATCH"), "UNABLE_TO_LOCK_ROW")

    receipt = speak(before=locked).upsert(campaign, people(2))

    assert (receipt.accepted, receipt.rejected) == ({"k0"}, {"k1": "UNABLE_TO_LOCK_ROW: no"})


def test_who_is_off_by_then_is_off(speak, far):
    """
    A removal that fails is looked at again: who is still on the campaign is told, and the record stays either way.
    """
    campaign = speak().prepare("L")
    speak().upsert(campaign, people(2))

    def gone(call):
        if call.method == "DELETE":
            del far.tables["CampaignMember"][call.url.params["ids"].split(",")[0]]
            return refused("ENTITY_IS_DELETED", "DELETE_FAILED")
        return None

    receipt = speak(before=gone).remove(campaign, people(2))

    assert (receipt.accepted, receipt.rejected) == ({"k0"}, {"k1": "DELETE_FAILED: no"})
    assert len(far.tables["Contact"]) == 2


@pytest.mark.parametrize(
    ("fields", "code"), [({"LastName": ""}, "REQUIRED_FIELD"), ({"Colour__c": "red"}, "INVALID_FIELD")]
)
def test_what_all_are_refused_for_may_be_nobodys_fault(speak, fields, code):
    """
    One reason for everybody refuses the batch, so that the worker finds out.
    """
    remote = speak()

    with pytest.raises(BatchRefused) as refusal:
        remote.upsert(remote.prepare("L"), people(2, **fields))
    assert code in refusal.value.reason


def test_where_only_the_identifier_is_sent_no_record_is_written(dialogue, speak, far):
    """
    Membership alone changes no record, whose automations would run.
    """
    far.keep("Contact", {"Customer_No__c": "C-0", "LastName": "Z"})
    remote = speak(**OWN)

    receipt = remote.upsert(remote.prepare("L"), [Member("k0", {"Customer_No__c": "C-0"})])

    assert receipt.accepted == {"k0"}
    assert len(far.tables["CampaignMember"]) == 1
    assert "PATCH" not in {call.method for call in dialogue.requests}


@pytest.mark.parametrize("number", ["O'Hara", "a\\'b", "') OR Id != ('", "x\n\t'", "50%_"])
def test_an_identifier_is_text_and_nothing_else(speak, far, number):
    """
    Quotes, backslashes and line breaks reach the query as they are, and find no one else.
    """
    far.keep("Contact", {"Customer_No__c": "C-0", "LastName": "Z"})
    remote = speak()
    campaign = remote.prepare("L")
    remote.upsert(campaign, [*people(), Member("odd", {"Customer_No__c": number, "LastName": "Ada"})])

    assert remote.remove(campaign, [Member("odd", {"Customer_No__c": number})]).accepted == {"odd"}
    assert list(remote.members(campaign)) == [{"Customer_No__c": "C-0"}]


def test_accounts_are_members_too(speak):
    """
    With `object = "account"` companies are created, listed and taken off.
    """
    remote = speak(send=("Customer_No__c", "Name"), **CREATE, object="account")
    campaign, acme = remote.prepare("L"), [Member("k0", {"Customer_No__c": "A-1", "Name": "Acme"})]

    assert remote.upsert(campaign, acme).accepted == {"k0"}
    assert list(remote.members(campaign)) == [{"Customer_No__c": "A-1"}]
    assert remote.remove(campaign, acme).accepted == {"k0"}
    assert list(remote.members(campaign)) == []


def test_a_file_a_campaign_and_back(dialogue, tmp_path, far):
    """
    From SQL to campaign: who enters is on it, who leaves is off, a stranger is refused, and nobody is deleted.
    """
    for address in (ADA, ZOE):
        far.keep("Contact", {"Email": address, "LastName": "Z"})
    world = World(tmp_path, "salesforce")
    world.receiver = far
    dialogue.account()
    world.define(text=HEADER.replace(SHOWN, SECTION).replace("{more}", "-- [guard]\n-- removed = 1.0\n"))

    world.people((1, ADA, 3), (2, "kim@example.com", 4))
    first = world.sync()
    world.people((3, "Zoe@Example.com", 5))
    second = world.sync()

    [member] = far.tables["CampaignMember"].values()
    assert (first.error, first.delivered, first.refused, second.error) == (None, 1, 1, None)
    assert far.tables["Contact"][member["ContactId"]]["NPS__c"] == 5
    assert len(far.tables["Contact"]) == 2
