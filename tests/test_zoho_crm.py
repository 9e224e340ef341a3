"""The connector `zoho_crm`: which records are a member's, what becomes of each, and that nobody is made or opted in."""

from __future__ import annotations

import json

import httpx
import pytest

from audiences import Member
from audiences.errors import BatchRefused, Deferred, DefinitionError
from audiences.http import watching
from dialogue import ADA, ZOE, Dialogue

FIELDS = ["Email", "NPS_Score"]
LIST = "Detractors"


class Zoho(Dialogue):
    """One organisation, whose records go by the field Email."""

    def speak(self, before=lambda request: None, send=("Email",), **options):
        return super().speak(before, send, **options)


def told(*addresses, **fields):
    return [Member(each, {"Email": each, **fields}, n) for n, each in enumerate(addresses)]


@pytest.fixture
def zoho(tmp_path):
    return Zoho("zoho_crm", tmp_path)


@pytest.mark.parametrize("out", [True, False])
def test_an_opt_out_stays_as_it_is(zoho, out):
    """
    Through add, update and removal, and no call has a word on it.
    """
    ada = zoho.far.record(Email=ADA, Email_Opt_Out=out)
    remote = zoho.speak(send=FIELDS)
    tag = remote.prepare(LIST)

    for verb in (remote.upsert, remote.upsert, remote.remove):
        assert verb(tag, told(ADA, NPS_Score=3)).accepted == {ADA}
        assert ada["Email_Opt_Out"] is out
    assert "Opt_Out" not in json.dumps(zoho.calls)


@pytest.mark.parametrize("name", ["Email_Opt_Out", "Unsubscribed_Mode", "Data_Processing_Basis", "Tag", "id"])
def test_what_is_zohos_own_is_not_sent(zoho, name):
    """
    A sync that would send consent, tags or a record's id is refused before it begins.
    """
    with pytest.raises(DefinitionError, match=f"'{name}' is not for a list to write"):
        zoho.cls.identify(zoho.cls.Options(), ["Email", name])


def test_a_record_is_known_by_what_is_sent(zoho):
    """
    The field that records are known by has to be in send.
    """
    with pytest.raises(DefinitionError, match="known to Zoho by Customer_No, which is not sent"):
        zoho.cls.identify(zoho.cls.Options(identify="Customer_No"), ["Email"])
    with pytest.raises(ValueError, match="identify"):
        zoho.cls.Options(identify="Email) or (id")


def test_a_stranger_is_refused(zoho):
    """
    Who is no record is not made one, nor is a record of the other module; the reason says so.
    """
    zoho.far.record(Email=ADA)
    zoho.far.options = {"module": "Leads"}
    zoho.far.record(Email=ZOE)
    remote = zoho.speak(send=FIELDS)

    receipt = remote.upsert(remote.prepare(LIST), told(ADA, ZOE, NPS_Score=3))

    assert receipt.accepted == {ADA}
    assert "no record of the module" in receipt.rejected[ZOE]
    assert len(zoho.far.records["Contacts"]) == 1
    assert "POST" not in [method for method, path, _ in zoho.calls if path.endswith(("/Contacts", "/upsert"))]


def test_a_batch_costs_two_calls_and_with_fields_three(zoho):
    """
    A query, an update that starts no workflow, and tags that leave the others on the record.
    """
    ada = zoho.far.record(Email=ADA)
    ada["tags"] = ["55440000000001"]
    remote = zoho.speak(send=FIELDS)
    tag = remote.prepare(LIST)
    remote.upsert(tag, told(ZOE))
    zoho.calls.clear()

    remote.upsert(tag, told(ADA))
    remote.upsert(tag, told(ADA, NPS_Score=None))

    tagging = {"tags": [{"id": tag, "name": LIST}], "over_write": False, "ids": [ada["id"]]}
    query = {"select_query": f"select id, Email from Contacts where Email in ('{ADA}')"}
    update = {"data": [{"id": ada["id"], "NPS_Score": None}], "trigger": []}
    assert [body for _, _, body in zoho.calls] == [query, tagging, query, update, tagging]
    assert zoho.far.tags_of(ada) == ["Détracteurs [2026] / May", LIST]


def test_every_record_with_the_address_is_a_members(zoho):
    """
    Of two with one address, in whatever case, both are tagged and later untagged; each is updated once.
    """
    records = [zoho.far.record(Email=each) for each in (ADA, ADA.upper())]
    remote = zoho.speak(send=FIELDS)
    tag = remote.prepare(LIST)

    twins = [Member("a", {"Email": ADA, "NPS_Score": 3}, 0), Member("b", {"Email": ADA, "NPS_Score": 4}, 1)]
    assert remote.upsert(tag, twins).accepted == {"a", "b"}
    assert [zoho.far.tags_of(each) for each in records] == [[LIST], [LIST]]
    assert [len(body["data"]) for body in zoho.sent("PUT")] == [2]

    assert remote.remove(tag, told(ADA)).accepted == {ADA}
    assert [zoho.far.tags_of(each) for each in records] == [[], []]


