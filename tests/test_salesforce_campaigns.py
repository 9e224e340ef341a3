"""The connector `salesforce`: its campaigns, of which no second one counts, its sign-in, and what its calls cost."""

from __future__ import annotations

import httpx
import pytest

from audiences import Member
from audiences.errors import CredentialsRefused, Deferred, DefinitionError, DeliveryError
from dialogue import ADA, fixtures
from test_salesforce import CREATE, OWN, people

dialogue, far, speak = fixtures("salesforce", ("Customer_No__c", "LastName"), identify="Customer_No__c", **CREATE)


def test_a_campaign_is_found_by_its_exact_name(speak, far):
    """
    One whose name differs in case is another; signs that mean something in a query are part of the name.
    """
    theirs = far.keep("Campaign", {"Name": "detractors", "Description": None})
    made = speak().prepare("Detractors")

    assert made != theirs
    assert speak().prepare("Detractors") == made
    assert speak().prepare("detractors") == theirs
    assert speak().prepare(name := "it's \\ 50% (or '')\n") == speak().prepare(name)
    assert [each["Name"] for each in far.tables["Campaign"].values()] == ["detractors", "Detractors", name]


def test_a_campaign_made_twice_is_one(dialogue, speak, far):
    """
    After a lost answer, or by two runs at once, the older of two is the list, for whoever asks; beside one that a
    person has made, none is.
    """
    made = speak(before=dialogue.losing("POST", "/sobjects/Campaign$")).prepare("L")
    again, kept = speak().prepare("L"), [*far.tables["Campaign"]]
    far.keep("Campaign", {"Name": "L", "Description": "Spring"})

    assert made == again == kept[0]
    assert len(kept) == 2
    with pytest.raises(DefinitionError, match=f"'L' is the name of several campaigns: {made}, (?s:.*)list_id"):
        speak().prepare("L")


def test_a_campaign_that_is_gone_is_nobodys_fault(speak, far):
    """
    Deleted in Salesforce, it is an error with the way out for every verb, before any record is touched.
    """
    campaign = speak().prepare("L")
    far.tables["Campaign"].clear()
    remote = speak()

    for ask in (remote.upsert, remote.remove, lambda *_: [*remote.members(campaign)]):
        with pytest.raises(DeliveryError, match=rf"campaign {campaign} is gone(?s:.*)audiences forget"):
            ask(campaign, people())
    assert not far.tables["Contact"]


@pytest.mark.parametrize("list_id", ["L", "' OR Id != '", "701000000000001é23"])
def test_what_is_no_id_is_not_asked_for(dialogue, speak, list_id):
    """
    An id that Salesforce does not have is an error of the file, and makes no call.
    """
    remote = speak()

    with pytest.raises(DefinitionError, match="is not the id of a campaign"):
        remote.upsert(list_id, people())
    assert not dialogue.requests


def test_a_long_campaign_is_read_page_by_page(speak, far):
    """
    Everybody of this kind, and none of the leads that are on the campaign beside them.
    """
    remote, far.page = speak(), 2
    campaign = remote.prepare("L")
    remote.upsert(campaign, people(5))
    far.keep("CampaignMember", {"CampaignId": campaign, "LeadId": "00Q"})

    assert [each["Customer_No__c"] for each in remote.members(campaign)] == [f"C-{n}" for n in range(5)]


@pytest.mark.parametrize(("options", "expected"), [(CREATE, [3, 2, 2]), (OWN, [4, 3, 2])], ids=["create", "refuse"])
def test_calls_cost_what_the_page_says(dialogue, speak, options, expected):
    """
    So many calls to add 200, to update and to remove them; a run's first verb signs in and sees the campaign as well.
    """
    costs, campaign = [], speak().prepare("L")
    speak(**CREATE).remove(campaign, people())
    if options is OWN:
        speak(**CREATE).upsert(campaign, people(200))
        speak(**CREATE).remove(campaign, people(200))
    remote = speak(**options)
    for verb in (remote.upsert, remote.upsert, remote.remove):
        before = len(dialogue.requests)
        verb(campaign, people(200))
        costs.append(len(dialogue.requests) - before)

    assert costs == [expected[0] + 2, *expected[1:]]


def test_the_days_calls_used_up_defer(dialogue, speak, far):
    """
    Nobody waits for a rolling day to pass, and the key is not blamed.
    """
    far.left = 0

    with pytest.raises(Deferred, match="403: a quota is used up"):
        speak().check()
    assert dialogue.clock.now == 0


def test_a_busy_org_is_waited_for(dialogue, speak):
    """
    Too many long calls at once are the same 403 with other words, and pass; any other 403 is the account's fault.
    """
    words = {
        "REQUEST_LIMIT_EXCEEDED": "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
        "API_DISABLED": "no",
    }
    told = [httpx.Response(403, json=[{"errorCode": code, "message": each}]) for code, each in words.items()]
    remote = speak(before=lambda call: told.pop(0) if told and "composite" in call.url.path else None)

    with pytest.raises(CredentialsRefused):
        remote.check()
    assert 10 <= dialogue.clock.now < 13


def test_a_session_that_ends_is_renewed(dialogue, speak, far):
    """
    Salesforce does not say how long a token lasts: one that it no longer takes is exchanged, and the call made again.
    """
    remote = speak()
    campaign = remote.prepare("L")
    far.token = "not-a-real-second"

    assert remote.upsert(campaign, people()).accepted == {"k0"}
    assert [call.url.path for call in dialogue.requests].count("/services/oauth2/token") == 2


def test_a_look_up_that_is_refused_shows_nobody(speak):
    """
    Salesforce's words repeat the query: only their code is told, and where to look.
    """
    remote = speak(send=("Colour__c",), identify="Colour__c", new="refuse")

    with pytest.raises(DeliveryError, match=r"look something up \(INVALID_FIELD\)(?s:.*)identify") as refusal:
        remote.upsert(remote.prepare("L"), [Member("k0", {"Colour__c": ADA})])
    assert ADA not in str(refusal.value)


def test_every_call_goes_to_the_account_and_runs_no_assignment_rule(dialogue, speak):
    """
    Sign-in and calls go to the domain of the settings, and each says that no rule is to hand a lead to another.
    """
    remote = speak(settings=dialogue.far.elsewhere)
    remote.upsert(remote.prepare("L"), people())

    assert {call.url.host for call in dialogue.requests} == {"acme--test.sandbox.my.salesforce.com"}
    assert {call.headers.get("sforce-auto-assign") for call in dialogue.requests[1:]} == {"FALSE"}


@pytest.mark.parametrize(
    "domain", ["login.salesforce.com", "acme.my.salesforce.com.example.com", "x/.my.salesforce.com"]
)
def test_the_secret_goes_to_salesforce_alone(speak, domain):
    """
    Another host than one of My Domain's is refused by the name of its variable.
    """
    with pytest.raises(DefinitionError, match="SALESFORCE_DOMAIN"):
        speak(settings={"SALESFORCE_DOMAIN": domain})
