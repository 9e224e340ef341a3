"""The part of Salesforce's REST API that connectors/salesforce.py speaks to, in memory: records, campaigns, queries.

It keeps what the vendor documents: 200 records a collection, each for itself and answered in order, 2,000 rows a page,
a query inside a composite call, client credentials, and compares texts without regard to case, but for a field that is
unique with it. Not documented, and chosen here: the words of errors, that a field which does not exist and a text for a
number's field refuse a whole collection, and that a campaign member exists once.
"""

import json
import re
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx

NUMBERED = {"identify": "Customer_No__c", "new": "create"}
options = (NUMBERED, {"identify": "Email", "object": "lead"})

DATA = "/services/data/v62.0"
PREFIX = {"Campaign": "701", "CampaignMember": "00v", "Contact": "003", "Lead": "00Q", "Account": "001"}
FIELDS = {"LastName", "Name", "Email", "NPS__c", "Customer_No__c", "HasOptedOutOfEmail"}
QUERY = re.compile(r"SELECT (?P<fields>.+?) FROM (?P<table>\w+)(?: WHERE (?P<where>.+?))?(?: ORDER BY .+| LIMIT 1)?")
TEXT = r"'(?:[^'\\]|\\.)*'"
CONDITION = re.compile(rf"([\w.]+) (=|IN|!=) ({TEXT}|null|\((?:{TEXT}(?:, )?)+\))")
WHERE = re.compile(rf"{CONDITION.pattern}(?: AND {CONDITION.pattern})*")
SIGNS = {"n": "\n", "r": "\r", "t": "\t"}


