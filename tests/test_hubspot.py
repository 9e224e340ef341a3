"""The connector `hubspot`: its lists, of which no second one comes to be, its account and its pace."""

from __future__ import annotations

import httpx
import pytest

from audiences import BatchRefused, Member
from audiences.batch import Verdict
from audiences.errors import CredentialsRefused, Deferred, DefinitionError, DeliveryError
from dialogue import ADA, ZOE, answering, delivered, first, fixtures
from world import World

AUDIENCE = """-- /// audience
-- about = "A test"
-- owner = "tests@example.com"
-- key = "id"
-- schedule = "@daily"
--
-- [sync.hubspot]
-- list = "NPS detractors"
-- send = { email = "email", nps_score = "nps" }
--
-- [guard]
-- removed = 1.0
-- ///
select id, email, nps from people
"""
KIM = "kim@example.com"
OWN = {"identify": "customer_no"}
UNPACED = """from audiences import Limits
from audiences.connectors import find, shipped

class Unpaced(find("hubspot", [shipped("connectors")])):
    limits = Limits(batch=100)
"""


dialogue, sandbox, speak = fixtures("hubspot", send=("email", "nps_score"))


def people(*fields):
    """Members with these fields; their keys are k0, k1 and so on."""
    return [Member(f"k{n}", each, n) for n, each in enumerate(fields)]


def crowd(size):
    """So many members, all of them good."""
    return people(*({"email": f"p{n}@example.com", "nps_score": n} for n in range(size)))


@pytest.fixture
def hubspot(speak):
    return speak()


@pytest.fixture
def detractors(hubspot):
    """The id of a list."""
    return hubspot.prepare("NPS detractors")


@pytest.mark.parametrize("name", ["NPS detractors", "nps DETRACTORS"])
def test_a_list_is_made_once(hubspot, speak, sandbox, name):
    """
    A list that is not there is made, as a static one; from then on it is found, in any case of its name.
    """
    made = hubspot.prepare("NPS detractors")

    assert speak().prepare(name) == made
    assert [each["processingType"] for each in sandbox.lists.values()] == ["MANUAL"]


@pytest.mark.parametrize("name", ["a/b", "50% off?", "#1 & more", "détracteurs 漢字"])
def test_a_list_may_have_any_name(hubspot, sandbox, name):
    """
    Signs that mean something in an address are part of the name.
    """
    assert hubspot.prepare(name) == hubspot.prepare(name)
    assert [each["name"] for each in sandbox.lists.values()] == [name]


@pytest.mark.parametrize("status", [400, 409])
def test_two_workers_make_one_list(speak, sandbox, status):
    """
    Where another makes the list between the look and the making, that list is taken.
    """

    def race(request):
        if request.method == "POST" and not sandbox.lists:
            sandbox(request)
            return httpx.Response(status, json={"message": "List with this name already exists."})
        return None

    assert speak(race).prepare("L") == "1"
    assert len(sandbox.lists) == 1


def test_a_list_that_cannot_be_made_is_told_in_hubspots_words(speak, sandbox):
    """
    A refusal for another reason than the name stands as HubSpot says it.
    """
    refusal = answering("/crm/v3/lists", 400, message="The portal has too many lists")

    with pytest.raises(BatchRefused) as refused:
        speak(refusal).prepare("L")

    assert refused.value.reason == "The portal has too many lists"


@pytest.mark.parametrize(
    "change", [{"processingType": "DYNAMIC"}, {"objectTypeId": "0-2"}], ids=["dynamic", "companies"]
)
def test_a_list_that_cannot_hold_the_members_is_refused(hubspot, speak, detractors, sandbox, change):
    """
    A list that HubSpot fills by itself, or one of other objects, is an error before any record is touched.
    """
    sandbox.lists[detractors] |= change

    with pytest.raises(
        DeliveryError, match=r"'NPS detractors' is .*; it has to be static, of contacts\n  do: name another list"
    ):
        speak().upsert(detractors, crowd(1))
    assert not sandbox.records["0-1"]


@pytest.mark.parametrize("seen", [True, False], ids=["during a run", "before a run"])
def test_a_list_that_is_gone_is_never_made_again(hubspot, speak, detractors, sandbox, seen):
    """
    Deleted in HubSpot, it is an error with the way out, for whoever asks; no new list takes its place.
    """
    hubspot.upsert(detractors, crowd(1))
    asked = hubspot if seen else speak()
    sandbox.lists.clear()

    for ask in (asked.upsert, asked.remove, lambda *_: [*asked.members(detractors)]):
        with pytest.raises(DeliveryError, match=rf"list {detractors} is gone\n  do: restore it.*audiences forget"):
            ask(detractors, crowd(1))
    assert sandbox.calls.count("POST /crm/v3/lists") == 1


