"""The connector `reddit_ads`: how an identifier is written, which call it is in, audiences by name, what is told."""

from __future__ import annotations

import hashlib

import pytest

from audiences import BatchRefused, Member
from audiences.errors import DefinitionError, DeliveryError
from dialogue import ADA, ZOE, answering, documented, fixtures, told

dialogue, far, speak = fixtures("reddit_ads")
IDFA = "ea7583cd-a667-48bc-b806-42ecb2b48606"


def hashed(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_an_address_is_as_reddit_writes_it(far, speak):
    """
    As its page shows for this very address; dots and what follows a plus sign do not count.
    """
    remote = speak()

    remote.upsert(remote.prepare(far.list), told("Al.ice$+Apple@Example.Com"))

    assert far.listed() == {"ff8d9819fc0e12bf0d24892e45987e249a28dce836a85cad60e28eaaa8c6d976"}
    assert far.listed() == {hashed("alice@example.com")}


def test_addresses_are_one_call_and_devices_another(dialogue, far, speak):
    """
    Apple's ids go in capitals and Android's in small letters, in one column; a row has one cell.
    """
    remote = speak(send=["email", "idfa", "aaid"])
    list_id = remote.prepare(far.list)
    members = [Member("1", {"idfa": IDFA}), Member("2", {"email": ADA}), Member("3", {"aaid": IDFA.upper()})]

    assert remote.upsert(list_id, members).accepted == {"1", "2", "3"}
    assert [body["data"] for body in dialogue.sent("PATCH")] == [
        {"action_type": "ADD", "column_order": ["EMAIL_SHA256"], "user_data": [[hashed(ADA)]]},
        {
            "action_type": "ADD",
            "column_order": ["MAID_SHA256"],
            "user_data": [[hashed(IDFA.upper())], [hashed(IDFA)]],
        },
    ]
    assert remote.remove(list_id, members[:2]).accepted == {"1", "2"}
    assert far.listed() == {hashed(IDFA)}


def test_who_has_no_address_is_not_sent(dialogue, far, speak):
    """
    They are refused with a reason, and so on no list; where nobody is left, no call is made.
    """
    remote = speak()
    list_id = remote.prepare(far.list)

    assert remote.upsert(list_id, told(ADA, "zoë@example.com")).rejected.keys() == {"zoë@example.com"}
    assert not remote.upsert(list_id, told("nowhere")).accepted
    assert not remote.remove(list_id, told("nowhere")).accepted
    assert len(dialogue.sent("PATCH")) == 1


def test_an_audience_is_found_on_any_page(dialogue, far, speak):
    """
    By its exact name; the next page is asked for where the first was, whatever address it names.
    """
    for n in range(5):
        far.made(f"{far.list} {n}", "CUSTOMER_LIST")
    remote = speak()

    assert remote.prepare(far.list) == speak().prepare(far.list) == "a5"
    assert [method for method, _, _ in dialogue.calls].count("POST") == 1
    assert {request.url.host for request in dialogue.requests} == {"ads-api.reddit.com", "www.reddit.com"}


def test_an_audience_of_another_type_is_not_taken(far, speak):
    """
    Nobody can be uploaded to one that Reddit fills by itself.
    """
    far.made(far.list, "CUSTOMER_LIST")["type"] = "PIXEL_RETARGETING"

    with pytest.raises(DefinitionError, match="another type: PIXEL_RETARGETING"):
        speak().prepare(far.list)


@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_an_audience_that_is_gone_is_no_members_fault(speak, verb):
    """
    The sync stops with the way out.
    """
    with pytest.raises(DeliveryError, match="the Reddit custom audience 9 is gone") as error:
        getattr(speak(), verb)("9", told(ADA))
    assert "audiences forget" in error.value.do


def test_a_success_with_an_error_is_none(far, speak):
    """
    An answer of 200 that tells of an error refuses the batch, in Reddit's words.
    """
    remote = speak(answering("/users", 200, error={"code": 7, "message": "no"}))

    with pytest.raises(BatchRefused) as refusal:
        remote.upsert(remote.prepare(far.list), told(ADA, ZOE))
    assert refusal.value.reason == "7: no"


def test_checking_changes_nothing(dialogue, speak):
    """
    The check asks who has signed in.
    """
    speak().check()

    assert dialogue.calls == [("GET", "/api/v3/me", None)]


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("reddit_ads", tmp_path)

    assert not found.errors
    assert set(found.bindings["team.reddit_ads"].identity) == {"email", "idfa", "aaid"}
