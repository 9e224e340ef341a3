"""The connector `klaviyo`: what it sends, what became of each profile of a job, its lists by name, and a whole sync."""

from __future__ import annotations

import json

import httpx
import pytest

from audiences import BatchRefused, Form, Member
from audiences.errors import Deferred, DefinitionError, DeliveryError
from dialogue import SHOWN, documented, fixtures
from world import HEADER, World

SECTION = """-- [sync.klaviyo]
-- list = "NPS / détracteurs (2026), all"
-- send = ["email", "nps"]
-- new = "never_subscribed\""""


dialogue, far, speak = fixtures("klaviyo", new="never_subscribed")


@pytest.fixture
def calls(dialogue):
    return dialogue.requests


def people(*names, **fields):
    """Members with these addresses, keyed by them."""
    return [Member(each, {"email": f"{each}@example.com", **fields}, n) for n, each in enumerate(names)]


def sent(request):
    return json.loads(request.content)["data"]


def imports(calls):
    return [sent(call) for call in calls if (call.method, call.url.path) == ("POST", "/api/profile-bulk-import-jobs")]


def test_an_import_is_as_documented(far, speak, calls):
    """
    Klaviyo's own fields are attributes, the others properties; NULL takes a property off and leaves an own field alone.
    """
    remote = speak()
    fields = {"first_name": None, "external_id": 7, "nps": 3, "plan": None, "location": {"city": "Bonn", "zip": None}}

    remote.upsert(remote.prepare(far.list), people("Ada", **fields))

    attributes = {"email": "ada@example.com", "external_id": "7", "location": {"city": "Bonn"}}
    profile = {"type": "profile", "attributes": {**attributes, "properties": {"nps": 3}}}
    [told] = imports(calls)
    assert told == {
        "type": "profile-bulk-import-job",
        "attributes": {"profiles": {"data": [{**profile, "meta": {"patch_properties": {"unset": ["plan"]}}}]}},
        "relationships": {"lists": {"data": [{"type": "list", "id": "L9999"}]}},
    }


def test_no_call_speaks_of_consent(far, speak, calls):
    """
    Neither adding nor removing says a word on a subscription, and who is new is not subscribed.
    """
    remote = speak()
    listed = remote.prepare(far.list)
    remote.upsert(listed, people("ada", "zoe"))
    far.works()
    remote.remove(listed, people("ada"))

    assert not [call for call in calls if b"subscri" in call.content or b"consent" in call.content]
    assert far.consent({"email": "zoe@example.com"}) == "never_subscribed"


def test_a_stranger_is_refused(far, speak):
    """
    Who is no profile is not made one, unless the sync says so: the reason names the option.
    """
    far.made({"email": "Ada@example.com"})
    remote = speak(new="refuse")

    receipt = remote.upsert(remote.prepare(far.list), people("ada", "zoe"))

    assert receipt.accepted == {"ada"}
    assert 'new = "never_subscribed"' in receipt.rejected["zoe"]
    assert remote.upsert("L9999", people("zoe")).ticket is None


def test_a_name_with_a_meaning_is_refused(speak):
    """
    `$consent` and its like are no properties of one's own; the error says to leave the sign out.
    """
    with pytest.raises(DefinitionError, match=r"\$consent") as error:
        speak(send=["email", "$consent"])
    assert "without the `$`" in error.value.do


def test_the_identifier_has_to_be_sent(speak):
    """
    What a profile goes by is among the fields, and the error says how to choose another.
    """
    with pytest.raises(DefinitionError, match="phone_number, which is not sent") as error:
        speak(identify="phone_number")
    assert "identify" in error.value.do


