"""The part of Klaviyo that connectors/klaviyo.py speaks to, in memory: profiles, lists, and jobs that import them.

It keeps what the vendor documents: the headers, 10,000 profiles and 5 MB an import and 100 KB a profile, 1,000 ids a
call about a list, pages of 10 lists and of 100 of anything else, JSON:API bodies without fields of one's own, and jobs
that add to the list only when they are done. A whole import is turned down for one bad profile, by its place.
Not documented, and chosen here: an import for a list that is not there is turned down with 400; a job's error has the
profile's attributes as its `original_payload`; of a filter's words, those that the connector writes are
understood, with no quote within.
"""

import json
import re

import httpx

options = ({}, {"new": "never_subscribed"})

MEDIA = "application/vnd.api+json"
OWN = {"email", "phone_number", "external_id", "first_name", "last_name", "organization", "locale", "title", "image"}
TAKEN = OWN | {"location", "properties"}
WHEN = "2026-11-02T09:00:00+00:00"


class Refusal(Exception):
    """An answer that ends a call. errors: (pointer, detail)"""

    def __init__(self, status, *errors, **headers):
        super().__init__(status)
        told = [
            {"id": f"e{n}", "status": status, "code": "invalid", "title": "Invalid input.", "detail": detail}
            | {"source": {"pointer": pointer}}
            for n, (pointer, detail) in enumerate(errors)
        ]
        self.answer = said(status, {"errors": told}, **headers)


