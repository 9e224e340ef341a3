"""The part of Intercom that connectors/intercom.py speaks to, in memory: one workspace's contacts, tags, attributes.

It keeps what the vendor documents: one host a region, a search that may not show a new contact yet (`lags`), a 409 with
the id of whoever is there already, or is archived, a tag that is made once whatever the case of its name, attributes
that have to exist, pages with a cursor in the body. A consent that a call sends is taken, so that a connector which
sends one is found out.
Not documented, and chosen here: two users never have one address, while a lead may have any; a contact that is gone is
a 404 everywhere; a value of another type than its attribute's is a 400; an address is found in any case.
"""

import json
import time
from email.utils import formatdate
from itertools import count

import httpx

HOSTS = {"us": "api.intercom.io", "eu": "api.eu.intercom.io", "au": "api.au.intercom.io"}
TYPES = {"string": str, "integer": int, "float": int | float, "boolean": bool, "date": int}

options = ({"new": "refuse"}, {"new": "unsubscribed"}, {"new": "subscribed"})


class Sandbox:
    list = "Detractors"
    rate = (1666, 10)

    def __init__(self):
        self.settings = {"INTERCOM_ACCESS_TOKEN": "not-a-real-token", "INTERCOM_REGION": "us"}
        self.elsewhere = {"INTERCOM_REGION": "eu"}
        self.options = {}  # of the sync
        self.attributes = {"nps_score": "integer", "plan": "string", "renewed_at": "date", "vip": "boolean"}
        self.contacts, self.tags = {}, {}  # id -> contact; id -> name
        self.numbers, self.page_size, self.lags = count(1), 2, False

    def member(self, n):
        """The n-th person, known by e-mail or by id. Every third is no contact yet where that may be."""
        fields = {"name": "Ada", "nps_score": n}
        if self.options.get("new", "refuse") == "refuse":
            self.contact(email=f"person{n}@example.com")
            return {"email": f"person{n}@example.com", **fields}
        if n % 3:
            self.contact(external_id=f"u-{n}")
        return {"external_id": f"u-{n}", **fields}

    def unwelcome(self):
        return {**self.member(0), "nps_score": "many"}

    def holds(self, fields):
        own = {name: value for name, value in fields.items() if name not in self.attributes}
        custom = {name: value for name, value in fields.items() if name in self.attributes}
        return any(
            self.list in [self.tags[each] for each in contact["tagged"]]
            and all(contact[name] == value for name, value in own.items())
            and contact["custom_attributes"] == custom
            for contact in self.found(fields)
        )

    def consent(self, fields):
        found = self.found(fields)
        return ("unsubscribed" if found[0]["unsubscribed_from_emails"] else "subscribed") if found else None

    def opt_out(self, fields):
        who = {name: fields[name] for name in ("email", "external_id") if name in fields}
        (self.found(fields) or [self.contact(**who)])[0]["unsubscribed_from_emails"] = True

    def found(self, fields):
        by = "external_id" if "external_id" in fields else "email"
        return [each for each in self.contacts.values() if each[by] and each[by].lower() == fields[by].lower()]

    def contact(self, **given):
        """Someone who is a contact, made one where nobody is all this."""
        for each in self.contacts.values():
            if given.items() <= each.items():
                return each
        made = {"id": f"{next(self.numbers):024x}", "role": "user", "external_id": None, "email": None, "name": None}
        made |= {"unsubscribed_from_emails": False, "archived": False, "shown": True, "tagged": set()}
        return self.contacts.setdefault(made["id"], made | {"custom_attributes": {}} | given)

    def throttled(self, seconds):
        now = int(time.time())
        counted = {"x-ratelimit-limit": "1666", "x-ratelimit-remaining": "0", "x-ratelimit-reset": str(now + seconds)}
        answer = failed(429, "rate_limit_exceeded", "Exceeded rate limit of 1666 in 10_seconds")
        answer.headers.update(counted | {"date": formatdate(now, usegmt=True)})
        return answer

    def __call__(self, request):
        if request.url.host != HOSTS[self.settings["INTERCOM_REGION"]]:
            return httpx.Response(404)
        if request.headers.get("authorization") != "Bearer not-a-real-token":
            return failed(401, "unauthorized", "Access Token Invalid")
        if request.headers.get("intercom-version") != "2.14":
            return failed(400, "intercom_version_invalid", "The requested version could not be found")
        body = json.loads(request.content) if request.content else {}
        match request.method, request.url.path.split("/")[1:]:
            case "GET", ["me"]:
                return httpx.Response(200, json={"type": "admin", "id": "1", "email": "admin@example.com"})
            case "GET", ["data_attributes"] if request.url.params["model"] == "contact":
                return httpx.Response(200, json={"type": "list", "data": [*map(self.attribute, self.attributes)]})
            case "POST", ["tags"]:
                return self.tag(**body)
            case "GET", ["tags", ref]:
                return self.shown_tag(ref)
            case "POST", ["contacts", "search"]:
                return self.search(**body)
            case "GET", ["contacts", "find_by_external_id", ref]:
                same = [each for each in self.found({"external_id": ref}) if each["external_id"] == ref]
                return self.told([each["id"] for each in same if not each["archived"]])
            case "POST", ["contacts"]:
                return self.make(body)
            case _, ["contacts", ref, *more]:
                return self.of(request.method, ref, more, body)
        return failed(404, "not_found", "No such page")

    def of(self, method, ref, more, body):
        """A call about one contact."""
        contact = self.contacts.get(ref)
        if contact is None:
            return failed(404, "not_found", "User Not Found")
        match method, more:
            case "GET", []:
                return self.told([ref])
            case "PUT", []:
                return self.write(contact, body)
            case "POST", ["tags"] if body["id"] in self.tags and body.keys() == {"id"}:
                contact["tagged"].add(body["id"])
                return self.shown_tag(body["id"])
            case "DELETE", ["tags", tag] if tag in contact["tagged"]:
                contact["tagged"].remove(tag)
                return self.shown_tag(tag)
        return failed(404, "not_found", "Resource Not Found")

    def tag(self, name):
        same = [ref for ref, each in self.tags.items() if each.lower() == name.lower()]
        ref = same[0] if same else str(next(self.numbers))
        self.tags.setdefault(ref, name)
        return self.shown_tag(ref)

    def shown_tag(self, ref):
        if ref not in self.tags:
            return failed(404, "not_found", "Resource Not Found")
        return httpx.Response(200, json={"type": "tag", "id": ref, "name": self.tags[ref]})

    def attribute(self, name):
        said = {"name": name, "full_name": f"custom_attributes.{name}", "data_type": self.attributes[name]}
        return {"type": "data_attribute", "model": "contact", **said, "api_writable": True, "custom": True}

    def search(self, query, pagination):
        """At most 150 a page, says the vendor; here fewer, so that there are several."""
        if query.keys() != {"field", "operator", "value"} or query["operator"] != "=" or pagination["per_page"] > 150:
            return failed(400, "invalid", "bad query")
        same = {"email": lambda each: (each["email"] or "").lower() == query["value"].lower()}
        same |= {"tag_id": lambda each: query["value"] in each["tagged"]}
        found = [
            ref
            for ref, each in self.contacts.items()
            if same[query["field"]](each) and each["shown"] and not each["archived"]
        ]
        start = int(pagination.get("starting_after", 0))
        more = start + self.page_size < len(found)
        after = {"next": {"per_page": pagination["per_page"], "starting_after": str(start + self.page_size)}}
        data = [self.shown(ref) for ref in found[start : start + self.page_size]]
        said = {"type": "list", "data": data, "total_count": len(found), "pages": {"type": "pages"}}
        return httpx.Response(200, json=said | {"pages": {"type": "pages", **(after if more else {})}})

    def shown(self, ref):
        return {name: each for name, each in self.contacts[ref].items() if name not in ("tagged", "shown", "archived")}

    def told(self, refs):
        if not refs:
            return failed(404, "not_found", "User Not Found")
        return httpx.Response(200, json={"type": "contact", **self.shown(refs[0])})

    def make(self, body):
        if there := [each for each in self.contacts.values() if clashes(each, body)]:
            kind = "An archived contact" if there[0]["archived"] else "A contact"
            return failed(409, "conflict", f"{kind} matching those details already exists with id={there[0]['id']}")
        if unfit := self.unfit(body):
            return unfit
        who = {name: body[name] for name in ("external_id", "email") if name in body}
        return self.write(self.contact(**who, shown=not self.lags), body)

    def unfit(self, body):
        custom = body.get("custom_attributes", {})
        if unknown := sorted(custom.keys() - self.attributes.keys()):
            return failed(400, "parameter_invalid", f"Custom attribute '{unknown[0]}' does not exist")
        for name, value in custom.items():
            kind = TYPES[self.attributes[name]]
            if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
                return failed(400, "parameter_invalid", f"Custom attribute '{name}' does not match its type")
        if "@" not in (body.get("email") or "@"):
            return failed(400, "parameter_invalid", "email is invalid")
        return None

    def write(self, contact, body):
        """Change a contact: all of the body, or nothing."""
        if unfit := self.unfit(body):
            return unfit
        custom = {**contact["custom_attributes"], **body.pop("custom_attributes", {})}
        contact.update(body, custom_attributes={name: value for name, value in custom.items() if value is not None})
        return self.told([contact["id"]])


def clashes(contact, body):
    """Whether a user whom a call would make is there already."""
    same = [name for name in ("external_id", "email") if body.get(name) and contact[name] == body[name]]
    return bool(same) and contact["role"] == "user"


def failed(status, code, message):
    said = {"type": "error.list", "request_id": "b4tch", "errors": [{"code": code, "message": message}]}
    return httpx.Response(status, json=said)
