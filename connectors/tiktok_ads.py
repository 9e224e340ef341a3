"""TikTok: a list is an audience segment that is filled by TikTok's streaming API; 1,000 identifiers a call.

Set-up: a developer app with the scope Audience Management, and a long-term token by which an advertiser has authorised
it: TIKTOK_ADS_ACCESS_TOKEN. TIKTOK_ADS_ADVERTISER_ID is the advertiser's id in Ads Manager. TikTok has to allow the app
its streaming API (/segment/): ask for it; whether it has, the first sync tells, for no call that only looks does.

    [sync.tiktok_ads]
    list = "NPS detractors"
    send = ["email", "phone"]
    region = "DE"                # of phone numbers without a country's code

The audience is found by its exact name, or made; TikTok cuts names of more than 70 characters, so these are refused.
One that is deleted is not made anew. Identifiers are email, phone, idfa and aaid (the advertising ids of iOS and
Android), each sent by itself and hashed. Mailboxes keep their dots and plus signs, as the page for customer files says
today; an older one took them out. To be in an audience is no consent. Removal takes an identifier out of this audience,
and out of no other.

TikTok takes a call or refuses it, and says nothing of single rows. Nobody can read an audience back. It is of use from
1,000 people whom TikTok knows on, a day or two after.
Pace: 10 calls a second and 600 a minute, the least of TikTok's plans; after too many (40100) five minutes of none.
Not documented: how many rows a call may have, how long a member stays, and what streaming does to a file's audience.
Not confirmed: codes of failures but 40100 and 40104, of which those from 50000 on are taken for TikTok's own trouble.
Nothing was tried on a live account.
https://business-api.tiktok.com/portal/docs?id=1739940583739393 (/segment/audience/), …1739940585975809 (…/mapping/),
…1739940506015746 (/dmp/custom_audience/list/), …1739940507792385 (…/get/),
https://ads.tiktok.com/help/article/how-to-create-a-custom-audience-with-a-customer-file (how to hash; read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, ClassVar

import httpx
import orjson
from pydantic import SecretStr

from audiences import DefinitionError, DeliveryError, Hashed, Kind, Limits, Member, Proof, Receipt, normal

LONGEST = 70  # characters of a name
PAGE = 100
PAUSE = 300.0  # seconds after too many calls: of a second or of a minute, it does not say
SCHEMA = {"email": "EMAIL_SHA256", "phone": "PHONE_SHA256", "idfa": "IDFA_SHA256", "aaid": "AAID_SHA256"}
# The status that a code means; nearly every answer is a 200. https://business-api.tiktok.com/portal/docs?id=1737172488964097
STATUS = {0: 200, 40001: 403, 40100: 429}
SIGN_IN = range(40101, 40107)


class TiktokAds(Hashed):
    kinds: ClassVar[Mapping[str, Kind]] = {
        "email": Kind(("email",), (normal.EMAIL,)),
        "phone": Kind(("phone",), (normal.PHONE_PLUS,)),
        "idfa": Kind(("idfa",), (normal.MADID_HASHED,)),
        "aaid": Kind(("aaid",), (normal.MADID_HASHED,)),
    }
    fewest = 1_000
    limits = Limits(batch=1_000, concurrency=3, per_second=10)  # and so 600 a minute
    proof = Proof.DOCUMENTATION

    class Settings(Hashed.Settings):
        access_token: SecretStr
        advertiser_id: str

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        self.advertiser = self.settings.advertiser_id.strip()

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        token = settings.access_token.get_secret_value().strip()
        return {"base_url": "https://business-api.tiktok.com/open_api/v1.3", "headers": {"access-token": token}}

    @classmethod
    def means(cls, answer: httpx.Response) -> int:
        code = None
        with suppress(ValueError, AttributeError):
            code = answer.json().get("code")
        if not (answer.is_success and isinstance(code, int)):
            return answer.status_code
        return STATUS.get(code) or (401 if code in SIGN_IN else 500 if code >= 50_000 else 400)

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        return PAUSE if answer.status_code == 429 else None

    def check(self) -> None:
        self._read("list", page=1, page_size=1)

    def prepare(self, name: str) -> str:
        if len(name) > LONGEST:
            do = f"give the list a name of at most {LONGEST} characters: TikTok cuts longer ones"
            raise DefinitionError(f"{name!r} has {len(name)} characters", do=do)
        return self.found_or_made("TikTok audience", name, self._named, self._make)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        return Receipt.of(members, self._map("add", list_id, members))

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        return Receipt.of(members, self._map("delete", list_id, members))

    def _map(self, action: str, list_id: str, members: Sequence[Member]) -> Mapping[str, str]:
        """Put identifiers into an audience or take them out, each in a row of its own; key -> why it has none."""
        self._check(list_id)
        found, rejected = self.identified(members)
        kinds = [kind for kind in SCHEMA if any(each.kind == kind for each in found)]
        told = [(each.kind, {"id": each.values[0], "audience_ids": [list_id]}) for each in found]
        rows = [[said if kind == own else {} for kind in kinds] for own, said in told]
        schema = [SCHEMA[kind] for kind in kinds]
        body = {"advertiser_ids": [self.advertiser], "action": action, "id_schema": schema, "batch_data": rows}
        if rows:
            self._stream("/segment/mapping/", body)
        return rejected

    def _check(self, list_id: str) -> None:
        """Look once whether an audience is there: a mapping to none might be taken all the same."""
        if list_id in self.checked:
            return
        if not self._read("get", custom_audience_ids=orjson.dumps([list_id]).decode()).get("list"):
            do = "check list_id and TIKTOK_ADS_ADVERTISER_ID; a deleted list is made anew after `audiences forget`"
            raise DeliveryError(f"the advertiser has no TikTok audience {list_id} any more", do=do)
        self.checked.add(list_id)

    def _named(self, name: str) -> list[str]:
        """The ids of the audiences with exactly this name, the lowest first."""
        return sorted((str(each["audience_id"]) for each in self._audiences() if each["name"] == name), key=int)

    def _make(self, name: str) -> object:
        wanted = {"custom_audience_name": name, "advertiser_id": self.advertiser, "action": "create"}
        return self._stream("/segment/audience/", wanted, creates=True)["audience_id"]

    def _audiences(self) -> Iterator[Mapping[str, Any]]:
        """Every audience of the advertiser, page by page."""
        for page in count(1):
            said = self._read("list", page=page, page_size=PAGE)
            yield from said["list"]
            if page * PAGE >= said["page_info"]["total_number"]:
                return

    def _read(self, what: str, **asked: Any) -> Mapping[str, Any]:
        params = {"advertiser_id": self.advertiser, **asked}
        return dict(self.http.get(f"/dmp/custom_audience/{what}/", params=params).json()["data"])

    def _stream(self, path: str, body: Mapping[str, Any], creates: bool = False) -> Mapping[str, Any]:
        """A call of the streaming API. Raises DeliveryError where this app may not use it."""
        answer = self.http.post(path, json=body, extensions={"expect": {403}, "creates": creates})
        if answer.is_success:
            return dict(answer.json()["data"])
        do = "ask TikTok to allow the app its streaming API (/segment/), and check which advertisers its token is for"
        raise DeliveryError("TikTok does not let this app change audiences of this advertiser", do=do)
