"""LinkedIn Ads: a list is a DMP segment of hashed addresses, or of companies; 5,000 identifiers a call.

Set-up: LinkedIn's Audiences program is closed: an app is let in on request, with the right rw_dmp_segments, and is told
its source platform, LINKEDIN_ADS_PLATFORM. LINKEDIN_ADS_CLIENT_ID and LINKEDIN_ADS_CLIENT_SECRET are the app's;
LINKEDIN_ADS_REFRESH_TOKEN is of a member with a role other than viewer in the ad account LINKEDIN_ADS_ACCOUNT_ID, and
lasts a year: then the member signs in anew.

    [sync.linkedin_ads]
    list = "NPS promoters"
    send = ["email", "madid"]

People go by `email`, which is hashed, and by `madid` (Google's advertising id, plain); each is an entry of its own.
With `object = "company"` the segment is of companies, by `domain` (of their website) and `organization_id` (the number
in urn:li:organization:1337), both plain. A segment of the other sort is an error.

A segment is found by its exact name among those of the platform in the account, or made, private to the account. A new
one takes nobody in for seconds, by one source for minutes: until then its calls are tried again, and what is left over
is for the next run. Removal of an identifier that is not there is accepted, as LinkedIn documents it, and nobody else's
are touched. Each entry has an answer of its own, and whoever has none is refused.
A segment needs 300 matched members; how long it takes until it can be used is not documented for this way, for uploads
of lists it is up to 48 hours. It cannot be read back. LinkedIn archives segments that no campaign uses, after a time
that is not documented. Calls: 300 a minute, as documented for companies (600 for people), and a daily quota that only
the developer portal shows; an answer says neither. Not confirmed: blanks around an address, which are taken off.
Nothing was tried on a live account.
https://learn.microsoft.com/linkedin/marketing/matched-audiences/ (create-and-manage-segments,
create-and-manage-segment-users, create-and-manage-segment-companies), https://pypi.org/project/linkedin-api-client,
https://learn.microsoft.com/linkedin/shared/authentication/programmatic-refresh-tokens (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

import httpx
from pydantic import Field, SecretStr

from audiences import (
    DefinitionError,
    DeliveryError,
    Hashed,
    Identified,
    Kind,
    Limits,
    Member,
    Proof,
    Receipt,
    RefreshToken,
)
from audiences.normal import DOMAIN, EMAIL, MADID, ORGANIZATION

VERSION = "202608"  # https://learn.microsoft.com/linkedin/marketing/versioning
PAGE = 100
TYPES = {"person": "USER", "company": "COMPANY"}
EDGES = {"person": "users", "company": "companies"}
IDS = {"email": "SHA256_EMAIL", "madid": "GOOGLE_AID"}
COMPANIES = {"domain", "organization_id"}
SETTLING = (
    5.0  # seconds; https://learn.microsoft.com/linkedin/marketing/matched-audiences/create-and-manage-segment-users
)
UNANSWERED = "LinkedIn's answer does not speak of this entry"
ACCESS = "ask LinkedIn to let the app into its Audiences program, with rw_dmp_segments; the member must be no viewer"


class LinkedinAds(Hashed):
    kinds: ClassVar[Mapping[str, Kind]] = {
        "email": Kind(("email",), (EMAIL,)),
        "madid": Kind(("madid",), (MADID,)),
        "domain": Kind(("domain",), (DOMAIN,)),
        "organization_id": Kind(("organization_id",), (ORGANIZATION,)),
    }
    limits = Limits(batch=5000, windows=((300, 60),))
    proof = Proof.SDK
    fewest = 300

    class Settings(Hashed.Settings):
        client_id: str
        client_secret: SecretStr
        refresh_token: SecretStr
        account_id: Annotated[str, Field(pattern=r"^\d+$")]
        platform: str

    class Options(Hashed.Options):
        object: Literal["person", "company"] = "person"

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        self.account = f"urn:li:sponsoredAccount:{self.settings.account_id}"

    @classmethod
    def sent_kinds(cls, options: Any, send: Sequence[str]) -> Mapping[str, Kind]:
        found = super().sent_kinds(options, send)
        if strange := [name for name in found if (name in COMPANIES) is not (options.object == "company")]:
            do = 'write object = "company"' if strange[0] in COMPANIES else "take it out of send"
            raise DefinitionError(f"{strange[0]} is not by what a segment of this object knows anyone", do=do)
        return found

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key, token = (each.get_secret_value().strip() for each in (settings.client_secret, settings.refresh_token))
        how: dict[str, Any] = {"client_id": settings.client_id.strip(), "client_secret": key, "client_auth": "body"}
        auth = RefreshToken("https://www.linkedin.com/oauth/v2/accessToken", refresh_token=token, **how)
        headers = {"linkedin-version": VERSION, "x-restli-protocol-version": "2.0.0"}
        return {"base_url": "https://api.linkedin.com/rest", "auth": auth, "headers": headers}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """No answer says when. A segment that has just been made is not found yet by a call that fills it.

        Where the segment itself is asked for, 404 is read, and not waited for.
        """
        waits: dict[int, float] = {404: SETTLING, 409: SETTLING, 429: 60.0}
        return waits.get(answer.status_code)

    def check(self) -> None:
        asked: dict[str, Any] = {"q": "account", "account": self.account, "count": 1}
        answer = self.http.get("/dmpSegments", params=asked, extensions={"expect": {403}})
        if not answer.is_success:
            raise DeliveryError("LinkedIn refuses the app or the member its segments", do=ACCESS)

    def prepare(self, name: str) -> str:
        return self.found_or_made("LinkedIn DMP segment", name, self._named, self._make)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        return self._tell(list_id, "ADD", members)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        return self._tell(list_id, "REMOVE", members)

    def _tell(self, list_id: str, action: str, members: Sequence[Member]) -> Receipt:
        if list_id not in self.checked:
            self._check(list_id)
        found, refused = self.identified(members)
        if not found:
            return Receipt.of(members, refused)
        elements = [{"action": action, **_entry(each)} for each in found]
        path, batch = f"{_path(list_id)}/{EDGES[self.options.object]}", {"x-restli-method": "BATCH_CREATE"}
        said = self.http.post(path, json={"elements": elements}, headers=batch).json()["elements"]
        for each, answer in zip(found, [*said, *[None] * len(found)], strict=False):
            if why := _why(answer):
                refused[each.member.key] = why
        return Receipt.of(members, refused)

    def _check(self, list_id: str) -> None:
        """Look once at the segment: a call that fills one which is gone would be taken for one that is too early."""
        answer = self.http.get(_path(list_id), extensions={"expect": {404}})
        if not answer.is_success:
            do = "check list_id and LINKEDIN_ADS_ACCOUNT_ID; a deleted segment is made anew after `audiences forget`"
            raise DeliveryError(f"the LinkedIn DMP segment {list_id} is gone", do=do)
        if (kind := answer.json()["type"]) != TYPES[self.options.object]:
            do = 'name another list, or write object = "company" for companies and nothing for people'
            raise DefinitionError(f"the LinkedIn DMP segment {list_id} is of the type {kind}", do=do)
        self.checked.add(list_id)

    def _named(self, name: str) -> list[str]:
        """The ids of the platform's segments with exactly this name, the oldest first."""
        asked: dict[str, Any] = {"q": "account", "account": self.account, "count": PAGE}
        asked["sourcePlatform"] = self.settings.platform
        found: list[str] = []
        for start in range(0, 10**9, PAGE):
            page = self.http.get("/dmpSegments", params={**asked, "start": start}).json()["elements"]
            found += [str(each["id"]) for each in page if each["name"] == name]
            if len(page) < PAGE:
                break
        return sorted(found, key=int)

    def _make(self, name: str) -> object:
        whose = {"account": self.account, "sourcePlatform": self.settings.platform, "accessPolicy": "PRIVATE"}
        kind = {"type": TYPES[self.options.object], "destinations": [{"destination": "LINKEDIN"}]}
        answer = self.http.post("/dmpSegments", json={"name": name, **whose, **kind}, extensions={"creates": True})
        self.checked.add(made := answer.headers["x-restli-id"])
        return made


def _path(list_id: str) -> str:
    return f"/dmpSegments/{quote(list_id, safe='')}"


def _entry(each: Identified) -> Mapping[str, Any]:
    [value] = each.values
    if each.kind in IDS:
        return {"userIds": [{"idType": IDS[each.kind], "idValue": value}]}
    return (
        {"companyWebsiteDomain": value}
        if each.kind == "domain"
        else {"organizationUrn": f"urn:li:organization:{value}"}
    )


def _why(answer: Mapping[str, Any] | None) -> str:
    """Why an entry was not taken; "" where it was."""
    if answer is None:
        return UNANSWERED
    if 200 <= int(answer["status"]) < 300:
        return ""
    return str((answer.get("error") or {}).get("message") or f"LinkedIn answered {answer['status']}")
