"""The part of Microsoft Advertising that connectors/microsoft_ads.py speaks to, in memory: customer lists and entries.

It keeps what Microsoft documents: lists of an account, asked for by id or all at once, with None in the place of one
that is not there; a parent and a scope that a new one needs; hashes of 64 hex digits; errors by place in an answer of
200; the terms; faults with a code. Not documented, and chosen here: a fault is a 400, a name is taken once, and a call
has at most 1,000 entries.
"""

import json
import re
from hashlib import sha256
from urllib.parse import parse_qs

import httpx

ACCOUNT, CUSTOMER = "1200300", "4500600"
BASE = "/CampaignManagement/v13"
options = ({}, {"terms": "accepted"})


class Refusal(Exception):
    """A fault that ends a call."""

    def __init__(self, code, name, status=400):
        super().__init__(name)
        error = {"Code": code, "ErrorCode": name, "Message": "See the codes.", "Detail": None}
        self.answer = httpx.Response(status, json={"TrackingId": "t", "Type": "AdApiFaultDetail", "Errors": [error]})


class Sandbox:
    list = "NPS / détracteurs (2026), all"

    def __init__(self):
        self.settings = {
            "MICROSOFT_ADS_CLIENT_ID": "app-1",
            "MICROSOFT_ADS_CLIENT_SECRET": "not-a-real-secret",
            "MICROSOFT_ADS_REFRESH_TOKEN": "not-a-real-refresh",
            "MICROSOFT_ADS_DEVELOPER_TOKEN": "not-a-real-developer",
            "MICROSOFT_ADS_CUSTOMER_ID": CUSTOMER,
            "MICROSOFT_ADS_ACCOUNT_ID": ACCOUNT,
        }
        self.options = {}  # of the sync
        self.lists = {}  # id -> as Microsoft shows it
        self.on = set()  # (id of the list, type, item)
        self.signed = True  # the terms, in the web interface
        self.refuses = {}  # item -> (code, name)

    def member(self, n):
        return {"email": f"person{n}@example.com"}

    def unwelcome(self):
        return {"email": "nowhere"}

    def holds(self, fields):
        return (self.id_of(self.list), "Email", hashed(fields["email"])) in self.on

    def listed(self):
        return [item for where, _, item in self.on if where == self.id_of(self.list)]

    def id_of(self, name):
        return next((ref for ref, each in self.lists.items() if each["Name"] == name), None)

    def throttled(self, seconds):
        return Refusal(117, "CallRateExceeded").answer

    def __call__(self, request):
        if request.url.host == "login.microsoftonline.com":
            asked = parse_qs(request.content.decode())
            assert asked["grant_type"] == ["refresh_token"]
            assert asked["refresh_token"] == ["not-a-real-refresh"]
            return httpx.Response(200, json={"access_token": "not-a-real-access", "expires_in": 3599})
        try:
            assert request.url.host == "campaign.api.bingads.microsoft.com"
            self.admit(request.headers)
            answer = ROUTES[f"{request.method} {request.url.path.removeprefix(BASE)}"]
            return httpx.Response(200, json=answer(self, json.loads(request.content)))
        except Refusal as refusal:
            return refusal.answer

    def admit(self, headers):
        known = {"authorization": "Bearer not-a-real-access", "developertoken": "not-a-real-developer"}
        if any(headers.get(name) != value for name, value in known.items()):
            raise Refusal(105, "InvalidCredentials", 401)
        if (headers.get("customerid"), headers.get("customeraccountid")) != (CUSTOMER, ACCOUNT):
            raise Refusal(106, "UserIsNotAuthorized")

    def query(self, asked):
        assert asked["Type"] == "CustomerList"
        if not (ids := asked.get("AudienceIds")):
            return {"Audiences": [*self.lists.values()], "PartialErrors": []}
        found = [self.lists.get(each) for each in ids]
        errors = [error(n, 4303, "AudienceIdInvalid") for n, each in enumerate(found) if each is None]
        return {"Audiences": found, "PartialErrors": errors}

    def make(self, asked):
        [wanted] = asked["Audiences"]
        assert (wanted["Type"], wanted["Scope"], wanted["ParentId"]) == ("CustomerList", "Account", ACCOUNT)
        if self.id_of(wanted["Name"]) or len(wanted["Name"]) > 128 or not 1 <= wanted["MembershipDuration"] <= 390:
            return {"AudienceIds": [None], "PartialErrors": [error(0, 4300, "AudienceNotValid")]}
        return {"AudienceIds": [self.has(**wanted)], "PartialErrors": []}

    def has(self, **fields):
        """One more list of the account; its id."""
        ref = str(800_000_000 + len(self.lists))
        self.lists[ref] = {"Id": ref, "Type": "CustomerList", "SearchSize": None, **fields}
        return ref

    def apply(self, asked):
        told = asked["CustomerListUserData"]
        assert told.keys() - {"AcceptCustomerMatchTerm"} == {
            "AudienceId", "ActionType", "CustomerListItemSubType", "CustomerListItems"
        }  # fmt: skip
        kind, items = told["CustomerListItemSubType"], told["CustomerListItems"]
        if told["AudienceId"] not in self.lists:
            return {"PartialErrors": [error(0, 8000, "InvalidCustomerListId")]}
        if not (self.signed or told.get("AcceptCustomerMatchTerm")):
            return {"PartialErrors": [error(0, 8003, "CustomerMatchTermNotAccepted")]}
        if not 1 <= len(items) <= 1000:
            raise Refusal(1001, "EntityArrayExceedsLimit")
        errors = [error(n, *why) for n, item in enumerate(items) if (why := self.fault(kind, item))]
        wrong = {each["Index"] for each in errors}
        rows = {(told["AudienceId"], kind, item) for n, item in enumerate(items) if n not in wrong}
        self.on = self.on | rows if told["ActionType"] == "Add" else self.on - rows
        return {"PartialErrors": errors}

    def fault(self, kind, item):
        if kind == "Email" and not re.fullmatch("[0-9a-f]{64}", item):
            return 8004, "EmailMustBeHashed"
        return self.refuses.get(item)


ROUTES = {
    "POST /Audiences/QueryByIds": Sandbox.query,
    "POST /Audiences": Sandbox.make,
    "POST /CustomerListUserData/Apply": Sandbox.apply,
}


def hashed(address):
    return sha256(address.strip().lower().encode()).hexdigest()


def error(place, code, name):
    told = {"Index": place, "Code": code, "ErrorCode": name, "Message": "See the codes.", "FieldPath": None}
    return {**told, "Type": "BatchError", "Details": None, "ForwardCompatibilityMap": []}
