"""The part of Pendo that connectors/pendo.py speaks to, in memory: visitors and segments of one subscription.

It keeps what the sources show: segments by rules beside those that the API made, no empty segment made, one status for
each operation of a change, a 409 while a change is under way (`busy`), metadata that counts what failed and names whom
it does not know.
Not documented, and chosen here: a segment's name may be taken twice; an id that nobody has may be put on one; a value
that is no text, number or boolean fails without a name; at most 1,000 visitors a call.
"""

import json
from itertools import count

import httpx

HOSTS = {"us": "app.pendo.io", "eu": "app.eu.pendo.io"}


class Sandbox:
    list = "Detractors"

    def __init__(self):
        self.settings = {"PENDO_INTEGRATION_KEY": "not-a-real-key", "PENDO_REGION": "us"}
        self.elsewhere = {"PENDO_REGION": "eu"}
        self.options = {}  # of the sync
        self.visitors, self.busy = {}, 0  # id -> custom fields; calls that are turned away from now on
        self.fields = {"name", "nps_score"}
        self.segments = {"seg-1": {"name": "Power users", "createdByApi": False, "visitors": {}}}
        self.numbers = count(2)

    def member(self, n):
        self.visitors.setdefault(f"u-{n}", {})
        return {"visitor_id": f"u-{n}", "name": "Ada", "nps_score": n}

    def unwelcome(self):
        return {**self.member(0), "visitor_id": "nobody-yet"}

    def holds(self, fields):
        sent = {name: value for name, value in fields.items() if name != "visitor_id"}
        return fields["visitor_id"] in self.listed() and self.visitors.get(fields["visitor_id"], {}) == sent

    def listed(self):
        """Who is on the list; the id with which a segment begins is nobody's."""
        held = [each["visitors"] for each in self.segments.values() if each["name"] == self.list]
        return [user for visitors in held for user in visitors if user != "audiences-nobody"]

    def __call__(self, request):
        if request.url.host != HOSTS[self.settings["PENDO_REGION"]]:
            return httpx.Response(404)
        if request.headers.get("x-pendo-integration-key") != "not-a-real-key":
            return httpx.Response(403, text="invalid integration key")
        body = json.loads(request.content) if request.content else None
        match request.method, request.url.path.removeprefix("/api/v1/").split("/"):
            case "GET", ["token", "verify"]:
                return httpx.Response(200, json={"valid": True})
            case "GET", ["segment"]:
                return httpx.Response(200, json=[self.shown(each) for each in self.segments])
            case "GET", ["segment", ref] if ref in self.segments:
                return httpx.Response(200, json=self.shown(ref))
            case "POST", ["segment", "upload"]:
                return self.upload(**body)
            case "PATCH", ["segment", ref, "visitor"] if ref in self.segments:
                return self.change(self.segments[ref], **body)
            case "POST", ["metadata", "visitor", "custom", "value"]:
                return self.write(body)
        return httpx.Response(404, text="not found")

    def shown(self, ref):
        said = {name: self.segments[ref][name] for name in ("name", "createdByApi")}
        return {"kind": "Segment", "id": ref, "createdAt": 1780000000000 + int(ref[4:]), **said}

    def upload(self, name, visitors):
        if not visitors:
            return httpx.Response(400, text="visitors is empty")
        ref = f"seg-{next(self.numbers)}"
        self.segments[ref] = {"name": name, "createdByApi": True, "visitors": dict.fromkeys(visitors)}
        return httpx.Response(200, json={"segmentId": ref})

    def change(self, segment, patch):
        if self.busy:
            self.busy -= 1
            return httpx.Response(409, text="Operation in progress")
        told = []
        for each in patch:
            fit = each["path"] == "/visitors" and 1 <= len(each["value"]) <= 1000 and segment["createdByApi"]
            if fit and each["op"] == "add":
                segment["visitors"] |= dict.fromkeys(each["value"])
            elif fit:
                segment["visitors"] = {user: None for user in segment["visitors"] if user not in each["value"]}
            status, words = (200, "success") if fit else (400, "invalid patch")
            told.append({"operation": each["op"], "status": status, "message": words})
        return httpx.Response(200, json={"multistatus": told})

    def write(self, told):
        known = [each for each in told if each["visitorId"] in self.visitors]
        fit = [each for each in known if self.fits(each["values"])]
        for each in fit:
            self.visitors[each["visitorId"]].update(each["values"])
        missing = [each["visitorId"] for each in told if each not in known]
        said = {"total": len(told), "updated": len(fit), "failed": len(told) - len(fit), "missing": missing}
        errors = ["cannot set field"] if len(fit) < len(known) else []
        return httpx.Response(200, json=said | ({"errors": errors} if errors else {}))

    def fits(self, values):
        kinds = (str, int, float, bool)
        return values.keys() <= self.fields and all(isinstance(each, kinds) for each in values.values())
