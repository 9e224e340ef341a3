"""The connector `google_ads`: what an upload tells, whom Google failed, its lists and its limits."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import httpx
import pytest

from audiences import BatchRefused, Member
from audiences.errors import Deferred, DefinitionError, DeliveryError
from dialogue import ADA, SHOWN, ZOE, documented, fixtures, told
from world import HEADER, World

INGEST, REMOVE = "/v1/audienceMembers:ingest", "/v1/audienceMembers:remove"
LISTS = "/v1/accountTypes/GOOGLE_ADS/accounts/1234567890/userLists"
AGREED = {"terms": "accepted", "ad_user_data": "granted", "ad_personalization": "granted"}
EVERYTHING = ("email", "phone", "first_name", "last_name", "country", "postal_code")

SECTION = """-- [sync.google_ads]
-- list = "NPS / détracteurs (2026), all"
-- send = { email = "email", phone = "phone", ad_user_data = "may", ad_personalization = "may" }
-- region = "DE"
-- terms = "accepted\""""

dialogue, far, speak = fixtures("google_ads", **AGREED)


def hashed(text):
    return sha256(text.encode()).hexdigest()


def held(address):
    """An address as the sandbox keeps it."""
    return json.dumps({"emailAddress": hashed(address)})


def turned_down(reason):
    """A `before`: uploads are turned down in the words of the quickstart."""
    place = {"field": "audience_members.audience_members[0]", "reason": reason}
    details = [{"reason": "INVALID_ARGUMENT"}, {"fieldViolations": [place]}]
    said = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": details}}
    return lambda request: httpx.Response(400, json=said) if request.url.path == INGEST else None


def judged(speak, receipt, members):
    """What the next run is told, by a connector that knows the ticket alone."""
    return speak().outcome(receipt.ticket, [each for each in members if each.key in receipt.accepted])


