"""The connector `brevo`: nobody's blocklisting is touched, nothing is sent that Brevo would ignore, lists by name."""

from __future__ import annotations

import json

import httpx
import pytest

from audiences import Form, Member
from audiences.errors import Deferred, DefinitionError, DeliveryError
from dialogue import documented, fixtures

dialogue, far, speak = fixtures("brevo")


@pytest.fixture
def calls(dialogue):
    return dialogue.requests


def people(*names, **fields):
    """Members with these addresses, keyed by them."""
    return [Member(each, {"email": f"{each}@example.com", **fields}, n) for n, each in enumerate(names)]


def bodies(calls):
    return [json.loads(call.content) for call in calls if call.content]


def test_a_member_is_one_call(far, speak, calls):
    """
    Attributes and list go together, addressed by e-mail; NULL leaves an attribute alone.
    """
    far.made("ada+x@example.com")
    remote = speak()
    listed = remote.prepare(far.list)
    remote.upsert(listed, people("zoe"))
    calls.clear()
    fields = {"FIRSTNAME": 7, "NPS": 2.5, "VIP": True, "SINCE": "2026-11-02", "TOPICS": ["a"]}

    remote.upsert(listed, people("Ada+x", **fields))
    remote.upsert(listed, people("Ada+x", **dict.fromkeys(fields)))

    asked, *told = calls
    assert (asked.method, asked.url.path) == ("GET", "/v3/contacts/attributes")
    assert {(call.method, call.url.raw_path) for call in told} == {
        ("PUT", b"/v3/contacts/ada%2Bx%40example.com?identifierType=email_id")
    }
    assert bodies(told) == [
        {"attributes": {**fields, "FIRSTNAME": "7"}, "listIds": [1]},
        {"attributes": {}, "listIds": [1]},
    ]


@pytest.mark.parametrize(
    "fields",
    [{"NPS": "9"}, {"NPS": True}, {"VIP": 1}, {"SINCE": "2026-11-02T09:00:00Z"}, {"TOPICS": [1]}, {"FIRSTNAME": ["A"]}],
)
def test_what_brevo_would_ignore_is_refused(far, speak, fields):
    """
    A value that does not fit its attribute is its member's fault, said with the attribute's name and type.
    """
    far.made("ada@example.com"), far.made("zoe@example.com")
    remote = speak()

    receipt = remote.upsert(remote.prepare(far.list), [*people("ada", **fields), *people("zoe")])

    assert receipt.accepted == {"zoe"}
    assert next(iter(fields)) in receipt.rejected["ada"]
    assert not far.contacts["ada@example.com"]["listIds"]


@pytest.mark.parametrize("name", ["firstname", "EMAIL", "SUM"])
def test_an_attribute_that_cannot_be_written_stops_the_sync(far, speak, calls, name):
    """
    One that Brevo has not, computes itself, or that would subscribe a contact again, stops before anybody is written.
    """
    remote = speak()

    with pytest.raises(DefinitionError, match=f"'{name}' is no attribute") as error:
        remote.upsert(remote.prepare(far.list), people("ada", **{name: "x"}))
    assert "FIRSTNAME" in error.value.do
    assert "PUT" not in {call.method for call in calls}


@pytest.mark.parametrize(
    ("new", "becomes"), [("refuse", None), ("blocklisted", "blocklisted"), ("subscribed", "subscribed")]
)
def test_a_stranger_becomes_what_the_sync_says(far, speak, new, becomes):
    """
    Refused with the options that would make a contact, or made one as they say, on the list with the attributes.
    """
    remote, [zoe] = speak(new=new), people("zoe", NPS=3)

    receipt = remote.upsert(remote.prepare(far.list), [zoe])

    assert far.consent(zoe.fields) == becomes
    assert far.holds(zoe.fields) is (becomes is not None)
    assert becomes or 'new = "blocklisted" or "subscribed"' in receipt.rejected["zoe"]


@pytest.mark.parametrize("new", ["refuse", "subscribed"])
def test_no_call_unblocks_anyone(far, speak, calls, new):
    """
    Of those who are contacts nothing is said on blocklists, through add, update and removal.
    """
    far.made("ada@example.com", blocklisted=True)
    remote = speak(new=new)
    listed = remote.prepare(far.list)

    for verb in (remote.upsert, remote.upsert, remote.remove):
        verb(listed, people("ada", NPS=3))

    assert far.consent({"email": "ada@example.com"}) == "blocklisted"
    assert not [body for body in bodies(calls) if {"emailBlacklisted", "smsBlacklisted"} & body.keys()]


