"""Klaviyo lists of profiles; 1,000 profiles an import job, at most 150 calls a minute. No consent is ever touched.

Set-up: in Klaviyo, Settings > Account > API keys > Create private API key, a custom key with the scopes lists:read,
lists:write, profiles:read and profiles:write; KLAVIYO_API_KEY is that key.

    [sync.klaviyo]
    list = "NPS detractors"
    send = { email = "email", first_name = "first_name", nps_score = "nps_score" }   # destination field = column

The list is found by its exact name, or made. A profile goes by `email`, or with `identify = "external_id"` or
`identify = "phone_number"` (E.164) by that. Whoever is no profile yet is refused; with `new = "never_subscribed"` they
are made one without consent, and Klaviyo lets campaigns and flows write to those who never opted out.
email, phone_number, external_id, first_name, last_name, organization, locale, title, image and location (a struct) are
Klaviyo's own fields; every other name is a custom property. Names with a `$` are refused: consent can be among those.
NULL takes a custom property off, but leaves a field of Klaviyo's own as it is: an import cannot empty it.
To be on a list is not consent, and removing takes no one's consent: suppressions and subscriptions stay as they are.

Additions and updates are imported by jobs: what became of each profile is known in the next run, which asks. Klaviyo
turns down a whole import for one bad profile and says which: these are refused, the others sent once more. To look 50
people up is a call more: for removals, and for additions while new ones are refused. Who cannot be looked up any more,
as someone whose address was changed in Klaviyo, counts as removed and stays listed.
Not confirmed: how long a job takes (24 hours are allowed for) and is remembered; which profile wins where two of the
identifiers sent belong to different ones; how a filter writes a `"` or `\\`, so an identifier with one is refused.
https://developers.klaviyo.com/en/docs/use_klaviyos_bulk_profile_import_api, …/rate_limits_and_error_handling,
https://help.klaviyo.com/hc/en-us/articles/360037101072 (who may be written to), https://github.com/klaviyo/openapi,
https://github.com/rudderlabs/rudder-server/pull/7107 (what is turned down; read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import quote

import httpx
import orjson
from pydantic import SecretStr

from audiences import BatchRefused, Category, Connector, DefinitionError, DeliveryError, Limits, Member, Proof, Receipt

REVISION = "2026-10-15"
MEDIA = "application/vnd.api+json"
PAGE = 100
LOOKED_UP = 50  # people a call: how long an address may be is not documented, and with so many it stays below 4 KB
OWN = {"email", "phone_number", "external_id", "first_name", "last_name", "organization", "locale", "title", "image"}
OWN |= {"location"}
WHOSE = re.compile(r"/data/attributes/profiles/data/(\d+)(?:/|$)")  # a place in the import that was just sent

UNREADABLE = {'"', "\\"}  # how these are written within a filter is not documented
STRANGER = 'no profile of Klaviyo\'s; the option new = "never_subscribed" would make one, without consent'
UNFIT = "its identifier holds a quote or a backslash, and might not be found again"
OVER = {"cancelled": "Klaviyo cancelled this import", "gone": "Klaviyo does not know this import any more"}
UNNAMED = "Klaviyo names it neither among the imported nor among the failed"


class Klaviyo(Connector):
    limits = Limits(batch=1000, concurrency=2, windows=((10, 1), (150, 60)), bytes=5_000_000)
    category, proof = Category.EMAIL, Proof.SDK
    judged_within = timedelta(hours=24)

    class Settings(Connector.Settings):
        api_key: SecretStr

    class Options(Connector.Options):
        identify: Literal["email", "external_id", "phone_number"] = "email"
        new: Literal["refuse", "never_subscribed"] = "refuse"

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        [(self.by, self.form)] = self.identity.items()

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Any]:
        if options.identify not in send:
            do = f"add {options.identify} to send, or write identify = one of: external_id, phone_number, email"
            raise DefinitionError(f"a profile goes by {options.identify}, which is not sent", do=do)
        if special := [name for name in send if name.startswith("$")]:
            do = "send it under a name without the `$`; consent is given in Klaviyo, not by a list"
            raise DefinitionError(f"{special[0]!r} is a name with a meaning of Klaviyo's own", do=do)
        return cls.formed([options.identify])

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key = f"Klaviyo-API-Key {settings.api_key.get_secret_value().strip()}"
        headers = {"authorization": key, "revision": REVISION, "accept": MEDIA, "content-type": MEDIA}
        return {"base_url": "https://a.klaviyo.com/api", "headers": headers}

    def check(self) -> None:
        self.http.get("/lists", params={"page[size]": 1})

    def prepare(self, name: str) -> str:
        return self.found_or_made("Klaviyo list", name, self._named, self._make)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        refused = {member.key: UNFIT for member in members if UNREADABLE & {*self.ident(member)}}
        if self.options.new == "refuse":
            there = {self.form.of(each["attributes"].get(self.by)) for each in self._profiles(members)}
            refused = {each.key: STRANGER for each in members if self.ident(each) not in there} | refused
        if not (fit := [member for member in members if member.key not in refused]):
            return Receipt.of(members, refused)
        answer = self._import(list_id, fit, {400})
        if not answer.is_success:
            refused |= _whose(answer, fit)
            if not (fit := [member for member in fit if member.key not in refused]):
                return Receipt.of(members, refused)
            answer = self._import(list_id, fit)  # the whole import was turned down
        return Receipt.of(members, refused, ticket=str(answer.json()["data"]["id"]))

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        found = sorted({str(each["id"]) for each in self._profiles(members)})
        for part in self.parts(found, self.limits.batch):
            body = {"data": [{"type": "profile", "id": each} for each in part]}
            self.http.request("DELETE", f"{_path(list_id)}/relationships/profiles", json=body)
        return Receipt.of(members)  # whom Klaviyo does not know is on no list

    def outcome(self, ticket: str, members: Sequence[Member]) -> Receipt | None:
        job = f"/profile-bulk-import-jobs/{quote(ticket, safe='')}"
        answer = self.http.get(job, extensions={"expect": {404}})
        gone = {"status": "gone"}
        said: Mapping[str, Any] = gone if answer.status_code == 404 else answer.json()["data"]["attributes"]
        if said["status"] in OVER:
            return Receipt.of(members, {member.key: OVER[said["status"]] for member in members})
        if said["status"] != "complete":
            return None
        idents = {member.key: self.ident(member) for member in members}
        failed = self._failed(job, said, {*idents.values()})
        return Receipt.of(members, {key: failed[each] for key, each in idents.items() if each in failed})

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        asked = {"page[size]": PAGE, "fields[profile]": self.by}
        for each in self._all(f"{_path(list_id)}/profiles", asked):
            yield {self.by: each["attributes"].get(self.by)}

    def _check(self, list_id: str) -> None:
        """Look once whether a list is there: an import for none might be taken in all the same."""
        if list_id in self.checked:
            return
        if self.http.get(_path(list_id), extensions={"expect": {404}}).status_code == 404:
            do = "check list_id and whose KLAVIYO_API_KEY it is; a deleted list is made anew after `audiences forget`"
            raise DeliveryError(f"the Klaviyo list {list_id} is gone", do=do)
        self.checked.add(list_id)

    def _failed(self, job: str, said: Mapping[str, Any], idents: Set[str]) -> Mapping[str, str]:
        """Identifier -> reason, of those of a job that is over who were not imported."""
        errors = [each["attributes"] for each in self._all(f"{job}/import-errors", {"page[size]": PAGE})]
        failed = {self._meant(each): str(each["detail"]) for each in errors}
        done, lost = ((said.get(name) or 0) for name in ("completed_count", "failed_count"))
        if failed.keys() <= idents and lost <= len(errors) and done + len(errors) >= said["total_count"]:
            return failed
        # Someone failed, and the errors do not say who: only whom Klaviyo shows among the imported is accepted.
        asked = {"page[size]": PAGE, "fields[profile]": self.by}
        there = {self.form.of(each["attributes"].get(self.by)) for each in self._all(f"{job}/profiles", asked)}
        return {each: failed.get(each) or failed.get("", UNNAMED) for each in idents - there}

    def _named(self, name: str) -> list[str]:
        """The ids of the lists with exactly this name, the oldest first."""
        # How a filter writes a quote is not documented: then all are read.
        asked = {} if UNREADABLE & {*name} else {"filter": f'equals(name,"{name}")'}
        found = [each for each in self._all("/lists", asked) if each["attributes"]["name"] == name]
        return [str(each["id"]) for each in sorted(found, key=lambda each: str(each["attributes"]["created"]))]

    def _make(self, name: str) -> object:
        wanted = {"data": {"type": "list", "attributes": {"name": name}}}
        return self.http.post("/lists", json=wanted, extensions={"creates": True}).json()["data"]["id"]

    def _import(self, list_id: str, members: Sequence[Member], expect: Set[int] = frozenset()) -> httpx.Response:
        attributes = {"profiles": {"data": [self._profile(member) for member in members]}}
        lists = {"lists": {"data": [{"type": "list", "id": list_id}]}}
        job = {"type": "profile-bulk-import-job", "attributes": attributes, "relationships": lists}
        return self.http.post("/profile-bulk-import-jobs", json={"data": job}, extensions={"expect": expect})

    def _profile(self, member: Member) -> Mapping[str, Any]:
        """A member as a profile of an import. https://developers.klaviyo.com/en/reference/bulk_import_profiles"""
        told = {**member.fields, self.by: self.ident(member)}
        kept = {name: value for name, value in told.items() if value is not None}
        attributes: dict[str, Any] = {name: _own(value) for name, value in kept.items() if name in OWN}
        properties = {name: value for name, value in kept.items() if name not in OWN}
        unset = [name for name in told if name not in kept and name not in OWN]
        profile = {"type": "profile", "attributes": attributes | ({"properties": properties} if properties else {})}
        return {**profile, "meta": {"patch_properties": {"unset": unset}}} if unset else profile

    def _profiles(self, members: Sequence[Member]) -> Iterator[Mapping[str, Any]]:
        """The profiles of these people; strangers are left out, and those who were never sent."""
        idents = sorted(each for each in {self.ident(member) for member in members} if not UNREADABLE & {*each})
        for part in self.parts(idents, LOOKED_UP):
            which = f"any({self.by},{orjson.dumps(part).decode()})"
            yield from self._all("/profiles", {"filter": which, "fields[profile]": self.by, "page[size]": PAGE})

    def _meant(self, error: Mapping[str, Any]) -> str:
        """Whom an import error is about, by what was sent; "" where it does not say."""
        sent = error.get("original_payload") or {}
        return self.form.of((sent.get("attributes") or sent).get(self.by))

    def _all(self, path: str, asked: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Everything in a collection, page by page."""
        cursor: str | None = ""
        while cursor is not None:
            page = self.http.get(path, params={**asked, **({"page[cursor]": cursor} if cursor else {})}).json()
            yield from page["data"]
            after = (page.get("links") or {}).get("next")
            cursor = httpx.URL(after).params["page[cursor]"] if after else None


def _path(list_id: str) -> str:
    return f"/lists/{quote(list_id, safe='')}"


def _own(value: object) -> object:
    """A field of Klaviyo's own is a text; a location's parts that are NULL are left as they are."""
    if isinstance(value, Mapping):
        return {name: part for name, part in value.items() if part is not None}
    return str(value) if isinstance(value, int | float) else value


def _whose(answer: httpx.Response, members: Sequence[Member]) -> dict[str, str]:
    """key -> reason, of those for whom an import was turned down. Raises BatchRefused where it names nobody."""
    errors: Sequence[Any] = ()
    with suppress(ValueError, TypeError, KeyError):
        errors = answer.json()["errors"]
    places = {str((each.get("source") or {}).get("pointer")): str(each["detail"]) for each in errors}
    found = {int(place[1]): words for name, words in places.items() if (place := WHOSE.match(name))}
    if not found or max(found) >= len(members):
        raise BatchRefused("; ".join(places.values()) or "Klaviyo turned the import down without a word")
    return {members[place].key: words for place, words in found.items()}