def test_a_list_that_is_shown_as_deleted_is_gone(hubspot, speak, detractors, sandbox):
    """
    HubSpot keeps a deleted list for 90 days, and may still show it.
    """
    sandbox.lists[detractors]["deletedAt"] = "2026-11-02T09:00:00.000Z"

    with pytest.raises(DeliveryError, match="is gone"):
        speak().prepare("NPS detractors")


def test_nobody_is_assumed_to_be_on_the_list(speak, detractors, sandbox):
    """
    Who was there before is read back; a record that is not on the list afterwards is rejected with words.
    """

    def forgetful(request):
        if not request.url.path.endswith("/add"):
            return None
        sandbox(request)
        sandbox.lists[detractors]["members"].discard("1007")
        return httpx.Response(200, json={"recordIdsMissing": ["1007"]})

    receipt = speak(forgetful).upsert(detractors, crowd(3))

    assert receipt.accepted == {"k0", "k2"}
    assert receipt.rejected == {"k1": "HubSpot did not add it to the list"}


def test_removing_takes_off_the_list_and_nothing_else(hubspot, detractors, sandbox):
    """
    The contact stays as it is, a stranger is accepted, and no call but those to find and to take off is made.
    """
    hubspot.upsert(detractors, crowd(2))
    before, sandbox.calls = dict(sandbox.records["0-1"]), []

    receipt = hubspot.remove(detractors, [*crowd(1), Member("stranger", {"email": ZOE})])

    assert receipt.accepted == {"k0", "stranger"}
    assert sandbox.records["0-1"] == before
    assert sandbox.lists[detractors]["members"] == {"1007"}
    assert [call.rpartition("/")[2] for call in sandbox.calls] == ["read", "remove"]


def test_a_long_list_is_read_whole(hubspot, detractors, sandbox):
    """
    Page after page, 100 records at a time; a contact without an address is among them.
    """
    sandbox.records["0-1"] = {str(n): {"email": f"p{n}@example.com"} for n in range(1, 612)} | {"612": {}}
    sandbox.lists[detractors]["members"] = set(sandbox.records["0-1"])

    found = [each["email"] for each in hubspot.members(detractors)]

    assert found == [*(f"p{n}@example.com" for n in range(1, 612)), ""]
    assert len([call for call in sandbox.calls if call.endswith("memberships")]) == 3


@pytest.mark.parametrize(("left", "found"), [(0, {Verdict.NO: [(0, 19)]}), (1, {Verdict.NO: [(0, 19)]}), (2, {})])
def test_a_quota_that_is_used_up_defers_the_sync_at_once(dialogue, hubspot, detractors, sandbox, left, found):
    """
    The day's calls come back at midnight: nobody waits for them. Whose record was written by then is in doubt.
    """
    begun, sandbox.daily = dialogue.clock.now, left

    sent = delivered(hubspot, detractors, crowd(20))

    assert isinstance(sent.error, Deferred)
    assert (sent.found, len(sandbox.records["0-1"])) == (found, 0 if found else 20)
    assert dialogue.clock.now < begun + 1


def test_what_was_updated_before_the_stop_is_sent_again(world, sandbox):
    """
    The quota ends between update and addition, and the value goes back: HubSpot does not keep the one in between.
    """
    world.people((1, ADA, 3))
    world.sync()
    sandbox.calls, sandbox.daily = [], 4  # look, look, find, update
    world.people((1, ADA, 9))
    broken = world.sync()
    written, sandbox.daily = sandbox.records["0-1"]["1000"]["nps_score"], 250_000
    world.people((1, ADA, 3))
    world.sync()

    assert (broken.error.exit_code, written) == (5, "9")
    assert sandbox.records["0-1"]["1000"]["nps_score"] == "3"


def test_a_removal_that_hubspot_did_not_do_is_refused(speak, detractors, sandbox):
    """
    Who is on the list after the removal, as HubSpot reads it back, is not taken for gone.
    """
    remote = speak(answering("/memberships/remove", 200, recordIdsRemoved=[]))
    remote.upsert(detractors, crowd(2))

    receipt = remote.remove(detractors, [*crowd(2), Member("stranger", {"email": ZOE})])

    assert receipt.rejected == dict.fromkeys(["k0", "k1"], "HubSpot left it on the list")
    assert receipt.accepted == {"stranger"}


