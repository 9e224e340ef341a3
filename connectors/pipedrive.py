"""Pipedrive: a list is a field of persons, set to `yes`; one person a call, 5 or 25 tokens each.

Set-up: PIPEDRIVE_API_TOKEN (Account name > Company settings > Personal preferences > API), best of an administrator:
whom its user does not see is nobody here, and only who may edit fields makes one.

    [sync.pipedrive]
    list = "Detractors"
    send = { email = "email", "NPS score" = "nps_score" }   # a field's name, or its code = column
    identify = "email"           # or "id", Pipedrive's own number of a person

The list is a custom field of the type "single option" that has the option `yes`, found by its exact name, or made; so
two syncs never write the same field, as they would with labels. Names need not be unique in Pipedrive: two runs at once
may make two fields, and then the sync stops and names both. Fields to send must exist: custom ones of the types text,
large text, autocomplete, phone, numerical, date, single option and multiple options (a list of their names), and
`name`, `org_id`, `owner_id`. NULL empties a custom field, and leaves these three as they are.

Who is no person yet is refused: Pipedrive keeps no two persons with one address apart, and no call makes one only where
there is none. Of several with one address each is marked. Addresses and `marketing_status` are never written: being on
a list is not consent. Removal empties the list's own field, nothing else.

Tokens are counted a day and company: 30,000 for each seat on the smallest plan. By `email` a member costs 25, added,
updated or removed (a search 20, the change 5); by `id` 5. Reading back costs 10 for each 500 persons of the account.
Used up, the sync is deferred; so it is where Pipedrive's gatekeeper blocks the worker (a 403 in HTML). How a spent day
is told from a full window is not documented: where no header says which it is, a few tries are made, and no more.
Calls are kept to 10 in 2 s, as searches are limited; the other calls may be twice as fast on every plan. How many at
once is not documented.
https://developers.pipedrive.com/docs/api/v1 (Persons, PersonFields: version 2), and
https://pipedrive.readme.io/docs/core-api-concepts-rate-limiting (read 2026-11)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from typing import Annotated, Any, Literal

import httpx
import orjson
from pydantic import Field, SecretStr

from audiences import Category, Connector, DefinitionError, DeliveryError, Form, Limits, Member, Proof, Receipt

YES = "yes"  # the option that says who is on the list
PAGE = 500
OWN = {"name": "varchar", "org_id": "int", "owner_id": "int"}  # of a person's own fields, those that may be sent
TEXTS = frozenset({"varchar", "varchar_auto", "text", "phone", "date"})
NUMBERS = frozenset({"double", "int"})
OPTIONS = frozenset({"enum", "set"})
SPENT = ("x-daily-ratelimit-token-remaining", "x-daily-requests-left")  # of a 429: what is left of the day
WINDOW = 2.0  # seconds, rolling

NOBODY = "no person with this {}; make one in Pipedrive, or look whether the token's user may see it"
LEFT = "Pipedrive left the list's field as it was"


class Pipedrive(Connector):
    limits = Limits(batch=25, concurrency=2, per_second=5)
    category, proof = Category.CRM, Proof.SPECIFICATION

    class Settings(Connector.Settings):
        api_token: SecretStr

    class Options(Connector.Options):
        identify: Annotated[Literal["email", "id"], Field(description="what a person is known by")] = "email"

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        self.by = self.options.identify
        self.fields: dict[str, Mapping[str, Any]] = {}  # as the sync names them, of those that are sent

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        if options.identify not in send:
            what = f"a person is known to Pipedrive by {options.identify}, which is not sent"
            raise DefinitionError(what, do=f'send it: send = {{ {options.identify} = "<column>" }}')
        return cls.formed([options.identify])

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        token = settings.api_token.get_secret_value().strip()
        return {"base_url": "https://api.pipedrive.com/api/v2", "headers": {"x-api-token": token}}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """A 403 that is no JSON blocks whoever went on after a 429. A day's tokens are back at midnight."""
        if answer.status_code == 403 and not _said(answer):
            return math.inf
        if answer.status_code != 429:
            return None
        if "0" in [answer.headers.get(name) for name in SPENT]:
            return math.inf
        return WINDOW if answer.headers.get("x-ratelimit-remaining") == "0" else None

    def check(self) -> None:
        self.http.get("/personFields", params={"limit": 1})

    def prepare(self, name: str) -> str:
        if found := self._named(name):
            return found
        body = {"field_name": name, "field_type": "enum", "options": [{"label": YES}]}
        answer = self.http.post("/personFields", json=body, extensions={"expect": {400, 409}, "creates": True})
        if found := self._named(name):  # also where another run made it
            return found
        do = "make it in Pipedrive: a person field of the type single option, with the option yes"
        raise DefinitionError(f"Pipedrive makes no field {name!r}: {_words(answer)}", do=do)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        code, option = _mark(list_id)
        self._know({name for member in members for name in member.fields} - {self.by}, code)
        refused: dict[str, str] = {}
        for member in members:
            try:
                body = self._body(member, {code: option})
            except ValueError as error:
                refused[member.key] = str(error)
                continue
            found = [self._patched(person, body, code) for person in self._found(member)]
            if reasons := [why for why in found if why] if found else [NOBODY.format(self.by)]:
                refused[member.key] = reasons[0]
        return Receipt.of(members, refused)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        code, _ = _mark(list_id)
        refused: dict[str, str] = {}
        for member in members:
            for person in self._found(member):
                why = self._patched(person, {"custom_fields": {code: None}}, code)
                if why and why != NOBODY.format(self.by):
                    refused[member.key] = why
        return Receipt.of(members, refused)

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        code, option = _mark(list_id)
        for each in self._all("/persons", custom_fields=code):
            if (each.get("custom_fields") or {}).get(code) == option:
                mails = [mail["value"] for mail in each.get("emails") or ()]
                yield from ({self.by: value} for value in (mails if self.by == "email" else [str(each["id"])]))

    def _named(self, name: str) -> str | None:
        """The id of the list with this name: its field and the option `yes` in it."""
        found = [each for each in self._all("/personFields") if each["field_name"] == name]
        options = [
            f"{each['field_code']}/{option['id']}"
            for each in found
            if each["field_type"] == "enum" and each["is_custom_field"]
            for option in each.get("options") or ()
            if option["label"] == YES
        ]
        if len(found) == len(options) < 2:
            return options[0] if options else None
        kinds = ", ".join(f"{each['field_code']} ({each['field_type']})" for each in found)
        do = "name another list, or rename or delete in Pipedrive what is not to hold it"
        what = f"{name!r} is not the name of one single-option field with the option {YES}, but of: {kinds}"
        raise DefinitionError(what, do=do)

    def _know(self, names: Set[str], code: str) -> None:
        """Learn once what fields these are. Raises DefinitionError for one that cannot be written."""
        if names <= self.fields.keys():
            return
        here = [each for each in self._all("/personFields") if each["is_custom_field"] and each["field_code"] != code]
        for name in sorted(names):
            found = [each for each in here if name in (each["field_code"], each["field_name"])]
            kinds = [OWN[name]] if name in OWN else [each["field_type"] for each in found]
            if len(kinds) != 1 or kinds[0] not in TEXTS | NUMBERS | OPTIONS:
                what = f"{len(kinds)} custom fields of that name" if len(kinds) != 1 else f"of the type {kinds[0]}"
                do = (
                    f"send one of: {', '.join([*OWN, *(each['field_name'] for each in here)])}; of two, one by its code"
                )
                raise DefinitionError(f"{name!r} cannot be sent to Pipedrive: {what}", do=do)
            self.fields[name] = {"field_type": kinds[0]} if name in OWN else found[0]

    def _body(self, member: Member, custom: dict[str, object]) -> dict[str, object]:
        """What a person is changed to. Raises ValueError for a value that its field cannot hold."""
        own: dict[str, object] = {}
        for name in member.fields.keys() & self.fields.keys():
            value = _value(name, self.fields[name], member.fields[name])
            if name not in OWN:
                custom[self.fields[name]["field_code"]] = value
            elif value is not None:
                own[name] = value
        return {**own, "custom_fields": custom}

    def _found(self, member: Member) -> Sequence[str]:
        """The ids of the persons that a member is; more than one where several have the address."""
        ident = self.ident(member)
        if self.by == "id":
            return [ident] if ident.isascii() and ident.isdigit() else []
        query: dict[str, Any] = {"term": ident, "fields": "email", "exact_match": True, "limit": PAGE}
        items = self.http.get("/persons/search", params=query).json()["data"]["items"]
        found = [each["item"] for each in items]
        return [str(each["id"]) for each in found if ident in map(Form.CASELESS.of, each["emails"])]

    def _patched(self, person: str, body: Mapping[str, Any], code: str) -> str | None:
        """Change one person; the reason where it was refused, or where the list's field does not show it."""
        answer = self.http.patch(f"/persons/{person}", json=body, extensions={"expect": {400, 404}})
        if answer.status_code == 404:
            return NOBODY.format(self.by)
        said = _said(answer)
        if not (answer.is_success and said["success"]):
            return _words(answer)
        shown = (said["data"].get("custom_fields") or {}).get(code)
        return None if shown == body["custom_fields"][code] else LEFT

    def _all(self, path: str, **query: str) -> Iterator[Mapping[str, Any]]:
        """Everything that a call lists, page by page."""
        page: dict[str, Any] = {**query, "limit": PAGE}
        while page:
            said = self.http.get(path, params=page).json()
            yield from said["data"] or ()
            after = (said.get("additional_data") or {}).get("next_cursor")
            page = {**page, "cursor": after} if after else {}


