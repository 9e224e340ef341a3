"""The connector `linkedin_ads`: people and companies, the answer to each entry, and segments that take their time."""

from __future__ import annotations

import json
from hashlib import sha256

import httpx
import pytest

from audiences import Member
from audiences.errors import Deferred, DefinitionError, DeliveryError
from dialogue import ADA, ZOE, documented, first, fixtures, told

USERS, COMPANIES = "/rest/dmpSegments/10800/users", "/rest/dmpSegments/10800/companies"
DEVICE = "38400000-8cf0-11bd-b23e-10b96e40000d"

dialogue, far, speak = fixtures("linkedin_ads")


def email(address):
    return {"userIds": [{"idType": "SHA256_EMAIL", "idValue": sha256(address.encode()).hexdigest()}]}


def test_people_are_entries_of_one_identifier_each(dialogue, far, speak):
    """
    An address is hashed, a device's id is sent as it is, and both go in one call.
    """
    remote = speak(send=("email", "madid"))
    people = [Member("1", {"email": ADA}), Member("2", {"madid": DEVICE})]

    receipt = remote.upsert(remote.prepare(far.list), people)

    device = {"userIds": [{"idType": "GOOGLE_AID", "idValue": DEVICE}]}
    entries = [{"action": "ADD", **each} for each in (email(ADA), device)]
    assert dialogue.sent("POST", USERS) == [{"elements": entries}]
    assert receipt.accepted == {"1", "2"}


def test_an_identifier_that_is_sent_no_more_can_leave(dialogue, far, speak):
    """
    A sync that has stopped to send devices takes those off that it has sent before.
    """
    remote = speak()

    assert remote.remove(remote.prepare(far.list), [Member("2", {"madid": DEVICE})]).accepted == {"2"}
    device = {"userIds": [{"idType": "GOOGLE_AID", "idValue": DEVICE}]}
    assert dialogue.sent("POST", USERS) == [{"elements": [{"action": "REMOVE", **device}]}]


def test_companies_are_known_by_domain_and_number(dialogue, far, speak):
    """
    In the plain, each an entry of its own, in a segment of companies.
    """
    remote = speak(send=("domain", "organization_id"), object="company")
    known = [Member("1", {"domain": "acme.example.com"}), Member("2", {"organization_id": "1337"})]

    remote.upsert(remote.prepare(far.list), known)
    remote.remove(remote.prepare(far.list), known[:1])

    domain, number = {"companyWebsiteDomain": "acme.example.com"}, {"organizationUrn": "urn:li:organization:1337"}
    added = [{"action": "ADD", **each} for each in (domain, number)]
    assert dialogue.sent("POST", COMPANIES) == [{"elements": added}, {"elements": [{"action": "REMOVE", **domain}]}]
    assert far.segments["10800"]["type"] == "COMPANY"


@pytest.mark.parametrize(
    ("send", "options", "words"),
    [
        (("email",), {"object": "company"}, r"email(?s:.*)take it out of send"),
        (("domain",), {}, r'domain(?s:.*)write object = "company"'),
        (("email", "domain"), {}, r'domain(?s:.*)write object = "company"'),
    ],
)
def test_people_and_companies_are_not_mixed(dialogue, speak, send, options, words):
    """
    A segment is of one sort; a sync that sends the other's identifiers is told so before any call.
    """
    with pytest.raises(DefinitionError, match=words):
        speak(send=send, **options)
    assert not dialogue.calls


def test_a_segment_of_the_other_sort_is_an_error(far, speak):
    """
    Companies are not sent to a segment of people.
    """
    listed = far.has(name="NPS")

    with pytest.raises(DefinitionError, match="of the type USER"):
        speak(send=("domain",), object="company").upsert(listed, [Member("1", {"domain": "acme.example.com"})])


def test_each_entry_has_its_own_fate(far, speak):
    """
    Whom LinkedIn turns away is refused in its words, without the others, and so is whoever has no value to send.
    """
    far.refuses[json.dumps(email(ZOE))] = "Unwanted"
    remote = speak()

    receipt = remote.upsert(remote.prepare(far.list), told("nowhere", ZOE, ADA))

    assert receipt.accepted == {ADA}
    assert receipt.rejected[ZOE] == "Unwanted"
    assert "no e-mail address" in receipt.rejected["nowhere"]


def test_an_entry_without_an_answer_is_refused(far, speak):
    """
    A batch whose answer is shorter than it: silence is not success.
    """
    said = {"elements": [{"status": 201}, {"status": 500}]}
    remote = speak(lambda request: httpx.Response(200, json=said) if request.url.path == USERS else None)

    receipt = remote.upsert(remote.prepare(far.list), told(ADA, ZOE, "bo@example.com"))

    assert receipt.accepted == {ADA}
    assert receipt.rejected == {
        ZOE: "LinkedIn answered 500",
        "bo@example.com": "LinkedIn's answer does not speak of this entry",
    }


def test_a_new_segment_is_waited_for(dialogue, far, speak):
    """
    The calls that fill it are tried again while LinkedIn does not find it, five seconds apart at least.
    """
    far.unready = 2
    remote = speak()

    receipt = remote.upsert(remote.prepare(far.list), told(ADA))

    assert receipt.accepted == {ADA}
    assert [(method, path) for method, path, _ in dialogue.calls][-3:] == [("POST", USERS)] * 3
    assert ("GET", "/rest/dmpSegments/10800") not in [call[:2] for call in dialogue.calls]
    assert dialogue.clock.now >= 10


def test_a_segment_that_is_gone_is_not_waited_for(dialogue, speak):
    """
    It is looked for once, before anybody is sent, and the way out is named.
    """
    for verb in ("upsert", "remove"):
        with pytest.raises(DeliveryError, match=r"10800 is gone(?s:.*)audiences forget"):
            getattr(speak(), verb)("10800", told(ADA))
    assert [method for method, _, _ in dialogue.calls] == ["GET", "GET"]
    assert dialogue.clock.now == 0


def test_a_segment_is_found_by_its_exact_name_on_any_page(dialogue, far, speak):
    """
    Among those of the app's own platform; another's, or one whose name differs in case, is another segment.
    """
    for n in range(99):
        far.has(name=f"other {n}")
    far.has(name="nps")
    far.has(name="NPS", sourcePlatform="LIST_UPLOAD")
    own = far.has(name="NPS")

    assert speak().prepare("NPS") == own
    assert len(dialogue.calls) == 2


def test_whoever_is_not_in_the_program_is_told_so(far, speak):
    """
    A 403 names the program, the right and the role.
    """
    far.allowed = False

    with pytest.raises(DeliveryError, match=r"Audiences program, with rw_dmp_segments(?s:.*)no viewer"):
        speak().check()


def test_a_quota_that_stays_used_up_ends_the_run(dialogue, far, speak):
    """
    A 429 tells nothing of its end: it is tried again after the minute that is counted; at last the sync is deferred.
    """
    speak(first(far.throttled(1))).prepare(far.list)

    assert dialogue.clock.now >= 60
    with pytest.raises(Deferred):
        speak(lambda request: far.throttled(1)).prepare(far.list)


def test_the_manuals_sample_is_one(tmp_path):
    """
    The section that the manual shows can be read as it stands.
    """
    found = documented("linkedin_ads", tmp_path)

    assert not found.errors
    assert found.bindings["team.linkedin_ads"].identity.keys() == {"email", "madid"}
