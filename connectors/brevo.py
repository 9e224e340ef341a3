"""Brevo lists of contacts; a call for each member, at most 10 a second and 36,000 an hour. Blocklists are not touched.

Set-up: in Brevo, your name > SMTP & API > API Keys > Generate a new API key; BREVO_API_KEY is that key. What is sent
beside `email` goes by the name of an attribute, as under Contacts > Settings > Contact attributes:

    [sync.brevo]
    list = "Detractors"
    send = { email = "email", FIRSTNAME = "first_name", NPS = "nps_score" }
    new = "refuse"             # or "blocklisted", or "subscribed"

`new` says what becomes of someone who is no contact yet: refused, made a contact that is blocklisted for e-mail, or one
that campaigns may be sent to. Whoever is blocklisted stays so. `EMAIL` is never written: changing a contact's address
would subscribe it again. Removal takes a contact off the list, nothing else. A workflow that starts with the list may
write to those who are added. The list is found by its exact name, or made, in the oldest folder or in `folder_id`.

Brevo ignores a value that does not fit its attribute, and says nothing; so what cannot fit is refused here: texts and
numbers for text, numbers for number, booleans for boolean, days (2026-11-02) for date, lists of texts for multiple
choice. Attributes of other kinds (category, calculated, …) are not written. NULL leaves an attribute as it is: how to
empty one is not documented.
A day's or an hour's calls used up, Brevo says when it goes on; for more than 15 minutes the sync is deferred.
Not confirmed: what taking off the list answers for a contact that is not on it (refused, the contact is looked at).
https://developers.brevo.com/reference/update-contact, …/create-contact, …/get-contacts-from-list, …/create-list,
https://developers.brevo.com/docs/api-limits, …/limit-headers (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, Literal
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from audiences import Category, Connector, DefinitionError, DeliveryError, Limits, Member, Proof, Receipt

LISTS, CONTACTS = 50, 500  # a page
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
TAKES = {
    "text": "a text or a number",
    "float": "a number",
    "boolean": "a boolean",
    "date": "a day as 2026-11-02",
    "multiple-choice": "a list of texts",
}

STRANGER = 'no contact of Brevo\'s; the option new = "blocklisted" or "subscribed" would make one'


class Brevo(Connector):
    identified_by = frozenset({"email"})
    # Each member is a call, and a batch has to end within AUDIENCES_GRACE.
    limits = Limits(batch=100, concurrency=4, per_second=10, windows=((36_000, 3600),))
    category, proof = Category.EMAIL, Proof.SDK

    class Settings(Connector.Settings):
        api_key: SecretStr

    class Options(Connector.Options):
        new: Literal["refuse", "blocklisted", "subscribed"] = "refuse"
        folder_id: int | None = None

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        self.kinds: dict[str, str] = {}  # attribute -> type

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key = settings.api_key.get_secret_value().strip()
        return {"base_url": "https://api.brevo.com/v3", "headers": {"api-key": key, "accept": "application/json"}}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """Brevo tells the seconds in a header of its own."""
        reset = answer.headers.get("x-sib-ratelimit-reset", "")
        return float(reset) if answer.status_code == 429 and reset.isdecimal() else None

    def check(self) -> None:
        self.http.get("/contacts/lists", params={"limit": 1})

    def prepare(self, name: str) -> str:
        return self.found_or_made("Brevo list", name, self._named, self._make)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        self._define(members)
        found = {member.key: self._written(int(list_id), member) for member in members}
        return Receipt.of(members, {key: why for key, why in found.items() if why})

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        found = {member.key: self._taken_off(int(list_id), member) for member in members}
        return Receipt.of(members, {key: why for key, why in found.items() if why})

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        for each in self._all(f"/contacts/lists/{quote(list_id, safe='')}/contacts", "contacts", CONTACTS):
            yield {"email": each.get("email")}

    def _check(self, list_id: str) -> None:
        """Look once whether a list is there: what it refuses is the fault of no member."""
        if list_id in self.checked:
            return
        if not list_id.isdecimal() or not self._get(f"/contacts/lists/{list_id}").is_success:
            do = "check list_id and whose BREVO_API_KEY it is; a deleted list is made anew after `audiences forget`"
            raise DeliveryError(f"the Brevo list {list_id} is gone", do=do)
        self.checked.add(list_id)

    def _named(self, name: str) -> list[int]:
        """The ids of the lists with exactly this name, the oldest first."""
        return sorted(int(each["id"]) for each in self._all("/contacts/lists", "lists", LISTS) if each["name"] == name)

    def _make(self, name: str) -> object:
        wanted = {"name": name, "folderId": self._folder()}
        return self.http.post("/contacts/lists", json=wanted, extensions={"creates": True}).json()["id"]

    def _all(self, path: str, name: str, size: int) -> Iterator[Mapping[str, Any]]:
        """Everything in a collection, page by page; the oldest first, so that what is new moves nothing."""
        for offset in count(0, size):
            page = self.http.get(path, params={"limit": size, "offset": offset, "sort": "asc"}).json()
            yield from page.get(name, ())
            if offset + size >= page["count"]:
                return

    def _folder(self) -> int:
        """The folder for a new list."""
        if self.options.folder_id is not None:
            return int(self.options.folder_id)
        folders = self.http.get("/contacts/folders", params={"limit": 1, "offset": 0, "sort": "asc"}).json()
        if not folders.get("folders"):
            raise DefinitionError(
                "Brevo has no folder for a new list", do="make one: Contacts > Lists > Create a folder"
            )
        return int(folders["folders"][0]["id"])

    def _define(self, members: Sequence[Member]) -> None:
        """Learn the types of the attributes that are sent: Brevo ignores what it does not know."""
        names = {name for member in members for name in member.fields} - self.identified_by
        if names <= self.kinds.keys():
            return
        said = self.http.get("/contacts/attributes").json()["attributes"]
        normal = {each["name"]: each["type"] for each in said if each["category"] == "normal" and each.get("type")}
        self.kinds = {name: kind for name, kind in normal.items() if kind in TAKES and name != "EMAIL"}
        if unknown := sorted(names - self.kinds.keys()):
            do = f"add it in Brevo, or name one of: {', '.join(sorted(self.kinds))}"
            raise DefinitionError(f"{unknown[0]!r} is no attribute in Brevo that can be written", do=do)

    def _written(self, list_id: int, member: Member) -> str | None:
        """Put a contact on the list with its attributes; the reason where it is not."""
        try:
            told = {name: _value(name, self.kinds[name], value) for name, value in _sent(member)}
        except ValueError as error:
            return str(error)
        body = {"attributes": told, "listIds": [list_id]}
        answer = self._put(member, body)
        if answer.status_code != 404:
            return None if answer.is_success else _words(answer)
        if self.options.new == "refuse":
            return STRANGER
        new = {"email": self.ident(member), "emailBlacklisted": self.options.new == "blocklisted", **body}
        answer = self.http.post("/contacts", json=new, extensions={"expect": {400}})
        # Refused, it may be there: made by another run, or by this call's own first attempt, whose answer was lost.
        return None if answer.is_success or self._put(member, body).is_success else _words(answer)

    def _taken_off(self, list_id: int, member: Member) -> str | None:
        """Take a contact off the list; the reason where it still is on it. A stranger is on none."""
        answer = self._put(member, {"unlinkListIds": [list_id]})
        if answer.is_success or answer.status_code == 404:
            return None
        there = self._get(self._path(member))
        return _words(answer) if not there.is_success or list_id in there.json()["listIds"] else None

    def _path(self, member: Member) -> str:
        return f"/contacts/{quote(self.ident(member), safe='')}?identifierType=email_id"

    def _put(self, member: Member, body: Mapping[str, Any]) -> httpx.Response:
        return self.http.put(self._path(member), json=body, extensions={"expect": {400, 404}})

    def _get(self, path: str) -> httpx.Response:
        return self.http.get(path, extensions={"expect": {400, 404}})


def _sent(member: Member) -> Iterator[tuple[str, object]]:
    return ((name, value) for name, value in member.fields.items() if name != "email" and value is not None)


def _value(name: str, kind: str, value: object) -> object:
    """What an attribute of this type takes. Raises ValueError for what it does not: Brevo would ignore it."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        "text": number or isinstance(value, str),
        "float": number,
        "boolean": isinstance(value, bool),
        "date": isinstance(value, str) and bool(DAY.fullmatch(value)),
        "multiple-choice": isinstance(value, list) and all(isinstance(each, str) for each in value),
    }
    if not fits[kind]:
        raise ValueError(
            f"{name} holds a {type(value).__name__}, and an attribute of the type {kind} takes {TAKES[kind]}"
        )
    return str(value) if kind == "text" else value


def _words(answer: httpx.Response) -> str:
    """Brevo's own words on a refusal."""
    with suppress(ValueError, TypeError, KeyError):
        return str(answer.json()["message"])
    return "refused without a word"
