"""Userpilot: a list is a property of users, "true" or "false", which segments and flows filter by.

Set-up: Settings > Environment shows both: USERPILOT_API_KEY, and the region of the endpoint: USERPILOT_REGION, us
(analytex) or eu (analytex-eu).

    [sync.userpilot]
    list = "Detractors"        # the property in_detractors is "true"
    send = { user_id = "user_id", name = "full_name", nps_score = "nps_score" }   # property = column

A user goes by `user_id`, the id that your app identifies users by, or by the member's key where it is not sent.
Userpilot makes a user of every id that it does not know, and offers no way to update only those it knows. `property`
names another property for the list. A removal sets it to "false", and leaves all else.

Userpilot documents texts, numbers and dates in ISO 8601: a boolean travels as the text "true" or "false", and a list or
a struct is refused. How to empty a property is not documented: NULL leaves it as it is, and who left is "false". An app
that identifies users with the same property overwrites it.

Members travel in bulk jobs of 1,000, of which Userpilot runs one at a time, at some 1,200 users a minute: while one
runs, also another program's, the next waits, and past AUDIENCES_PATIENCE it is left for the next run. What became of a
job is known in the next run, which asks. Userpilot says of a whole job that it was completed, or that it failed, and
names nobody: completed, everybody in it is taken as written. How long a job may take is not documented, nor how long it
is remembered; 24 hours are allowed for. Nor is the longest name of a property: 255 bytes are taken. Who has a property
cannot be read back but by an export.
https://docs.userpilot.com/api-references/bulk-updates/users, …/api-references/endpoints/jobs/job-id,
…/api-references/real-time/bulk-identify-update (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from audiences import ByProperty, Category, Change, Limits, Member, Proof, Receipt

HOSTS = {"us": "analytex.userpilot.io", "eu": "analytex-eu.userpilot.io"}
BUSY = 30.0  # seconds; a job of 1,000 users takes some 50
TEXT = {True: "true", False: "false"}

UNFIT = "{} holds a list or a struct, and Userpilot takes text, numbers and dates"
FAILED = "Userpilot says that the job failed, and gives no reason"
FORGOTTEN = "Userpilot does not know this job any more"


class Userpilot(ByProperty):
    known_by = "user_id"
    longest = 255
    limits = Limits(batch=1000)
    category, proof = Category.IN_APP, Proof.DOCUMENTATION
    judged_within = timedelta(hours=24)

    class Settings(ByProperty.Settings):
        api_key: SecretStr
        region: Literal["us", "eu"]

    class Options(ByProperty.Options):
        membership: Literal["boolean"] = "boolean"
        null: Literal["keep"] = "keep"

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key = settings.api_key.get_secret_value().strip()
        headers = {"authorization": f"Token {key}", "accept": "application/json, text/plain, */*"}
        return {"base_url": f"https://{HOSTS[settings.region]}/v1", "headers": headers}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """A 409 says that another job runs."""
        return BUSY if answer.status_code == httpx.codes.CONFLICT else None

    def check(self) -> None:
        """Ask for a job that there is not: which refusal it gets is not documented."""
        self.http.get("/background_jobs/audiences-check", extensions={"expect": {400, 404, 422}})

    def write(self, changes: Sequence[Change]) -> Receipt:
        refused = {change.key: why for change in changes if (why := _unfit(change))}
        users = [{"user_id": c.user, "metadata": _metadata(c)} for c in changes if c.key not in refused]
        ticket = str(self.http.post("/users/bulk_identify", json={"users": users}).json()["job_id"]) if users else None
        return Receipt(frozenset(change.key for change in changes) - refused.keys(), refused, ticket)

    def outcome(self, ticket: str, members: Sequence[Member]) -> Receipt | None:
        answer = self.http.get(f"/background_jobs/{quote(ticket, safe='')}", extensions={"expect": {404}})
        if not answer.is_success:
            return Receipt.of(members, {member.key: FORGOTTEN for member in members})
        match answer.json()["status"]:
            case "completed":
                return Receipt.of(members)
            case "failed":
                return Receipt.of(members, {member.key: FAILED for member in members})
        return None


def _metadata(change: Change) -> dict[str, object]:
    """A user's properties as Userpilot takes them."""
    given = {name: TEXT[value] if isinstance(value, bool) else value for name, value in change.set.items()}
    return given | dict.fromkeys(change.unset, TEXT[False])


def _unfit(change: Change) -> str:
    """Why a change cannot be told to Userpilot; empty where it can."""
    names = [name for name, value in change.set.items() if isinstance(value, list | Mapping)]
    return UNFIT.format(names[0]) if names else ""
