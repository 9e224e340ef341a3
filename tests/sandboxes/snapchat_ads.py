"""The part of Snap's Marketing API that connectors/snapchat_ads.py speaks to, in memory: one ad account's segments.

It keeps what the vendor documents: an OAuth sign-in, answers with a status for each part, one sort of identifier a
call, and a count of what was uploaded. Not documented, and chosen here: up to 100,000 identifiers a call, two segments
may have one name, a page has two, a part that fails does so in an answer of 200, and `unusable` is not counted.
"""

import hashlib
import json
import re
from itertools import count
from urllib.parse import parse_qs

import httpx

HASH = re.compile("[0-9a-f]{64}")
SCHEMA = ("EMAIL_SHA256", "PHONE_SHA256", "MOBILE_AD_ID_SHA256")
ACCOUNT = "8adc3db7-8148-4fbf-999c-8d2266369d74"
ACCESS = "not-a-real-access-token"
ASKED = {
    "grant_type": ["refresh_token"],
    "refresh_token": ["not-a-real-refresh-token"],
    "client_id": ["app-1"],
    "client_secret": ["not-a-real-secret"],
}


class Sandbox:
    list = "Detractors / 2026"
    rate = (10, 1)

    def __init__(self):
        self.settings = {
            "SNAPCHAT_ADS_CLIENT_ID": "app-1",
            "SNAPCHAT_ADS_CLIENT_SECRET": "not-a-real-secret",
            "SNAPCHAT_ADS_REFRESH_TOKEN": "not-a-real-refresh-token",
            "SNAPCHAT_ADS_AD_ACCOUNT_ID": ACCOUNT,
        }
        self.numbers = count(1001)
        self.segments = {"1000": segment("1000", "Website visitors", source_type="PIXEL", retention_in_days=180)}
        self.held = {"1000": set()}  # id -> (schema, hash)
        self.unusable = set()  # hashes that Snapchat does not take

    def member(self, n):
        return {"email": f"person{n}@example.com"}

    def unwelcome(self):
        return {"email": "nowhere"}

    def holds(self, fields):
        return ("EMAIL_SHA256", hashlib.sha256(fields["email"].encode()).hexdigest()) in self.rows()

    def listed(self):
        return [each for _, each in self.rows()]

    def rows(self):
        return next((self.held[each] for each, said in self.segments.items() if said["name"] == self.list), set())

    def throttled(self, seconds):
        return failed(429, "Too Many Requests")

    def __call__(self, request):
        if request.url == "https://accounts.snapchat.com/login/oauth2/access_token":
            if parse_qs(request.content.decode()) != ASKED:
                return httpx.Response(400, json={"error": "invalid_grant"})
            token = {"access_token": ACCESS, "token_type": "Bearer", "expires_in": 1800}
            return httpx.Response(200, json={**token, "refresh_token": "not-a-real-refresh-token"})
        if request.url.host != "adsapi.snapchat.com":
            return httpx.Response(404)
        if request.headers.get("authorization") != f"Bearer {ACCESS}":
            return failed(401, "unauthorized")
        told = json.loads(request.content) if request.content else dict(request.url.params)
        match request.method, request.url.path.removeprefix("/v1").split("/")[1:]:
            case "GET", ["adaccounts", account] if account == ACCOUNT:
                return said("adaccounts", {"adaccount": {"id": ACCOUNT, "name": "Snap of the tests"}})
            case "GET", ["adaccounts", account, "segments"] if account == ACCOUNT:
                return self.page(int(told.get("cursor", 0)))
            case "POST", ["adaccounts", account, "segments"] if account == ACCOUNT:
                return self.made(**told["segments"][0])
            case "GET", ["segments", place] if place in self.segments:
                return said("segments", {"segment": self.segments[place]})
            case ("POST" | "DELETE") as what, ["segments", place, "users"] if place in self.segments:
                return self.changed(what, self.held[place], **told["users"][0])
        return failed(404, "Entity not found")

    def page(self, start):
        shown = list(self.segments.values())[start : start + 2]
        link = f"https://adsapi.snapchat.com/v1/adaccounts/{ACCOUNT}/segments?cursor={start + 2}"
        paging = {"next_link": link} if start + 2 < len(self.segments) else {}
        return said("segments", *({"segment": each} for each in shown), paging=paging)

    def made(self, name, source_type, ad_account_id, description, retention_in_days):
        if source_type != "FIRST_PARTY" or ad_account_id != ACCOUNT or not 1 <= len(name) <= 375:
            return httpx.Response(200, json=answer("SUCCESS", segments=[{"sub_request_status": "ERROR"}]))
        number = str(next(self.numbers))
        self.segments[number] = segment(number, name, source_type=source_type, retention_in_days=retention_in_days)
        self.held[number] = set()
        return said("segments", {"segment": self.segments[number]})

    def changed(self, what, held, schema, data):
        if len(schema) != 1 or schema[0] not in SCHEMA or not 1 <= len(data) <= 100_000:
            return failed(400, "one schema, and 1 to 100,000 users")
        if not all(len(row) == 1 and HASH.fullmatch(row[0]) for row in data):
            return failed(400, "SHA-256 in lower-case hex")
        taken = {(schema[0], row[0]) for row in data if row[0] not in self.unusable}
        held |= taken
        if what == "DELETE":
            held -= taken
        return said(
            "users", {"user": {"number_uploaded_users": len([row for row in data if row[0] not in self.unusable])}}
        )


def segment(number, name, **more):
    return {"id": number, "name": name, "ad_account_id": ACCOUNT, "status": "ACTIVE", **more}


def answer(status, **more):
    return {"request_status": status, "request_id": "57c4-not-real", **more}


def said(what, *parts, **more):
    told = [{"sub_request_status": "SUCCESS", **part} for part in parts]
    return httpx.Response(200, json=answer("SUCCESS", **{what: told}, **more))


def failed(status, words):
    return httpx.Response(status, json=answer("ERROR", debug_message=words, display_message=words, error_code="E1000"))
