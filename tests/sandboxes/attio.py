"""The part of Attio that connectors/attio.py speaks to, in memory: people, companies, lists and their entries.

It keeps what the vendor documents: no two records with one value of a unique attribute; a multi-select attribute that
is matched by keeps its other values, and every other is set to what is sent; 500 a page of a query, 1,000 of a record's
entries; `multiple_match_results` for a record that is on a list twice; errors as {status_code, type, code, message}.
Not documented, and chosen here: an empty list empties an attribute (a test can have it otherwise, `empties`); a list's
slug that is taken is a 409; a value of another type than its attribute's is a 400; an address in any case is the same.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from uuid import UUID

import httpx

options = ({}, {"object": "companies"}, {"identify": "customer_no"})

WORKSPACE = str(UUID(int=1))
WHEN = "2026-11-02T09:00:00.000000000Z"
TYPES = {"text": str, "number": int | float, "select": str, "email-address": str, "domain": str, "personal-name": str}
SHOWN = {"select": "option", "email-address": "email_address", "domain": "domain", "personal-name": "full_name"}
UNIQUE = {"email_addresses", "domains", "customer_no"}
ATTRIBUTES = {
    "people": {
        "email_addresses": "email-address",
        "name": "personal-name",
        "customer_no": "text",
        "nps_score": "number",
        "plan": "select",
        "topics": "select",
        "created_at": "timestamp",
    },
    "companies": {"domains": "domain", "name": "text", "nps_score": "number", "account_no": "text"},
}
MULTIPLE = {"email_addresses", "domains", "topics"}
OPTIONS = {"plan": {"free", "paid", "7"}, "topics": {"price", "support"}}
SCOPES = "record_permission:read-write list_entry:read-write list_configuration:read-write object_configuration:read"


class Refusal(Exception):
    """An answer that ends a call."""

    def __init__(self, status, code, message, kind="invalid_request_error"):
        super().__init__(message)
        said = {"status_code": status, "type": kind, "code": code, "message": message}
        self.answer = httpx.Response(status, json=said)


class Sandbox:
    list = "NPS / détracteurs [2026]"
    rate = (25, 1)

    def __init__(self):
        self.settings = {"ATTIO_API_KEY": "not-a-real-key"}
        self.options = {}  # of the sync
        self.records = {"people": {}, "companies": {}}  # object -> id -> attribute -> values
        self.lists, self.entries = {}, {}  # id -> list; id -> list's id, record's id
        self.calls, self.empties, self.scopes = [], True, SCOPES

    def member(self, n):
        if self.options.get("object") == "companies":
            return {"domains": f"company{n}.example.com", "name": "Lovelace", "nps_score": n}
        own = {"customer_no": f"C-{n}"} if "identify" in self.options else {}
        return {"email_addresses": f"person{n}@example.com", "name": "Ada", "nps_score": n, **own}

    def unwelcome(self):
        return {**self.member(0), "nps_score": "many"}

    def holds(self, fields):
        """On the list with just these values."""
        wanted = {name: [value] for name, value in fields.items()}
        kind = self.options.get("object", "people")
        on = [record for place, record in self.entries.values() if self.lists[place]["name"] == self.list]
        return any({name: each for name, each in self.records[kind][ref].items() if each} == wanted for ref in on)

    def throttled(self, seconds):
        """The date at which the limit resets, in whole seconds, beside the host's own."""
        now = datetime.now(UTC).replace(microsecond=0)
        until = now + timedelta(seconds=seconds)
        dates = {"date": format_datetime(now, usegmt=True), "retry-after": format_datetime(until, usegmt=True)}
        refusal = Refusal(429, "rate_limit_exceeded", "Rate limit exceeded, please try again later", "rate_limit_error")
        refusal.answer.headers.update(dates)
        return refusal.answer

    def __call__(self, request):
        self.calls.append(f"{request.method} {request.url.path}")
        if request.headers.get("authorization") != "Bearer not-a-real-key":
            return Refusal(401, "unauthorized", "Invalid access token", "auth_error").answer
        asked = json.loads(request.content) if request.content else dict(request.url.params)
        try:
            for route, answer in ROUTES.items():
                if found := re.fullmatch(route, self.calls[-1]):
                    more = (request.url.params["matching_attribute"],) if answer is Sandbox.assert_record else ()
                    return httpx.Response(200, json=answer(self, *found.groups(), *more, asked))
            raise Refusal(404, "not_found", "No such page")
        except Refusal as refusal:
            return refusal.answer

    def myself(self, _):
        names = ("client_id", "sub", "aud", "workspace_id", "workspace_name", "workspace_slug")
        known = dict.fromkeys(names, WORKSPACE) | {"iss": "attio.com", "token_type": "Bearer", "iat": 1, "exp": None}
        nobody = {"authorized_by_workspace_member_id": None, "workspace_logo_url": None}
        return {"active": True, "scope": self.scopes, **known, **nobody}

    def attributes(self, kind, asked):
        if kind not in ATTRIBUTES:
            raise Refusal(404, "not_found", f'Object with slug/ID "{kind}" not found.')
        return {"data": paged([attribute(name, each) for name, each in ATTRIBUTES[kind].items()], asked, 1000)}

    def all_lists(self, _):
        return {"data": [*self.lists.values()]}

    def one_list(self, ref, _):
        return {"data": self.there(ref)}

    def there(self, ref):
        found = [each for each in self.lists.values() if ref in (each["id"]["list_id"], each["api_slug"])]
        if not found:
            raise Refusal(404, "not_found", f'List with slug/ID "{ref}" not found.')
        return found[0]

    def new_list(self, body):
        told = body["data"]
        if told["parent_object"] not in ATTRIBUTES:
            raise Refusal(404, "not_found", f'Parent object with slug/ID "{told["parent_object"]}" not found.')
        if not re.fullmatch("[a-z0-9_]+", told["api_slug"]):
            raise Refusal(400, "value_not_found", "The slug must be in snake case.")
        if told["api_slug"] in [each["api_slug"] for each in self.lists.values()]:
            raise Refusal(409, "slug_conflict", "A list with this slug exists.")
        return {"data": self.made(**{**told, "parent_object": [told["parent_object"]]})}

    def made(self, name, api_slug, parent_object, **access):
        ref = str(UUID(int=100 + len(self.lists)))
        access = access or {"workspace_access": "full-access", "workspace_member_access": []}
        found = {"id": {"workspace_id": WORKSPACE, "list_id": ref}, "name": name, "api_slug": api_slug}
        by = {"created_by_actor": {"id": None, "type": "api-token"}, "created_at": WHEN}
        self.lists[ref] = {**found, "parent_object": parent_object, **access, **by}
        return self.lists[ref]

    def assert_record(self, kind, by, body):
        told = {name: judged(kind, name, value) for name, value in body["data"]["values"].items()}
        if by not in UNIQUE:
            raise Refusal(400, "value_not_found", f'"{by}" is not unique.')
        whose = {self.find(kind, name, each) for name in UNIQUE & told.keys() for each in told[name]} - {None}
        found = {self.find(kind, by, each) for each in told[by]} - {None}
        if len(found) > 1 or whose - found:
            raise Refusal(400, "value_not_found", "A value that has to be unique is another record's.")
        ref = next(iter(found), None) or str(UUID(int=1000 + sum(map(len, self.records.values()))))
        has = self.records[kind].setdefault(ref, {})
        for name, values in told.items():
            if name == by and name in MULTIPLE:
                values = [*dict.fromkeys([*has.get(name, []), *values])]
            if values or self.empties:
                has[name] = values
        return {"data": self.shown(kind, ref)}

    def find(self, kind, by, value):
        same = str(value).lower() if by in ("email_addresses", "domains") else value
        return next((ref for ref, has in self.records[kind].items() if same in has.get(by, [])), None)

    def shown(self, kind, ref):
        types = ATTRIBUTES[kind]
        values = {
            name: [{SHOWN.get(types[name], "value"): each, "attribute_type": types[name]} for each in found]
            for name, found in self.records[kind][ref].items()
        }
        who = {"workspace_id": WORKSPACE, "object_id": str(UUID(int=2)), "record_id": ref}
        return {"id": who, "created_at": WHEN, "values": values}

    def query(self, kind, body):
        [(name, value)] = body["filter"].items()
        refs = value["$in"] if name == "record_id" else [self.find(kind, name, value)]
        return {"data": paged([self.shown(kind, ref) for ref in self.records[kind] if ref in refs], body, 500)}

    def entries_of(self, kind, ref, asked):
        if ref not in self.records[kind]:
            raise Refusal(404, "not_found", f'Record with ID "{ref}" not found.')
        mine = [(entry, place) for entry, (place, record) in self.entries.items() if record == ref]
        slugs = {place: self.lists[place]["api_slug"] for _, place in mine}
        found = [{"list_id": p, "list_api_slug": slugs[p], "entry_id": e, "created_at": WHEN} for e, p in mine]
        return {"data": paged(found, asked, 1000)}

    def assert_entry(self, ref, body):
        place, record, kind = self.there(ref), body["data"]["parent_record_id"], body["data"]["parent_object"]
        if kind not in place["parent_object"] or record not in self.records[kind]:
            raise Refusal(400, "value_not_found", f'Parent record with slug/ID "{record}" not found.')
        mine = [entry for entry, on in self.entries.items() if on == (place["id"]["list_id"], record)]
        if len(mine) > 1:
            raise Refusal(400, "multiple_match_results", "Several entries have this parent record.")
        return {"data": self.entry(mine[0] if mine else self.new_entry(place["id"]["list_id"], record))}

    def new_entry(self, place, record):
        """A new entry; a record may have several on one list."""
        ref = str(UUID(int=max([10**6, *(UUID(each).int for each in self.entries)]) + 1))
        self.entries[ref] = (place, record)
        return ref

    def entry(self, ref):
        place, record = self.entries[ref]
        who = {"workspace_id": WORKSPACE, "list_id": place, "entry_id": ref}
        [kind] = [kind for kind, held in self.records.items() if record in held]
        said = {"parent_record_id": record, "parent_object": kind, "created_at": WHEN, "entry_values": {}}
        return {"id": who, **said}

    def drop(self, ref, entry, _):
        if self.entries.get(entry, ("", ""))[0] != self.there(ref)["id"]["list_id"]:
            raise Refusal(404, "not_found", f'Entry with ID "{entry}" not found.')
        del self.entries[entry]
        return {}

    def page(self, ref, body):
        place = self.there(ref)["id"]["list_id"]
        return {"data": paged([self.entry(each) for each, on in self.entries.items() if on[0] == place], body, 500)}


