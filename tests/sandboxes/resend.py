"""The part of Resend that connectors/resend.py speaks to, in memory: the contacts, properties and segments of one team.

It keeps what the vendor documents: contacts by id or address, 100 of anything a page and `has_more`, properties of two
types that have to exist, `unsubscribed` as a contact's own word, errors as {statusCode, message, name}. A call that
makes a contact overwrites one that is there: what it leaves out is as if new, an opt-out too, as was measured.
Not documented, and chosen here: a segment's name may be taken twice; an address is the same in any case; to take
someone out of a segment who is not in it says `deleted: false`; the words of most errors.
"""

import json
import math
from itertools import count
from urllib.parse import unquote
from uuid import UUID

import httpx

options = ({"new": "refuse"}, {"new": "unsubscribed"}, {"new": "subscribed"})

HELD = {"number": int | float, "string": str}
EMPTY = {"first_name": "", "last_name": "", "unsubscribed": False, "properties": {}}


class Refusal(Exception):
    """An answer that ends a call."""

    def __init__(self, status, name, message):
        super().__init__(message)
        self.answer = httpx.Response(status, json={"statusCode": status, "message": message, "name": name})


class Sandbox:
    list = "NPS / détracteurs [2026]"
    rate = (5, 1)

    def __init__(self):
        self.settings = {"RESEND_API_KEY": "not-a-real-key"}
        self.options = {}  # of the sync
        self.contacts, self.segments = {}, {}  # id -> contact, with its segments; id -> segment
        self.properties = {"nps_score": "number", "plan": "string"}
        self.numbers = count(7)
        self.segment("NPS / détracteurs [2026] / May")

    def member(self, n):
        """The n-th person. Every other has opted out, and every third is no contact yet where that may be."""
        fields = {"email": f"person{n}@example.com", "first_name": "Ada", "nps_score": n}
        if self.options.get("new") not in ("unsubscribed", "subscribed") or n % 3:
            self.contact(fields["email"], unsubscribed=n % 2 == 0)
        return fields

    def unwelcome(self):
        address = "nobody@example.com" if self.options.get("new") == "refuse" else "nowhere@"
        return {"email": address, "first_name": "Ada", "nps_score": 1}

    def holds(self, fields):
        contact = self.found(fields["email"])
        if contact is None or self.segments_of(fields["email"]) != [self.list]:
            return False
        own = {name: contact[name] for name in fields.keys() & EMPTY.keys()}
        return {"email": contact["email"], **own, **contact["properties"]} == fields

    def consent(self, fields):
        contact = self.found(fields["email"])
        return contact and ("unsubscribed" if contact["unsubscribed"] else "subscribed")

    def opt_out(self, fields):
        self.contact(fields["email"])["unsubscribed"] = True

    def contact(self, address, **own):
        """Someone who is a contact, made one where they are none."""
        number = str(UUID(int=next(self.numbers)))
        made = {**EMPTY, "properties": {}, "id": number, "email": address, "segments": [], **own}
        return self.found(address) or self.contacts.setdefault(number, made)

    def found(self, ref):
        same = (each for n, each in self.contacts.items() if ref.lower() in (n, each["email"].lower()))
        return next(same, None)

    def segment(self, name, **own):
        number = next(self.numbers)
        made = {"id": str(UUID(int=number)), "name": name, "created_at": f"2026-11-02 09:00:00.{number:06}+00", **own}
        return self.segments.setdefault(made["id"], made)

    def segments_of(self, address):
        return [self.segments[each]["name"] for each in self.found(address)["segments"]]

    def throttled(self, seconds):
        headers = {"retry-after": f"{math.ceil(seconds)}", "ratelimit-limit": "5", "ratelimit-remaining": "0"}
        said = {"statusCode": 429, "message": "Too many requests.", "name": "rate_limit_exceeded"}
        return httpx.Response(429, headers=headers | {"ratelimit-reset": f"{math.ceil(seconds)}"}, json=said)

    def __call__(self, request):
        try:
            if "authorization" not in request.headers:
                raise Refusal(401, "missing_api_key", "Missing API key in the authorization header.")
            if request.headers["authorization"] != "Bearer not-a-real-key":
                raise Refusal(403, "invalid_api_key", "API key is invalid.")
            parts = [unquote(part) for part in request.url.raw_path.decode().partition("?")[0].split("/")[1:]]
            body = json.loads(request.content) if request.content else {}
            status, said = self.answer(request.method, parts, request.url.params, body)
            return httpx.Response(status, json=said)
        except Refusal as refusal:
            return refusal.answer

    def answer(self, method, parts, query, body):
        match method, parts:
            case "GET", ["segments"]:
                return 200, page([{k: each[k] for k in ("id", "name", "created_at")} for each in self.made()], query)
            case "POST", ["segments"]:
                made = self.segment(body["name"])
                return 201, {"object": "segment", "id": made["id"], "name": made["name"]}
            case "GET", ["segments", number]:
                return 200, {"object": "segment", **self.known(number)}
            case "GET", ["contact-properties"]:
                return 200, page([{"id": each, "key": each, "type": kind} for each, kind in self.kinds()], query)
            case "GET", ["contacts"]:
                self.known(query["segment_id"])
                listed = [each for each in self.contacts.values() if query["segment_id"] in each["segments"]]
                return 200, page([{k: each[k] for k in ("id", "email", *OWN)} for each in listed], query)
            case "POST", ["contacts"]:
                return self.make(**body)
            case "GET", ["contacts", ref]:
                return 200, {"object": "contact", **{k: v for k, v in self.person(ref).items() if k != "segments"}}
            case "PATCH", ["contacts", ref]:
                return 200, {"object": "contact", "id": self.write(self.person(ref), **body)["id"]}
            case "GET", ["contacts", ref, "segments"]:
                listed = [self.segments[each] for each in self.person(ref)["segments"]]
                return 200, page([{k: each[k] for k in ("id", "name")} for each in listed], query)
            case (("POST" | "DELETE"), ["contacts", ref, "segments", number]):
                return self.change(method, self.person(ref), self.known(number)["id"])
        raise Refusal(404, "not_found", "The requested endpoint does not exist.")

    def made(self):
        return reversed(self.segments.values())  # the newest first

    def kinds(self):
        return self.properties.items()

    def known(self, number):
        if number not in self.segments:
            raise Refusal(404, "not_found", "Segment not found")
        return self.segments[number]

    def person(self, ref):
        if (found := self.found(ref)) is None:
            raise Refusal(404, "not_found", "Contact not found")
        return found

    def make(self, email, **told):
        if not email.partition("@")[2]:
            raise Refusal(422, "validation_error", "Invalid `email` field.")
        self.write({**EMPTY, "properties": {}}, **told)  # nobody is made of what is refused
        contact = self.contact(email)
        return 201, {"object": "contact", "id": self.write(contact, **{**EMPTY, "properties": {}, **told})["id"]}

    def write(self, contact, properties=None, **own):
        for name, value in (properties or {}).items():
            if value is not None and not isinstance(value, HELD.get(self.properties.get(name), ())):
                raise Refusal(422, "validation_error", f"Invalid property: {name}")
        if not all(isinstance(own.get(name, ""), str) for name in ("first_name", "last_name")):
            raise Refusal(422, "validation_error", "A name is a string.")
        kept = {**contact["properties"], **(properties or {})}
        contact |= {**own, "properties": {name: value for name, value in kept.items() if value is not None}}
        return contact

    def change(self, method, contact, number):
        told = {"object": "contact_segment", "contact_id": contact["id"], "segment_id": number}
        there = number in contact["segments"]
        contact["segments"] = [each for each in contact["segments"] if each != number]
        if method == "POST":
            contact["segments"].append(number)
        return 200, told if method == "POST" else {**told, "deleted": there}


OWN = ("first_name", "last_name", "unsubscribed")


def page(everything, query):
    limit, everything = int(query["limit"]), [*everything]
    if not 1 <= limit <= 100:
        raise Refusal(422, "validation_error", "The limit is from 1 to 100.")
    ids = [each["id"] for each in everything]
    start = ids.index(query["after"]) + 1 if "after" in query else 0
    more = len(everything) > start + limit
    return {"object": "list", "has_more": more, "data": everything[start : start + limit]}
