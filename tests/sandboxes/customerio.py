"""The part of Customer.io that connectors/customerio.py speaks to, in memory: people and segments of one workspace.

It keeps what the vendor documents: two hosts with a key each, 1 to 1,000 ids a segment call and 1 to 100 a look-up,
batches below 500 KB of changes of at most 32 KB, failures by place in a 207, ids that nobody has passed over without a
word, pages of a segment. A change of consent or of an identifier is taken, so that a connector which sends one is found
out.
Not documented, and chosen here: everything shows at once, a segment's name may be taken twice, NULL is kept as null, a
change of a segment that is not there, or is not manual, gets a 400.
"""

import json
from base64 import b64encode
from itertools import count

import httpx

HOSTS = {"us": ("track.customer.io", "api.customer.io"), "eu": ("track-eu.customer.io", "api-eu.customer.io")}
TRACKS = "Basic " + b64encode(b"site-1:not-a-real-key").decode()


class Sandbox:
    list = "Detractors / 2026"
    any_field = "note"
    rate = (10, 1)

    def __init__(self):
        self.settings = {
            "CUSTOMERIO_SITE_ID": "site-1",
            "CUSTOMERIO_API_KEY": "not-a-real-key",
            "CUSTOMERIO_APP_API_KEY": "not-a-real-app-key",
            "CUSTOMERIO_REGION": "eu",
        }
        self.elsewhere = {"CUSTOMERIO_REGION": "us"}
        self.people = {}  # id -> attributes
        self.segments = {3: {"name": "Detractors", "type": "manual"}}
        self.held = {3: {}}  # segment -> ids
        self.numbers, self.page_size = count(7), 10_000

    def member(self, n):
        fields = {"id": f"user/{n}", "first_name": "Ada"}
        self.person(fields["id"])
        return fields

    def unwelcome(self):
        return {"id": "nobody's", "first_name": "Ada"}

    def holds(self, fields):
        person = self.people.get(fields["id"], {})
        sent = {name: json.dumps(value) for name, value in fields.items() if name != "id"}
        kept = {name: json.dumps(person[name]) for name in sent if name in person}
        return self.segments_of(fields["id"]) == [self.list] and kept == sent

    def consent(self, fields):
        person = self.people.get(fields["id"])
        return None if person is None else "unsubscribed" if person.get("unsubscribed") else "subscribed"

    def opt_out(self, fields):
        self.person(fields["id"])["unsubscribed"] = True

    def person(self, name):
        """Someone whom the app has made a person."""
        return self.people.setdefault(name, {})

    def segments_of(self, name):
        return [self.segments[each]["name"] for each, ids in self.held.items() if name in ids]

    def throttled(self, seconds):
        return httpx.Response(429)

    def __call__(self, request):
        track, app = HOSTS[self.settings["CUSTOMERIO_REGION"]]
        signed = {track: TRACKS, app: f"Bearer {self.settings['CUSTOMERIO_APP_API_KEY']}"}
        if request.url.host not in signed:
            return httpx.Response(404)
        if request.headers.get("authorization") != signed[request.url.host]:
            return httpx.Response(401)
        body, query = json.loads(request.content) if request.content else {}, request.url.params
        match request.url.host == app, request.method, request.url.path.split("/")[1:]:
            case True, "GET", ["v1", "segments"]:
                return httpx.Response(200, json={"segments": [self.shown(each) for each in self.segments]})
            case True, "POST", ["v1", "segments"]:
                return self.make(**body["segment"])
            case True, "GET", ["v1", "segments", number, "membership"] if int(number) in self.segments:
                return self.page(int(number), int(query.get("start", 0)), int(query["limit"]))
            case True, "POST", ["v1", "customers", "attributes"]:
                return self.look(body["ids"])
            case False, "GET", ["api", "v1", "accounts", "region"]:
                return self.region()
            case False, "POST", ["api", "v2", "batch"]:
                return self.batch(request.content, body["batch"])
            case False, "POST", ["api", "v1", "segments", number, ("add_customers" | "remove_customers") as verb]:
                return self.change(self.segments.get(int(number)), self.held.get(int(number)), verb, body["ids"])
        return httpx.Response(404)

    def region(self):
        region = self.settings["CUSTOMERIO_REGION"]
        return httpx.Response(200, json={"url": f"https://{HOSTS[region][0]}", "region": region, "environment_id": 3})

    def shown(self, number):
        return {"id": number, "state": "finished", "progress": None, "tags": None, **self.segments[number]}

    def make(self, name):
        self.segments[number := next(self.numbers)] = {"name": name, "type": "manual"}
        self.held[number] = {}
        return httpx.Response(200, json={"segment": self.shown(number)})

    def page(self, number, start, limit):
        end, ids = start + min(limit, self.page_size, 30_000), [*self.held[number]]
        people = [{"id": each, "email": None, "cio_id": f"a{n}"} for n, each in enumerate(ids[start:end], start)]
        more = {"next": str(end)} if ids[end:] else {"next": ""}
        return httpx.Response(200, json={"ids": ids[start:end], "identifiers": people, **more})

    def look(self, ids):
        if not 1 <= len(ids) <= 100:
            return httpx.Response(400)
        found = [{"customer": {"id": each, "attributes": self.people[each]}} for each in ids if each in self.people]
        return httpx.Response(200, json={"customers": found})

    def batch(self, content, changes):
        if len(content) >= 500_000:
            return httpx.Response(400, json={"errors": [{"reason": "invalid", "message": "larger than 500kb"}]})
        errors = [{"batch_index": n, **error} for n, each in enumerate(changes) if (error := self.wrong(each))]
        for n, each in enumerate(changes):
            if n not in [error["batch_index"] for error in errors]:
                self.identify(each["identifiers"]["id"], dict(each["attributes"]))
        return httpx.Response(207, json={"errors": errors}) if errors else httpx.Response(200, json={})

    def wrong(self, change):
        if change.keys() != {"type", "identifiers", "action", "attributes"} or change["identifiers"].keys() != {"id"}:
            return {"reason": "required", "field": "action", "message": "not a change of a person by id"}
        if len(json.dumps(change)) > 32_768:
            return {"reason": "invalid", "field": "attributes", "message": "larger than 32kb"}
        if not isinstance(change["attributes"].get("created_at", 0), int):
            return {"reason": "invalid", "field": "created_at", "message": "must be a Unix timestamp"}
        return None

    def identify(self, name, attributes):
        only_known = attributes.pop("_update", False)
        if name in self.people or not only_known:
            self.person(name).update(attributes)

    def change(self, segment, held, verb, ids):
        if not segment or segment["type"] != "manual" or not 1 <= len(ids) <= 1000:
            return httpx.Response(400, json={"meta": {"errors": ["not a manual segment, or not 1 to 1,000 ids"]}})
        for each in ids:
            if verb == "add_customers" and each in self.people:
                held[each] = None
            elif verb == "remove_customers":
                held.pop(each, None)
        return httpx.Response(200, json={})
