"""The part of Braze that connectors/braze.py speaks to, in memory: the users of one workspace.

It keeps what the vendor documents: up to 75 objects a call, a 201 that names what failed by its place, null that
removes an attribute, users made by a change unless it says `_update_existing_only`, up to 50 ids a look-up, and the ids
that nobody has. Whoever is made has opted out of nothing. A consent that a call sends is taken, so that a connector
which sends one is found out.
Not documented, and chosen here: everything shows at once, a change of whoever is no user is passed over without a word,
and an external id that Braze blocks is an error of its own object.
"""

import json
import time

import httpx

HOSTS = {"https://rest.iad-01.braze.com", "https://rest.fra-01.braze.eu"}
BLOCKED = "dummy"
OWN = ("external_id", "_update_existing_only")

options = ({"new": "refuse"}, {"new": "subscribed"})


class Sandbox:
    list = "Detractors"
    rate = (250, 60)

    def __init__(self):
        self.settings = {"BRAZE_API_KEY": "not-a-real-key", "BRAZE_URL": "https://rest.iad-01.braze.com"}
        self.elsewhere = {"BRAZE_URL": "https://rest.fra-01.braze.eu"}
        self.options = {}  # of the sync
        self.users = {}  # external id -> attributes, consent among them

    def member(self, n):
        """The n-th person. Every third is no user yet where that may be."""
        if self.options.get("new", "refuse") == "refuse" or n % 3:
            self.user(f"u-{n}")
        return {"external_id": f"u-{n}", "first_name": "Ada", "nps_score": n}

    def unwelcome(self):
        return {**self.member(0), "external_id": BLOCKED}

    def holds(self, fields):
        sent = {name: value for name, value in fields.items() if name != "external_id" and value is not None}
        has = self.users.get(fields["external_id"], {})
        return {**has, "email_subscribe": ""} == {**sent, "in_detractors": True, "email_subscribe": ""}

    def listed(self):
        return [user for user, has in self.users.items() if has.get("in_detractors") is True]

    def consent(self, fields):
        return self.users.get(fields["external_id"], {}).get("email_subscribe")

    def opt_out(self, fields):
        self.user(fields["external_id"])["email_subscribe"] = "unsubscribed"

    def user(self, name):
        """A user's attributes; whoever is none is made one."""
        return self.users.setdefault(name, {"email_subscribe": "subscribed"})

    def throttled(self, seconds):
        counted = {"x-ratelimit-limit": "250", "x-ratelimit-remaining": "0"}
        when = {"x-ratelimit-reset": str(int(time.time()) + seconds), "x-ratelimit-retry-after": str(seconds)}
        return httpx.Response(429, headers=counted | when, json={"message": "Rate limit exceeded"})

    def __call__(self, request):
        if f"https://{request.url.host}" != self.settings["BRAZE_URL"]:
            return httpx.Response(404)
        if request.headers.get("authorization") != "Bearer not-a-real-key":
            return httpx.Response(401, json={"message": "Invalid API key"})
        body = json.loads(request.content)
        match request.method, request.url.path:
            case "POST", "/users/track":
                return self.track(**body)
            case "POST", "/users/export/ids":
                return self.export(**body)
        return httpx.Response(404, json={"message": "No such page"})

    def export(self, external_ids, fields_to_export):
        if not 1 <= len(external_ids) <= 50 or fields_to_export != ["external_id"]:
            return httpx.Response(400, json={"message": "Between 1 and 50 identifiers", "errors": []})
        users = [{"external_id": each} for each in dict.fromkeys(external_ids) if each in self.users]
        lacking = [each for each in external_ids if each not in self.users]
        told = {"message": "success", "users": users, **({"invalid_user_ids": lacking} if lacking else {})}
        return httpx.Response(201, json=told)

    def track(self, attributes):
        if not 1 <= len(attributes) <= 75:
            return httpx.Response(400, json={"message": "Between 1 and 75 objects", "errors": []})
        errors = []
        for n, each in enumerate(attributes):
            if why := self.unfit(each):
                errors.append({"type": why, "input_array": "attributes", "index": n})
            elif each["external_id"] in self.users or not each["_update_existing_only"]:
                self.change(self.user(each["external_id"]), each)
        said = {"message": "success", "attributes_processed": len(attributes) - len(errors)}
        return httpx.Response(201, json=said | ({"errors": errors} if errors else {}))

    def unfit(self, told):
        if not isinstance(told.get("external_id"), str) or not told["external_id"]:
            return "Each object must have one of external_id, braze_id or user_alias"
        if told["external_id"] == BLOCKED:
            return "provided external_id is blacklisted and disallowed"
        return "'email' is not valid" if "@" not in (told.get("email") or "@") else ""

    def change(self, user, told):
        user.update({name: value for name, value in told.items() if name not in OWN})
        for name in [name for name, value in user.items() if value is None]:
            del user[name]
