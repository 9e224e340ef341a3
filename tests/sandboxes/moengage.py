"""The part of MoEngage that connectors/moengage.py speaks to, in memory: users and cohorts of one workspace.

It keeps what the vendor documents: up to 20 users a look-up, who are named as found or not, attributes that make a user
unless only existing ones are asked for, cohorts that pass over strangers without a word, bodies of up to 128 KB, names
that a cohort cannot have. A user with an address has e-mail switched on until they opt out.
Not documented, and chosen here: changes show at once; an attribute may be of any type but of `created_time`, a text.
"""

import json
from base64 import b64encode

import httpx

SIGNED = "Basic " + b64encode(b"ws-3187:not-a-real-key").decode()
ACCEPTED = {"status": "success", "message": "Your request has been accepted and will be processed soon."}


class Sandbox:
    list = "Détractors / 2026"
    any_field = "note"
    rate = (100, 60)

    def __init__(self):
        self.settings = {
            "MOENGAGE_WORKSPACE_ID": "ws-3187",
            "MOENGAGE_API_KEY": "not-a-real-key",
            "MOENGAGE_DATA_CENTER": "02",
            "MOENGAGE_PARTNER": "audiences",
        }
        self.elsewhere = {"MOENGAGE_DATA_CENTER": "101"}
        self.users, self.muted = {}, set()  # customer_id -> attributes; who opted out
        self.cohorts = {}  # cohort_id -> customer_ids

    def member(self, n):
        fields = {"uid": f"user/{n}", "first_name": "Ada"}
        self.users.setdefault(fields["uid"], {})
        return fields

    def unwelcome(self):
        return {"uid": "nobody", "first_name": "Ada"}

    def holds(self, fields):
        user = self.users.get(fields["uid"], {})
        sent = {name: value for name, value in fields.items() if name != "uid" and value is not None}
        return fields["uid"] in self.listed() and json.dumps({n: user.get(n) for n in sent}) == json.dumps(sent)

    def listed(self):
        return [*self.cohorts.get(self.list, {})]

    def consent(self, fields):
        name = fields["uid"]
        return None if name not in self.users else "unsubscribed" if name in self.muted else "subscribed"

    def opt_out(self, fields):
        self.users.setdefault(fields["uid"], {})
        self.muted.add(fields["uid"])

    def throttled(self, seconds):
        return wrong(429, "Rate limits for customers exceeded. Please Try After Some Time", "Rate Limits Exceeded")

    def __call__(self, request):
        if request.url.host != f"api-{self.settings['MOENGAGE_DATA_CENTER']}.moengage.com":
            return httpx.Response(404)
        if request.headers.get("authorization") != SIGNED:
            return wrong(401, "App Secret key mismatch. Please login to the dashboard to verify key", "Authentication")
        if len(request.content) > 128_000:
            return wrong(413, "Payload can not exceed 128KB", "Payload too large")
        body = json.loads(request.content)
        match request.method, request.url.path:
            case "POST", "/v1/customers/export" if request.url.params["app_id"] == "ws-3187":
                return self.look(**body["data"])
            case "POST", "/v1/customer/ws-3187":
                return self.describe(**body)
            case "POST", "/v1/integrations/cohortsync" if request.headers.get("moe-appkey") == "ws-3187":
                return self.sync(body["action"], **body["parameters"])
        return httpx.Response(404)

    def look(self, identifiers, user_fields_to_export):
        if not 1 <= len(identifiers) <= 20 or user_fields_to_export != ["customer_id"]:
            return wrong(400, "1 to 20 identifiers", "LimitBreached")
        found = [each["identifier"] for each in identifiers if each["identifier"] in self.users]
        users = [{"user_attributes": {"customer_id": each}} for each in found]
        others = [each for each in identifiers if each["identifier"] not in self.users]
        data = {"users_not_found": others, "users": users}
        return httpx.Response(200, json={"status": "success", "type": "export_users", "data": data})

    def describe(self, type, customer_id, attributes, update_existing_only=False):
        if type != "customer" or not attributes or not isinstance(attributes.get("created_time", ""), str):
            return wrong(400, "created_time is not valid", "InvalidAttributeError")
        if customer_id in self.users or not update_existing_only:
            self.users.setdefault(customer_id, {}).update(attributes)
        return httpx.Response(200, json=ACCEPTED)

    def sync(self, action, cohort_name, cohort_id, members):
        if not members or cohort_name.startswith(".") or set('|*?\\:<>=$"') & set(cohort_name):
            return wrong(400, "members is not found in the payload", "MissingAttributeError")
        held = self.cohorts.setdefault(cohort_id, {})
        for each in members:
            if action == "add_members" and each["uid"] in self.users:
                held[each["uid"]] = None
            elif action == "remove_members":
                held.pop(each["uid"], None)
        return httpx.Response(200, json=ACCEPTED)


def wrong(status, message, kind):
    return httpx.Response(
        status, json={"status": "fail", "error": {"message": message, "type": kind, "request_id": "r"}}
    )
