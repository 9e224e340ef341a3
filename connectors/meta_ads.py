"""Meta (Facebook, Instagram): a list is a custom audience of the kind customer file; 10,000 identifiers a call.

Set-up: in Meta's business settings, a system user who manages the ad account, and a token of theirs with the right
ads_management: META_ADS_ACCESS_TOKEN. META_ADS_AD_ACCOUNT is the account's number. Where the app requires proof of its
secret: META_ADS_APP_SECRET. Someone who is no system user has to accept the terms for custom audiences once, on
business.facebook.com/ads/manage/customaudiences/tos/?act=<number>; `audiences check --connectors` tells.

    [sync.meta_ads]
    list = "NPS detractors"
    send = ["email", "phone"]
    region = "DE"                # of phone numbers without a country's code

The audience is found by its exact name, or made; `customer_file_source` is then the origin of its data:
USER_PROVIDED_ONLY, PARTNER_PROVIDED_ONLY or BOTH_USER_AND_PARTNER_PROVIDED. One that is deleted is not made anew.
Identifiers are email, phone, madid (a mobile ad id), and names: first_name, last_name and country, with city, state,
postal_code, birth_year, birth_month, birth_day and gender where they are sent. All but madid are hashed; letters
outside a to z stay in names, as in Meta's own examples, though its SDK for Python cuts them. Each goes in a row of its
own with all other keys blank: of a row of several, nobody could say which one a removal means. An external id matches
nobody by itself and is not taken.
Limited data use: `limited_data_use = true` says LDU of everyone, a boolean column of that name in `send` of each (NULL
is true). In such audiences Meta heeds it for people in California, whom it finds by itself. To be in an audience is no
consent. Removal takes an identifier out of this audience, and out of no other.

Meta counts rows that it cannot use and does not name them; so does the run. Nobody can read an audience back. Changes
show within 24 hours. Below 100 people whom Meta knows an audience is not used; after two years in no active ad set it
is deleted. Members stay until removed: no retention is set. 5,000 calls an hour are the least of Meta's tiers. With
`--replace` all calls are one session. Where that is cut off, Meta makes the audience of those who were sent until then,
90 minutes later; everyone is in doubt meanwhile, and sent again after it (the guard may ask for --force).
Not documented: how large a call may be, and what Meta shows of the terms in an account that another business shares.
Not confirmed: whether a row without LDU lifts one with it, and that an open session shows as one (status 414), before
which nobody is added. Nothing was tried on a live account.
https://developers.facebook.com/docs/marketing-api/reference/custom-audience/users, …/audiences/guides/custom-audiences,
https://developers.facebook.com/docs/graph-api/overview/rate-limiting, …/guides/error-handling, …/secure-requests,
https://developers.facebook.com/docs/marketing-api/overview/data-processing-options (read 2026-11)
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, ClassVar, Literal
from urllib.parse import quote

import httpx
from pydantic import Field, SecretStr

from audiences import DefinitionError, DeliveryError, Hashed, Identified, Kind, Limits, Member, Proof, Receipt, normal

LDU = "limited_data_use"
PAGE, PAUSE = 50, 60.0  # audiences, of which Meta asks for few; seconds after too many calls, at least
NAMES = {"first_name": "FN", "last_name": "LN", "country": "COUNTRY", "city": "CT", "state": "ST", "postal_code": "ZIP"}
NAMES |= {"birth_year": "DOBY", "birth_month": "DOBM", "birth_day": "DOBD", "gender": "GEN"}
RULES = [normal.NAME_META, normal.NAME_META, normal.COUNTRY_META, normal.CITY, normal.STATE, normal.POSTCODE_META]
RULES += [normal.BIRTH_YEAR, normal.BIRTH_MONTH, normal.BIRTH_DAY, normal.GENDER]
OPTIONAL = frozenset(NAMES) - {"first_name", "last_name", "country"}
KEYS = {"email": "EMAIL", "phone": "PHONE", "madid": "MADID", **NAMES}

# The status that a code or subcode of an error means: Meta says nearly all by 400. What a person has to mend is 409.
CODES = dict.fromkeys((4, 17, 32, 613, 80003, 80004), 429) | dict.fromkeys((1, 2, 341), 503)
CODES |= dict.fromkeys((102, 190), 401) | dict.fromkeys((3, 10, 294, *range(200, 300)), 403)
CODES |= dict.fromkeys((368, 2650, 2655), 409)
SUBCODES = {33: 404, 1487366: 404, 1713228: 409, 1713230: 409, 1713231: 409, 1870090: 409}
UNSIGNED, MAY_STOP = {2655, 1870090}, {404, 409}
TERMS = "https://business.facebook.com/ads/manage/customaudiences/tos/?act="

UNCLEAR = f"{LDU} is neither true nor false"
INVALID = "Meta counts it, and all others of its call, among the entries that it cannot use"


class MetaAds(Hashed):
    kinds: ClassVar[Mapping[str, Kind]] = {
        "email": Kind(("email",), (normal.EMAIL_META,)),
        "phone": Kind(("phone",), (normal.PHONE_DIGITS,)),
        "madid": Kind(("madid",), (normal.MADID,)),
        "name": Kind(tuple(NAMES), tuple(RULES), OPTIONAL),
    }
    fewest, partial = 100, True
    carries = frozenset({LDU})
    limits = Limits(batch=10_000, windows=((5_000, 3_600),))
    proof = Proof.SPECIFICATION

    class Settings(Hashed.Settings):
        access_token: SecretStr
        ad_account: str
        app_secret: SecretStr | None = None

    class Options(Hashed.Options):
        customer_file_source: Literal[
            "USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED"
        ] = Field("USER_PROVIDED_ONLY", description="the origin of the data of an audience that the sync makes")
        limited_data_use: bool = Field(False, description="whether LDU is said of everyone; a column says it of each")

    def __init__(self, settings: Any, options: Any, http: Any, send: Iterable[str] = (), outbox: str = ""):
        super().__init__(settings, options, http, send, outbox)
        self.account = f"/act_{quote(settings.ad_account.strip().removeprefix('act_'), safe='')}"
        self.limits_use = options.limited_data_use or LDU in send
        self.session, self.last = dict[str, Any](), dict[str, Any]()  # while one is replaced; and what was sent last

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        token = settings.access_token.get_secret_value().strip()
        way = {"base_url": "https://graph.facebook.com/v26.0", "headers": {"authorization": f"Bearer {token}"}}
        if settings.app_secret is None:
            return way
        secret = settings.app_secret.get_secret_value().strip()
        return way | {"params": {"appsecret_proof": hmac.new(secret.encode(), token.encode(), "sha256").hexdigest()}}

    @classmethod
    def means(cls, answer: httpx.Response) -> int:
        said = _error(answer)
        return SUBCODES.get(said.get("error_subcode", 0)) or CODES.get(said.get("code", 0)) or answer.status_code

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        return PAUSE if answer.status_code == 429 else None

    def check(self) -> None:
        said = self._call("GET", self.account, params={"fields": "tos_accepted"})
        if said.get("tos_accepted", {}).get("custom_audience_tos") != 1:
            raise self._unsigned()

    def prepare(self, name: str) -> str:
        return self.found_or_made("Meta custom audience", name, self._named, self._make)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        found, rejected = self.identified(members)
        rejected |= {each.key: UNCLEAR for each in members if not isinstance(each.fields.get(LDU), bool | None)}
        rows = [each for each in found if each.member.key not in rejected]
        invalid = self._tell("POST", list_id, rows, self.limits_use)
        if invalid >= len(rows):
            return Receipt.of(members, {each.member.key: INVALID for each in rows} | rejected)
        return Receipt.of(members, rejected, unnamed=invalid)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        found, rejected = self.identified(members)
        self._tell("DELETE", list_id, found)
        return Receipt.of(members, rejected)  # what Meta cannot use is in no audience

    def replacing(self, list_id: str, began: datetime) -> None:
        number = int.from_bytes(hashlib.sha256(self.outbox.encode()).digest()[:7])  # in the account it has to be unique
        self.session = {"session_id": number, "batch_seq": 1, "last_batch_flag": False}

    def replaced(self, list_id: str, began: datetime) -> None:
        if not self.last:
            raise DeliveryError("nobody was sent, and Meta replaces people by people alone", do="leave out --replace")
        # No call may be empty, and who is sent twice is there once.
        self._change("POST", list_id, self.last, self.session | {"last_batch_flag": True})

    def _tell(self, method: str, list_id: str, found: Sequence[Identified], limits_use: bool = False) -> int:
        """Change an audience by one call; how many of these identifiers Meta cannot use."""
        self._check(list_id)
        if not found:
            return 0
        rows = [dict(zip(self.sorts[each.kind].fields, each.values, strict=True)) for each in found]
        # All calls of a session have the same columns; a removal may have one that the sync sends no more.
        columns = [name for name in KEYS if name in self.identity or any(row.get(name) for row in rows)]
        data: list[list[Any]] = [[row.get(name, "") for name in columns] for row in rows]
        schema = [KEYS[name] for name in columns]
        if limits_use:
            schema.append("DATA_PROCESSING_OPTIONS")
            for row, each in zip(data, found, strict=True):
                row.append([] if each.member.fields.get(LDU, self.options.limited_data_use) is False else ["LDU"])
        payload = {"schema": schema, "is_raw": True, "data": data}
        said = self._change(method, list_id, payload, self.session)
        if self.session:
            self.session["batch_seq"] += 1
            self.last = payload | {"data": data[-1:]}
        return max(int(said["num_invalid_entries"]), len(found) - int(said["num_received"]))

    def _change(self, method: str, list_id: str, payload: Mapping[str, Any], session: Mapping[str, Any]) -> Any:
        edge, more = ("usersreplace", {"session": session}) if session else ("users", {})
        return self._call(method, f"/{quote(list_id, safe='')}/{edge}", json={"payload": payload, **more})

    def _check(self, list_id: str) -> None:
        """Look once whether an audience takes people now: while Meta replaces one, it might lose them again."""
        if list_id in self.checked:
            return
        said = self._call("GET", f"/{quote(list_id, safe='')}", params={"fields": "subtype,operation_status"})
        if said["subtype"] != "CUSTOM":
            raise _filled(list_id)
        if said.get("operation_status", {}).get("code") == 414:
            do = "run again: a replacement that was cut off is over after 90 minutes, and then everyone is sent again"
            raise DeliveryError(f"Meta is replacing the audience {list_id}", do=do)
        self.checked.add(list_id)

    def _named(self, name: str) -> list[str]:
        """The ids of the customer files with exactly this name, the lowest first."""
        found = [each for each in self._audiences() if each["name"] == name]
        files = sorted((str(each["id"]) for each in found if each["subtype"] == "CUSTOM"), key=int)
        if found and not files:
            raise _filled(name)
        return files

    def _make(self, name: str) -> object:
        source = self.options.customer_file_source
        wanted = {"name": name, "subtype": "CUSTOM", "customer_file_source": source, "enable_fetch_or_create": True}
        return self._call("POST", f"{self.account}/customaudiences", json=wanted, creates=True)["id"]

    def _audiences(self) -> Iterator[Mapping[str, Any]]:
        """Every audience of the account, page by page."""
        asked: dict[str, Any] = {"fields": "name,subtype", "limit": PAGE}
        while True:
            page = self._call("GET", f"{self.account}/customaudiences", params=asked)
            yield from page["data"]
            if "next" not in page.get("paging", {}):
                return
            asked["after"] = page["paging"]["cursors"]["after"]

    def _call(self, method: str, path: str, creates: bool = False, **what: Any) -> Any:
        """The JSON of an answer. Raises DeliveryError for what a person has to mend at Meta."""
        answer = self.http.request(method, path, extensions={"expect": MAY_STOP, "creates": creates}, **what)
        if answer.is_success:
            return answer.json()
        if UNSIGNED & {(said := _error(answer)).get("code"), said.get("error_subcode")}:
            raise self._unsigned()
        if answer.status_code == 404:
            do = "check list_id, the account's number and what its token may see; `audiences forget` starts a list anew"
            raise DeliveryError("Meta has no such custom audience any more, or does not show it", do=do)
        do = "look in Ads Manager at this audience, and at Account Quality: what is blocked there can be appealed"
        words = said.get("error_user_msg") or said.get("message")
        raise DeliveryError(f"Meta takes no change of this audience now: {words}", do=do)

    def _unsigned(self) -> DeliveryError:
        do = f"have someone who is no system user accept them: {TERMS}{self.account.removeprefix('/act_')}"
        return DeliveryError("Meta shows no consent of this ad account to its terms for custom audiences", do=do)


def _filled(audience: str) -> DefinitionError:
    do = "write another list or list_id: people are added to customer files alone"
    return DefinitionError(f"{audience!r} is an audience that Meta fills by itself", do=do)


def _error(answer: httpx.Response) -> Mapping[str, Any]:
    """What an answer says of a failure; nothing where it tells of none."""
    with suppress(ValueError, KeyError, TypeError):
        return dict(answer.json()["error"])
    return {}