def test_an_upload_is_as_documented(dialogue, far, speak):
    """
    Each identifier is an entry of its own, in Google's form: hashed, but for country and postcode. With them go the
    list, both accounts, both consents and the terms.
    """
    remote = speak(send=EVERYTHING)
    people = [
        Member("1", {"email": "A.da+news@gmail.com"}),
        Member("2", {"phone": "+4930901820"}),
        Member("3", {"first_name": "zoë", "last_name": "o'neil", "country": "de", "postal_code": "10115"}),
    ]

    remote.upsert(remote.prepare(far.list), people)

    names = {"givenName": hashed("zoë"), "familyName": hashed("o'neil")}
    entries = [
        {"address": {**names, "regionCode": "DE", "postalCode": "10115"}},
        {"emailAddress": hashed("a.da+news@gmail.com".replace(".da+news", "da"))},
        {"phoneNumber": hashed("+4930901820")},
    ]
    number = {"operatingAccount": "1234567890", "loginAccount": "9876543210"}
    accounts = {name: {"accountType": "GOOGLE_ADS", "accountId": each} for name, each in number.items()}
    assert dialogue.sent("POST", INGEST) == [
        {
            "destinations": [{**accounts, "productDestinationId": "7000000"}],
            "audienceMembers": [{"userData": {"userIdentifiers": [each]}} for each in entries],
            "encoding": "HEX",
            "consent": {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"},
            "termsOfService": {"customerMatchTermsOfServiceStatus": "ACCEPTED"},
        }
    ]
    assert {each.headers["login-account"] for each in dialogue.requests if "datamanager" in each.url.host} == {
        "accountTypes/GOOGLE_ADS/accounts/9876543210"
    }


def test_a_number_with_dashes_is_the_same(far, speak):
    """
    Google Ads shows the numbers of accounts with dashes, and its API takes them without.
    """
    assert speak(settings={"GOOGLE_ADS_ACCOUNT_ID": "123-456-7890"}).prepare(far.list) in far.lists


def test_a_removal_speaks_of_no_consent(dialogue, far, speak):
    """
    A removal has neither consent nor terms, and needs none at Google.
    """
    remote = speak()
    listed = remote.prepare(far.list)
    far.signed = False

    remote.remove(listed, told(ADA))

    [body] = dialogue.sent("POST", REMOVE)
    assert body.keys() == {"destinations", "audienceMembers", "encoding"}


def test_an_identifier_that_is_sent_no_more_can_leave(dialogue, far, speak):
    """
    A sync that has stopped to send numbers takes those off that it has sent before.
    """
    remote, number = speak(), Member("1", {"phone": "+4930901820"})

    assert remote.remove(remote.prepare(far.list), [number]).accepted == {"1"}
    [body] = dialogue.sent("POST", REMOVE)
    assert body["audienceMembers"] == [{"userData": {"userIdentifiers": [{"phoneNumber": hashed("+4930901820")}]}}]


def test_an_identifier_of_two_members_is_told_once(dialogue, far, speak):
    """
    Two keys with one address are one entry of an upload, and share its fate.
    """
    far.fails[held(ADA)] = "INVALID_FORMAT"
    remote, people = speak(), [Member(key, {"email": ADA}) for key in "ab"] + told(ZOE)

    receipt = remote.upsert(remote.prepare(far.list), people)
    far.works()

    assert [len(body["audienceMembers"]) for body in dialogue.sent("POST", INGEST)] == [2]
    assert judged(speak, receipt, people).rejected == {"a": "INVALID_FORMAT", "b": "INVALID_FORMAT"}


def test_whom_google_names_by_place_is_refused(far, speak):
    """
    Of an upload that failed in part, those at the places that Google names, in whatever order they are asked for.
    """
    far.fails[held(ZOE)] = "DENIED_CONSENT"
    remote, people = speak(), told(ADA, ZOE, "nowhere")
    receipt = remote.upsert(remote.prepare(far.list), people)
    before = judged(speak, receipt, people)
    far.works()

    verdict = judged(speak, receipt, [*reversed(people)])

    assert before is None
    assert receipt.rejected.keys() == {"nowhere"}
    assert (verdict.accepted, verdict.rejected, verdict.unnamed) == ({ADA}, {ZOE: "DENIED_CONSENT"}, 0)


@pytest.mark.parametrize("lacking", ["places", "members"])
def test_whom_nobody_names_is_a_number(far, speak, lacking):
    """
    Where Google tells no places, or they are those of an upload of others, nobody is refused, and the number is told.
    """
    far.fails[held(ZOE)], far.places = "UNKNOWN_CONSENT", lacking != "places"
    remote, people = speak(), told(ADA, ZOE, "bo@example.com")
    receipt = remote.upsert(remote.prepare(far.list), people)
    far.works()

    verdict = judged(speak, receipt, people[:2] if lacking == "members" else people)

    assert not verdict.rejected
    assert verdict.unnamed == 1


def test_a_removal_that_fails_for_someone_is_made_again(far, speak):
    """
    Where Google does not say who is still on the list, all of them count as there.
    """
    far.fails[held(ZOE)], far.places = "INTERNAL_ERROR", False
    remote, people = speak(), told(ADA, ZOE)

    receipt = remote.remove(remote.prepare(far.list), people)
    far.works()

    assert judged(speak, receipt, people).rejected == {ADA: "INTERNAL_ERROR", ZOE: "INTERNAL_ERROR"}


def test_an_upload_that_is_over_for_all_refuses_all(far, speak):
    """
    One that failed, and one that Google has forgotten: everybody is refused, and sent again later.
    """
    far.fails = {held(ADA): "NO_CONSENT", held(ZOE): "INVALID_FORMAT"}
    remote, people = speak(), told(ADA, ZOE)
    receipt = remote.upsert(remote.prepare(far.list), people)
    far.works()
    failed = judged(speak, receipt, people)
    far.uploads.clear()

    assert failed.rejected == dict.fromkeys((ADA, ZOE), "INVALID_FORMAT, NO_CONSENT")
    assert judged(speak, receipt, people).rejected.keys() == {ADA, ZOE}


@pytest.mark.parametrize("status", ["REQUEST_STATUS_UNKNOWN", "QUEUED", None])
def test_only_over_is_over(far, speak, status):
    """
    A state that is none of the last ones, and an answer that speaks of no upload, is "not yet".
    """
    remote, people = speak(), told(ADA)
    receipt = remote.upsert(remote.prepare(far.list), people)
    said = {"requestStatusPerDestination": [{"requestStatus": status}] if status else []}
    asked = speak(lambda request: httpx.Response(200, json=said) if "retrieve" in request.url.path else None)

    assert asked.outcome(receipt.ticket, people) is None


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("TERMS_AND_CONDITIONS_NOT_SIGNED", "accept the terms for Customer Match"),
        ("INVALID_USER_LIST_TYPE", "made for customers' contacts"),
        ("INVALID_DESTINATION", "GOOGLE_ADS_LOGIN_ACCOUNT_ID"),
    ],
)
def test_what_is_the_accounts_fault_is_nobodys(far, speak, reason, words):
    """
    Terms that are not accepted, a list of another kind, a wrong account: nobody is refused, and it is said what to do.
    """
    remote = speak(turned_down(reason))

    with pytest.raises(DeliveryError, match=f"{reason}(?s:.*){words}"):
        remote.upsert(remote.prepare(far.list), told(ADA))


