"""OneSignal: a list is a tag of its users, and a segment on that tag. Only users whom OneSignal has get it.

Set-up: Settings > Keys & IDs of the app: ONESIGNAL_APP_ID, and an app API key, ONESIGNAL_API_KEY.

    [sync.onesignal]
    list = "Detractors"
    send = { external_id = "user_id", nps_score = "nps_score" }   # a tag = column
    null = "clear"             # or "keep"

`external_id` says whose tags; where it is not sent, the member's key does. Whoever is on the list has the tag
`in_detractors` with the value true (`property` names another), and the segment "Detractors" filters by it: found by its
exact name and looked at, or made. Where the plan has no room for it, make none and write list_id = "in_detractors".

All else becomes tags too, which are texts: numbers and booleans are written as such (42, true), lists and objects are
refused. NULL takes a tag away, as an empty text does, or with null = "keep" leaves it. How many tags a user has, the
plan says. A removal takes the list's tag away, and leaves all else; subscriptions are never touched, so who opted out
stays out. Tags may start journeys. What OneSignal answers for who is no user is not documented: a 404 is read as that,
anything accepted as done.

Calls: one for each member. OneSignal takes 1,000 a second, and one a second for each user. An answer means that the
change was accepted; when a segment shows it is not documented, neither is how long a tag's name may be. Segments are
exported into files by jobs: none is read back.
https://documentation.onesignal.com/reference (update-user, create-segment, view-segments, view-segment, rate-limits),
https://documentation.onesignal.com/docs/add-user-data-tags (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, Literal
from urllib.parse import quote

import httpx
import orjson
from pydantic import SecretStr

from audiences import ByProperty, Category, Change, DefinitionError, Form, Limits, Proof

PAGE = 300  # segments
LONGEST = 128  # characters of a segment's name
RESTRICTED = {"message", "notification", "subscription", "user", "template", "app", "org"}
RESTRICTED |= {"dynamic_content", "data_feed", "journey", "custom_data"}
MAY_REFUSE = {"expect": {400, 404, 409}}
MAKES = {"expect": {400, 403, 422}, "creates": True}

STRANGER = "no user of this app has this external_id; it is tagged once your app makes one"


class Onesignal(ByProperty):
    known_by = "external_id"
    longest = LONGEST
    limits = Limits(batch=50, concurrency=40, per_second=1000)
    category, proof = Category.IN_APP, Proof.SPECIFICATION

    class Settings(ByProperty.Settings):
        api_key: SecretStr
        app_id: str

    class Options(ByProperty.Options):
        membership: Literal["boolean"] = "boolean"

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        if kept := sorted(RESTRICTED & {*send, options.property}):
            do = "give it another name: send = { app_name = … }"
            raise DefinitionError(f"{kept[0]!r} cannot be a tag: OneSignal keeps that word for its templates", do=do)
        return super().identify(options, send)

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key = settings.api_key.get_secret_value().strip()
        place = quote(settings.app_id.strip(), safe="")
        return {"base_url": f"https://api.onesignal.com/apps/{place}", "headers": {"authorization": f"Key {key}"}}

    def check(self) -> None:
        self.http.get("/segments", params={"limit": 1})

    def prepare(self, name: str) -> str:
        """The list's tag. Whoever makes its segment meanwhile makes the same one, on the same tag."""
        mark = super().prepare(name)
        if len(name) > LONGEST:
            do = "give the list a shorter name"
            raise DefinitionError(f"{name!r} has more than the {LONGEST} characters of a segment's name", do=do)
        filters = [{"field": "tag", "key": mark, "relation": "=", "value": "true"}]
        found = [each["id"] for each in self._segments() if each["name"] == name]
        for each in found:
            self._look(each, name, filters)
        if not found:
            self._make(name, filters)
        return mark

    def write(self, changes: Sequence[Change]) -> Mapping[str, str]:
        reasons = {change.key: self._tagged(change) for change in changes}
        return {key: why for key, why in reasons.items() if why}

    def _tagged(self, change: Change) -> str:
        """Change one user's tags; the reason where that is refused."""
        if unfit := [name for name, value in change.set.items() if isinstance(value, list | dict)]:
            return f"{unfit[0]} is a list or an object, and a tag is a text"
        tags = {name: _text(value) for name, value in change.set.items()} | dict.fromkeys(change.unset, "")
        path = f"/users/by/external_id/{quote(change.user, safe='')}"
        answer = self.http.patch(path, json={"properties": {"tags": tags}}, extensions=MAY_REFUSE)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return STRANGER if change.set else ""  # who is no user has no tag
        return "" if answer.is_success else _words(answer)

    def _segments(self) -> Iterator[Mapping[str, Any]]:
        for offset in count(0, PAGE):
            page = self.http.get("/segments", params={"offset": offset, "limit": PAGE}).json()["segments"]
            yield from page
            if len(page) < PAGE:
                return

    def _look(self, segment: str, name: str, filters: Sequence[Mapping[str, str]]) -> None:
        """Raises DefinitionError where a segment of the list's name says something else."""
        asked = {"include-segment-detail": "true"}
        held = self.http.get(f"/segments/{quote(segment, safe='')}", params=asked).json()["payload"]["filters"]
        if [{name: each.get(name) for name in filters[0]} for each in held] != list(filters):
            do = "name another list, or rename that segment in OneSignal"
            what = f"the segment {name!r} is there, and is not just those whose tag {filters[0]['key']} is true"
            raise DefinitionError(what, do=do)

    def _make(self, name: str, filters: Sequence[Mapping[str, str]]) -> None:
        answer = self.http.post("/segments", json={"name": name, "filters": filters}, extensions=MAKES)
        if not answer.is_success:
            do = f'write list_id = "{filters[0]["key"]}" in the place of list: the tag alone is then the list'
            raise DefinitionError(f"OneSignal makes no segment {name!r}: {_words(answer)}", do=do)


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _words(answer: httpx.Response) -> str:
    """OneSignal's own words for an error: texts, or objects with a title."""
    errors = answer.json()["errors"]
    return "; ".join(str(each["title"] if isinstance(each, dict) else each) for each in errors)
