"""The part of Salesforce's API that connectors/salesforce.py speaks to, in memory: records, campaigns, queries, jobs.

It keeps what the vendor documents: 200 records a collection, each for itself and answered in order, 2,000 rows a page,
five queries inside a composite call, client credentials, and compares texts without regard to case, but for a field
that is unique with it. A job is opened, filled once, begun, and does nothing before; its results are in no order, and
name each row by what was uploaded. An empty cell is passed over, #N/A is NULL, and a column that is no field fails all.
Not documented, and chosen here: the words of errors, that a field which does not exist and a text for a number's field
refuse a whole collection, that a campaign member exists once, and that a job which has begun cannot be begun again.
"""

import csv
import io
import json
import re
from collections import defaultdict
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx

NUMBERED = {"identify": "Customer_No__c", "new": "create"}
options = (NUMBERED, {"identify": "Email", "object": "lead"}, {"identify": "Email", "bulk": "0"})

DATA = "/services/data/v62.0"
PREFIX = {"Campaign": "701", "CampaignMember": "00v", "Contact": "003", "Lead": "00Q", "Account": "001"}
FIELDS = {"LastName", "Name", "Email", "NPS__c", "Customer_No__c", "HasOptedOutOfEmail"}
QUERY = re.compile(r"SELECT (?P<fields>.+?) FROM (?P<table>\w+)(?: WHERE (?P<where>.+?))?(?: ORDER BY .+| LIMIT 1)?")
TEXT = r"'(?:[^'\\]|\\.)*'"
CONDITION = re.compile(rf"([\w.]+) (=|IN|!=) ({TEXT}|null|\((?:{TEXT}(?:, )?)+\))")
WHERE = re.compile(rf"{CONDITION.pattern}(?: AND {CONDITION.pattern})*")
NULL = "#N/A"
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
        self.index = {}  # (table, field) -> value -> ids, for the length of a call
        self.made, self.people = 0, set()  # records; numbers of people who have one
        self.jobs = {}  # id -> what it says of itself, its rows, and once it is over what it did and did not
        self.locked, self.silent = set(), set()  # of a job: rows that fail, and rows of which it says nothing

    @property
    def object(self):
        return self.options.get("object", "contact").capitalize()

    @property
    def judges_few(self):
        return "bulk" not in self.options

    def member(self, n):
        """The n-th person, who is there already where strangers are refused. Every other has opted out."""
        name = "Name" if self.object == "Account" else "LastName"
        fields = {self.options["identify"]: f"C-{n}", name: "Ada", "NPS__c": n}
        if self.options["identify"] == "Email":
            fields["Email"] = f"person{n}@example.com"
            if n not in self.people:
                self.people.add(n)
                self.keep(self.object, {"Email": fields["Email"], "HasOptedOutOfEmail": bool(n % 2)})
        return fields

    def unwelcome(self):
        return {**self.member(0), ("Name" if self.object == "Account" else "LastName"): ""}

    def holds(self, fields):
        """On the campaign with just these values."""
        by, found, self.index = self.options["identify"], self.tables[self.object], {}
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

    def form(self, field, value):
        """Only a field that is unique with regard to case regards it."""
        return str(value) if field in ("Customer_No__c", "Id") else str(value).lower()

    def rows(self, table, field, *values):
        """Ids of the rows with one of these values. They are looked through once a call."""
        if (table, field) not in self.index:
            found = self.index[table, field] = defaultdict(list)
            for ref, row in self.tables[table].items():
                found[self.form(field, self.at(ref if field == "Id" else row, field))].append(ref)
        known = self.index[table, field]
        return [
            ref for value in dict.fromkeys(self.form(field, each) for each in values) for ref in known.get(value, ())
        ]

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
            self.left, self.index = self.left - 1, {}
            if self.left < 0:
                raise Refusal(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
            media = request.headers.get("content-type", "")
            body = request.content.decode() if "csv" in media else json.loads(request.content or "null")
            body = dict(request.url.params) if body is None else body
            where = f"{request.method} {request.url.path.removeprefix(DATA)}"
            for route, answer in ROUTES.items():
                if found := re.fullmatch(route, where):
                    status, said = answer(self, *found.groups(), body)
                    return httpx.Response(status, **({"text": said} if isinstance(said, str) else {"json": said}))
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
        if len(body["compositeRequest"]) > 5:
            raise Refusal(400, "LIMIT_EXCEEDED", "at most 5 queries")
        assert len({each["referenceId"] for each in body["compositeRequest"]}) == len(body["compositeRequest"])
        return 200, {"compositeResponse": [self.answered(asked) for asked in body["compositeRequest"]]}

    def answered(self, asked):
        url = urlsplit(asked["url"])
        assert (asked["method"], url.path) == ("GET", f"{DATA}/query")
        try:
            said, status = self.queried(parse_qs(url.query)["q"][0]), 200
        except Refusal as refusal:
            said, status = refusal.answer.json(), refusal.answer.status_code
        return {"body": said, "httpHeaders": {}, "httpStatusCode": status, "referenceId": asked["referenceId"]}

    def queried(self, soql):
        asked = QUERY.fullmatch(soql)
        if not asked or (asked["where"] and not WHERE.fullmatch(asked["where"])):
            raise Refusal(400, "MALFORMED_QUERY", f"{soql} ^ ERROR at Row:1:Column:1")
        table, found = asked["table"], None
        for field, how, values in CONDITION.findall(asked["where"] or ""):
            texts = [unescaped(each) for each in re.findall(TEXT, values)]
            refs = self.rows(table, field, *texts) if how != "!=" else self.set_in(table, field)
            found = refs if found is None else [*filter({*found}.__contains__, refs)]
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
        return 200, self.each_of(table, self.records(body, table), by)

    def update(self, body):
        records = self.records(body)
        return 200, self.each_of(records[0]["attributes"]["type"], records, None)

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

    def each_of(self, table, records, by):
        """What becomes of each record."""
        known = defaultdict(list)
        for ref, row in self.tables[table].items() if by else ():
            known[self.form(by, row.get(by))].append(ref)
        return [self.each(table, row, by, known) for row in records]

    def each(self, table, row, by, known):
        """One record, found by id or by an external id, made by the latter alone."""
        fields = {name: value for name, value in row.items() if name not in ("attributes", "id")}
        found = known[self.form(by, row[by])] if by else [row["id"]] * (row["id"] in self.tables[table])
        if len(found) > 1:
            return failed("DUPLICATE_EXTERNAL_ID", "more than one record found for external id field")
        if not found and not by:
            return failed("ENTITY_IS_DELETED", "entity is deleted")
        name = "Name" if table == "Account" else "LastName"
        if fields.get(name, not found) in ("", True, None):
            return failed("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{name}]")
        new = not found
        if new:
            found.append(self.keep(table, {"HasOptedOutOfEmail": False}))
        self.tables[table][found[0]] |= fields
        return {"id": found[0], "success": True, "errors": [], **({"created": new} if by else {})}

    def join(self, body):
        assert body["allOrNone"] is False
        assert len(body["records"]) <= 200
        there = {tuple(sorted(each.items())) for each in self.tables["CampaignMember"].values()}
        return 200, [self.joined(row, there) for row in body["records"]]

    def joined(self, row, there):
        fields = {name: value for name, value in row.items() if name != "attributes"}
        assert row["attributes"] == {"type": "CampaignMember"}
        assert fields.keys() == {"CampaignId", f"{self.object}Id"}
        if tuple(sorted(fields.items())) in there:
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

    def open_job(self, asked):
        assert (asked.pop("contentType"), asked.pop("lineEnding")) == ("CSV", "LF")
        by = {"externalIdFieldName"} if asked["operation"] == "upsert" else set()
        assert asked.keys() == {"object", "operation"} | by
        name = f"750{len(self.jobs):015}"
        self.jobs[name] = {"said": {"id": name, "state": "Open", "apiVersion": 62.0, **asked}, "rows": None}
        return 200, self.jobs[name]["said"]

    def job(self, name):
        if name not in self.jobs:
            raise Refusal(404, "NOT_FOUND", "The requested resource does not exist")
        return self.jobs[name]

    def fill(self, name, text):
        if self.job(name)["rows"] is not None or self.jobs[name]["said"]["state"] != "Open":
            raise Refusal(400, "CLIENTINPUTERROR", f"Found multiple contents for job: {name}")
        self.jobs[name]["rows"] = [*csv.DictReader(io.StringIO(text, newline=""))]
        return 201, ""

    def begin(self, name, body):
        said = self.job(name)["said"]
        if (said["state"], body) != ("Open", {"state": "UploadComplete"}):
            raise Refusal(400, "INVALIDJOBSTATE", f"the job is {said['state']}")
        said["state"] = "UploadComplete"
        return 200, said

    def told(self, name, _):
        return 200, self.job(name)["said"]

    def works(self):
        """Every job that has begun is done."""
        for job in self.jobs.values():
            if job["said"]["state"] == "UploadComplete":
                job["did"], job["failed"] = [], []
                job["said"] |= self.worked(job)

    def worked(self, job):
        said, rows = job["said"], [row for row in job["rows"] if not self.silent & {*row.values()}]
        strange = sorted({name for row in rows for name in row} - FIELDS - {"Id"})
        if strange:
            return {"state": "Failed", "errorMessage": f"InvalidBatch : Field name not found : {strange[0]}"}
        answers = [failed("UNABLE_TO_LOCK_ROW", "no")] * len(rows)
        free = [n for n, row in enumerate(rows) if not self.locked & {*row.values()}]
        for n, answer in zip(free, self.done(said, [rows[n] for n in free]), strict=True):
            answers[n] = answer
        for row, answer in reversed([*zip(rows, answers, strict=True)]):
            told = [f"{each['statusCode']}:{each['message']}:--" for each in answer["errors"]]
            ended = {"sf__Error": told[0]} if told else {"sf__Created": str(answer.get("created", False)).lower()}
            job["failed" if told else "did"].append({"sf__Id": answer.get("id", ""), **ended, **row})
        return {"state": "JobComplete", "numberRecordsProcessed": len(rows)}

    def done(self, said, rows):
        if said["operation"] == "delete":
            return [self.left_by(row["Id"]) for row in rows]
        cells = [{name: cell for name, cell in row.items() if cell != ""} for row in rows]
        records = [{name: None if cell == NULL else cell for name, cell in row.items()} for row in cells]
        records = [
            {("id" if name == "Id" else name): typed(name, value) for name, value in row.items()} for row in records
        ]
        return self.each_of(said["object"], records, said.get("externalIdFieldName"))

    def results(self, name, which, _):
        job = self.job(name)
        if job["said"]["state"] != "JobComplete":
            raise Refusal(400, "INVALIDJOBSTATE", f"the job is {job['said']['state']}")
        found = job["did" if which == "successful" else "failed"]
        head = ["sf__Id", "sf__Created" if which == "successful" else "sf__Error", *(job["rows"] or [{}])[0]]
        writer = csv.DictWriter(text := io.StringIO(), head, lineterminator="\n")
        writer.writeheader()
        writer.writerows(found)
        return 200, text.getvalue()


def typed(name, value):
    return int(value) if name == "NPS__c" and value is not None else value


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
    r"POST /jobs/ingest": Sandbox.open_job,
    r"PUT /jobs/ingest/(\w+)/batches": Sandbox.fill,
    r"PATCH /jobs/ingest/(\w+)": Sandbox.begin,
    r"GET /jobs/ingest/(\w+)": Sandbox.told,
    r"GET /jobs/ingest/(\w+)/(successful|failed)Results": Sandbox.results,
}
