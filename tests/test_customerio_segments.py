"""The connector `customerio`: which segment is a list, and who is read back."""

from __future__ import annotations

import httpx
import pytest

from audiences import Member
from audiences.errors import DefinitionError, Unanswered
from dialogue import Dialogue


@pytest.fixture
def customerio(tmp_path):
    return Dialogue("customerio", tmp_path)


@pytest.fixture
def speak(customerio):
    return lambda before=lambda request: None: customerio.speak(before, send=["id"])


def test_a_segment_is_found_by_its_whole_name_or_made_once(customerio, speak):
    """
    A name that only begins like the list's is another's; what is made is found again.
    """
    customerio.far.segments[4] = {"name": "Promoters / 2026", "type": "manual"}

    assert [speak().prepare("Promoters") for _ in range(2)] == ["7", "7"]
    assert customerio.sent("POST") == [{"segment": {"name": "Promoters"}}]


def test_a_segment_whose_making_had_no_answer_is_made_once(customerio, speak):
    """
    The answer to the making is lost: the run ends, and the next one takes what it made.
    """

    def before(request):
        if request.method == "POST" and len(customerio.sent("POST")) == 1:
            customerio.far(request)
            return httpx.Response(503)
        return None

    with pytest.raises(Unanswered):
        speak(before).prepare("Promoters")
    assert speak(before).prepare("Promoters") == "7"
    assert len(customerio.far.segments) == 2


@pytest.mark.parametrize(
    ("kinds", "words"), [(["dynamic"], "dynamic 5(?s:.*)name another"), (["manual"] * 2, "manual 5, manual 6")]
)
def test_a_name_that_is_no_manual_segment_is_refused(customerio, speak, kinds, words):
    """
    A data-driven segment, or two of one name: an error with each id and the way out, and nothing is made.
    """
    customerio.far.segments |= {5 + n: {"name": "Promoters", "type": kind} for n, kind in enumerate(kinds)}

    with pytest.raises(DefinitionError, match=words):
        speak().prepare("Promoters")
    assert not customerio.sent("POST")


@pytest.mark.parametrize(
    ("list_id", "words"), [("9", "no segment"), ("5", "a dynamic segment"), ("../x", "no segment")]
)
@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_segment_that_cannot_be_written_is_said(customerio, speak, verb, list_id, words):
    """
    A segment that is gone or data-driven stops the sync before anything is changed.
    """
    customerio.far.segments[5] = {"name": "All", "type": "dynamic"}

    with pytest.raises(DefinitionError, match=words):
        getattr(speak(), verb)(list_id, [Member("k", {"id": "user/1"})])
    assert not customerio.sent("POST")


def test_members_are_read_page_by_page(customerio, speak):
    """
    Everybody on the segment, but for those whom no removal could reach: people without an id.
    """
    customerio.far.page_size = 2
    remote = speak()
    where = remote.prepare("Promoters")
    customerio.far.held[7] = dict.fromkeys(["user/1", "", "user/2", "user/3", "user/4"])

    assert [each["id"] for each in remote.members(where)] == ["user/1", "user/2", "user/3", "user/4"]
