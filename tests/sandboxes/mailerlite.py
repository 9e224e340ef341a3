"""The part of MailerLite's API that connectors/mailerlite.py speaks to, in memory: one account.

It keeps what the vendor documents: up to 50 requests a batch, each with a status and a body of its own in the order of
asking, a batch of new subscribers alone as an import of which there are five a minute, groups found by a part of their
name, subscribers of a group that are active where no status is asked for, 1,000 a page, ids as text. A status that a
call sends is taken, so that a connector which sends one is found out.
Not documented, and chosen here: a group's name may be taken twice, a subscriber who is taken out of a group that they
are not in gets a 404, a field that is not there is dropped unsaid, and a text in a number field is a 422.
"""

import json
import re
from itertools import count
from urllib.parse import unquote

import httpx

options = ({"new": "refuse"}, {"new": "subscribed"})

STATUSES = ("active", "unsubscribed", "unconfirmed", "bounced", "junk")


class Sandbox:
    list = "NPS detractors"
    rate = (120, 60)

    def __init__(self):
        self.settings = {"MAILERLITE_API_TOKEN": "not-a-real-token"}
        self.options = {}  # of the sync
        self.people = {}  # id -> subscriber
        self.groups = {3: "NPS detractors / May"}
        self.held = {3: {}}  # group -> ids of subscribers
        self.fields = {"name": "text", "last_name": "text", "nps_score": "number"}
        self.numbers = count(7)

    def member(self, n):
        """The n-th person. Every other has unsubscribed, and every third is no subscriber yet where that may be."""
        fields = {"email": f"person{n}@example.com", "name": "Ada"}
        if not (self.options.get("new") == "subscribed" and n % 3 == 0):
            self.subscriber(fields["email"], STATUSES[n % 2])
        return fields

    def unwelcome(self):
        return {"email": "nowhere", "name": "Ada"}

    def holds(self, fields):
        person = self.found(fields["email"])
        sent = {name: value for name, value in fields.items() if name != "email"}
        return bool(person) and self.groups_of(fields["email"]) == [self.list] and person["fields"] == sent

    def consent(self, fields):
        person = self.found(fields["email"])
        return person and ("subscribed" if person["status"] == "active" else person["status"])

    def opt_out(self, fields):
        self.subscriber(fields["email"])["status"] = "unsubscribed"

    def subscriber(self, address, status="active"):
        """Someone who is a subscriber, made one where they are none."""
        made = {"email": address, "status": status, "fields": {}}
        return self.found(address) or self.people.setdefault(next(self.numbers), made)

    def found(self, address):
        return next((each for each in self.people.values() if each["email"].lower() == address.lower()), None)

    def groups_of(self, address):
        ids = [number for number, each in self.people.items() if each["email"] == address]
        return [self.groups[group] for group, held in self.held.items() if held.keys() & {*ids}]

    def throttled(self, seconds):
        headers = {"retry-after": str(seconds), "x-ratelimit-limit": "120", "x-ratelimit-remaining": "0"}
        return httpx.Response(429, headers=headers, json={"message": "Too Many Attempts."})

    def __call__(self, request):
        if request.url.host != "connect.mailerlite.com":
            return httpx.Response(404)
        if request.headers.get("authorization") != "Bearer not-a-real-token":
            return httpx.Response(401, json={"message": "Unauthenticated."})
        if request.headers.get("accept") != request.headers.get("content-type") != "application/json":
            return httpx.Response(415)
        body = json.loads(request.content) if request.content else {}
        if (request.method, request.url.path) == ("POST", "/api/batch"):
            return self.batch(body["requests"])
        code, said = self.answer(request.method, request.url.path[1:], dict(request.url.params) or body)
        return httpx.Response(code, json=said) if said is not None else httpx.Response(code)

    def batch(self, asked):
        if not 1 <= len(asked) <= 50:
            return httpx.Response(422, json=wrong("requests", "The requests may not have more than 50 items.")[1])
        if {(each["method"], each["path"]) for each in asked} == {("POST", "api/subscribers")}:
            return httpx.Response(429, json={"message": "You're being rate limited on import creation."})
        answers = [self.answer(each["method"], each["path"], each.get("body", {})) for each in asked]
        failed = sum(code >= 400 for code, _ in answers)
        told = {"total": len(answers), "successful": len(answers) - failed, "failed": failed}
        return httpx.Response(200, json=told | {"responses": [{"code": code, "body": said} for code, said in answers]})

    def answer(self, method, path, asked):
        """The status and the body of one request."""
        for pattern, verb in ROUTES.items():
            if found := re.fullmatch(pattern, f"{method} {path}"):
                return verb(self, *found.groups(), asked)
        return missing()

    def list_groups(self, asked):
        found = {n: name for n, name in self.groups.items() if asked.get("filter[name]", "").lower() in name.lower()}
        return page([{"id": str(n), "name": name} for n, name in found.items()], asked)

    def make_group(self, asked):
        if not 1 <= len(asked["name"]) <= 255:
            return wrong("name", "The name may not be greater than 255 characters.")
        number = next(self.numbers)
        self.groups[number], self.held[number] = asked["name"], {}
        return 201, {"data": {"id": str(number), "name": asked["name"]}}

    def list_fields(self, asked):
        return page([{"id": str(n), "key": key} for n, key in enumerate(self.fields)], asked)

    def list_held(self, group, asked):
        if int(group) not in self.groups:
            return missing()
        status, size, start = (
            asked.get("filter[status]", "active"),
            min(int(asked["limit"]), 1000),
            int(asked.get("cursor", 0)),
        )
        found = [shown(n, self.people[n]) for n in self.held[int(group)] if self.people[n]["status"] == status]
        after = str(start + size) if found[start + size :] else None
        return 200, {"data": found[start : start + size], "meta": {"next_cursor": after}}

    def fetch(self, name, asked):
        same = {str(n) if name.isdecimal() else each["email"].lower(): n for n, each in self.people.items()}
        number = same.get(unquote(name).lower())
        return missing() if number is None else (200, {"data": shown(number, self.people[number])})

    def upsert(self, asked):
        if "@" not in asked["email"] or asked["email"].startswith("banned"):
            return wrong("email", "The email must be a valid email address.")
        there = self.found(asked["email"])
        if unfit := self.unfit(asked):
            return unfit
        person = self.subscriber(asked["email"], asked.get("status", "active"))
        [number] = [n for n, each in self.people.items() if each is person]
        for group in asked.get("groups", []):
            self.held[int(group)][number] = None
        return 200 if there else 201, self.write(str(number), asked)[1]

    def write(self, number, asked):
        person = self.people.get(int(number))
        if person is None:
            return missing()
        if unfit := self.unfit(asked):
            return unfit
        person["fields"].update({key: value for key, value in asked.get("fields", {}).items() if key in self.fields})
        person["status"] = asked.get("status", person["status"])
        return 200, {"data": shown(int(number), person)}

    def change(self, number, asked):
        """Groups that are named replace those that there were."""
        code, said = self.write(number, asked)
        for group in self.held.keys() - {*map(int, asked.get("groups", self.held))}:
            self.held[group].pop(int(number), None)
        return code, said

    def unfit(self, asked):
        score = asked.get("fields", {}).get("nps_score")
        return wrong("fields.nps_score", "The nps_score must be a number.") if isinstance(score, str) else None

    def assign(self, number, group, asked):
        if int(number) not in self.people or int(group) not in self.groups:
            return wrong("id", "The selected id is invalid.")
        self.held[int(group)][int(number)] = None
        return 200, {"data": {"id": group, "name": self.groups[int(group)]}}

    def unassign(self, number, group, asked):
        if int(number) not in self.held.get(int(group), {}):
            return missing()
        del self.held[int(group)][int(number)]
        return 204, None


def shown(number, person):
    blank = {"name": None, "last_name": None, "nps_score": None}
    return {"id": str(number), **person, "fields": blank | person["fields"]}


def page(everything, asked):
    size, number = min(int(asked.get("limit", 25)), 100), int(asked.get("page", 1))
    pages = max(1, -(-len(everything) // size))
    return 200, {"data": everything[size * (number - 1) : size * number], "meta": {"last_page": pages}}


def missing():
    return 404, {"message": "Resource does not exist."}


def wrong(field, words):
    return 422, {"message": "The given data was invalid.", "errors": {field: [words]}}


ROUTES = {
    "GET api/groups": Sandbox.list_groups,
    "POST api/groups": Sandbox.make_group,
    "GET api/groups/([0-9]+)/subscribers": Sandbox.list_held,
    "GET api/fields": Sandbox.list_fields,
    "GET api/subscribers/([^/]+)": Sandbox.fetch,
    "POST api/subscribers": Sandbox.upsert,
    "PUT api/subscribers/([0-9]+)": Sandbox.change,
    "POST api/subscribers/([0-9]+)/groups/([0-9]+)": Sandbox.assign,
    "DELETE api/subscribers/([0-9]+)/groups/([0-9]+)": Sandbox.unassign,
}
