"""The Trade Desk: a list is a first-party data segment of an advertiser; 5,000 identifiers a call. Experimental.

Set-up: a token of the platform, from Access management at open.thetradedesk.com, which holds for a year at most:
TRADE_DESK_TOKEN. TRADE_DESK_ADVERTISER_ID is the advertiser's id; it has to be set up for first-party data, by your
account manager there. TRADE_DESK_REGION is the data centre next to the people meant, us_west, us_east, eu, apac or
tokyo: a segment is sent to one, which tells the others.

    [sync.trade_desk]
    list = "NPS detractors"
    send = { uid2 = "uid2", madid = "idfa_or_aaid" }   # identifier = column
    days = 90
    experimental = true

It takes identifiers as they are: `tdid` (The Trade Desk's own), `madid` (a device's id for ads), `uid2`,
`euid`, `ramp_id` and `id5`. No address and no telephone number is sent: those become UID2s by UID2's own service, which
tells who opted out, so have them in a column. The segment has the list's name, of 256 characters at most; the first
identifier makes it. Each stays for `days`, 90 as The Trade Desk has it, 180 at most, and is sent again in time.

Whoever is turned away is named with the reason. Removal is an identifier sent with no time to live; another one of the
same person stays. Opt-outs from ads are The Trade Desk's and UID2's, and untouched. Nobody can be read back.
Not documented: how large a call may be, so a batch stays well below the 2.5 MB that others send; how often calls may be
made, a throttle says when the next is let in; how many people a segment needs, and how soon it can be aimed at. Not
confirmed: that the place of an item that failed counts from 1, which the vendor's own SDK takes it to do; an answer in
which it cannot be so, is a batch refused. Calls carry the token in a header as that SDK sends it, where other clients
sign the body by the advertiser's secret. None of this was tried on a live account.
https://offlineattrib.adsrvr.org/swagger/v1/swagger.json, https://pypi.org/project/ttd-data (0.3.2),
https://open.thetradedesk.com/advertiser/docsApp/GuidesAdvertiser/data/doc/post-data-advertiser-firstparty and
…/Foundations/resources/doc/RateLimits, as https://github.com/api-evangelist/trade-desk tells of both (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr

from audiences import (
    BatchRefused,
    DeliveryError,
    Hashed,
    Identified,
    Kind,
    Limits,
    Member,
    Proof,
    Receipt,
)
from audiences.normal import EXTERNAL_ID, MADID

SERVERS = {"us_west": "usw-data", "us_east": "use-data", "eu": "euw-data", "apac": "sin-data", "tokyo": "tok-data"}
MINUTES = 24 * 60

UNKNOWN = {"MissingUserId", "UserNotMapped"}  # whom The Trade Desk does not know is in no segment
# What is wrong with the segment or the account, and so with nobody in it.
OF_ALL = {
    "TargetingDataCreationLimitExceeded",
    "TargetingDataCountLimitExceeded",
    "TargetingDataDisabled",
    "TenantRestrictionsExternalData",
    "InvalidDataOwnerId",
    "DataNameTooLong",
    "InvalidTtlInMinutes",
}


class TradeDesk(Hashed):
    kinds: ClassVar[Mapping[str, Kind]] = {
        "TDID": Kind(("tdid",), (MADID,)),
        "DAID": Kind(("madid",), (MADID,)),
        "UID2": Kind(("uid2",), (EXTERNAL_ID,)),
        "EUID": Kind(("euid",), (EXTERNAL_ID,)),
        "RampID": Kind(("ramp_id",), (EXTERNAL_ID,)),
        "ID5": Kind(("id5",), (EXTERNAL_ID,)),
    }
    limits = Limits(batch=5000, concurrency=4)
    proof = Proof.EXPERIMENTAL

    class Settings(Hashed.Settings):
        token: SecretStr
        advertiser_id: str
        region: Literal["us_west", "us_east", "eu", "apac", "tokyo"]

    class Options(Hashed.Options):
        days: int = Field(90, ge=1, le=180, description="how long the segment keeps someone who is not sent again")

    @classmethod
    def lasts(cls, options: Any) -> timedelta:
        return timedelta(days=options.days)

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        token = settings.token.get_secret_value().strip()
        return {"base_url": f"https://{SERVERS[settings.region]}.adsrvr.org", "headers": {"TTD-Auth": token}}

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        found, rejected = self.identified(members)
        failed = self._told(list_id, self.options.days * MINUTES, found)
        return Receipt.of(members, rejected | {key: ": ".join(said) for key, said in failed.items()})

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        found, rejected = self.identified(members)
        failed = self._told(list_id, 0, found)
        refused = {key: ": ".join(said) for key, said in failed.items() if said[0] not in UNKNOWN}
        return Receipt.of(members, rejected | refused)

    def _told(self, name: str, minutes: int, found: Sequence[Identified]) -> Mapping[str, tuple[str, str]]:
        """Let these stay for so many minutes; key -> (code, words) of those who failed."""
        if not found:
            return {}
        data = [{"Name": name, "TtlInMinutes": minutes}]
        items = [{each.kind: each.values[0], "Data": data} for each in found]
        body = {"AdvertiserId": self.settings.advertiser_id, "Items": items}
        said = self.http.post("/data/advertiser", json=body).json()
        return dict(_failed(line, found) for line in said.get("FailedLines") or ())


def _failed(line: Mapping[str, Any], found: Sequence[Identified]) -> tuple[str, tuple[str, str]]:
    """Whom a line of an answer is about, and what it says. Raises BatchRefused where that cannot be known."""
    code, words, place = (str(line.get(name) or "") for name in ("ErrorCode", "Message", "ItemNumber"))
    if code in OF_ALL:
        what = f"The Trade Desk takes nobody into this segment: {code}, {words}"
        raise DeliveryError(what, do="see the advertiser's data there, or ask your account manager")
    if not (place.isdecimal() and 1 <= int(place) <= len(found)):
        raise BatchRefused(f"{code}: {words}, and The Trade Desk does not say of whom")
    return found[int(place) - 1].member.key, (code, words)
