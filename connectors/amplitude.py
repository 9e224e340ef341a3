"""Amplitude: a list is a cohort that is uploaded, not computed. Only users whom Amplitude has are added; it makes none.

Set-up: the project's API key and secret key (Organization settings > Projects): AMPLITUDE_API_KEY and
AMPLITUDE_SECRET_KEY; AMPLITUDE_REGION, its data center: us or eu. Amplitude makes no cohort without anybody in it. So
that a missing one can be made, three more: AMPLITUDE_PROJECT_ID, its number; AMPLITUDE_OWNER, the login of the cohort's
owner; AMPLITUDE_SEED_USER, the id of a user on no list, such as a tester, who is put in and taken out again.

    [sync.amplitude]
    list = "Detractors"
    send = { user_id = "user_id", nps_score = "nps_score" }   # a user's property = column
    null = "clear"             # or "keep"

Users go by `user_id`. All else is written into the user's properties, which show from the user's next event on; dates
compare as texts (2026-11-22T08:00:00). NULL unsets a property, or with null = "keep" leaves it. Whom Amplitude does not
know is refused until your app has sent an event of theirs. Whose properties are refused is taken out of the cohort
again. A removal takes the user out of the cohort, and leaves properties and user as they are. Whether the last one can
be taken out of a cohort is not documented.

A cohort is found by its exact name among those that are discoverable and not archived, or made; a computed one is
refused. That an uploaded one calls itself `manual_upload` is seen in an example, and not documented; of another kind,
write its list_id. It holds 2 million users at most. Calls: one for 1,000 members, and one more for each 100 who have
properties. They are made one at a time: two at once to one cohort get a 429. How many users' properties one call may
change is not documented. Amplitude exports cohorts into files, 500 a month: none is read back.
https://amplitude.com/docs/apis/analytics/behavioral-cohorts, …/identify, …/http-v2; and for the 429 and the cohort that
is emptied at once https://github.com/segmentio/action-destinations (amplitude-cohorts) (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import httpx
import orjson
from pydantic import SecretStr

from audiences import BatchRefused, Category, Connector, DefinitionError, Limits, Member, Null, Proof, Receipt

COHORTS = {"us": "amplitude.com", "eu": "analytics.eu.amplitude.com"}
USERS = {"us": "api2.amplitude.com", "eu": "api.eu.amplitude.com"}
UPLOADED = "manual_upload"
MAKER = ("project_id", "owner", "seed_user")  # what only the making of a cohort needs
TOGETHER = 100  # users whose properties one call changes
THROTTLED = 15.0  # seconds

STRANGER = "no user of this project has this id; it is added once your app has sent an event of theirs"


class Amplitude(Connector):
    identified_by = frozenset({"user_id"})
    limits = Limits(batch=1000)
    category, proof = Category.ANALYTICS, Proof.DOCUMENTATION

    class Settings(Connector.Settings):
        api_key: SecretStr
        secret_key: SecretStr
        region: Literal["us", "eu"]
        project_id: int | None = None
        owner: str | None = None
        seed_user: str | None = None

    class Options(Connector.Options):
        null: Null = "clear"

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        signed = (settings.api_key.get_secret_value().strip(), settings.secret_key.get_secret_value().strip())
        return {"base_url": f"https://{COHORTS[settings.region]}", "auth": signed}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """A 429 does not say when; a user whose properties change too often is to be left alone for 15 seconds."""
        return THROTTLED if answer.status_code == httpx.codes.TOO_MANY_REQUESTS else None

    def check(self) -> None:
        self._cohorts()

    def prepare(self, name: str) -> str:
        if found := self._named(name):
            if [each["type"] for each in found] != [UPLOADED]:
                kinds = ", ".join(f"{each['type']} {each['id']}" for each in found)
                do = "name another list, or rename that cohort there; of several uploaded ones, write one as list_id"
                raise DefinitionError(f"{name!r} is not the name of one uploaded cohort, but of: {kinds}", do=do)
            place, size = str(found[0]["id"]), found[0]["size"]
        else:
            place, size = self._made(name), 1
        # Also where the run that made it ended before it could take the seed out.
        if size < 2 and self.settings.seed_user is not None:
            self._change(place, "REMOVE", [self.settings.seed_user])
        return place

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        skipped = self._change(list_id, "ADD", map(self.ident, members))
        refused = {member.key: STRANGER for member in members if self.ident(member) in skipped}
        added = [member for member in members if member.key not in refused]
        try:
            # After the cohort has taken them: Amplitude makes a user of whoever is given a property.
            self._write(added)
        except BatchRefused:
            self._change(list_id, "REMOVE", map(self.ident, added))  # whoever is refused must not be on the list
            raise
        return Receipt.of(members, refused)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        self._change(list_id, "REMOVE", map(self.ident, members))
        return Receipt.of(members)  # whoever is skipped is no user, and so in no cohort

    def _made(self, name: str) -> str:
        answer = self.http.post("/api/3/cohorts/upload", json=self._first(name), extensions={"creates": True})
        # Names need not be unique: another run may have made the same cohort. Everyone takes the oldest.
        found = sorted(self._named(name), key=lambda each: (each["createdAt"], each["id"]))
        return str(found[0]["id"] if found else answer.json()["cohortId"])

    def _first(self, name: str) -> dict[str, object]:
        """A cohort of this name, with the seed alone. Raises DefinitionError where the account cannot make one."""
        if missing := [each.upper() for each in MAKER if getattr(self.settings, each) is None]:
            names = ", ".join(f"AMPLITUDE_{each}" for each in missing)
            do = (
                f"upload it there with one user in it; or export {names}: where the section has another name, it stands"
            )
            raise DefinitionError(f"Amplitude has no discoverable cohort {name!r}", do=f"{do} in front instead")
        account = self.settings
        ids = {"id_type": "BY_USER_ID", "ids": [account.seed_user]}
        return {"name": name, "app_id": account.project_id, "owner": account.owner, "published": True, **ids}

    def _check(self, list_id: str) -> None:
        """Look once whether a cohort is there: what happens otherwise is not documented."""
        if list_id in self.checked:
            return
        if list_id not in {each["id"] for each in self._cohorts()}:
            do = "check whose AMPLITUDE_API_KEY it is, and that the cohort is published; one that was archived or"
            do = f"{do} deleted is made anew after `audiences forget`"
            raise DefinitionError(f"{list_id} is no cohort that can be discovered in this project", do=do)
        self.checked.add(list_id)

    def _named(self, name: str) -> list[Mapping[str, Any]]:
        return [each for each in self._cohorts() if each["name"] == name]

    def _cohorts(self) -> list[Mapping[str, Any]]:
        """All that are discoverable, in one page, without those that were archived."""
        return [each for each in self.http.get("/api/3/cohorts").json()["cohorts"] if not each["archived"]]

    def _change(self, list_id: str, operation: str, ids: Iterable[str]) -> set[str]:
        """Put these users in or take them out; those whom Amplitude has skipped."""
        asked = {"ids": list(dict.fromkeys(ids)), "id_type": "BY_NAME", "operation": operation}  # a name is a user_id
        told = {"cohort_id": list_id, "skip_invalid_ids": True, "memberships": [asked]}
        [result] = self.http.post("/api/3/cohorts/membership", json=told).json()["memberships_result"]
        return {str(each) for each in result["skipped_ids"]}

    def _write(self, members: Sequence[Member]) -> None:
        """Give these users their properties."""
        told = [{"user_id": self.ident(member), "user_properties": self._properties(member)} for member in members]
        told = [each for each in told if each["user_properties"]]
        url, key = f"https://{USERS[self.settings.region]}/identify", self.settings.api_key.get_secret_value().strip()
        for part in self.parts(told, TOGETHER):
            users = orjson.dumps(part, default=dict).decode()
            self.http.post(url, data={"api_key": key, "identification": users}, auth=httpx.Auth())  # the key is in it

    def _properties(self, member: Member) -> dict[str, object]:
        fields = {name: value for name, value in member.fields.items() if name != "user_id"}
        told: dict[str, dict[str, object]] = {"$set": {n: value for n, value in fields.items() if value is not None}}
        if self.options.null == "clear":
            told["$unset"] = {n: "-" for n, value in fields.items() if value is None}  # what stands there is not read
        return {operation: properties for operation, properties in told.items() if properties}
