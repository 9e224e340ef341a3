"""The connector `intercom`: how values travel, what is no attribute of a contact, and a tag's name."""

from __future__ import annotations

import pytest

from audiences.errors import DefinitionError
from dialogue import ADA, fixtures, told

dialogue, far, speak = fixtures("intercom")


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("plan", 7, "7"),
        ("plan", "0012", "0012"),
        ("vip", True, True),
        ("nps_score", 7, 7),
        ("renewed_at", "2026-11-01", 1793491200),
        ("renewed_at", "2026-11-01T12:00:00+00:00", 1793534400),
    ],
)
def test_values_travel_as_their_attribute_wants(speak, far, name, value, kept):
    """
    A number as text where the attribute is text, dates as seconds, all else as it is.
    """
    far.contact(email=ADA)
    remote = speak(send=["email", name])

    assert remote.upsert(remote.prepare("Detractors"), told(ADA, **{name: value})).accepted == {ADA}
    assert far.contact(email=ADA)["custom_attributes"] == {name: kept}


@pytest.mark.parametrize(
    ("name", "value"),
    [("renewed_at", "2026-11-01T12:00:00"), ("signed_up_at", "soon"), ("plan", ["a"]), ("plan", {"a": 1})],
)
def test_a_value_that_fits_nowhere_spoils_one_member(speak, far, name, value):
    """
    A time without a zone, a text that is no date, a list and a struct are refused with the field's name, unsent.
    """
    far.contact(email=ADA)
    remote = speak(send=["email", name])

    assert name in remote.upsert(remote.prepare("Detractors"), told(ADA, **{name: value})).rejected[ADA]
    assert not far.contact(email=ADA)["tagged"]


@pytest.mark.parametrize(("null", "kept"), [("clear", {}), ("keep", {"plan": "paid"})])
def test_null_empties_or_leaves(speak, far, null, kept):
    """
    As the sync says; without a word on it an attribute is emptied.
    """
    far.contact(email=ADA)["custom_attributes"] = {"plan": "paid"}
    remote = speak(send=["email", "plan"], null=null)

    remote.upsert(remote.prepare("Detractors"), told(ADA, plan=None))

    assert far.contact(email=ADA)["custom_attributes"] == kept


def test_an_attribute_that_is_not_there_stops_the_sync(speak, far):
    """
    Before anybody is written, with those that are there.
    """
    far.contact(email=ADA)
    remote = speak(send=["email", "npsscore"])

    with pytest.raises(DefinitionError, match=r"'npsscore' is no attribute(?s:.*)nps_score"):
        remote.upsert(remote.prepare("Detractors"), told(ADA, npsscore=3))
    assert not far.contact(email=ADA)["tagged"]


def test_a_tag_is_one_whatever_its_case(speak):
    """
    A name in another case is the same tag to Intercom, and so to a sync.
    """
    assert speak().prepare("Detractors") == speak().prepare("DETRACTORS")
