"""The connector `resend`: which segment a list is, and who is in it."""

from __future__ import annotations

import json

import httpx
import pytest

from audiences.errors import DefinitionError
from dialogue import ADA, Dialogue, told


@pytest.fixture
def resend(tmp_path):
    return Dialogue("resend", tmp_path)


def test_a_segment_is_found_by_its_exact_name(resend):
    """
    Neither another case nor a longer name, on whatever page it is; one that is not there is made once.
    """
    there = resend.far.segment("Detractors")["id"]
    for n in range(120):
        resend.far.segment(f"detractors {n}")
    resend.far.segment("DETRACTORS")
    remote = resend.speak()

    assert remote.prepare("Detractors") == there
    assert not resend.sent("POST")
    assert remote.prepare("Promoters") == remote.prepare("Promoters")
    assert resend.sent("POST") == [{"name": "Promoters"}]


def test_several_of_one_name_stop_the_sync(resend):
    """
    Which of them is meant, only a person can say: both are named.
    """
    ids = [resend.far.segment("Detractors")["id"] for _ in range(2)]

    with pytest.raises(DefinitionError, match=f"{ids[0]}, {ids[1]}"):
        resend.speak().prepare("Detractors")


def test_two_runs_at_once_take_one_segment(resend):
    """
    Where another run made the same segment meanwhile, both take the older.
    """
    made = []

    def before(request):
        if request.method == "POST" and not made:
            made.append(resend.far.segment("Detractors")["id"])

    remote = resend.speak(before)

    assert remote.prepare("Detractors") == made[0]


def test_a_name_that_resend_refuses_is_told(resend):
    """
    In Resend's words, and with the way out.
    """
    said = {"statusCode": 422, "name": "validation_error", "message": "The name is too long."}
    remote = resend.speak(lambda request: httpx.Response(422, json=said) if request.method == "POST" else None)

    with pytest.raises(DefinitionError, match="The name is too long"):
        remote.prepare("Detractors")


@pytest.mark.parametrize("verb", ["upsert", "remove", "members"])
@pytest.mark.parametrize(("gone", "words"), [(True, "the id of no segment"), (False, "has a filter")])
def test_a_segment_that_cannot_be_changed_stops_the_sync(resend, verb, gone, words):
    """
    One that was deleted, or that Resend fills by itself, before anybody is changed.
    """
    resend.far.contact(ADA)
    segment = resend.far.segment("Detractors", filter={"field": "plan"})["id"]
    if gone:
        del resend.far.segments[segment]
    remote = resend.speak()

    with pytest.raises(DefinitionError, match=words):
        list(remote.members(segment)) if verb == "members" else getattr(remote, verb)(segment, told(ADA))
    assert {method for method, _, _ in resend.calls} == {"GET"}


@pytest.mark.parametrize("says", [True, False])
def test_reading_back_takes_every_page(resend, says):
    """
    Also where an answer does not say whether there are more: the vendor's own file leaves that word out.
    """
    segment = resend.far.segment("Detractors")["id"]
    for n in range(200):
        resend.far.contact(f"person{n}@example.com", segments=[segment])
    resend.far.contact(ADA)

    def before(request):
        answer = resend.far(request)
        said = json.loads(answer.content)
        return answer if says else httpx.Response(200, json={k: said[k] for k in said.keys() - {"has_more"}})

    found = [each["email"] for each in resend.speak(before).members(segment)]

    assert found == [f"person{n}@example.com" for n in range(200)]
