"""Resend: a list is a segment of contacts. `unsubscribed`, topics and broadcasts are never touched.

Set-up: RESEND_API_KEY (API Keys > Create API key, with the permission "Full access"; a key for sending is refused).

    [sync.resend]
    list = "Detractors"
    send = { email = "email", first_name = "first_name", nps_score = "nps_score" }   # a contact's field = column
    new = "refuse"             # or "unsubscribed", or "subscribed"

Beside `email`, a contact has first_name and last_name; any other name is the key of a custom property, which has to
exist: of the type string it takes texts and numbers, of the type number numbers alone. NULL empties a name, and
travels to a property as null.

`new` says what becomes of someone who is no contact yet: refused, made one that gets no broadcast, or one that gets
them. Resend's call that makes a contact also overwrites one that is there, opt-out and all: so it is made for those
alone whom Resend says twice that it does not know. Whoever is a contact is updated and listed without a word on
consent. Removal takes the contact out of the segment, nothing else. Listing may start automations.

A segment is found by its exact name, or made; one with a filter of Resend's is refused. Calls: one for each member
added, two with fields, and three more for each new one; one for each removed, 100 a call to read back. There are 5 a
second for all keys of a team, fewer where Resend's headers say so. CSV imports are not used: they count the rows that
failed, and name none.
Not documented: whether an address is found that was stored in another case, so that someone who is there may look new;
whether an update empties the properties that it does not name; how soon a change is seen, a few seconds as it seems.
https://resend.com/docs/api-reference (contacts, segments, contact-properties, pagination, rate-limit, errors), and
https://github.com/resend/resend-openapi (read 2026-11); that making a contact overwrites an opt-out, and listing one
does not, was measured in https://github.com/akhileshrangani4/teachanything/pull/392
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from typing import Any, Literal
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from audiences import Category, Connector, DefinitionError, Form, Limits, Member, Proof, Receipt

PAGE = 100  # of anything that is listed
OWN = frozenset({"first_name", "last_name"})
CONSENT = frozenset({"topics", "unsubscribed"})
GONE = {"expect": {404}}
MAY_FAIL = {"expect": {400, 404, 422}}

STRANGER = 'no contact of this team; the option new = "unsubscribed" would make one, which gets no broadcast'
NO_ADDRESS = "not an e-mail address"
KEPT = "Resend left this contact in the segment and gave no reason"


class Resend(Connector):
    identified_by = frozenset({"email"})
    # A member is up to five calls, two batches share the pace, and each has to end within AUDIENCES_GRACE.
    limits = Limits(batch=20, concurrency=2, per_second=5)
    category, proof = Category.EMAIL, Proof.SPECIFICATION

    class Settings(Connector.Settings):
        api_key: SecretStr

    class Options(Connector.Options):
        new: Literal["refuse", "unsubscribed", "subscribed"] = "refuse"

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        self.kinds: Mapping[str, str] = {}  # key of a property -> its type

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        if consent := sorted(CONSENT & set(send)):
            do = "take it out of send; a contact opts out by its own hand, or in Resend"
            raise DefinitionError(f"{consent[0]!r} is a contact's consent, and no list changes it", do=do)
        return super().identify(options, send)

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key = settings.api_key.get_secret_value().strip()
        return {"base_url": "https://api.resend.com", "headers": {"authorization": f"Bearer {key}"}}

    def check(self) -> None:
        self.http.get("/segments", params={"limit": 1})

    def prepare(self, name: str) -> str:
        return self.found_or_made("Resend segment", name, self._named, self._make)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        self._know({name for member in members for name in member.fields} - self.identified_by - OWN)
        reasons = {member.key: self._added(list_id, member) for member in members}
        return Receipt.of(members, {key: why for key, why in reasons.items() if why})

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        reasons = {member.key: self._taken(list_id, member) for member in members}
        return Receipt.of(members, {key: why for key, why in reasons.items() if why})

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        self._check(list_id)
        yield from ({"email": each["email"]} for each in self._all("/contacts", segment_id=list_id))

    def _named(self, name: str) -> list[str]:
        """The ids of the segments with exactly this name, the oldest first."""
        found = [each for each in self._all("/segments") if each["name"] == name]
        return [str(each["id"]) for each in sorted(found, key=lambda each: (each["created_at"], each["id"]))]

    def _make(self, name: str) -> object:
        return self.http.post("/segments", json={"name": name}, extensions={"creates": True}).json()["id"]

    def _check(self, list_id: str) -> None:
        """Look once whether a segment is there and may be changed: later, a 404 may as well be about a contact."""
        if list_id in self.checked:
            return
        answer = self.http.get(f"/segments/{quote(list_id, safe='')}", extensions=GONE)
        if not answer.is_success:
            do = "check whose RESEND_API_KEY it is; a deleted segment is made anew after `audiences forget`"
            raise DefinitionError(f"{list_id!r} is the id of no segment in Resend", do=do)
        if answer.json().get("filter"):
            do = "name another segment; Resend fills this one by itself"
            raise DefinitionError(f"the segment {list_id} has a filter", do=do)
        self.checked.add(list_id)

    def _know(self, names: Set[str]) -> None:
        """Learn once of which types these properties are. Raises DefinitionError for one that there is not."""
        if names <= self.kinds.keys():
            return
        self.kinds = {str(each["key"]): str(each["type"]) for each in self._all("/contact-properties")}
        if unknown := sorted(names - self.kinds.keys()):
            do = f"add it in Resend (Audience > Properties), or send one of: {', '.join(sorted(OWN | {*self.kinds}))}"
            raise DefinitionError(f"{unknown[0]!r} is the key of no property of a contact", do=do)

    def _added(self, list_id: str, member: Member) -> str:
        """Why a member is not on the list; empty where it is."""
        if "@" not in self.ident(member):
            return NO_ADDRESS  # an id would be found, and somebody else listed
        try:
            body = self._body(member)
        except ValueError as error:
            return str(error)
        contact = self._contact(member)
        listing = ("POST", f"{contact}/segments/{quote(list_id, safe='')}", None)
        answer = self._last(*([("PATCH", contact, body)] if body else []), listing)
        # That it is the contact which is not there, and not the segment, is asked again: to make one that is there
        # would overwrite its opt-out.
        if answer.status_code == 404 and self.http.get(contact, extensions=GONE).status_code == 404:
            if self.options.new == "refuse":
                return STRANGER
            made = {"email": self.ident(member), "unsubscribed": self.options.new == "unsubscribed", **body}
            answer = self._last(("POST", "/contacts", made), listing)
        return "" if answer.is_success else _words(answer)

    def _taken(self, list_id: str, member: Member) -> str:
        """Why a member is still on the list; empty where it is not."""
        if "@" not in self.ident(member):
            return ""
        place = f"{self._contact(member)}/segments"
        answer = self.http.delete(f"{place}/{quote(list_id, safe='')}", extensions=GONE)
        if answer.status_code == 404 or answer.json().get("deleted"):
            return ""
        return KEPT if list_id in (each["id"] for each in self._all(place)) else ""

    def _contact(self, member: Member) -> str:
        return f"/contacts/{quote(self.ident(member), safe='')}"

    def _last(self, *calls: tuple[str, str, Mapping[str, object] | None]) -> httpx.Response:
        """The answer to the last of these calls, or to the first that is no success."""
        for method, path, body in calls:
            answer = self.http.request(method, path, json=body, extensions=MAY_FAIL)
            if not answer.is_success:
                break
        return answer

    def _body(self, member: Member) -> dict[str, object]:
        """What is written of a contact. Raises ValueError for a value that no field takes; it names no value."""
        told = {name: value for name, value in member.fields.items() if name != "email"}
        own: dict[str, object] = {name: _text(name, told[name]) or "" for name in told.keys() & OWN}
        more = {name: self._value(name, told[name]) for name in told.keys() - OWN}
        return {**own, "properties": more} if more else own

    def _value(self, name: str, value: object) -> object:
        if self.kinds[name] != "number" or value is None:
            return _text(name, value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} holds a {type(value).__name__}, and is a property of the type number")
        return value

    def _all(self, path: str, **query: str) -> Iterator[Mapping[str, Any]]:
        """Everything that a call lists, page by page; to the first empty one where it does not say if there is more."""
        asked: Mapping[str, str | int] = {**query, "limit": PAGE}
        more = True
        while more:
            said = self.http.get(path, params=asked).json()
            yield from said["data"]
            more = bool(said["data"]) and said.get("has_more", True)
            asked = {**asked, "after": said["data"][-1]["id"]} if more else {}


def _text(name: str, value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise ValueError(f"{name} holds a {type(value).__name__}, and a contact of Resend has texts and numbers")
    return None if value is None else str(value)


def _words(answer: httpx.Response) -> str:
    """Resend's own words on one member."""
    with suppress(ValueError, TypeError, KeyError):
        return str(answer.json()["message"])
    return "refused without a word"
