"""The connector `onesignal`: what a tag may be, which segment is the list's, and that nobody is made or subscribed."""

from __future__ import annotations

import json

import httpx
import pytest

from audiences import DefinitionError, Form, Member
from audiences.errors import CredentialsRefused, Deferred, Unanswered
from dialogue import answering, documented, first, fixtures

ADA, ZOE = "user/1", "user/2"
TAG = "in_detractors_2026"

dialogue, far, speak = fixtures("onesignal", send=("external_id", "nps"))


@pytest.fixture(autouse=True)
def users(far):
    """An app with two users."""
    far.user(ADA)
    far.user(ZOE)


def told(*ids, **fields):
    """Members with these ids, keyed by them, and with the same fields."""
    return [Member(each, {"external_id": each, **fields}, n) for n, each in enumerate(ids)]


def filtering(tag):
    return [{"field": "tag", "key": tag, "relation": "=", "value": "true"}]


def test_tags_are_texts(dialogue, far, speak):
    """
    Numbers and booleans are written as such, and no call speaks of anything but tags.
    """
    remote = speak()

    receipt = remote.upsert(remote.prepare(far.list), told(ADA, nps=3, paid=True, share=0.5, plan="pro"))

    assert receipt.accepted == {ADA}
    assert far.users[ADA] == {TAG: "true", "nps": "3", "paid": "true", "share": "0.5", "plan": "pro"}
    assert [[*body["properties"]] for body in dialogue.sent("PATCH")] == [["tags"]]


@pytest.mark.parametrize("value", [["a"], {"a": 1}])
def test_what_is_no_text_spoils_one_member(far, speak, value):
    """
    A list or an object is refused with the field's name, and nothing is written.
    """
    remote = speak()

    receipt = remote.upsert(remote.prepare(far.list), [*told(ADA, nps=value), *told(ZOE, nps=3)])

    assert receipt.accepted == {ZOE}
    assert "nps is a list or an object" in receipt.rejected[ADA]
    assert far.users[ADA] == {}


@pytest.mark.parametrize(("null", "left"), [("clear", {}), ("keep", {"nps": "9"})])
def test_null_takes_a_tag_away_or_leaves_it(far, speak, null, left):
    """
    As the sync's option says.
    """
    far.users[ADA] = {"nps": "9"}
    remote = speak(null=null)

    remote.upsert(remote.prepare(far.list), told(ADA, nps=None))

    assert far.users[ADA] == {TAG: "true"} | left


def test_a_removal_leaves_all_other_tags(far, speak):
    """
    It takes the list's own tag away, from whom it is there.
    """
    far.users[ADA] = {"nps": "9", TAG: "true", "in_other": "true"}
    remote = speak()

    receipt = remote.remove(remote.prepare(far.list), told(ADA, "nobody", nps=9))

    assert receipt.accepted == {ADA, "nobody"}
    assert far.users == {ADA: {"nps": "9", "in_other": "true"}, ZOE: {}}


def test_each_refusal_has_its_reason(far, speak):
    """
    A stranger and whoever has no room for a tag are refused by name, in OneSignal's words; the others are listed.
    """
    full = {"errors": [{"code": "tags", "title": "Too many tags for this plan"}]}
    remote = speak(answering(f"by/external_id/{ZOE}", 409, **full))

    receipt = remote.upsert(remote.prepare(far.list), told(ADA, ZOE, "nobody"))

    assert receipt.accepted == {ADA}
    assert receipt.rejected[ZOE] == "Too many tags for this plan"
    assert "once your app makes one" in receipt.rejected["nobody"]
    assert "nobody" not in far.users


@pytest.mark.parametrize("name", ["message", "user", "custom_data"])
def test_words_that_onesignal_keeps_are_no_tags(dialogue, name):
    """
    As a field, or as the list's own tag, they are refused before any call.
    """
    for said in ({"send": ["external_id", name]}, {"property": name}):
        with pytest.raises(DefinitionError, match=f"{name}(?s:.*)another name"):
            dialogue.speak(**said)
    assert not dialogue.calls


def test_a_segment_is_found_by_its_whole_name_or_made_once(dialogue, far, speak):
    """
    However many segments there are; what is made is found again, and filters by the tag.
    """
    far.segments |= {f"s{n}": {"name": f"{far.list} {n}", "filters": filtering("x")} for n in range(300)}

    assert [speak().prepare(far.list) for _ in range(2)] == [TAG, TAG]

    assert dialogue.sent("POST") == [{"name": far.list, "filters": filtering(TAG)}]


def test_a_segment_whose_making_had_no_answer_is_found_by_the_next_run(dialogue, far, speak):
    """
    The call is not made again.
    """
    with pytest.raises(Unanswered):
        speak(dialogue.losing("POST", "/segments$")).prepare(far.list)

    assert speak().prepare(far.list) == TAG
    assert len(far.segments) == 1


def test_a_segment_on_something_else_is_refused(dialogue, far, speak):
    """
    One that has the list's name and another filter, or one more, stops the sync before anybody is tagged.
    """
    for filters in (filtering("in_other"), [*filtering(TAG), {"operator": "OR"}, *filtering("in_other")]):
        far.segments = {"s1": {"name": far.list, "filters": filters}}

        with pytest.raises(DefinitionError, match=f"whose tag {TAG} is true(?s:.*)rename that segment"):
            speak().prepare(far.list)
    assert not dialogue.sent("POST")


def test_a_plan_without_room_is_told_with_the_way_out(far, speak):
    """
    The error has OneSignal's words; with the tag as list_id the list needs no segment.
    """
    far.most = 0

    with pytest.raises(DefinitionError, match=f'maximum number of segments(?s:.*)list_id = "{TAG}"'):
        speak().prepare(far.list)
    assert speak().upsert(TAG, told(ADA)).accepted == {ADA}


def test_a_name_that_no_segment_can_have_is_refused(dialogue, speak):
    """
    128 characters are the most, and a tag has as many bytes.
    """
    for name in ("L" * 126, "é" + " " * 128):
        with pytest.raises(DefinitionError, match="128"):
            speak().prepare(name)
    assert not dialogue.calls


def test_an_opt_out_is_not_spoken_of(dialogue, far, speak):
    """
    Through add and removal a user stays opted out, and no call names a subscription.
    """
    far.opt_out({"external_id": ADA})
    remote = speak()
    where = remote.prepare(far.list)

    for verb in (remote.upsert, remote.remove):
        assert verb(where, told(ADA, nps=3)).accepted == {ADA}
        assert far.consent({"external_id": ADA}) == "unsubscribed"
    assert "subscription" not in json.dumps(dialogue.calls)


def test_a_throttle_is_waited_out_or_deferred(dialogue, far, speak):
    """
    A 429 is tried again when its Retry-After says; one that stays leaves the sync for the next run.
    """
    assert speak(first(far.throttled(7))).prepare(far.list) == TAG

    assert 7 <= dialogue.clock.now < 10
    with pytest.raises(Deferred):
        speak(lambda request: far.throttled(3000)).prepare(far.list)


def test_checking_changes_nothing(dialogue, speak):
    """
    The check of an account is one look at its segments; a refused key is told.
    """
    speak().check()

    assert dialogue.calls == [("GET", "/apps/app-1/segments?limit=1", None)]
    with pytest.raises(CredentialsRefused):
        speak(lambda request: httpx.Response(403)).check()


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("onesignal", tmp_path)

    assert not found.errors
    assert found.bindings["team.onesignal"].identity == {"external_id": Form.EXACT}