class Refusal(Exception):
    """An answer that ends a call."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.answer = httpx.Response(status, json=[{"message": message, "errorCode": code}])


class Sandbox:
    list = "NPS d'été: détracteurs 2026"

    def __init__(self):
        self.settings = {
            "SALESFORCE_DOMAIN": "acme.my.salesforce.com",
            "SALESFORCE_CLIENT_ID": "consumer-key",
            "SALESFORCE_CLIENT_SECRET": "not-a-real-secret",
        }
        self.elsewhere = {"SALESFORCE_DOMAIN": "acme--test.sandbox.my.salesforce.com"}
        self.options = NUMBERED
        self.tables = {name: {} for name in PREFIX}  # name -> id -> fields
        self.page, self.pages, self.token, self.left = 2000, {}, "not-a-real-access", 15_000
        self.made = 0

    @property
    def object(self):
        return self.options.get("object", "contact").capitalize()

    def member(self, n):
        """The n-th person, who is there already where strangers are refused. Every other has opted out."""
        name = "Name" if self.object == "Account" else "LastName"
        fields = {self.options["identify"]: f"C-{n}", name: "Ada", "NPS__c": n}
        if self.options["identify"] == "Email":
            fields["Email"] = f"person{n}@example.com"
            if not self.rows(self.object, "Email", fields["Email"]):
                self.keep(self.object, {"Email": fields["Email"], "HasOptedOutOfEmail": bool(n % 2)})
        return fields

    def unwelcome(self):
        return {**self.member(0), ("Name" if self.object == "Account" else "LastName"): ""}

    def holds(self, fields):
        """On the campaign with just these values."""
        by, found = self.options["identify"], self.tables[self.object]
        ids = [ref for ref in self.rows(self.object, by, fields[by]) if fields.items() <= found[ref].items()]
        return any(ref in self.listed_records() for ref in ids)

    def listed_records(self):
        campaigns = [ref for ref, each in self.tables["Campaign"].items() if each["Name"] == self.list]
        members = self.tables["CampaignMember"].values()
        return [each[f"{self.object}Id"] for each in members if each["CampaignId"] in campaigns]

    def keep(self, table, fields):
        self.made += 1
        ref = f"{PREFIX[table]}invented{self.made:04d}AAA"
        self.tables[table][ref] = dict(fields)
        return ref

    def rows(self, table, field, *values):
        """Ids of the rows with one of these values; only a field that is unique with regard to case regards it."""
        form = str if field in ("Customer_No__c", "Id") else lambda value: str(value).lower()
        wanted = {form(value) for value in values}
        found = self.tables[table].items()
        return [ref for ref, row in found if form(self.at(ref if field == "Id" else row, field)) in wanted]

    def at(self, row, path):
        """A value of a row, or of the row that it names: Contact.Email."""
        if isinstance(row, str):
            return row
        name, _, rest = path.partition(".")
        return self.tables[name].get(row.get(f"{name}Id"), {}).get(rest) if rest else row.get(name)

    def __call__(self, request):
        if request.url.path == "/services/oauth2/token":
            return self.signed_in(dict(parse_qsl(request.content.decode())))
        try:
            if request.headers.get("authorization") != f"Bearer {self.token}":
                raise Refusal(401, "INVALID_SESSION_ID", "Session expired or invalid")
            self.left -= 1
            if self.left < 0:
                raise Refusal(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
            body = json.loads(request.content) if request.content else dict(request.url.params)
            where = f"{request.method} {request.url.path.removeprefix(DATA)}"
            for route, answer in ROUTES.items():
                if found := re.fullmatch(route, where):
                    status, said = answer(self, *found.groups(), body)
                    return httpx.Response(status, json=said)
            raise Refusal(404, "NOT_FOUND", "The requested resource does not exist")
        except Refusal as refusal:
            return refusal.answer

    def signed_in(self, form):
        known = {"grant_type": "client_credentials", "client_id": "consumer-key", "client_secret": "not-a-real-secret"}
        if form != known:
            return httpx.Response(
                401, json={"error": "invalid_client", "error_description": "invalid client credentials"}
            )
        return httpx.Response(200, json={"access_token": self.token, "token_type": "Bearer", "scope": "api"})

    def composite(self, body):
        [asked] = body["compositeRequest"]
        url = urlsplit(asked["url"])
        assert (asked["method"], url.path) == ("GET", f"{DATA}/query")
        try:
            said, status = self.queried(parse_qs(url.query)["q"][0]), 200
        except Refusal as refusal:
            said, status = refusal.answer.json(), refusal.answer.status_code
        answer = {"body": said, "httpHeaders": {}, "httpStatusCode": status, "referenceId": asked["referenceId"]}
        return 200, {"compositeResponse": [answer]}

    def queried(self, soql):
        asked = QUERY.fullmatch(soql)
        if not asked or (asked["where"] and not WHERE.fullmatch(asked["where"])):
            raise Refusal(400, "MALFORMED_QUERY", f"{soql} ^ ERROR at Row:1:Column:1")
        table, found = asked["table"], None
        for field, how, values in CONDITION.findall(asked["where"] or ""):
            texts = [unescaped(each) for each in re.findall(TEXT, values)]
            refs = self.rows(table, field, *texts) if how != "!=" else self.set_in(table, field)
            found = refs if found is None else [ref for ref in found if ref in {*refs}]
        fields = asked["fields"].split(", ")
        if strange := [each for each in fields if each.rpartition(".")[2] not in FIELDS | {"Id", "Description"}]:
            raise Refusal(400, "INVALID_FIELD", f"{soql} No such column {strange[0]!r}")
        refs = [*self.tables[table]] if found is None else found
        return self.paged([self.shown(table, ref, fields) for ref in refs])

    def set_in(self, table, field):
        return [ref for ref, row in self.tables[table].items() if row.get(field) is not None]

    def shown(self, table, ref, fields):
        row = {"attributes": {"type": table}}
        for path in fields:
            name, _, rest = path.partition(".")
            value = ref if path == "Id" else self.at(self.tables[table][ref], path)
            row[name] = {"attributes": {"type": name}, rest: value} if rest else value
        return row

    def paged(self, rows):
        page, rest = rows[: self.page], rows[self.page :]
        more = {}
        if rest:
            self.pages[name := f"01g{len(self.pages)}-{self.page}"] = rest
            more = {"nextRecordsUrl": f"{DATA}/query/{name}"}
        return {"totalSize": len(rows), "done": not rest, "records": page, **more}

    def next_page(self, name, _):
        return 200, self.paged(self.pages[name])

    def campaign(self, body):
        if len(body["Name"]) > 80:
            raise Refusal(400, "STRING_TOO_LONG", "Campaign Name: data value too large")
        return 201, {"id": self.keep("Campaign", body), "success": True, "errors": []}

    def upsert(self, table, by, body):
        return 200, [self.each(table, row, by) for row in self.records(body, table)]

    def update(self, body):
        return 200, [self.each(row["attributes"]["type"], row, None) for row in self.records(body)]

    def records(self, body, table=None):
        assert body["allOrNone"] is False
        if not 1 <= len(body["records"]) <= 200:
            raise Refusal(400, "INVALID_INPUT", "The number of records is 1 to 200")
        for row in body["records"]:
            assert table in (None, row["attributes"]["type"])
            if strange := sorted(row.keys() - FIELDS - {"attributes", "id"}):
                raise Refusal(400, "INVALID_FIELD", f"No such column {strange[0]!r} on sobject of type {table}")
            if not isinstance(row.get("NPS__c"), int | None):
                raise Refusal(400, "JSON_PARSER_ERROR", "Cannot deserialize instance of double from VALUE_STRING")
        return body["records"]

    def each(self, table, row, by):
        """One record, found by id or by an external id, made by the latter alone."""
        fields = {name: value for name, value in row.items() if name not in ("attributes", "id")}
        found = self.rows(table, by, row[by]) if by else self.rows(table, "Id", row["id"])
        if len(found) > 1:
            return failed("DUPLICATE_EXTERNAL_ID", "more than one record found for external id field")
        if not found and not by:
            return failed("ENTITY_IS_DELETED", "entity is deleted")
        name = "Name" if table == "Account" else "LastName"
        if fields.get(name, not found) in ("", True, None):
            return failed("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{name}]")
        ref = found[0] if found else self.keep(table, {"HasOptedOutOfEmail": False})
        self.tables[table][ref] |= fields
        return {"id": ref, "success": True, "errors": [], **({"created": not found} if by else {})}

    def join(self, body):
        assert body["allOrNone"] is False
        assert len(body["records"]) <= 200
        return 200, [self.joined(row) for row in body["records"]]

    def joined(self, row):
        fields = {name: value for name, value in row.items() if name != "attributes"}
        assert row["attributes"] == {"type": "CampaignMember"}
        assert fields.keys() == {"CampaignId", f"{self.object}Id"}
        if fields in self.tables["CampaignMember"].values():
            return failed("DUPLICATE_VALUE", "Already a campaign member.")
        return {"id": self.keep("CampaignMember", fields), "success": True, "errors": []}

    def leave(self, query):
        ids = query["ids"].split(",")
        assert len(ids) <= 200
        return 200, [self.left_by(ref) for ref in ids]

    def left_by(self, ref):
        if self.tables["CampaignMember"].pop(ref, None) is None:
            return failed("ENTITY_IS_DELETED", "entity is deleted")
        return {"id": ref, "success": True, "errors": []}


def failed(code, message):
    return {"success": False, "errors": [{"statusCode": code, "message": message, "fields": []}]}


def unescaped(text):
    return re.sub(r"\\(.)", lambda found: SIGNS.get(found[1], found[1]), text[1:-1])


ROUTES = {
    r"POST /composite": Sandbox.composite,
    r"GET /query/(.+)": Sandbox.next_page,
    r"POST /sobjects/Campaign": Sandbox.campaign,
    r"PATCH /composite/sobjects/(\w+)/(\w+)": Sandbox.upsert,
    r"PATCH /composite/sobjects": Sandbox.update,
    r"POST /composite/sobjects": Sandbox.join,
    r"DELETE /composite/sobjects": Sandbox.leave,
}
