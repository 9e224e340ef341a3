"""The part of Brevo that connectors/brevo.py speaks to, in memory: contacts, lists, folders and attributes.

It keeps what the vendor documents: 50 lists and 500 contacts a page, unknown attributes and values of another type
ignored without a word, a contact that is made twice refused, one that is not there 404, and a changed address taken off
the blocklist, so that a connector which changes one is found out.
Not documented, and chosen here: taking a contact off a list that it is not on answers 204, or 400 (`strict`).
"""

import json
import re
from urllib.parse import unquote

import httpx

options = ({}, {"new": "blocklisted"})

TYPES = {"FIRSTNAME": "text", "NPS": "float", "VIP": "boolean", "SINCE": "date", "TOPICS": "multiple-choice"}
FITS = {"text": str, "float": int | float, "boolean": bool, "date": str, "multiple-choice": list}
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class Sandbox:
    list = "Détracteurs / 2026"
    rate = (10, 1)

    def __init__(self):
        self.settings = {"BREVO_API_KEY": "not-a-real-key"}
        self.options = {}  # of the sync
        self.contacts = {}  # address -> contact
        self.lists = {}  # id -> name, and its folder
        self.folders = {1: "Your first folder"}
        self.strict = False

    def member(self, n):
        """The n-th person. Every other is blocklisted, and every third no contact yet where that may be."""
        email = f"person{n}@example.com"
        stranger = self.options.get("new", "refuse") != "refuse" and n % 3 == 0
        if email not in self.contacts and not stranger:
            self.made(email, blocklisted=n % 2 == 1)
        return {"email": email, "FIRSTNAME": "Ada", "NPS": n}

    def unwelcome(self):
        return {"email": "nowhere", "FIRSTNAME": "Ada", "NPS": 0}

    def holds(self, fields):
        contact = self.contacts.get(fields["email"])
        told = {name: value for name, value in fields.items() if name != "email" and value is not None}
        named = [self.lists[each]["name"] for each in contact["listIds"]] if contact else []
        return self.list in named and contact["attributes"] == told

    def consent(self, fields):
        """Whether campaigns may be sent to a contact; None where there is none."""
        contact = self.contacts.get(fields["email"].lower())
        return contact and ("blocklisted" if contact["emailBlacklisted"] else "subscribed")

    def opt_out(self, fields):
        address = fields["email"].lower()
        contact = self.contacts.get(address) or self.made(address)
        contact["emailBlacklisted"] = True

    def throttled(self, seconds):
        headers = {"x-sib-ratelimit-limit": "10", "x-sib-ratelimit-remaining": "0"}
        return refusal(
            429, "too_many_requests", "rate limit", **headers, **{"x-sib-ratelimit-reset": str(int(seconds))}
        )

    def made(self, address, blocklisted=False):
        self.contacts[address] = {
            "id": len(self.contacts) + 1,
            "email": address,
            "emailBlacklisted": blocklisted,
            "smsBlacklisted": False,
            "createdAt": "2026-11-02T09:00:00.000+00:00",
            "modifiedAt": "2026-11-02T09:00:00.000+00:00",
            "listIds": [],
            "attributes": {},
        }
        return self.contacts[address]

    def __call__(self, request):
        if request.headers.get("api-key") != "not-a-real-key":
            return refusal(401, "unauthorized", "Key not found")
        asked = json.loads(request.content) if request.content else dict(request.url.params)
        path = request.url.raw_path.decode().partition("?")[0].removeprefix("/v3/contacts")
        match request.method, [unquote(part) for part in path.split("/")[1:]]:
            case "GET", ["lists"]:
                return self.page("lists", [self.shown(ref) for ref in self.lists], asked, 50)
            case "POST", ["lists"]:
                return self.make_list(asked)
            case "GET", ["lists", ref] if int(ref) in self.lists:
                return httpx.Response(200, json=self.shown(int(ref)))
            case "GET", ["lists", ref, "contacts"] if int(ref) in self.lists:
                found = [each for each in self.contacts.values() if int(ref) in each["listIds"]]
                return self.page("contacts", found, asked, 500)
            case "GET", ["folders"]:
                return self.page(
                    "folders", [{"id": ref, "name": name} for ref, name in self.folders.items()], asked, 50
                )
            case "GET", ["attributes"]:
                told = [{"name": name, "category": "normal", "type": kind} for name, kind in TYPES.items()]
                more = [{"name": "EMAIL", "category": "normal", "type": "text"}, {"name": "SUM", "category": "global"}]
                return httpx.Response(200, json={"attributes": told + more})
            case "POST", []:
                return self.create(asked)
            case ("GET" | "PUT") as method, [address] if request.url.params.get("identifierType") == "email_id":
                return self.one(method, address.lower(), asked)
        return refusal(404, "document_not_found", "List ID does not exist")

    def page(self, name, found, asked, most):
        limit, offset = int(asked["limit"]), int(asked.get("offset", 0))
        if limit > most or asked.get("sort", "asc") != "asc":
            return refusal(400, "out_of_range", f"Limit exceeds max value of {most}")
        return httpx.Response(200, json={name: found[offset : offset + limit], "count": len(found)})

    def shown(self, ref):
        counts = {"totalSubscribers": 0, "totalBlacklisted": 0, "uniqueSubscribers": 0}
        return {"id": ref, "name": self.lists[ref]["name"], "folderId": self.lists[ref]["folder"], **counts}

    def make_list(self, asked):
        if asked.keys() != {"name", "folderId"} or asked["folderId"] not in self.folders:
            return refusal(400, "invalid_parameter", "Folder ID does not exist")
        ref = len(self.lists) + 1
        self.lists[ref] = {"name": asked["name"], "folder": asked["folderId"]}
        return httpx.Response(201, json={"id": ref})

    def create(self, asked):
        address = asked["email"].lower()
        if not ADDRESS.fullmatch(address):
            return refusal(400, "invalid_parameter", "Invalid email address")
        if address in self.contacts:
            return refusal(400, "duplicate_parameter", "Unable to create contact, email is already associated")
        contact = self.made(address, asked.get("emailBlacklisted", False))
        self.change(contact, asked)
        return httpx.Response(201, json={"id": contact["id"]})

    def one(self, method, address, asked):
        if not ADDRESS.fullmatch(address):
            return refusal(400, "invalid_parameter", "Invalid email address")
        if address not in self.contacts:
            return refusal(404, "document_not_found", "Contact does not exist")
        contact = self.contacts[address]
        if method == "GET":
            return httpx.Response(200, json={**contact, "statistics": {}})
        if self.strict and not {*asked.get("unlinkListIds", ())} <= {*contact["listIds"]}:
            return refusal(400, "invalid_parameter", "Contact is not in the list")
        contact["emailBlacklisted"] = asked.get("emailBlacklisted", contact["emailBlacklisted"])
        self.change(contact, asked)
        return httpx.Response(204)

    def change(self, contact, asked):
        told = asked.get("attributes", {})
        if "EMAIL" in told:
            contact["emailBlacklisted"] = False
        known = {name: value for name, value in told.items() if isinstance(value, FITS.get(TYPES.get(name), ()))}
        contact["attributes"].update(known)
        lists = {*contact["listIds"], *asked.get("listIds", ())} - {*asked.get("unlinkListIds", ())}
        contact["listIds"] = sorted(lists)


def refusal(status, code, message, **headers):
    return httpx.Response(status, json={"code": code, "message": message}, headers=headers)
