"""X ads: a list is a custom audience; 2,500 people a call. Each stays on it for 13 months, and is sent again in time.

Set-up: an app with access to the Ads API, and to its Audience API as well, which X grants apart, to be asked for with
a form; X_ADS_CONSUMER_KEY and X_ADS_CONSUMER_SECRET are the app's. X_ADS_ACCESS_TOKEN and X_ADS_ACCESS_TOKEN_SECRET are
of a user who is Account administrator or Ad manager of the account: made in the Developer Console for the app's owner,
by signing in to the app for anyone else. X_ADS_ACCOUNT_ID is in the address of its pages: ads.x.com/…/18ce54d4x5t/….

    [sync.x_ads]
    list = "NPS detractors"
    send = { email = "email", phone = "phone", handle = "x_handle" }   # destination field = column
    region = "DE"              # of numbers written without a country's code

Whoever has an address (`email`), a telephone number (`phone`), a device's id for ads (`madid`), a user name (`handle`)
or its number (`twitter_id`) is known by each of these that is sent, as SHA-256 alone. How a telephone number is written
before it is hashed is not documented for audiences; it is E.164 with the plus sign, as for X's conversions.

The audience is found by its exact name, or made; names are unique. It may be aimed at from 100 people on whom X knows
and saw within 90 days, in X's own pages from 500. Changes are worked through every 6 to 8 hours, and X advises against
more than one addition and one removal an audience within that time: a schedule of three runs a day is enough. X takes a
call whole or not at all and says who spoils it: these are refused, the others sent once more. Whom X does not know it
takes without a word, and nobody can be read back, so what it took in counts as delivered. Removal takes an identifier
off this list. Whether who is there by another one stays is not documented. Opt-outs from ads are X's affair, untouched.
Not confirmed: the shape of `operation_errors` beyond that its places are those of the call; whether an app without the
Audience API is told so by the check. None of this was tried on a live account.
https://docs.x.com/x-ads-api/audiences, …/audiences/reference, …/fundamentals/ (rate-limiting, pagination,
error-codes-and-responses), …/measurement/web-conversions, https://github.com/xdevplatform/docs (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from datetime import timedelta
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

import httpx
from pydantic import Field, SecretStr

from audiences import (
    BatchRefused,
    DefinitionError,
    DeliveryError,
    Hashed,
    Identified,
    Kind,
    Limits,
    Member,
    OAuth1,
    Proof,
    Receipt,
)
from audiences.normal import EMAIL, EXTERNAL_ID_HASHED, HANDLE, MADID_HASHED, PHONE_PLUS

PAGE = 1000
USER = "sign in as a user who is Account administrator or Ad manager of the account, and check X_ADS_ACCOUNT_ID"
REMEDIES = {
    "UNAUTHORIZED_CLIENT_APPLICATION": "ask X for access to the Ads API and to its Audience API, for this very app",
    "READONLY_CLIENT_APPLICATION": "let the app read and write in the Developer Console, and make its tokens anew",
}


class XAds(Hashed):
    kinds: ClassVar[Mapping[str, Kind]] = {
        "email": Kind(("email",), (EMAIL,)),
        "phone_number": Kind(("phone",), (PHONE_PLUS,)),
        "device_id": Kind(("madid",), (MADID_HASHED,)),
        "handle": Kind(("handle",), (HANDLE,)),
        "twitter_id": Kind(("twitter_id",), (EXTERNAL_ID_HASHED,)),
    }
    limits = Limits(batch=2500, concurrency=6, windows=((1500, 60),), bytes=5_000_000)
    proof = Proof.DOCUMENTATION
    lifetime, fewest = timedelta(days=393), 100  # 13 months have at least so many days

    class Settings(Hashed.Settings):
        consumer_key: str
        consumer_secret: SecretStr
        access_token: str
        access_token_secret: SecretStr
        account_id: Annotated[str, Field(pattern=r"^[0-9a-z]+$")]

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        auth = OAuth1(
            client_key=settings.consumer_key.strip(),
            client_secret=settings.consumer_secret.get_secret_value().strip(),
            token=settings.access_token.strip(),
            token_secret=settings.access_token_secret.get_secret_value().strip(),
        )
        return {"base_url": f"https://ads-api.x.com/12/accounts/{settings.account_id}", "auth": auth}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """LOCK_ACQUISITION_TIMEOUT passes: X advises to wait a minute after a failure that comes back."""
        return 60.0 if answer.status_code == httpx.codes.LOCKED else None

    def check(self) -> None:
        answer = self.http.get("/custom_audiences", params={"count": 1}, extensions={"expect": {403}})
        if answer.status_code == httpx.codes.FORBIDDEN:
            words = _words(_said(answer).get("errors"))
            do = next((do for code, do in REMEDIES.items() if code in words), USER)
            raise DeliveryError(f"X refuses this account: {words or 'without a word'}", do=do)

    def prepare(self, name: str) -> str:
        return self.found_or_made("X custom audience", name, self._named, self._make)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        found, rejected = self.identified(members)
        return Receipt.of(members, rejected | self._changed(list_id, "Update", found))

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        found, rejected = self.identified(members)
        return Receipt.of(members, rejected | self._changed(list_id, "Delete", found))

    def _named(self, name: str) -> list[str]:
        """The ids of the audiences with exactly this name; X finds all whose name begins so, in any case."""
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            asked: Mapping[str, str | int] = {"q": name, "count": PAGE, **({"cursor": cursor} if cursor else {})}
            page = self.http.get("/custom_audiences", params=asked).json()
            found += [_uploaded(each) for each in page["data"] if each["name"] == name]
            cursor = page.get("next_cursor") or None
        return found

    def _make(self, name: str) -> object:
        made = self.http.post("/custom_audiences", params={"name": name}, extensions={"creates": True})
        return made.json()["data"]["id"]

    def _changed(self, list_id: str, how: str, found: Sequence[Identified]) -> dict[str, str]:
        """Change these, all at once; key -> reason of those whom X refuses."""
        refused: dict[str, str] = {}
        if not found:
            return refused
        answer = self._asked(list_id, how, found, {400, 404})
        if answer.status_code == httpx.codes.BAD_REQUEST:  # nobody of them was changed
            refused = _refused(answer, found)
            found = [each for each in found if each.member.key not in refused]
            if not found:
                return refused
            answer = self._asked(list_id, how, found, {404})
        _counted(answer, list_id, len(found))
        return refused

    def _asked(self, list_id: str, how: str, found: Sequence[Identified], expect: Set[int]) -> httpx.Response:
        """An operation for each, so that X can name the one that it refuses; without a date it holds for 13 months."""
        users = [{each.kind: [*each.values]} for each in found]
        body = [{"operation_type": how, "params": {"users": [each]}} for each in users]
        path = f"/custom_audiences/{quote(list_id, safe='')}/users"
        return self.http.post(path, json=body, extensions={"expect": expect})


def _uploaded(audience: Mapping[str, Any]) -> str:
    """The id of an audience that people can be uploaded to."""
    if audience["audience_type"] != "CRM":
        what = f"{audience['name']!r} is the name of an X audience of another type: {audience['audience_type']}"
        raise DefinitionError(what, do="name another list, or rename that one in X; names are unique there")
    return str(audience["id"])


def _counted(answer: httpx.Response, list_id: str, sent: int) -> None:
    """Raises DeliveryError where the audience is gone, and BatchRefused where X counts others than were sent."""
    if answer.status_code == httpx.codes.NOT_FOUND:
        do = "check list_id and X_ADS_ACCOUNT_ID; a deleted audience is made anew after `audiences forget`"
        raise DeliveryError(f"the X custom audience {list_id} is gone", do=do)
    data = answer.json()["data"]
    if not data["success_count"] == data["total_count"] == sent:
        raise BatchRefused(f"X counts {data['success_count']} of {data['total_count']}, and {sent} were sent")


def _refused(answer: httpx.Response, found: Sequence[Identified]) -> dict[str, str]:
    """key -> reason, of those for whom a call was refused. Raises BatchRefused where it names nobody."""
    said = _said(answer)
    places = said.get("operation_errors") or []
    if isinstance(places, list):
        pairs = zip(found, map(_words, places), strict=False)
        if refused := {each.member.key: words for each, words in pairs if words}:
            return refused
    raise BatchRefused(_words(said.get("errors")) or "X refused the call without a word")


def _said(answer: httpx.Response) -> Mapping[str, Any]:
    """An answer's JSON; nothing where it has none, as X says that some errors have."""
    with suppress(ValueError):
        said: Mapping[str, Any] = answer.json()
        return said
    return {}


def _words(errors: Any) -> str:
    """X's own words; "" where there are none."""
    told = errors if isinstance(errors, list) else [errors] if errors else []
    return "; ".join(f"{each.get('code')}: {each.get('message')}" for each in told)