def test_a_bad_entry_has_the_upload_halved(far, speak):
    """
    An upload that Google turns down for one entry is a batch refused, so that the worker finds out whose it is.
    """
    remote = speak(turned_down("INVALID_SHA256_FORMAT"))

    with pytest.raises(BatchRefused) as refusal:
        remote.upsert(remote.prepare(far.list), told(ADA))
    assert refusal.value.reason == "INVALID_SHA256_FORMAT"


def test_a_list_is_found_on_any_page_by_its_exact_name(dialogue, far, speak):
    """
    Among the account's own; one that is only shared with it, or whose name differs in case, is another. With a quote in
    the name all are read.
    """
    far.page_size, name = 1, 'NPS "9"'
    takes = {"ingestedUserListInfo": {"uploadKeyTypes": ["CONTACT_ID"]}}
    far.has(displayName=name.lower(), **takes)
    far.has(displayName=name, **takes, accessReason="SHARED")
    own = far.has(displayName=name, **takes)

    assert speak().prepare(name) == own["id"]
    assert [path.partition("?")[2].count("pageToken") for _, path, _ in dialogue.calls] == [0, 1, 1]
    assert "filter" not in dialogue.calls[0][1]


def test_a_list_is_made_for_contacts_and_its_days(dialogue, far, speak):
    """
    A new list takes customers' contacts, and keeps them as long as the sync says.
    """
    made = speak(days=30).prepare("NPS")

    [body] = dialogue.sent("POST", LISTS)
    takes = {"uploadKeyTypes": ["CONTACT_ID"], "contactIdInfo": {"dataSourceType": "DATA_SOURCE_TYPE_FIRST_PARTY"}}
    assert body == {"displayName": "NPS", "membershipDuration": "2592000s", "ingestedUserListInfo": takes}
    assert made in far.lists


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"membershipStatus": "CLOSED"}, "takes nobody in(?s:.*)has to be open"),
        ({"ingestedUserListInfo": {"uploadKeyTypes": ["MOBILE_ID"]}}, "takes nobody in(?s:.*)customers' contacts"),
        ({"membershipDuration": "2592000s"}, "30 days, and not 540(?s:.*)write days = 30"),
    ],
)
def test_a_list_that_would_lose_people_is_an_error(far, speak, fields, words):
    """
    Closed, of another kind, or with a shorter memory than the sync reckons with: said before anybody is sent.
    """
    made = far.has(displayName="NPS", **{"ingestedUserListInfo": {"uploadKeyTypes": ["CONTACT_ID"]}} | fields)

    with pytest.raises(DefinitionError, match=words):
        speak().upsert(made["id"], told(ADA))
    assert not far.uploads


