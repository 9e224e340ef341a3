"""The connector `posthog`: whom it adds to which cohort, and what becomes of the fields."""

from __future__ import annotations

import json

import httpx
import pytest

import specification
import specified
from audiences import Member
from audiences.errors import CredentialsRefused, DefinitionError, DeliveryError
from dialogue import documented, fixtures

CAPTURE = "/batch/"
dialogue, far, speak = fixtures("posthog", send=("distinct_id", "plan"))


@pytest.fixture
def people(far):
    """Two persons whom the project has; the first goes by two distinct ids."""
    return far.person("u-1", "u-1-web"), far.person("u-2")


def told(*names, **fields):
    return [Member(each, {"distinct_id": each, **fields}, n) for n, each in enumerate(names)]


def test_the_manual_shows_a_section_that_works(tmp_path):
    """
    The sample in the docstring is a sync.
    """
    assert documented("posthog", tmp_path)


def test_a_stranger_is_refused(dialogue, far, speak, people):
    """
    Whom PostHog does not have is made no person, neither by a membership nor by a field.
    """
    remote = speak()

    receipt = remote.upsert(remote.prepare("Detractors"), told("u-1", "u-9", plan="pro"))

    assert receipt.accepted == {"u-1"}
    assert "no person" in receipt.rejected["u-9"]
    assert far.properties.keys() == {*people}


def test_strangers_alone_make_no_change(dialogue, speak):
    """
    Where nobody is left to add, PostHog is told nothing: it answers an empty addition with an error.
    """
    remote = speak()

    assert remote.upsert(remote.prepare("Detractors"), told("u-8", "u-9", plan="pro")).rejected.keys() == {"u-8", "u-9"}
    assert remote.remove("7", told("u-8")).accepted == {"u-8"}
    assert not dialogue.sent("PATCH")
    assert not dialogue.sent("POST", CAPTURE)


def test_two_ids_of_one_person_are_one_membership(dialogue, far, speak, people):
    """
    Both members are accepted, the person is told once; a removal by either id takes them off.
    """
    remote = speak(send=["distinct_id"])

    assert remote.upsert("7", told("u-1", "u-1-web")).accepted == {"u-1", "u-1-web"}
    assert dialogue.sent("PATCH") == [{"person_ids": [people[0]]}]
    assert [*remote.members("7")] == [{"distinct_id": "u-1"}, {"distinct_id": "u-1-web"}]
    remote.remove("7", told("u-1-web"))
    assert far.held[7] == {}


def test_each_who_leaves_is_taken_off(dialogue, far, speak, people):
    """
    PostHog takes one person a call: a batch of two is two calls.
    """
    remote = speak(send=["distinct_id"])
    remote.upsert("7", told("u-1", "u-2"))

    remote.remove("7", told("u-1", "u-2"))

    assert dialogue.sent("PATCH")[1:] == [{"person_id": each} for each in people]
    assert far.held[7] == {}


def test_a_removal_is_of_one_cohort(far, speak, people):
    """
    Who leaves stays in other cohorts, and keeps their properties.
    """
    far.cohorts[8], far.held[8] = {"name": "Power users", "is_static": True, "deleted": False}, {people[0]: None}
    remote = speak()
    remote.upsert("7", told("u-1", plan="pro"))

    for _ in range(2):
        assert remote.remove("7", told("u-1", plan="pro")).accepted == {"u-1"}
    assert far.cohorts_of(people[0]) == ["Power users"]
    assert far.properties[people[0]] == {"plan": "pro"}


def test_fields_are_properties_of_the_person(dialogue, far, speak, people):
    """
    They keep their types and are set before the membership, by an event that names the person and no other property.
    """
    remote = speak(send=["distinct_id", "plan", "seats"])

    remote.upsert("7", told("u-1", plan="pro", seats=3))

    assert far.properties[people[0]] == {"plan": "pro", "seats": 3}
    [sent] = dialogue.sent("POST", CAPTURE)
    set_ = {"distinct_id": "u-1", "$geoip_disable": True, "$set": {"plan": "pro", "seats": 3}}
    assert sent == {"api_key": "not-a-real-token", "batch": [{"event": "$set", "properties": set_}]}
    assert [where for _, where, _ in dialogue.calls][-2:] == [
        CAPTURE,
        "/api/projects/4711/cohorts/7/add_persons_to_static_cohort/",
    ]


@pytest.mark.parametrize(("null", "left"), [("clear", {"seats": 3}), ("keep", {"plan": "free", "seats": 3})])
def test_null_unsets_or_keeps(far, speak, people, null, left):
    """
    A field that is NULL is unset, or with `null = "keep"` left as it was.
    """
    far.properties[people[0]] |= {"plan": "free"}

    speak(null=null, send=["distinct_id", "plan", "seats"]).upsert("7", told("u-1", plan=None, seats=3))

    assert far.properties[people[0]] == left


def test_without_fields_no_event_is_sent(dialogue, far, speak, people):
    """
    A sync of memberships alone needs no project token, and its members may go by their keys.
    """
    del far.settings["POSTHOG_PROJECT_TOKEN"]
    remote = speak(send=["plan"], null="keep")

    assert remote.upsert("7", [Member("u-2", {"plan": None}, 1)]).accepted == {"u-2"}
    assert far.cohorts_of(people[1]) == ["Detractors"]
    assert not dialogue.sent("POST", CAPTURE)


def test_fields_want_the_project_token(far, speak, people):
    """
    Without it the error names the variable, and nobody is added.
    """
    del far.settings["POSTHOG_PROJECT_TOKEN"]

    with pytest.raises(DefinitionError, match="export POSTHOG_PROJECT_TOKEN"):
        speak().upsert("7", told("u-1", plan="pro"))
    assert far.held[7] == {}


