"""The connector `attio`: its lists and their entries, each record's fate, and what an account is told."""

from __future__ import annotations

from itertools import pairwise

import httpx
import pytest

from audiences import Member
from audiences.errors import CredentialsRefused, DefinitionError, DeliveryError
from dialogue import ADA, ZOE, first, fixtures

dialogue, far, speak = fixtures("attio", send=("email_addresses",))


@pytest.fixture
def remote(speak):
    return speak()


@pytest.fixture
def place(remote):
    """The id of a list."""
    return remote.prepare("Detractors")


def told(*addresses, **fields):
    """Members with these addresses, keyed by them, and with the same fields."""
    return [Member(each, {"email_addresses": each, **fields}, n) for n, each in enumerate(addresses)]


def record(far, **values):
    """A person that is in Attio before any sync; the record's id."""
    ref = f"00000000-0000-0000-0000-{len(far.records['people']):012}"
    far.records["people"][ref] = values
    return ref


def test_a_list_is_made_once(remote, speak, place, far):
    """
    A list that is not there is made, for the records that are sent; from then on it is found by its exact name.
    """
    assert remote.prepare("Detractors") == speak().prepare("Detractors") == place
    assert remote.prepare("detractors") != place
    assert [(each["name"], each["parent_object"]) for each in far.lists.values()] == [
        ("Detractors", ["people"]),
        ("detractors", ["people"]),
    ]


def test_two_workers_make_one_list(speak, far):
    """
    Made by another between the look and the making, a list has the same slug: that one is taken, and no second made.
    """

    def race(request):
        if request.method == "POST" and not far.lists:
            speak().prepare("Detractors")

    assert speak(before=race).prepare("Detractors") in far.lists
    assert len(far.lists) == 1


def test_a_name_of_two_lists_is_refused(remote, place, far):
    """
    Of two lists with one name none is chosen: the error has their ids and the way out.
    """
    far.made("Detractors", "another", ["people"])

    with pytest.raises(DefinitionError, match=rf"'Detractors' is the name of 2 lists(?s:.*){place}(?s:.*)as list_id"):
        remote.prepare("Detractors")


def test_a_list_that_cannot_be_made_is_told(speak):
    """
    An object that is none in Attio stops the sync before anything is written, in Attio's words.
    """
    with pytest.raises(DefinitionError, match=r'makes no list \'L\': Parent object with slug/ID "deals" not found\.'):
        speak(send=["deal_no"], object="deals", identify="deal_no").prepare("L")


@pytest.mark.parametrize("verb", ["upsert", "remove", "members"])
def test_a_list_of_others_is_refused(speak, far, verb):
    """
    A list that holds companies is an error before any record of a person is touched.
    """
    ref, remote = far.made("Detractors", "detractors", ["companies"])["id"]["list_id"], speak()

    with pytest.raises(DeliveryError, match="'Detractors' holds companies\n  do: name another list"):
        list(remote.members(ref)) if verb == "members" else getattr(remote, verb)(ref, told(ADA))
    assert not far.records["people"]


@pytest.mark.parametrize("seen", [True, False], ids=["during a run", "before a run"])
def test_a_list_that_is_gone_is_never_made_again(remote, speak, place, far, seen):
    """
    Deleted in Attio, it is an error with the way out; no new list takes its place.
    """
    asked = remote if seen else speak()
    far.lists.clear()

    with pytest.raises(DeliveryError, match=rf"no list {place}\n  do: .*audiences forget"):
        asked.upsert(place, told(ADA))
    assert far.calls.count("POST /v2/lists") == 1


def test_a_list_may_be_named_by_its_slug(speak, far):
    """
    As `list_id` a slug stands for the list: who was added by it is removed by it.
    """
    far.made("Detractors", "our_detractors", ["people"])
    remote = speak()
    remote.upsert("our_detractors", told(ADA))
    there = len(far.entries)

    remote.remove("our_detractors", told(ADA))

    assert (there, far.entries) == (1, {})


