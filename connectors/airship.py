"""Airship: a list is a tag of named users, in a tag group; audiences, automations and reports filter by it.

Set-up: Settings > Project configuration shows the app key and the app master secret: AIRSHIP_APP_KEY and
AIRSHIP_MASTER_SECRET; AIRSHIP_REGION, us or eu (go.urbanairship.com or go.airship.eu). The tag group `audiences` has to
be there (Audience > Tags), and so do the attributes that are sent (Audience > Attributes): Airship makes neither.

    [sync.airship]
    list = "Detractors"
    send = { named_user_id = "user_id", nps_score = "nps_score" }   # an attribute = column
    property = "crm"           # another tag group than `audiences`
    null = "clear"             # or "keep"

`named_user_id` says whose tags; where it is not sent, the member's key does. All else is written into attributes: texts
and numbers as they are, booleans as the texts true and false; lists and objects are refused. NULL takes an attribute
away, or with null = "keep" leaves it. A removal takes the tag off the named user, and leaves all else. Channels, their
opt-ins and subscription lists are never touched: who opted out stays out. Tags may start automations. What becomes of
an id that is no named user's is not documented; Airship takes the call. An id must not begin or end with a blank.

Static lists of Airship's can only be replaced whole, so they are not used. Calls: one for 100 members, and one more for
each who has attributes, four at once; neither the pace nor how many at once is documented. A warning (a group or an
attribute that is not there) is no success: whoever gets it is refused. Reading back goes through all named users of the
project, page by page.
https://docs.airship.com/developer/rest-api/ua/operations/tags, …/named-users, …/schemas/named-user; and the vendor's
https://pypi.org/project/urbanairship/7.4.1 for attributes, pages and up to 1,000 users a call (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import httpx
from pydantic import SecretStr

from audiences import BatchRefused, ByProperty, Category, Change, DefinitionError, Form, Limits, Mark, Proof

HOSTS = {"us": "go.urbanairship.com", "eu": "go.airship.eu"}
OWN = "ua_"  # how Airship's own tag groups begin
USERS, TAGS, ATTRIBUTES = "/api/named_users/", "/api/named_users/tags/", "/api/channels/attributes/"


class Airship(ByProperty):
    known_by = "named_user_id"
    longest = 128
    limits = Limits(batch=100, concurrency=4)
    category, proof = Category.IN_APP, Proof.SDK

    class Settings(ByProperty.Settings):
        app_key: str
        master_secret: SecretStr
        region: Literal["us", "eu"]

    class Options(ByProperty.Options):
        membership: Literal["array"] = "array"

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        if (options.property or "").startswith(OWN):
            do = "name a tag group of your own as `property`"
            raise DefinitionError(f"{options.property!r} is a tag group of Airship's own", do=do)
        return super().identify(options, send)

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        signed = (settings.app_key.strip(), settings.master_secret.get_secret_value().strip())
        accepted = {"accept": "application/vnd.urbanairship+json; version=3"}
        return {"base_url": f"https://{HOSTS[settings.region]}", "auth": signed, "headers": accepted}

    def check(self) -> None:
        """Look for a named user that nobody has."""
        self.http.get(USERS, params={"id": "audiences-check"}, extensions={"expect": {404}})

    def write(self, changes: Sequence[Change]) -> Mapping[str, str]:
        refused = {change.key: why for change in changes if (why := self._described(change))}
        left = [change for change in changes if change.key not in refused]
        self._tag("add", [(change.user, change.add) for change in left if change.add])
        self._tag("remove", [(change.user, change.take) for change in left if change.take])
        return refused

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        mark, asked = Mark.of(list_id), httpx.QueryParams()
        while True:
            page = self.http.get(USERS, params=asked).json()
            for each in page["named_users"]:
                if mark.holds(each["tags"].get(mark.property)):
                    yield {"named_user_id": each["named_user_id"]}
            if not page.get("next_page"):
                return
            asked = httpx.URL(page["next_page"]).params

    def _described(self, change: Change) -> str:
        """Write one named user's attributes; the reason where not all of them are taken."""
        if unfit := [name for name, value in change.set.items() if isinstance(value, list | dict)]:
            return f"{unfit[0]} is a list or an object, and an attribute is a text or a number"
        told: list[dict[str, object]] = [{"action": "remove", "key": name} for name in change.unset]
        told += [{"action": "set", "key": name, "value": _value(value)} for name, value in change.set.items()]
        if not told:
            return ""
        asked = {"audience": {"named_user_id": [change.user]}, "attributes": told}
        answer = self.http.post(ATTRIBUTES, json=asked, extensions={"expect": {400}})
        return _complaint(answer)

    def _tag(self, verb: str, marks: Sequence[tuple[str, Mapping[str, str]]]) -> None:
        """Give these users the list's tag, or take it. Raises BatchRefused where Airship only warns."""
        if not marks:
            return
        [(group, tag)] = marks[0][1].items()  # of a batch, all are on one list
        users = list(dict.fromkeys(user for user, _ in marks))
        answer = self.http.post(TAGS, json={"audience": {"named_user_id": users}, verb: {group: [tag]}})
        if complaint := _complaint(answer):
            raise BatchRefused(complaint)


def _value(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def _complaint(answer: httpx.Response) -> str:
    """What an answer has against a call, in Airship's words: an error, or a warning in an answer of success."""
    said = answer.json()
    words = said.get("error") or said.get("warnings") or said.get("warning")
    if words or not said["ok"]:
        return str(words or "Airship gives no reason")
    return ""
