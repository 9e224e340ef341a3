"""The connector `mixpanel`: its calls, what it makes of an answer, whom it reads back, and a whole sync of it."""

from __future__ import annotations

import json

import httpx
import pytest

from audiences import BatchRefused, Form, Member, Unanswered
from audiences.errors import Deferred, DefinitionError, DeliveryError
from dialogue import SHOWN, documented, fixtures
from world import HEADER, World

SECTION = """-- [sync.mixpanel]
-- list = "L"
-- send = { distinct_id = "id", "$email" = "email", nps = "nps" }"""
DETRACTORS = "audiences: Detractors"
NO_READER = {"MIXPANEL_SERVICE_SECRET": "", "MIXPANEL_PROJECT_ID": ""}


dialogue, sandbox, speak = fixtures("mixpanel", send=("distinct_id", "nps"))


def people(count=1, **fields):
    return [Member(f"k{n}", {"distinct_id": f"user-{n}", "nps": n, **fields}, n) for n in range(count)]


def said(answer):
    return lambda request: httpx.Response(200, **answer)


def sent(request):
    return json.loads(request.content)


TAKEN = said({"json": {"status": 1, "error": None}})


def test_the_calls_are_as_documented(dialogue, speak):
    """
    NULLs unset, fields set, the name added: one operation a call, each a list of updates with token and distinct_id.
    """
    remote = speak(TAKEN)

    remote.upsert(DETRACTORS, people(2, plan=None))

    whose = [{"$token": "not-a-real-token", "$distinct_id": f"user-{n}"} for n in range(2)]
    assert [sent(call) for call in dialogue.requests] == [
        [{**each, "$unset": ["plan"]} for each in whose],
        [{**each, "$set": {"nps": n}} for n, each in enumerate(whose)],
        [{**each, "$union": {"audiences": ["Detractors"]}} for each in whose],
    ]
    assert {(call.method, call.url.raw_path) for call in dialogue.requests} == {
        ("POST", b"/engage?ip=0&strict=1&verbose=1")  # without what follows a `#`
    }
    assert {call.headers["content-type"] for call in dialogue.requests} == {"application/json"}


@pytest.mark.parametrize(
    ("list_id", "expected"),
    [(DETRACTORS, {"$remove": {"audiences": "Detractors"}}), ("in_detractors", {"$unset": ["in_detractors"]})],
)
def test_a_removal_touches_membership_alone(dialogue, speak, list_id, expected):
    """
    One call takes the name out, or unsets the boolean. Nothing is set, so nobody becomes a profile by it.
    """
    remote = speak(TAKEN)

    remote.remove(list_id, people(1, plan=None))

    [call] = dialogue.requests
    assert sent(call) == [{"$token": "not-a-real-token", "$distinct_id": "user-0", **expected}]


def test_a_boolean_travels_with_the_fields(dialogue, speak):
    """
    Fields and membership are one update, so no one is on the list without them.
    """
    remote = speak(TAKEN, membership="boolean")

    remote.upsert("in_detractors", people(1))

    [call] = dialogue.requests
    assert [update["$set"] for update in sent(call)] == [{"nps": 0, "in_detractors": True}]


@pytest.mark.parametrize(
    ("region", "hosts"),
    [
        ("us", ("api.mixpanel.com", "mixpanel.com")),
        ("eu", ("api-eu.mixpanel.com", "eu.mixpanel.com")),
        ("in", ("api-in.mixpanel.com", "in.mixpanel.com")),
    ],
)
def test_each_region_has_its_hosts(dialogue, speak, region, hosts):
    """
    Profiles are written to and read from the servers of the project's residency.
    """
    page = {"results": [], "page": 0, "page_size": 1000, "session_id": "s", "status": 1}
    remote = speak(said({"json": page}), settings={"MIXPANEL_REGION": region})

    remote.remove(DETRACTORS, people())
    [*remote.members(DETRACTORS)]

    assert tuple(call.url.host for call in dialogue.requests) == hosts


@pytest.mark.parametrize("region", ["", "de", "US"])
def test_no_region_is_taken_for_granted(speak, region):
    """
    A region that is missing, or that Mixpanel does not have, is an error that names the variable.
    """
    with pytest.raises(DefinitionError, match="MIXPANEL_REGION"):
        speak(TAKEN, settings={"MIXPANEL_REGION": region})