ROUTES = {
    r"GET /v2/self": Sandbox.myself,
    r"GET /v2/lists": Sandbox.all_lists,
    r"POST /v2/lists": Sandbox.new_list,
    r"GET /v2/lists/([^/]+)": Sandbox.one_list,
    r"PUT /v2/lists/([^/]+)/entries": Sandbox.assert_entry,
    r"POST /v2/lists/([^/]+)/entries/query": Sandbox.page,
    r"DELETE /v2/lists/([^/]+)/entries/([^/]+)": Sandbox.drop,
    r"GET /v2/objects/(\w+)/attributes": Sandbox.attributes,
    r"PUT /v2/objects/(\w+)/records": Sandbox.assert_record,
    r"POST /v2/objects/(\w+)/records/query": Sandbox.query,
    r"GET /v2/objects/(\w+)/records/([^/]+)/entries": Sandbox.entries_of,
}


def judged(kind, name, value):
    """The values that an attribute is set to."""
    if name not in ATTRIBUTES[kind]:
        raise Refusal(400, "value_not_found", f'Cannot find attribute with slug/ID "{name}".')
    of, values = ATTRIBUTES[kind][name], value if isinstance(value, list) else [value]
    fit = all(isinstance(each, TYPES[of]) and not isinstance(each, bool) for each in values)
    if not fit or (len(values) > 1 and name not in MULTIPLE):
        raise Refusal(400, "value_not_found", f'Invalid value for the attribute "{name}" of the type {of}.')
    if of == "email-address" and not all(re.fullmatch(r"[^\s@]+@[^\s@]+", each) for each in values):
        raise Refusal(400, "value_not_found", "An invalid value was passed: no email address.")
    if of == "select" and not OPTIONS[name].issuperset(values):
        raise Refusal(400, "value_not_found", f'Cannot find select option for the attribute "{name}".')
    return [each.lower() if of in ("email-address", "domain") else each for each in values]


def attribute(name, of):
    ids = {"workspace_id": WORKSPACE, "object_id": str(UUID(int=2)), "attribute_id": str(UUID(int=len(name)))}
    said = dict.fromkeys(("is_required", "is_default_value_enabled", "is_archived"), False)
    said |= {"is_system_attribute": of == "timestamp", "is_writable": of != "timestamp", "is_unique": name in UNIQUE}
    config = {"currency": {"default_currency_code": "EUR", "display_type": "code"}}
    config |= {"record_reference": {"allowed_object_ids": None}}
    empty = dict.fromkeys(("description", "default_value", "relationship"))
    more = {"is_multiselect": name in MULTIPLE, "created_at": WHEN, "config": config}
    return {"id": ids, "title": name, "api_slug": name, "type": of, **said, **more, **empty}


def paged(found, asked, most):
    limit, offset = int(asked.get("limit", most)), int(asked.get("offset", 0))
    if limit > most:
        raise Refusal(400, "value_not_found", f"limit is at most {most}")
    return found[offset : offset + limit]