def test_a_profile_goes_by_an_id_of_ones_own(far, speak):
    """
    With identify = "external_id" people are found by it to remove them, and read back; a new address is no move.
    """
    remote = speak(identify="external_id", send=["email", "external_id"])
    listed, ada = remote.prepare(far.list), {"email": "ada@example.com", "external_id": "C-1"}
    for fields in (ada, {**ada, "email": "lovelace@example.com"}):
        remote.upsert(listed, [Member("k", fields)])
        far.works()
    there = [*remote.members(listed)]
    remote.remove(listed, [Member("k", {"external_id": "C-1"})])

    assert there == [{"external_id": "C-1"}]
    assert [*far.profiles.values()] == [{**ada, "email": "lovelace@example.com"}]
    assert not far.on


def test_the_culprits_are_left_out(far, speak, calls):
    """
    Where a whole import is turned down for some, they are refused in Klaviyo's words, and the others sent once more.
    """
    remote = speak()

    receipt = remote.upsert(remote.prepare(far.list), [*people("ada", "bad @", "zoe"), *people("kim", title=["Dr"])])

    assert receipt.accepted == {"ada", "zoe"}
    assert receipt.rejected["bad @"].startswith("Invalid email address")
    assert receipt.rejected["kim"] == "'title' has to be a text."
    assert [len(each["attributes"]["profiles"]["data"]) for each in imports(calls)] == [4, 2]


@pytest.mark.parametrize("pointer", ["/data/attributes", "/data/attributes/profiles/data/9/attributes/email"])
def test_a_refusal_that_names_nobody_is_the_batchs(far, speak, pointer):
    """
    Where no profile of the import is named, the worker halves the batch, with Klaviyo's words.
    """
    told = {"errors": [{"id": "e", "code": "c", "title": "t", "detail": "Not so.", "source": {"pointer": pointer}}]}
    remote = speak(lambda request: httpx.Response(400, json=told) if "import" in request.url.path else None)

    with pytest.raises(BatchRefused) as error:
        remote.upsert(remote.prepare(far.list), people("ada", "zoe"))
    assert error.value.reason == "Not so."


@pytest.mark.parametrize("size", [1, 100])
def test_a_job_that_fails_in_part(far, speak, size):
    """
    Whom a job could not import is refused in its words, found by what was sent and on any page; the others are listed.
    """
    remote, far.page_size = speak(), size
    far.fails = {f"{name}@example.com": f"{name} is not taken" for name in ("bob", "eve")}
    listed, members = remote.prepare(far.list), people("ada", "bob", "eve", "zoe")
    ticket = remote.upsert(listed, members).ticket
    far.works()

    receipt = speak().outcome(ticket, members[::-1])

    assert receipt.accepted == {"ada", "zoe"}
    assert receipt.rejected == {"bob": "bob is not taken", "eve": "eve is not taken"}
    assert sorted(each["email"] for each in remote.members(listed)) == ["ada@example.com", "zoe@example.com"]


@pytest.mark.parametrize("untold", ["payload", "error"])
def test_who_failed_and_is_not_named(far, speak, untold):
    """
    Where an error does not say whom it is about, or is missing, only those are accepted whom Klaviyo shows as imported.
    """
    remote, members = speak(), people("ada", "bob")
    far.fails = {"bob@example.com": "not taken"}
    ticket = remote.upsert(remote.prepare(far.list), members).ticket
    far.works()
    [job] = far.jobs.values()
    if untold == "payload":
        job["errors"][0]["attributes"]["original_payload"] = None
    else:
        job["errors"].clear()

    receipt = remote.outcome(ticket, members)

    assert receipt.accepted == {"ada"}
    assert receipt.rejected["bob"] == (
        "not taken" if untold == "payload" else "Klaviyo names it neither among the imported nor among the failed"
    )


@pytest.mark.parametrize(
    ("status", "words"), [("queued", None), ("a new word", None), ("cancelled", "cancelled"), (None, "any more")]
)
def test_only_complete_is_done(far, speak, status, words):
    """
    Whatever else a job says is "not yet"; one that was cancelled or is forgotten ends, and refuses everybody in it.
    """
    remote, members = speak(), people("ada", "zoe")
    ticket = remote.upsert(remote.prepare(far.list), members).ticket
    if status:
        far.jobs[ticket]["status"] = status
    else:
        far.jobs.clear()

    receipt = remote.outcome(ticket, members)

    assert (receipt and {*receipt.rejected}) == (words and {"ada", "zoe"})
    assert not words or words in receipt.rejected["ada"]


