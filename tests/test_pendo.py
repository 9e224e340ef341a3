"""The connector `pendo`: segments by name, one change at a time, and who is no visitor yet."""

from __future__ import annotations

import httpx
import pytest

from audiences import BatchRefused, Form, Member
from audiences.errors import CredentialsRefused, Deferred, DefinitionError, Unanswered
from dialogue import answering, delivered, documented, fixtures

dialogue, far, speak = fixtures("pendo", send=("visitor_id",))

PATCH = "/visitor"


def visitors(*names, **fields):
    return [Member(each, {"visitor_id": each, **fields}, n) for n, each in enumerate(names)]


def saying(*items):
    return answering(PATCH, 200, multistatus=[*items])


def item(status, operation="add", message="so it is"):
    return {"operation": operation, "status": status, "message": message}


def test_a_segment_is_found_or_made(speak, far):
    """
    By its exact name among those of the API; a second look finds what the first one made.
    """
    remote = speak()

    assert remote.prepare("Detractors") == remote.prepare("Detractors") == "seg-2"
    assert remote.prepare("detractors") == "seg-3"
    assert [each["name"] for each in far.segments.values()] == ["Power users", "Detractors", "detractors"]


def test_the_first_members_take_off_whom_it_began_with(speak, far):
    """
    Pendo makes no empty segment: the id of nobody is on it until the first member is, and only then.
    """
    remote = speak()
    where = remote.prepare("Detractors")
    assert list(far.segments[where]["visitors"]) == ["audiences-nobody"]

    remote.upsert(where, visitors("u-1", "u-2"))

    assert list(far.segments[where]["visitors"]) == ["u-1", "u-2"]


def test_a_segment_by_rules_is_left_alone(speak, far, dialogue):
    """
    By its name or by its id: it is filled by its own rules, and the error names it; nothing is written.
    """
    remote = speak()

    for look in (lambda: remote.prepare("Power users"), lambda: remote.remove("seg-1", visitors("u-1"))):
        with pytest.raises(DefinitionError, match="seg-1 was not made by the API"):
            look()
    assert {method for method, _, _ in dialogue.calls} == {"GET"}


def test_two_segments_of_one_name_are_named(speak, far):
    """
    None is chosen: the error has both ids.
    """
    for _ in range(2):
        far.upload("Detractors", ["u-1"])

    with pytest.raises(DefinitionError, match="seg-2, seg-3"):
        speak().prepare("Detractors")


@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_segment_that_is_gone_stops_the_sync(speak, dialogue, verb):
    """
    It is nobody's refusal, and is not made anew.
    """
    sent = delivered(speak(), "seg-9", visitors("u-1"), verb)

    assert "no segment with the id 'seg-9'" in sent.error.what
    assert not sent.reasons
    assert [path for _, path, _ in dialogue.calls] == ["/api/v1/segment/seg-9"]


def test_a_change_that_is_under_way_is_waited_for(speak, far, dialogue):
    """
    A 409 says so: the same call is made again until it is taken.
    """
    remote = speak()
    where = remote.prepare("Detractors")
    far.busy = 3

    assert remote.upsert(where, visitors("u-1")).accepted == {"u-1"}
    assert len(dialogue.sent("PATCH")) == 4
    assert dialogue.clock.now == pytest.approx(30, abs=2)


def test_a_change_that_stays_under_way_is_left_for_the_next_run(speak, far):
    """
    Past the patience of a run nothing was changed, and nothing is lost.
    """
    remote = speak()
    where = remote.prepare("Detractors")
    far.busy = 1000

    with pytest.raises(Deferred):
        remote.remove(where, visitors("u-1"))


