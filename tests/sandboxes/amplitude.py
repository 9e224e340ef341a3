"""The part of Amplitude that connectors/amplitude.py speaks to, in memory: users and cohorts of one project.

It keeps what the vendor documents: two hosts, a cohort that begins with at least one user, changes of up to 100,000 ids
that skip whom the project does not know and name them, properties in a form with the key beside them. As documented it
makes a user of whoever is given a property, so that a connector which asks for that is found out.
Not documented, and chosen here: properties show at once, a name may be taken twice, a cohort may become empty, a change
of one that is not there, or is computed, gets a 400, and so do properties of a user whose id begins with a blank.
"""

import json
from base64 import b64encode
from itertools import count
from urllib.parse import parse_qs

import httpx

HOSTS = {"us": ("amplitude.com", "api2.amplitude.com"), "eu": ("analytics.eu.amplitude.com", "api.eu.amplitude.com")}
SIGNED = "Basic " + b64encode(b"not-a-real-key:not-a-real-secret").decode()

options = ({"null": "clear"}, {"null": "keep"})


class Sandbox:
    list = "Detractors / 2026"
    any_field = "note"
    at_once = 1
    begins_with = frozenset({"tester"})

    def __init__(self):
        self.settings = {
            "AMPLITUDE_API_KEY": "not-a-real-key",
            "AMPLITUDE_SECRET_KEY": "not-a-real-secret",
            "AMPLITUDE_REGION": "us",
            "AMPLITUDE_PROJECT_ID": "3187",
            "AMPLITUDE_OWNER": "analyst@example.com",
            "AMPLITUDE_SEED_USER": "tester",
        }
        self.elsewhere = {"AMPLITUDE_REGION": "eu"}
        self.options = {}  # of the sync
        self.users = {"tester": {}}  # user_id -> properties
        self.cohorts = {"old1": self.cohort("old1", "Detractors")}
        self.held = {"old1": {}}  # cohort -> user_ids
        self.numbers = count(101)

    def member(self, n):
        fields = {"user_id": f"user-{n}", "first_name": "Ada"}
        self.users.setdefault(fields["user_id"], {})
        return fields

    def unwelcome(self):
        return {"user_id": "nobody", "first_name": "Ada"}

    def holds(self, fields):
        user = self.users.get(fields["user_id"], {})
        return fields["user_id"] in self.listed() and all(self.same(user, *each) for each in fields.items())

    def same(self, user, name, value):
        if name == "user_id":
            return True
        if value is None:
            return name not in user or self.options.get("null") == "keep"
        return name in user and json.dumps(user[name]) == json.dumps(value)

    def listed(self):
        return [user for each, users in self.held.items() if self.cohorts[each]["name"] == self.list for user in users]

    def cohort(self, number, name, kind="manual_upload"):
        about = {"appId": 3187, "archived": False, "published": True, "createdAt": 1780000000}
        return {"id": number, "name": name, "type": kind, **about}

    def throttled(self, seconds):
        return httpx.Response(429, json={"error": {"message": "the cohort is being changed", "code": 429}})

    def __call__(self, request):
        cohorts, users = HOSTS[self.settings["AMPLITUDE_REGION"]]
        if (request.method, request.url.host, request.url.path) == ("POST", users, "/identify"):
            return self.identify({name: value for name, [value] in parse_qs(request.content.decode()).items()})
        if request.url.host != cohorts:
            return httpx.Response(404)
        if request.headers.get("authorization") != SIGNED:
            return httpx.Response(401)
        match request.method, request.url.path:
            case "GET", "/api/3/cohorts":
                cohorts = [{**each, "size": len(self.held.get(name, ()))} for name, each in self.cohorts.items()]
                return httpx.Response(200, json={"cohorts": cohorts})
            case "POST", "/api/3/cohorts/upload":
                return self.upload(**json.loads(request.content))
            case "POST", "/api/3/cohorts/membership":
                return self.change(**json.loads(request.content))
        return httpx.Response(404)

    def upload(self, name, app_id, id_type, ids, owner, published):
        known = [each for each in ids if each in self.users]
        if (app_id, id_type, published) != (3187, "BY_USER_ID", True) or "@" not in owner or not known:
            return wrong("a cohort has a project, an owner and at least one user")
        made = f"c{next(self.numbers)}"
        self.cohorts[made], self.held[made] = self.cohort(made, name), dict.fromkeys(known)
        return httpx.Response(200, json={"cohortId": made, "metadata": {"matched": len(known), "totals": len(ids)}})

    def change(self, cohort_id, skip_invalid_ids, memberships):
        cohort, results = self.cohorts.get(cohort_id), []
        if cohort is None or cohort["type"] != "manual_upload" or skip_invalid_ids is not True:
            return wrong(f"{cohort_id} not found")
        for each in memberships:
            ids, operation = each["ids"], each["operation"]
            if not 1 <= len(ids) <= 100_000 or each["id_type"] != "BY_NAME" or operation not in ("ADD", "REMOVE"):
                return wrong("not 1 to 100,000 ids to ADD or REMOVE BY_NAME")
            known = dict.fromkeys(name for name in ids if name in self.users)
            held = self.held[cohort_id]
            self.held[cohort_id] = {name: None for name in {**held, **known} if operation == "ADD" or name not in known}
            skipped = [name for name in ids if name not in known]
            results.append({"skipped_ids": skipped, "id_type": "BY_NAME", "operation": operation})
        return httpx.Response(200, json={"cohort_id": cohort_id, "memberships_result": results})

    def identify(self, form):
        users = json.loads(form["identification"])
        if form["api_key"] != "not-a-real-key" or form.keys() != {"api_key", "identification"}:
            return httpx.Response(400, text="invalid_api_key")
        if any(each["user_id"].startswith(" ") for each in users):
            return httpx.Response(400, text="invalid user_id")
        for each in users:
            told = each["user_properties"]
            if not told or not {"$set", "$unset"} >= told.keys():
                return httpx.Response(400, text="invalid user_properties")
            user = self.users.setdefault(each["user_id"], {})
            user.update(told.get("$set", {}))
            for name in told.get("$unset", {}):
                user.pop(name, None)
        return httpx.Response(200, text="success")


def wrong(message):
    return httpx.Response(400, json={"error": {"message": message, "code": 400}})
