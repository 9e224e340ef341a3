"""The part of Reddit's Ads API that connectors/reddit_ads.py speaks to, in memory: custom audiences and who is on them.

It keeps what others say who use the API: bodies and answers below `data`, pages that name the next by its address,
2,500 rows a call with a column for each sort of hash, errors as {error: {code, message}}, sign-in by a refresh token
that stays. Nobody can be read back.
Not confirmed, and chosen here: two a page; several audiences may have one name; an answer to a change is empty.
"""

import hashlib
import json
import re
from base64 import b64encode
from urllib.parse import parse_qsl

import httpx

BASE = "https://ads-api.reddit.com/api/v3"
AUDIENCES = "ad_accounts/t2_tests/custom_audiences"
COLUMNS = {"EMAIL_SHA256", "MAID_SHA256"}
HASH = re.compile("[0-9a-f]{64}")
SIGN_IN = {"grant_type": "refresh_token", "refresh_token": "not-a-real-refresh"}
PAGE = 2


class Refusal(Exception):
    """An answer that ends a call."""

    def __init__(self, status, message):
        super().__init__(message)
        self.answer = httpx.Response(status, json={"error": {"code": status, "message": message}})


class Sandbox:
    list = "NPS détracteurs / 2026"

    def __init__(self):
        self.settings = {
            "REDDIT_ADS_CLIENT_ID": "app-1",
            "REDDIT_ADS_CLIENT_SECRET": "not-a-real-secret",
            "REDDIT_ADS_REFRESH_TOKEN": "not-a-real-refresh",
            "REDDIT_ADS_AD_ACCOUNT_ID": "t2_tests",
        }
        self.audiences, self.people = [], {}  # audiences; id -> hashes

    def member(self, n):
        return {"email": f"person{n}@example.com"}

    def holds(self, fields):
        [value] = fields.values()
        return hashlib.sha256(value.lower().encode()).hexdigest() in self.listed()

    def listed(self):
        """The hashes on the list."""
        return {each for held in self.audiences if held["name"] == self.list for each in self.people[held["id"]]}

    def __call__(self, request):
        if not request.headers["user-agent"].startswith("audiences"):
            return httpx.Response(429)
        if (request.url.host, request.url.path) == ("www.reddit.com", "/api/v1/access_token"):
            return self.signed_in(request)
        if request.headers.get("authorization") != "Bearer not-a-real-access":
            return Refusal(401, "Unauthorized").answer
        asked = json.loads(request.content)["data"] if request.content else dict(request.url.params)
        try:
            said = self.answer(request.method, str(request.url.copy_with(query=None)).removeprefix(f"{BASE}/"), asked)
        except Refusal as refusal:
            return refusal.answer
        return httpx.Response(200, json=said) if said else httpx.Response(200)

    def signed_in(self, request):
        known = b64encode(b"app-1:not-a-real-secret").decode()
        if request.headers.get("authorization") != f"Basic {known}":
            return httpx.Response(401, json={"message": "Unauthorized", "error": 401})
        if dict(parse_qsl(request.content.decode())) != SIGN_IN:
            return httpx.Response(400, json={"error": "invalid_grant"})
        said = {"access_token": "not-a-real-access", "token_type": "bearer", "expires_in": 86_400}
        return httpx.Response(200, json={**said, "scope": "adsread adsedit"})

    def answer(self, method, path, asked):
        match method, path.split("/"):
            case "GET", ["me"]:
                return {"data": {"id": "t2_member"}}
            case "GET", ["ad_accounts", "t2_tests", "custom_audiences"]:
                return self.page(int(asked.get("page.token", 0)))
            case "POST", ["ad_accounts", "t2_tests", "custom_audiences"]:
                return {"data": self.made(**asked)}
            case "PATCH", ["custom_audiences", ref, "users"] if ref in self.people:
                return self.changed(self.people[ref], **asked)
        raise Refusal(404, "Not found")

    def page(self, start):
        after = start + PAGE
        following = f"{BASE}/{AUDIENCES}?page.token={after}" if after < len(self.audiences) else None
        return {"data": self.audiences[start:after], "pagination": {"next_url": following}}

    def made(self, name, type):
        if type != "CUSTOMER_LIST":
            raise Refusal(400, "unknown type")
        self.audiences.append({"id": f"a{len(self.audiences)}", "name": name, "type": type, "status": "VALID"})
        self.people[self.audiences[-1]["id"]] = set()
        return self.audiences[-1]

    def changed(self, people, action_type, column_order, user_data):
        rows = [dict(zip(column_order, row, strict=True)) for row in user_data]
        hashes = {value for row in rows for value in row.values()}
        if not 1 <= len(rows) <= 2500 or {*column_order} - COLUMNS or not all(map(HASH.fullmatch, hashes)):
            raise Refusal(400, "Invalid user data")
        (people.update if action_type == "ADD" else people.difference_update)(hashes)