def test_who_is_no_visitor_yet_is_refused_where_fields_are_sent(speak, far):
    """
    Nobody is made a visitor, and who has no field to write is not on the segment; the others are.
    """
    far.visitors = {"u-1": {}}
    remote = speak(send=["visitor_id", "nps_score"])
    where = remote.prepare("Detractors")

    receipt = remote.upsert(where, visitors("u-1", "u-2", nps_score=3))

    assert (receipt.accepted, receipt.rejected.keys()) == ({"u-1"}, {"u-2"})
    assert "no visitor of Pendo's has this id yet" in receipt.rejected["u-2"]
    assert (far.listed(), far.visitors) == (["u-1"], {"u-1": {"nps_score": 3}})


def test_without_fields_nobody_is_looked_for(speak, far, dialogue):
    """
    An id alone is put on the segment by one call; NULL is no field.
    """
    remote = speak()
    where = remote.prepare("Detractors")
    dialogue.calls.clear()

    assert remote.upsert(where, visitors("u-1", nps_score=None)).accepted == {"u-1"}
    assert [method for method, _, _ in dialogue.calls] == ["GET", "PATCH"]


def test_a_field_that_fails_without_a_name_is_found_by_halving(speak, far):
    """
    Pendo counts failures and names only whom it does not know: the batch is refused before anybody is listed.
    """
    far.visitors = {"u-1": {}, "u-2": {}}
    remote = speak(send=["visitor_id", "plan"])
    where = remote.prepare("Detractors")

    with pytest.raises(BatchRefused) as refusal:
        remote.upsert(where, visitors("u-1", "u-2", plan="paid"))
    assert "cannot set field" in refusal.value.reason
    assert not far.listed()


def test_a_list_or_a_struct_spoils_one_member(speak, far):
    """
    It is refused unsent, with the field's name.
    """
    far.visitors = {"u-1": {}, "u-2": {}}
    remote = speak(send=["visitor_id", "nps_score"])

    receipt = remote.upsert(
        remote.prepare("Detractors"), [*visitors("u-1", nps_score=[1]), *visitors("u-2", nps_score=1)]
    )

    assert "nps_score holds a list" in receipt.rejected["u-1"]
    assert far.listed() == ["u-2"]


@pytest.mark.parametrize("status", [400, 404, 422])
def test_an_operation_that_is_refused_is_halved(speak, status):
    """
    One status speaks of all visitors of a call; an answer of success around it is none.
    """
    remote = speak(saying(item(200, "remove"), item(status, message="no such thing")))

    with pytest.raises(BatchRefused) as refusal:
        remote.upsert(remote.prepare("Detractors"), visitors("u-1", "u-2"))
    assert refusal.value.reason == "no such thing"


@pytest.mark.parametrize("items", [[], [item(200, "remove")], [item(500)], [item(409)]])
def test_silence_is_no_success(speak, items):
    """
    An answer that does not speak of the operation, or not of its end, leaves the batch in doubt.
    """
    remote = speak(saying(*items))

    with pytest.raises(Unanswered, match="does not say that it has done the add"):
        remote.upsert(remote.prepare("Detractors"), visitors("u-1"))


def test_a_removal_leaves_the_visitor(speak, far):
    """
    It takes the id off this segment, and nothing else.
    """
    far.visitors = {"u-1": {"nps_score": 3}}
    remote = speak()
    one, other = remote.prepare("Detractors"), remote.prepare("Promoters")
    for each in (one, other):
        remote.upsert(each, visitors("u-1"))

    assert remote.remove(one, visitors("u-1", "u-2")).accepted == {"u-1", "u-2"}
    assert (far.listed(), list(far.segments[other]["visitors"])) == ([], ["u-1"])
    assert far.visitors == {"u-1": {"nps_score": 3}}


def test_checking_changes_nothing(speak, dialogue):
    """
    The check of an account is one look at its key; a refused one is told.
    """
    speak().check()

    assert [(method, path) for method, path, _ in dialogue.calls] == [("GET", "/api/v1/token/verify")]
    with pytest.raises(CredentialsRefused):
        speak(lambda request: httpx.Response(403)).check()


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("pendo", tmp_path)

    assert not found.errors
    assert found.bindings["team.pendo"].identity == {"visitor_id": Form.EXACT}
