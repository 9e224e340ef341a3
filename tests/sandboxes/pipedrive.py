"""The part of Pipedrive that connectors/pipedrive.py speaks to, in memory: persons, their fields, and the day's tokens.

It keeps what the vendor documents: what each call costs, 500 a page, cursors, a search that is exact but for case,
custom fields by their code in `custom_fields`, null to clear one and an error for an empty list, and no rule against
two persons with one address or two fields of one name. Not documented, and chosen here: the words of its errors; that
a spent day is told by `x-daily-ratelimit-token-remaining`. A code is a word here, and 40 hexadecimal digits there.
"""

import json
import math
import re

import httpx

options = ({}, {"identify": "id"})

WHEN = "2026-11-02T09:00:00Z"
COSTS = {"GET /persons": 10, "GET /persons/search": 20, "GET /personFields": 10}  # the others cost 5
BODY = {"name": str, "owner_id": int, "org_id": int, "custom_fields": dict}
FIELDS = {"NPS score": "double", "Plan": "enum", "Topics": "set", "Note": "varchar", "Site": "address"}
CHOICES = {"Plan": ["free", "paid"], "Topics": ["price", "support"]}
HELD = {"double": int | float, "enum": int, "set": list, "varchar": str, "address": dict}


class Refusal(Exception):
    """An answer that ends a call."""

    def __init__(self, status, words, **headers):
        super().__init__(words)
        said = {"success": False, "error": words, "error_info": "Please check developers.pipedrive.com"}
        self.answer = httpx.Response(status, json=said, headers=headers)


