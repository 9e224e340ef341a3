"""The part of Meta's Marketing API that connectors/meta_ads.py speaks to, in memory: the audiences of one ad account.

It keeps what the vendor documents: schemas of several keys with a row for each of up to 10,000 people, blanks for keys
that are unknown, SHA-256 in hex for all but mobile ad ids, counts of what was received and what could not be used, and
errors that tell by their code what they are, and sessions that replace all rows at their end. A row takes out those
alone who were put in by the same row.
Not documented, and chosen here: two audiences may have one name, also where one is to be fetched or made; every error
is an answer of 400; a row counts as invalid where `unusable` says so, and is counted as received all the same.
"""

import hashlib
import json
import re
from itertools import compress, count

import httpx

TOKEN, SECRET = "not-a-real-token", "not-a-real-secret"
HASHED = {"EMAIL", "PHONE", "FN", "LN", "COUNTRY", "CT", "ST", "ZIP", "DOBY", "DOBM", "DOBD", "GEN"}
KEYS = HASHED | {"MADID", "DATA_PROCESSING_OPTIONS"}
SOURCES = {"USER_PROVIDED_ONLY", "PARTNER_PROVIDED_ONLY", "BOTH_USER_AND_PARTNER_PROVIDED"}


def hashed(text):
    return hashlib.sha256(text.encode()).hexdigest()