def test_a_person_keeps_other_addresses(remote, place, far):
    """
    Found by one of several addresses, a person is updated, and no address is lost.
    """
    ref = record(far, email_addresses=[ZOE, ADA], nps_score=[9])

    receipt = remote.upsert(place, told(f" {ADA.upper()}", nps_score=3))

    assert not receipt.rejected
    assert far.records["people"] == {ref: {"email_addresses": [ZOE, ADA], "nps_score": [3]}}


def test_one_wrong_value_spoils_one_member(remote, place, far):
    """
    Whom Attio refuses is refused in its words and not listed; the others are taken.
    """
    receipt = remote.upsert(place, [*told(ADA, plan="free"), *told(ZOE, plan="dear")])

    assert receipt.accepted == {ADA}
    assert receipt.rejected == {ZOE: 'Cannot find select option for the attribute "plan".'}
    assert [record for _, record in far.entries.values()] == [*far.records["people"]]


def test_an_entry_that_is_refused_is_told(speak, place):
    """
    Someone whose record is written and whose entry is not does not count as listed.
    """
    refusal = httpx.Response(400, json={"code": "value_not_found", "message": "Parent record not found."})
    remote = speak(before=lambda request: refusal if request.url.path.endswith("/entries") else None)

    assert remote.upsert(place, told(ADA)).rejected == {ADA: "Parent record not found."}


def test_who_is_listed_twice_is_listed(remote, place, far):
    """
    A record that someone put on the list by hand as well is on it; a removal takes every one of its entries.
    """
    remote.upsert(place, told(ADA))
    far.new_entry(place, *far.records["people"])

    assert remote.upsert(place, told(ADA, nps_score=3)).accepted == {ADA}
    assert len(far.entries) == 2
    assert remote.remove(place, told(ADA)).accepted == {ADA}
    assert not far.entries


def test_removal_takes_only_the_entry(remote, place, far):
    """
    The record stays as it is, and on its other lists; a stranger is accepted, and nothing is written for one.
    """
    other = remote.prepare("Promoters")
    for each in (place, other):
        remote.upsert(each, told(ADA, nps_score=3))
    before, far.calls = dict(far.records["people"]), []

    receipt = remote.remove(place, told(ADA, ZOE))

    assert receipt.accepted == {ADA, ZOE}
    assert far.records["people"] == before
    assert [on for on, _ in far.entries.values()] == [other]
    assert [call.split()[0] for call in far.calls] == ["POST", "GET", "DELETE", "POST"]


@pytest.mark.parametrize(
    ("fields", "kept"),
    [({"plan": 7}, ["7"]), ({"nps_score": 2.5}, [2.5]), ({"topics": ["price"]}, ["price"]), ({"plan": None}, [])],
)
def test_values_travel_as_their_attribute_wants_them(remote, place, far, fields, kept):
    """
    A number is text where an option is chosen by it, and a number in a number; a list fills several; NULL empties.
    """
    [name] = fields
    record(far, email_addresses=[ADA], plan=["free"], topics=["support"])

    receipt = remote.upsert(place, told(ADA, **fields))

    assert not receipt.rejected
    assert [each[name] for each in far.records["people"].values()] == [kept]


def test_a_value_that_stays_is_told(remote, place, far):
    """
    Where Attio does not empty an attribute for NULL, the member is refused, and not taken for up to date.
    """
    record(far, email_addresses=[ADA], plan=["free"])
    far.empties = False

    assert remote.upsert(place, told(ADA, plan=None)).rejected == {ADA: "Attio did not empty plan"}
    assert not far.entries


@pytest.mark.parametrize(
    ("fields", "options", "words"),
    [
        (("email_addresses", "Name"), {}, "'Name' is no attribute of people(?s:.*)email_addresses, name"),
        (("email_addresses", "created_at"), {}, "'created_at' is no attribute of people that can be set"),
        (("name",), {"identify": "name"}, "'name' is no unique text(?s:.*)one of: email_addresses, customer_no"),
    ],
)
def test_an_attribute_that_cannot_be_set_stops_the_sync(speak, place, far, fields, options, words):
    """
    What is the fault of no member stops before anything is written, and names the attributes that there are.
    """
    with pytest.raises(DefinitionError, match=words):
        speak(send=fields, **options).upsert(place, [Member("a", dict.fromkeys(fields, "Ada"))])
    assert not far.records["people"]