def test_more_records_than_a_call_takes_are_several_calls(zoho):
    """
    150 records with one address are updated and tagged in two calls each; more than a query shows are halved away.
    """
    for _ in range(150):
        zoho.far.record(Email=ADA)
    remote = zoho.speak(send=FIELDS)
    tag = remote.prepare(LIST)

    assert remote.upsert(tag, told(ADA, NPS_Score=3)).accepted == {ADA}
    assert [len(body["data"]) for body in zoho.sent("PUT")] == [100, 50]

    for _ in range(51):
        zoho.far.record(Email=ADA)
    with pytest.raises(BatchRefused) as said:
        remote.upsert(tag, told(ADA, NPS_Score=3))
    assert said.value.reason == "more than 200 records have this identifier"


@pytest.mark.parametrize("alone", [True, False])
def test_one_wrong_value_spoils_one_member(zoho, alone):
    """
    A value that Zoho refuses is told in its words, with the field and without the value; that record is not tagged.
    Where it is the only one, the whole call has the status of a failure.
    """
    ada, zoe = (zoho.far.record(Email=each) for each in (ADA, ZOE))
    remote = zoho.speak(send=FIELDS)

    members = [*told(ADA, NPS_Score="secret"), *([] if alone else told(ZOE, NPS_Score=3))]
    receipt = remote.upsert(remote.prepare(LIST), members)

    assert receipt.rejected == {ADA: "INVALID_DATA: invalid data (NPS_Score)"}
    assert (zoho.far.tags_of(ada), zoho.far.tags_of(zoe)) == ([], [] if alone else [LIST])


@pytest.mark.parametrize(("part", "applied"), [("/Contacts", False), ("/actions/add_tags", True)])
def test_a_call_that_is_refused_whole_is_halved(zoho, part, applied):
    """
    A 400 that speaks of no record is told in Zoho's words, for the worker to find out whose fault it is. Only an
    update before it leaves a doubt: a query is a mere look.
    """
    zoho.far.record(Email=ADA)
    said = {"status": "error", "code": "INVALID_DATA", "message": "body", "details": {}}
    remote = zoho.speak(lambda call: httpx.Response(400, json=said) if call.url.path.endswith(part) else None, FIELDS)

    tag = remote.prepare(LIST)

    with watching() as trace, pytest.raises(BatchRefused) as refusal:
        remote.upsert(tag, told(ADA, NPS_Score=3))
    assert refusal.value.reason == "INVALID_DATA: body"
    assert trace.applied is applied


@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_who_is_deleted_meanwhile_is_refused(zoho, verb):
    """
    A record that goes between the query and its tags is refused in Zoho's words; the next run does not find it.
    """
    ada, _ = (zoho.far.record(Email=each) for each in (ADA, ZOE))

    def before(request):
        if "/actions/" in request.url.path:
            zoho.far.records["Contacts"].pop(ada["id"], None)

    remote = zoho.speak(before)

    receipt = getattr(remote, verb)(remote.prepare(LIST), told(ADA, ZOE))

    assert receipt.accepted == {ZOE}
    assert "the id given seems to be invalid (ids)" in receipt.rejected[ADA]


ANOTHER = {"status": "success", "details": {"id": "1"}}
FAILED = {"status": "error", "code": "NOT_ALLOWED", "message": "not yours"}


@pytest.mark.parametrize("items", [[], [ANOTHER], [FAILED, ANOTHER]], ids=["none", "another", "too many"])
def test_silence_is_not_success(zoho, items):
    """
    A record that an answer does not name by its id was not changed, whatever stands in its place; and where the items
    are not as many as the records, no error is taken for its own.
    """
    zoho.far.record(Email=ADA)
    said = httpx.Response(207, json={"data": items})
    remote = zoho.speak(lambda request: said if "/actions/" in request.url.path else None)

    rejected = remote.upsert(remote.prepare(LIST), told(ADA)).rejected

    assert rejected == {ADA: "Zoho does not say that it changed this record"}


@pytest.mark.parametrize(
    ("address", "fit"), [("o'brien@example.com", True), ('a"b@example.com', False), ("a\\b@example.com", False)]
)
def test_quotes_do_not_leave_the_query(zoho, address, fit):
    """
    A single one is doubled, as Zoho says; what it says nothing of is refused, and removed already.
    """
    zoho.far.record(Email=address)
    remote = zoho.speak()
    tag = remote.prepare(LIST)

    receipt = remote.upsert(tag, told(address))

    assert bool(receipt.accepted) is fit
    assert fit or "quotation mark" in receipt.rejected[address]
    assert remote.remove(tag, told(address)).accepted == {address}
    assert [zoho.far.tags_of(each) for each in zoho.far.found("Email", address)] == [[]]


def test_a_day_without_credits_defers_the_sync(zoho):
    """
    Too many calls at once are tried again; that no credit is left is not waited for, and excuses no other error.
    """
    spent = zoho.far.throttled(0)
    spent.headers["x-api-credits-remaining"] = "0"
    replies = [zoho.far.throttled(0)]
    assert zoho.speak(lambda request: replies.pop() if replies else None).prepare(LIST)
    zoho.calls.clear()

    with pytest.raises(Deferred, match="a quota is used up"):
        zoho.speak(lambda request: spent).prepare(LIST)
    assert len(zoho.calls) == 1
    assert zoho.cls.passes_in(httpx.Response(400, headers=spent.headers)) is None
