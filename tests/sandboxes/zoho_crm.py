"""The part of Zoho CRM that connectors/zoho_crm.py speaks to, in memory: two modules, their records and tags.

It keeps what the vendor documents: 100 records an update, 500 for tags, 50 values of an `in`, quotes that are doubled,
200 records of a query and of a page, 204 where there are none, one status an item in the order of the call, errors with
a json_path and no id, 207 where some items failed, names of tags that are unique and have at most 25 characters,
sign-in by data centre. Not documented, and chosen here: an address is the same in any case, other values are not; to
take away a tag that a record has not is a success; an update that fails in every item is a 400, as it is for tags; a
field that there is not, and most words of errors.
"""

import json
import re
from urllib.parse import parse_qsl

import httpx

options = ({}, {"module": "Leads"}, {"identify": "Customer_No"})

HOSTS = {"us": ("accounts.zoho.com", "www.zohoapis.com"), "eu": ("accounts.zoho.eu", "www.zohoapis.eu")}
FIELDS = {"Email": str, "Customer_No": str, "Last_Name": str, "NPS_Score": int, "Email_Opt_Out": bool}
QUERY = re.compile(r"select id, (\w+) from (Contacts|Leads) where (\w+) in \((('([^']|'')*'(, )?)+)\)")
SIGN_IN = {
    "grant_type": "refresh_token",
    "client_id": "1000.TESTS",
    "client_secret": "not-a-real-secret",
    "refresh_token": "not-a-real-refresh",
}


class Refusal(Exception):
    """An answer that ends a call."""

    def __init__(self, status, code, message, **details):
        super().__init__(message)
        self.answer = httpx.Response(status, json=error(code, message, **details))


