"""The connector `snapchat_ads`: a call for each sort of identifier, what is counted, and segments as the sync says."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import httpx
import pytest

from audiences import BatchRefused, DefinitionError, DeliveryError, Member
from dialogue import ADA, ZOE, Dialogue, documented, first, told

DEVICE = "AB1234CD-12EF-4A5B-8C9D-0123456789AB"


@pytest.fixture
def snap(tmp_path):
    return Dialogue("snapchat_ads", tmp_path)


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def users(snap, method="POST"):
    """What was said of identifiers by this method, a call each."""
    return [body["users"][0] for body in snap.sent(method, "/v1/segments/")]


def test_each_sort_of_identifier_is_a_call(snap):
    """
    Snapchat takes one schema a call: three sorts in a batch are three calls, each with its own hashes.
    """
    remote = snap.speak(send=["email", "phone", "madid"], region="DE")
    people = [{"email": " Ada@Example.com"}, {"phone": "030 123456"}, {"madid": DEVICE}, {"email": ZOE}]

    receipt = remote.upsert(remote.prepare("Detractors"), [Member(str(n), each, n) for n, each in enumerate(people)])

    assert receipt.accepted == {"0", "1", "2", "3"}
    assert users(snap) == [
        {"schema": ["EMAIL_SHA256"], "data": [[sha(ADA)], [sha(ZOE)]]},
        {"schema": ["PHONE_SHA256"], "data": [[sha("4930123456")]]},
        {"schema": ["MOBILE_AD_ID_SHA256"], "data": [[sha(DEVICE.lower())]]},
    ]


def test_a_removal_names_one_identifier(snap):
    """
    An address that goes leaves the person's number in the segment.
    """
    remote = snap.speak(send=["email", "phone"], region="DE")
    where = remote.prepare(snap.far.list)
    address, number = Member("1", {"email": ADA}, 1), Member("2", {"phone": "030 123456"}, 2)
    remote.upsert(where, [address, number])

    assert remote.remove(where, [address]).accepted == {"1"}
    assert snap.far.listed() == [sha("4930123456")]
    assert users(snap, "DELETE") == [{"schema": ["EMAIL_SHA256"], "data": [[sha(ADA)]]}]


def test_an_identifier_that_is_sent_no_more_can_leave(snap):
    """
    A sync that has stopped to send numbers takes those off that it has sent before.
    """
    number = Member("1", {"phone": "+4930123456"}, 1)
    before, now = snap.speak(send=["email", "phone"]), snap.speak()
    where = before.prepare(snap.far.list)
    before.upsert(where, [number])

    assert now.remove(where, [number, *told(ADA)]).accepted == {"1", ADA}
    assert snap.far.listed() == []


def test_who_has_no_usable_identifier_is_refused_and_not_sent(snap):
    """
    A value that is no address is refused with its reason; where nobody is left, nothing is changed.
    """
    remote = snap.speak()
    where = remote.prepare("Detractors")

    both, alone = remote.upsert(where, told(ADA, "nowhere")), remote.upsert(where, told("nowhere"))

    assert both.accepted == {ADA}
    assert both.rejected == alone.rejected == {"nowhere": "email is no e-mail address"}
    assert len(users(snap)) == 1


def test_what_snapchat_leaves_out_is_told_as_a_number(snap):
    """
    It counts what it took: the others are among those refused without a name, and a removal of them is done.
    """
    snap.far.unusable = {sha(ZOE)}
    remote = snap.speak()
    where = remote.prepare("Detractors")

    receipt = remote.upsert(where, told(ADA, ZOE))

    assert (receipt.accepted, receipt.unnamed) == ({ADA, ZOE}, 1)
    assert remote.remove(where, told(ZOE)).unnamed == 0


def test_a_part_that_fails_is_a_failure(snap):
    """
    An answer of 200 whose part says ERROR is none of success.
    """
    said = {"request_status": "SUCCESS", "request_id": "1", "users": [{"sub_request_status": "ERROR"}]}
    answer = httpx.Response(200, json=said)
    remote = snap.speak(before=lambda request: answer if request.url.path.endswith("/users") else None)
    where = remote.prepare("Detractors")

    for verb in (remote.upsert, remote.remove):
        with pytest.raises(BatchRefused):
            verb(where, told(ADA))


@pytest.mark.parametrize("said", [["of another"], {"errors": ["no"]}, {"errors": [{}]}, "text"])
def test_an_answer_that_snapchat_did_not_write_has_its_own_status(snap, said):
    """
    What a proxy says on the way is no part that failed: its status counts.
    """
    assert snap.cls.means(httpx.Response(502, json=said)) == 502
    assert snap.cls.means(httpx.Response(200, json=said)) == 200


def test_too_many_calls_are_waited_for(snap):
    """
    A 429 has no time: a second later the call is made again.
    """
    remote = snap.speak(before=first(snap.far.throttled(1)))

    remote.check()

    assert 1 <= snap.clock.now < 3
    assert len(snap.calls) == 2


def test_a_segment_is_found_by_its_name_on_any_page(snap):
    """
    Exactly by its name: a second run finds the one that the first has made, which keeps people for ever.
    """
    for n in range(5):
        snap.far.made(f"Detractors {n}", "FIRST_PARTY", snap.account().ad_account_id, "", 9999)
    remote = snap.speak()

    made, found = remote.prepare("Detractors"), remote.prepare("Detractors")

    assert made == found == "1006"
    [wanted] = snap.sent("POST", "/v1/adaccounts/")
    assert wanted["segments"][0]["retention_in_days"] == 9999


@pytest.mark.parametrize(
    ("days", "source", "words"),
    [
        (180, "FIRST_PARTY", "keeps who is not sent again for 180 days\n  do: write retention_in_days = 180"),
        (9999, "PIXEL", "that Snapchat fills by itself\n  do: give the list another name"),
    ],
)
def test_a_segment_of_another_sort_is_refused(snap, days, source, words):
    """
    One with another retention would lose people whom the ledger holds for listed, one of another kind takes nobody:
    both are told, by name and by id.
    """
    number = snap.far.made("Detractors", "FIRST_PARTY", snap.account().ad_account_id, "", days).json()
    number = number["segments"][0]["segment"]["id"]
    snap.far.segments[number]["source_type"] = source

    with pytest.raises(DefinitionError, match=words):
        snap.speak().prepare("Detractors")
    with pytest.raises(DefinitionError, match=words):
        snap.speak().upsert(number, told(ADA))
    assert not snap.sent("POST")


@pytest.mark.parametrize(("days", "lasts"), [(9999, None), (180, timedelta(days=180))])
def test_members_are_sent_again_before_the_segment_forgets_them(snap, days, lasts):
    """
    What the option says is how long a member lasts; 9999 is for ever.
    """
    assert snap.cls.lasts(snap.cls.Options(retention_in_days=days)) == lasts


def test_a_segment_that_is_gone_is_an_error(snap):
    """
    It is looked for once a run, before anybody is put into it, and never made anew.
    """
    remote = snap.speak()
    where = remote.prepare("Detractors")
    remote.upsert(where, told(ADA))
    remote.remove(where, told(ADA))

    with pytest.raises(DeliveryError, match=r"(?s)no Snapchat segment 9 any more.*`audiences forget`"):
        remote.upsert("9", told(ZOE))
    assert len(snap.sent("GET", "/v1/segments/")) == 2


def test_a_field_that_snapchat_does_not_know_is_named(snap):
    """
    What is no identifier of Snapchat's cannot be sent, and the error says what can.
    """
    with pytest.raises(DefinitionError, match=r"(?s)knows nothing called 'nps'.*email, phone, madid"):
        snap.speak(send=["email", "nps"])


def test_the_section_in_the_manual_is_valid(tmp_path):
    """
    The sample of the docstring can be read as it stands.
    """
    [audience] = documented("snapchat_ads", tmp_path).audiences

    assert audience.syncs[0].list == "NPS detractors"
