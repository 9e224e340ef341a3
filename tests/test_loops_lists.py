"""The connector `loops`: which property is the list, which fields there are, and the account."""

from __future__ import annotations

import httpx
import pytest

from audiences.errors import CredentialsRefused, Deferred, DefinitionError
from dialogue import ADA, Dialogue, told

LIST = "npsDetractors"


@pytest.fixture
def loops(tmp_path):
    return Dialogue("loops", tmp_path)


def test_a_list_is_found_or_made_once(loops):
    """
    A boolean property of the whole name, told apart by case; the second time it is there.
    """
    loops.far.properties |= {"npsdetractors": "boolean", "npsDetractorsOld": "boolean"}

    assert [loops.speak().prepare(LIST) for _ in range(2)] == [LIST, LIST]
    assert loops.sent("POST") == [{"name": LIST, "type": "boolean"}]


@pytest.mark.parametrize("answer", [httpx.Response(503), None], ids=["answer lost", "another run"])
def test_a_list_that_is_made_twice_is_one(loops, answer):
    """
    A property that is there when it is to be made, by another run or by a call whose answer was lost, is taken.
    """

    def before(request):
        if request.method == "POST" and len(loops.sent("POST")) == 1:
            loops.far.properties[LIST] = "boolean"
            return answer
        return None

    assert loops.speak(before).prepare(LIST) == LIST


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NPS detractors", r"cannot be a list(?s:.*)list = \"npsDetractors\""),
        ("npsDétracteurs", "cannot be a list"),
        ("npsScore", r"of the type number(?s:.*)name another list"),
        ("subscribed", "cannot be a list"),
        ("teamId", r"Property name is reserved.\n  do: give the list another name"),
    ],
)
def test_a_name_that_cannot_be_a_list_is_told(loops, name, words):
    """
    No property's name, one of another type, a contact's own, or one that Loops refuses: an error with the way out.
    """
    with pytest.raises(DefinitionError, match=words):
        loops.speak().prepare(name)


@pytest.mark.parametrize("list_id", [LIST, "npsScore", "subscribed"])
@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_list_that_is_gone_is_not_made_again(loops, verb, list_id):
    """
    A property that someone deleted, or that says something else, stops the sync with the way out; nobody is written.
    """
    with pytest.raises(DefinitionError, match="audiences forget"):
        getattr(loops.speak(), verb)(list_id, told(ADA))
    assert [path for _, path, _ in loops.calls] == ["/api/v1/contacts/properties"]


@pytest.mark.parametrize(
    ("field", "words"), [("plan", r"no property 'plan'(?s:.*)npsScore"), (LIST, "is sent as a field")]
)
def test_a_field_has_to_be_a_property_of_its_own(loops, field, words):
    """
    One that the account has not, or that is the list itself, stops the sync before anybody is written.
    """
    loops.far.contact(ADA)
    remote = loops.speak(send=["email", field])

    with pytest.raises(DefinitionError, match=words):
        remote.upsert(remote.prepare(LIST), told(ADA, **{field: True}))
    assert not loops.sent("PUT")


def test_a_throttle_is_waited_out_or_deferred(loops):
    """
    A 429, which says nothing of when, is tried again after a second; one that stays leaves the sync for the next run.
    """
    replies = [loops.far.throttled(0) for _ in range(3)]

    assert loops.speak(lambda request: replies.pop() if replies else None).prepare(LIST) == LIST
    assert loops.clock.now == pytest.approx(3, abs=0.9)
    with pytest.raises(Deferred):
        loops.speak(lambda request: loops.far.throttled(0)).prepare(LIST)


def test_checking_changes_nothing(loops):
    """
    The check of an account is one look at whose key it is; a refused key is told.
    """
    loops.speak().check()

    assert loops.calls == [("GET", "/api/v1/api-key", None)]
    with pytest.raises(CredentialsRefused):
        loops.speak(lambda request: httpx.Response(401)).check()
