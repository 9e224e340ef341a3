"""The part of Appcues that connectors/appcues.py speaks to, in memory: users and segments of one account.

It keeps what could be read: hosts, paths, sign-in, the name of each field that is sent, errors as title and detail.
Not documented, and chosen here: segments come by pages of 100, names may be taken twice, a job is done at once, a
profile makes a user, a property that is no text, number or boolean is a 422, at most 1,000 ids a call.
"""

import json
from base64 import b64encode
from itertools import count

import httpx

HOSTS = {"us": "api.appcues.com", "eu": "api.eu.appcues.com"}
SIGNED = "Basic " + b64encode(b"key-1:not-a-real-secret").decode()


class Sandbox:
    list = "Detractors"

    def __init__(self):
        self.settings = {"APPCUES_API_KEY": "key-1", "APPCUES_API_SECRET": "not-a-real-secret"}
        self.settings |= {"APPCUES_ACCOUNT_ID": "4711", "APPCUES_REGION": "eu"}
        self.elsewhere = {"APPCUES_REGION": "us"}
        self.options = {}  # of the sync
        self.users, self.segments = {}, {}  # id -> properties; id -> name and ids
        self.numbers = count(101)

    def member(self, n):
        return {"user_id": f"u-{n}", "name": "Ada", "npsScore": n}

    def unwelcome(self):
        return {**self.member(0), "name": "x" * 3000}

    def holds(self, fields):
        sent = {name: value for name, value in fields.items() if name != "user_id"}
        return fields["user_id"] in self.listed() and self.users.get(fields["user_id"]) == sent

    def listed(self):
        return [user for each in self.segments.values() if each["name"] == self.list for user in each["ids"]]

    def __call__(self, request):
        if request.url.host != HOSTS[self.settings["APPCUES_REGION"]]:
            return httpx.Response(404)
        if request.headers.get("authorization") != SIGNED:
            return failed(401, "Unauthorized", "invalid API key")
        body = json.loads(request.content) if request.content else None
        match request.method, request.url.path.removeprefix("/v2/accounts/4711/").split("/"):
            case "GET", ["segments"]:
                page, limit = (int(request.url.params[name]) for name in ("page", "limit"))
                told = [{"id": ref, "name": each["name"]} for ref, each in self.segments.items()]
                return httpx.Response(200, json=told[(page - 1) * limit : page * limit])
            case "POST", ["segments"]:
                self.segments[ref := f"s-{next(self.numbers)}"] = {"name": body["name"], "ids": {}}
                return httpx.Response(200, json={"id": ref, **body})
            case "GET", ["segments", ref] if ref in self.segments:
                return httpx.Response(200, json={"id": ref, "name": self.segments[ref]["name"]})
            case "POST", ["segments", ref, verb] if ref in self.segments:
                return self.change(self.segments[ref], verb, **body)
            case "PATCH", ["users", user, "profile"]:
                return self.write(user, body)
        return failed(404, "Not Found", "no such page")

    def change(self, segment, verb, user_ids):
        if not 1 <= len(user_ids) <= 1000 or not all(isinstance(each, str) and each for each in user_ids):
            return failed(422, "Unprocessable Entity", "user_ids is invalid")
        kept = {user: None for user in segment["ids"] if user not in user_ids}
        segment["ids"] = {"add_user_ids": kept | dict.fromkeys(user_ids), "remove_user_ids": kept}[verb]
        return httpx.Response(202, json={"status": 202, "title": "Accepted"})

    def write(self, user, values):
        if not all(isinstance(each, str | int | float) and len(str(each)) < 1000 for each in values.values()):
            return failed(422, "Unprocessable Entity", "a property is too long, or of no type that is kept")
        self.users.setdefault(user, {}).update(values)
        return httpx.Response(200, json={"status": 200, "title": "OK"})


def failed(status, title, detail):
    return httpx.Response(status, json={"error": True, "status": status, "title": title, "detail": detail})
