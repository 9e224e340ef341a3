"""The part of Loops that connectors/loops.py speaks to, in memory: one team's contacts and properties.

It keeps what the vendor documents: an update makes whom it does not find, whoever is made without a word on it is
subscribed, `create` refuses who is there already, only properties that exist are written, a text has up to 500
characters, `null` resets. A consent or a mailing list that a call sends is taken, so that a connector which sends one
is found out.
Not documented, and chosen here: a contact is found by address in any case, a property that is not there and a value of
another type are refused with a 400, and a property cannot be made twice.
"""

import json
from itertools import count

import httpx

options = ({"new": "refuse"}, {"new": "unsubscribed"}, {"new": "subscribed"})

OWN = ("firstName", "lastName", "source", "userGroup", "userId")
KINDS = {"string": str, "number": int | float, "boolean": bool}


class Sandbox:
    list = "npsDetractors"
    rate = (10, 1)

    def __init__(self):
        self.settings = {"LOOPS_API_KEY": "not-a-real-key"}
        self.options = {}  # of the sync
        self.properties = dict.fromkeys(("email", *OWN), "string") | {"subscribed": "boolean", "npsScore": "number"}
        self.contacts = {}  # id -> contact
        self.numbers = count(1)

    def member(self, n):
        """The n-th person. Every other has opted out, and every third is no contact yet where that may be."""
        fields = {"email": f"person{n}@example.com", "firstName": "Ada"}
        if self.options.get("new", "refuse") == "refuse" or n % 3:
            self.contact(fields["email"], subscribed=bool(n % 2))
        return fields

    def unwelcome(self):
        return {"email": "nowhere", "firstName": "Ada"}

    def holds(self, fields):
        contact = self.found(email=fields["email"]) or {}
        return contact.get(self.list) is True and all(contact.get(name) == fields[name] for name in fields)

    def listed(self):
        return [each["email"] for each in self.contacts.values() if each.get(self.list) is True]

    def consent(self, fields):
        contact = self.found(email=fields["email"])
        return contact and ("subscribed" if contact["subscribed"] else "unsubscribed")

    def opt_out(self, fields):
        self.contact(fields["email"])["subscribed"] = False

    def contact(self, email=None, subscribed=True, **more):
        """Someone who is a contact, made one where they are none."""
        made = {"email": email, "subscribed": subscribed, "mailingLists": {}, **more}
        return self.found(email=email) or self.contacts.setdefault(f"c{next(self.numbers)}", made)

    def found(self, **by):
        [(name, value)] = by.items()
        same = str.lower if name == "email" else str
        return next((each for each in self.contacts.values() if same(each.get(name) or "") == same(value)), None)

    def throttled(self, seconds):
        headers = {"x-ratelimit-limit": "10", "x-ratelimit-remaining": "0"}
        return httpx.Response(429, headers=headers, json={"success": False, "message": "Too many requests."})

    def __call__(self, request):
        if request.url.host != "app.loops.so":
            return httpx.Response(404)
        if request.headers.get("authorization") != "Bearer not-a-real-key":
            return httpx.Response(401, json={"success": False, "message": "Invalid API key"})
        body = json.loads(request.content) if request.content else {}
        match request.method, request.url.path.removeprefix("/api/v1"):
            case "GET", "/api-key":
                return httpx.Response(200, json={"success": True, "teamName": "Tests"})
            case "GET", "/contacts/properties":
                told = [{"key": name, "label": name, "type": kind} for name, kind in self.properties.items()]
                return httpx.Response(200, json=told)
            case "POST", "/contacts/properties":
                return self.make(**body)
            case "GET", "/contacts/find":
                return self.find(**request.url.params)
            case "POST", "/contacts/create":
                there = self.found(email=body["email"])
                return refused("Email or userId is already on list.", 409) if there else self.write(None, body)
            case "PUT", "/contacts/update":
                by = {name: body[name] for name in ("email", "userId") if name in body}
                return self.write(self.found(**by) if by else None, body)
        return httpx.Response(405)

    def make(self, name, type):
        if name in self.properties:
            return refused("Property already exists.")
        if name in ("id", "listId", "softDeleteAt", "teamId", "updatedAt") or type not in (*KINDS, "date"):
            return refused("Property name is reserved.")
        self.properties[name] = type
        return httpx.Response(200, json={"success": True})

    def find(self, **by):
        if "@" not in by.get("email", "@"):
            return refused("Invalid email address.")
        contact = self.found(**by)
        ids = [id_ for id_, each in self.contacts.items() if each is contact]
        shown = {"id": ids[0], "optInStatus": None, **contact} if contact else {}
        return httpx.Response(200, json=[{k: v for k, v in shown.items() if v is not None}] if contact else [])

    def write(self, contact, body):
        """Change a contact, or make one; all of the body, or nothing."""
        if "@" not in body.get("email", "@"):
            return refused("Invalid email address.")
        values = {name: value for name, value in body.items() if name != "mailingLists"}
        if wrong := [name for name, value in values.items() if not self.takes(name, value)]:
            return refused(f"Invalid value for {wrong[0]}.")
        contact = self.contact(body.get("email")) if contact is None else contact
        contact.update(values)
        contact["mailingLists"] |= body.get("mailingLists", {})
        ids = [id_ for id_, each in self.contacts.items() if each is contact]
        return httpx.Response(200, json={"success": True, "id": ids[0]})

    def takes(self, name, value):
        kind = KINDS.get(self.properties.get(name), ())
        number_for_no = self.properties.get(name) == "number" and isinstance(value, bool)
        return name in self.properties and (
            value is None or (isinstance(value, kind) and not number_for_no and len(str(value)) <= 500)
        )


def refused(message, status=400):
    return httpx.Response(status, json={"success": False, "message": message})
