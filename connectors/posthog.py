"""PostHog: a list is a static cohort of persons. Only persons whom the project has are added; nobody is made one.

Set-up: POSTHOG_PERSONAL_API_KEY, of Settings > Personal API keys, with the scopes cohort:write and person:read for this
project; POSTHOG_PROJECT_ID, the number in Settings > Project; POSTHOG_REGION, us or eu, as the address begins. To send
fields as well, POSTHOG_PROJECT_TOKEN (phc_…), which stands there too.

    [sync.posthog]
    list = "Detractors"
    send = { distinct_id = "user_id", nps_score = "nps_score" }   # a person's property = column

`distinct_id` says who it is, where it is not sent the member's key does: the id that your app identifies users by. A
stranger is refused until your app makes a person of them. Several distinct ids may be of one person, who is on the list
once: leaving by one of them, they are off it. What becomes of a membership when PostHog merges two persons is not
documented. A removal takes the person off the cohort, and leaves their properties.

Fields are set as person properties, by one event `$set` a member; whether such events are billed is not confirmed. NULL
unsets a property; with `null = "keep"` it leaves what is there. PostHog keeps up to 512 KB of a person's properties.
Its answer says that events came, not that they were taken: one that is dropped is shown under Ingestion warnings alone.
Where a billing limit keeps events out, the sync stops.

A cohort is found by its exact name, or made; one that PostHog fills by itself is refused. Calls for 50 members: one to
see who is there, one for fields, one for the cohort; a removal is one call a person, of 480 a minute and 4,800 an hour.
How persons are found by many ids at once, and when a 429 ends, is told by PostHog's source alone. A list is read back
100 persons a call, with ten distinct ids of each at most.
https://posthog.com/docs/api/cohorts, …/api/persons, …/api/capture, …/api (rate limits, responses),
…/docs/product-analytics/person-properties, …/docs/data/ingestion-warnings, …/docs/cdp/geoip-enrichment (read 2026-11);
https://github.com/PostHog/posthog/tree/a8b2677e87b791e040e7c1978c46e04276991130/posthog/api (cohort.py, person.py)
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Literal
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from audiences import Category, Connector, DefinitionError, DeliveryError, Form, Limits, Member, Null, Proof, Receipt

KNOWN_BY = "distinct_id"
PAGE = 100  # cohorts, or persons, that one call lists
LARGEST = 512_000  # bytes of a person's properties
MAY_LACK = {"expect": {404}}
MINUTE = 60.0  # seconds of the shortest window in which calls are counted

STRANGER = "no person of this project has this distinct id; they are added once your app identifies them"


class Posthog(Connector):
    limits = Limits(batch=50, concurrency=2, windows=((480, MINUTE), (4800, 3600)), bytes=20_000_000)
    category, proof = Category.ANALYTICS, Proof.DOCUMENTATION

    class Settings(Connector.Settings):
        personal_api_key: SecretStr
        project_id: int
        region: Literal["us", "eu"]
        project_token: SecretStr | None = None

    class Options(Connector.Options):
        null: Null = "clear"

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        return cls.formed([KNOWN_BY] if KNOWN_BY in send else [])

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key = settings.personal_api_key.get_secret_value().strip()
        where = f"https://{settings.region}.posthog.com/api/projects/{settings.project_id}"
        return {"base_url": where, "auth": _bearer(key)}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """A 429 says in words when calls are let in: `Expected available in 37 seconds`."""
        if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
            return None
        named = re.search(r"available in (\d+) second", answer.text)
        return float(named[1]) if named else MINUTE

    def check(self) -> None:
        self.http.get("/cohorts/", params={"limit": 1})

    def prepare(self, name: str) -> str:
        if found := [each for each in self._listed("/cohorts/") if each["name"] == name]:
            if [each["is_static"] for each in found] == [True]:
                return str(found[0]["id"])
            kinds = ", ".join(f"{'static' if each['is_static'] else 'dynamic'} {each['id']}" for each in found)
            do = "name another list, or rename that one in PostHog; of several static ones, write one as list_id"
            raise DefinitionError(f"{name!r} is not the name of one static cohort, but of: {kinds}", do=do)
        told = {"name": name, "is_static": True}
        made = self.http.post("/cohorts/", json=told, extensions={"creates": True}).json()["id"]
        # Names need not be unique: another run may have made the same cohort. Everyone takes the oldest.
        same = (each["id"] for each in self._listed("/cohorts/") if each["name"] == name and each["is_static"])
        return str(min([made, *same]))

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        persons = self._persons(members)
        refused = {member.key: STRANGER for member in members if member.key not in persons}
        events = {member.key: self._event(member) for member in members if member.key in persons}
        refused |= {key: why for key, event in events.items() if (why := _unfit(event))}
        self._capture([event for key, event in events.items() if event and key not in refused])
        self._add(list_id, [person for key, person in persons.items() if key not in refused])
        return Receipt.of(members, refused)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        for person in dict.fromkeys(self._persons(members).values()):
            told = {"person_id": person}
            self.http.patch(f"{_path(list_id)}remove_person_from_static_cohort/", json=told, extensions=MAY_LACK)
        return Receipt.of(members)  # whom PostHog does not know is in no cohort

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        """Each distinct id that is shown of each person."""
        self._check(list_id)
        for person in self._listed(f"{_path(list_id)}persons/"):
            yield from ({KNOWN_BY: each} for each in person["distinct_ids"])

    def _check(self, list_id: str) -> None:
        """Look once whether a cohort is there and may be changed: what it refuses is the fault of no member."""
        if list_id in self.checked:
            return
        answer = self.http.get(_path(list_id), extensions=MAY_LACK)
        found = answer.json() if answer.is_success else {"deleted": True}
        if found["deleted"] or not found["is_static"]:
            what = "is no cohort of this project" if found["deleted"] else "is a dynamic cohort, and has to be static"
            do = "check POSTHOG_PROJECT_ID; a deleted cohort is made anew after `audiences forget`"
            raise DefinitionError(f"{list_id} {what}", do=do)
        self.checked.add(list_id)

    def _listed(self, path: str) -> Iterator[Mapping[str, Any]]:
        """Everything that a call lists, page by page."""
        for offset in count(0, PAGE):
            page = self.http.get(path, params={"limit": PAGE, "offset": offset}).json()
            yield from page["results"]
            if not page["next"]:
                return

    def _persons(self, members: Sequence[Member]) -> dict[str, str]:
        """key -> UUID of those whom PostHog has."""
        asked, reads = {"distinct_ids": [self.ident(member) for member in members]}, {"reads": True}
        found = self.http.post("/persons/batch_by_distinct_ids/", json=asked, extensions=reads).json()["results"]
        return {member.key: found[self.ident(member)]["uuid"] for member in members if self.ident(member) in found}

    def _event(self, member: Member) -> Mapping[str, object]:
        """The event that sets a person's properties; an empty one where there is nothing to set."""
        fields = {name: value for name, value in member.fields.items() if name != KNOWN_BY}
        given = {name: value for name, value in fields.items() if value is not None}
        nulls = [name for name in fields if name not in given and self.options.null == "clear"]
        what = {name: told for name, told in (("$set", given), ("$unset", nulls)) if told}
        # Without it the person is placed where this worker stands: PostHog looks up whoever sends an event.
        who = {KNOWN_BY: self.ident(member), "$geoip_disable": True}
        return {"event": "$set", "properties": {**who, **what}} if what else {}

    def _capture(self, events: Sequence[Mapping[str, object]]) -> None:
        if not events:
            return
        if self.settings.project_token is None:
            do = "export POSTHOG_PROJECT_TOKEN, or send distinct_id alone; another section's name stands in its place"
            raise DefinitionError("fields are set by events, for which PostHog wants the project's token", do=do)
        # Another host, which knows the project by its token: the personal key is not for it.
        told = {"api_key": self.settings.project_token.get_secret_value().strip(), "batch": events}
        call: dict[str, Any] = {"json": told, "auth": None}
        answer = self.http.post(f"https://{self.settings.region}.i.posthog.com/batch/", **call)
        if limited := answer.json().get("quota_limited"):
            do = "raise the billing limit in PostHog, or send distinct_id alone"
            raise DeliveryError(f"PostHog takes no more of this project's {', '.join(limited)} for now", do=do)

    def _add(self, list_id: str, persons: Sequence[str]) -> None:
        if persons:
            told = {"person_ids": list(dict.fromkeys(persons))}
            self.http.patch(f"{_path(list_id)}add_persons_to_static_cohort/", json=told)


def _bearer(key: str) -> Callable[[httpx.Request], httpx.Request]:
    """The sign-in of a call that does not say auth=None."""

    def signed(request: httpx.Request) -> httpx.Request:
        request.headers["authorization"] = f"Bearer {key}"
        return request

    return signed


def _path(list_id: str) -> str:
    return f"/cohorts/{quote(list_id, safe='')}/"


def _unfit(event: Mapping[str, object]) -> str:
    """Why PostHog would not keep these properties: it drops them without a word."""
    size = len(json.dumps(event, ensure_ascii=False).encode())
    return f"{size:,} bytes of properties, and PostHog keeps {LARGEST:,} of a person" if size > LARGEST else ""
