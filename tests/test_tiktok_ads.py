"""The connector `tiktok_ads`: one identifier a row, failures in answers of 200, and audiences by their name."""

from __future__ import annotations

import hashlib

import httpx
import pytest

from audiences import BatchRefused, DefinitionError, DeliveryError, Member
from audiences.errors import CredentialsRefused, Unanswered
from dialogue import ADA, ZOE, Dialogue, documented, first, told

MAPPING = "/open_api/v1.3/segment/mapping/"
# Published by TikTok: ads.tiktok.com/help/article/how-to-create-a-custom-audience-with-a-customer-file
JANE = ("janedoe@gmail.com", "d6117306485ed0e50afab3ac871e98f81699151f30281527d63ff5f233656c69")
DEVICE = "AB1234CD-12EF-4A5B-8C9D-0123456789AB"


@pytest.fixture
def tiktok(tmp_path):
    return Dialogue("tiktok_ads", tmp_path)


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def failing(code, message="No"):
    return httpx.Response(200, json={"code": code, "message": message, "request_id": "1", "data": {}})


def mapping(answer):
    """A `before`: whoever changes an audience gets this answer."""
    return lambda request: answer if request.url.path == MAPPING else None


def test_each_identifier_goes_in_a_row_of_its_own(tiktok):
    """
    A row has one id, in the form and by the hash of its kind, and {} for every other kind of the call.
    """
    remote = tiktok.speak(send=["email", "phone", "idfa", "aaid"], region="DE")
    people = [{"email": JANE[0].title()}, {"phone": "030 123456"}, {"idfa": DEVICE}, {"aaid": DEVICE}]
    where = remote.prepare("Detractors")

    remote.upsert(where, [Member(str(n), each, n) for n, each in enumerate(people)])

    [body] = tiktok.sent("POST", MAPPING)
    hashes = [JANE[1], sha("+4930123456"), sha(DEVICE.lower()), sha(DEVICE.lower())]
    assert body["id_schema"] == ["EMAIL_SHA256", "PHONE_SHA256", "IDFA_SHA256", "AAID_SHA256"]
    assert [[each for each in row if each] for row in body["batch_data"]] == [
        [{"id": each, "audience_ids": [where]}] for each in hashes
    ]
    assert [row.index({}) for row in body["batch_data"]] == [1, 0, 0, 0]


def test_a_removal_names_one_identifier(tiktok):
    """
    An address that goes leaves the person's number in the audience.
    """
    remote = tiktok.speak(send=["email", "phone"], region="DE")
    where = remote.prepare(tiktok.far.list)
    address, number = Member("1", {"email": ADA}, 1), Member("2", {"phone": "030 123456"}, 2)
    remote.upsert(where, [address, number])

    assert remote.remove(where, [address]).accepted == {"1"}
    assert tiktok.far.listed() == [sha("+4930123456")]


def test_an_identifier_that_is_sent_no_more_can_leave(tiktok):
    """
    A sync that has stopped to send numbers takes those off that it has sent before.
    """
    number = Member("1", {"phone": "+4930123456"}, 1)
    before, now = tiktok.speak(send=["email", "phone"]), tiktok.speak()
    where = before.prepare(tiktok.far.list)
    before.upsert(where, [number])

    assert now.remove(where, [number, *told(ADA)]).accepted == {"1", ADA}
    assert tiktok.far.listed() == []


def test_who_has_no_usable_identifier_is_refused_and_not_sent(tiktok):
    """
    A value that is no address is refused with its reason; where nobody is left, nothing is changed.
    """
    remote = tiktok.speak()
    where = remote.prepare("Detractors")

    both, alone = remote.upsert(where, told(ADA, "nowhere")), remote.upsert(where, told("nowhere"))

    assert both.accepted == {ADA}
    assert both.rejected == alone.rejected == {"nowhere": "email is no e-mail address"}
    assert len(tiktok.sent("POST", MAPPING)) == 1


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (40104, CredentialsRefused, "refuses the account's credentials"),
        (40105, CredentialsRefused, "refuses the account's credentials"),
        (40001, DeliveryError, r"(?s)does not let this app.*do: ask TikTok to allow"),
        (40002, BatchRefused, "refused a whole batch"),
        (50000, Unanswered, "may have been applied"),
    ],
)
def test_a_failure_in_an_answer_of_success_is_one(tiktok, code, error, words):
    """
    Every code but 0 is a failure, whatever the status: of the token, of the app's rights, of the call, or of TikTok.
    """
    remote = tiktok.speak(before=mapping(failing(code)))
    where = remote.prepare("Detractors")

    for verb in (remote.upsert, remote.remove):
        with pytest.raises(error, match=words):
            verb(where, told(ADA))


def test_too_many_calls_are_waited_for(tiktok):
    """
    TikTok says so in an answer of 200, with no time: five minutes later the call is made again.
    """
    remote = tiktok.speak(before=first(tiktok.far.throttled(1)))

    remote.check()

    assert 300 <= tiktok.clock.now < 310
    assert len(tiktok.calls) == 2


def test_an_audience_is_found_by_its_name_on_any_page(tiktok):
    """
    Exactly by its name: a second run finds the one that the first has made.
    """
    tiktok.far.audiences |= {str(n): f"Detractors {n}" for n in range(120)}
    remote = tiktok.speak()

    made, found = remote.prepare("Detractors"), remote.prepare("Detractors")

    assert made == found == "170000001"
    assert len(tiktok.sent("POST")) == 1


def test_a_name_that_tiktok_would_cut_is_refused(tiktok):
    """
    It could not be found again, and every run would make one more; nothing is made.
    """
    remote = tiktok.speak()

    assert remote.prepare("a" * 70)
    with pytest.raises(DefinitionError, match="71 characters\n  do: give the list a name of at most 70"):
        remote.prepare("a" * 71)
    assert len(tiktok.sent("POST")) == 1


def test_an_audience_that_is_gone_is_an_error(tiktok):
    """
    It is looked for once a run, before anybody is put into it, and never made anew.
    """
    remote = tiktok.speak()
    where = remote.prepare("Detractors")
    remote.upsert(where, told(ADA))
    remote.remove(where, told(ADA))

    with pytest.raises(DeliveryError, match=r"(?s)no TikTok audience 9 any more.*`audiences forget`"):
        remote.upsert("9", told(ZOE))
    assert len(tiktok.sent("GET", "/open_api/v1.3/dmp/custom_audience/get/")) == 2
    assert len(tiktok.sent("POST", MAPPING)) == 2


def test_a_field_that_tiktok_does_not_know_is_named(tiktok):
    """
    What is no identifier of TikTok's cannot be sent, and the error says what can.
    """
    with pytest.raises(DefinitionError, match=r"(?s)knows nothing called 'nps'.*email, phone, idfa, aaid"):
        tiktok.speak(send=["email", "nps"])


def test_the_section_in_the_manual_is_valid(tmp_path):
    """
    The sample of the docstring can be read as it stands.
    """
    [audience] = documented("tiktok_ads", tmp_path).audiences

    assert audience.syncs[0].list == "NPS detractors"
