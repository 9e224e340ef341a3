"""The connector `customerio`: whom it may add, what becomes of each, and that nobody's consent is touched."""

from __future__ import annotations

import json

import httpx
import pytest

import specification
import specified
from audiences import BatchRefused, Member
from audiences.errors import CredentialsRefused, Deferred, DefinitionError
from dialogue import Dialogue

ADA, ZOE = "user/1", "user/2"


@pytest.fixture
def customerio(tmp_path):
    """A workspace with two people."""
    made = Dialogue("customerio", tmp_path)
    for each in (ADA, ZOE):
        made.far.person(each)
    return made


@pytest.fixture
def speak(customerio):
    return lambda before=lambda request: None: customerio.speak(before, send=["id", "nps"])


def told(*ids, **fields):
    """Members with these ids, keyed by them, and with the same fields."""
    return [Member(each, {"id": each, **fields}, n) for n, each in enumerate(ids)]


def segment(verb):
    """The path of a verb of the segment that is made first."""
    return f"/api/v1/segments/7/{verb}_customers"


def test_who_opted_out_stays_out(customerio, speak):
    """
    Through add, update and removal a person stays unsubscribed, and no call speaks of it.
    """
    customerio.far.opt_out({"id": ADA})
    remote = speak()
    where = remote.prepare("Promoters")

    for verb in (remote.upsert, remote.upsert, remote.remove):
        assert verb(where, told(ADA, nps=3)).accepted == {ADA}
        assert customerio.far.people[ADA] == {"unsubscribed": True, "nps": 3}
    assert customerio.far.segments_of(ADA) == []
    assert "subscri" not in json.dumps(customerio.calls)


@pytest.mark.parametrize("name", ["unsubscribed", "cio_subscription_preferences.topics.topic_1", "email", "cio_id"])
def test_consent_and_identifiers_cannot_be_sent(customerio, name):
    """
    An attribute that says what a person opted out of, or who they are, is refused before any call.
    """
    with pytest.raises(DefinitionError, match=f"{name}(?s:.*)take it out of send"):
        customerio.speak(send=["id", name])
    assert not customerio.calls


def test_people_go_by_id(customerio):
    """
    A sync without ids cannot be: nobody could be taken off the segment.
    """
    with pytest.raises(DefinitionError, match="add one of these to send: id"):
        customerio.speak(send=["first_name"])


def test_a_stranger_is_refused_and_not_made(customerio, speak):
    """
    Who is no person of the workspace is refused with the reason, and neither written nor added.
    """
    remote = speak()

    receipt = remote.upsert(remote.prepare("Promoters"), told(ADA, "nobody", nps=3))

    assert receipt.accepted == {ADA}
    assert "once your app makes one" in receipt.rejected["nobody"]
    assert customerio.far.people.keys() == {ADA, ZOE}
    assert customerio.sent("POST", segment("add")) == [{"ids": [ADA]}]


def test_who_is_deleted_meanwhile_is_not_made_anew(customerio):
    """
    Someone whom the app deletes between the look and the change is not made a person by the change.
    """

    def before(request):
        if request.url.path == "/api/v2/batch":
            del customerio.far.people[ADA]

    remote = customerio.speak(before, send=["id", "nps"])

    remote.upsert(remote.prepare("Promoters"), told(ADA, nps=3))

    assert customerio.far.people.keys() == {ZOE}


def test_many_are_looked_for_a_hundred_at_a_time(customerio, speak):
    """
    A full batch is three looks, one change and one addition where it has 250 members.
    """
    everybody = [f"p{n}" for n in range(250)]
    for each in everybody:
        customerio.far.person(each)
    remote = speak()
    where = remote.prepare("Promoters")
    customerio.calls.clear()

    assert remote.upsert(where, told(*everybody, nps=3)).accepted == {*everybody}
    paths = [path.partition("?")[0] for method, path, _ in customerio.calls if method == "POST"]
    assert paths == ["/v1/customers/attributes"] * 3 + ["/api/v2/batch", segment("add")]


def test_a_change_that_is_refused_spoils_one_member(customerio, speak):
    """
    Whom a 207 names by its place among those sent is refused in Customer.io's words and not added; the others are.
    """
    customerio.far.person("big")
    remote = speak()
    unsent = [*told("nobody"), *told("big", note="a" * 1001)]
    members = [*unsent, *told(ADA, created_at="May"), *told(ZOE, created_at=1780000000)]

    receipt = remote.upsert(remote.prepare("Promoters"), members)

    assert receipt.accepted == {ZOE}
    assert receipt.rejected[ADA] == "invalid: created_at: must be a Unix timestamp"
    assert (customerio.far.segments_of(ADA), customerio.far.segments_of(ZOE)) == ([], ["Promoters"])


