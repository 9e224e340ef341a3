"""The connector `intercom`: whom it tags, whom it may make, and what a search that lags hides."""

from __future__ import annotations

import json

import httpx
import pytest

from audiences import Form, Member
from audiences.errors import CredentialsRefused, DefinitionError
from dialogue import ADA, ZOE, delivered, documented, fixtures, told

dialogue, far, speak = fixtures("intercom")

BY_ID = {"send": ["external_id"], "new": "unsubscribed"}


def by_id(*names, **fields):
    return [Member(each, {"external_id": each, **fields}, n) for n, each in enumerate(names)]


def tagged(far):
    """Who has a tag, by address or id."""
    return {each["external_id"] or each["email"] for each in far.contacts.values() if each["tagged"]}


@pytest.mark.parametrize("out", [True, False])
def test_consent_is_never_written_for_a_contact(speak, far, dialogue, out):
    """
    Through add, update and removal it stays as it was, and no call speaks of it, whatever becomes of new ones.
    """
    far.contact(external_id="u-1")["unsubscribed_from_emails"] = out
    remote = speak(**BY_ID | {"send": ["external_id", "plan"]})
    where = remote.prepare("Detractors")

    for verb in (remote.upsert, remote.upsert, remote.remove):
        assert verb(where, by_id("u-1", plan="paid")).accepted == {"u-1"}
        assert far.contact(external_id="u-1")["unsubscribed_from_emails"] is out
    assert "unsubscribed" not in json.dumps(dialogue.calls)


def test_consent_cannot_be_sent(speak, dialogue):
    """
    It is refused as a field before any call.
    """
    with pytest.raises(DefinitionError, match=r"unsubscribed_from_emails(?s:.*)take it out of send"):
        speak(send=["email", "unsubscribed_from_emails"])
    assert not dialogue.calls


def test_a_stranger_is_refused(speak, far):
    """
    Nobody is made a contact unasked; the reason names the option, or says why an address is not found.
    """
    far.contact(email=ADA)
    one, other = speak(), speak(send=["external_id"])
    where = one.prepare("Detractors")

    receipts = one.upsert(where, told(ADA, ZOE)), other.upsert(where, by_id("u-2"))

    assert receipts[0].accepted == {ADA}
    assert "after some minutes" in receipts[0].rejected[ZOE]
    assert 'new = "unsubscribed"' in receipts[1].rejected["u-2"]
    assert len(far.contacts) == 1


@pytest.mark.parametrize(("new", "out"), [("unsubscribed", True), ("subscribed", False)])
def test_a_stranger_becomes_what_the_sync_says(speak, far, new, out):
    """
    Made a user with what is sent, and tagged, without a search; who may be written to only where the sync says so.
    """
    far.lags = True
    remote = speak(send=["external_id", "email", "plan"], new=new)

    assert remote.upsert(remote.prepare("Detractors"), by_id("u-2", email=ZOE, plan="paid")).accepted == {"u-2"}
    [made] = far.contacts.values()
    assert (made["role"], made["email"], made["custom_attributes"]) == ("user", ZOE, {"plan": "paid"})
    assert made["unsubscribed_from_emails"] is out


def test_whoever_was_just_made_is_removed_all_the_same(speak, far, dialogue):
    """
    While Intercom's search does not show them yet: by external_id nobody is searched for.
    """
    far.lags = True
    remote = speak(**BY_ID)
    where = remote.prepare("Detractors")
    remote.upsert(where, by_id("u-1"))
    assert tagged(far) == {"u-1"}

    assert remote.remove(where, by_id("u-1")).accepted == {"u-1"}
    assert not tagged(far)
    assert not dialogue.sent("POST", "/contacts/search")


def test_an_id_is_one_part_of_an_address(speak, dialogue):
    """
    A slash or a blank in it leads nowhere else.
    """
    remote = speak(send=["external_id"])

    remote.upsert(remote.prepare("Detractors"), by_id("a/../b c"))

    assert dialogue.calls[-1][:2] == ("GET", "/contacts/find_by_external_id/a%2F..%2Fb%20c")


def test_nobody_is_made_by_email(speak, dialogue):
    """
    Since they could not be removed while the search lags: the option is refused, with the way out.
    """
    with pytest.raises(DefinitionError, match=r"search lags minutes(?s:.*)do: send external_id"):
        speak(new="unsubscribed")
    assert not dialogue.calls


