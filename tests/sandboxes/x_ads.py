"""The part of X's Ads API that connectors/x_ads.py speaks to, in memory: custom audiences and the people on them.

It keeps what the vendor documents: calls are signed by OAuth 1.0a; a name is one audience's, and is looked for by its
beginning, in any case; 200 audiences a page unless more are asked for and 1,000 at most; 2,500 operations and 5,000,000
bytes a call, which fails or succeeds as a whole; errors of an operation stand in its place in `operation_errors`;
two counts of people; limits as x-rate-limit headers. Nobody can be read back.
Not documented, and chosen here: the places of the operations without an error are empty; an account that is not the
app's is a 403; a hash that is none is an INVALID_PARAMETER; what becomes of an audience that is too small is not kept.
"""

import base64
import hashlib
import hmac
import json
import re
import time
from email.utils import formatdate
from urllib.parse import quote, unquote

import httpx

PATH = "/12/accounts/18ce54d4x5t/custom_audiences"
SECRETS = "not-a-real-secret&not-a-real-token-secret"
HASH = re.compile("[0-9a-f]{64}")
KNOWN_BY = {"email", "device_id", "handle", "twitter_id", "phone_number", "partner_user_id"}


class Refusal(Exception):
    """An answer that ends a call."""

    def __init__(self, status, code, message, headers=None, **more):
        super().__init__(message)
        said = {"errors": [{"code": code, "message": message}], "request": {"params": {}}, **more}
        self.answer = httpx.Response(status, headers=headers, json=said)


class Sandbox:
    list = "NPS détracteurs / 2026"
    rate = (1500, 60)

    def __init__(self):
        self.settings = {
            "X_ADS_CONSUMER_KEY": "consumer",
            "X_ADS_CONSUMER_SECRET": "not-a-real-secret",
            "X_ADS_ACCESS_TOKEN": "700-token",
            "X_ADS_ACCESS_TOKEN_SECRET": "not-a-real-token-secret",
            "X_ADS_ACCOUNT_ID": "18ce54d4x5t",
        }
        self.audiences, self.people = {}, {}  # id -> audience; id -> {(kind, hash)}
        self.refuses = {hashed("never@example.com")}
        self.nonces = set()

    def member(self, n):
        return {"email": f"person{n}@example.com"}

    def unwelcome(self):
        return {"email": "never@example.com"}

    def holds(self, fields):
        [value] = fields.values()
        return hashed(value.lower()) in self.listed()

    def listed(self):
        """The hashes on the list."""
        ids = [ref for ref, each in self.audiences.items() if each["name"] == self.list]
        return {known for ref in ids for _, known in self.people[ref]}

    def throttled(self, seconds):
        now = int(time.time())
        left = {"x-rate-limit-limit": "1500", "x-rate-limit-remaining": "0", "x-rate-limit-reset": str(now + seconds)}
        dated = {"date": formatdate(now, usegmt=True)}
        return Refusal(429, "TOO_MANY_REQUESTS", "Too many requests", left | dated).answer

    def __call__(self, request):
        if not self.signed(request):
            return Refusal(401, "UNAUTHORIZED_ACCESS", "This request is not properly authenticated").answer
        try:
            return httpx.Response(200, json=self.answer(request, dict(request.url.params)))
        except Refusal as refusal:
            return refusal.answer

    def signed(self, request):
        """Whether a request carries the signature that RFC 5849 asks for, with a nonce of its own."""
        scheme, _, rest = request.headers.get("authorization", "").partition(" ")
        said = {name: unquote(value) for name, value in re.findall(r'(\w+)="([^"]*)"', rest)}
        found, known = said.pop("oauth_signature", ""), (said.get("oauth_consumer_key"), said.get("oauth_token"))
        pairs = sorted(
            (written(name), written(value)) for name, value in [*said.items(), *request.url.params.multi_items()]
        )
        url = f"https://{request.url.host}{request.url.raw_path.decode().partition('?')[0]}"
        base = "&".join(written(each) for each in (request.method, url, "&".join(f"{n}={v}" for n, v in pairs)))
        right = base64.b64encode(hmac.digest(SECRETS.encode(), base.encode(), "sha1")).decode()
        fresh = said.get("oauth_nonce") not in self.nonces
        self.nonces.add(said.get("oauth_nonce"))
        return scheme == "OAuth" and fresh and known == ("consumer", "700-token") and found == right

    def answer(self, request, asked):
        match request.method, request.url.path.removeprefix(PATH).split("/"):
            case "GET", [""]:
                return self.page(**asked)
            case "POST", [""]:
                return {"data": self.made(**asked)}
            case "POST", ["", ref, "users"] if ref in self.audiences:
                return {"data": self.changed(self.people[ref], request.content)}
            case "POST", ["", _, "users"]:
                raise Refusal(404, "NOT_FOUND", "Custom audience was not found")
        raise Refusal(404, "ROUTE_NOT_FOUND", "The requested resource could not be found")

    def page(self, q="", count=200, cursor=0):
        size, start = int(count), int(cursor)
        if not 1 <= size <= 1000 or len(q) > 255:
            raise Refusal(400, "INVALID_PARAMETER", "Expected 1 to 1000 for count, and 1 to 255 characters for q")
        found = [each for each in self.audiences.values() if each["name"].lower().startswith(q.lower())]
        more = start + size < len(found)
        return {"data": found[start : start + size], "next_cursor": str(start + size) if more else None}

    def made(self, name):
        if name in [each["name"] for each in self.audiences.values()]:
            raise Refusal(400, "INVALID_PARAMETER", "Audience name must be unique")
        ref = f"{len(self.audiences) + 1:x}nmth"
        self.people[ref] = set()
        self.audiences[ref] = {"id": ref, "name": name, "audience_type": "CRM", "audience_size": None, "deleted": False}
        return self.audiences[ref]

    def changed(self, people, content):
        told = json.loads(content)
        if len(told) > 2500 or len(content) > 5_000_000:
            raise Refusal(400, "INVALID_PARAMETER", "Maximum batch size exceeded")
        errors = [self.faults(**each) for each in told]
        if any(errors):
            raise Refusal(400, "INVALID_PARAMETER", "Some operations failed", operation_errors=errors)
        for each in told:
            known = {(kind, value) for user in each["params"]["users"] for kind in user for value in user[kind]}
            (people.update if each["operation_type"] == "Update" else people.difference_update)(known)
        count = sum(len(each["params"]["users"]) for each in told)
        return {"success_count": count, "total_count": count}

    def faults(self, operation_type, params):
        """The errors of one operation."""
        known = [(kind, value) for user in params["users"] for kind, values in user.items() for value in values]
        wrong = not known or {kind for kind, _ in known} - KNOWN_BY or operation_type not in ("Update", "Delete")
        if wrong or not all(HASH.fullmatch(value) for _, value in known) or params.keys() - {"users", "expires_at"}:
            return [{"code": "INVALID_PARAMETER", "message": "Expected SHA-256", "parameter": "users"}]
        if operation_type == "Update" and self.refuses & {value for _, value in known}:
            return [{"code": "INVALID_USER", "message": "This user cannot be added", "parameter": "users"}]
        return []


def hashed(text):
    return hashlib.sha256(text.encode()).hexdigest()


def written(text):
    return quote(text, safe="-._~")
