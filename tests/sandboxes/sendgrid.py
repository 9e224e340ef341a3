"""The part of SendGrid Marketing that connectors/sendgrid.py speaks to, in memory: contacts, lists, and their jobs.

It keeps what the vendor documents: 30,000 contacts and 6 MB a call, jobs that do nothing before they are done, errors
that are counted and name nobody, 100 addresses a search, which is 404 where none is found and 400 where one is
malformed, addresses in lower case, ids of contacts to remove, and suppression apart from contacts.
Not documented, and chosen here: one bad address turns a whole call down with `email 'x' is not valid`; a removal's job
can be asked for, or cannot (`tells_of_removals`); ids that are on no list are removed without a word.
"""

import json
import re
from uuid import UUID

import httpx

options = ({}, {"new": "subscribed"})

ADDRESS = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,6}")
RESERVED = ["first_name", "last_name", "email", "city", "country"]
CUSTOM = {"e1_N": ("nps_score", "Number"), "e2_T": ("note", "Text"), "e3_D": ("seen", "Date")}


class Sandbox:
    list = "Detractors / 2026"

    def __init__(self):
        self.settings = {"SENDGRID_API_KEY": "not-a-real-key"}
        self.options = {}  # of the sync
        self.contacts = {}  # address -> contact
        self.lists = {}  # id -> name
        self.jobs = {}  # id -> what it says, and what it will do
        self.suppressed = set()  # addresses
        self.fails = set()  # addresses whose import fails, once the job is at it
        self.moments, self.tells_of_removals, self.page_size = 0, True, 1000

    def member(self, n):
        """The n-th person. Every third is no contact yet, where that may be."""
        fields = {"email": f"person{n}@example.com", "first_name": "Ada", "nps_score": n}
        stranger = self.options.get("new") == "subscribed" and n % 3 == 0
        if fields["email"] not in self.contacts and not stranger:
            self.made(fields["email"])
        return fields

    def unwelcome(self):
        return {"email": "nowhere", "first_name": "Ada", "nps_score": 0}

    def holds(self, fields):
        contact = self.contacts.get(fields["email"])
        if not contact or self.list not in [self.lists[each] for each in contact["list_ids"]]:
            return False
        custom = {CUSTOM[ref][0]: value for ref, value in contact["custom_fields"].items()}
        held = {name: contact[name] for name in RESERVED if contact.get(name)} | custom
        return held == {name: value for name, value in fields.items() if value is not None}

    def listed(self):
        """The addresses on the list, which cannot be read back."""
        ids = {ref for ref, name in self.lists.items() if name == self.list}
        return [address for address, contact in self.contacts.items() if ids & {*contact["list_ids"]}]

    def consent(self, fields):
        """Whether SendGrid writes to this address: to every contact that is not suppressed."""
        address = fields["email"].lower()
        return "unsubscribed" if address in self.suppressed else "subscribed" if address in self.contacts else None

    def opt_out(self, fields):
        self.suppressed.add(fields["email"].lower())

    def now(self):
        self.moments += 1
        return f"2026-11-02T09:{self.moments // 60 % 60:02}:{self.moments % 60:02}Z"

    def made(self, address):
        stamps = {"created_at": (now := self.now()), "updated_at": now}
        known = {"id": f"{len(self.contacts):028}-contact", "email": address, "list_ids": [], "segment_ids": []}
        self.contacts[address] = {**known, "custom_fields": {}, **stamps}
        return self.contacts[address]

    def works(self):
        """Every open job is done."""
        for job in self.jobs.values():
            if job["said"]["status"] == "pending":
                job["said"] |= job["does"]() | {"finished_at": self.now()}

    def upserted(self, lists, contacts):
        bad = [each for each in contacts if each["email"].lower() in self.fails]
        for told in [each for each in contacts if each not in bad]:
            address = told["email"].lower()
            contact = self.contacts.get(address) or self.made(address)
            custom = contact["custom_fields"] | told.get("custom_fields", {})
            held = sorted({*contact["list_ids"], *lists})
            contact |= {**told, "email": address, "custom_fields": custom, "list_ids": held, "updated_at": self.now()}
        results = {"requested_count": len(contacts), "updated_count": len(contacts) - len(bad)}
        status = "completed" if not bad else "errored" if bad != contacts else "failed"
        return {"status": status, "results": results | ({"errored_count": len(bad)} if bad else {})}

    def removed(self, place, ids):
        for contact in self.contacts.values():
            if contact["id"] in ids:
                contact["list_ids"] = [each for each in contact["list_ids"] if each != place]
        return {"status": "completed", "results": {"requested_count": len(ids)}}

    def begin(self, kind, does):
        name = str(UUID(int=2**64 + len(self.jobs)))
        said = {"id": name, "status": "pending", "job_type": kind, "results": {}, "started_at": self.now()}
        self.jobs[name] = {"said": said, "does": does}
        return httpx.Response(202, json={"job_id": name})

    def __call__(self, request):
        if request.headers.get("authorization") != "Bearer not-a-real-key":
            return refusal(401, "authorization required")
        asked = json.loads(request.content) if request.content else dict(request.url.params)
        match request.method, request.url.path.removeprefix("/v3/marketing/").split("/"):
            case "GET", ["lists"]:
                return self.page(asked)
            case "POST", ["lists"]:
                return self.make_list(asked["name"])
            case "GET", ["lists", name] if name in self.lists:
                return httpx.Response(200, json=self.shown(name))
            case "DELETE", ["lists", name, "contacts"] if name in self.lists:
                ids = asked["contact_ids"].split(",")
                if len(str(request.url)) > 8150:
                    return httpx.Response(414)
                return self.begin("delete", lambda: self.removed(name, ids))
            case "GET", ["field_definitions"]:
                custom = [{"id": ref, "name": name, "field_type": kind} for ref, (name, kind) in CUSTOM.items()]
                reserved = [{"id": f"_rf{n}_T", "name": name, "field_type": "Text"} for n, name in enumerate(RESERVED)]
                reserved.append({"id": "_rf22_D", "name": "updated_at", "field_type": "Date", "read_only": True})
                return httpx.Response(200, json={"custom_fields": custom, "reserved_fields": reserved})
            case "PUT", ["contacts"]:
                return self.put(asked, len(request.content))
            case "GET", ["contacts", "imports", name] if name in self.jobs:
                said = self.jobs[name]["said"]
                return httpx.Response(200, json=said) if self.known(said) else refusal(404, "not found")
            case "POST", ["contacts", "search", "emails"]:
                return self.search([each.lower() for each in asked["emails"]])
        return refusal(404, "not found")

    def known(self, said):
        return said["job_type"] == "upsert" or self.tells_of_removals

    def page(self, asked):
        start, size = int(asked.get("page_token", 0)), min(self.page_size, int(asked.get("page_size", 100)))
        found = [self.shown(name) for name in self.lists]
        after = f"https://api.sendgrid.com/v3/marketing/lists?page_size={size}&page_token={start + size}"
        more = {"next": after} if found[start + size :] else {}
        body = {"result": found[start : start + size], "_metadata": {"count": len(found), **more}}
        return httpx.Response(200, json=body)

    def make_list(self, name):
        if not 1 <= len(name) <= 100:
            return refusal(400, "name length must be between 1 and 100", "name")
        ref = str(UUID(int=2**80 + len(self.lists)))
        self.lists[ref] = name
        return httpx.Response(200, json=self.shown(ref))

    def shown(self, name):
        count = sum(name in each["list_ids"] for each in self.contacts.values())
        link = {"self": f"https://api.sendgrid.com/v3/marketing/lists/{name}"}
        return {"id": name, "name": self.lists[name], "contact_count": count, "_metadata": link}

    def put(self, asked, size):
        lists, contacts = asked["list_ids"], asked["contacts"]
        if size > 6_000_000 or not 1 <= len(contacts) <= 30_000:
            return refusal(400, "1 to 30,000 contacts, and 6 MB", "contacts")
        if {*lists} - self.lists.keys():
            return refusal(400, "invalid list_ids", "list_ids")
        strange = {name for each in contacts for name in each.keys() - {*RESERVED, "custom_fields"}}
        if strange or {ref for each in contacts for ref in each.get("custom_fields", {})} - CUSTOM.keys():
            return refusal(400, "unknown field", "contacts")
        if bad := [each["email"] for each in contacts if not ADDRESS.fullmatch(each["email"])]:
            errors = [{"message": f"email '{each}' is not valid", "field": "contacts"} for each in bad]
            return httpx.Response(400, json={"errors": errors})
        return self.begin("upsert", lambda: self.upserted(lists, contacts))

    def search(self, emails):
        if len(emails) > 100 or [each for each in emails if not ADDRESS.fullmatch(each)]:
            return refusal(400, "at most 100 valid addresses", "emails")
        others = {each: contact for contact in self.contacts.values() for each in contact.get("alternate_emails", ())}
        found = {each: self.contacts.get(each) or others.get(each) for each in emails}
        if not any(found.values()):
            return refusal(404, "no contacts found")
        said = {each: {"contact": c} if c else {"error": "contact not found"} for each, c in found.items()}
        return httpx.Response(200, json={"result": said})


def refusal(status, message, field=None):
    return httpx.Response(status, json={"errors": [{"message": message, **({"field": field} if field else {})}]})
