"""The connector `appcues`: segments by name, whose profile is refused, and what a removal leaves."""

from __future__ import annotations

import httpx
import pytest

from audiences import Form, Member
from audiences.errors import CredentialsRefused, DefinitionError
from dialogue import delivered, documented, fixtures

dialogue, far, speak = fixtures("appcues", send=("user_id",))


def users(*names, **fields):
    return [Member(each, {"user_id": each, **fields}, n) for n, each in enumerate(names)]


def test_a_segment_is_found_on_any_page(speak, far, dialogue):
    """
    By its exact name among all, or made once.
    """
    far.segments = {f"s-{n}": {"name": f"other {n}", "ids": {}} for n in range(100)}
    far.segments["s-100"] = {"name": "Detractors", "ids": {}}
    remote = speak()

    assert remote.prepare("Detractors") == "s-100"
    assert not dialogue.sent("POST")
    assert remote.prepare("detractors") == remote.prepare("detractors") == "s-101"


def test_pages_that_repeat_end(speak, far, dialogue):
    """
    Where pages are not heeded, the second that says the same is the last.
    """
    whole = [{"id": f"s-{n}", "name": f"other {n}"} for n in range(100)]

    def before(request):
        return httpx.Response(200, json=whole) if request.method == "GET" else None

    assert speak(before).prepare("Detractors") == "s-101"
    assert len(dialogue.sent("GET")) == 4


def test_two_segments_of_one_name_are_named(speak, far):
    """
    None is chosen: the error has both ids.
    """
    far.segments = {f"s-{n}": {"name": "Detractors", "ids": {}} for n in (1, 2)}

    with pytest.raises(DefinitionError, match="s-1, s-2"):
        speak().prepare("Detractors")


@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_segment_that_is_gone_stops_the_sync(speak, dialogue, verb):
    """
    It is nobody's refusal, and is not made anew.
    """
    sent = delivered(speak(), "s-9", users("u-1"), verb)

    assert "no segment with the id 's-9'" in sent.error.what
    assert not sent.reasons
    assert [path for _, path, _ in dialogue.calls] == ["/v2/accounts/4711/segments/s-9"]


def test_who_is_refused_is_not_listed(speak, far):
    """
    Profiles come first: whose is refused, in Appcues's words or as it cannot be told, is not on the segment.
    """
    remote = speak(send=["user_id", "plan"])
    members = [*users("u-1", plan="paid"), *users("u-2", plan="x" * 3000), *users("u-3", plan=["a"])]

    receipt = remote.upsert(remote.prepare("Detractors"), members)

    assert (receipt.accepted, far.listed()) == ({"u-1"}, ["u-1"])
    assert "too long" in receipt.rejected["u-2"]
    assert "plan holds a list" in receipt.rejected["u-3"]


def test_members_without_fields_are_one_call(speak, dialogue):
    """
    An id alone needs no profile, and NULL leaves a property as it is.
    """
    remote = speak()
    where = remote.prepare("Detractors")
    dialogue.calls.clear()

    assert remote.upsert(where, users("u-1", "u-2", plan=None)).accepted == {"u-1", "u-2"}
    assert [method for method, _, _ in dialogue.calls] == ["GET", "POST"]


def test_an_id_is_one_part_of_an_address(speak, far, dialogue):
    """
    A slash or a blank in it leads nowhere else.
    """
    remote = speak(send=["user_id", "plan"])

    remote.upsert(remote.prepare("Detractors"), users("a/../b c", plan="paid"))

    assert "/v2/accounts/4711/users/a%2F..%2Fb%20c/profile" in [path for _, path, _ in dialogue.calls]


def test_a_removal_leaves_the_profile(speak, far):
    """
    It takes the id off this segment, and nothing else.
    """
    remote = speak(send=["user_id", "plan"])
    one, other = remote.prepare("Detractors"), remote.prepare("Promoters")
    for each in (one, other):
        remote.upsert(each, users("u-1", plan="paid"))

    assert remote.remove(one, users("u-1", "u-2")).accepted == {"u-1", "u-2"}
    assert (far.listed(), list(far.segments[other]["ids"])) == ([], ["u-1"])
    assert far.users == {"u-1": {"plan": "paid"}}


def test_checking_changes_nothing(speak, dialogue):
    """
    The check of an account is one look at its segments; a refused key is told.
    """
    speak().check()

    assert [method for method, _, _ in dialogue.calls] == ["GET"]
    with pytest.raises(CredentialsRefused):
        speak(lambda request: httpx.Response(401)).check()


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("appcues", tmp_path)

    assert not found.errors
    assert found.bindings["team.appcues"].identity == {"user_id": Form.EXACT}