class Sandbox:
    list = "Détracteurs [2026]"
    rate = (10, 2)  # of searches; the smallest plan allows 20 of the others

    def __init__(self):
        self.settings = {"PIPEDRIVE_API_TOKEN": "not-a-real-token"}
        self.options = {}  # of the sync
        self.people, self.fields, self.calls = {}, [], []  # id -> person
        self.tokens = self.left = 30_000_000
        self.add("Name", "varchar", own=True, code="name")
        for name, kind in FIELDS.items():
            self.add(name, kind, CHOICES.get(name, ()))

    def member(self, n):
        """The n-th person, who is in Pipedrive already."""
        if n + 1 not in self.people:
            self.person(f"person{n}@example.com", n + 1)
        known = {"id": str(n + 1)} if self.options.get("identify") == "id" else {"email": f"person{n}@example.com"}
        return {**known, "NPS score": n}

    def unwelcome(self):
        stranger = {"id": "999999"} if self.options.get("identify") == "id" else {"email": "nobody@example.com"}
        return {**stranger, "NPS score": 1}

    def holds(self, fields):
        """On the list with just these values."""
        wanted = {self.code("NPS score"): fields["NPS score"]}
        marks = {
            each["field_code"]: each["options"][0]["id"] for each in self.fields if each["field_name"] == self.list
        }
        found = [each for n, each in self.people.items() if fields.get("id", str(n)) == str(n)]
        found = [each for each in found if fields.get("email", each["emails"][0]) == each["emails"][0]]
        return bool(marks) and any(each["custom"] == wanted | marks for each in found)

    def person(self, address, n=None, **own):
        """Someone who is in Pipedrive before any sync; the person's id."""
        n = n or max(self.people, default=0) + 1
        self.people[n] = {"emails": [address], "name": "Ada", "custom": {}, **own}
        return n

    def add(self, name, kind, labels=(), own=False, code=None):
        """A field, as a call or a person in the settings makes it."""
        code = code or f"custom_field_{chr(97 + len(self.fields))}"
        ids = [{"id": 100 * len(self.fields) + n, "label": label} for n, label in enumerate(labels, 1)]
        said = {"field_name": name, "field_code": code, "field_type": kind, "is_custom_field": not own}
        self.fields.append({**said, "is_optional_response_field": False, **({"options": ids} if ids else {})})
        return self.fields[-1]

    def code(self, name):
        return next(each["field_code"] for each in self.fields if each["field_name"] == name)

    def throttled(self, seconds):
        """The burst limit; the reset is in whole seconds."""
        headers = {
            "x-ratelimit-limit": "10",
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": f"{math.ceil(seconds)}",
        }
        return Refusal(429, "Rate limit exceeded", **headers).answer

    def __call__(self, request):
        where = request.url.path.removeprefix("/api/v2")
        self.calls.append(f"{request.method} {where}")
        if request.headers.get("x-api-token") != "not-a-real-token":
            return Refusal(401, "Unauthorized access").answer
        cost = COSTS.get(self.calls[-1], 5)
        if cost > self.left:
            left = {"x-daily-ratelimit-token-remaining": "0", "x-ratelimit-remaining": "15", "x-ratelimit-reset": "2"}
            return Refusal(429, "Daily request limit reached", **left).answer
        self.left -= cost
        asked = json.loads(request.content) if request.content else dict(request.url.params)
        try:
            for route, answer in ROUTES.items():
                if found := re.fullmatch(route, self.calls[-1]):
                    return httpx.Response(200, json={"success": True, **answer(self, *found.groups(), asked)})
            raise Refusal(404, "Unknown method.")
        except Refusal as refusal:
            return refusal.answer

    def list_fields(self, query):
        return paged(self.fields, query)

    def make_field(self, body):
        if len(body["field_name"]) > 255:
            raise Refusal(400, "field_name is longer than 255 characters")
        return {"data": self.add(body["field_name"], body["field_type"], [each["label"] for each in body["options"]])}

    def search(self, query):
        if query["exact_match"] != "true" or query["fields"] != "email":
            raise Refusal(400, "The sandbox knows exact addresses only.")
        same = [n for n, each in self.people.items() if query["term"].lower() in map(str.lower, each["emails"])]
        said = {"type": "person", "phones": [], "custom_fields": [], "notes": [], "visible_to": 3, "owner": {"id": 1}}
        items = [{"id": n, "name": self.people[n]["name"], "emails": self.people[n]["emails"], **said} for n in same]
        return {"data": {"items": [{"result_score": 1.0, "item": each} for each in items]}, "additional_data": {}}

    def patch(self, ref, body):
        person = self.people.get(int(ref))
        if person is None:
            raise Refusal(404, f"Person with id {ref} not found")
        custom = body.pop("custom_fields")
        if any(not isinstance(value, BODY.get(name, ())) for name, value in body.items()):
            raise Refusal(400, "Validation failed: a field of the person's own")
        for code, value in custom.items():
            self.judge(code, value)
        person |= body
        kept = {**person["custom"], **custom}
        person["custom"] = {code: value for code, value in kept.items() if value is not None}
        return {"data": self.shown(int(ref))}

    def judge(self, code, value):
        [field] = [each for each in self.fields if each["field_code"] == code] or [None]
        if field is None or not field["is_custom_field"]:
            raise Refusal(400, f"Validation failed: custom_fields: unrecognized key {code}")
        kind, ids = field["field_type"], {each["id"] for each in field.get("options", ())}
        if value is None:
            return
        chosen = value if isinstance(value, list) else [value]
        if (
            not isinstance(value, HELD[kind])
            or isinstance(value, bool)
            or not chosen
            or (ids and not ids.issuperset(chosen))
        ):
            raise Refusal(400, f"Validation failed: custom_fields: {field['field_name']}")

    def shown(self, n):
        person = self.people[n]
        mails = [{"value": each, "primary": not at, "label": "work"} for at, each in enumerate(person["emails"])]
        codes = [each["field_code"] for each in self.fields if each["is_custom_field"]]
        custom = dict.fromkeys(codes) | person["custom"]
        own = {name: value for name, value in person.items() if name in BODY}
        times = {"add_time": WHEN, "update_time": WHEN, "is_deleted": False}
        return {"id": n, **own, "emails": mails, "custom_fields": custom, **times}

    def list_people(self, query):
        page = paged([self.shown(n) for n in sorted(self.people)], query)
        for each in page["data"]:
            each["custom_fields"] = {query["custom_fields"]: each["custom_fields"][query["custom_fields"]]}
        return page


ROUTES = {
    r"GET /personFields": Sandbox.list_fields,
    r"POST /personFields": Sandbox.make_field,
    r"GET /persons": Sandbox.list_people,
    r"GET /persons/search": Sandbox.search,
    r"PATCH /persons/(\d+)": Sandbox.patch,
}


def paged(found, query):
    limit, start = int(query.get("limit", 100)), int(query.get("cursor", 0))
    if limit > 500:
        raise Refusal(400, "limit is at most 500")
    more = {"next_cursor": str(start + limit)} if len(found) > start + limit else {}
    return {"data": found[start : start + limit], "additional_data": more}
