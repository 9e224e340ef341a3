"""The part of Pinterest's ads API that connectors/pinterest_ads.py speaks to, in memory: customer lists and audiences.

It keeps what the vendor documents: a list has a name and at least one record, records come as one text, a list is
TOO_SMALL below 100 people and READY above, an audience is made of no smaller one, 25 a page unless more are asked for,
250 at most, errors as {code, message}, sign-in by a refresh token that each sign-in renews. Nobody can be read back.
Not documented, and chosen here: several lists may have one name; every record is of somebody whom Pinterest knows, but
the one with which a list is made; the newest list is told of first; a list takes 50,000 records a call; all is worked
through at once.
"""

import hashlib
import json
import re
from base64 import b64encode
from urllib.parse import parse_qsl

import httpx

ACCOUNT = "/v5/ad_accounts/549755885175/"
SIGN_IN = {"grant_type": "refresh_token", "refresh_token": "not-a-real-refresh"}
HASH = re.compile("[0-9a-f]{64}")
FEWEST, MOST = 100, 50_000
NOBODY = hashlib.sha256(b"nobody").hexdigest()


class Refusal(Exception):
    """An answer that ends a call."""

    def __init__(self, status, message, code=1):
        super().__init__(message)
        self.answer = httpx.Response(status, json={"code": code, "message": message})


class Sandbox:
    list = "NPS détracteurs / 2026"
    rate = (400, 60)

    def __init__(self):
        self.settings = {
            "PINTEREST_ADS_CLIENT_ID": "1234567",
            "PINTEREST_ADS_CLIENT_SECRET": "not-a-real-secret",
            "PINTEREST_ADS_REFRESH_TOKEN": "not-a-real-refresh",
            "PINTEREST_ADS_AD_ACCOUNT_ID": "549755885175",
        }
        self.lists, self.audiences = {}, {}  # id -> list, with its records; id -> audience
        self.permissions, self.processing = ["ADMIN"], False

    def member(self, n):
        return {"email": f"person{n}@example.com"}

    def holds(self, fields):
        [value] = fields.values()
        return hashlib.sha256(value.lower().encode()).hexdigest() in self.listed()

    def listed(self):
        """The hashes on the list."""
        return {each for held in self.lists.values() if held["name"] == self.list for each in held["records"]} - {
            NOBODY
        }

    def throttled(self, seconds):
        return Refusal(429, "You have exceeded your rate limit. Try again later.", 8).answer

    def __call__(self, request):
        if request.url.path == "/v5/oauth/token":
            return self.signed_in(request)
        if request.headers.get("authorization") != "Bearer not-a-real-access":
            return Refusal(401, "Authentication failed.", 2).answer
        asked = json.loads(request.content) if request.content else dict(request.url.params)
        try:
            return httpx.Response(200, json=self.answer(request, asked))
        except Refusal as refusal:
            return refusal.answer

    def signed_in(self, request):
        known = b64encode(b"1234567:not-a-real-secret").decode()
        form = dict(parse_qsl(request.content.decode()))
        if request.headers.get("authorization") != f"Basic {known}" or form != SIGN_IN:
            return Refusal(401, "Authentication failed.", 2).answer
        refresh = dict.fromkeys(("refresh_token_expires_in", "refresh_token_expires_at"), 5_184_000)
        said = {"access_token": "not-a-real-access", "token_type": "bearer", "expires_in": 2_592_000}
        more = {"response_type": "refresh_token", "scope": "ads:read ads:write"}
        return httpx.Response(200, json={**said, **more, "refresh_token": "not-a-real-refresh", **refresh})

    def answer(self, request, asked):
        match request.method, f"{request.url.path}/".removeprefix(ACCOUNT).strip("/").split("/"):
            case "GET", [""]:
                return {"id": "549755885175", "name": "Tests", "permissions": self.permissions}
            case "GET", ["customer_lists"]:
                return page([shown(each) for each in reversed(self.lists.values())], **asked)
            case "POST", ["customer_lists"]:
                return shown(self.made(**asked))
            case "GET", ["customer_lists", ref]:
                return shown(self.there(ref))
            case "PATCH", ["customer_lists", ref]:
                return shown(self.changed(self.there(ref), **asked))
            case "GET", ["audiences"]:
                return page([*self.audiences.values()], **asked)
            case "POST", ["audiences"]:
                return self.made_of(**asked)
        raise Refusal(404, "Page not found.", 3)

    def there(self, ref):
        if ref not in self.lists:
            raise Refusal(404, "Customer list not found.", 29)
        return self.lists[ref]

    def made(self, name, records, list_type="EMAIL"):
        ref = str(7_000 + len(self.lists))
        self.lists[ref] = {"id": ref, "name": name, "list_type": list_type, "records": set(), "sandbox": self}
        return self.changed(self.lists[ref], "ADD", records)

    def changed(self, held, operation_type, records):
        told = records.split(",")
        if not 1 <= len(told) <= MOST or not all(HASH.fullmatch(each) for each in told):
            raise Refusal(400, "Invalid records.")
        held["records"] = held["records"] | {*told} if operation_type == "ADD" else held["records"] - {*told}
        return held

    def made_of(self, audience_type, name, rule):
        if status(self.there(rule["customer_list_id"])) != "READY":
            raise Refusal(400, "The customer list has too few members.")
        ref = str(9_000 + len(self.audiences))
        made = {"id": ref, "name": name, "audience_type": audience_type, "rule": rule, "type": "audience"}
        self.audiences[ref] = {**made, "status": "INITIALIZING"}
        return self.audiences[ref]


def status(held):
    few = len(held["records"] - {NOBODY}) < FEWEST
    return "PROCESSING" if held["sandbox"].processing else "TOO_SMALL" if few else "READY"


def shown(held):
    """A list as Pinterest tells of it, without its records."""
    told = {"id": held["id"], "name": held["name"], "type": "customerlist", "ad_account_id": "549755885175"}
    return {**told, "status": status(held), "num_batches": 1, "exceptions": {}}


def page(items, page_size=25, bookmark=0, **order):
    size, start = int(page_size), int(bookmark)
    if not 1 <= size <= 250:
        raise Refusal(400, "page_size is 1 to 250")
    more = start + size < len(items)
    return {"items": items[start : start + size], "bookmark": str(start + size) if more else None}