def test_a_change_that_is_refused_without_a_place_is_found_by_halving(customerio, speak):
    """
    An error that names no place refuses the batch, so that it is halved.
    """
    said = {"errors": [{"reason": "invalid", "message": "no place"}]}
    remote = speak(lambda request: httpx.Response(207, json=said) if "batch" in request.url.path else None)

    with pytest.raises(BatchRefused) as refusal:
        remote.upsert(remote.prepare("Promoters"), told(ADA, ZOE, nps=3))
    assert refusal.value.reason == "invalid: no place"
    assert not customerio.sent("POST", segment("add"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"note": "é" * 501}, "1,000 bytes"),
        ({"note": ["a" * 1000]}, "1,000"),
        ({f"f{n}": "a" * 900 for n in range(40)}, "32,000"),
    ],
)
def test_what_is_too_large_is_refused_alone(customerio, speak, fields, words):
    """
    More than Customer.io keeps of an attribute, or takes of a person, is never sent.
    """
    remote = speak()

    receipt = remote.upsert(remote.prepare("Promoters"), [*told(ADA, **fields), *told(ZOE, nps=3)])

    assert words in receipt.rejected[ADA]
    assert customerio.far.people == {ADA: {}, ZOE: {"nps": 3}}


def test_without_attributes_only_the_segment_is_changed(customerio, speak):
    """
    Where nothing but the id is sent, no person is written; a segment is changed once for each id, and never for nobody.
    """
    remote = speak()
    where = remote.prepare("Promoters")

    remote.upsert(where, [*told(ADA), Member("again", {"id": ADA}, 1)])
    remote.upsert(where, told("nobody"))

    assert not customerio.sent("POST", "/api/v2")
    assert customerio.sent("POST", segment("add")) == [{"ids": [ADA]}]


def test_a_check_tries_both_keys_and_compares_the_region(customerio, speak):
    """
    One look with each key; a region that is not the account's is an error with the right one.
    """
    speak().check()

    assert [path for _, path, _ in customerio.calls] == ["/api/v1/accounts/region", "/v1/segments"]
    answer = httpx.Response(200, json={"region": "us"})
    with pytest.raises(DefinitionError, match="CUSTOMERIO_REGION=us"):
        speak(lambda request: answer if "region" in request.url.path else None).check()
    for host in ("track-eu.customer.io", "api-eu.customer.io"):
        with pytest.raises(CredentialsRefused, match=host):
            speak(lambda request, host=host: httpx.Response(401) if request.url.host == host else None).check()


def test_each_region_has_its_hosts(customerio, speak):
    """
    An account in the US is spoken to there; a region that Customer.io does not have is named.
    """
    customerio.far.settings["CUSTOMERIO_REGION"] = "us"

    assert speak().prepare("Promoters") == "7"
    customerio.far.settings["CUSTOMERIO_REGION"] = "de"
    with pytest.raises(DefinitionError, match="CUSTOMERIO_REGION"):
        speak()


def test_a_throttle_defers_the_sync(customerio, speak):
    """
    A 429, which says nothing of when, is tried again a few times; one that stays leaves the sync for the next run.
    """
    with pytest.raises(Deferred):
        speak(lambda request: customerio.far.throttled(0)).prepare("Promoters")
    assert len(customerio.calls) > 1


def test_the_calls_to_track_are_as_specified(customerio, speak):
    """
    What changes people and segments is valid by the vendor's own file; of the App API there is none to be had whole.
    """
    if (folder := specified.folder()) is None:
        pytest.skip("the specifications are not here: see tests/specifications.toml for AUDIENCES_SPECIFICATIONS")
    document = json.loads((folder / "customerio" / "track-api.json").read_bytes())
    vendor, requests = specification.Specification(specification.read(document)), []
    remote = speak(lambda request: requests.append(request) if request.url.host.startswith("track") else None)
    where = remote.prepare("Promoters")
    remote.check()
    remote.upsert(where, told(ADA, ZOE, nps=3, note=None))
    remote.remove(where, told(ADA))

    assert [vendor.faults(each) for each in requests] == [[]] * 4
    assert vendor.faults(httpx.Request("POST", requests[1].url, json={"batch": [{"type": "person"}]}))