class Sandbox:
    list = "NPS / détracteurs (2026), all"
    any_field = "note"
    rate = (150, 60)

    def __init__(self):
        self.settings = {"KLAVIYO_API_KEY": "not-a-real-key"}
        self.options = {}  # of the sync
        self.profiles = {}  # id -> attributes, properties among them
        self.consents = {}  # id of the profile -> consent to e-mail
        self.lists = {}  # id -> name
        self.on = set()  # (id of the list, id of the profile)
        self.jobs = {}  # id -> list, profiles, status, errors, and ids of those imported
        self.fails = {}  # e-mail address -> why its import fails, once the job is at it
        self.page_size = 100

    def member(self, n):
        """The n-th person. Every third is a subscriber already, or no profile yet where that may be."""
        ids = {"email": f"person{n}@example.com", "external_id": f"C-{n}"}
        stranger = self.options.get("new") == "never_subscribed" and n % 3 == 0
        if not stranger and not self.find("email", ids["email"]):
            self.consents[self.made(ids)] = "subscribed" if n % 3 == 0 else "never_subscribed"
        return {"email": ids["email"], "first_name": "Ada", "external_id": ids["external_id"]}

    def unwelcome(self):
        return {**self.member(0), "email": "nowhere"}

    def holds(self, fields):
        """On the list, with just these fields; those that are NULL are not there."""
        there = {name: value for name, value in fields.items() if value is not None}
        ids = [each for where, each in self.on if self.lists[where] == self.list]
        return json.dumps(there, sort_keys=True) in [json.dumps(self.profiles[each], sort_keys=True) for each in ids]

    def consent(self, fields):
        """The profile's consent to e-mail marketing; None where there is no profile."""
        found = self.find("email", fields["email"])
        return self.consents.get(found, "never_subscribed") if found else None

    def opt_out(self, fields):
        self.consents[self.find("email", fields["email"]) or self.made(fields)] = "unsubscribed"

    def throttled(self, seconds):
        return Refusal(429, ("/data", "Request was throttled."), **{"retry-after": str(int(seconds))}).answer

    def works(self):
        """Every open job is done: its profiles are imported and listed, but for those that fail."""
        for job in self.jobs.values():
            if job["status"] in ("queued", "processing"):
                job["status"] = "complete"
                for profile in job["profiles"]:
                    self.imported(job, profile)

    def imported(self, job, profile):
        told = profile["attributes"]
        if why := self.fails.get(told.get("email")):
            attributes = {"code": "invalid", "title": "Invalid input.", "detail": why, "source": {"pointer": "/data"}}
            error = {"type": "import-error", "id": f"x{len(job['errors'])}", "attributes": attributes}
            job["errors"].append({**error, "attributes": {**attributes, "original_payload": told}})
            return
        names = [name for name in ("external_id", "email", "phone_number") if told.get(name)]
        found = next(filter(None, (self.find(name, told[name]) for name in names)), None) or self.made({})
        fields = {name: value for name, value in told.items() if name != "properties"} | told.get("properties", {})
        self.profiles[found] |= {name: value for name, value in fields.items() if value is not None}
        for name in profile.get("meta", {}).get("patch_properties", {}).get("unset", ()):
            self.profiles[found].pop(name, None)
        job["ids"].append(found)
        self.on.add((job["list"], found))

    def made(self, fields):
        name = f"P{len(self.profiles):05}"
        self.profiles[name] = dict(fields)
        return name

    def find(self, name, value):
        same = str.lower if name == "email" else str
        return next((ref for ref, each in self.profiles.items() if same(each.get(name, "")) == same(value)), None)

    def __call__(self, request):
        try:
            assert request.url.host == "a.klaviyo.com"
            if request.headers.get("authorization") != "Klaviyo-API-Key not-a-real-key":
                raise Refusal(401, ("/data", "Missing or invalid private key."))
            if not re.fullmatch(r"\d{4}-\d\d-\d\d", request.headers.get("revision", "")):
                raise Refusal(400, ("/data", "The revision is missing."))
            for route, answer in ROUTES.items():
                if found := re.fullmatch(route, f"{request.method} {request.url.path.removeprefix('/api')}"):
                    return answer(self, *found.groups(), self.body(request))
            raise Refusal(404, ("/data", "Not found."))
        except Refusal as refusal:
            return refusal.answer

    def body(self, request):
        """What is asked: of a page, the query; else the body's data."""
        if request.method == "GET":
            return dict(request.url.params)
        if len(request.content) > 5_000_000:
            raise Refusal(413, ("/data", "At most 5MB."))
        if request.headers["content-type"] != MEDIA:
            raise Refusal(415, ("/data", "Unsupported media type."))
        return json.loads(request.content)["data"]

    def list_lists(self, query):
        found = [*reversed(self.lists)]
        if name := query.get("filter"):
            if not re.fullmatch(r'equals\(name,"[^"\\]*"\)', name):
                raise Refusal(400, ("/data", "The filter cannot be read."))
            found = [each for each in found if name == f'equals(name,"{self.lists[each]}")']
        return self.page([self.shown_list(each) for each in found], query, most=10)

    def make_list(self, data):
        if data["type"] != "list" or data["attributes"].keys() != {"name"}:
            raise Refusal(400, ("/data/attributes", "'name' alone is a valid field."))
        name = f"L{9999 - len(self.lists)}"
        self.lists[name] = data["attributes"]["name"]
        return said(201, {"data": self.shown_list(name)})

    def get_list(self, name, _):
        return said(200, {"data": self.shown_list(self.known(name))})

    def known(self, name):
        if name not in self.lists:
            raise Refusal(404, ("/data", f"A list with id {name} does not exist."))
        return name

    def shown_list(self, name):
        made = f"2026-11-02T09:{[*self.lists].index(name):02}:00+00:00"
        attributes = {"name": self.lists[name], "created": made, "updated": WHEN, "opt_in_process": "double_opt_in"}
        return {"type": "list", "id": name, "attributes": attributes, "links": link(f"/lists/{name}")}

    def list_members(self, name, query):
        return self.shown([ref for where, ref in sorted(self.on) if where == self.known(name)], query)

    def remove_members(self, name, data):
        if len(data) > 1000 or {each["type"] for each in data} != {"profile"}:
            raise Refusal(400, ("/data", "1 to 1000 profiles."))
        self.on -= {(self.known(name), each["id"]) for each in data}
        return httpx.Response(204)

    def list_profiles(self, query):
        field, values = re.fullmatch(r"any\((\w+),(.+)\)", query["filter"]).groups()
        if "\\" in values:
            raise Refusal(400, ("/data", "The filter cannot be read."))
        wanted = {value.lower() for value in json.loads(values)}
        return self.shown([ref for ref, each in self.profiles.items() if each.get(field, "").lower() in wanted], query)

    def shown(self, refs, query):
        wanted = query["fields[profile]"]
        profiles = [(ref, {wanted: self.profiles[ref].get(wanted)}) for ref in refs]
        told = [{"type": "profile", "id": ref, "attributes": each} for ref, each in profiles]
        return self.page([{**each, "links": link(f"/profiles/{each['id']}")} for each in told], query)

    def begin(self, data):
        profiles = data["attributes"]["profiles"]["data"]
        [listed] = data["relationships"]["lists"]["data"]
        if data["type"] != "profile-bulk-import-job" or not 1 <= len(profiles) <= 10_000:
            raise Refusal(400, ("/data/attributes/profiles", "1 to 10000 profiles."))
        if listed["type"] != "list" or listed["id"] not in self.lists:
            raise Refusal(400, ("/data/relationships/lists", "The list does not exist."))
        if wrong := [(n, *each) for n, profile in enumerate(profiles) for each in faults(profile)]:
            raise Refusal(400, *((f"/data/attributes/profiles/data/{n}{place}", words) for n, place, words in wrong))
        name = f"am9i-{len(self.jobs)}"
        self.jobs[name] = {"list": listed["id"], "profiles": profiles, "status": "queued", "errors": [], "ids": []}
        return self.get_job(name, {}, 202)

    def get_job(self, name, _, status=200):
        if name not in self.jobs:
            raise Refusal(404, ("/data", "A job with this id does not exist."))
        job = self.jobs[name]
        counts = {"completed_count": len(job["ids"]), "failed_count": len(job["errors"])}
        attributes = {"status": job["status"], "created_at": WHEN, "total_count": len(job["profiles"]), **counts}
        path = f"/profile-bulk-import-jobs/{name}"
        told = {"type": "profile-bulk-import-job", "id": name, "attributes": attributes, "links": link(path)}
        return said(status, {"data": told})

    def list_errors(self, name, query):
        return self.page(self.jobs[name]["errors"], query)

    def list_imported(self, name, query):
        return self.shown(self.jobs[name]["ids"], query)

    def page(self, found, query, most=100):
        if int(query.get("page[size]", 1)) > most:
            raise Refusal(400, ("/data", f"A page has at most {most}."))
        start, size = int(query.get("page[cursor]", 0)), min(self.page_size, int(query.get("page[size]", most)))
        after = str(httpx.URL("https://a.klaviyo.com/api", params={"page[cursor]": start + size}))
        links = {**link(""), "next": after if found[start + size :] else None, "prev": None}
        return said(200, {"data": found[start : start + size], "links": links})