def test_whom_a_conflict_names_is_taken(speak, far, dialogue):
    """
    Someone who becomes a contact between the look and the making: the id in the 409 is theirs; their consent stays.
    """

    def before(request):
        if (request.method, request.url.path) == ("POST", "/contacts"):
            far.contact(external_id="u-1", shown=False)

    remote = speak(before, **BY_ID | {"send": ["external_id", "plan"]})

    assert remote.upsert(remote.prepare("Detractors"), by_id("u-1", plan="paid")).accepted == {"u-1"}
    assert tagged(far) == {"u-1"}
    assert dialogue.sent("PUT") == [{"custom_attributes": {"plan": "paid"}}]
    assert not far.contact(external_id="u-1")["unsubscribed_from_emails"]


@pytest.mark.parametrize(
    ("there", "words"),
    [
        ({"external_id": "u-9", "email": ZOE}, "A contact matching"),
        ({"external_id": None, "email": ZOE}, "A contact matching"),
        ({"external_id": "u-1", "email": ADA, "archived": True}, "An archived contact matching"),
    ],
)
def test_someone_else_is_not_taken_for_them(speak, far, there, words):
    """
    Whom a conflict names by their address alone, or who is archived, is left as they are: the member is refused.
    """
    far.contact(**there)
    before = json.dumps(far.contacts, default=list)
    remote = speak(**BY_ID | {"send": ["external_id", "email"]})

    receipt = remote.upsert(remote.prepare("Detractors"), by_id("u-1", email=ZOE))

    assert receipt.rejected["u-1"].startswith(words)
    assert json.dumps(far.contacts, default=list) == before


def test_each_contact_with_an_address_is_meant(speak, far):
    """
    A user and a lead with one address, in whatever case, are both tagged, and both untagged.
    """
    far.page_size = 1
    far.contact(email=ADA, name="one")
    far.contact(email=ADA.upper(), name="other", role="lead")
    remote = speak()
    where = remote.prepare("Detractors")

    assert remote.upsert(where, told(ADA)).accepted == {ADA}
    assert [len(each["tagged"]) for each in far.contacts.values()] == [1, 1]
    assert remote.remove(where, told(ADA)).accepted == {ADA}
    assert not tagged(far)


def test_who_is_refused_is_not_tagged(speak, far):
    """
    A value that Intercom does not take spoils one member, in Intercom's words; fields come before the tag.
    """
    for each in (ADA, ZOE):
        far.contact(email=each)
    remote = speak(send=["email", "nps_score"])

    receipt = remote.upsert(remote.prepare("Detractors"), [*told(ADA, nps_score=3), *told(ZOE, nps_score="many")])

    assert receipt.rejected == {ZOE: "Custom attribute 'nps_score' does not match its type"}
    assert tagged(far) == {ADA}


def test_a_contact_that_is_deleted_on_the_way_is_refused(speak, far):
    """
    Found, and gone when it is to be tagged: Intercom's words; a removal has nothing to do.
    """
    far.contact(email=ADA)

    def before(request):
        if "/tags" in request.url.path and request.url.path.startswith("/contacts/"):
            far.contacts.clear()

    remote = speak(before)
    where = remote.prepare("Detractors")

    assert remote.upsert(where, told(ADA)).rejected == {ADA: "User Not Found"}
    far.contact(email=ADA)
    assert remote.remove(where, told(ADA)).accepted == {ADA}


@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_a_tag_that_is_gone_stops_the_sync(speak, dialogue, verb):
    """
    It is nobody's refusal: the error has the tag's id and the way out.
    """
    sent = delivered(speak(), "404", told(ADA), verb)

    assert "no tag with the id '404'" in sent.error.what
    assert not sent.reasons
    assert [where for _, where, _ in dialogue.calls] == ["/tags/404"]


def test_whoever_has_no_such_identifier_is_not_read_back(speak, far):
    """
    A lead that somebody tagged by hand has no external_id, and is no member of a sync that goes by it.
    """
    remote = speak(**BY_ID)
    where = remote.prepare("Detractors")
    remote.upsert(where, by_id("u-1"))
    far.contact(email=ZOE)["tagged"].add(where)

    assert [*remote.members(where)] == [{"external_id": "u-1"}]


def test_checking_changes_nothing(speak, dialogue):
    """
    The check of an account is one look at whose token it is; a refused one is told.
    """
    speak().check()

    assert dialogue.calls == [("GET", "/me", None)]
    with pytest.raises(CredentialsRefused):
        speak(lambda request: httpx.Response(401)).check()


def test_the_manual_is_right(tmp_path):
    """
    The section that the docstring shows, in an audience file, is taken as it stands.
    """
    found = documented("intercom", tmp_path)

    assert not found.errors
    assert found.bindings["team.intercom"].identity == {"external_id": Form.EXACT}
