"""Intercom: a list is a tag on contacts, by which messages, banners, tours and Series are aimed.

Set-up: Settings > Integrations > Developer Hub, a private app, Configure > Authentication: INTERCOM_ACCESS_TOKEN, with
the permissions to read and write users and tags and to read data attributes; INTERCOM_REGION (us, eu or au).

    [sync.intercom]
    list = "Detractors"
    send = { external_id = "user_id", name = "full_name", nps_score = "nps_score" }
    new = "refuse"             # or "unsubscribed", or "subscribed"; only with external_id

A contact goes by `external_id` (your app's own id, Intercom's User ID), or by `email` where no external_id is sent:
then each contact with that address is meant. Beside avatar, email, name, owner_id, phone, signed_up_at and
last_seen_at, any other name is a contact's custom attribute, and has to exist: Settings > Data > People. Numbers become
text where an attribute is text; dates become seconds since 1970, and want a zone where they have a time; a list or a
struct is refused. NULL empties, or with `null = "keep"` leaves what is there.

`new` says what becomes of someone who is no contact yet: refused, or made a user, who gets no e-mail ("unsubscribed")
or is as Intercom itself would have it ("subscribed"). By `email` nobody is made: Intercom's search shows a new contact
only after minutes, and until then a removal would not find whom this sync has made. Where Intercom answers that a
contact is there already, that one is taken if it has this external_id; an archived one is left as it is, and refused.
Consent (`unsubscribed_from_emails`) is never written for a contact who is there. A removal takes the tag away, nothing
else; whose identifier was changed in Intercom since is not found, and stays tagged.

A tag is made where there is none of its name, and Intercom tells no case apart in names. Two calls for each member
added or removed (to find the contact, to tag it), three with fields; Intercom lets an app make 10,000 a minute. Reading
back searches by the tag, and lags as all searches do. What NULL does to a lead, and to Intercom's own fields, is not
documented; nor whether case tells addresses apart in a search: they are compared without it.
https://developers.intercom.com/docs/references/2.14/rest-api/api.intercom.io (contacts, tags, data-attributes),
https://developers.intercom.com/docs/references/rest-api/errors/rate-limiting (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from audiences import Category, Connector, DefinitionError, Form, Limits, Member, Null, Proof, Receipt

HOSTS = {"us": "api.intercom.io", "eu": "api.eu.intercom.io", "au": "api.au.intercom.io"}
PAGE = 150  # contacts of a search
DATES = frozenset({"last_seen_at", "signed_up_at"})
OWN = frozenset({"avatar", "email", "name", "owner_id", "phone"}) | DATES
CONSENT = "unsubscribed_from_emails"
THERE = re.compile(r"A contact matching those details already exists with id=(\w+)")  # in a 409; not of an archived one
GONE = {"expect": {404}}
MAY_REFUSE = {"expect": {400, 404, 409, 422}}

STRANGER = {
    "email": "Intercom's search shows no contact with this address; a new one it shows after some minutes",
    "external_id": 'no contact of this workspace; the option new = "unsubscribed" would make one who gets no e-mail',
}


class Intercom(Connector):
    identified_by = frozenset({"email", "external_id"})
    # Each member is three calls, one after the other, and each batch has to end within AUDIENCES_GRACE.
    limits = Limits(batch=25, concurrency=60, per_second=166)
    category, proof = Category.IN_APP, Proof.SDK

    class Settings(Connector.Settings):
        access_token: SecretStr
        region: Literal["us", "eu", "au"]

    class Options(Connector.Options):
        new: Literal["refuse", "unsubscribed", "subscribed"] = "refuse"
        null: Null = "clear"

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        [self.by] = self.identity
        self.kinds: dict[str, str] = {}  # custom attribute -> type

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        if CONSENT in send:
            do = "take it out of send: a contact changes it by their own hand"
            raise DefinitionError(f"{CONSENT!r} is what a contact of Intercom has opted out of, or into", do=do)
        by = "external_id" if "external_id" in super().identify(options, send) else "email"
        if by == "email" and options.new != "refuse":
            what = "Intercom's search lags minutes: someone made by email alone could not be removed in that time"
            raise DefinitionError(what, do='send external_id, which is found at once; or write new = "refuse"')
        return cls.formed([by])

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        token = settings.access_token.get_secret_value().strip()
        headers = {"authorization": f"Bearer {token}", "intercom-version": "2.14"}
        return {"base_url": f"https://{HOSTS[settings.region]}", "headers": headers}

    def check(self) -> None:
        self.http.get("/me")

    def prepare(self, name: str) -> str:
        """One call that finds the tag or makes it: the same name sent again is the same tag, says Intercom."""
        return str(self.http.post("/tags", json={"name": name}).json()["id"])

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        self._know({name for member in members for name in member.fields} - OWN - {self.by})
        reasons = {member.key: self._added(list_id, member) for member in members}
        return Receipt.of(members, {key: why for key, why in reasons.items() if why})

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        for member in members:
            for contact in self._found(member):
                self.http.delete(f"/contacts/{contact}/tags/{list_id}", extensions=GONE)
        return Receipt.of(members)

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        self._check(list_id)
        for each in self._search("tag_id", list_id):
            if each[self.by]:
                yield {self.by: each[self.by]}

    def _check(self, list_id: str) -> None:
        """Look once whether the tag is there: a call about one that is not blames the contact as well as the tag."""
        if list_id in self.checked:
            return
        if not self.http.get(f"/tags/{quote(list_id, safe='')}", extensions=GONE).is_success:
            do = "check whose INTERCOM_ACCESS_TOKEN it is; a deleted tag is made anew after `audiences forget`"
            raise DefinitionError(f"Intercom has no tag with the id {list_id!r}", do=do)
        self.checked.add(list_id)

    def _know(self, names: Set[str]) -> None:
        """Learn of what types these custom attributes are. Raises DefinitionError for one that cannot be written."""
        if names <= self.kinds.keys():
            return
        found = self.http.get("/data_attributes", params={"model": "contact"}).json()["data"]
        self.kinds = {each["name"]: each["data_type"] for each in found if each["custom"] and each["api_writable"]}
        if unknown := sorted(names - self.kinds.keys()):
            do = f"add it in Settings > Data > People, or send one of: {', '.join(sorted(OWN | self.kinds.keys()))}"
            raise DefinitionError(f"{unknown[0]!r} is no attribute of Intercom's contacts that can be written", do=do)

    def _added(self, list_id: str, member: Member) -> str:
        """Why a member is not on the list; empty where it is. Fields come first: who is refused is not tagged."""
        try:
            body = self._body(member)
        except ValueError as error:
            return str(error)
        known = self._found(member)
        if not known and self.options.new != "refuse":
            answer = self._made(member, body)
            if answer.is_success:
                return self._tagged(list_id, [answer.json()["id"]])
            known = self._clashing(answer, member)
            if not known:
                return _words(answer)
        if not known:
            return STRANGER[self.by]
        for contact in known if body else ():
            answer = self.http.put(f"/contacts/{contact}", json=body, extensions=MAY_REFUSE)
            if not answer.is_success:
                return _words(answer)
        return self._tagged(list_id, known)

    def _made(self, member: Member, body: Mapping[str, object]) -> httpx.Response:
        told = {"role": "user", self.by: self.ident(member), **body}
        told |= {CONSENT: True} if self.options.new == "unsubscribed" else {}
        return self.http.post("/contacts", json=told, extensions=MAY_REFUSE)

    def _clashing(self, answer: httpx.Response, member: Member) -> list[str]:
        """The contact that is there already, as a refusal to make one names it; none where it is someone else."""
        if answer.status_code != httpx.codes.CONFLICT or not (there := THERE.match(_words(answer))):
            return []
        said = self.http.get(f"/contacts/{there[1]}", extensions=GONE)
        return [there[1]] if said.is_success and said.json()[self.by] == self.ident(member) else []

    def _tagged(self, list_id: str, contacts: Sequence[str]) -> str:
        """Why none of these has the tag; empty where any has: another may be deleted by now."""
        paths = [f"/contacts/{contact}/tags" for contact in contacts]
        answers = [self.http.post(path, json={"id": list_id}, extensions=MAY_REFUSE) for path in paths]
        return "" if any(each.is_success for each in answers) else _words(answers[0])

    def _found(self, member: Member) -> list[str]:
        """The ids of the contacts that a member is."""
        ident = self.ident(member)
        if self.by == "email":
            same = self.identity["email"].of
            return [str(each["id"]) for each in self._search("email", ident) if same(each["email"]) == ident]
        answer = self.http.get(f"/contacts/find_by_external_id/{quote(ident, safe='')}", extensions=GONE)
        return [str(answer.json()["id"])] if answer.is_success else []

    def _search(self, field: str, value: str) -> Iterator[Mapping[str, Any]]:
        """All contacts of which this holds, page by page."""
        page: Mapping[str, Any] | None = {"per_page": PAGE}
        while page:
            asked = {"query": {"field": field, "operator": "=", "value": value}, "pagination": page}
            said = self.http.post("/contacts/search", json=asked, extensions={"reads": True}).json()
            yield from said["data"]
            after = (said.get("pages") or {}).get("next")
            page = {"per_page": PAGE, "starting_after": after["starting_after"]} if after else None

    def _body(self, member: Member) -> dict[str, object]:
        """What is written of a contact, without who it is. Raises ValueError for a value that no attribute takes."""
        values = {name: value for name, value in member.fields.items() if name != self.by}
        if self.options.null == "keep":
            values = {name: value for name, value in values.items() if value is not None}
        kinds = self.kinds | dict.fromkeys(OWN, "") | dict.fromkeys(DATES, "date")
        told = {name: _value(name, kinds[name], value) for name, value in values.items()}
        own = {name: value for name, value in told.items() if name in OWN}
        custom = {name: value for name, value in told.items() if name not in OWN}
        return {**own, **({"custom_attributes": custom} if custom else {})}


def _value(name: str, kind: str, value: object) -> object:
    """A value as an attribute of this type takes it. Raises ValueError where none does."""
    if isinstance(value, list | Mapping):
        raise ValueError(f"{name} holds a list or a struct, and Intercom takes text, a number or a boolean")
    if kind == "date" and isinstance(value, str):
        return _seconds(name, value)
    return str(value) if kind == "string" and type(value) in (int, float) else value


def _seconds(name: str, text: str) -> int:
    """A date, or a moment with its zone, in seconds since 1970. Raises ValueError for any other text."""
    moment: datetime | None = None
    with suppress(ValueError):
        moment = datetime.fromisoformat(f"{text}T00Z" if len(text) == len("2026-11-01") else text)
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{name} is a date in Intercom, and takes a date, or a time with its zone")
    return int(moment.timestamp())


def _words(answer: httpx.Response) -> str:
    """Intercom's own words on one member."""
    with suppress(ValueError, TypeError, KeyError):
        return "; ".join(str(each["message"]) for each in answer.json()["errors"])
    return "Intercom gives no reason"
