"""The connector `amplitude`: whom it may add, what becomes of their properties, and which cohort is the sync's."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

import httpx
import pytest

from audiences import Form, Member
from audiences.errors import CredentialsRefused, Deferred, DefinitionError, Unanswered
from dialogue import delivered, documented, first, fixtures

ADA, ZOE = "user-1", "user-2"

dialogue, far, speak = fixtures("amplitude", send=("user_id", "nps"))


@pytest.fixture(autouse=True)
def users(far):
    """A project with two users."""
    far.users |= {ADA: {}, ZOE: {}}


def told(*ids, **fields):
    """Members with these ids, keyed by them, and with the same fields."""
    return [Member(each, {"user_id": each, **fields}, n) for n, each in enumerate(ids)]


def written(dialogue):
    """The changes of properties, call by call."""
    forms = [parse_qs(body) for body in dialogue.sent("POST", "/identify")]
    return [json.loads(form["identification"][0]) for form in forms]


def test_a_stranger_is_refused_and_not_made(dialogue, far, speak):
    """
    Whom the cohort skips is refused with the reason, and given no property, since that would make a user of them.
    """
    remote = speak()

    receipt = remote.upsert(remote.prepare(far.list), told(ADA, "nobody", nps=3))

    assert receipt.accepted == {ADA}
    assert "your app has sent an event" in receipt.rejected["nobody"]
    assert "nobody" not in far.users
    assert [[each["user_id"] for each in call] for call in written(dialogue)] == [[ADA]]


def test_properties_travel_with_their_types(dialogue, far, speak):
    """
    What is sent beside the id is set, NULL unsets, and a removal changes no property.
    """
    remote = speak()
    where = remote.prepare(far.list)
    far.users[ADA] = {"plan": "free", "nps": 9}

    remote.upsert(where, told(ADA, nps=None, tags=["a"], paid=True))
    remote.remove(where, told(ADA, nps=3))

    assert far.users[ADA] == {"plan": "free", "tags": ["a"], "paid": True}
    assert len(written(dialogue)) == 1


def test_null_may_leave_a_property(dialogue, far, speak):
    """
    With null = "keep" a NULL is not spoken of: where nothing else is sent, no call is made.
    """
    remote = speak(null="keep")
    far.users[ADA] = {"nps": 9}

    assert remote.upsert(remote.prepare(far.list), told(ADA, nps=None)).accepted == {ADA}

    assert far.users[ADA] == {"nps": 9}
    assert not written(dialogue)


def test_who_is_refused_is_not_left_in_the_cohort(far, speak):
    """
    Properties that Amplitude refuses spoil one member, who is in the cohort no more; the others stay.
    """
    far.users[" odd"] = {}
    remote = speak()
    where = remote.prepare(far.list)

    sent = delivered(remote, where, told(ADA, " odd", ZOE, nps=3))

    assert sent.reasons.keys() == {" odd"}
    assert far.listed() == [ADA, ZOE]


def test_properties_are_written_a_hundred_a_call(dialogue, far, speak):
    """
    A larger batch is one change of the cohort and several of properties.
    """
    ids = [f"u-{n}" for n in range(250)]
    far.users |= {each: {} for each in ids}
    remote = speak()

    assert len(remote.upsert(remote.prepare(far.list), told(*ids, nps=3)).accepted) == 250

    assert [len(call) for call in written(dialogue)] == [100, 100, 50]


def test_an_answer_without_results_is_no_success(far, speak):
    """
    A 200 that does not say what became of the change leaves its members in doubt.
    """
    remote = speak(lambda request: httpx.Response(200, json={}) if "membership" in request.url.path else None)
    far.cohorts["c1"] = far.cohort("c1", far.list)

    sent = delivered(remote, "c1", told(ADA))

    assert isinstance(sent.error, Unanswered)
    assert not sent.reasons


@pytest.mark.parametrize("place", ["/api/3/cohorts/membership", "/identify"])
def test_a_throttle_is_waited_out_or_deferred(dialogue, far, speak, place):
    """
    A 429 is tried again, and not before the documented 15 seconds; one that stays leaves the sync for the next run.
    """
    remote, answers = speak(), first(far.throttled(0))
    where = remote.prepare(far.list)
    remote = speak(lambda request: answers(request) if request.url.path == place else None)
    begun = dialogue.clock.now

    assert remote.upsert(where, told(ADA, nps=3)).accepted == {ADA}

    assert 15 <= dialogue.clock.now - begun < 20
    with pytest.raises(Deferred):
        speak(lambda request: far.throttled(0) if request.url.path == place else None).upsert(where, told(ADA, nps=3))


def test_a_cohort_is_found_by_its_whole_name_or_made_once(dialogue, far, speak):
    """
    A name that only begins alike, and a cohort that was archived, are not the list; what is made is found again, empty.
    """
    far.cohorts["gone"] = far.cohort("gone", far.list) | {"archived": True}
    far.cohorts["more"] = far.cohort("more", f"{far.list} until May")

    assert [speak().prepare(far.list) for _ in range(2)] == ["c101", "c101"]

    [made] = dialogue.sent("POST", "/api/3/cohorts/upload")
    assert (made["ids"], made["app_id"], made["id_type"]) == (["tester"], 3187, "BY_USER_ID")
    assert far.listed() == []


def test_a_cohort_whose_making_had_no_answer_is_found_by_the_next_run(dialogue, far, speak):
    """
    The call is not made again; the next run finds the cohort, and takes the seed out.
    """
    with pytest.raises(Unanswered):
        speak(dialogue.losing("POST", "/upload$")).prepare(far.list)
    assert far.listed() == ["tester"]

    assert speak().prepare(far.list) == "c101"

    assert (far.held["c101"], len(far.cohorts)) == ({}, 2)


def test_nobody_is_taken_out_of_a_cohort_that_is_in_use(dialogue, far, speak):
    """
    A run that finds the cohort with people in it changes nothing.
    """
    far.cohorts["c1"], far.held["c1"] = far.cohort("c1", far.list), {ADA: None, "tester": None}

    assert speak().prepare(far.list) == "c1"

    assert not dialogue.sent("POST")


@pytest.mark.parametrize(
    ("kinds", "words"),
    [(["redshift"], "redshift n0(?s:.*)name another"), (["manual_upload"] * 2, "n0, manual_upload n1")],
)
def test_a_name_that_is_no_uploaded_cohort_is_refused(dialogue, far, speak, kinds, words):
    """
    A computed cohort, or two of one name: an error with each id and the way out, and nothing is made.
    """
    far.cohorts |= {f"n{n}": far.cohort(f"n{n}", far.list, kind) for n, kind in enumerate(kinds)}

    with pytest.raises(DefinitionError, match=words):
        speak().prepare(far.list)
    assert not dialogue.sent("POST")


def test_what_the_making_needs_is_named(dialogue, far, speak):
    """
    Without a seed no cohort is made, and one that is there needs none of it.
    """
    del far.settings["AMPLITUDE_SEED_USER"], far.settings["AMPLITUDE_OWNER"]

    with pytest.raises(DefinitionError, match="export AMPLITUDE_OWNER, AMPLITUDE_SEED_USER"):
        speak().prepare(far.list)
    assert not dialogue.sent("POST")
    assert speak().prepare("Detractors") == "old1"


@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_cohort_that_is_gone_is_said(dialogue, speak, verb):
    """
    It stops the sync before anything is changed, with the way out.
    """
    with pytest.raises(DefinitionError, match=r"c9 is no cohort(?s:.*)audiences forget"):
        getattr(speak(), verb)("c9", told(ADA))
    assert not dialogue.sent("POST")


def test_checking_changes_nothing(dialogue, speak):
    """
    The check of an account is one look at its cohorts; a refused key is told.
    """
    speak().check()

    assert dialogue.calls == [("GET", "/api/3/cohorts", None)]
    with pytest.raises(CredentialsRefused):
        speak(settings={"AMPLITUDE_SECRET_KEY": "another"}).check()


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("amplitude", tmp_path)

    assert not found.errors
    assert found.bindings["team.amplitude"].identity == {"user_id": Form.EXACT}
