"""Mixpanel: a list is a property of its members' profiles, which reports, cohorts and cohort syncs filter by.

Set-up: MIXPANEL_TOKEN and MIXPANEL_REGION (us, eu or in): Organization Settings > Projects shows a project's token and
data residency. Mixpanel answers a wrong token as it answers the right one: see that the first members arrive in Users.
To read a list back, a service account as well (Organization Settings > Service Accounts), with a role in this project:
MIXPANEL_SERVICE_ACCOUNT (its user name), MIXPANEL_SERVICE_SECRET, MIXPANEL_PROJECT_ID (a number).

    [sync.mixpanel]
    list = "Detractors"
    send = { distinct_id = "user_id", "$email" = "email", nps_score = "nps_score" }

`distinct_id` says whose profile; where it is not sent, the member's key does. Send the id that your app identifies
users by: Mixpanel makes a profile of every id it does not know, and offers no way to update only those it knows.
Its own properties begin with `$` (`$email`, `$name`, `$phone`). Texts are cut at 255 bytes, by Mixpanel.

`membership` is "array" (the default: the array property `audiences` has "Detractors" in it) or "boolean"
(`in_detractors` is true). `property` names another array, or another boolean. NULL unsets a property; with
`null = "keep"` it leaves what is there. A removal takes the list's name out of the array, or unsets the boolean, and
leaves all else. Whether a removal makes an empty profile of someone unknown to Mixpanel is not documented.

Up to 2,000 members go in one to three calls: NULLs unset, fields set, the name added. `strict` promises an error for
each record that fails, in a form that is not documented for profiles; so a batch that is not taken whole is halved
until the culprit stands alone. Reading back costs one of 60 queries an hour for each page of the profiles that have the
property, whatever list they are on.
https://docs.mixpanel.com/reference/profile-set, …/profile-unset, …/profile-union, …/profile-remove-from-list-property,
…/user-profile-limits, …/engage-query, …/segmentation-expressions, …/rate-limits, and
https://docs.mixpanel.com/docs/data-structure/property-reference/data-type (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import httpx
import orjson
from pydantic import SecretStr

from audiences import (
    BatchRefused,
    ByProperty,
    Category,
    Change,
    DefinitionError,
    DeliveryError,
    Limits,
    Mark,
    Proof,
    Unanswered,
)

INGESTION = {"us": "api", "eu": "api-eu", "in": "api-in"}
QUERY = {"us": "mixpanel.com", "eu": "eu.mixpanel.com", "in": "in.mixpanel.com"}
LARGEST = 1_000_000  # bytes of one update; the vendor says 1 MB
READER = ("service_account", "service_secret", "project_id")

# ip: the worker's own address says nothing of where a user is.
# strict: without it one valid record makes an answer of success, and the others are dropped unsaid.
ASKED = {"ip": 0, "strict": 1, "verbose": 1}

# One operation a call. The name is added last: whoever is refused on the way must not be on the list.
OPERATIONS: tuple[tuple[str, str, Callable[[Change], object]], ...] = (
    ("profile-unset", "$unset", lambda change: list(change.unset)),
    ("profile-set", "$set", lambda change: change.set),
    ("profile-union", "$union", lambda change: {name: [text] for name, text in change.add.items()}),
    ("profile-list-remove", "$remove", lambda change: change.take),
)


class Mixpanel(ByProperty):
    known_by = "distinct_id"
    longest = 255
    limits = Limits(batch=2000)
    category, proof = Category.ANALYTICS, Proof.SPECIFICATION

    class Settings(ByProperty.Settings):
        token: SecretStr
        region: Literal["us", "eu", "in"]
        service_account: str | None = None
        service_secret: SecretStr | None = None
        project_id: int | None = None

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        return {"base_url": f"https://{INGESTION[settings.region]}.mixpanel.com"}

    def write(self, changes: Sequence[Change]) -> Mapping[str, str]:
        token, refused = self.settings.token.get_secret_value(), dict[str, str]()
        for page, operation, told in OPERATIONS:
            updates: dict[str, bytes] = {}
            for change in changes:
                if change.key in refused or not (what := told(change)):
                    continue
                try:
                    updates[change.key] = _update({"$token": token, "$distinct_id": change.user, operation: what})
                except ValueError as error:
                    refused[change.key] = str(error)
            if updates:
                self._engage(page, list(updates.values()))
        return refused

    def members(self, list_id: str) -> Iterable[Mapping[str, object]]:
        self._reader()
        mark = Mark.of(list_id)
        found = self._profiles(mark.property)
        return (
            {"distinct_id": str(each["$distinct_id"])}
            for each in found
            if mark.holds(each["$properties"].get(mark.property))
        )

    def check(self) -> None:
        """Ask for profiles that nobody has: any token is taken, so only the service account can be tried."""
        if all(getattr(self.settings, name) is None for name in READER):
            raise NotImplementedError
        self._reader()
        self._page({"where": 'defined(properties["audiences_check"])', "output_properties": "[]"})

    def _reader(self) -> None:
        """Raise DefinitionError where the service account is not whole."""
        if missing := [name.upper() for name in READER if getattr(self.settings, name) is None]:
            raise DefinitionError(
                "who is on a list of Mixpanel's can be read only with a service account; not all of it is set",
                do=f"export {', '.join(f'MIXPANEL_{name}' for name in missing)}; where the section has another name,"
                " its name stands in front instead",
            )

    def _engage(self, page: str, updates: Sequence[bytes]) -> None:
        # What follows the `#` tells which page describes the call; it does not travel.
        url = self.http.base_url.join(f"/engage#{page}")
        body, headers = b"[%b]" % b",".join(updates), {"content-type": "application/json"}
        _taken(self.http.post(url, content=body, params=ASKED, headers=headers), len(updates))

    def _profiles(self, name: str) -> Iterator[Mapping[str, Any]]:
        """Everybody who has this property, with it alone.

        Not only those on one list: how `in` compares an array's texts is not documented; `defined` is.
        """
        form = {"where": f'defined(properties["{name}"])', "output_properties": orjson.dumps([name]).decode()}
        page = self._page(form)
        while True:
            yield from page["results"]
            if len(page["results"]) < page["page_size"]:
                return
            page = self._page({**form, "session_id": page["session_id"], "page": page["page"] + 1})

    def _page(self, form: Mapping[str, Any]) -> Mapping[str, Any]:
        url, account = f"https://{QUERY[self.settings.region]}/api/query/engage", self.settings
        signed = (account.service_account, account.service_secret.get_secret_value())
        answer = self.http.post(url, params={"project_id": account.project_id}, data=form, auth=signed)
        said = _said(answer)
        if not isinstance(said, dict) or not {"results", "page", "page_size", "session_id"} <= said.keys():
            raise DeliveryError(
                "Mixpanel answers a query with something that is no page of profiles",
                do="check the region and the project's number in the account's settings",
            )
        return said


def _update(update: Mapping[str, object]) -> bytes:
    """One update as JSON. Raises ValueError for what Mixpanel would not take."""
    try:
        text = orjson.dumps(update, default=dict)
    except orjson.JSONEncodeError:
        raise ValueError("a value that JSON cannot hold") from None
    if len(text) > LARGEST:
        raise ValueError(f"{len(text):,} bytes; Mixpanel takes {LARGEST:,} in an update")
    return text


def _taken(answer: httpx.Response, updates: int) -> None:
    """Nothing, if the answer says that all of these updates were taken; it must not say so of only some.

    Raises BatchRefused, or Unanswered where the answer is none that Mixpanel describes.
    """
    said = _said(answer)
    if not isinstance(said, dict):
        said = {"status": said if type(said) is int and said in (0, 1) else None}
    failed, taken = said.get("failed_records"), said.get("num_records_imported", updates)
    if said.get("status") in (1, "OK") and not failed and not said.get("error") and taken == updates:
        return
    if said.get("status") is None:
        raise Unanswered(
            "Mixpanel's answer does not say whether it took the updates",
            do="check the region in the account's settings, and what stands between here and Mixpanel; then run again",
        )
    words = said.get("error") or (failed and [each.get("message") for each in failed if isinstance(each, dict)])
    raise BatchRefused(str(words or "Mixpanel found nothing valid in it, and gives no reason"))


def _said(answer: httpx.Response) -> Any:
    try:
        return orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return None
