"""The connector `salesforce` where a batch goes by a job of the Bulk API: when it begins, and what becomes of each."""

from __future__ import annotations

import httpx
import pytest

from audiences import Member
from audiences.batch import Verdict
from audiences.errors import DeliveryError
from dialogue import ADA, SHOWN, ZOE, delivered, fixtures
from test_salesforce import CREATE, OWN, people
from world import HEADER, World

SECTION = """-- [sync.salesforce]
-- list = "L"
-- send = { Email = "email", NPS__c = "nps" }
-- identify = "Email"
-- bulk = 0"""

dialogue, far, speak = fixtures(
    "salesforce", ("Customer_No__c", "LastName"), identify="Customer_No__c", **CREATE, bulk=1
)


@pytest.fixture
def campaign(speak):
    return speak().prepare("L")


@pytest.fixture
def settled(speak, far):
    """What became of a batch that goes by a job, as the next run asks."""

    def settled(remote, verb, campaign, members):
        receipt = getattr(remote, verb)(campaign, members)
        remote.flush(campaign)
        far.works()
        return speak(**far.options).outcome(receipt.ticket, [each for each in members if each.key in receipt.accepted])

    return settled


def listed(far):
    """Whose records are on a campaign."""
    found = [far.tables["Contact"][each["ContactId"]] for each in far.tables["CampaignMember"].values()]
    return sorted(each["Customer_No__c"] for each in found)


@pytest.mark.parametrize("options", [OWN, CREATE], ids=["refuse", "create"])
def test_many_go_by_a_job(speak, far, campaign, settled, options):
    """
    A batch of more than `bulk` is a job, and a smaller one is not; by either, records are as they were sent.
    """
    for n in range(3) if options is OWN else ():
        far.keep("Contact", {"Customer_No__c": f"C-{n}", "LastName": "Z", "HasOptedOutOfEmail": True})
    few, many = people(3)[2:], people(2, LastName='O\'Hara, "Zoë"\n漢')

    one, verdict = speak(**options).upsert(campaign, few), settled(speak(**options), "upsert", campaign, many)

    assert (one.ticket, one.accepted, verdict.accepted) == (None, {"k2"}, {"k0", "k1"})
    assert listed(far) == ["C-0", "C-1", "C-2"]
    assert sorted(each["LastName"] for each in far.tables["Contact"].values()) == ["Ada", *['O\'Hara, "Zoë"\n漢'] * 2]
    assert {each["HasOptedOutOfEmail"] for each in far.tables["Contact"].values()} == {options is OWN}


def test_a_job_begins_once_its_ticket_is_written_down(speak, far, campaign):
    """
    What is uploaded is at rest until the worker has its ticket. Where the run ends before it says so, the next one's
    question begins the job, and has an answer when it is asked again.
    """
    remote, cut = speak(), speak()
    tickets = [each.upsert(campaign, people(2)).ticket for each in (remote, cut)]
    far.works()
    before = len(far.tables["Contact"])
    remote.flush(campaign)
    states = [far.jobs[each.split()[0]]["said"]["state"] for each in tickets]
    asked = [speak().outcome(tickets[1], people(2))]
    far.works()

    assert (before, states, asked) == (0, ["UploadComplete", "Open"], [None])
    assert [speak().outcome(each, people(2)).accepted for each in tickets] == [{"k0", "k1"}] * 2
    assert listed(far) == ["C-0", "C-1"]


@pytest.mark.parametrize(
    ("method", "path", "taken"),
    [("POST", "/composite$", 1), ("POST", "/ingest$", 1), ("PUT", "/batches$", 0)],
)
def test_an_answer_that_was_lost_leaves_nobody_in_doubt(dialogue, speak, far, campaign, method, path, taken):
    """
    A job whose answer was lost never begins, so the batch is sent again at once: whole where the call can be repeated,
    and in halves where Salesforce has the rows already and takes them once.
    """
    remote = speak(before=dialogue.losing(method, path))

    sent = delivered(remote, campaign, people(2))
    remote.flush(campaign)
    far.works()

    assert sent.error is None
    assert len(sent.tickets) == taken
    assert sent.found == {Verdict.TICKET if taken else Verdict.OK: [(0, 1)]}
    assert len([each for each in far.jobs.values() if each["said"]["state"] == "JobComplete"]) == taken


