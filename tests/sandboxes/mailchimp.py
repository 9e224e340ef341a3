"""The part of Mailchimp's Marketing API 3.0 that connectors/mailchimp.py speaks to: one audience, tags and contacts.

It keeps what the vendor documents: 10 calls at once, 500 addresses a segment call, 1,000 of anything a page, 50 tags
shown of a contact, addresses of no contact silently ignored, members listed without the unsubscribed unless they are
asked for, and errors as problem+json. A status that a call sends is taken, so that a connector which sends one is found
out.
Not documented, and chosen here: a contact who has the tag already is not among `members_added`, but in `errors`; an
archived contact is ignored; a tag's name that is taken is refused with 400.
"""

import base64
import json
import re
from hashlib import md5

import httpx

AUDIENCE = "a1b2c3d4e5"
HOST = "api.mailchimp.com"
HIDDEN = {
    "unsubscribed": "include_unsubscribed",
    "cleaned": "include_cleaned",
    "transactional": "include_transactional",
}

options = ({"audience_id": AUDIENCE, "new": "refuse"}, {"audience_id": AUDIENCE, "new": "transactional"})


class Sandbox:
    list = "Detractors"
    at_once = 10

    def __init__(self):
        self.settings = {"MAILCHIMP_API_KEY": "not-a-real-key-us19", "MAILCHIMP_SERVER": "us19"}
        self.elsewhere = {"MAILCHIMP_API_KEY": "not-a-real-key-us6", "MAILCHIMP_SERVER": "us6"}
        self.options = {}  # of the sync
        self.contacts = {}  # hash of the address -> contact
        self.segments = {7: {"name": "Detractors since May", "type": "static"}}
        self.tagged = {7: set()}  # segment -> hashes
        self.types = {"FNAME": "text", "NPS": "number", "HOME": "address"}  # merge tag -> type

    def member(self, n):
        """The n-th person. Every other has unsubscribed, and every third is no contact yet where that may be."""
        fields = {"email": f"person{n}@example.com", "FNAME": "Ada"}
        stranger = self.options.get("new") == "transactional" and n % 3 == 0
        if hashed(fields["email"]) not in self.contacts and not stranger:
            self.contact(fields["email"], ("subscribed", "unsubscribed")[n % 2])
        return fields

    def unwelcome(self):
        return {"email": "nowhere", "FNAME": "Ada"}

    def holds(self, fields):
        contact = self.contacts.get(hashed(fields["email"]))
        sent = {name: value for name, value in fields.items() if name != "email"}
        return bool(contact) and contact["merge_fields"] == sent and "Detractors" in self.tags(fields["email"])

    def contact(self, address, status, **merge_fields):
        """Someone who is a contact before any sync."""
        contact = {"id": hashed(address), "email_address": address, "status": status, "list_id": AUDIENCE}
        self.contacts[contact["id"]] = {**contact, "merge_fields": {"FNAME": "", **merge_fields}}

    def status(self, address):
        return self.contacts[hashed(address)]["status"] if hashed(address) in self.contacts else None

    def consent(self, fields):
        return self.status(fields["email"])

    def opt_out(self, fields):
        self.contact(fields["email"], "unsubscribed")

    def tags(self, address):
        """The names of a contact's tags."""
        return [self.segments[each]["name"] for each, held in self.tagged.items() if hashed(address) in held]

    def throttled(self, seconds):
        return problem(429, "Too Many Requests", "You have exceeded the limit of 10 simultaneous connections.")

    def __call__(self, request):
        key, server = (self.settings[name].strip() for name in ("MAILCHIMP_API_KEY", "MAILCHIMP_SERVER"))
        expected = "Basic " + base64.b64encode(f"any:{key}".encode()).decode()
        if (request.headers.get("authorization"), request.url.host) != (expected, f"{server.lower()}.{HOST}"):
            return problem(401, "API Key Invalid", "Your API key may be invalid, or is of another data centre.")
        body = json.loads(request.content) if request.content else {}
        path = request.url.path.removeprefix("/3.0")
        for pattern, answer in ROUTES.items():
            method, _, where = pattern.partition(" ")
            found = re.fullmatch(where, path)
            if found and method == request.method:
                return answer(self, *found.groups(), request.url.params if method == "GET" else body)
        return problem(404, "Resource Not Found", "The requested resource could not be found.")

    def ping(self, _):
        return httpx.Response(200, json={"health_status": "Everything's Chimpy!"})

    def list_segments(self, query):
        return paged("segments", [{**each, "id": n, "list_id": AUDIENCE} for n, each in self.segments.items()], query)

    def list_merge_fields(self, query):
        return paged("merge_fields", [{"tag": tag, "type": kind} for tag, kind in self.types.items()], query)

    def make_segment(self, body):
        if body["name"] in [each["name"] for each in self.segments.values()]:
            return problem(400, "Bad Request", "Sorry, that tag already exists.")
        n = max(self.segments) + 1
        self.segments[n] = {"name": body["name"], "type": "static"}
        self.tagged[n] = {hashed(each) for each in body["static_segment"]} & self.contacts.keys()
        return httpx.Response(200, json={"id": n, "list_id": AUDIENCE, "member_count": 0, **self.segments[n]})

    def change_segment(self, segment, body):
        held = self.tagged.get(int(segment))
        if held is None:
            return problem(404, "Resource Not Found", f"A Static Segment with an id of {segment} does not exist.")
        add, remove = body.get("members_to_add", []), body.get("members_to_remove", [])
        if max(len(add), len(remove)) > 500:
            return problem(400, "Invalid Resource", "At most 500 members.")
        here = {each for each in self.contacts if not self.archived(each)}
        added = [hashed(each) for each in add if hashed(each) in here - held]
        again = [each for each in add if hashed(each) in held]
        removed = [hashed(each) for each in remove if hashed(each) in here & held]
        held.update(added)
        held.difference_update(removed)
        errors = [{"email_addresses": again, "error": "Already a member of this segment."}] if again else []
        said = {"members_added": [*map(self.shown, added)], "members_removed": [*map(self.shown, removed)]}
        counts = {"total_added": len(added), "total_removed": len(removed), "error_count": len(errors)}
        return httpx.Response(200, json={**said, **counts, "errors": errors})

    def list_members(self, segment, query):
        if int(segment) not in self.tagged:
            return problem(404, "Resource Not Found", "The requested resource could not be found.")
        people = [self.contacts[each] for each in sorted(self.tagged[int(segment)]) if not self.archived(each)]
        asked = {status for status, name in HIDDEN.items() if query.get(name) == "true"}
        return paged("members", [each for each in people if each["status"] not in HIDDEN.keys() - asked], query)

    def list_tags(self, contact, query):
        if contact not in self.contacts:
            return problem(404, "Resource Not Found", "The requested resource could not be found.")
        return paged("tags", self.all_tags(contact), query)

    def patch_contact(self, contact, body):
        if contact not in self.contacts:
            return problem(404, "Resource Not Found", "The requested resource could not be found.")
        return self.write(contact, body)

    def put_contact(self, contact, body):
        if contact not in self.contacts:
            if "@" not in body["email_address"]:
                return problem(400, "Invalid Resource", "Please provide a valid email address.")
            if body["email_address"].startswith("forgotten"):
                return problem(400, "Forgotten Email Not Subscribed", "It was permanently deleted.")
            self.contact(body["email_address"], body["status_if_new"])
        return self.write(contact, body)

    def write(self, contact, body):
        values = body.get("merge_fields", {})
        wrong = [
            name for name, value in values.items() if self.types[name] == "number" and isinstance(value, str | dict)
        ]
        if any(values[name] for name in wrong):
            errors = [{"field": name, "message": "Please enter a number"} for name in wrong]
            return problem(400, "Invalid Resource", "Your merge fields were invalid.", errors=errors)
        self.contacts[contact]["merge_fields"].update(values)
        self.contacts[contact]["status"] = body.get("status", self.contacts[contact]["status"])
        return httpx.Response(200, json=self.shown(contact))

    def archived(self, contact):
        return self.contacts[contact]["status"] == "archived"

    def shown(self, contact):
        tags = self.all_tags(contact)
        return {**self.contacts[contact], "tags": tags[:50], "tags_count": len(tags)}

    def all_tags(self, contact):
        return [
            {"id": each, "name": self.segments[each]["name"]} for each, held in self.tagged.items() if contact in held
        ]