def test_a_contact_whose_making_was_not_answered_is_there(dialogue, far, speak):
    """
    Made by a call whose answer was lost, it is refused the second time, found, and accepted.
    """
    remote, [zoe] = speak(dialogue.losing("POST", "/contacts$"), new="blocklisted"), people("zoe", NPS=3)

    receipt = remote.upsert(remote.prepare(far.list), [zoe])

    assert [path for method, path, _ in dialogue.calls if method == "POST"][1:] == ["/v3/contacts"] * 2
    assert receipt.accepted == {"zoe"}
    assert far.holds(zoe.fields)


def test_an_address_that_brevo_refuses(far, speak):
    """
    It is refused in Brevo's words, and the others are listed.
    """
    far.made("ada@example.com")
    remote = speak()

    receipt = remote.upsert(remote.prepare(far.list), [*people("ada"), Member("bad", {"email": "no/where?"}, 2)])

    assert receipt.accepted == {"ada"}
    assert receipt.rejected == {"bad": "Invalid email address"}


@pytest.mark.parametrize("strict", [True, False])
def test_a_removal_takes_only_the_list(far, speak, strict):
    """
    The contact stays, on its other lists and with its attributes; who is not on the list, or unknown, is off already.
    """
    remote, far.strict = speak(), strict
    listed, other = remote.prepare(far.list), remote.prepare("Another")
    for name in ("ada", "bob"):
        far.made(f"{name}@example.com")
    remote.upsert(listed, people("ada", NPS=3))
    remote.upsert(other, people("ada"))

    receipt = remote.remove(listed, people("ada", "bob", "stranger"))

    assert receipt.accepted == {"ada", "bob", "stranger"}
    assert far.contacts["ada@example.com"]["listIds"] == [int(other)]
    assert far.contacts["ada@example.com"]["attributes"] == {"NPS": 3}


def test_who_stays_on_the_list_is_not_removed(far, speak):
    """
    Where Brevo refuses to take one off, the contact is looked at: still listed, the removal is refused in its words.
    """
    far.made("ada@example.com")
    no = httpx.Response(400, json={"code": "invalid_parameter", "message": "Not now"})
    remote = speak(lambda request: no if b"unlink" in request.content else None)
    listed = remote.prepare(far.list)
    remote.upsert(listed, people("ada"))

    assert remote.remove(listed, people("ada")).rejected == {"ada": "Not now"}


def test_a_list_is_found_by_its_exact_name(far, speak):
    """
    On any page, by the whole name; a second time it is not made again.
    """
    far.lists = {n: {"name": f"Detractors {n}", "folder": 1} for n in range(1, 121)}
    remote = speak()

    assert remote.prepare("Detractors 120") == "120"
    assert remote.prepare("Detractors") == remote.prepare("Detractors") == "121"


@pytest.mark.parametrize(("options", "folder"), [({}, 3), ({"folder_id": 9}, 9)])
def test_a_list_is_made_in_a_folder(far, speak, options, folder):
    """
    The oldest, or the one that the sync names.
    """
    far.folders = {3: "First", 9: "Second"}

    listed = speak(**options).prepare(far.list)

    assert far.lists[int(listed)]["folder"] == folder


def test_an_account_without_folders(far, speak):
    """
    The error says to make one.
    """
    far.folders = {}

    with pytest.raises(DefinitionError, match="no folder") as error:
        speak().prepare(far.list)
    assert "make one" in error.value.do


def test_several_lists_of_a_name_are_no_ones_choice(far, speak):
    """
    An error names their ids, and says to write one as list_id.
    """
    far.lists = {n: {"name": "Detractors", "folder": 1} for n in (4, 7)}

    with pytest.raises(DefinitionError, match="several Brevo lists: 4, 7") as error:
        speak().prepare("Detractors")
    assert "list_id" in error.value.do


@pytest.mark.parametrize("name", ["99", "Detractors"])
@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_list_that_is_gone_is_no_members_fault(speak, verb, name):
    """
    Nothing is sent to a list that is not there, and none is made in its place.
    """
    with pytest.raises(DeliveryError, match=f"the Brevo list {name} is gone"):
        getattr(speak(), verb)(name, people("ada"))


def test_it_waits_as_long_as_brevo_says(dialogue, far, speak):
    """
    The seconds of its own header are waited for; an hour's calls used up, the sync is deferred.
    """
    wait = [7]
    remote = speak(lambda request: far.throttled(wait.pop()) if wait else None)
    remote.check()
    waited = dialogue.clock.now
    wait.append(3000)

    with pytest.raises(Deferred):
        remote.check()
    assert 7 <= waited < 9


def test_a_long_list_is_read_back(far, speak):
    """
    Page by page, everybody once.
    """
    remote = speak()
    listed = remote.prepare(far.list)
    for n in range(1001):
        far.made(f"p{n}@example.com")["listIds"] = [int(listed)]

    assert [each["email"] for each in remote.members(listed)] == [f"p{n}@example.com" for n in range(1001)]


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("brevo", tmp_path)

    assert not found.errors
    assert found.bindings["team.brevo"].identity == {"email": Form.CASELESS}