ROUTES = {
    r"GET /lists": Sandbox.list_lists,
    r"POST /lists": Sandbox.make_list,
    r"GET /lists/(\w+)": Sandbox.get_list,
    r"GET /lists/(\w+)/profiles": Sandbox.list_members,
    r"DELETE /lists/(\w+)/relationships/profiles": Sandbox.remove_members,
    r"GET /profiles": Sandbox.list_profiles,
    r"POST /profile-bulk-import-jobs": Sandbox.begin,
    r"GET /profile-bulk-import-jobs/([\w-]+)": Sandbox.get_job,
    r"GET /profile-bulk-import-jobs/([\w-]+)/import-errors": Sandbox.list_errors,
    r"GET /profile-bulk-import-jobs/([\w-]+)/profiles": Sandbox.list_imported,
}


def faults(profile):
    """(place, words) of all that is wrong with a profile to import."""
    told = profile["attributes"]
    if len(json.dumps(profile)) > 100_000:
        yield "", "A profile has at most 100KB."
    for name in told.keys() - TAKEN:
        yield f"/attributes/{name}", f"'{name}' is not a valid field for the resource 'profile'."
    for name in (each for each in told.keys() & OWN if not isinstance(told[each], str)):
        yield f"/attributes/{name}", f"'{name}' has to be a text."
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", str(told.get("email", "none@example.com"))):
        yield "/attributes/email", f"Invalid email address: {told['email']}"


def link(path):
    return {"self": f"https://a.klaviyo.com/api{path}"}


def said(status, body, **headers):
    return httpx.Response(status, content=json.dumps(body), headers={"content-type": MEDIA, **headers})
