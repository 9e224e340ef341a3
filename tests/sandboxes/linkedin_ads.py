"""The part of LinkedIn's API that connectors/linkedin_ads.py speaks to, in memory: DMP segments, who is in them.

It keeps what LinkedIn documents: version and protocol headers, segments of an account by source platform in pages, a
segment that is not there yet for the first calls after it was made, batches of entries each with a status of its own,
201 for who is there already and for the removal of who is not, and a 429 that names no time.
Not documented, and chosen here: 5,000 entries a call at most, pages of 100, and two segments may have one name.
"""

import json
import re
from hashlib import sha256
from urllib.parse import parse_qs

import httpx

ACCOUNT = "urn:li:sponsoredAccount:507000"
options = ({}, {"object": "company"})


class Refusal(Exception):
    """An answer that ends a call."""

    def __init__(self, status, code):
        super().__init__(code)
        told = {"status": status, "code": code, "message": "See the documentation."}
        self.answer = httpx.Response(status, json=told)


class Sandbox:
    list = "NPS / détracteurs (2026), all"
    rate = (300, 60)

    def __init__(self):
        self.settings = {
            "LINKEDIN_ADS_CLIENT_ID": "app-1",
            "LINKEDIN_ADS_CLIENT_SECRET": "not-a-real-secret",
            "LINKEDIN_ADS_REFRESH_TOKEN": "not-a-real-refresh",
            "LINKEDIN_ADS_ACCOUNT_ID": "507000",
            "LINKEDIN_ADS_PLATFORM": "ACME_DATA",
        }
        self.options = {}  # of the sync
        self.segments = {}  # id -> as LinkedIn shows it
        self.on = set()  # (id of the segment, entry as JSON)
        self.allowed = True  # whether the app is in the program
        self.unready = 0  # calls after which a new segment is found by those that fill it
        self.refuses = {}  # entry as JSON -> why

    def member(self, n):
        return {"domain": f"company{n}.example.com"} if self.companies else {"email": f"person{n}@example.com"}

    def unwelcome(self):
        return {"domain": "nowhere"} if self.companies else {"email": "nowhere"}

    @property
    def companies(self):
        return self.options.get("object") == "company"

    def holds(self, fields):
        return (self.id_of(self.list), entry_of(fields)) in self.on

    def listed(self):
        return [last(json.loads(each)) for where, each in self.on if where == self.id_of(self.list)]

    def id_of(self, name):
        return next((ref for ref, each in self.segments.items() if each["name"] == name), None)

    def throttled(self, seconds):
        return Refusal(429, "TOO_MANY_REQUESTS").answer

    def __call__(self, request):
        if request.url.host == "www.linkedin.com":
            asked = parse_qs(request.content.decode())
            assert asked["grant_type"] == ["refresh_token"]
            return httpx.Response(200, json={"access_token": "not-a-real-access", "expires_in": 5183999})
        try:
            assert request.url.host == "api.linkedin.com"
            self.admit(request.headers)
            for route, answer in ROUTES.items():
                if found := re.fullmatch(route, f"{request.method} {request.url.path.removeprefix('/rest')}"):
                    return answer(self, *found.groups(), request)
            raise Refusal(404, "NOT_FOUND")
        except Refusal as refusal:
            return refusal.answer

    def admit(self, headers):
        if headers.get("authorization") != "Bearer not-a-real-access":
            raise Refusal(401, "INVALID_ACCESS_TOKEN")
        if not re.fullmatch(r"20\d{4}", headers.get("linkedin-version", "")):
            raise Refusal(400, "VERSION_MISSING")
        assert headers["x-restli-protocol-version"] == "2.0.0"
        if not self.allowed:
            raise Refusal(403, "ACCESS_DENIED")

    def find(self, request):
        asked = request.url.params
        assert asked["q"] == "account"
        mine = [each for each in self.segments.values() if each["account"] == asked["account"]]
        if platform := asked.get("sourcePlatform"):
            mine = [each for each in mine if each["sourcePlatform"] == platform]
        start, count = int(asked.get("start", 0)), int(asked["count"])
        if not 1 <= count <= 100:
            raise Refusal(400, "PARAM_INVALID")
        paging = {"start": start, "count": count, "links": [], "total": len(mine)}
        return httpx.Response(200, json={"elements": mine[start : start + count], "paging": paging})

    def make(self, request):
        told = json.loads(request.content)
        wanted = {"name", "account", "sourcePlatform", "accessPolicy", "type", "destinations"}
        assert told.keys() == wanted, told
        assert (told["account"], told["destinations"]) == (ACCOUNT, [{"destination": "LINKEDIN"}])
        return httpx.Response(201, headers={"x-restli-id": self.has(**told)})

    def has(self, **fields):
        """One more segment; its id."""
        ref = 10_800 + len(self.segments)
        whose = {"account": ACCOUNT, "sourcePlatform": "ACME_DATA", "type": "USER"}
        self.segments[str(ref)] = {"id": ref, **whose, **fields, "unready": self.unready}
        return str(ref)

    def show(self, ref, request):
        if ref not in self.segments:
            raise Refusal(404, "NOT_FOUND")
        return httpx.Response(200, json=self.segments[ref])

    def fill(self, ref, edge, request):
        kept, elements = self.segments.get(ref), json.loads(request.content)["elements"]
        if kept is None or kept["unready"]:
            self.segments[ref]["unready"] -= 1
            raise Refusal(404, "NOT_FOUND")
        if (kept["type"], edge) not in {("USER", "users"), ("COMPANY", "companies")}:
            raise Refusal(400, "ILLEGAL_SEGMENT_TYPE")
        if not 1 <= len(elements) <= 5000 or request.headers["x-restli-method"] != "BATCH_CREATE":
            raise Refusal(400, "BATCH_TOO_LARGE")
        return httpx.Response(200, json={"elements": [self.entered(ref, edge, **each) for each in elements]})

    def entered(self, ref, edge, action, **entry):
        text = json.dumps(entry, sort_keys=True)
        if why := self.refuses.get(text) or fault(edge, entry):
            return {"status": 400, "error": {"message": why, "status": 400}}
        (self.on.add if action == "ADD" else self.on.discard)((ref, text))
        return {"status": 201}


ROUTES = {
    r"GET /dmpSegments": Sandbox.find,
    r"POST /dmpSegments": Sandbox.make,
    r"GET /dmpSegments/(\d+)": Sandbox.show,
    r"POST /dmpSegments/(\d+)/(users|companies)": Sandbox.fill,
}


def fault(edge, entry):
    if edge == "companies":
        known = {"companyWebsiteDomain", "organizationUrn"}
        return "" if entry.keys() <= known and entry else "a company without anything to match it by"
    [one] = entry["userIds"]
    fits = {"SHA256_EMAIL": "[0-9a-f]{64}", "GOOGLE_AID": r"[0-9a-f-]{36}"}
    return "" if re.fullmatch(fits[one["idType"]], one["idValue"]) else "an id that is not of its type"


def entry_of(fields):
    """How LinkedIn keeps someone, or a company, of whom this is known."""
    if "domain" in fields:
        return json.dumps({"companyWebsiteDomain": fields["domain"].strip().lower()})
    digest = sha256(fields["email"].strip().lower().encode()).hexdigest()
    return json.dumps({"userIds": [{"idType": "SHA256_EMAIL", "idValue": digest}]})


def last(entry):
    return entry["userIds"][0]["idValue"] if "userIds" in entry else next(iter(entry.values()))
