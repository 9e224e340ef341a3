"""The part of ActiveCampaign's API 3 that connectors/activecampaign.py speaks to, in memory: one account.

It keeps what the vendor documents: contacts found by address, 100 of anything a page and 20 unasked, tags searched by a
part of their name, custom fields by id, a tag on a contact as a thing with an id of its own, subscriptions as a status
for each list, ids as text in answers. A subscription that a call sends is taken, so that a connector which sends one is
found out.
Not documented, and chosen here: a tag that a contact has already is given once, a tag's name may be taken twice, and
an address is found in any case.
"""

import json
import re
from itertools import count

import httpx

options = ({"new": "refuse"}, {"new": "unsubscribed"})


class Sandbox:
    list = "NPS détracteurs [2026]"
    rate = (5, 1)

    def __init__(self):
        self.settings = {
            "ACTIVECAMPAIGN_URL": "https://audiences-test.api-us1.com",
            "ACTIVECAMPAIGN_API_TOKEN": "not-a-real-token",
        }
        self.options = {}  # of the sync
        self.contacts = {}  # id -> contact
        self.tags = {3: {"tag": "NPS détracteurs [2026] / May", "tagType": "contact"}}
        self.given = {}  # id of a contactTag -> (contact, tag)
        self.fields = {1: "NPS_SCORE", 2: "PLANS"}
        self.numbers = count(7)

    def member(self, n):
        """The n-th person. Every other has left a list, and every third is no contact yet where that may be."""
        fields = {"email": f"person{n}@example.com", "firstName": "Ada"}
        if not (self.options.get("new") == "unsubscribed" and n % 3 == 0):
            self.contact(fields["email"], 1 + n % 2)
        return fields

    def unwelcome(self):
        return {"email": "nowhere", "firstName": "Ada"}

    def holds(self, fields):
        contact = self.found(fields["email"])
        sent = {name: value for name, value in fields.items() if name != "email"}
        return bool(contact) and self.tags_of(fields["email"]) == [self.list] and contact["fields"] == sent

    def consent(self, fields):
        contact = self.found(fields["email"])
        return contact and ("subscribed" if 1 in contact["lists"].values() else "unsubscribed")

    def opt_out(self, fields):
        self.contact(fields["email"])["lists"] = {1: 2}

    def contact(self, address, status=None):
        """Someone who is a contact, made one where they are none; status: 1 active on a list, 2 has left it."""
        lists = {1: status} if status else {}
        made = {"email": address, "fields": {}, "lists": lists}
        return self.found(address) or self.contacts.setdefault(next(self.numbers), made)

    def found(self, address):
        return next((each for each in self.contacts.values() if each["email"].lower() == address.lower()), None)

    def tags_of(self, address):
        return [
            self.tags[tag]["tag"] for contact, tag in self.given.values() if self.contacts[contact]["email"] == address
        ]

    def throttled(self, seconds):
        return httpx.Response(429, headers={"retry-after": str(seconds), "ratelimit-limit": "5"})

    def __call__(self, request):
        if request.url.host != "audiences-test.api-us1.com":
            return httpx.Response(404)
        if request.headers.get("api-token") != "not-a-real-token":
            return httpx.Response(401)
        body, query = json.loads(request.content) if request.content else {}, request.url.params
        for pattern, answer in ROUTES.items():
            method, _, where = pattern.partition(" ")
            found = re.fullmatch(f"/api/3{where}", request.url.path)
            if found and method == request.method:
                return answer(self, *map(int, found.groups()), query if method == "GET" else body)
        return httpx.Response(404)

    def me(self, _):
        return httpx.Response(200, json={"user": {"username": "tests", "id": "1"}})

    def list_tags(self, query):
        found = {n: each for n, each in self.tags.items() if query.get("search", "").lower() in each["tag"].lower()}
        return page("tags", [{"id": str(n), **each} for n, each in found.items()], query)

    def get_tag(self, tag, _):
        if tag not in self.tags:
            return missing("Tag", tag)
        return httpx.Response(200, json={"tag": {"id": str(tag), **self.tags[tag]}})

    def make_tag(self, body):
        self.tags[number := next(self.numbers)] = {name: body["tag"][name] for name in ("tag", "tagType")}
        return httpx.Response(201, json={"tag": {"id": str(number), **self.tags[number]}})

    def list_fields(self, query):
        return page("fields", [{"id": str(n), "perstag": name} for n, name in self.fields.items()], query)

    def list_contacts(self, query):
        found = {n: each for n, each in self.contacts.items() if n > int(query.get("id_greater", 0))}
        if (status := int(query.get("status", -1))) != -1:
            found = {n: each for n, each in found.items() if status in each["lists"].values()}
        if "tagid" in query:
            found = {n: each for n, each in found.items() if (n, int(query["tagid"])) in self.given.values()}
        if "email" in query:
            found = {n: each for n, each in found.items() if each["email"].lower() == query["email"].lower()}
        return page("contacts", [{"id": str(n), "email": each["email"]} for n, each in sorted(found.items())], query)

    def make_contact(self, body):
        told = body["contact"]
        if "@" not in told["email"]:
            return wrong("Email address is invalid", "")
        if self.found(told["email"]):
            return wrong("Email address already exists in the system", "duplicate")
        self.contact(told["email"])
        return self.write(next(n for n, each in self.contacts.items() if each["email"] == told["email"]), body, 201)

    def write(self, number, body, status=200):
        if number not in self.contacts:
            return missing("Subscriber", number)
        contact, told = self.contacts[number], body["contact"]
        values = {self.fields[int(each["field"])]: each["value"] for each in told.get("fieldValues", [])}
        own = {name: told[name] for name in ("firstName", "lastName", "phone") if name in told}
        if not all(isinstance(value, str) for value in (own | values).values()) or values.get("NPS_SCORE") == "many":
            return wrong("NPS_SCORE", "is no number")
        contact["fields"].update(own | values)
        contact["lists"].update({each["list"]: each["status"] for each in told.get("lists", [])})
        return httpx.Response(status, json={"contact": {"id": str(number), "email": contact["email"]}})

    def list_given(self, contact, query):
        if contact not in self.contacts:
            return missing("Subscriber", contact)
        given = [
            {"id": str(n), "contact": str(contact), "tag": str(tag)}
            for n, (whose, tag) in self.given.items()
            if whose == contact
        ]
        return page("contactTags", given, query)

    def give(self, body):
        contact, tag = body["contactTag"]["contact"], body["contactTag"]["tag"]
        if contact not in self.contacts or tag not in self.tags:
            return httpx.Response(404, json={"errors": [{"status": 404, "title": "Not Found"}]})
        known = [n for n, each in self.given.items() if each == (contact, tag)]
        number = known[0] if known else next(self.numbers)
        self.given[number] = (contact, tag)
        return httpx.Response(201, json={"contactTag": {"id": str(number), "contact": str(contact), "tag": str(tag)}})

    def take(self, number, _):
        if number not in self.given:
            return missing("SubscriberTag", number)
        del self.given[number]
        return httpx.Response(200, json={})


def page(name, everything, query):
    start, limit = int(query.get("offset", 0)), min(int(query.get("limit", 20)), 100)
    return httpx.Response(200, json={name: everything[start : start + limit], "meta": {"total": str(len(everything))}})


def missing(what, number):
    return httpx.Response(404, json={"message": f"No Result found for {what} with id {number}"})


def wrong(title, detail):
    return httpx.Response(422, json={"errors": [{"title": title, "detail": detail, "code": "field_invalid"}]})


ROUTES = {
    "GET /users/me": Sandbox.me,
    "GET /tags": Sandbox.list_tags,
    "GET /tags/([0-9]+)": Sandbox.get_tag,
    "POST /tags": Sandbox.make_tag,
    "GET /fields": Sandbox.list_fields,
    "GET /contacts": Sandbox.list_contacts,
    "POST /contacts": Sandbox.make_contact,
    "PUT /contacts/([0-9]+)": Sandbox.write,
    "GET /contacts/([0-9]+)/contactTags": Sandbox.list_given,
    "POST /contactTags": Sandbox.give,
    "DELETE /contactTags/([0-9]+)": Sandbox.take,
}
