"""Pinterest ads: a list is a customer list, and the audience made of it, which ads are aimed at; 10,000 people a call.

Set-up: an app with standard access at developers.pinterest.com/apps: PINTEREST_ADS_CLIENT_ID (its App id) and
PINTEREST_ADS_CLIENT_SECRET. Sign in to it once with the scopes ads:read and ads:write, as its page on authentication
shows, and keep the refresh token: PINTEREST_ADS_REFRESH_TOKEN. It holds for 60 days and is renewed with each sign-in.
PINTEREST_ADS_AD_ACCOUNT_ID is the number in the address of Ads Manager; whoever signed in has to manage its audiences.

    [sync.pinterest_ads]
    list = "NPS detractors"
    send = { email = "email" }       # or { madid = "idfa_or_aaid" }, or another section for these

A customer list has one type: addresses, or ids of devices for ads. Both go as SHA-256 of their small letters, never as
they are; whether Pinterest knows Apple's ids, which have capitals, by these is not documented.
The list is found by its exact name, whatever its type, or made. Pinterest makes none without a record: it is made with
one that is nobody's, and whether Pinterest takes so short a list is not confirmed. The audience is made of it, by the
same name, at the end of the run that finds the list ready: with the 100 people whom Pinterest knows, its fewest.

Pinterest works through what it took in for hours, up to 48 until an audience's size is right. It names nobody whom it
does not take or know, and nobody can be read back: what it took in counts as delivered. A removal takes the identifier
off the list, nothing else; Pinterest's own opt-outs from ads are its affair.
Not documented: how many records a call takes; how often a list may be changed, so no more than 400 times a minute, as
an older API had it; the order in which changes are worked through that come one after another; whether membership ends;
whether who is there by two addresses stays where one is removed; how long a throttle lasts, a minute is waited; what
`exceptions` of a list holds. None of this was tried on a live account.
https://developers.pinterest.com/docs/api/v5/customer_lists-create/, …/docs/reference/rate-limits/,
…/docs/work-with-targets-and-audiences/create-audiences/, https://github.com/pinterest/api-description,
https://hightouch.com/docs/destinations/pinterest-ads (48 hours; read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

import httpx
from pydantic import Field, SecretStr

from audiences import (
    DefinitionError,
    DeliveryError,
    Form,
    Hashed,
    Identified,
    Kind,
    Limits,
    Member,
    Proof,
    Receipt,
    RefreshToken,
)
from audiences.normal import EMAIL, MADID_HASHED

PAGE = 250
MAY_LACK = {"expect": {404}}
NOBODYS = sha256(b"nobody").hexdigest()  # of no address and no device: the record with which a list is made
MANAGERS = {"OWNER", "RESTRICTED_OWNER", "ADMIN", "AUDIENCE_MANAGER"}


class PinterestAds(Hashed):
    kinds: ClassVar[Mapping[str, Kind]] = {
        "EMAIL": Kind(("email",), (EMAIL,)),
        "MAID": Kind(("madid",), (MADID_HASHED,)),
    }
    limits = Limits(batch=10_000, concurrency=2, windows=((400, 60),))
    proof = Proof.SPECIFICATION
    fewest = 100

    class Settings(Hashed.Settings):
        client_id: str
        client_secret: SecretStr
        refresh_token: SecretStr
        ad_account_id: Annotated[str, Field(pattern=r"^\d{1,18}$")]

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        self.account = f"/ad_accounts/{self.settings.ad_account_id}"
        self.looked: set[str] = set()  # ids of lists

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        found = super().identify(options, send)
        if len(found) > 1:
            do = "send one of them here, and the other in a section of its own, to a list of its own"
            raise DefinitionError("a customer list of Pinterest's is of email or of madid, and both are sent", do=do)
        return found

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key, token = (each.get_secret_value().strip() for each in (settings.client_secret, settings.refresh_token))
        name, base = settings.client_id.strip(), "https://api.pinterest.com/v5"
        auth = RefreshToken(f"{base}/oauth/token", refresh_token=token, client_id=name, client_secret=key)
        return {"base_url": base, "auth": auth}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """A 429 does not say when; changes are counted by the minute."""
        return 60.0 if answer.status_code == httpx.codes.TOO_MANY_REQUESTS else None

    def check(self) -> None:
        may = self.http.get(self.account).json().get("permissions")
        if may and not MANAGERS & {*may}:
            what = f"whoever signed in to Pinterest may not manage audiences there: {', '.join(may)}"
            raise DeliveryError(what, do="in Pinterest, Business Access, give them the permission Audiences")

    def prepare(self, name: str) -> str:
        return self.found_or_made("Pinterest customer list", name, self._named, self._make)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        found, rejected = self.identified(members)
        self._change(list_id, "ADD", found)
        return Receipt.of(members, rejected)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        found, rejected = self.identified(members)
        self._change(list_id, "REMOVE", found)
        return Receipt.of(members, rejected)

    def flush(self, list_id: str) -> None:
        """Make the audience of a list, once it can be: a list alone cannot be aimed at."""
        if list_id in self.looked:
            return
        self.looked.add(list_id)
        found = _there(self.http.get(self._path(list_id), extensions=MAY_LACK), list_id)
        if found["status"] != "READY":
            return
        if not any((each.get("rule") or {}).get("customer_list_id") == list_id for each in self._all("audiences")):
            wanted = {"audience_type": "CUSTOMER_LIST", "name": found["name"], "rule": {"customer_list_id": list_id}}
            self.http.post(f"{self.account}/audiences", json=wanted, extensions={"creates": True})

    def _named(self, name: str) -> list[int]:
        """The ids of the lists with exactly this name, the oldest first."""
        return sorted(int(each["id"]) for each in self._all("customer_lists") if each["name"] == name)

    def _make(self, name: str) -> object:
        [kind] = self.sent_kinds(self.options, [*self.identity])
        wanted = {"name": name, "list_type": kind, "records": NOBODYS}
        return self.http.post(f"{self.account}/customer_lists", json=wanted, extensions={"creates": True}).json()["id"]

    def _change(self, list_id: str, what: str, found: Sequence[Identified]) -> None:
        if found:
            body = {"operation_type": what, "records": ",".join(each.values[0] for each in found)}
            _there(self.http.patch(self._path(list_id), json=body, extensions=MAY_LACK), list_id)

    def _all(self, what: str) -> Iterator[Mapping[str, Any]]:
        """Everything in a collection, page by page."""
        bookmark: str | None = ""
        while bookmark is not None:
            asked: Mapping[str, str | int] = {"page_size": PAGE, **({"bookmark": bookmark} if bookmark else {})}
            page = self.http.get(f"{self.account}/{what}", params=asked).json()
            yield from page["items"]
            bookmark = page.get("bookmark") or None

    def _path(self, list_id: str) -> str:
        return f"{self.account}/customer_lists/{quote(list_id, safe='')}"


def _there(answer: httpx.Response, list_id: str) -> Any:
    """What an answer says of a list. Raises DeliveryError where there is none."""
    if answer.is_success:
        return answer.json()
    do = "check list_id and PINTEREST_ADS_AD_ACCOUNT_ID; a deleted list is made anew after `audiences forget`"
    raise DeliveryError(f"the Pinterest customer list {list_id} is gone", do=do)
