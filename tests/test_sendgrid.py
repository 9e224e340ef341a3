"""The connector `sendgrid`: whom it makes a contact, what became of each of a job, its lists, what it never sends."""

from __future__ import annotations

import json

import httpx
import pytest

from audiences import BatchRefused, Form, Member
from audiences.errors import DefinitionError, DeliveryError
from dialogue import documented, fixtures

dialogue, far, speak = fixtures("sendgrid", new="subscribed")


@pytest.fixture
def calls(dialogue):
    return dialogue.requests


def people(*names, **fields):
    """Members with these addresses, keyed by them."""
    return [Member(each, {"email": f"{each}@example.com", **fields}, n) for n, each in enumerate(names)]


def puts(calls):
    return [json.loads(call.content)["contacts"] for call in calls if call.method == "PUT"]


def on(far):
    """The addresses on any list."""
    return {address for address, contact in far.contacts.items() if contact["list_ids"]}


def test_fields_go_where_sendgrid_has_them(far, speak, calls):
    """
    Reserved ones by name, one's own by id, each as its type wants it; NULL leaves a field alone.
    """
    remote = speak()
    fields = {"city": 7, "first_name": None, "nps_score": 2.5, "note": 3, "seen": "2026-11-02T09:00:00Z"}

    remote.upsert(remote.prepare(far.list), people("Ada", **fields))

    custom = {"e1_N": 2.5, "e2_T": "3", "e3_D": "2026-11-02T09:00:00Z"}
    assert puts(calls) == [[{"email": "ada@example.com", "city": "7", "custom_fields": custom}]]


@pytest.mark.parametrize("fields", [{"note": True}, {"nps_score": "many"}, {"city": ["Bonn"]}, {"nps_score": False}])
def test_a_value_that_fits_no_field_is_its_members(far, speak, fields):
    """
    It is refused with the field's name and type, and the others are sent.
    """
    remote = speak()

    receipt = remote.upsert(remote.prepare(far.list), [*people("ada", **fields), *people("zoe")])

    assert receipt.accepted == {"zoe"}
    assert next(iter(fields)) in receipt.rejected["ada"]


@pytest.mark.parametrize("name", ["nps", "updated_at"])
def test_an_unknown_field_stops_the_sync(far, speak, calls, name):
    """
    A field that SendGrid has not, or keeps to itself, stops before anything is sent, and those there are are named.
    """
    remote = speak()

    with pytest.raises(DefinitionError, match=f"'{name}' is the name of no field") as error:
        remote.upsert(remote.prepare(far.list), people("ada", **{name: 3}))
    assert "nps_score" in error.value.do
    assert not puts(calls)


def test_a_stranger_is_refused(far, speak):
    """
    Who is no contact is not made one, and whose alternate address it is is another; the reason names the option.
    """
    far.made("ada@example.com")["alternate_emails"] = ["lovelace@example.com"]
    remote = speak(new="refuse")

    receipt = remote.upsert(remote.prepare(far.list), people("Ada", "zoe", "lovelace", "no address"))
    far.works()

    assert receipt.accepted == {"Ada"}
    assert 'new = "subscribed"' in receipt.rejected["zoe"]
    assert receipt.rejected["lovelace"] == receipt.rejected["no address"] == receipt.rejected["zoe"]
    assert on(far) == {"ada@example.com"}
    assert "zoe@example.com" not in far.contacts


def test_the_culprits_are_left_out(far, speak, calls):
    """
    Where a call is turned down for addresses that it names, they are refused in its words, the others sent once more.
    """
    remote = speak()

    receipt = remote.upsert(remote.prepare(far.list), people("ada", "b b", "zoe", "c c"))

    assert receipt.accepted == {"ada", "zoe"}
    assert receipt.rejected["b b"] == "email 'b b@example.com' is not valid"
    assert [len(each) for each in puts(calls)] == [4, 2]


def test_a_refusal_that_names_nobody_is_the_batchs(far, speak):
    """
    Then the worker halves the batch, with SendGrid's words.
    """
    told = {"errors": [{"message": "Not so."}]}
    remote = speak(lambda request: httpx.Response(400, json=told) if request.method == "PUT" else None)

    with pytest.raises(BatchRefused) as error:
        remote.upsert(remote.prepare(far.list), people("ada", "zoe"))
    assert error.value.reason == "Not so."


def test_a_job_that_fails_in_part(far, speak):
    """
    SendGrid names nobody: accepted is who is on the list and was changed since the job began, and nobody else.
    """
    remote, members = speak(), people("ada", "bob", "eve", "kim", "zoe")
    listed = remote.prepare(far.list)
    remote.upsert(listed, members[:2])
    far.works()
    far.fails = {"bob@example.com", "eve@example.com"}  # bob was listed before, and keeps his old fields
    ticket = remote.upsert(listed, members).ticket
    far.works()
    far.contacts["kim@example.com"]["list_ids"] = []

    receipt = speak().outcome(ticket, members[::-1])

    assert receipt.accepted == {"ada", "zoe"}
    assert receipt.rejected.keys() == {"bob", "eve", "kim"}