class Sandbox:
    list = "Detractors / 2026"
    rate = (5_000, 3_600)

    def __init__(self):
        self.settings = {"META_ADS_ACCESS_TOKEN": TOKEN, "META_ADS_AD_ACCOUNT": "4711"}
        self.numbers = count(23850000000001)
        self.audiences = {"23840000000001": {"name": "Website visitors", "subtype": "WEBSITE"}}
        self.held = {}  # audience -> row, as (key, value) of each key that is filled -> its data processing options
        self.sessions = {}  # audience -> the rows that an open session has brought, and its number and next batch
        self.unusable = set()  # values that Meta counts as invalid
        self.terms = 1  # what Meta shows of the account's terms

    def member(self, n):
        return {"email": f"person{n}@example.com"}

    def unwelcome(self):
        return {"email": "nowhere"}

    def holds(self, fields):
        return (("EMAIL", hashed(fields["email"])),) in self.rows()

    def listed(self):
        return [value for row in self.rows() for _, value in row]

    def rows(self):
        return next((self.held[each] for each, said in self.audiences.items() if said["name"] == self.list), {})

    def expire(self):
        """Meta ends open sessions after 90 minutes: what they have brought is the audience."""
        self.held |= {place: rows for place, (rows, *_) in self.sessions.items()}
        self.sessions.clear()

    def throttled(self, seconds):
        used = {"type": "custom_audience", "call_count": 100, "total_cputime": 3, "total_time": 5}
        used["estimated_time_to_regain_access"] = -(-seconds // 60)
        header = {"x-business-use-case-usage": json.dumps({"4711": [used]})}
        return failed(80003, "There have been too many calls to this ad-account.", headers=header)

    def __call__(self, request):
        if request.url.host != "graph.facebook.com":
            return httpx.Response(404)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return failed(190, "Invalid OAuth access token - Cannot parse access token")
        told = json.loads(request.content) if request.content else dict(request.url.params)
        match request.method, request.url.path.removeprefix("/v26.0").split("/")[1:]:
            case "GET", ["act_4711"]:
                return httpx.Response(200, json={"tos_accepted": {"custom_audience_tos": self.terms}, "id": "act_4711"})
            case "GET", ["act_4711", "customaudiences"]:
                return self.page(told)
            case "POST", ["act_4711", "customaudiences"]:
                return self.made(**told)
            case "GET", [place] if place in self.audiences:
                status = {"code": 414 if place in self.sessions else 200, "description": "…"}
                known = {"id": place, "operation_status": status, **self.audiences[place]}
                return httpx.Response(200, json={name: known[name] for name in ("id", *told["fields"].split(","))})
            case ("POST" | "DELETE") as what, [place, "users"] if place in self.held:
                return self.changed(what, self.held[place], place, **told)
            case "POST", [place, "usersreplace"] if place in self.held:
                return self.replaced(place, **told)
        return failed(100, "Unsupported request. Object does not exist", 33)

    def page(self, told):
        after, fields = int(told.get("after", 0)), told["fields"].split(",")
        found = list(self.audiences.items())[after:]
        data = [{"id": each, **{name: said[name] for name in fields}} for each, said in found[:2]]
        paging = {"cursors": {"before": str(after), "after": str(after + len(data))}}
        paging |= {"next": "https://graph.facebook.com/…"} if found[2:] else {}
        return httpx.Response(200, json={"data": data, **({"paging": paging} if data else {})})

    def made(self, name, subtype, customer_file_source, enable_fetch_or_create=False):
        if subtype != "CUSTOM" or customer_file_source not in SOURCES or not name:
            return failed(100, "Invalid parameter")
        if self.terms != 1:
            return failed(200, "Permissions error", 1870090)
        self.audiences[number := str(next(self.numbers))] = {"name": name, "subtype": subtype}
        self.held[number] = {}
        return httpx.Response(200, json={"id": number, "message": ""})

    def replaced(self, place, payload, session):
        number, batch = session["session_id"], session["batch_seq"]
        rows, *expected = self.sessions.setdefault(place, [{}, number, 1])
        if expected != [number, batch] or not 0 <= number < 2**63:
            return failed(2650, "Failed to update the custom audience", 1870145 if expected[0] != number else 1870147)
        answer = self.changed("POST", rows, place, payload)
        self.sessions[place][2] += answer.is_success
        if session["last_batch_flag"] and answer.is_success:
            self.held[place] = self.sessions.pop(place)[0]
        return answer

    def changed(self, what, held, place, payload):
        schema, data = payload["schema"], payload["data"]
        if payload.keys() != {"schema", "is_raw", "data"} or payload["is_raw"] is not True:
            return failed(100, "Invalid parameter")
        if not 1 <= len(data) <= 10_000 or not schema or not {*schema} <= KEYS or len({*schema}) != len(schema):
            return failed(100, "Invalid parameter: schema, or more than 10,000 users")
        if not all(fits(schema, row) for row in data):
            return failed(100, "Invalid parameter: rows that are not as the schema")
        rows = [dict(zip(schema, row, strict=True)) for row in data]
        options = [row.pop("DATA_PROCESSING_OPTIONS", None) for row in rows]
        usable = [not self.unusable & {*row.values()} for row in rows]
        for row, option in compress(zip(rows, options, strict=True), usable):
            known = tuple((key, value) for key, value in row.items() if value)
            held[known] = option
            if what == "DELETE":
                del held[known]
        said = {"audience_id": place, "session_id": "901", "num_received": len(rows)}
        said |= {"num_invalid_entries": usable.count(False)}
        return httpx.Response(200, json=said | {"invalid_entry_samples": {}})


def fits(schema, row):
    """Whether a row has a value for each key of a schema, some of them blank, in the form that Meta wants."""
    if len(row) != len(schema):
        return False
    told = dict(zip(schema, row, strict=True))
    if told.pop("DATA_PROCESSING_OPTIONS", []) not in ([], ["LDU"]):
        return False
    forms = {key: "[0-9a-f]{64}|" if key in HASHED else "[0-9a-f-]{36}|" for key in told}
    return any(told.values()) and all(re.fullmatch(forms[key], value) for key, value in told.items())


def failed(code, words, subcode=None, **more):
    error = {"message": words, "type": "OAuthException", "code": code, "fbtrace_id": "A-not-a-real-trace"}
    return httpx.Response(400, json={"error": error | ({"error_subcode": subcode} if subcode else {})}, **more)
