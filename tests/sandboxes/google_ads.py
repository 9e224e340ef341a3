"""The part of the Data Manager API that connectors/google_ads.py speaks to, in memory: lists, uploads, their fates.

It keeps what Google documents: a whole upload that is turned down for one bad entry, 10,000 entries of at most 10
identifiers, all of one data type, hashes of 64 hex digits, the terms and both consents, names that are taken once,
pages, a status for each upload that is PROCESSING until it is over, and 429 with the name of the limit.
Not documented, and chosen here: an upload that is not known is a 400 with INVALID_REQUEST_ID, places count from 0, and
a filter has no quote within.
"""

import json
import re
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import parse_qs

import httpx

from pem import private_key

options = ({"terms": "accepted", "ad_user_data": "granted", "ad_personalization": "granted"},)

ACCOUNT, MANAGER = "1234567890", "9876543210"
LISTS = f"/v1/accountTypes/GOOGLE_ADS/accounts/{ACCOUNT}/userLists"
GRANTED = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}


class Refusal(Exception):
    """An answer that ends a call."""

    def __init__(self, status, reason, field="", **metadata):
        super().__init__(reason)
        told = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "datamanager.googleapis.com"}
        details = [{**told, "reason": reason, **({"metadata": metadata} if metadata else {})}]
        if field:
            details[0]["reason"] = "INVALID_ARGUMENT"
            wrong = {"field": field, "reason": reason}
            details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [wrong]})
        words = {"code": status, "message": "There was a problem with the request.", "details": details}
        self.answer = said({"error": {**words, "status": STATUSES.get(status, "RESOURCE_EXHAUSTED")}}, status)