class Sandbox:
    list = "Détracteurs [2026]"
    at_once = 5

    def __init__(self):
        self.settings = {
            "ZOHO_CRM_CLIENT_ID": "1000.TESTS",
            "ZOHO_CRM_CLIENT_SECRET": "not-a-real-secret",
            "ZOHO_CRM_REFRESH_TOKEN": "not-a-real-refresh",
            "ZOHO_CRM_REGION": "us",
        }
        self.elsewhere = {"ZOHO_CRM_REGION": "eu"}
        self.options = {}  # of the sync
        self.records = {"Contacts": {}, "Leads": {}}  # module -> id -> record, with the ids of its tags
        self.tags = {"Contacts": {"55440000000001": "Détracteurs [2026] / May"}, "Leads": {}}  # module -> id -> name
        self.last = 55440000001000

    @property
    def module(self):
        return self.options.get("module", "Contacts")

    def member(self, n):
        """The n-th person, who is in Zoho already; every other has opted out."""
        own = {"Email": f"person{n}@example.com", "Customer_No": f"C-{n}"}
        if not self.found("Customer_No", own["Customer_No"]):
            self.record(**own, Last_Name="Ada", Email_Opt_Out=n % 2 == 0)
        by = self.options.get("identify", "Email")
        return {by: own[by], "NPS_Score": n}

    def unwelcome(self):
        return {**self.member(1), self.options.get("identify", "Email"): "nobody@example.com"}

    def holds(self, fields):
        [(by, ident), *_] = fields.items()
        wanted = {name: value for name, value in fields.items() if name != by}.items()
        kept = self.found(by, ident)
        return bool(kept) and all(self.tags_of(each) == [self.list] and wanted <= each.items() for each in kept)

    def consent(self, fields):
        [(by, ident), *_] = fields.items()
        return next(("unsubscribed" if each["Email_Opt_Out"] else "subscribed" for each in self.found(by, ident)), None)

    def opt_out(self, fields):
        [(by, ident), *_] = fields.items()
        for each in self.found(by, ident):
            each["Email_Opt_Out"] = True

    def record(self, **own):
        """A record of the module, as a person makes it there."""
        made = {"Email_Opt_Out": False, **own, "id": self.number(), "tags": []}
        return self.records[self.module].setdefault(made["id"], made)

    def number(self):
        self.last += 1
        return str(self.last)

    def found(self, by, value):
        form = str.lower if by == "Email" else str
        records = self.records[self.module].values()
        return [each for each in records if form(each.get(by) or "") == form(value)]

    def tags_of(self, record):
        return [self.tags[self.module][each] for each in record["tags"]]

    def throttled(self, seconds):
        return Refusal(429, "TOO_MANY_REQUESTS", "too many requests fired in concurrency").answer

    def __call__(self, request):
        accounts, api = HOSTS[self.settings["ZOHO_CRM_REGION"]]
        if request.url.host == accounts and request.url.path == "/oauth/v2/token":
            return self.signed_in(dict(parse_qsl(request.content.decode())))
        if request.url.host != api:
            return httpx.Response(404)
        if request.headers.get("authorization") != "Zoho-oauthtoken not-a-real-access":
            return Refusal(401, "INVALID_TOKEN", "invalid oauth token").answer
        body = json.loads(request.content) if request.content else {}
        parts = request.url.path.removeprefix("/crm/v8/").split("/")
        try:
            status, said = self.answer(request.method, parts, dict(request.url.params), body)
        except Refusal as refusal:
            return refusal.answer
        return httpx.Response(status, json=said) if said else httpx.Response(status)

    def signed_in(self, form):
        if form != SIGN_IN:
            return httpx.Response(200, json={"error": "invalid_code"})  # a success, by its status
        said = {"access_token": "not-a-real-access", "token_type": "Bearer", "expires_in": 3600}
        return httpx.Response(200, json=said)

    def answer(self, method, parts, query, body):
        match method, parts:
            case "GET", ["settings", "tags"]:
                return self.list_tags(query["module"])
            case "POST", ["settings", "tags"]:
                return self.make_tag(query["module"], **body)
            case "POST", ["coql"]:
                return self.query(**body)
            case "GET", [module]:
                return self.page(self.records[module], **query)
            case "PUT", [module]:
                return self.update(self.records[module], **body)
            case "POST", [module, "actions", ("add_tags" | "remove_tags") as action]:
                return self.tag(module, action, **body)
        raise Refusal(404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one")

    def list_tags(self, module):
        tags = [{"id": each, "name": name, "color_code": None} for each, name in self.tags[module].items()]
        return (200, {"tags": tags, "info": {"count": len(tags), "allowed_count": 100}}) if tags else (204, None)

    def make_tag(self, module, tags):
        [name] = [each["name"] for each in tags]
        if len(name) > 25 or name.lower() in map(str.lower, self.tags[module].values()):
            why = ("INVALID_DATA", "invalid data") if len(name) > 25 else ("DUPLICATE_DATA", "duplicate tag name")
            return 400, {"tags": [error(*why, api_name="name")]}
        self.tags[module][number := self.number()] = name
        details = {"id": number, "color_code": None}
        return 201, {"tags": [success("tags created successfully", details)]}

    def query(self, select_query):
        if not (asked := QUERY.fullmatch(select_query)):
            raise Refusal(400, "SYNTAX_ERROR", "error occurred while parsing the query")
        column, module, by, values = asked.groups()[:4]
        wanted = [each.replace("''", "'") for each, _ in re.findall(r"'(([^']|'')*)'", values)]
        if module != self.module or by not in FIELDS or len(wanted) > 50:
            raise Refusal(400, "INVALID_QUERY", "invalid query formed")
        found = [each for value in wanted for each in self.found(by, value)]
        data = [{"id": each["id"], column: each[column]} for each in found[:200]]
        return (
            (200, {"data": data, "info": {"count": len(data), "more_records": bool(found[200:])}}) if data else (204, 0)
        )

    def page(self, records, fields, per_page, page_token="0"):
        start, size, names = int(page_token), int(per_page), fields.split(",")
        if size > 200:
            raise Refusal(400, "INVALID_DATA", "the limit is exceeded", param="per_page")
        data = [self.shown(each, names) for each in [*records.values()][start : start + size]]
        more = len(records) > start + size
        info = {"per_page": size, "more_records": more, "next_page_token": str(start + size) if more else None}
        return (200, {"data": data, "info": info}) if data else (204, None)

    def shown(self, record, names):
        tags = [{"id": each, "name": self.tags[self.module][each], "color_code": None} for each in record["tags"]]
        return {"id": record["id"], **{name: record.get(name) for name in names}, "Tag": tags}

    def update(self, records, data, trigger=("workflow",)):
        if not 1 <= len(data) <= 100 or trigger:
            raise Refusal(400, "LIMIT_EXCEEDED", "from 1 to 100 records, and the sandbox has no workflows")
        items = [self.updated(records, n, **each) for n, each in enumerate(data)]
        return status(items), {"data": items}

    def updated(self, records, place, id, **fields):
        if id not in records:
            return error("INVALID_DATA", "record not found", api_name="id", json_path=f"$.data[{place}].id")
        for name, value in fields.items():
            if value is not None and type(value) is not FIELDS.get(name):
                return error("INVALID_DATA", "invalid data", api_name=name, json_path=f"$.data[{place}].{name}")
        records[id] |= fields
        return success("record updated", {"id": id})

    def tag(self, module, action, tags, ids, over_write=False):
        [wanted] = [each["id"] for each in tags]
        if wanted not in self.tags[module] or not 1 <= len(ids) <= 500 or over_write:
            raise Refusal(400, "INVALID_DATA", "invalid data", api_name="tags")
        items = [self.tagged(self.records[module], action, wanted, each) for each in ids]
        return status(items), {"data": items}

    def tagged(self, records, action, tag, number):
        if number not in records:
            return error("INVALID_DATA", "the id given seems to be invalid", api_name="ids")
        kept = [each for each in records[number]["tags"] if each != tag]
        records[number]["tags"] = [*kept, tag] if action == "add_tags" else kept
        return success("tags updated successfully", {"id": number, "tags": self.tags_of(records[number])})


def status(items):
    done = [each["status"] == "success" for each in items]
    return 200 if all(done) else 207 if any(done) else 400


def success(message, details):
    return {"status": "success", "code": "SUCCESS", "message": message, "details": details}


def error(code, message, **details):
    return {"status": "error", "code": code, "message": message, "details": details}
