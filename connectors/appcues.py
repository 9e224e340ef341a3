"""Appcues: a list is a segment of user ids, at which flows, banners and checklists are aimed.

Set-up: in Appcues Studio, Settings > API keys, a key of the public API: APPCUES_API_KEY and APPCUES_API_SECRET;
APPCUES_ACCOUNT_ID, which Settings > Account shows; APPCUES_REGION, us or eu.

    [sync.appcues]
    experimental = true
    list = "Detractors"
    send = { user_id = "user_id", npsScore = "nps_score" }   # a property of the user's profile = column

A user goes by `user_id`, the id that your app identifies users by, or by the member's key where it is not sent. What
else is sent is written into the user's profile, texts, numbers and booleans; a list or a struct is refused. NULL leaves
a property as it is: how to empty one is not documented; neither is whether writing a profile makes a user.

A segment is found by its exact name, or made; of two that runs at once make, both take the same. One that has rules of
its own is not told from others: let the list be a segment to which nobody else adds. A removal takes the id off the
segment, and leaves the profile as it is.

Ids travel 100 a call, with one call more for each member who has fields. Appcues works through ids in a job, and its
answer is taken for yes: the form of that answer, the states of a job, numbers of calls and of ids are not documented in
what could be read. So this connector is experimental. Who is on a segment can be read back only by an export.
https://docs.appcues.com (create a segment using the public API), https://api.appcues.com/v2/docs, read through
https://github.com/api-evangelist/appcues (openapi) and public clients (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, Literal
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from audiences import Category, Connector, DefinitionError, Form, Limits, Member, Proof, Receipt

HOSTS = {"us": "api.appcues.com", "eu": "api.eu.appcues.com"}
PAGE = 100  # segments
GONE = {"expect": {404}}
MAY_REFUSE = {"expect": {400, 404, 422}}
UNFIT = "{} holds a list or a struct, and a property of Appcues's takes text, a number or a boolean"


class Appcues(Connector):
    limits = Limits(batch=100)
    category, proof = Category.IN_APP, Proof.EXPERIMENTAL

    class Settings(Connector.Settings):
        api_key: str
        api_secret: SecretStr
        account_id: str
        region: Literal["us", "eu"]

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        return cls.formed({"user_id"} & {*send})

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        signed = (settings.api_key.strip(), settings.api_secret.get_secret_value().strip())
        account = quote(settings.account_id.strip(), safe="")
        return {"base_url": f"https://{HOSTS[settings.region]}/v2/accounts/{account}", "auth": signed}

    def check(self) -> None:
        self.http.get("/segments", params={"page": 1, "limit": 1})

    def prepare(self, name: str) -> str:
        found = self._named(name)
        if len(found) > 1:
            do = "rename all but one in Appcues, or write one as list_id"
            raise DefinitionError(f"{name!r} is the name of {len(found)} segments: {', '.join(found)}", do=do)
        if found:
            return found[0]
        wanted = {"name": name, "description": ""}
        made = str(self.http.post("/segments", json=wanted, extensions={"creates": True}).json()["id"])
        # Another run may have made it too: nothing says that names are unique. Whoever made one takes the first.
        return next(iter(self._named(name)), made)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        reasons = {member.key: self._written(member) for member in members}
        refused = {key: why for key, why in reasons.items() if why}
        self._change(list_id, "add_user_ids", [self.ident(member) for member in members if member.key not in refused])
        return Receipt.of(members, refused)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        self._change(list_id, "remove_user_ids", [self.ident(member) for member in members])
        return Receipt.of(members)

    def _check(self, list_id: str) -> None:
        """Look once whether a segment is there: what Appcues does otherwise is not documented."""
        if list_id in self.checked:
            return
        if not self.http.get(f"/segments/{quote(list_id, safe='')}", extensions=GONE).is_success:
            do = "check whose APPCUES_API_KEY it is; a deleted segment is made anew after `audiences forget`"
            raise DefinitionError(f"Appcues has no segment with the id {list_id!r}", do=do)
        self.checked.add(list_id)

    def _named(self, name: str) -> list[str]:
        """The ids of the segments with exactly this name, always in one order."""
        return sorted(str(each["id"]) for each in self._segments() if each["name"] == name)

    def _segments(self) -> Iterator[Mapping[str, Any]]:
        """All of them, page by page; those that come whole are not asked for again and again."""
        seen: set[str] = set()
        for page in count(1):
            found = self.http.get("/segments", params={"page": page, "limit": PAGE}).json()
            new = [each for each in found if str(each["id"]) not in seen]
            yield from new
            seen |= {str(each["id"]) for each in new}
            if len(found) < PAGE or not new:
                return

    def _written(self, member: Member) -> str:
        """Why a member's profile is not as it was sent; empty where it is. No call is made for no field."""
        values = {name: value for name, value in member.fields.items() if name != "user_id" and value is not None}
        if unfit := [name for name, value in values.items() if isinstance(value, list | Mapping)]:
            return UNFIT.format(unfit[0])
        if not values:
            return ""
        path = f"/users/{quote(self.ident(member), safe='')}/profile"
        answer = self.http.patch(path, json=values, extensions=MAY_REFUSE)
        return "" if answer.is_success else _words(answer)

    def _change(self, list_id: str, verb: str, users: Sequence[str]) -> None:
        """No call is made for nobody."""
        if users:
            self.http.post(f"/segments/{list_id}/{verb}", json={"user_ids": users})


def _words(answer: httpx.Response) -> str:
    """Appcues's own words on one member."""
    with suppress(ValueError, TypeError, KeyError):
        said = answer.json()
        return str(said.get("detail") or said["title"])
    return "Appcues gives no reason"
