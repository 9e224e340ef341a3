"""The part of Dataverse's Web API that connectors/dynamics365.py speaks to, in memory: records and marketing lists.

It keeps what the vendor documents: If-Match and If-None-Match, pages with a link to the next, texts compared without
regard to case, static lists of one kind of record, 6,000 calls in 5 minutes, and errors with a code and a message.
Not documented, and chosen here: that a list's member is deleted by its id, that adding one who is there is refused, and
all codes but those of the limit.
"""

import json
import re
from urllib.parse import parse_qsl
from uuid import UUID

import httpx

options = ({"identify": "emailaddress1"}, {"identify": "new_no", "object": "account"})

COLUMNS = {"firstname", "name", "emailaddress1", "new_no", "new_nps", "donotbulkemail"}
KINDS = {"accounts": 1, "contacts": 2, "leads": 4}
LISTED = {"type": False, "lockstatus": False}
EQUAL = r"(\w+) eq (?:'((?:[^']|'')*)'|([0-9a-f-]{36}))"
WHERE = re.compile(rf"(?:{EQUAL} and )?\(?{EQUAL}(?: or {EQUAL})*\)?")


class Sandbox:
    list = "NPS d'été: détracteurs 2026"
    rate = (6000, 300)

    def __init__(self):
        self.settings = {
            "DYNAMICS365_URL": "https://acme.crm4.dynamics.com",
            "DYNAMICS365_TENANT_ID": "acme.example.com",
            "DYNAMICS365_CLIENT_ID": "application-id",
            "DYNAMICS365_CLIENT_SECRET": "not-a-real-secret",
        }
        self.elsewhere = {"DYNAMICS365_URL": "https://acme.crm.dynamics.com"}
        self.options, self.page = options[0], 5000
        self.tables = {"contacts": {}, "leads": {}, "accounts": {}, "lists": {}, "listmembers": {}}  # -> id -> row
        self.made = 0

    @property
    def table(self):
        return f"{self.options.get('object', 'contact')}s"

    def member(self, n):
        """The n-th person, who has a record. Every other has opted out."""
        by = self.options["identify"]
        fields = {by: f"person{n}@example.com" if by == "emailaddress1" else f"A-{n}"}
        if not any(row.get(by) == fields[by] for row in self.tables[self.table].values()):
            self.keep(self.table, {**fields, "donotbulkemail": bool(n % 2)})
        return {**fields, "name" if self.table == "accounts" else "firstname": "Ada", "new_nps": n}

    def unwelcome(self):
        return {**self.member(0), "new_nps": -1}

    def holds(self, fields):
        found = self.tables[self.table]
        lists = [ref for ref, row in self.tables["lists"].items() if row["listname"] == self.list]
        on = [row["entityid"] for row in self.tables["listmembers"].values() if row["listid"] in lists]
        return any(fields.items() <= found[ref].items() for ref in on if ref in found)

    def keep(self, table, row, ref=None):
        self.made += 1
        ref = ref or str(UUID(int=self.made))
        self.tables[table][ref] = dict(row)
        return ref

    def throttled(self, seconds):
        words = "Number of requests exceeded the limit of 6000 over time window of 300 seconds."
        return refusal(429, words, "0x80072322", {"retry-after": f"{seconds:.0f}"})

    def __call__(self, request):
        if request.url.host == "login.microsoftonline.com":
            return self.signed_in(request.url.path, dict(parse_qsl(request.content.decode())))
        if request.headers.get("authorization") != "Bearer not-a-real-access":
            return refusal(401, "Unauthorized")
        assert request.headers["odata-version"] == "4.0"
        path = request.url.path.removeprefix("/api/data/v9.2/")
        if path == "WhoAmI":
            return httpx.Response(200, json={"UserId": str(UUID(int=7))})
        table, ref, action = re.fullmatch(r"(\w+)(?:\(([0-9a-f-]{36})\))?(?:/(.+))?", path).groups()
        if action:
            return self.added(ref, action, json.loads(request.content))
        match request.method:
            case "PATCH":
                return self.changed(table, ref, json.loads(request.content), request.headers)
            case "DELETE":
                there = self.tables[table].pop(ref, None)
                return httpx.Response(204) if there else refusal(404, "listmember does not exist")
            case "GET" if ref:
                row = self.tables[table].get(ref)
                return httpx.Response(200, json=row) if row else refusal(404, f"{table} does not exist")
            case "GET":
                return self.queried(request, table)
        return refusal(405, "no such method")

    def signed_in(self, path, form):
        scope = {"https://acme.crm4.dynamics.com/.default", "https://acme.crm.dynamics.com/.default"}
        known = {
            "grant_type": "client_credentials",
            "client_id": "application-id",
            "client_secret": "not-a-real-secret",
        }
        if path != "/acme.example.com/oauth2/v2.0/token" or form.pop("scope") not in scope or form != known:
            return httpx.Response(401, json={"error": "invalid_client", "error_description": "AADSTS7000215"})
        said = {"access_token": "not-a-real-access", "token_type": "Bearer", "expires_in": 3599}
        return httpx.Response(200, json=said)

    def changed(self, table, ref, body, headers):
        there = self.tables[table].get(ref)
        if there is None and headers.get("if-match") == "*":
            return refusal(404, f"{table} with Id = {ref} does not exist")
        if there is not None and headers.get("if-none-match") == "*":
            return refusal(412, "A record with matching key values already exists.")
        if table == "lists":
            assert body["createdfromcode"] in KINDS.values()
            self.keep("lists", LISTED | body, ref)
            return httpx.Response(204)
        if strange := sorted(body.keys() - COLUMNS):
            return refusal(400, f"Invalid property {strange[0]!r} was found")
        if body.get("new_nps", 0) < 0:
            return refusal(400, "A validation error occurred. new_nps is outside the valid range.")
        there |= body
        return httpx.Response(204)

    def added(self, list_id, action, body):
        assert action == "Microsoft.Dynamics.CRM.AddMemberList"
        row = {"listid": list_id, "entityid": body["EntityId"]}
        if row["entityid"] not in self.tables[self.table]:
            return refusal(404, f"{self.table} does not exist")
        if row in self.tables["listmembers"].values():
            return refusal(412, "A record with matching key values already exists.")
        return httpx.Response(200, json={"Id": self.keep("listmembers", row)})

    def queried(self, request, table):
        asked = dict(request.url.params)
        if not WHERE.fullmatch(asked["$filter"]) or len(str(request.url)) > 32_768:
            return refusal(400, "Syntax error in the filter, or too long an address")
        wanted = {}
        for name, text, ref in re.findall(EQUAL, asked["$filter"]):
            wanted.setdefault(name, set()).add(ref or text.replace("''", "'").lower())
        found = []
        for ref, row in self.tables[table].items():
            shown = row | {f"{table[:-1]}id": ref} | {f"_{name}_value": value for name, value in row.items()}
            if all(str(shown.get(name)).lower() in values for name, values in wanted.items()):
                found.append({name: shown.get(name) for name in asked["$select"].split(",")})
        skip = int(asked.get("$skiptoken", 0))
        page = found[skip : skip + self.page]
        link = request.url.copy_merge_params({"$skiptoken": str(skip + self.page)})
        more = {"@odata.nextLink": str(link)} if len(found) > skip + self.page else {}
        return httpx.Response(200, json={"value": page, **more})


def refusal(status, message, code="0x80040265", headers=None):
    return httpx.Response(status, headers=headers, json={"error": {"code": code, "message": message}})
