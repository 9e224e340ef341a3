"""Loops: a list is a yes-or-no property of contacts. Its mailing lists are subscriptions, and never touched.

Set-up: Settings > API > Generate key; LOOPS_API_KEY. Its rights cannot be narrowed.

    [sync.loops]
    list = "npsDetractors"     # a property's API name: camelCase, letters and digits
    send = { email = "email", firstName = "first_name", npsScore = "nps_score" }
    new = "refuse"             # or "unsubscribed", or "subscribed"

Contacts leave a mailing list by their own hand, and the API does not tell who left one from who never was on it: to add
someone could subscribe them again. So the list is a custom property of the type boolean, found by its name, or made;
campaigns and workflows reach it by a filter or a segment ("npsDetractors is true"). A name that is taken by a property
of another type is refused.

A contact goes by `email` or by `userId`: send one of them, since Loops given both writes one by the other. What else is
sent has to be a property of the account: firstName, lastName, source, userGroup or a custom one. Texts (up to 500
characters), numbers and booleans travel; NULL resets a property.

`new` says what becomes of someone who is no contact yet: refused, or made one, who gets no campaign ("unsubscribed") or
all of them ("subscribed", as Loops itself would have it; also where a contact who had opted out was deleted). By
`userId` nobody is made. A contact's own `subscribed` is never sent for whoever is one already, and cannot be. A removal
sets the property to false, nothing else. Workflows that listen for a property, or for new contacts, may start.

Calls: two for each member added or updated (to find the contact, to write it), as Loops makes whoever it is asked to
update; two to remove. There are 10 a second for all keys of a team together: some 18,000 members an hour. A contact
that is deleted between the two calls comes back subscribed. Who is on a list cannot be read back. How many calls at
once is not documented; neither is whether case tells addresses, or names of properties, apart.
https://loops.so/docs/api-reference (intro, find-contact, create-contact, update-contact, list-contact-properties,
create-contact-property), https://loops.so/docs/contacts/properties, …/contacts/mailing-lists, and for NULL
https://github.com/loops-so/loops-js (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from typing import Any, Literal

import httpx
from pydantic import SecretStr

from audiences import Category, Connector, DefinitionError, Form, Limits, Member, Proof, Receipt

NAME = re.compile(r"[a-z][A-Za-z0-9]*")
CONSENT = {"mailingLists", "optInStatus", "subscribed"}
MAY_REFUSE = {"expect": {400}}
MAY_BE_THERE = {"expect": {400, 409}}

STRANGER = 'no contact of this account; the option new = "unsubscribed" would make one who is sent no campaign'
NO_CONTACT = "no contact of this account has this userId"


class Loops(Connector):
    identified_by = frozenset({"email", "userId"})
    # Each member is two calls, three batches share the pace, and each has to end within AUDIENCES_GRACE.
    limits = Limits(batch=25, concurrency=3, per_second=10)
    category, proof = Category.EMAIL, Proof.SPECIFICATION

    class Settings(Connector.Settings):
        api_key: SecretStr

    class Options(Connector.Options):
        new: Literal["refuse", "unsubscribed", "subscribed"] = "refuse"

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        [self.by] = self.identity
        self.known: dict[str, str] = {}  # property -> type

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        if consent := sorted(CONSENT & set(send)):
            do = "take it out of send: what contacts get is theirs to say"
            raise DefinitionError(f"{consent[0]!r} is what a contact of Loops has subscribed to", do=do)
        found = super().identify(options, send)
        if len(found) > 1:
            do = "send the one that every contact has; by the other Loops would change whose it is"
            raise DefinitionError("a contact of Loops goes by email or by userId, and both are sent", do=do)
        if options.new != "refuse" and "email" not in found:
            do = 'send email in the place of userId, or write new = "refuse"'
            raise DefinitionError("a new contact of Loops needs an address, and none is sent", do=do)
        return found

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key = settings.api_key.get_secret_value().strip()
        return {"base_url": "https://app.loops.so/api", "headers": {"authorization": f"Bearer {key}"}}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """A 429 does not say when; calls are counted by the second."""
        return 1.0 if answer.status_code == httpx.codes.TOO_MANY_REQUESTS else None

    def check(self) -> None:
        self.http.get("/v1/api-key")

    def prepare(self, name: str) -> str:
        if not NAME.fullmatch(name) or name in CONSENT:
            do = 'name it as Loops names properties, and as none of a contact\'s own: list = "npsDetractors"'
            raise DefinitionError(f"{name!r} cannot be a list in Loops", do=do)
        self._look()
        if name not in self.known:
            wanted = {"name": name, "type": "boolean"}
            answer = self.http.post("/v1/contacts/properties", json=wanted, extensions=MAY_REFUSE)
            # Refused, it may be there: made by another run, or by this call's own first attempt, whose answer was lost.
            self._look()
            if name not in self.known:
                why = _why(answer) or "it says it did, and shows none"
                raise DefinitionError(f"Loops makes no property {name!r}: {why}", do="give the list another name")
        self._check(name, set())
        return name

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id, {name for member in members for name in member.fields} - self.identity.keys())
        reasons = {member.key: self._added(list_id, member) for member in members}
        return Receipt.of(members, {key: why for key, why in reasons.items() if why})

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id, set())
        reasons = {member.key: self._taken(list_id, member) for member in members}
        return Receipt.of(members, {key: why for key, why in reasons.items() if why})

    def _look(self) -> None:
        """Learn what properties there are to write; they come in one page."""
        found = self.http.get("/v1/contacts/properties").json()
        self.known = {each["key"]: each["type"] for each in found if each["key"] not in CONSENT}

    def _check(self, list_id: str, names: Set[str]) -> None:
        """Raise DefinitionError for a property that is not there: what Loops does otherwise is not documented."""
        if not names | {list_id} <= self.known.keys():
            self._look()
        if (kind := self.known.get(list_id)) != "boolean":
            what = f"{list_id!r} is a property of the type {kind}" if kind else f"Loops has no property {list_id!r}"
            do = "name another list; where the property was deleted, `audiences forget` this sync: it is made anew"
            raise DefinitionError(f"{what}, and a list is one of the type boolean", do=do)
        if list_id in names:
            do = "take it out of send, or name another list"
            raise DefinitionError(f"the property {list_id!r} says who is on the list, and is sent as a field", do=do)
        if unknown := sorted(names - self.known.keys()):
            do = f"add it in Loops, or send one of: {', '.join(sorted(self.known))}"
            raise DefinitionError(f"Loops has no property {unknown[0]!r}", do=do)

    def _added(self, list_id: str, member: Member) -> str:
        """Why a member is not on the list; empty where it is."""
        fields = {name: value for name, value in member.fields.items() if name not in self.identity}
        if unfit := [name for name, value in fields.items() if isinstance(value, list | Mapping)]:
            return f"{unfit[0]} holds a list or a struct, and a property of Loops takes text, a number or a boolean"
        found = self._found(member)
        if not found.is_success:
            return _why(found)
        body = {self.by: self.ident(member), **fields, list_id: True}
        if not found.json():
            if self.options.new == "refuse":
                return STRANGER if self.by == "email" else NO_CONTACT
            made = {**body, "subscribed": self.options.new == "subscribed"}
            answer = self.http.post("/v1/contacts/create", json=made, extensions=MAY_BE_THERE)
            if answer.status_code != httpx.codes.CONFLICT:
                return _why(answer)
            # Whoever is a contact by now may have opted out, or in, since: nothing is said of it.
        return _why(self.http.put("/v1/contacts/update", json=body, extensions=MAY_REFUSE))

    def _taken(self, list_id: str, member: Member) -> str:
        """Why a member is still on the list; empty where it is not. An update would make a contact of a stranger."""
        found = self._found(member)
        if not found.is_success:
            return _why(found)
        if not any(each.get(list_id) for each in found.json()):
            return ""
        body = {self.by: self.ident(member), list_id: False}
        return _why(self.http.put("/v1/contacts/update", json=body, extensions=MAY_REFUSE))

    def _found(self, member: Member) -> httpx.Response:
        """The answer with the contact that a member is, or with none."""
        return self.http.get("/v1/contacts/find", params={self.by: self.ident(member)}, extensions=MAY_REFUSE)


def _why(answer: httpx.Response) -> str:
    """Loops's own words where a call did not do what it was asked; empty where it did. A success that says neither is
    no verdict: KeyError.
    """
    said: object = None
    with suppress(ValueError):
        said = answer.json()
    told = said if isinstance(said, Mapping) else {}
    if answer.is_success and told["success"] is True:
        return ""
    return str(told.get("message") or "Loops gives no reason")