@pytest.mark.parametrize(
    ("status", "headers", "policy", "seconds"),
    [
        (429, {}, "TEN_SECONDLY_ROLLING", 10),
        (429, {}, "SECONDLY", 0.5),
        (423, {}, "", 2),
        (477, {"retry-after": "60"}, "", 60),
    ],
)
def test_what_passes_is_waited_for(dialogue, speak, status, headers, policy, seconds):
    """
    A full window, a locked record and a move to another data centre are tried again, none before it can have passed.
    """
    speak(first(httpx.Response(status, headers=headers, json={"policyName": policy}))).prepare("L")

    assert seconds <= dialogue.clock.now < seconds + 3


def test_a_throttle_without_words_is_tried_again(speak):
    """
    A 429 from before HubSpot's own servers has no policy, and is as any other.
    """
    answers = first(httpx.Response(429, text="<html>"), httpx.Response(429, json=["?"]))

    assert speak(answers).prepare("L") == "1"


def test_a_refused_key_is_told_without_the_key(speak):
    """
    A key that HubSpot does not take is the account's fault, and is not shown; blanks around it do not count.
    """
    with pytest.raises(CredentialsRefused) as refused:
        speak(settings={"HUBSPOT_ACCESS_TOKEN": "not-a-real-other"}).prepare("L")

    assert "not-a-real" not in str(refused.value)
    assert speak(settings={"HUBSPOT_ACCESS_TOKEN": " not-a-real-token\n"}).prepare("L") == "1"


def test_an_account_is_checked_without_touching_anything(speak, sandbox):
    """
    One call that changes nothing tells whether the key is taken.
    """
    speak().check()

    with pytest.raises(CredentialsRefused):
        speak(settings={"HUBSPOT_ACCESS_TOKEN": "not-a-real-other"}).check()
    assert sandbox.calls == ["GET /crm/v3/lists/folders"] * 2


@pytest.mark.parametrize(
    ("fields", "options", "words"),
    [
        (
            ("firstname",),
            {},
            "a contact is known to HubSpot by email, which is not sent\n  do: send it, or write identify",
        ),
        (("email",), OWN, "by customer_no, which is not sent"),
        (("domain",), {"object": "company"}, "has no identifier of HubSpot's own\n  do: write identify"),
    ],
)
def test_members_without_an_identifier_are_an_error_of_the_file(speak, fields, options, words):
    """
    Before anything is sent: what identifies a record must be among the fields, and a domain does not.
    """
    with pytest.raises(DefinitionError, match=words):
        speak(send=fields, **options)


@pytest.fixture
def world(dialogue, sandbox, tmp_path):
    """A project as the connector's page says; the connector waits for no pace, which a world's clock would not pass."""
    world = World(tmp_path, "hubspot")
    world.receiver = sandbox
    dialogue.account()
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "hubspot.py").write_text(UNPACED)
    world.define(text=AUDIENCE)
    return world


def test_a_file_a_list_and_back(world, sandbox):
    """
    Who enters the query is listed, who leaves it is taken off the list, and nobody is deleted.
    """
    world.people((1, ADA, 3), (2, ZOE, 5))
    first = world.sync()
    world.people((2, "Zoe@Example.com", 6), (3, KIM, 0))
    second = world.sync()

    assert (first.error, second.error) == (None, None)
    [kept] = sandbox.lists.values()
    records = sandbox.records["0-1"]
    assert sorted(records[each]["email"] for each in kept["members"]) == [KIM, ZOE]
    assert {each["email"]: each["nps_score"] for each in records.values()} == {ADA: "3", ZOE: "6", KIM: "0"}


def test_a_run_without_calls_left_is_deferred_and_goes_on_the_next_day(world, sandbox):
    """
    The worker heeds what HubSpot says of its quota: one call finds out, and after midnight the rest is sent.
    """
    world.people((1, ADA, 3))
    sandbox.daily = 5
    deferred = world.sync()
    refused, sandbox.daily = sandbox.turned_away, 250_000
    later = world.sync()

    assert deferred.error.exit_code == 5
    assert "a quota is used up" in str(deferred.error)
    assert (refused, later.error, later.delivered) == (1, None, 1)