@pytest.mark.parametrize(
    "answer",
    [
        {"text": "1"},
        {"json": {"status": 1, "error": None}},
        {"json": {"status": 1, "error": ""}},
        {"json": {"code": 200, "status": "OK", "num_records_imported": 3}},
    ],
)
def test_success_is_said_in_three_ways(speak, answer):
    """
    `1`, as the page of each call has it, or the objects of `verbose` and of `strict`.
    """
    receipt = speak(said(answer)).remove(DETRACTORS, people(3))

    assert receipt.accepted == {"k0", "k1", "k2"}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"text": "0"}, "nothing valid"),
        ({"json": {"status": 0, "error": "token, missing"}}, "token, missing"),
        ({"json": {"status": 1, "error": "one was dropped"}}, "one was dropped"),
        ({"json": {"code": 200, "status": "OK", "num_records_imported": 2}}, "nothing valid"),
        ({"json": {"status": "OK", "failed_records": [{"index": 1, "message": "too deep"}]}}, "too deep"),
        ({"json": {"status": "Bad Request", "failed_records": ["?"]}}, "nothing valid"),
    ],
)
def test_half_a_success_is_none(speak, answer, words):
    """
    A 200 that does not say that every update was taken refuses the batch, in Mixpanel's words, so that it is halved.
    """
    with pytest.raises(BatchRefused) as refusal:
        speak(said(answer)).remove(DETRACTORS, people(3))
    assert words in refusal.value.reason


@pytest.mark.parametrize("answer", [{"text": "<html>"}, {"text": ""}, {"json": {}}, {"json": []}, {"text": "2"}])
def test_an_answer_of_another_kind_is_none(speak, answer):
    """
    What Mixpanel never says, such as a proxy's page, leaves the batch in doubt.
    """
    with pytest.raises(Unanswered):
        speak(said(answer)).remove(DETRACTORS, people())


@pytest.mark.parametrize("fields", [{"note": "a" * 10**6}, {"note": "\ud800"}])
def test_who_cannot_travel_is_refused_alone(speak, sandbox, fields):
    """
    More than 1 MB, or what JSON cannot hold, is never sent: that member is refused, and is not on the list.
    """
    remote = speak()
    batch = [*people(2), Member("bad", {"distinct_id": "user-9", "nps": 1, **fields}, 9)]

    receipt = remote.upsert(DETRACTORS, batch)

    assert receipt.rejected.keys() == {"bad"}
    assert sandbox.profiles.keys() == {"user-0", "user-1"}


def test_other_lists_and_properties_stay(speak, sandbox):
    """
    From the first update to the removal, what others wrote into a profile is as they left it.
    """
    theirs = {"audiences": ["VIPs"], "$city": "London", "in_vips": True}
    sandbox.profiles["user-0"] = {**theirs, "audiences": ["VIPs"]}
    remote = speak()

    remote.upsert(DETRACTORS, people())
    remote.remove(DETRACTORS, people())

    assert sandbox.profiles["user-0"] == {**theirs, "nps": 0}


def test_null_may_leave_what_is_there(speak, sandbox):
    """
    With `null = "keep"` no property is ever unset; by default it is.
    """
    for null, expected in (("keep", {"nps": 7}), ("clear", {})):
        sandbox.profiles["user-0"] = {"nps": 7}
        speak(null=null).upsert(DETRACTORS, people(nps=None))

        assert sandbox.profiles["user-0"] == {**expected, "audiences": ["Detractors"]}


def test_members_are_read_page_by_page(dialogue, speak, sandbox):
    """
    Everybody on the list, and nobody who is only on one with a similar name; a page a query, within one session.
    """
    remote, sandbox.page_size = speak(), 2
    remote.upsert(DETRACTORS, people(5))
    remote.upsert("audiences: Detractors 2", people(7)[5:])
    remote.remove(DETRACTORS, people(1))

    found = [*remote.members(DETRACTORS)]

    assert found == [{"distinct_id": f"user-{n}"} for n in range(1, 5)]
    queries = [call for call in dialogue.requests if call.url.host == "eu.mixpanel.com"]
    assert len(queries) == 4
    assert {call.url.query for call in queries} == {b"project_id=3187"}
    assert queries[0].headers["content-type"] == "application/x-www-form-urlencoded"


