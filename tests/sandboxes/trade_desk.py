"""The part of The Trade Desk's Data API that connectors/trade_desk.py speaks to, in memory: segments of identifiers.

It keeps what the vendor documents: an item has one identifier and its segments, each with a name of 256 characters at
most and minutes to live, 0 to leave and 259,200 at most; items that failed are told of in an answer of 200, each with
its place as text; an answer to a call beyond the limits has the seconds to wait; four calls at once are advised.
Places count from 1, as the vendor's SDK reads them. Nobody can be read back.
Not documented, and chosen here: 10,000 items a call; who is in a segment may be told to leave it any number of times.
"""

import json
import re

import httpx

IDENTIFIERS = {"TDID", "DAID", "UID2", "EUID", "RampID", "ID5"}
UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LONGEST, MOST = 259_200, 10_000
HOSTS = {"us_west": "usw-data.adsrvr.org", "eu": "euw-data.adsrvr.org"}


class Sandbox:
    list = "NPS détracteurs / 2026"
    at_once = 4

    def __init__(self):
        self.settings = {
            "TRADE_DESK_TOKEN": "not-a-real-token",
            "TRADE_DESK_ADVERTISER_ID": "adv1234",
            "TRADE_DESK_REGION": "us_west",
        }
        self.elsewhere = {"TRADE_DESK_REGION": "eu"}
        self.segments = {}  # name -> {(kind, identifier): minutes}
        self.unmapped = {device(999_999_999_999)}

    def member(self, n):
        return {"madid": device(n)}

    def unwelcome(self):
        return {"madid": device(999_999_999_999)}

    def holds(self, fields):
        [value] = fields.values()
        return value.lower() in self.listed()

    def listed(self):
        """The identifiers on the list."""
        return {value for _, value in self.segments.get(self.list, ())}

    def throttled(self, seconds):
        return httpx.Response(429, headers={"retry-after": str(seconds)}, json={"FailedLines": None})

    def __call__(self, request):
        if request.url.host != HOSTS[self.settings["TRADE_DESK_REGION"]]:
            return httpx.Response(404, json="No such advertiser here.")
        if request.headers.get("ttd-auth") != "not-a-real-token":
            return httpx.Response(401, json="The provided token is invalid.")
        if (request.method, request.url.path) != ("POST", "/data/advertiser"):
            return httpx.Response(404, json="The requested endpoint is not configured.")
        told = json.loads(request.content)
        if told.keys() != {"AdvertiserId", "Items"} or told["AdvertiserId"] != "adv1234" or not told["Items"]:
            return httpx.Response(403, json="The provided credentials lack the required permissions.")
        if len(told["Items"]) > MOST:
            return httpx.Response(413, json="Request payload exceeds the maximum allowed size.")
        failed = [line for n, each in enumerate(told["Items"], 1) if (line := self.failed(each, str(n)))]
        return httpx.Response(200, json={"FailedLines": failed} if failed else {})

    def failed(self, item, place):
        """The line of an item that failed; else it is done."""
        [(kind, value)] = [(name, each) for name, each in item.items() if name != "Data"]
        [data] = item["Data"]
        line = {"ItemNumber": place, "DataNumber": "1", "DataName": data["Name"]}
        if kind not in IDENTIFIERS or (kind in ("TDID", "DAID") and not UUID.fullmatch(value)):
            return line | {"ErrorCode": "MissingUserId", "Message": f"Invalid {kind}"}
        if len(data["Name"]) > 256:
            return line | {"ErrorCode": "DataNameTooLong", "Message": "Name is too long"}
        if type(data["TtlInMinutes"]) is not int or not 0 <= data["TtlInMinutes"] <= LONGEST:
            return line | {"ErrorCode": "InvalidTtlInMinutes", "Message": "TTL is out of range"}
        if value in self.unmapped:
            return line | {"ErrorCode": "UserNotMapped", "Message": "The user is not mapped"}
        people = self.segments.setdefault(data["Name"], {})
        people.pop((kind, value), None)
        if data["TtlInMinutes"]:
            people[kind, value] = data["TtlInMinutes"]
        return None


def device(n):
    return f"00000000-0000-4000-8000-{n:012}"