def test_a_billing_limit_stops_the_sync(far, speak, people):
    """
    An answer of success that says the events are dropped is none: the sync stops, and nobody is added.
    """
    said = {"status": "Ok", "quota_limited": ["events"]}
    remote = speak(lambda request: httpx.Response(200, json=said) if request.url.path == CAPTURE else None)

    with pytest.raises(DeliveryError, match="no more of this project's events"):
        remote.upsert("7", told("u-1", plan="pro"))
    assert far.held[7] == {}


def test_properties_that_would_be_dropped_refuse_their_member(far, speak, people):
    """
    PostHog drops too large properties without a word: their member is refused, and the others are added.
    """
    receipt = speak().upsert("7", [*told("u-1", plan="x" * 600_000), *told("u-2", plan=2**70)])

    assert receipt.accepted == {"u-2"}
    assert "512,000" in receipt.rejected["u-1"]
    assert far.held[7].keys() == {people[1]}


def test_a_cohort_is_found_by_its_whole_name_or_made_once(dialogue, far, speak):
    """
    Names that only begin like it are others'; it is looked for on all pages, and what is made is found again.
    """
    others = {n: {"name": f"Detractors {n}", "is_static": True, "deleted": False} for n in range(100, 250)}
    far.cohorts = {7: far.cohorts[7], **others}

    assert speak().prepare("Detractors") == "7"
    assert {speak().prepare("Power users") for _ in range(2)} == {"1001"}
    assert dialogue.sent("POST") == [{"name": "Power users", "is_static": True}]


@pytest.mark.parametrize(("kinds", "words"), [([False], "dynamic 5"), ([True, True], "static 6, static 5")])
def test_a_name_that_is_no_static_cohort_is_refused(dialogue, far, speak, kinds, words):
    """
    A cohort that PostHog fills by itself, or two of one name: an error with each id, and none is made.
    """
    more = {5 + n: {"name": "Promoters", "is_static": kind, "deleted": False} for n, kind in enumerate(kinds)}
    far.cohorts |= more

    with pytest.raises(DefinitionError, match=f"{words}\n  do: name another list"):
        speak().prepare("Promoters")
    assert not dialogue.sent("POST")


@pytest.mark.parametrize(
    ("list_id", "words"), [("999", "no cohort of"), ("5", "a dynamic cohort"), ("6", "no cohort of"), ("x/..", "no")]
)
@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_cohort_that_cannot_be_changed_is_said(dialogue, far, speak, people, verb, list_id, words):
    """
    A cohort that is gone, deleted or dynamic stops the sync before anything is changed.
    """
    far.cohorts[5] = {"name": "All", "is_static": False, "deleted": False}
    far.cohorts[6] = {"name": "Gone", "is_static": True, "deleted": True}

    with pytest.raises(DefinitionError, match=words):
        getattr(speak(), verb)(list_id, told("u-1", plan="pro"))
    assert {method for method, *_ in dialogue.calls} == {"GET"}


def test_reading_back_takes_all_pages(far, speak):
    """
    Everybody in the cohort is named, however many there are.
    """
    far.held[7] = dict.fromkeys(far.person(f"u-{n}") for n in range(250))

    assert {each["distinct_id"] for each in speak().members("7")} == {f"u-{n}" for n in range(250)}


@pytest.mark.parametrize(("words", "wait"), [("Expected available in 37 seconds.", 37), ("Slowly.", 60)])
def test_a_throttle_is_waited_out(dialogue, speak, words, wait):
    """
    As long as the words of a 429 say, or else until the shortest window is over.
    """
    answers = [httpx.Response(429, json={"detail": words})]

    assert speak(lambda request: answers.pop() if answers else None).prepare("Detractors") == "7"
    assert wait <= dialogue.clock() < wait + 2


def test_each_host_knows_its_own_key(dialogue, far, speak, people):
    """
    The personal key goes to the API alone, and the token to where events are taken; a region that is none is named.
    """
    remote = speak(settings={"POSTHOG_REGION": "us"})
    far.settings["POSTHOG_REGION"] = "us"
    remote.upsert("7", told("u-1", plan="pro"))

    keys = {each.url.host: each.headers.get("authorization") for each in dialogue.requests}
    assert keys == {"us.posthog.com": "Bearer not-a-real-key", "us.i.posthog.com": None}
    with pytest.raises(DefinitionError, match="POSTHOG_REGION"):
        speak(settings={"POSTHOG_REGION": "de"})


def test_checking_changes_nothing(dialogue, speak):
    """
    The check of an account is one look at its cohorts; a refused key is told.
    """
    speak().check()

    assert dialogue.calls == [("GET", "/api/projects/4711/cohorts/?limit=1", None)]
    with pytest.raises(CredentialsRefused):
        speak(lambda request: httpx.Response(401)).check()


def test_a_membership_is_changed_as_posthog_specifies(dialogue, speak, people):
    """
    The two calls that change a cohort are those of the vendor's own specification, which has no others of these.
    """
    where = specified.folder()
    if where is None:
        pytest.skip("the specifications are not here")
    document = json.loads((where / "posthog" / "static_cohort.openapi.json").read_text())
    document["components"]["securitySchemes"] = {"PersonalAPIKeyAuth": {"type": "http", "scheme": "bearer"}}
    published = specification.Specification(specification.read(document, ["https://eu.posthog.com"]))
    remote = speak()
    remote.upsert("7", told("u-1", plan="pro"))
    remote.remove("7", told("u-1", plan="pro"))

    changes = [each for each in dialogue.requests if each.method == "PATCH"]
    assert len(changes) == 2
    assert not [fault for each in changes for fault in published.faults(each)]