def test_a_list_that_is_gone_is_said_so(far, speak):
    """
    Google does not tell what is gone from what is out of reach; both ways out are named.
    """
    with pytest.raises(DeliveryError, match=r"gone, or out of reach(?s:.*)audiences forget"):
        speak().upsert("77", told(ADA))


def test_a_list_made_anew_loses_whom_nobody_sent(far, speak):
    """
    Whoever was added before the repair began goes, though not of the minutes by which a clock may be wrong.
    """
    remote, began = speak(), datetime.now(UTC)
    listed = remote.prepare(far.list)
    far.on = {(listed, "old"): began - timedelta(minutes=6), (listed, "new"): began - timedelta(minutes=4)}
    remote.upsert(listed, told(ADA))
    far.works()

    speak().replaced(listed, began.replace(tzinfo=None))

    assert far.on.keys() == {(listed, "new"), (listed, held(ADA))}


def test_days_are_how_long_someone_stays(dialogue):
    """
    The worker sends everyone again before the list forgets them, as long as the sync says that it remembers.
    """
    assert dialogue.cls.lasts(dialogue.cls.Options(**AGREED, days=30)) == timedelta(days=30)


def test_a_daily_limit_defers_the_sync(dialogue, speak):
    """
    A limit of a minute is waited for, that of a day ends the run.
    """
    limit = {"reason": "RATE_LIMIT_EXCEEDED", "metadata": {"quota_limit": "IngestionReadRequestsPerDayPerProject"}}
    full = httpx.Response(429, json={"error": {"details": [limit]}})

    with pytest.raises(Deferred):
        speak(lambda request: full).prepare("NPS")
    assert dialogue.cls.passes_in(full) == math.inf
    assert dialogue.cls.passes_in(dialogue.far.throttled(1)) == 60


def test_missing_rights_are_named(speak):
    """
    A service account that is no user of the account is told where to become one.
    """
    said = {"error": {"code": 403, "details": [{"reason": "PERMISSION_DENIED"}]}}

    with pytest.raises(DeliveryError, match=r"PERMISSION_DENIED(?s:.*)Access and security"):
        speak(lambda request: httpx.Response(403, json=said)).check()


def test_a_whole_sync_of_two_kinds_and_a_consent(dialogue, far, tmp_path):
    """
    Both identifiers of who has consented are uploaded, judged in the next run, and removed once the consent is gone.
    """
    world = World(tmp_path, "google_ads")
    dialogue.account()
    world.receiver = far
    world.define(text=HEADER.replace(SHOWN, SECTION).replace("id, email, nps from people", "* from crowd"))
    rows = "(1, 'A.da@gmail.com', '030 901820', true), (2, 'zoe@example.com', null, false)"
    world.sql(f"create table crowd as select * from (values {rows}) as t (id, email, phone, may)")

    first, _ = world.sync(), far.works()
    second, listed = world.sync(), set(far.on)
    world.sql("update crowd set may = false")
    _, _, gone = world.sync(force=True), far.works(), world.sync()

    assert [(each.pending, each.delivered) for each in (first, second, gone)] == [(2, 0), (0, 2), (0, 2)]
    assert {each for _, each in listed} == {
        json.dumps({"emailAddress": hashed("ada@gmail.com")}),
        json.dumps({"phoneNumber": hashed("+4930901820")}),
    }
    assert not far.on


def test_the_manuals_sample_is_one(tmp_path):
    """
    The section that the manual shows can be read as it stands.
    """
    found = documented("google_ads", tmp_path)

    assert not found.errors
    assert found.bindings["team.google_ads"].identity.keys() == {"email", "phone"}
