"""The part of HubSpot that connectors/hubspot.py speaks to, in memory: contacts, companies and their lists.

Two things are not documented, and a test can have either: whether a wrong value in an upsert or an update fails alone
(`alone`), and whether a batch finds a contact by an additional address (`additional`).
"""

import json
import re
from urllib.parse import unquote

import httpx

options = ({}, {"identify": "customer_no"}, {"object": "company", "identify": "account_no"})

WHEN = {"createdAt": "2026-11-02T09:00:00.000Z", "updatedAt": "2026-11-02T09:00:00.000Z", "archived": False}
DONE = {"status": "COMPLETE", "startedAt": "2026-11-02T09:00:00.000Z", "completedAt": "2026-11-02T09:00:00.100Z"}
TYPES = {"contacts": "0-1", "companies": "0-2"}
UNIQUE = {"0-1": {"email", "customer_no"}, "0-2": {"account_no"}}
PROPERTIES = UNIQUE["0-1"] | UNIQUE["0-2"] | {"firstname", "name", "nps_score", "topics", "hs_additional_emails"}
NUMBER = re.compile(r"-?\d*\.?\d*")


class Refusal(Exception):
    """An answer that ends a call."""

    def __init__(self, status, message, category="VALIDATION_ERROR", **more):
        super().__init__(message)
        self.answer = httpx.Response(
            status,
            json={
                "status": "error",
                "message": message,
                "category": category,
                "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf",
                **more,
            },
        )