class Sandbox:
    list = "NPS / détracteurs (2026), all"
    rate = (300, 60)

    def __init__(self):
        self.settings = {
            "GOOGLE_ADS_CLIENT_EMAIL": "worker@project.example.com",
            "GOOGLE_ADS_PRIVATE_KEY": private_key(),
            "GOOGLE_ADS_ACCOUNT_ID": ACCOUNT,
            "GOOGLE_ADS_LOGIN_ACCOUNT_ID": MANAGER,
        }
        self.options = {}  # of the sync
        self.lists = {}  # id -> as Google shows it
        self.on = {}  # (id of the list, identifier as JSON) -> when it was last added
        self.uploads = {}  # request id -> verb, list, entries, status, errors
        self.signed = True  # the account's terms
        self.fails = {}  # identifier as JSON -> why its upload fails in the end
        self.places = True  # whether a status names whom it is about
        self.page_size = 1000

    def member(self, n):
        return {"email": f"person{n}@example.com"}

    def unwelcome(self):
        return {"email": "nowhere"}

    def holds(self, fields):
        return (self.id_of(self.list), email(fields["email"])) in self.on

    def listed(self):
        """The hashes, as Google has them."""
        return [
            value for where, each in self.on if where == self.id_of(self.list) for value in json.loads(each).values()
        ]

    def id_of(self, name):
        return next((ref for ref, each in self.lists.items() if each["displayName"] == name), None)

    def throttled(self, seconds):
        limit = {"quota_limit": "IngestionMutateRequestsPerMinutePerProject"}
        return Refusal(429, "RATE_LIMIT_EXCEEDED", **limit).answer

    def works(self):
        """Every upload is over: its entries are on the list or off it, but for those that fail."""
        for upload in self.uploads.values():
            if upload["status"] == "PROCESSING":
                self.settle(upload)

    def settle(self, upload):
        lost = {place: self.fails[each] for place, each in enumerate(upload["entries"]) if each in self.fails}
        for each in (each for place, each in enumerate(upload["entries"]) if place not in lost):
            self.on.pop((upload["list"], each), None)
            self.on |= {(upload["list"], each): upload["at"]} if upload["verb"] == "ingest" else {}
        upload["status"] = "SUCCESS" if not lost else "PARTIAL_SUCCESS"
        if lost and len(lost) == len(upload["entries"]):
            upload["status"] = "FAILED"
        for why in sorted(set(lost.values())):
            where = [place for place, each in lost.items() if each == why]
            told = {"reason": f"PROCESSING_ERROR_REASON_{why}", "recordCount": str(len(where))}
            upload["errors"].append(told | ({"recordIndices": where} if self.places else {}))

    def __call__(self, request):
        if request.url.host == "oauth2.googleapis.com":
            asked = parse_qs(request.content.decode())
            assert asked["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
            return said({"access_token": "not-a-real-access", "expires_in": 3599})
        try:
            assert request.url.host == "datamanager.googleapis.com"
            if request.headers.get("authorization") != "Bearer not-a-real-access":
                raise Refusal(401, "ACCESS_TOKEN_TYPE_UNSUPPORTED")
            for route, answer in ROUTES.items():
                if found := re.fullmatch(route, f"{request.method} {request.url.path}"):
                    return said(answer(self, *found.groups(), asked_of(request)))
            raise Refusal(404, "NOT_FOUND")
        except Refusal as refusal:
            return refusal.answer

    def all_lists(self, asked):
        found = [*self.lists.values()]
        if words := asked.get("filter"):
            [name] = re.fullmatch(r'display_name = "([^"\\]*)"', words).groups()
            found = [each for each in found if each["displayName"] == name]
        start, size = int(asked.get("pageToken", 0)), min(self.page_size, int(asked.get("pageSize", 50)))
        page = {"userLists": found[start : start + size]} if found[start : start + size] else {}
        return page | ({"nextPageToken": str(start + size)} if found[start + size :] else {})

    def one_list(self, ref, asked):
        if ref not in self.lists:
            raise Refusal(403, "PERMISSION_DENIED")
        return self.lists[ref]

    def make_list(self, asked):
        if asked["displayName"] in [each["displayName"] for each in self.lists.values()]:
            raise Refusal(400, "DISPLAY_NAME_ALREADY_USED", "user_list.display_name")
        if int(asked["membershipDuration"].removesuffix("s")) % 86_400:
            raise Refusal(400, "INVALID_ARGUMENT", "user_list.membership_duration")
        return self.has(**asked)

    def has(self, **fields):
        """One more list of the account."""
        ref = str(7_000_000 + len(self.lists))
        kept = {"name": f"{LISTS.removeprefix('/v1/')}/{ref}", "id": ref, "membershipStatus": "OPEN"}
        self.lists[ref] = {**kept, "accessReason": "OWNED", **fields}
        return self.lists[ref]

    def upload(self, verb, asked):
        [there] = asked["destinations"]
        if there["operatingAccount"] != account(ACCOUNT) or there["loginAccount"] != account(MANAGER):
            raise Refusal(400, "INVALID_DESTINATION", "destinations[0]")
        if (kept := self.lists.get(there["productDestinationId"])) is None:
            raise Refusal(400, "INVALID_USER_LIST_ID", "destinations[0].product_destination_id")
        if kept["ingestedUserListInfo"]["uploadKeyTypes"] != ["CONTACT_ID"]:
            raise Refusal(400, "INVALID_USER_LIST_TYPE", "audience_members[0]")
        if verb == "ingest":
            self.agreed(asked)
        people = asked["audienceMembers"]
        if not 1 <= len(people) <= 10_000 or asked["encoding"] != "HEX":
            raise Refusal(400, "TOO_MANY_AUDIENCE_MEMBERS", "audience_members")
        entries = [entry(place, each) for place, each in enumerate(people)]
        ref = f"r-{len(self.uploads)}"
        kept = {"verb": verb, "list": kept["id"], "entries": entries, "status": "PROCESSING", "errors": []}
        kept["at"] = datetime.now(UTC)
        self.uploads[ref] = kept
        return {"requestId": ref}

    def remove_all(self, asked):
        """At once, of those who were last added before."""
        [there], before = asked["destinations"], datetime.fromisoformat(asked["removeAsOfTime"])
        if before > datetime.now(UTC):
            raise Refusal(400, "INVALID_REMOVE_AS_OF_TIME", "remove_as_of_time")
        mine = {each: at for each, at in self.on.items() if each[0] == there["productDestinationId"]}
        self.on = {each: at for each, at in self.on.items() if each not in mine or at >= before}
        return {"requestId": "r-all"}

    def agreed(self, asked):
        terms = asked.get("termsOfService", {}).get("customerMatchTermsOfServiceStatus")
        if terms != "ACCEPTED" or not self.signed:
            raise Refusal(400, "TERMS_AND_CONDITIONS_NOT_SIGNED", "terms_of_service")
        assert asked["consent"] == GRANTED

    def status(self, asked):
        if asked["requestId"] not in self.uploads:
            raise Refusal(400, "INVALID_REQUEST_ID", "request_id")
        upload = self.uploads[asked["requestId"]]
        name = {"ingest": "audienceMembersIngestionStatus", "remove": "audienceMembersRemovalStatus"}[upload["verb"]]
        kind = {"ingest": "userDataIngestionStatus", "remove": "userDataRemovalStatus"}[upload["verb"]]
        told = {"requestStatus": upload["status"], name: {kind: {"recordCount": str(len(upload["entries"]))}}}
        errors = {"errorInfo": {"errorCounts": upload["errors"]}} if upload["errors"] else {}
        return {"requestStatusPerDestination": [{**told, **errors}]}


ROUTES = {
    rf"GET {LISTS}": Sandbox.all_lists,
    rf"POST {LISTS}": Sandbox.make_list,
    rf"GET {LISTS}/(\d+)": Sandbox.one_list,
    r"POST /v1/audienceMembers:(ingest|remove)": Sandbox.upload,
    r"POST /v1/audienceMembers:removeAll": Sandbox.remove_all,
    r"GET /v1/requestStatus:retrieve": Sandbox.status,
}


def email(address):
    mailbox, _, host = address.strip().lower().partition("@")
    if host in ("gmail.com", "googlemail.com"):
        mailbox = mailbox.split("+")[0].replace(".", "")
    return json.dumps({"emailAddress": sha256(f"{mailbox}@{host}".encode()).hexdigest()})


def entry(place, told):
    """What one entry of an upload holds, as JSON, once it is as Google asks."""
    [one] = told["userData"]["userIdentifiers"]
    [(name, value)] = one.items()
    hashes = [value] if isinstance(value, str) else [value["givenName"], value["familyName"]]
    if not all(re.fullmatch("[0-9a-f]{64}", each) for each in hashes):
        raise Refusal(400, "INVALID_SHA256_FORMAT", f"audience_members.audience_members[{place}]")
    if name == "address" and not re.fullmatch("[A-Z]{2}", value["regionCode"]):
        raise Refusal(400, "INVALID_REGION_CODE", f"audience_members.audience_members[{place}]")
    return json.dumps(one, sort_keys=True)


def account(number):
    return {"accountType": "GOOGLE_ADS", "accountId": number}


def asked_of(request):
    return dict(request.url.params) if request.method == "GET" else json.loads(request.content)


def said(body, status=200):
    return httpx.Response(status, json=body)
