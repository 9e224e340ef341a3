"""The part of PostHog that connectors/posthog.py speaks to, in memory: the persons and cohorts of one project.

It keeps what PostHog documents and its source shows: persons found by up to 200 distinct ids at once, those beyond left
out unsaid; ids of nobody passed over by an addition, and refused where there is nobody else; 404 to a removal of who is
not there; names of cohorts that may be taken twice; events that are answered with success whatever becomes of them.
Chosen here: properties are set at once, where PostHog takes its time; 429 tells the seconds in its words alone.
"""

import json
from itertools import count
from uuid import NAMESPACE_DNS, uuid5

import httpx

PLACES = {"us": ("us.posthog.com", "us.i.posthog.com"), "eu": ("eu.posthog.com", "eu.i.posthog.com")}

options = ({"null": "clear"}, {"null": "keep"})


class Sandbox:
    list = "Detractors / 2026"
    any_field = "note"
    rate = (4800, 3600)

    def __init__(self):
        self.settings = {
            "POSTHOG_PERSONAL_API_KEY": "not-a-real-key",
            "POSTHOG_PROJECT_ID": "4711",
            "POSTHOG_REGION": "eu",
            "POSTHOG_PROJECT_TOKEN": "not-a-real-token",
        }
        self.elsewhere = {"POSTHOG_REGION": "us"}
        self.options = {}  # of the sync
        self.ids = {}  # distinct id -> person
        self.properties = {}  # person -> properties
        self.cohorts = {7: {"name": "Detractors", "is_static": True, "deleted": False}}
        self.held = {7: {}}  # cohort -> persons
        self.numbers = count(1001)

    def member(self, n):
        """The n-th person, whom the app has identified."""
        self.person(f"user-{n}")
        return {"distinct_id": f"user-{n}", "plan": "pro"}

    def unwelcome(self):
        return {"distinct_id": "nobody", "plan": "pro"}

    def person(self, *names):
        """A person with these distinct ids, made where there is none."""
        found = str(uuid5(NAMESPACE_DNS, names[0]))
        self.ids |= dict.fromkeys(names, found)
        self.properties.setdefault(found, {})
        return found

    def holds(self, fields):
        """In the cohort, and each property as it was sent; one that is NULL is not there, or is left as it was."""
        person = self.ids.get(fields["distinct_id"])
        if self.cohorts_of(person) != [self.list]:
            return False
        return all(self.same(self.properties[person], *each) for each in fields.items() if each[0] != "distinct_id")

    def same(self, properties, name, value):
        if value is None:
            return name not in properties or self.options.get("null") == "keep"
        return name in properties and json.dumps(properties[name]) == json.dumps(value)

    def cohorts_of(self, person):
        return [self.cohorts[each]["name"] for each, persons in self.held.items() if person in persons]

    def throttled(self, seconds):
        return refused(429, "throttled", f"Request was throttled. Expected available in {seconds} seconds.")

    def __call__(self, request):
        private, public = PLACES[self.settings["POSTHOG_REGION"]]
        body = json.loads(request.content) if request.content else {}
        if request.url.host == public:
            return self.capture(request, **body)
        if request.headers.get("authorization") != "Bearer not-a-real-key":
            return refused(401, "authentication_failed", "Invalid personal API key.")
        path = request.url.path.removeprefix("/api/projects/4711/")
        if request.url.host != private or path == request.url.path:
            return refused(404, "not_found", "Not found.")
        match request.method, path.strip("/").split("/"):
            case "GET", ["cohorts"]:
                return self.page(request, [self.cohort(each) for each in reversed(self.cohorts)])
            case "POST", ["cohorts"]:
                return self.make(**body)
            case "POST", ["persons", "batch_by_distinct_ids"]:
                return self.find(**body)
            case method, ["cohorts", cohort, *verb] if cohort.isdigit() and int(cohort) in self.cohorts:
                return self.on(request, method, int(cohort), verb, body)
        return refused(404, "not_found", "Not found.")

    def on(self, request, method, cohort, verb, body):
        """What is asked of one cohort."""
        match method, verb:
            case "GET", []:
                return httpx.Response(200, json=self.cohort(cohort))
            case "GET", ["persons"]:
                return self.page(request, [self.shown(each) for each in self.held[cohort]])
        if not self.cohorts[cohort]["is_static"]:
            return refused(400, "invalid_input", "Can only change static cohorts")
        if verb == ["add_persons_to_static_cohort"]:
            return self.add(self.held[cohort], **body)
        return self.take(self.held[cohort], **body)

    def cohort(self, number):
        return {"id": number, "filters": {}, **self.cohorts[number]}

    def make(self, name, is_static):
        number = next(self.numbers)
        self.cohorts[number] = {"name": name, "is_static": is_static, "deleted": False}
        self.held[number] = {}
        return httpx.Response(201, json=self.cohort(number))

    def page(self, request, found):
        start, most = (int(request.url.params.get(name, other)) for name, other in (("offset", 0), ("limit", 100)))
        more = str(request.url.copy_merge_params({"offset": start + most})) if found[start + most :] else None
        return httpx.Response(200, json={"results": found[start : start + most], "next": more, "previous": None})

    def find(self, distinct_ids):
        known = [each for each in distinct_ids[:200] if each in self.ids]
        return httpx.Response(200, json={"results": {each: self.shown(self.ids[each]) for each in known}})

    def shown(self, person):
        names = [name for name, each in self.ids.items() if each == person][:10]
        return {"id": person, "uuid": person, "distinct_ids": names, "properties": self.properties[person]}

    def add(self, held, person_ids):
        if not 1 <= len(person_ids) <= 1000:
            return refused(400, "invalid_input", "List size exceeds limit")
        known = [each for each in person_ids if each in self.properties]
        if not known:
            return refused(400, "invalid_input", "No valid users to add to cohort")
        held.update(dict.fromkeys(known))
        return httpx.Response(200, json={"success": True})

    def take(self, held, person_id):
        if person_id not in held:
            return refused(404, "not_found", "Person is not part of the cohort")
        del held[person_id]
        return httpx.Response(200, json={"success": True})

    def capture(self, request, api_key, batch):
        if request.url.path != "/batch/" or "authorization" in request.headers:
            return refused(400, "invalid_payload", "Malformed request data")
        if api_key != "not-a-real-token":
            return refused(401, "invalid_api_key", "Project API key invalid.")
        for event in batch:
            told = dict(event["properties"])
            properties = self.properties[self.person(told.pop("distinct_id"))]
            assert event["event"] == "$set"
            if told.pop("$geoip_disable", None) is not True:
                properties["$geoip_country_code"] = "DE"  # of whoever sends
            assert told.keys() <= {"$set", "$unset"}
            properties.update(told.get("$set", {}))
            for name in told.get("$unset", []):
                properties.pop(name, None)
        return httpx.Response(200, json={"status": "Ok"})


def refused(status, code, detail):
    return httpx.Response(status, json={"type": "error", "code": code, "detail": detail, "attr": None})
