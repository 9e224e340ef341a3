"""Pendo: a list is an uploaded segment of visitors, to which guides and reports are narrowed.

Set-up: Settings > Integrations > Integration keys, a key that may write: PENDO_INTEGRATION_KEY; PENDO_REGION, where you
sign in: us (app.pendo.io), us1, eu, au or jpn.

    [sync.pendo]
    list = "Detractors"
    send = { visitor_id = "user_id", nps_score = "nps_score" }   # a custom field of visitors = column

A visitor goes by `visitor_id`, the id that your app gives Pendo's agent, or by the member's key where it is not sent.
What else is sent is written into custom metadata of visitors, whose fields have to exist (Settings > Data mappings);
then who is no visitor yet is refused, and is added once they have come. Nobody is made a visitor. Where no field is
sent, everybody's id is put on the segment, and what Pendo makes of an id that has not come yet is not documented. NULL
leaves a field as it is: how to empty one is not documented.

A segment is found by its exact name among those shared with everyone, and has to be one that was made by the API; or it
is made. As Pendo makes no empty one, it begins with a visitor id that nobody has, which the first members take off
again. Two runs at once may make two: both take the older. A removal takes the visitor off the segment, nothing else.
The last one's removal leaves it empty, as far as Pendo allows: that is not documented.

1,000 members are one call, two with fields. Pendo does one change of a segment after another: a 409 says that one is
under way, and is waited for. Its answer speaks of all visitors of a call together; one that is refused is halved until
the culprit stands alone. No number of calls is documented, nor that of visitors in one: 1,000 is what Segment's
connector sends. Who is on a segment can be read back only by an export, which is not done.
https://engageapi.pendo.io (segments, metadata), and what its answers are like from
https://adoptpartners.pendo.io/hc/en-us/articles/27418681207707-Inbound-Segmentation-Creation-via-API,
https://github.com/segmentio/action-destinations (pendo-audiences; pull request 3845 on 409) (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from audiences import (
    BatchRefused,
    Category,
    Connector,
    DefinitionError,
    Form,
    Limits,
    Member,
    Proof,
    Receipt,
    Unanswered,
)

HOSTS = {
    "us": "app.pendo.io",
    "us1": "us1.app.pendo.io",
    "eu": "app.eu.pendo.io",
    "au": "app.au.pendo.io",
    "jpn": "app.jpn.pendo.io",
}
NOBODY = "audiences-nobody"  # an id that no visitor has
BUSY = 10.0  # seconds
GONE = {"expect": {404}}

STRANGER = "no visitor of Pendo's has this id yet, and so has no field to write; it is added once they have come"
UNFIT = "{} holds a list or a struct, and a field of Pendo's takes text, a number, a boolean or a time"


class Pendo(Connector):
    limits = Limits(batch=1000)
    category, proof = Category.IN_APP, Proof.DOCUMENTATION

    class Settings(Connector.Settings):
        integration_key: SecretStr
        region: Literal["us", "us1", "eu", "au", "jpn"]

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        return cls.formed({"visitor_id"} & {*send})

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key = settings.integration_key.get_secret_value().strip()
        return {"base_url": f"https://{HOSTS[settings.region]}/api/v1", "headers": {"x-pendo-integration-key": key}}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """A 409 says that another change of the segment is under way."""
        return BUSY if answer.status_code == httpx.codes.CONFLICT else None

    def check(self) -> None:
        self.http.get("/token/verify")

    def prepare(self, name: str) -> str:
        if found := self._named(name):
            if len(found) > 1:
                do = "rename all but one in Pendo, or write one as list_id"
                raise DefinitionError(f"{name!r} is the name of {len(found)} segments: {', '.join(found)}", do=do)
            return found[0]
        wanted = {"name": name, "visitors": [NOBODY]}
        made = str(self.http.post("/segment/upload", json=wanted, extensions={"creates": True}).json()["segmentId"])
        # Another run may have made it too: nothing says that names are unique. Whoever made one takes the oldest.
        return next(iter(self._named(name)), made)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        refused = {member.key: why for member in members if (why := _unfit(member))}
        strangers = self._written([member for member in members if member.key not in refused])
        refused |= {member.key: STRANGER for member in members if self.ident(member) in strangers}
        there = [self.ident(member) for member in members if member.key not in refused]
        self._change(list_id, "add", there, [{"op": "remove", "path": "/visitors", "value": [NOBODY]}])
        return Receipt.of(members, refused)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        self._change(list_id, "remove", [self.ident(member) for member in members])
        return Receipt.of(members)

    def _named(self, name: str) -> list[str]:
        """The ids of the segments with exactly this name, the oldest first. Raises DefinitionError for one by rules."""
        found = [each for each in self.http.get("/segment").json() if each["name"] == name]
        if others := [str(each["id"]) for each in found if not each["createdByApi"]]:
            raise _by_rules(others[0])
        return [str(each["id"]) for each in sorted(found, key=lambda each: (each["createdAt"], each["id"]))]

    def _check(self, list_id: str) -> None:
        """Look once whether a segment is there and may be changed: what Pendo does otherwise is not documented."""
        if list_id in self.checked:
            return
        answer = self.http.get(f"/segment/{quote(list_id, safe='')}", extensions=GONE)
        if not answer.is_success:
            do = "check whose PENDO_INTEGRATION_KEY it is; a deleted segment is made anew after `audiences forget`"
            raise DefinitionError(f"Pendo has no segment with the id {list_id!r}", do=do)
        if not answer.json()["createdByApi"]:
            raise _by_rules(list_id)
        self.checked.add(list_id)

    def _written(self, members: Sequence[Member]) -> set[str]:
        """Write the fields of these visitors; those of their ids that no visitor has. No call is made for no field."""
        values = {self.ident(member): _values(member) for member in members}
        told = [{"visitorId": user, "values": given} for user, given in values.items() if given]
        if not told:
            return set()
        said = self.http.post("/metadata/visitor/custom/value", json=told).json()
        missing = {str(each) for each in said.get("missing") or ()} & values.keys()
        if said["failed"] > len(missing):
            raise BatchRefused(str(said.get("errors") or f"Pendo did not write {said['failed']}, and names nobody"))
        return missing

    def _change(self, list_id: str, verb: str, users: Sequence[str], more: Sequence[Any] = ()) -> None:
        """Put these visitors on a segment, or take them off; no call is made for nobody.

        Raises BatchRefused, or Unanswered where Pendo does not say that it did, or that it did not.
        """
        if not users:
            return
        body = {"patch": [{"op": verb, "path": "/visitors", "value": users}, *more]}
        said = self.http.patch(f"/segment/{list_id}/visitor", json=body).json()
        told = [each for each in said["multistatus"] if each["operation"] == verb]
        if told and httpx.codes.is_success(told[0]["status"]):
            return
        if told and told[0]["status"] in (400, 404, 413, 422):
            raise BatchRefused(str(told[0].get("message") or "Pendo gives no reason"))
        do = "run again: what is in doubt is settled first"
        raise Unanswered(f"Pendo does not say that it has done the {verb} of a call", do=do)


def _by_rules(list_id: str) -> DefinitionError:
    do = "name another list, or rename that segment in Pendo"
    return DefinitionError(f"the segment {list_id} was not made by the API, and so is filled by its own rules", do=do)


def _values(member: Member) -> dict[str, object]:
    return {name: value for name, value in member.fields.items() if name != "visitor_id" and value is not None}


def _unfit(member: Member) -> str:
    """Why a member cannot be told to Pendo; empty where they can."""
    names = [name for name, value in member.fields.items() if isinstance(value, list | Mapping)]
    return UNFIT.format(names[0]) if names else ""