def test_a_job_that_has_begun_is_not_begun_again(dialogue, speak, far, campaign):
    """
    Where the answer to the beginning is lost, the job is at work all the same, and its ticket is known.
    """
    remote = speak(before=dialogue.losing("PATCH", "/jobs/"))
    ticket = remote.upsert(campaign, people(2)).ticket
    remote.flush(campaign)
    far.works()

    assert [body for method, _, body in dialogue.calls if method == "PATCH"] == [{"state": "UploadComplete"}] * 2
    assert speak().outcome(ticket, people(2)).accepted == {"k0", "k1"}


@pytest.mark.parametrize(("trouble", "words"), [("locked", "UNABLE_TO_LOCK_ROW:no:--"), ("silent", "neither among")])
@pytest.mark.parametrize("options", [OWN, CREATE], ids=["refuse", "create"])
def test_each_row_has_its_own_fate(speak, far, campaign, settled, options, trouble, words):
    """
    Who fails is refused in Salesforce's words, and so is whoever it does not name at all; neither is on the campaign.
    """
    refs = [far.keep("Contact", {"Customer_No__c": f"C-{n}", "LastName": "Z"}) for n in range(3)]
    getattr(far, trouble).add(refs[1] if options is OWN else "C-1")

    verdict = settled(speak(**options), "upsert", campaign, people(3))

    assert (verdict.accepted, verdict.rejected.keys(), listed(far)) == ({"k0", "k2"}, {"k1"}, ["C-0", "C-2"])
    assert words in verdict.rejected["k1"]


def test_whom_the_campaign_refuses_is_told_when_the_job_is_done(speak, far, campaign):
    """
    A record that is written and cannot be put on the campaign is refused; asked again, it is put there.
    """
    remote = speak()
    ticket = remote.upsert(campaign, people(2)).ticket
    remote.flush(campaign)
    far.works()
    errors = [{"statusCode": "UNABLE_TO_LOCK_ROW", "message": "no"}]
    said = [{"success": not n, "id": "00v", "errors": errors * n} for n in range(2)]
    locked = speak(before=lambda call: httpx.Response(200, json=said) if call.url.path.endswith("sobjects") else None)

    assert locked.outcome(ticket, people(2)).rejected == {"k1": "UNABLE_TO_LOCK_ROW: no"}
    assert speak().outcome(ticket, people(2)).accepted == {"k0", "k1"}
    assert listed(far) == ["C-0", "C-1"]


@pytest.mark.parametrize("verb", ["upsert", "remove"])
@pytest.mark.parametrize(
    ("said", "words"),
    [({"errorMessage": "no batch is left today"}, "no batch"), ({"state": "Aborted"}, "someone has aborted"),
     (None, "does not know this job")],
    ids=["failed", "aborted", "forgotten"],
)  # fmt: skip
def test_a_job_that_fails_refuses_everybody(speak, far, campaign, settled, verb, said, words):
    """
    Nobody waits for a job that failed, was aborted, or is forgotten: it is tried again, and a removal is planned anew.
    """
    settled(speak(), "upsert", campaign, people(2))
    ticket = getattr(speak(), verb)(campaign, people(2)).ticket
    job = far.jobs.pop(ticket.split()[0])
    if said:
        job["said"] |= {"state": "Failed", **said}
        far.jobs[job["said"]["id"]] = job

    verdict = speak().outcome(ticket, people(2))

    assert verdict.rejected.keys() == {"k0", "k1"}
    assert all(words in each for each in verdict.rejected.values())
    assert listed(far) == ["C-0", "C-1"]


@pytest.mark.parametrize("which", ["successful", "failed"])
def test_results_that_are_none_are_no_verdict(speak, far, campaign, which):
    """
    A page of something else in their place refuses nobody, and the job is asked for again.
    """
    remote = speak()
    ticket = remote.upsert(campaign, people(2)).ticket
    remote.flush(campaign)
    far.works()
    page = httpx.Response(200, text="<html>")
    strange = speak(before=lambda call: page if call.url.path.endswith(f"{which}Results") else None)

    with pytest.raises(DeliveryError, match="no column sf__"):
        strange.outcome(ticket, people(2))
    assert speak().outcome(ticket, people(2)).accepted == {"k0", "k1"}


def test_a_field_that_does_not_exist_fails_a_job(speak, campaign, settled):
    """
    Salesforce's own words name it, for everybody.
    """
    verdict = settled(speak(), "upsert", campaign, people(2, Colour__c="red"))

    assert {*verdict.rejected.values()} == {"InvalidBatch : Field name not found : Colour__c"}


