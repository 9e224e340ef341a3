"""The part of Userpilot that connectors/userpilot.py speaks to, in memory: users and bulk jobs of one environment.

It keeps what the vendor documents: up to 10,000 users a job, properties that are texts or numbers, a 409 while another
job runs, the states of a job, users made of every id.
Not documented, and chosen here: a job is past its rows before the next one comes (`slow`: when that is turned away),
and its changes show once it is completed; null and booleans are refused, a user without an id too; a job that nobody
has is a 404.
"""

import json

import httpx

HOSTS = {"us": "analytex.userpilot.io", "eu": "analytex-eu.userpilot.io"}


class Sandbox:
    list = "Detractors"

    def __init__(self):
        self.settings = {"USERPILOT_API_KEY": "not-a-real-key", "USERPILOT_REGION": "eu"}
        self.elsewhere = {"USERPILOT_REGION": "us"}
        self.options = {}  # of the sync
        self.users, self.jobs = {}, {}  # user -> properties; job -> its state and users
        self.fails = self.slow = False

    def member(self, n):
        return {"user_id": f"u-{n}", "name": "Ada", "nps_score": str(n)}

    def unwelcome(self):
        return {**self.member(0), "nps_score": ["many"]}

    def holds(self, fields):
        sent = {name: value for name, value in fields.items() if name != "user_id"}
        return self.users.get(fields["user_id"]) == sent | {"in_detractors": "true"}

    def listed(self):
        return [user for user, has in self.users.items() if has.get("in_detractors") == "true"]

    def works(self):
        for job in self.jobs.values():
            if job["status"] not in ("completed", "failed"):
                job["status"] = "failed" if self.fails else "completed"
                for each in job["users"] if job["status"] == "completed" else ():
                    self.users.setdefault(each["user_id"], {}).update(each["metadata"])

    def __call__(self, request):
        if request.url.host != HOSTS[self.settings["USERPILOT_REGION"]]:
            return httpx.Response(404)
        if request.headers.get("authorization") != "Token not-a-real-key":
            return httpx.Response(401, json={"error": "Unauthorized"})
        match request.method, request.url.path.removeprefix("/v1/").split("/"):
            case "POST", ["users", "bulk_identify"]:
                return self.take(**json.loads(request.content))
            case "GET", ["background_jobs", name] if name in self.jobs:
                return httpx.Response(200, json=self.told(name))
        return httpx.Response(404, json={"error": "Not Found"})

    def take(self, users):
        if not 1 <= len(users) <= 10_000 or not all(map(fits, users)):
            return httpx.Response(422, json={"error": "users is invalid"})
        running = [job for job in self.jobs.values() if job["status"] == "processing"]
        for job in running:
            job["status"] = "pending_refresh"
        if running and self.slow:
            return httpx.Response(409, json={"error": "Another job is running"})
        self.jobs[name := f"job-{len(self.jobs) + 1}"] = {"status": "processing", "users": users}
        return httpx.Response(202, json={"job_id": name, "status": "queued", "submitted_at": "2026-11-02T09:00:00Z"})

    def told(self, name):
        job, rows = self.jobs[name], len(self.jobs[name]["users"])
        done = rows if job["status"] in ("completed", "pending_refresh") else 0
        return {"job_id": name, "status": job["status"], "total_rows": rows, "completed_rows": done}


def fits(user):
    values = user["metadata"].values()
    plain = all(isinstance(each, str | int | float) and not isinstance(each, bool) for each in values)
    return user.keys() == {"user_id", "metadata"} and isinstance(user["user_id"], str) and user["user_id"] and plain
