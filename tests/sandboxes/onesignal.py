"""The part of OneSignal that connectors/onesignal.py speaks to, in memory: users and segments of one app.

It keeps what the vendor documents: tags that are texts and go with an empty one, segments defined by filters, in pages
of 300, a plan that may allow no more of them, errors that are objects for users and texts for segments.
Not documented, and chosen here: who is no user gets a 404, changes show at once, a segment's name may be taken twice.
"""

import json
from itertools import count

import httpx

options = ({"null": "clear"}, {"null": "keep"})


class Sandbox:
    list = "Détractors / 2026"
    rate = (1000, 1)

    def __init__(self):
        self.settings = {"ONESIGNAL_API_KEY": "not-a-real-key", "ONESIGNAL_APP_ID": "app-1"}
        self.options = {}  # of the sync
        self.users = {}  # external_id -> tags
        self.enabled = {}  # external_id -> whether push reaches the user
        self.segments = {}  # id -> name and filters
        self.numbers, self.most = count(1), 500

    def member(self, n):
        fields = {"external_id": f"user/{n}", "first_name": "Ada", "score": "7"}
        self.user(fields["external_id"])
        return fields

    def unwelcome(self):
        return {"external_id": "nobody", "first_name": "Ada", "score": "7"}

    def holds(self, fields):
        tags = self.users.get(fields["external_id"], {})
        sent = {name: value for name, value in fields.items() if name != "external_id"}
        return fields["external_id"] in self.listed() and tags == {**sent, "in_detractors_2026": "true"}

    def consent(self, fields):
        enabled = self.enabled.get(fields["external_id"])
        return None if enabled is None else "subscribed" if enabled else "unsubscribed"

    def opt_out(self, fields):
        self.user(fields["external_id"])
        self.enabled[fields["external_id"]] = False

    def user(self, name):
        """Someone whom the app has made a user."""
        self.enabled.setdefault(name, True)
        return self.users.setdefault(name, {})

    def listed(self):
        """Who is in the list's segment."""
        filters = [
            each for segment in self.segments.values() if segment["name"] == self.list for each in segment["filters"]
        ]
        return [user for user, tags in self.users.items() if any(tags.get(f["key"]) == f["value"] for f in filters)]

    def throttled(self, seconds):
        errors = [{"code": "Rate Limit Exceeded", "title": "API rate limit exceeded"}]
        return httpx.Response(429, headers={"retry-after": str(seconds)}, json={"errors": errors})

    def __call__(self, request):
        if request.url.host != "api.onesignal.com" or not request.url.path.startswith("/apps/app-1/"):
            return httpx.Response(404, json={"errors": [{"code": "app", "title": "no such app"}]})
        if request.headers.get("authorization") != "Key not-a-real-key":
            return httpx.Response(401, json={"errors": [{"code": "auth-1", "title": "Invalid API key"}]})
        path = request.url.raw_path.decode().partition("?")[0].removeprefix("/apps/app-1/").split("/")
        match request.method, path:
            case "GET", ["segments"]:
                return self.page(**request.url.params)
            case "POST", ["segments"]:
                return self.make(**json.loads(request.content))
            case "GET", ["segments", number] if number in self.segments:
                segment = {"id": number, "created_at": 1780000000, "source": "custom", **self.segments[number]}
                return httpx.Response(200, json={"subscriber_count": 0, "payload": segment})
            case "PATCH", ["users", "by", "external_id", _]:
                name = request.url.path.removeprefix("/apps/app-1/users/by/external_id/")
                return self.change(name, **json.loads(request.content))
        return httpx.Response(404, json={"errors": [{"code": "page", "title": "no such page"}]})

    def page(self, limit, offset=0):
        kept = [{"id": each, "name": segment["name"], "is_active": True} for each, segment in self.segments.items()]
        about = {"total_count": len(kept), "offset": int(offset), "limit": int(limit)}
        return httpx.Response(200, json={**about, "segments": kept[int(offset) :][: min(int(limit), 300)]})

    def make(self, name, filters):
        if len(self.segments) >= self.most:
            words = "You have reached the maximum number of segments allowed for your plan."
            return httpx.Response(422, json={"errors": [words]})
        if len(name) > 128 or not 1 <= len(filters) <= 200:
            return httpx.Response(400, json={"errors": ["a name of up to 128 characters, and 1 to 200 filters"]})
        self.segments[made := f"seg-{next(self.numbers)}"] = {"name": name, "filters": filters}
        return httpx.Response(201, json={"success": True, "id": made})

    def change(self, name, properties):
        tags = properties["tags"]
        if name not in self.users:
            return httpx.Response(404, json={"errors": [{"code": "user-404", "title": "User not found"}]})
        if properties.keys() != {"tags"} or not all(isinstance(value, str) for value in tags.values()):
            return httpx.Response(400, json={"errors": [{"code": "tags", "title": "Tags must be strings"}]})
        held = self.users[name] | tags
        self.users[name] = {key: value for key, value in held.items() if value != ""}
        return httpx.Response(202, json={"properties": {}})
