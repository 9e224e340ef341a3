"""MoEngage: a list is a cohort that it takes from a partner, shown as a custom segment. Nobody is made a user.

Set-up: Settings > Account > APIs: the workspace ID and the API key of the tile Data, MOENGAGE_WORKSPACE_ID and
MOENGAGE_API_KEY; MOENGAGE_DATA_CENTER, the number in the dashboard's address (01 to 06, or 101). MOENGAGE_PARTNER, the
name that stands for this worker beside its cohorts, by default audiences; whether it has to be one that MoEngage knows
is not documented.

    [sync.moengage]
    list = "Detractors"
    send = { uid = "user_id", nps_score = "nps_score" }   # a user's attribute = column

Users go by `uid`, the ID that your app identifies them by. All else is written into their attributes, of users who are
there alone. NULL leaves an attribute as it is: how to empty one is not documented. Attributes of MoEngage's own
(`moe_…`, `push_preference`, `id`) are refused, since opt-outs are among them: who opted out stays out. Someone who is
no user is refused until your app makes one: MoEngage passes over strangers without a word, so each member is looked up
before. A removal takes the user out of the cohort, and leaves all else. Cohorts may start campaigns and flows.

A cohort goes by its name, and is there with its first member; those that were made in the dashboard or of a file cannot
be changed so. Calls for 20 members: one to look them up, one for each who has attributes, one for the cohort; 100 a
minute, so that the 1,000 users a minute that may be looked up are never passed. An answer means that a change was
accepted; when a segment shows it, and what became of each, is not documented. No cohort can be read back.
https://www.moengage.com/docs/api (cohort sync, get user, track user), by its specifications (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from audiences import BatchRefused, Category, Connector, DefinitionError, Form, Limits, Member, Proof, Receipt

FORBIDDEN = set('|*?\\:<>=$"')  # in a cohort's name
OWN = ("moe_", "push_preference")  # how attributes begin that are MoEngage's own, opt-outs among them
BLOCKED = {"id", "_id"}

STRANGER = "no user of this workspace has this ID; it is added once your app makes one"


class Moengage(Connector):
    identified_by = frozenset({"uid"})
    limits = Limits(batch=20, windows=((100, 60),), bytes=128_000)  # 20 users are one look-up, of 50 a minute
    category, proof = Category.IN_APP, Proof.SPECIFICATION

    class Settings(Connector.Settings):
        workspace_id: str
        api_key: SecretStr
        data_center: Literal["01", "02", "03", "04", "05", "06", "101"]
        partner: str = "audiences"

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        if own := [name for name in send if name.lower().startswith(OWN) or name in BLOCKED]:
            do = "take it out of send; opt-outs are changed in MoEngage, by the user's own hand"
            raise DefinitionError(f"{own[0]!r} is an attribute of MoEngage's own", do=do)
        return super().identify(options, send)

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        place = settings.workspace_id.strip()
        signed = (place, settings.api_key.get_secret_value().strip())
        host = f"https://api-{settings.data_center}.moengage.com"
        return {"base_url": f"{host}/v1", "auth": signed, "headers": {"moe-appkey": place}}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """A 429 does not say when; calls are counted by the minute."""
        return 60.0 if answer.status_code == httpx.codes.TOO_MANY_REQUESTS else None

    def check(self) -> None:
        """Look for a user that nobody is."""
        self._known(["audiences-check"])

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        if list_id.startswith(".") or FORBIDDEN & set(list_id):
            do = f"leave these out of the list's name: {' '.join(sorted(FORBIDDEN))}, and a full stop at its start"
            raise DefinitionError(f"{list_id!r} cannot be the name of a cohort in MoEngage", do=do)
        known = self._known(list(dict.fromkeys(map(self.ident, members))))
        refused = {member.key: STRANGER for member in members if self.ident(member) not in known}
        for member in members:
            if member.key not in refused and (why := self._described(member)):
                refused[member.key] = why
        self._change(list_id, "add_members", [member for member in members if member.key not in refused])
        return Receipt.of(members, refused)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._change(list_id, "remove_members", members)
        return Receipt.of(members)

    def _known(self, ids: Sequence[str]) -> set[str]:
        """Those of up to 20 ids that are a user's."""
        asked = [{"identifier_type": "customer_id", "identifier": each} for each in ids]
        told = {"data": {"identifiers": asked, "user_fields_to_export": ["customer_id"]}}
        place = {"app_id": self.settings.workspace_id.strip()}
        answer = self.http.post("/customers/export", params=place, json=told, extensions={"reads": True})
        return {str(each["user_attributes"]["customer_id"]) for each in _taken(answer)["data"]["users"]}

    def _described(self, member: Member) -> str:
        """Write one user's attributes; the reason where they are refused."""
        attributes = {name: value for name, value in member.fields.items() if name != "uid" and value is not None}
        if not attributes:
            return ""
        told = {"type": "customer", "customer_id": self.ident(member), "attributes": attributes}
        path = f"/customer/{quote(self.settings.workspace_id.strip(), safe='')}"
        # A user who is deleted meanwhile is not made anew.
        answer = self.http.post(path, json={**told, "update_existing_only": True}, extensions={"expect": {400}})
        said = answer.json()
        return "" if said["status"] == "success" else _words(said)

    def _change(self, list_id: str, action: str, members: Sequence[Member]) -> None:
        if members:
            users = [{"uid": each} for each in dict.fromkeys(map(self.ident, members))]
            cohort = {"cohort_name": list_id, "cohort_id": list_id, "members": users}
            told = {"action": action, "partner": self.settings.partner, "parameters": cohort}
            _taken(self.http.post("/integrations/cohortsync", json=told))


def _taken(answer: httpx.Response) -> Mapping[str, Any]:
    """What a call was answered. Raises BatchRefused for an answer of success that says it failed; KeyError for one that
    does not say, which is no verdict.
    """
    said: Mapping[str, Any] = answer.json()
    if said["status"] != "success":
        raise BatchRefused(_words(said))
    return said


def _words(said: Mapping[str, Any]) -> str:
    error = said.get("error") or {}
    return str(error.get("message") or "MoEngage gives no reason")
