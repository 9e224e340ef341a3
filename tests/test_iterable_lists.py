"""The connector `iterable`: which list is the sync's, and which it never writes to."""

from __future__ import annotations

import httpx
import pytest

from audiences.errors import DefinitionError, Unanswered
from dialogue import ADA, Dialogue, told


@pytest.fixture
def iterable(tmp_path):
    return Dialogue("iterable", tmp_path)


def test_a_list_is_found_by_its_whole_name_or_made_once(iterable):
    """
    A name that only begins like the list's is another's; what is made is found again.
    """
    ids = [iterable.speak().prepare("Detractors") for _ in range(2)]

    assert ids == ["1001", "1001"]
    assert iterable.sent("POST") == [{"name": "Detractors"}]


def test_a_list_whose_making_had_no_answer_is_made_once(iterable):
    """
    The answer to the making is lost: the run ends, and the next one takes what it made.
    """

    def before(request):
        if request.method == "POST" and len(iterable.sent("POST")) == 1:
            iterable.far(request)
            return httpx.Response(503)
        return None

    with pytest.raises(Unanswered):
        iterable.speak(before).prepare("Detractors")
    assert iterable.speak(before).prepare("Detractors") == "1001"
    assert len(iterable.far.lists) == 2


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (["Dynamic"], "Dynamic 5(?s:.*)name another"),
        (["Suppression"], "Suppression 5"),
        (["Standard"] * 2, "5, Standard 6"),
    ],
)
def test_a_name_that_is_no_static_list_is_refused(iterable, kinds, words):
    """
    A list that Iterable fills, one that suppresses mail, or two of one name: an error with each id, and none is made.
    """
    iterable.far.lists |= {5 + n: {"name": "Detractors", "listType": kind} for n, kind in enumerate(kinds)}

    with pytest.raises(DefinitionError, match=words):
        iterable.speak().prepare("Detractors")
    assert not iterable.sent("POST")


@pytest.mark.parametrize(
    ("list_id", "words"), [("999", "no list of this project"), ("5", "a Dynamic list"), ("x", "no list")]
)
@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_list_that_cannot_be_written_is_said(iterable, verb, list_id, words):
    """
    A list that is gone or not static stops the sync before anything is changed.
    """
    iterable.far.lists[5] = {"name": "All", "listType": "Dynamic"}

    with pytest.raises(DefinitionError, match=words):
        getattr(iterable.speak(), verb)(list_id, told(ADA))
    assert not iterable.sent("POST")