class Sandbox:
    list = "NPS / détracteurs [2026]"
    rate = (100, 10)  # calls, seconds: of the smallest plan

    def __init__(self):
        self.settings = {"HUBSPOT_ACCESS_TOKEN": "not-a-real-token"}
        self.options = {}
        self.records = {"0-1": {}, "0-2": {}}  # type -> id -> properties
        self.lists = {}  # id -> list, and its members
        self.calls = []
        self.daily, self.turned_away = 250_000, 0
        self.alone = self.additional = True

    def member(self, n):
        idents = {"customer_no": f"C-{n}", "account_no": f"A-{n}"}
        by = self.options.get("identify", "email")
        name = "name" if by == "account_no" else "firstname"
        return {
            "email": f"person{n}@example.com",
            by: idents.get(by, f"person{n}@example.com"),
            name: "Ada",
            "nps_score": n,
        }

    def unwelcome(self):
        return {**self.member(0), "nps_score": "many"}

    def holds(self, fields):
        """On the list with just these properties, all of which are text."""
        found = [each for each in self.lists.values() if each["name"] == self.list]
        told = {name: str(value) for name, value in fields.items()}
        records = [self.records[each["objectTypeId"]][ref] for each in found for ref in each["members"]]
        return told in [{name: value for name, value in each.items() if value} for each in records]

    def __call__(self, request):
        self.calls.append(f"{request.method} {request.url.path}")
        try:
            self.admit(request)
            for route, answer in ROUTES.items():
                if found := re.fullmatch(route, f"{request.method} {request.url.raw_path.decode().partition('?')[0]}"):
                    body = json.loads(request.content) if request.content else dict(request.url.params)
                    status, said = answer(self, *map(unquote, found.groups()), body)
                    return httpx.Response(status, json=said)
            raise Refusal(404, "resource not found", "OBJECT_NOT_FOUND")
        except Refusal as refusal:
            return refusal.answer

    def admit(self, request):
        """So many calls a day; the window is counted by whoever asks, and answered by `throttled`."""
        if request.headers["authorization"] != "Bearer not-a-real-token":
            raise Refusal(401, "Authentication credentials not found.", "INVALID_AUTHENTICATION")
        self.daily -= 1
        if self.daily < 0:
            self.turned_away += 1
            raise self.limited("daily", "DAILY")

    def throttled(self, seconds):
        """No Retry-After is documented."""
        return self.limited("ten_secondly_rolling", "TEN_SECONDLY_ROLLING").answer

    def limited(self, limit, policy):
        words = f"You have reached your {limit} limit."
        return Refusal(429, words, "RATE_LIMITS", policyName=policy, errorType="RATE_LIMIT")

    def read(self, plural, body):
        kind, by = TYPES[plural], body.get("idProperty")
        found, missing = {}, []
        for ref in self.inputs(body):
            record = self.find(kind, by, ref["id"]) if by else (ref["id"] if ref["id"] in self.records[kind] else None)
            if record:
                found[record] = self.shown(kind, record, body["properties"])
            else:
                missing.append(ref["id"])
        words = (
            f"Could not get some {plural.upper()} objects, they may be deleted or not exist. Check that ids are valid."
        )
        errors = [self.error("OBJECT_NOT_FOUND", words, {"ids": missing})] if missing else []
        return self.batch(list(found.values()), errors)

    def create(self, plural, body):
        return self.write(plural, body, self.created)

    def update(self, plural, body):
        return self.write(plural, body, self.updated, self.alone)

    def upsert(self, plural, body):
        return self.write(plural, body, self.upserted, self.alone)

    def write(self, plural, body, do, alone=True):
        """Each input by itself where all are traced; else the first fault is that of the whole batch."""
        kind, inputs = TYPES[plural], self.inputs(body)
        traces = {each.get("objectWriteTraceId") for each in inputs}
        alone = alone and None not in traces and len(traces) == len(inputs)
        results, errors = [], []
        if not alone:
            for each in inputs:
                self.judge(each["properties"])
        for each in inputs:
            try:
                self.judge(each["properties"])
                results.append(do(kind, each))
            except Refusal as refusal:
                if not alone:
                    raise
                said = refusal.answer.json()
                trace = {"objectWriteTraceId": [each["objectWriteTraceId"]]}
                errors.append(self.error(said["category"], said["message"], trace))
        return self.batch(results, errors, 201 if do == self.created else 200)

    def created(self, kind, each):
        for name in UNIQUE[kind] & each["properties"].keys():
            if ref := self.find(kind, name, each["properties"][name], additional=True):
                raise Refusal(409, f"Contact already exists. Existing ID: {ref}", "CONFLICT")
        ref = str(1000 + 7 * sum(map(len, self.records.values())))
        self.records[kind][ref] = {}
        return self.kept(kind, ref, each["properties"])

    def updated(self, kind, each):
        if each["id"] not in self.records[kind]:
            raise Refusal(404, "Could not get some objects", "OBJECT_NOT_FOUND")
        return self.kept(kind, each["id"], each["properties"])

    def upserted(self, kind, each):
        if each["idProperty"] == "email":
            raise Refusal(400, "Partial upserts are not supported by email.")
        self.by(kind, each["idProperty"])
        ref = self.find(kind, each["idProperty"], each["id"])
        if ref:
            return {**self.kept(kind, ref, each["properties"]), "new": False}
        return {
            **self.created(kind, {"properties": {**each["properties"], each["idProperty"]: each["id"]}}),
            "new": True,
        }

    def inputs(self, body):
        refs = [each["id"] for each in body["inputs"] if "id" in each]
        if len(body["inputs"]) > 100:
            raise Refusal(400, "The maximum number of inputs supported in a batch request is 100")
        if twice := sorted({ref for ref in refs if refs.count(ref) > 1}):
            raise Refusal(400, f"Duplicate IDs found in batch input: [{', '.join(twice)}]. IDs must be unique")
        return body["inputs"]

    def judge(self, properties):
        for name, value in properties.items():
            assert isinstance(value, str), f"{name} is no text"
            if name not in PROPERTIES:
                words = f'Property "{name}" does not exist'
                raise self.invalid(words, "PROPERTY_DOESNT_EXIST", name)
            if name == "nps_score" and not NUMBER.fullmatch(value):
                raise self.invalid(f"{value} was not a valid number.", "INVALID_INTEGER", name)
            if name == "email" and "@" not in value:
                raise self.invalid(f"Email address {value} is invalid", "INVALID_EMAIL", name)

    def invalid(self, words, code, name):
        told = json.dumps([{"isValid": False, "message": words, "error": code, "name": name}])
        more = [{"message": words, "code": code, "context": {"propertyName": [name]}}]
        return Refusal(400, f"Property values were not valid: {told}", errors=more)

    def by(self, kind, name):
        if name not in UNIQUE[kind]:
            raise Refusal(400, f"Unable to perform update/upsert by non-unique {kind} property {name}")

    def find(self, kind, name, value, additional=None):
        """The id of the record with this value of a unique property; e-mail addresses in any case."""
        self.by(kind, name)
        value = value.lower() if name == "email" else value
        for ref, has in self.records[kind].items():
            more = has.get("hs_additional_emails", "").split(";") if name == "email" else []
            if value == has.get(name) or (value in more and (self.additional if additional is None else additional)):
                return ref
        return None

    def kept(self, kind, ref, properties):
        lower = {"email": properties["email"].lower()} if "email" in properties else {}
        self.records[kind][ref] |= {**properties, **lower}
        return self.shown(kind, ref, properties)

    def shown(self, kind, ref, names):
        return {"id": ref, "properties": {name: self.records[kind][ref].get(name, "") for name in names}, **WHEN}

    def batch(self, results, errors, status=200):
        if errors:
            return 207, {**DONE, "results": results, "numErrors": len(errors), "errors": errors}
        return status, {**DONE, "results": results}

    def error(self, category, message, context):
        return {
            "status": "error",
            "category": category,
            "message": message,
            "context": context,
            "errors": [],
            "links": {},
        }

    def by_name(self, kind, name, _):
        for each in self.lists.values():
            if (each["objectTypeId"], each["name"].lower()) == (kind, name.lower()):
                return 200, {"list": self.list_of(each)}
        raise Refusal(404, f"List does not exist with name {name}.", "OBJECT_NOT_FOUND")

    def new_list(self, body):
        if body["name"].lower() in [each["name"].lower() for each in self.lists.values()]:
            raise Refusal(400, f"List with name {body['name']} already exists.", subCategory="ILS.DUPLICATE_LIST_NAMES")
        ref = str(len(self.lists) + 1)
        self.lists[ref] = {**body, "listId": ref, "members": set()}
        return 200, {"list": self.list_of(self.lists[ref])}

    def list_of(self, kept):
        return {name: value for name, value in kept.items() if name != "members"} | {
            "listVersion": 1,
            "processingStatus": "COMPLETE",
        }

    def folders(self, _):
        refs = [int(ref) for ref in self.lists]
        return 200, {"folder": {"id": "0", "parentFolderId": "0", "childLists": refs, "childNodes": []}}

    def there(self, ref):
        if ref not in self.lists:
            raise Refusal(404, f"List does not exist with ID {ref}.", "OBJECT_NOT_FOUND")
        return self.lists[ref]

    def one_list(self, ref, _):
        return 200, {"list": self.list_of(self.there(ref))}

    def add(self, ref, refs):
        """Who is on the list already is ignored, and so goes unsaid."""
        kept = self.changeable(ref)
        known = {each for each in refs if each in self.records[kept["objectTypeId"]]}
        added = sorted(known - kept["members"])
        kept["members"] |= known
        missing = [each for each in refs if each not in known]
        return 200, {"recordsIdsAdded": added, "recordIdsRemoved": [], "recordIdsMissing": missing}

    def take(self, ref, refs):
        kept = self.changeable(ref)
        removed = sorted(kept["members"] & set(refs))
        kept["members"] -= set(refs)
        return 200, {"recordsIdsAdded": [], "recordIdsRemoved": removed, "recordIdsMissing": []}

    def changeable(self, ref):
        if self.there(ref)["processingType"] == "DYNAMIC":
            raise Refusal(400, "Memberships of a DYNAMIC list cannot be changed.")
        return self.lists[ref]

    def page(self, ref, query):
        members, after = sorted(self.there(ref)["members"], key=int), int(query.get("after", -1))
        limit = int(query.get("limit", 100))
        if limit > 250:
            raise Refusal(400, "limit must be at most 250")
        here = [each for each in members if int(each) > after]
        results = [{"recordId": each, "membershipTimestamp": WHEN["createdAt"]} for each in here[:limit]]
        paging = {"paging": {"next": {"after": here[limit - 1]}}} if len(here) > limit else {}
        return 200, {"results": results, "total": len(members), **paging}

    def lists_of(self, body):
        results = []
        for each in body["inputs"]:
            on = [ref for ref, kept in self.lists.items() if each["recordId"] in kept["members"]]
            if each["recordId"] in self.records[each["objectTypeId"]]:
                results.append({**each, "recordListMemberships": [{"listId": ref, "listVersion": 1} for ref in on]})
        return 200, {**DONE, "results": results}


ROUTES = {
    r"POST /crm/v3/objects/(\w+)/batch/read": Sandbox.read,
    r"POST /crm/v3/objects/(\w+)/batch/create": Sandbox.create,
    r"POST /crm/v3/objects/(\w+)/batch/update": Sandbox.update,
    r"POST /crm/v3/objects/(\w+)/batch/upsert": Sandbox.upsert,
    r"POST /crm/v3/lists": Sandbox.new_list,
    r"GET /crm/v3/lists/object-type-id/([^/]+)/name/([^/]+)": Sandbox.by_name,
    r"POST /crm/v3/lists/records/memberships/batch/read": Sandbox.lists_of,
    r"GET /crm/v3/lists/folders": Sandbox.folders,
    r"GET /crm/v3/lists/([^/]+)": Sandbox.one_list,
    r"GET /crm/v3/lists/([^/]+)/memberships": Sandbox.page,
    r"PUT /crm/v3/lists/([^/]+)/memberships/add": Sandbox.add,
    r"PUT /crm/v3/lists/([^/]+)/memberships/remove": Sandbox.take,
}
