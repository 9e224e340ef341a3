"""The part of Airship that connectors/airship.py speaks to, in memory: the named users of one project.

It keeps what the vendor documents and its client library sends: tags of a group for many named users, attributes
for one, warnings in answers of success, ids without blanks around them, named users in pages with a link to the next.
Not documented, and chosen here: a named user who is not there is made, and has no channel; the words of errors.
"""

import json
from base64 import b64encode

import httpx

HOSTS = {"us": "go.urbanairship.com", "eu": "go.airship.eu"}
SIGNED = "Basic " + b64encode(b"app-key-of-the-tests-1:not-a-real-secret-1234").decode()

options = ({"null": "clear"}, {"null": "keep"})


class Sandbox:
    list = "Détractors / 2026"

    def __init__(self):
        self.settings = {
            "AIRSHIP_APP_KEY": "app-key-of-the-tests-1",
            "AIRSHIP_MASTER_SECRET": "not-a-real-secret-1234",
            "AIRSHIP_REGION": "us",
        }
        self.elsewhere = {"AIRSHIP_REGION": "eu"}
        self.options = {}  # of the sync
        self.users = {}  # named_user_id -> tags by group, attributes, whether the channels are opted in
        self.groups, self.known = {"audiences"}, {"first_name", "plan", "nps", "paid"}
        self.page_size = 1000

    def member(self, n):
        """The n-th person. Every third is no named user yet."""
        fields = {"named_user_id": f"user/{n}", "first_name": "Ada"}
        if n % 3 == 1:
            self.user(fields["named_user_id"])["opt_in"] = True
        return fields

    def unwelcome(self):
        return {"named_user_id": " blank", "first_name": "Ada"}

    def holds(self, fields):
        user = self.users.get(fields["named_user_id"])
        sent = {name: value for name, value in fields.items() if name != "named_user_id"}
        return user is not None and self.list in user["tags"].get("audiences", []) and user["attributes"] == sent

    def consent(self, fields):
        opted = self.users.get(fields["named_user_id"], {}).get("opt_in")
        return None if opted is None else "subscribed" if opted else "unsubscribed"

    def opt_out(self, fields):
        self.user(fields["named_user_id"])["opt_in"] = False

    def user(self, name):
        return self.users.setdefault(name, {"tags": {}, "attributes": {}, "opt_in": None})

    def __call__(self, request):
        if request.url.host != HOSTS[self.settings["AIRSHIP_REGION"]]:
            return httpx.Response(404)
        if request.headers.get("authorization") != SIGNED:
            return httpx.Response(401, text="Unauthorized")
        if request.headers["accept"] != "application/vnd.urbanairship+json; version=3":
            return wrong(406, "a version has to be asked for")
        body = json.loads(request.content) if request.content else {}
        match request.method, request.url.path:
            case "GET", "/api/named_users/":
                return self.look(request.url, **request.url.params)
            case "POST", "/api/named_users/tags/":
                return self.tag(**body)
            case "POST", "/api/channels/attributes/":
                return self.describe(**body)
        return wrong(404, "no such page")

    def look(self, url, id=None, start="0"):
        if id is not None:
            return wrong(404, "no such named user")
        begin, end, names = int(start), int(start) + self.page_size, [*self.users]
        shown = [{"named_user_id": name, "tags": self.users[name]["tags"]} for name in names[begin:end]]
        more = {"next_page": str(url.copy_set_param("start", end))} if names[end:] else {}
        return httpx.Response(200, json={"ok": True, "named_users": shown, **more})

    def tag(self, audience, add=None, remove=None):
        names, [(group, tags)] = audience["named_user_id"], (add or remove).items()
        if not 1 <= len(names) <= 1000 or (add and remove) or any(each != each.strip() for each in names):
            return wrong(400, "Could not parse request body")
        if group not in self.groups:
            return httpx.Response(200, json={"ok": True, "warnings": [f"The tag group does not exist: {group}"]})
        for name in names:
            held = self.user(name)["tags"].setdefault(group, [])
            held[:] = [*(each for each in held if each not in tags), *(tags if add else [])]
        return httpx.Response(200, json={"ok": True})

    def describe(self, audience, attributes):
        [name] = audience["named_user_id"]
        if name != name.strip() or not attributes:
            return wrong(400, "Could not parse request body")
        held, unknown = self.user(name)["attributes"], [e["key"] for e in attributes if e["key"] not in self.known]
        for each in attributes:
            match each:
                case {"key": key} if key in unknown:
                    continue
                case {"action": "remove", "key": key}:
                    held.pop(key, None)
                case {"action": "set", "key": key, "value": str() | int() | float() as value} if value not in (
                    True,
                    False,
                ):
                    held[key] = value
                case _:
                    return wrong(400, "Could not parse request body")
        warning = {"warning": f"These attributes do not exist: {', '.join(unknown)}"} if unknown else {}
        return httpx.Response(200, json={"ok": True, **warning})


def wrong(status, words):
    return httpx.Response(status, json={"ok": False, "error": words, "error_code": status * 100})
