"""Reddit ads: a list is a custom audience of the type customer list; 2,500 people a call. Experimental.

Set-up: an app of the business at Reddit, with the scopes adsread and adsedit, and leave to use custom audiences, which
Reddit gives account by account: ask its representative. REDDIT_ADS_CLIENT_ID, REDDIT_ADS_CLIENT_SECRET; sign in to it
once for a permanent REDDIT_ADS_REFRESH_TOKEN. REDDIT_ADS_AD_ACCOUNT_ID is the account's, as t2_abc123.

    [sync.reddit_ads]
    list = "NPS detractors"
    send = { email = "email", idfa = "ios_idfa", aaid = "android_id" }   # identifier = column
    experimental = true

Each goes as SHA-256: an address in small letters, without what follows a plus sign and all else before the @ that is no
letter or digit; an id of Apple's for ads (`idfa`) in capitals, one of Android's (`aaid`) in small letters. So
f.i.r.s.t@example.com is first@example.com there, and one row here too. Addresses are one call, devices another.
The audience is found by its exact name, or made. It is used from 1,000 people on whom Reddit knows, by a third party's
page. Removal takes the identifier off, and nothing else. Whether someone stays who is there by another is not
documented. Opt-outs from ads are Reddit's, and untouched.

The API's own pages were not read, only what others say who use it. So these are not confirmed: its rate, and what it
says of a throttle; what it answers when somebody is turned away (an answer with an `error` is a batch refused, any
other success is taken for all of them); how many a call takes; how long somebody stays, which is taken to be for ever;
how soon an audience can be aimed at; whether two audiences may have one name. Nobody can be read back, and none of this
was tried on a live account.
https://ads-api.reddit.com/docs/v3/ as told by https://docs.amperity.com/operator/destination_reddit_ads.html,
https://composable-docs.zeotap.com/destinations/advertising/reddit-ads, https://docs.extract.to/reverse-etl-destinations/reddit-audiences
and https://github.com/segmentio/action-destinations (src/destinations/reddit-audiences; read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from audiences import (
    BatchRefused,
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
from audiences.normal import EMAIL_REDDIT, IDFA_CAPITAL, MADID_HASHED

COLUMNS = {"email": "EMAIL_SHA256", "idfa": "MAID_SHA256", "aaid": "MAID_SHA256"}
LIST = "CUSTOMER_LIST"


class RedditAds(Hashed):
    kinds: ClassVar[Mapping[str, Kind]] = {
        "email": Kind(("email",), (EMAIL_REDDIT,)),
        "idfa": Kind(("idfa",), (IDFA_CAPITAL,)),
        "aaid": Kind(("aaid",), (MADID_HASHED,)),
    }
    limits = Limits(batch=2500, concurrency=2)
    proof = Proof.EXPERIMENTAL
    fewest = 1000

    class Settings(Hashed.Settings):
        client_id: str
        client_secret: SecretStr
        refresh_token: SecretStr
        ad_account_id: str

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key, token = (each.get_secret_value().strip() for each in (settings.client_secret, settings.refresh_token))
        url, name = "https://www.reddit.com/api/v1/access_token", settings.client_id.strip()
        auth = RefreshToken(url, refresh_token=token, client_id=name, client_secret=key)
        # Reddit turns clients away that do not say who they are.
        headers = {"user-agent": f"audiences (app {name})"}
        return {"base_url": "https://ads-api.reddit.com/api/v3", "auth": auth, "headers": headers}

    def check(self) -> None:
        self.http.get("/me")

    def prepare(self, name: str) -> str:
        return self.found_or_made("Reddit custom audience", name, self._named, self._make)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        found, rejected = self.identified(members)
        self._change(list_id, "ADD", found)
        return Receipt.of(members, rejected)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        found, rejected = self.identified(members)
        self._change(list_id, "REMOVE", found)
        return Receipt.of(members, rejected)

    def _named(self, name: str) -> list[str]:
        """The ids of the audiences with exactly this name, in Reddit's order."""
        found: list[str] = []
        after: Mapping[str, str] | None = {}
        while after is not None:
            page = self.http.get(self._audiences(), params=after).json()
            found += [_uploaded(each) for each in page["data"] if each["name"] == name]
            following = (page.get("pagination") or {}).get("next_url")
            after = dict(httpx.URL(following).params) if following else None  # never another host's
        return found

    def _make(self, name: str) -> object:
        wanted = {"data": {"name": name, "type": LIST}}
        return self.http.post(self._audiences(), json=wanted, extensions={"creates": True}).json()["data"]["id"]

    def _change(self, list_id: str, what: str, found: Sequence[Identified]) -> None:
        for column in sorted({COLUMNS[each.kind] for each in found}):
            self._ask(list_id, what, column, [each for each in found if COLUMNS[each.kind] == column])

    def _ask(self, list_id: str, what: str, column: str, found: Sequence[Identified]) -> None:
        told = {"action_type": what, "column_order": [column], "user_data": [[*each.values] for each in found]}
        path = f"/custom_audiences/{quote(list_id, safe='')}/users"
        answer = self.http.patch(path, json={"data": told}, extensions={"expect": {404}})
        if answer.status_code == httpx.codes.NOT_FOUND:
            do = "check list_id and REDDIT_ADS_AD_ACCOUNT_ID; a deleted one is made anew after `audiences forget`"
            raise DeliveryError(f"the Reddit custom audience {list_id} is gone", do=do)
        if answer.content and (error := answer.json().get("error")):
            raise BatchRefused(f"{error.get('code')}: {error.get('message')}")

    def _audiences(self) -> str:
        return f"/ad_accounts/{quote(self.settings.ad_account_id, safe='')}/custom_audiences"


def _uploaded(audience: Mapping[str, Any]) -> str:
    """The id of an audience that people can be uploaded to."""
    if audience["type"] != LIST:
        what = f"{audience['name']!r} is the name of a Reddit audience of another type: {audience['type']}"
        raise DefinitionError(what, do="name another list, or write the id of a customer list as list_id")
    return str(audience["id"])
