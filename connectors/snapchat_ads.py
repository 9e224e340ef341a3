"""Snapchat: a list is an audience segment of the kind customer list; 10,000 identifiers of one sort a call.

Set-up: in Snap's Business Manager, an OAuth app (Business Details > OAuth Apps): SNAPCHAT_ADS_CLIENT_ID and
SNAPCHAT_ADS_CLIENT_SECRET. Someone with the role Data Manager in the ad account signs in to it once, with the scope
snapchat-marketing-api: SNAPCHAT_ADS_REFRESH_TOKEN. SNAPCHAT_ADS_AD_ACCOUNT_ID is the account's id.

    [sync.snapchat_ads]
    list = "NPS detractors"
    send = ["email", "phone"]
    region = "DE"                # of phone numbers without a country's code

The segment is found by its exact name, or made; one that is deleted is not made anew. `retention_in_days` is how long a
segment keeps who was not sent again, 9999 for ever: where it is less, members are sent again in time. A segment that is
there already has to have the same. Identifiers are email, phone and madid (a mobile ad id), each sent by itself and
hashed; each sort is a call. To be in a segment is no consent. Removal takes an identifier out of this segment, and out
of no other.

Snapchat counts what it took of a call and names nobody; so does the run. Nobody can read a segment back. Below 1,000
people whom Snapchat knows it is TOO_FEW_USERS, and cannot be used.
Pace: 10 calls a second for a token; a 429 comes without a time.
Not documented: how soon a segment is of use, and the largest body of a call, of which 1 MB is what others keep to.
Not confirmed: that a segment nobody uses expires after 13 months, and whether who is there already is counted again.
Nothing was tried on a live account.
https://developers.snap.com/api/marketing-api/Ads-API/customer-lists, …/authentication, …/rate-limits (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import quote

import httpx
from pydantic import Field, SecretStr

from audiences import (
    DefinitionError,
    DeliveryError,
    Hashed,
    Kind,
    Limits,
    Member,
    Proof,
    Receipt,
    RefreshToken,
    normal,
)

SCHEMA = {"email": "EMAIL_SHA256", "phone": "PHONE_SHA256", "madid": "MOBILE_AD_ID_SHA256"}
FOR_EVER = 9_999  # days
SIGN_IN = "https://accounts.snapchat.com/login/oauth2/access_token"


class SnapchatAds(Hashed):
    kinds: ClassVar[Mapping[str, Kind]] = {
        "email": Kind(("email",), (normal.EMAIL,)),
        "phone": Kind(("phone",), (normal.PHONE_DIGITS,)),
        "madid": Kind(("madid",), (normal.MADID_HASHED,)),
    }
    fewest = 1_000
    limits = Limits(batch=10_000, concurrency=3, per_second=10, bytes=1_000_000)
    proof = Proof.DOCUMENTATION

    class Settings(Hashed.Settings):
        client_id: str
        client_secret: SecretStr
        refresh_token: SecretStr
        ad_account_id: str

    class Options(Hashed.Options):
        retention_in_days: int = Field(
            FOR_EVER, ge=1, le=FOR_EVER, description="how long the segment keeps who is not sent again; 9999 for ever"
        )

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        self.account = self.settings.ad_account_id.strip()

    @classmethod
    def lasts(cls, options: Any) -> timedelta | None:
        return timedelta(days=options.retention_in_days) if options.retention_in_days < FOR_EVER else None

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key, token = (each.get_secret_value().strip() for each in (settings.client_secret, settings.refresh_token))
        client = {"client_id": settings.client_id.strip(), "client_secret": key, "client_auth": "body"}
        auth = RefreshToken(SIGN_IN, refresh_token=token, **client)
        return {"base_url": "https://adsapi.snapchat.com/v1", "auth": auth}

    @classmethod
    def means(cls, answer: httpx.Response) -> int:
        """A part that failed makes an answer of 200 a failure."""
        with suppress(ValueError, AttributeError, KeyError, TypeError):
            parts = [part for each in answer.json().values() if isinstance(each, list) for part in each]
            if answer.is_success and any(part["sub_request_status"].upper() != "SUCCESS" for part in parts):
                return 400
        return answer.status_code

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        return 1.0 if answer.status_code == 429 else None

    def check(self) -> None:
        self.http.get(f"/adaccounts/{quote(self.account, safe='')}")

    def prepare(self, name: str) -> str:
        return self.found_or_made("Snapchat segment", name, self._named, self._make)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        rejected, lost = self._tell("POST", list_id, members)
        return Receipt.of(members, rejected, unnamed=lost)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        rejected, _ = self._tell("DELETE", list_id, members)
        return Receipt.of(members, rejected)

    def _tell(self, method: str, list_id: str, members: Sequence[Member]) -> tuple[Mapping[str, str], int]:
        """Change a segment, by a call for each sort. key -> why it has no identifier; how many Snapchat left out."""
        self._check(list_id)
        found, rejected = self.identified(members)
        lost = 0
        for kind, schema in SCHEMA.items():
            if rows := [[each.values[0]] for each in found if each.kind == kind]:
                body = {"users": [{"schema": [schema], "data": rows}]}
                said = self.http.request(method, f"{_path(list_id)}/users", json=body).json()
                lost += len(rows) - int(said["users"][0]["user"]["number_uploaded_users"])
        return rejected, max(lost, 0)

    def _check(self, list_id: str) -> None:
        """Look once whether a segment is there, and is as the sync says."""
        if list_id in self.checked:
            return
        answer = self.http.get(_path(list_id), extensions={"expect": {404}})
        found = [each["segment"] for each in answer.json()["segments"]] if answer.is_success else []
        if not found:
            do = (
                "check list_id, and what whoever signed in may see; a deleted one is made anew after `audiences forget`"
            )
            raise DeliveryError(f"there is no Snapchat segment {list_id} any more", do=do)
        self.checked.add(self._fit(found[0]))

    def _fit(self, segment: Mapping[str, Any]) -> str:
        """The id of a segment. Raises DefinitionError where it is not as the sync says."""
        if segment["source_type"] != "FIRST_PARTY":
            do = "give the list another name: people are added to customer lists alone"
            raise DefinitionError(f"{segment['name']!r} is a segment that Snapchat fills by itself", do=do)
        if (days := int(segment["retention_in_days"])) != self.options.retention_in_days:
            raise DefinitionError(
                f"the segment {segment['name']!r} keeps who is not sent again for {days} days",
                do=f"write retention_in_days = {days}",
            )
        return str(segment["id"])

    def _named(self, name: str) -> list[str]:
        """The ids of the segments with exactly this name, the first in the alphabet first."""
        return sorted(self._fit(each) for each in self._segments() if each["name"] == name)

    def _make(self, name: str) -> object:
        wanted = {"name": name, "source_type": "FIRST_PARTY", "ad_account_id": self.account}
        wanted |= {"description": name, "retention_in_days": self.options.retention_in_days}
        made = self.http.post(self._all, json={"segments": [wanted]}, extensions={"creates": True})
        return made.json()["segments"][0]["segment"]["id"]

    def _segments(self) -> Iterator[Mapping[str, Any]]:
        """Every segment of the ad account, page by page."""
        asked: Mapping[str, str] | None = {}
        while asked is not None:
            page = self.http.get(self._all, params=asked).json()
            yield from (each["segment"] for each in page["segments"])
            after = page.get("paging", {}).get("next_link")
            asked = dict(httpx.URL(after).params) if after else None

    @property
    def _all(self) -> str:
        return f"/adaccounts/{quote(self.account, safe='')}/segments"


def _path(list_id: str) -> str:
    return f"/segments/{quote(list_id, safe='')}"