def test_a_batch_costs_what_the_page_says(remote, place, far):
    """
    Two calls a member once the list and its attributes are known.
    """
    remote.upsert(place, told(ADA))
    far.calls = []

    remote.upsert(place, told(ADA, ZOE))

    assert [call.split()[0] for call in far.calls] == ["PUT"] * 4


def test_a_long_list_is_read_whole(remote, place, far):
    """
    Page after page, its records a hundred at a time; someone with two addresses is told by both.
    """
    for n in range(501):
        far.new_entry(place, record(far, email_addresses=[f"p{n}@example.com"]))
    far.new_entry(place, record(far, email_addresses=[ADA, ZOE]))

    found = [each["email_addresses"] for each in remote.members(place)]

    assert sorted(found) == sorted([*(f"p{n}@example.com" for n in range(501)), ADA, ZOE])
    assert far.calls.count(f"POST /v2/lists/{place}/entries/query") == 2


def test_a_throttle_is_waited_for(dialogue, speak, far):
    """
    A 429 says a date, by Attio's own clock: nothing is asked before it.
    """
    assert speak(first(far.throttled(7))).prepare("L") in far.lists
    assert 7 <= dialogue.clock.now < 9


def test_the_pace_stays_below_25_a_second(dialogue, speak, far):
    """
    However much is to be sent, no second sees more than 25 calls.
    """
    starts = []
    remote = speak(before=lambda request: starts.append(dialogue.clock.now))
    remote.upsert(remote.prepare("L"), told(*(f"p{n}@example.com" for n in range(50))))

    assert len(starts) > 100
    assert all(later - earlier >= 0.04 - 1e-9 for earlier, later in pairwise(starts))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"active": False}, "not active any more\n  do: look at ATTIO_API_KEY"),
        ({"active": True, "scope": "record_permission:read-write"}, "lacks the scope list_entry:read-write"),
        ({"active": True, "scope": "record_permission:read"}, "lacks the scope record_permission:read-write"),
    ],
)
def test_a_key_that_does_not_do_is_told(speak, said, words):
    """
    Attio answers 200 about a key that has ended: it is read, and so is what the key may do.
    """
    with pytest.raises(DeliveryError, match=words):
        speak(before=lambda request: httpx.Response(200, json=said)).check()


def test_an_account_is_checked_without_touching_anything(speak, far):
    """
    One call tells whether the key is taken; more rights than are needed are as good, and a key is never shown.
    """
    far.scopes = far.scopes.replace("object_configuration:read", "object_configuration:read-write")
    speak(settings={"ATTIO_API_KEY": " not-a-real-key\n"}).check()

    with pytest.raises(CredentialsRefused) as refused:
        speak(settings={"ATTIO_API_KEY": "not-a-real-other"}).check()
    assert "not-a-real" not in str(refused.value)
    assert far.calls == ["GET /v2/self"] * 2


@pytest.mark.parametrize(
    ("fields", "options", "words"),
    [
        (("name",), {}, "people is known to Attio by email_addresses, which is not sent\n  do: send it, or write"),
        (("name",), {"object": "companies"}, "by domains, which is not sent"),
        (("email_addresses",), {"identify": "customer_no"}, "by customer_no, which is not sent"),
        (("name",), {"object": "users"}, "has no attribute that Attio knows it by\n  do: write identify"),
    ],
)
def test_members_without_an_identifier_are_an_error_of_the_file(speak, fields, options, words):
    """
    Before anything is sent: what identifies a record must be among the fields.
    """
    with pytest.raises(DefinitionError, match=words):
        speak(send=fields, **options)