def _mark(list_id: str) -> tuple[str, int]:
    """The field of a list and its option, as a list's id tells them."""
    if found := re.fullmatch(r"(\w+)/([0-9]+)", list_id, re.ASCII):
        return found[1], int(found[2])
    do = 'write `list`, the name of a field, or list_id = "FIELD_CODE/OPTION_ID"'
    raise DeliveryError(f"{list_id!r} is not the id of a list in Pipedrive", do=do)


def _value(name: str, field: Mapping[str, Any], value: object) -> object:
    """What a field is set to. Raises ValueError, which names no value."""
    kind, plain = field["field_type"], isinstance(value, str | int | float) and not isinstance(value, bool)
    if value is None or (kind in TEXTS and plain):
        return None if value is None else str(value)
    if kind in NUMBERS and plain and not isinstance(value, str):
        return value
    if kind in OPTIONS and (plain or (kind == "set" and isinstance(value, list))):
        ids = {each["label"]: each["id"] for each in field.get("options") or ()}
        chosen = [ids.get(str(each)) for each in (value if isinstance(value, list) else [value])]
        if None not in chosen:
            return (chosen or None) if kind == "set" else chosen[0]  # an empty list is an error in Pipedrive
        raise ValueError(f"{name} has no such option; it has {', '.join(ids)}")
    raise ValueError(f"{name} holds a {type(value).__name__}, and a field of the type {kind} takes none")


def _said(answer: httpx.Response) -> Mapping[str, Any]:
    """The JSON object of an answer; an empty one where it has none."""
    with suppress(TypeError, ValueError):
        return dict(orjson.loads(answer.content))
    return {}


def _words(answer: httpx.Response) -> str:
    return str(_said(answer).get("error") or "Pipedrive gives no reason")