def test_members_of_a_boolean(speak, sandbox):
    """
    Those whose property is true, and not those where someone wrote false.
    """
    sandbox.profiles |= {"a": {"in_vips": True}, "b": {"in_vips": False}, "c": {}}

    found = [*speak(membership="boolean").members("in_vips")]

    assert found == [{"distinct_id": "a"}]


def test_an_id_is_read_back_as_text(speak):
    """
    A distinct_id that Mixpanel gives as a number, as its page shows it, is the text that was sent.
    """
    results = [{"$distinct_id": 4, "$properties": {"in_vips": True}}]
    page = {"results": results, "page": 0, "page_size": 1000, "session_id": "s"}

    assert [*speak(said({"json": page})).members("in_vips")] == [{"distinct_id": "4"}]


def test_reading_back_needs_a_service_account(speak):
    """
    Without one, the error names each variable that is missing, at once; writing needs none.
    """
    remote = speak(TAKEN, settings=NO_READER)

    with pytest.raises(DefinitionError) as error:
        remote.members(DETRACTORS)
    assert "MIXPANEL_SERVICE_SECRET, MIXPANEL_PROJECT_ID" in error.value.do
    assert remote.remove(DETRACTORS, people()).accepted == {"k0"}


def test_half_a_service_account_is_no_account(speak):
    """
    A check names what is missing of it, rather than passing it over.
    """
    with pytest.raises(DefinitionError, match="service account") as error:
        speak(TAKEN, settings=NO_READER).check()

    assert "MIXPANEL_SERVICE_SECRET, MIXPANEL_PROJECT_ID" in error.value.do


def test_reading_back_ends_with_the_hour(speak, sandbox):
    """
    After 60 queries Mixpanel answers 429, and the reading is put off.
    """
    remote, sandbox.page_size = speak(), 1
    remote.upsert(DETRACTORS, people(70))

    with pytest.raises(Deferred):
        [*remote.members(DETRACTORS)]


@pytest.mark.parametrize("answer", [{"text": "<html>"}, {"json": {"status": "ok"}}, {"json": []}])
def test_a_page_of_another_kind_is_said(speak, answer):
    """
    What is no page of profiles is an error, never an empty list.
    """
    with pytest.raises(DeliveryError, match="no page of profiles"):
        [*speak(said(answer)).members(DETRACTORS)]


@pytest.fixture
def world(dialogue, tmp_path, sandbox):
    """A project that sends its people to the sandbox, by id."""
    world = World(tmp_path, "mixpanel")
    world.receiver = sandbox
    dialogue.account()
    world.define(text=HEADER.replace(SHOWN, SECTION))
    return world


def test_a_sync_adds_changes_and_removes(world):
    """
    Three runs: all are added, one changes and one leaves, one comes back under another id.
    """
    world.people((1, "a@example.com", 3), (2, "b@example.com", 4))
    world.sync()
    world.people((1, "a@example.com", 5))
    world.sync()
    world.people((1, "a@example.com", 5), (3, "b@example.com", 4))

    result = world.sync()

    assert result.error is None
    assert world.receiver.profiles == {
        "1": {"$email": "a@example.com", "nps": 5, "audiences": ["L"]},
        "2": {"$email": "b@example.com", "nps": 4, "audiences": []},
        "3": {"$email": "b@example.com", "nps": 4, "audiences": ["L"]},
    }


def test_a_culprit_is_found_by_halving(world, sandbox):
    """
    Whoever Mixpanel turns down is refused and is not on the list; everyone else is delivered.
    """
    fine = sandbox.valid
    sandbox.valid = lambda update: fine(update) and update.get("$set", {}).get("nps") != 13
    world.people(*((n, f"p{n}@example.com", n) for n in range(20)))

    result = world.sync()

    assert (result.delivered, result.refused) == (19, 1)
    assert {name for name, held in sandbox.profiles.items() if held.get("audiences")} == {
        str(n) for n in range(20) if n != 13
    }


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("mixpanel", tmp_path)

    assert not found.errors
    assert found.bindings["team.mixpanel"].identity == {"distinct_id": Form.EXACT}