def test_cells_are_what_salesforce_reads(dialogue, speak, campaign):
    """
    NULL and an empty text empty a field, which an empty cell would leave; a field that is not sent is such a cell.
    """
    values = [None, "", True, False, 0, 2.5, 'a,"b"\r\nc', "=1"]
    members = [Member(f"k{n}", {"Customer_No__c": f"C-{n}", "LastName": each}) for n, each in enumerate(values)]
    speak().upsert(campaign, [*members, Member("last", {"Customer_No__c": "C-8"})])

    cells = ["#N/A", "#N/A", "true", "false", "0", "2.5", 'a,""b""\r\nc', "=1", ""]
    [text] = dialogue.sent("PUT")
    assert text == '"LastName","Customer_No__c"\n' + "".join(f'"{each}","C-{n}"\n' for n, each in enumerate(cells))


@pytest.mark.parametrize("value", [{"Account_No__c": "A-1"}, "#N/A", ["a"]])
def test_what_no_cell_can_hold_goes_by_calls(speak, far, campaign, value):
    """
    A batch with a related record, a list, or a text that reads like NULL is no job.
    """
    receipt = speak().upsert(campaign, people(2, LastName=value))

    assert (receipt.ticket, receipt.accepted, far.jobs) == (None, {"k0", "k1"}, {})
    assert [each["LastName"] for each in far.tables["Contact"].values()] == [value, value]


def test_who_was_deleted_meanwhile_is_not_made_anew(speak, far, campaign):
    """
    Where strangers are refused, a record that is deleted before the job is done stays so.
    """
    for n in range(2):
        far.keep("Contact", {"Customer_No__c": f"C-{n}", "LastName": "Z"})
    remote = speak(**OWN)
    ticket = remote.upsert(campaign, people(2)).ticket
    remote.flush(campaign)
    far.tables["Contact"].popitem()
    far.works()

    verdict = speak(**OWN).outcome(ticket, people(2))

    assert (verdict.accepted, verdict.rejected.keys()) == ({"k0"}, {"k1"})
    assert len(far.tables["Contact"]) == 1


def test_many_leave_by_a_job(speak, far, campaign, settled):
    """
    Campaign members are deleted, and no record is. Who is off by then is off; who stays is told, and planned anew.
    """
    settled(speak(), "upsert", campaign, people(4))
    gone, locked, *_ = far.tables["CampaignMember"]
    far.locked.add(locked)
    remote = speak()
    receipt = remote.remove(campaign, people(3))
    remote.flush(campaign)
    del far.tables["CampaignMember"][gone]
    far.works()

    verdict = speak().outcome(receipt.ticket, people(3))

    assert (verdict.accepted, verdict.rejected) == ({"k0", "k2"}, {"k1": "UNABLE_TO_LOCK_ROW:no:--"})
    assert (listed(far), len(far.tables["Contact"])) == (["C-1", "C-3"], 4)


def test_many_are_looked_up_in_few_calls(dialogue, speak, campaign):
    """
    A query asks for 200 people, and a call has five: 1,200 of whom Salesforce knows nobody take two.
    """
    remote = speak(**OWN)
    remote.upsert(campaign, people())
    before = len(dialogue.calls)

    remote.upsert(campaign, people(1200))

    assert [where.rpartition("/")[2] for _, where, _ in dialogue.calls[before:]] == ["composite"] * 2


def test_a_file_a_campaign_and_back(dialogue, tmp_path, far):
    """
    From SQL to campaign by jobs: two runs later who entered is on it and who left is off, and nobody is deleted.
    """
    for address in (ADA, ZOE):
        far.keep("Contact", {"Email": address, "LastName": "Z"})
    world = World(tmp_path, "salesforce")
    world.receiver = far
    dialogue.account()
    world.define(text=HEADER.replace(SHOWN, SECTION).replace("{more}", "-- [guard]\n-- removed = 1.0\n"))

    world.people((1, ADA, 3), (2, "kim@example.com", 4))
    results = [world.sync()]
    world.people((3, "Zoe@Example.com", 5))
    for _ in range(2):
        far.works()
        results.append(world.sync())

    [member] = far.tables["CampaignMember"].values()
    assert [(each.error, each.delivered, each.refused) for each in results] == [
        (None, 0, 1),
        (None, 1, 0),
        (None, 2, 0),
    ]
    assert far.tables["Contact"][member["ContactId"]]["NPS__c"] == 5
    assert len(far.tables["Contact"]) == 2