ROUTES = {
    "GET /ping": Sandbox.ping,
    f"GET /lists/{AUDIENCE}/segments": Sandbox.list_segments,
    f"GET /lists/{AUDIENCE}/merge-fields": Sandbox.list_merge_fields,
    f"POST /lists/{AUDIENCE}/segments": Sandbox.make_segment,
    rf"POST /lists/{AUDIENCE}/segments/(\d+)": Sandbox.change_segment,
    rf"GET /lists/{AUDIENCE}/segments/(\d+)/members": Sandbox.list_members,
    rf"GET /lists/{AUDIENCE}/members/(\w+)/tags": Sandbox.list_tags,
    rf"PATCH /lists/{AUDIENCE}/members/(\w+)": Sandbox.patch_contact,
    rf"PUT /lists/{AUDIENCE}/members/(\w+)": Sandbox.put_contact,
}


def hashed(address):
    return md5(address.lower().encode(), usedforsecurity=False).hexdigest()


def paged(name, found, query):
    count, offset = int(query.get("count", 10)), int(query.get("offset", 0))
    if count > 1000:
        return problem(400, "Invalid Resource", "count is at most 1000.")
    wanted = {each.removeprefix(f"{name}.") for each in query["fields"].split(",")}
    page = [{key: value for key, value in each.items() if key in wanted} for each in found[offset : offset + count]]
    return httpx.Response(200, json={name: page} | ({"total_items": len(found)} if "total_items" in wanted else {}))


def problem(status, title, detail, **more):
    kind = "https://mailchimp.com/developer/marketing/docs/errors/"
    said = {"type": kind, "title": title, "status": status, "detail": detail, "instance": "0-0-0", **more}
    return httpx.Response(status, json=said, headers={"content-type": "application/problem+json; charset=utf-8"})
