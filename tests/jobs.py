"""A provider that takes batches in and judges them later, and the connector of it: only tests have it."""

from __future__ import annotations

import json

import httpx

from world import World

CONNECTOR = """
from datetime import timedelta
from audiences import Connector, Limits, Receipt

class Jobs(Connector):
    identified_by = frozenset({"email"})
    limits = Limits(batch=2, concurrency=2)
    judged_within = timedelta(hours=6)

    @classmethod
    def reach(cls, settings):
        return {"base_url": "https://jobs.example.com"}

    def upsert(self, list_id, members):
        return self._posted("add", list_id, members)

    def remove(self, list_id, members):
        return self._posted("drop", list_id, members)

    def _posted(self, verb, list_id, members):
        rows = [{"key": member.key, **member.fields} for member in members]
        said = self.http.post("/jobs", json={"verb": verb, "list": list_id, "rows": rows}).json()
        return Receipt.of(members, said["turned_away"], ticket=said["job"])

    def outcome(self, ticket, members):
        said = self.http.get(f"/jobs/{ticket}").json()
        if said["state"] == "running":
            return None
        failed = {member.key: said["failed"].get(member.fields["email"]) for member in members}
        return Receipt.of(members, {key: why for key, why in failed.items() if why}, unnamed=said["unnamed"])
"""


class Provider:
    """Its lists, and its jobs in the order in which they came. Nothing is on a list before a job is done.

    turns_away: address -> why, said at once; fails: address -> why it cannot be added, found out by the job
    unnamed: how many each job says to have failed, without a name
    before, after: called with each request, before and after it took effect; may raise
    """

    def __init__(self):
        self.lists: dict[str, dict[str, dict]] = {}
        self.jobs: dict[str, dict] = {}
        self.asked: list[str] = []
        self.unnamed = 0
        self.turns_away: dict[str, str] = {}
        self.fails: dict[str, str] = {}
        self.before = self.after = lambda told: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.before(request)
        answer = self._posted(json.loads(request.content)) if request.method == "POST" else self._asked(request.url)
        self.after(request)
        return httpx.Response(200, json=answer)

    def _posted(self, told: dict) -> dict:
        name = f"job-{len(self.jobs) + 1}"
        away = {row["key"]: self.turns_away[row["email"]] for row in told["rows"] if row["email"] in self.turns_away}
        rows = [row for row in told["rows"] if row["key"] not in away]
        job = {"state": "running", "failed": {}, "unnamed": self.unnamed, "rows": rows}
        self.jobs[name] = job | {"verb": told["verb"], "list": told["list"]}
        return {"job": name, "turned_away": away}

    def _asked(self, url: httpx.URL) -> dict:
        name = url.path.rpartition("/")[2]
        self.asked.append(name)
        return self.jobs[name]

    def works(self, fails: str = "") -> None:
        """Finish every job that runs; fails: why all of them come to nothing."""
        for job in self.jobs.values():
            if job["state"] == "running":
                job["state"] = "done"
                self._apply(job, fails)

    def _apply(self, job: dict, fails: str) -> None:
        held = self.lists.setdefault(job["list"], {})
        for row in job["rows"]:
            if why := fails or (job["verb"] == "add" and self.fails.get(row["email"])):
                job["failed"][row["email"]] = why
            elif job["verb"] == "add":
                held[row["email"]] = row
            else:
                held.pop(row["email"], None)

    def holds(self, name: str = "L") -> set[str]:
        return set(self.lists.get(name, {}))

    @property
    def sent(self) -> list[tuple[str, list[str]]]:
        """Verb and addresses of each job."""
        return [(job["verb"], [row["email"] for row in job["rows"]]) for job in self.jobs.values()]


def world(folder, engine=None) -> World:
    """A world whose destination judges later."""
    made = World(folder, "jobs", engine)
    (folder / "connectors").mkdir()
    (folder / "connectors" / "jobs.py").write_text(CONNECTOR)
    made.receiver = Provider()
    return made


def pending(made: World, sync: str = "team__jobs") -> set[tuple]:
    """Ticket, verb and key of each row that waits for its verdict."""
    return set(made.sql(f"select ticket, verb, key from audience_sync.pending_{sync}"))
