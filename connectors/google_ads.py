"""Google Ads: a list is a Customer Match user list, filled with hashes by the Data Manager API; 10,000 an upload.

Set-up: in the Google Cloud console, a project with the Data Manager API enabled, a service account in it and a JSON
key: GOOGLE_ADS_CLIENT_EMAIL and GOOGLE_ADS_PRIVATE_KEY (on one line, as in the file) are two of its entries. In Google
Ads, under Admin > Access and security, that address has to be a user who may edit. GOOGLE_ADS_ACCOUNT_ID is the number
of the account with the list; where the address is a user of its manager, GOOGLE_ADS_LOGIN_ACCOUNT_ID is that one's.

    [sync.google_ads]
    list = "NPS promoters"
    send = { email = "email", phone = "mobile", ad_user_data = "may_send", ad_personalization = "may_target" }
    region = "DE"          # of phone numbers written without a country
    terms = "accepted"     # you have accepted https://support.google.com/adspolicy/answer/6299717

Sent are `email`, `phone`, and addresses of `first_name`, `last_name`, `country` and `postal_code`: country and postcode
travel plain, as Google asks, all else is hashed. Whoever has not granted both `ad_user_data` and `ad_personalization`
is not sent, and removed if there: columns in `send`, or options with the word "granted" where everyone has.

A list is found by its exact name among the account's own, or made; nobody is sent to one that is closed or for other
ids. It keeps people for `days` (540 at most) after they were last sent; one that is there already must keep them as
long. It needs 100 active people, by a third party's report, shows its size later, and cannot be read back.
Google works through an upload for minutes or hours; each run asks. Whom it fails it names by place, or only counts:
these are told as a number, and of a removal all are removed again. `--replace` removes whom no upload has told since;
whether that went well is not asked. Not confirmed: that places count from 0. Not documented: how long an upload is
remembered; one that is forgotten is sent again. Nothing was tried on a live account.
https://developers.google.com/data-manager/api/devguides/limits, …/diagnostics, …/concepts/understand-errors,
…/quickstart/send-audience-members, https://developers.google.com/data-manager/api/reference/rest (read 2026-11)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote
from zlib import crc32

import httpx
from pydantic import AfterValidator, Field, SecretStr

from audiences import (
    BatchRefused,
    DefinitionError,
    DeliveryError,
    Hashed,
    Kind,
    Limits,
    Member,
    Proof,
    Receipt,
    ServiceAccount,
)
from audiences.normal import COUNTRY_GOOGLE, GMAIL_EMAIL, NAME_GOOGLE, PHONE_PLUS, POSTCODE_GOOGLE

Entry = tuple[str, tuple[str, ...]]  # of an upload: its kind and its values
Number = Annotated[str, Field(pattern=r"^[\d-]+$"), AfterValidator(lambda number: number.replace("-", ""))]

TOKEN, SCOPE = "https://oauth2.googleapis.com/token", "https://www.googleapis.com/auth/datamanager"
PATH, PAGE, DAY = "accountTypes/GOOGLE_ADS/accounts/", 1000, 86_400  # lists; seconds
ADDRESS = {"first_name": "givenName", "last_name": "familyName", "country": "regionCode", "postal_code": "postalCode"}
NAMES = {"email": "emailAddress", "phone": "phoneNumber", "address": "address"}
CONSENT = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
REASON = re.compile(r'"reason":\s*"(\w+)"')
POLICY = "https://support.google.com/adspolicy/answer/6299717"
LIST = "look at the list in Google Ads, Audience manager: it has to be open, and made for customers' contacts"
REMEDIES = {
    "TERMS_AND_CONDITIONS_NOT_SIGNED": f"accept the terms for Customer Match in Google Ads, Audience manager: {POLICY}",
    "ADVERTISER_NOT_ALLOWLISTED_FOR_UPLOADED_DATA": f"see what Google asks of an account for Customer Match: {POLICY}",
    "INVALID_DESTINATION": "check GOOGLE_ADS_ACCOUNT_ID and GOOGLE_ADS_LOGIN_ACCOUNT_ID",
    **dict.fromkeys(("INVALID_USER_LIST_ID", "INVALID_USER_LIST_TYPE", "NOT_FOUND"), LIST),
}
ACCESS = "add the service account in Google Ads, Admin > Access and security, and enable the Data Manager API for it"
OVER = {"SUCCESS", "PARTIAL_SUCCESS", "FAILED", "FAILURE"}  # the last in the guide, where the reference has FAILED


class GoogleAds(Hashed):
    kinds: ClassVar[Mapping[str, Kind]] = {
        "email": Kind(("email",), (GMAIL_EMAIL,)),
        "phone": Kind(("phone",), (PHONE_PLUS,)),
        "address": Kind(tuple(ADDRESS), (NAME_GOOGLE, NAME_GOOGLE, COUNTRY_GOOGLE, POSTCODE_GOOGLE)),
    }
    consents = frozenset({"ad_user_data", "ad_personalization"})
    limits = Limits(batch=10_000, concurrency=2, windows=((300, 60),))
    proof = Proof.SPECIFICATION
    judged_within = timedelta(hours=24)
    fewest = 100

    class Settings(Hashed.Settings):
        client_email: str
        private_key: SecretStr
        account_id: Number
        login_account_id: Number | None = None

    class Options(Hashed.Options):
        terms: Literal["accepted"] = Field(description="that you have accepted Google's for Customer Match")
        days: int = Field(540, ge=1, le=540, description="how long the list keeps someone who is not sent again")
        ad_user_data: Literal["granted"] | None = None
        ad_personalization: Literal["granted"] | None = None

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        self.lists = f"/{PATH}{self.settings.account_id}/userLists"

    @classmethod
    def lasts(cls, options: Any) -> timedelta:
        return timedelta(days=options.days)

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key = settings.private_key.get_secret_value().strip()
        auth = ServiceAccount(TOKEN, issuer=settings.client_email.strip(), private_key=key, scope=SCOPE)
        headers = {"login-account": f"{PATH}{settings.login_account_id}"} if settings.login_account_id else {}
        return {"base_url": "https://datamanager.googleapis.com/v1", "auth": auth, "headers": headers}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """A 429 names the limit that was reached, of a minute or of a day, and not when it is over."""
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return math.inf if "PerDay" in answer.text else 60.0
        return None

    def check(self) -> None:
        answer = self.http.get(self.lists, params={"pageSize": 1}, extensions={"expect": {403}})
        if not answer.is_success:
            raise DeliveryError(f"Google refuses the service account: {', '.join(_reasons(answer))}", do=ACCESS)

    def prepare(self, name: str) -> str:
        return self.found_or_made("Google Ads user list", name, self._named, self._make)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        if list_id not in self.checked:
            self._check(list_id)
        agreed = {"customerMatchTermsOfServiceStatus": "ACCEPTED"}
        return self._upload(list_id, "ingest", members, {"consent": CONSENT, "termsOfService": agreed})

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        return self._upload(list_id, "remove", members, {})

    def replaced(self, list_id: str, began: datetime) -> None:
        before = began - timedelta(minutes=5)  # by a clock that may be wrong
        told = {"destinations": [self._place(list_id)], "removeAsOfTime": before.strftime("%Y-%m-%dT%H:%M:%SZ")}
        self.http.post("/audienceMembers:removeAll", json=told)

    def outcome(self, ticket: str, members: Sequence[Member]) -> Receipt | None:
        request, _, mark = ticket.partition(" ")
        expect = {"expect": {400, 404}}
        answer = self.http.get("/requestStatus:retrieve", params={"requestId": request}, extensions=expect)
        if not answer.is_success:
            return Receipt.of(members, {member.key: "Google has forgotten this upload" for member in members})
        said: Mapping[str, Any] = next(iter(answer.json().get("requestStatusPerDestination", ())), {})
        if (status := said.get("requestStatus")) not in OVER:
            return None
        if status == "SUCCESS":
            return Receipt.of(members)
        errors = said.get("errorInfo", {}).get("errorCounts", ())
        entries, _ = self._entries(members)
        places = {place: _why(each) for each in errors for place in each.get("recordIndices", ())}
        if _mark(entries) != mark or not all(0 <= place < len(entries) for place in places):
            places = {}  # of an upload of others, or counted otherwise: nobody is named
        lost = sum(int(each.get("recordCount", 0)) for each in errors) - len(places)
        if status != "PARTIAL_SUCCESS" or (lost > 0 and "audienceMembersRemovalStatus" in said):
            why = ", ".join(sorted({*map(_why, errors)})) or "Google says no reason"
            return Receipt.of(members, {member.key: why for member in members})
        refused = {key: places[n] for n, keys in enumerate(entries.values()) if n in places for key in keys}
        return Receipt.of(members, refused, unnamed=max(0, lost))

    def _upload(self, list_id: str, what: str, members: Sequence[Member], more: Mapping[str, Any]) -> Receipt:
        entries, refused = self._entries(members)
        if not entries:
            return Receipt.of(members, refused)
        people = [{"userData": {"userIdentifiers": [_identifier(*each)]}} for each in entries]
        body = {"destinations": [self._place(list_id)], "audienceMembers": people, "encoding": "HEX", **more}
        answer = self.http.post(f"/audienceMembers:{what}", json=body, extensions={"expect": {400, 404}})
        if not answer.is_success:
            raise _refusal(answer)
        return Receipt.of(members, refused, ticket=f"{answer.json()['requestId']} {_mark(entries)}")

    def _place(self, list_id: str) -> Mapping[str, Any]:
        numbers = {"operatingAccount": self.settings.account_id, "loginAccount": self.settings.login_account_id}
        accounts = {name: {"accountType": "GOOGLE_ADS", "accountId": each} for name, each in numbers.items() if each}
        return {**accounts, "productDestinationId": list_id}

    def _entries(self, members: Sequence[Member]) -> tuple[dict[Entry, list[str]], dict[str, str]]:
        """What an upload tells, each once and in an order that is always the same, with the keys; and who has none."""
        found, refused = self.identified(members)
        entries: dict[Entry, list[str]] = {}
        for each in sorted(found, key=lambda each: (each.kind, each.values)):
            entries.setdefault((each.kind, each.values), []).append(each.member.key)
        return entries, refused

    def _check(self, list_id: str) -> None:
        """Look once at the list: whether it is there, takes people in, and keeps them as long as the sync says."""
        answer = self.http.get(f"{self.lists}/{quote(list_id, safe='')}", extensions={"expect": {403, 404}})
        if not answer.is_success:
            do = "check list_id and GOOGLE_ADS_ACCOUNT_ID; a deleted list is made anew after `audiences forget`"
            raise DeliveryError(f"the Google Ads user list {list_id} is gone, or out of reach", do=do)
        said = answer.json()
        takes = said.get("ingestedUserListInfo", {}).get("uploadKeyTypes", ())
        if said.get("membershipStatus") == "CLOSED" or "CONTACT_ID" not in takes:
            raise DefinitionError(f"the Google Ads user list {said['displayName']!r} takes nobody in", do=LIST)
        if 0 < (days := int(said.get("membershipDuration", "0s").removesuffix("s")) // DAY) < self.options.days:
            do = f"write days = {days}, or lengthen it in Google Ads, Audience manager"
            raise DefinitionError(f"the list keeps its people {days} days, and not {self.options.days}", do=do)
        self.checked.add(list_id)

    def _named(self, name: str) -> list[str]:
        """The ids of the account's own lists with exactly this name, the oldest first."""
        # How a filter writes a quote is not documented: then all are read.
        narrowed = {} if {'"', "\\"} & {*name} else {"filter": f'display_name = "{name}"'}
        asked: dict[str, Any] = {"pageSize": PAGE, **narrowed}
        found: list[Mapping[str, Any]] = []
        while True:
            page = self.http.get(self.lists, params=asked).json()
            own = (each for each in page.get("userLists", ()) if each.get("accessReason", "OWNED") == "OWNED")
            found += [each for each in own if each["displayName"] == name]
            if not (after := page.get("nextPageToken")):
                return sorted((str(each["id"]) for each in found), key=int)
            asked["pageToken"] = after

    def _make(self, name: str) -> object:
        takes = {"uploadKeyTypes": ["CONTACT_ID"], "contactIdInfo": {"dataSourceType": "DATA_SOURCE_TYPE_FIRST_PARTY"}}
        kept = {"membershipDuration": f"{self.options.days * DAY}s", "ingestedUserListInfo": takes}
        return self.http.post(self.lists, json={"displayName": name, **kept}, extensions={"creates": True}).json()["id"]


def _identifier(kind: str, values: tuple[str, ...]) -> Mapping[str, Any]:
    return {NAMES[kind]: dict(zip(ADDRESS.values(), values, strict=True)) if kind == "address" else values[0]}


def _mark(entries: Iterable[Entry]) -> str:  # tells one upload from another
    return f"{crc32(repr([*entries]).encode()):08x}"


def _why(error: Mapping[str, Any]) -> str:
    return str(error.get("reason", "an error without a reason")).removeprefix("PROCESSING_ERROR_REASON_")


def _refusal(answer: httpx.Response) -> Exception:
    """What to raise for an upload that was turned down: the account's or the list's fault, or that of some entry."""
    reasons = _reasons(answer)
    if known := [each for each in reasons if each in REMEDIES]:
        return DeliveryError(f"Google takes no upload for this list: {known[0]}", do=REMEDIES[known[0]])
    return BatchRefused(", ".join(reasons) or "Google says no reason")


def _reasons(answer: httpx.Response) -> list[str]:
    return sorted({*REASON.findall(answer.text)} - {"INVALID_ARGUMENT"})