@pytest.mark.parametrize("name", ["Detractors", 'The "best" \\ (all), in'])
def test_a_list_is_found_by_its_exact_name(far, speak, name):
    """
    Among many lists, on any page, by the whole name; a second time it is not made again.
    """
    far.lists = {f"X{n}": f"{name} {n}" for n in range(25)}
    remote = speak()

    assert remote.prepare(name) == remote.prepare(name) == "L9974"
    assert [*far.lists.values()].count(name) == 1


def test_several_lists_of_a_name_are_no_ones_choice(far, speak):
    """
    An error names their ids, and says to write one as list_id.
    """
    far.lists = {"A": "Detractors", "B": "Detractors"}

    with pytest.raises(DefinitionError, match="several Klaviyo lists: A, B") as error:
        speak().prepare("Detractors")
    assert "list_id" in error.value.do


@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_list_that_is_gone_is_no_members_fault(speak, verb):
    """
    Nothing is sent to a list that is not there, and none is made in its place.
    """
    with pytest.raises(DeliveryError, match="the Klaviyo list L9 is gone"):
        getattr(speak(), verb)("L9", people("ada"))


def test_a_removal_costs_a_call_for_fifty(far, speak, calls):
    """
    150 people and a stranger are looked up by four calls and taken off by one; the stranger is absent already.
    """
    remote, members = speak(), people(*(f"p{n}" for n in range(150)))
    listed = remote.prepare(far.list)
    remote.upsert(listed, members)
    far.works()
    calls.clear()

    receipt = remote.remove(listed, [*members, *people("stranger")])

    assert not receipt.rejected
    assert not far.on
    assert [call.method for call in calls] == [*["GET"] * 4, "DELETE"]


@pytest.mark.parametrize("new", ["refuse", "never_subscribed"])
def test_an_identifier_that_a_filter_cannot_hold_is_refused(far, speak, new):
    """
    Who could not be looked up again to be removed is not added, and is off the list already; the others are looked up.
    """
    far.made({"email": "ada@example.com"})
    remote, members = speak(new=new), people("ada", '"zoe"')
    listed = remote.prepare(far.list)

    receipt = remote.upsert(listed, members)

    assert receipt.accepted == {"ada"}
    assert "quote" in receipt.rejected['"zoe"']
    assert not remote.remove(listed, members).rejected


def test_a_days_lists_used_up(dialogue, far, speak):
    """
    A pause of hours, as after the 150 lists that may be made a day, defers the sync; one of seconds is waited for.
    """
    wait = ["7"]
    remote = speak(lambda request: far.throttled(float(wait.pop())) if wait else None)
    remote.check()
    wait.append("40000")

    with pytest.raises(Deferred):
        remote.prepare(far.list)
    assert dialogue.clock.now >= 7


def test_a_sync_is_accepted_then_delivered(dialogue, far, tmp_path):
    """
    The first run hands in a job; the next one, once it is done, acknowledges those imported and refuses the other.
    """
    world = World(tmp_path, "klaviyo")
    dialogue.account()
    world.receiver, far.fails = far, {"bob@example.com": "no such mailbox"}
    world.define(text=HEADER.replace(SHOWN, SECTION))
    world.people((1, "ada@example.com", 3), (2, "bob@example.com", 4))

    first = world.sync()
    far.works()
    second = world.sync()

    assert (first.delivered, first.pending, second.delivered, second.refused) == (0, 2, 1, 1)
    assert far.holds({"email": "ada@example.com", "nps": 3})


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("klaviyo", tmp_path)

    assert not found.errors
    assert found.bindings["team.klaviyo"].identity == {"email": Form.CASELESS}