def test_a_job_without_errors_is_believed(far, speak, calls):
    """
    Nobody is looked up for it: a call for the job is all.
    """
    remote, members = speak(), people("ada", "zoe")
    ticket = remote.upsert(remote.prepare(far.list), members).ticket
    far.works()
    calls.clear()

    assert remote.outcome(ticket, members).accepted == {"ada", "zoe"}
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("status", "words"), [("pending", None), ("a new word", None), ("failed", "failed"), (None, "any more")]
)
def test_only_what_is_over_has_a_verdict(far, speak, status, words):
    """
    Any other word is "not yet"; a job that failed or is forgotten ends, and refuses everybody in it.
    """
    remote, members = speak(), people("ada", "zoe")
    ticket = remote.upsert(remote.prepare(far.list), members).ticket
    if status:
        far.jobs[ticket.partition("/")[2]]["said"]["status"] = status
    else:
        far.jobs.clear()

    receipt = remote.outcome(ticket, members)

    assert (receipt and {*receipt.rejected}) == (words and {"ada", "zoe"})
    assert not words or words in receipt.rejected["ada"]


@pytest.mark.parametrize("tells", [True, False])
def test_a_removal_is_seen_on_the_list(far, speak, calls, tells):
    """
    250 are looked up by three calls and taken off by three, by jobs; whoever is on the list then is not removed.
    """
    remote, members = speak(), people(*(f"p{n}" for n in range(250)), "stranger")
    listed, far.tells_of_removals = remote.prepare(far.list), tells
    remote.upsert(listed, members[:-1])
    far.works()
    calls.clear()

    ticket = remote.remove(listed, members).ticket
    cost = [call.method for call in calls]
    far.works()
    far.contacts["p7@example.com"]["list_ids"] = [listed]
    receipt = speak().outcome(ticket, members)

    assert cost == ["POST"] * 3 + ["DELETE"] * 3
    assert receipt.rejected == {"p7": "SendGrid still has it on the list"}
    assert on(far) == {"p7@example.com"}
    assert "p8@example.com" in far.contacts


def test_a_removal_waits_for_all_its_jobs(far, speak):
    """
    Of several jobs one that is open is enough to wait.
    """
    remote, members = speak(), people(*(f"p{n}" for n in range(150)))
    listed = remote.prepare(far.list)
    remote.upsert(listed, members)
    far.works()
    ticket = remote.remove(listed, members).ticket
    far.works()
    [*far.jobs.values()][-1]["said"]["status"] = "pending"

    assert remote.outcome(ticket, members) is None


def test_an_address_that_cannot_be_looked_up_is_refused(far, speak):
    """
    Of more than 100 characters it is not added, for it could not be removed.
    """
    long = "a" * 89

    receipt = (remote := speak()).upsert(remote.prepare(far.list), people("ada", long))

    assert receipt.accepted == {"ada"}
    assert "100 characters" in receipt.rejected[long]


def test_nothing_is_said_of_suppressions(far, speak, calls):
    """
    No call goes anywhere but to contacts and lists, and none deletes a contact.
    """
    remote = speak()
    listed = remote.prepare(far.list)
    remote.upsert(listed, people("ada"))
    far.works()
    remote.remove(listed, people("ada"))

    assert {call.url.path.split("/")[3] for call in calls} == {"contacts", "lists"}
    assert [call.url.path for call in calls if call.method == "DELETE"] == [f"/v3/marketing/lists/{listed}/contacts"]


def test_a_list_is_found_by_its_exact_name(far, speak):
    """
    On any page, by the whole name; a second time it is not made again.
    """
    far.lists, far.page_size = {f"X{n}": f"Detractors {n}" for n in range(5)}, 2
    remote = speak()

    assert remote.prepare("Detractors") == remote.prepare("Detractors")
    assert [*far.lists.values()].count("Detractors") == 1


def test_several_lists_of_a_name_are_no_ones_choice(far, speak):
    """
    An error names their ids, and says to write one as list_id.
    """
    far.lists = {"A": "Detractors", "B": "Detractors"}

    with pytest.raises(DefinitionError, match="several SendGrid lists: A, B") as error:
        speak().prepare("Detractors")
    assert "list_id" in error.value.do


def test_a_name_that_sendgrid_refuses(speak):
    """
    Its words, and what to do.
    """
    with pytest.raises(DefinitionError, match="between 1 and 100") as error:
        speak().prepare("D" * 101)
    assert error.value.do == "give the list another name, or make it there"


@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_list_that_is_gone_is_no_members_fault(speak, verb):
    """
    Nothing is sent to a list that is not there, and none is made in its place.
    """
    with pytest.raises(DeliveryError, match="the SendGrid list L9 is gone"):
        getattr(speak(), verb)("L9", people("ada"))


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("sendgrid", tmp_path)

    assert not found.errors
    assert found.bindings["team.sendgrid"].identity == {"email": Form.CASELESS}
