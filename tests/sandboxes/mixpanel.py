"""The part of Mixpanel that connectors/mixpanel.py speaks to, in memory: profiles, in one project.

Two answers are not as documented, because nothing is: how `strict` names the records that fail (here as for events),
and what a request of more than 2,000 updates gets (here a 400). Whom `$remove` does not find, it leaves unmade.
"""

import json
from base64 import b64encode
from urllib.parse import parse_qs

import httpx

options = (
    {"membership": "array"},
    {"membership": "array", "null": "keep"},
    {"membership": "boolean"},
    {"membership": "boolean", "null": "keep"},
)

READER = "Basic " + b64encode(b"reader.mp-service-account:not-a-real-secret").decode()
# region -> where profiles are changed, where they are asked for; by the servers of the vendor's specifications
HOSTS = {"eu": ("api-eu.mixpanel.com", "eu.mixpanel.com"), "us": ("api.mixpanel.com", "mixpanel.com")}
SHAPES = {"$set": dict, "$unset": list, "$union": dict, "$remove": dict}


class Sandbox:
    list = "NPS détracteurs [2026]"
    any_field = "note"

    def __init__(self):
        self.settings = {
            "MIXPANEL_TOKEN": "not-a-real-token",
            "MIXPANEL_REGION": "eu",
            "MIXPANEL_SERVICE_ACCOUNT": "reader.mp-service-account",
            "MIXPANEL_SERVICE_SECRET": "not-a-real-secret",
            "MIXPANEL_PROJECT_ID": "3187",
        }
        self.elsewhere = {"MIXPANEL_REGION": "us"}
        self.options = {}
        self.profiles = {}  # distinct_id -> properties
        self.page_size, self.queries, self.sessions = 1000, 0, {}

    def member(self, n):
        return {"distinct_id": f"user-{n}", "$email": f"person{n}@example.com", "$first_name": "Ada"}

    def unwelcome(self):
        return {**self.member(0), "note": "a" * 2**20}

    def holds(self, fields):
        """On the list, and each field as it was sent; one that is NULL is not there, or is left as it was."""
        profile = self.profiles.get(fields["distinct_id"], {})
        listed = self.list in profile.get("audiences", []) or profile.get("in_nps_detracteurs_2026") is True
        return listed and all(self.same(profile, *each) for each in fields.items() if each[0] != "distinct_id")

    def same(self, profile, name, value):
        if value is None:
            return name not in profile or self.options.get("null") == "keep"
        return name in profile and json.dumps(profile[name]) == json.dumps(value)

    def __call__(self, request):
        assert request.method == "POST"
        said, asked = HOSTS[self.settings["MIXPANEL_REGION"]]
        match request.url.host, request.url.path:
            case host, "/engage" if host == said:
                return self.engage(request)
            case host, "/api/query/engage" if host == asked:
                return self.query(request)
        return httpx.Response(404)

    def engage(self, request):
        """https://docs.mixpanel.com/reference/user-profiles"""
        updates, asked = json.loads(request.content), request.url.params
        if request.headers["content-type"] != "application/json" or len(updates) > 2000:
            return httpx.Response(400, json={"status": "error", "error": "at most 2000 updates, as JSON"})
        failed = [n for n, update in enumerate(updates) if not self.valid(update)]
        if failed and asked.get("strict") == "1":
            records = [{"index": n, "message": "the record is not valid"} for n in failed]
            return httpx.Response(400, json={"code": 400, "status": "Bad Request", "failed_records": records})
        for n, update in enumerate(updates):
            # A token that is no project's is accepted, and what it brings goes nowhere.
            if n not in failed and update["$token"] == "not-a-real-token":
                self.apply(update)
        taken = int(len(failed) < len(updates))
        if asked.get("verbose") == "1":
            return httpx.Response(200, json={"status": taken, "error": None if taken else "no valid record"})
        return httpx.Response(200, text=str(taken))

    def valid(self, update):
        operations = [name for name in update if name in SHAPES]
        return (
            len(json.dumps(update)) <= 1_000_000
            and update.keys() == {"$token", "$distinct_id", *operations}
            and isinstance(update["$distinct_id"], str)
            and update["$distinct_id"] != ""
            and len(operations) == 1
            and isinstance(update[operations[0]], SHAPES[operations[0]])
        )

    def apply(self, update):
        user = update["$distinct_id"]
        if user not in self.profiles and update.keys() & {"$remove", "$unset"}:
            return
        profile = self.profiles.setdefault(user, {})
        profile.update(update.get("$set", {}))
        for name in update.get("$unset", []):
            profile.pop(name, None)
        for name, values in update.get("$union", {}).items():
            held = profile.setdefault(name, [])
            held += [value for value in values if value not in held]
        for name, value in update.get("$remove", {}).items():
            if value in profile.get(name, []):
                profile[name].remove(value)

    def query(self, request):
        """https://docs.mixpanel.com/reference/engage-query, for `where` with `defined` alone"""
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        if request.headers.get("authorization") != READER or request.url.params.get("project_id") != "3187":
            return httpx.Response(401, json={"status": "error", "error": "Invalid credentials"})
        self.queries += 1
        if self.queries > 60:
            return httpx.Response(429, json={"status": "error", "error": "at most 60 queries an hour"})
        page, session = int(form.get("page", 0)), form.get("session_id", f"{self.queries}-session")
        if page and session not in self.sessions:
            return httpx.Response(400, json={"status": "error", "error": "request for page in uncached query"})
        found = self.sessions.setdefault(session, self.matching(form["where"], json.loads(form["output_properties"])))
        results = found[page * self.page_size : (page + 1) * self.page_size]
        about = {"page": page, "page_size": self.page_size, "session_id": session, "status": "ok", "total": len(found)}
        return httpx.Response(200, json={"results": results, **about})

    def matching(self, where, names):
        name = where.removeprefix('defined(properties["').removesuffix('"])')
        return [
            {"$distinct_id": user, "$properties": {each: profile[each] for each in names if each in profile}}
            for user, profile in self.profiles.items()
            if name in profile
        ]
