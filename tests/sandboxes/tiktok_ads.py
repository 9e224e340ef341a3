"""The part of TikTok's API for Business that connectors/tiktok_ads.py speaks to, in memory: one advertiser's audiences.

It keeps what the vendor documents: a `code` in an answer of 200 that says whether it is one, 40100 for too many calls,
a schema of ids without repeats and rows of as many ids, some of them {}, and names of at most 70 characters, longer
ones being cut. Not documented, and chosen here: up to 10,000 rows a call, two audiences may have one name, codes of
other failures, and that an audience shows at once.
"""

import hashlib
import json
import re
from itertools import count

import httpx

SCHEMA = {"EMAIL_SHA256", "PHONE_SHA256", "IDFA_SHA256", "AAID_SHA256"}
HASH = re.compile("[0-9a-f]{64}")
ADVERTISER = "7000000000000004711"


class Sandbox:
    list = "Detractors / 2026"
    rate = (10, 1)

    def __init__(self):
        self.settings = {"TIKTOK_ADS_ACCESS_TOKEN": "not-a-real-token", "TIKTOK_ADS_ADVERTISER_ID": ADVERTISER}
        self.numbers = count(170000001)
        self.audiences = {"169999999": "Website visitors"}  # id -> name
        self.held = {"169999999": set()}  # id -> (schema, hash)
        self.allowed = True  # whether TikTok lets this app stream

    def member(self, n):
        return {"email": f"person{n}@example.com"}

    def unwelcome(self):
        return {"email": "nowhere"}

    def holds(self, fields):
        return ("EMAIL_SHA256", hashlib.sha256(fields["email"].encode()).hexdigest()) in self.rows()

    def listed(self):
        return [each for _, each in self.rows()]

    def rows(self):
        return next((self.held[each] for each, name in self.audiences.items() if name == self.list), set())

    def throttled(self, seconds):
        return said(40100, "You have made too many requests. Please try again later")

    def __call__(self, request):
        if request.url.host != "business-api.tiktok.com":
            return httpx.Response(404)
        if request.headers.get("access-token") != "not-a-real-token":
            return said(40105, "Access token is incorrect or has been revoked.")
        told = json.loads(request.content) if request.content else dict(request.url.params)
        match request.method, request.url.path.removeprefix("/open_api/v1.3"):
            case "GET", "/dmp/custom_audience/list/" if told["advertiser_id"] == ADVERTISER:
                return self.page(int(told["page"]), int(told["page_size"]))
            case "GET", "/dmp/custom_audience/get/" if told["advertiser_id"] == ADVERTISER:
                found = [each for each in json.loads(told["custom_audience_ids"]) if each in self.audiences]
                details = [{"audience_details": {"audience_id": each, "name": self.audiences[each]}} for each in found]
                return said(0, "OK", list=details)
            case "POST", "/segment/audience/" if self.allowed:
                return self.made(**told)
            case "POST", "/segment/mapping/" if self.allowed:
                return self.mapped(**told)
        return said(40001, "No permission to operate")

    def page(self, number, size):
        if not 1 <= size <= 100:
            return said(40002, "page_size: Must be between 1 and 100")
        every = [{"audience_id": each, "name": name} for each, name in self.audiences.items()]
        shown = every[(number - 1) * size : number * size]
        pages = {"page": number, "page_size": size, "total_number": len(every), "total_page": -(-len(every) // size)}
        return said(0, "OK", list=shown, page_info=pages)

    def made(self, custom_audience_name, advertiser_id, action):
        if action != "create" or advertiser_id != ADVERTISER:
            return said(40002, "Invalid parameter")
        name = custom_audience_name
        self.audiences[number := str(next(self.numbers))] = name if len(name) <= 70 else f"{name[:67]}..."
        self.held[number] = set()
        return said(0, "OK", audience_id=number)

    def mapped(self, advertiser_ids, action, id_schema, batch_data):
        if advertiser_ids != [ADVERTISER] or action not in ("add", "delete") or not 1 <= len(batch_data) <= 10_000:
            return said(40002, "Invalid parameter")
        if not id_schema or not {*id_schema} <= SCHEMA or len({*id_schema}) != len(id_schema):
            return said(40002, "id_schema: Invalid")
        for row in batch_data:
            if len(row) != len(id_schema) or not any(row) or not all(not each or self.fits(each) for each in row):
                return said(40002, "batch_data: Invalid")
        for row in batch_data:
            for kind, each in zip(id_schema, row, strict=True):
                for audience in each.get("audience_ids", ()):
                    self.held[audience].add((kind, each["id"]))
                    if action == "delete":
                        self.held[audience].remove((kind, each["id"]))
        return said(0, "OK")

    def fits(self, each):
        known = each["audience_ids"] and {*each["audience_ids"]} <= self.held.keys()
        return each.keys() == {"id", "audience_ids"} and bool(HASH.fullmatch(each["id"])) and known


def said(code, message, **data):
    return httpx.Response(200, json={"code": code, "message": message, "request_id": "2026-not-real", "data": data})
