"""Attio lists of people, companies or other records; two calls a member, at most 25 a second.

Set-up: in Attio, Workspace settings > Developers > Create a new integration; its key is ATTIO_API_KEY, with these
scopes: Records and List entries, each read-write; List configuration, read-write; Object configuration, read.

    [sync.attio]
    list = "NPS detractors"
    send = { email_addresses = "email", name = "full_name", nps_score = "nps_score" }   # an attribute's slug = column

People go by `email_addresses`, companies (`object = "companies"`) by `domains`; whoever is not in Attio yet is created.
`identify = "customer_no"` takes another attribute, which is sent too and has to be unique; other objects (`object` is
the slug) always want one. Attributes must exist: Workspace settings > Objects shows their slugs.
The list is found by its exact name, or made, open to the whole workspace. Its slug is made of its name, so that two
runs at once do not make two lists; what Attio answers to a slug that is taken is not documented: the list is looked for
again. One record is one member, whatever addresses it has: leaving by one of them, it is off the list.

An update sets just what is sent. The attribute that identifies keeps its other addresses or domains; any other with
several values is set to those sent. NULL empties an attribute; that an empty list does so for one with a single value
is not documented, so the answer is read, and who kept the value is refused. Removing deletes every entry that the
record has on this list, with what the list holds of it, such as a status; the record stays as it is.

Calls: two to add or update (the record, its entry), three to remove (to find it, its entries, to delete one). Attio
allows 25 writes and 100 reads a second; all calls are kept to 25. How many at once is not documented.
https://docs.attio.com/rest-api/endpoint-reference (records, lists, entries, attributes),
https://docs.attio.com/rest-api/guides/rate-limiting, …/filtering-and-sorting (read 2026-11)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from itertools import count
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

import httpx
import orjson
from pydantic import Field, SecretStr

from audiences import Category, Connector, DefinitionError, DeliveryError, Form, Limits, Member, Proof, Receipt

KNOWN_BY = {"people": "email_addresses", "companies": "domains"}
PAGE = 500  # of anything that is listed
READ = 100  # records by their ids in one query, which Attio scores by its filter
SCOPES = (
    "record_permission:read-write",
    "list_entry:read-write",
    "list_configuration:read-write",
    "object_configuration:read",
)
MAY_LACK, MAY_REFUSE = {"expect": {404}}, {"expect": {400, 404}}
VALUES = {"domain": "domain", "email-address": "email_address", "text": "value"}  # type -> where a record shows it
TEXTS = frozenset({"select", "status", "text"})  # types whose values are written as text


class Attio(Connector):
    forms: ClassVar[Mapping[str, Form]] = {"email_addresses": Form.CASELESS, "domains": Form.CASELESS}
    limits = Limits(batch=25, concurrency=8, per_second=25)
    category, proof = Category.CRM, Proof.SPECIFICATION

    class Settings(Connector.Settings):
        api_key: SecretStr

    class Options(Connector.Options):
        object: Annotated[str, Field(pattern=r"^[\w-]+$")] = "people"
        identify: str = ""

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        self.records = f"/v2/objects/{self.options.object}/records"
        [self.by] = self.identity
        self.lists: dict[str, str] = {}  # a list as the sync names it -> its id
        self.kinds: dict[str, str] = {}  # attribute -> type, of those that are sent

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        name = options.identify or KNOWN_BY.get(options.object, "")
        if name and name in send:
            return cls.formed([name])
        how = f"is known to Attio by {name}, which is not sent" if name else "has no attribute that Attio knows it by"
        do = f'{"send it, or " if name else ""}write identify = "…": a unique attribute, which is sent too'
        raise DefinitionError(f"a record of {options.object} {how}", do=do)

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key = settings.api_key.get_secret_value().strip()
        return {"base_url": "https://api.attio.com", "headers": {"authorization": f"Bearer {key}"}}

    def check(self) -> None:
        said = self.http.get("/v2/self").json()
        if not said["active"]:
            do = "look at ATTIO_API_KEY, or make a new key"
            raise DeliveryError("Attio says that this key is not active any more", do=do)
        had = said["scope"].split()
        if lacking := [each for each in SCOPES if each not in had and f"{each}-write" not in had]:
            do = "give it to the integration: Workspace settings > Developers"
            raise DeliveryError(f"the key lacks the scope {lacking[0]}", do=do)

    def prepare(self, name: str) -> str:
        if found := self._named(name):
            return self._checked(found)
        access = {"workspace_access": "full-access", "workspace_member_access": []}
        data = {"name": name, "api_slug": _slug(name), "parent_object": self.options.object, **access}
        answer = self.http.post("/v2/lists", json={"data": data}, extensions={"expect": {400, 404, 409}})
        # Refused, it may be there: made by another run, or by this call's own first attempt, whose answer was lost.
        if found := answer.json()["data"]["id"]["list_id"] if answer.is_success else self._named(name):
            return self._checked(found)
        do = "give the list another name, or make it in Attio, and look whether `object` is the slug of an object there"
        raise DefinitionError(f"Attio makes no list {name!r}: {_words(answer)}", do=do)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        place = self._checked(list_id)
        self._know({name for member in members for name in member.fields})
        found = {member.key: self._present(place, member) for member in members}
        return Receipt.of(members, {key: why for key, why in found.items() if why})

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        place = self._checked(list_id)
        for member in members:
            for record in self._all("POST", f"{self.records}/query", filter={self.by: self.ident(member)}):
                entries = [*self._all("GET", f"{self.records}/{record['id']['record_id']}/entries")]
                for each in entries:
                    if each["list_id"] == place:
                        self.http.delete(f"/v2/lists/{place}/entries/{each['entry_id']}", extensions=MAY_LACK)
        return Receipt.of(members)  # whom Attio does not know is on no list

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        ids: list[str] = []
        for entry in self._all("POST", f"/v2/lists/{self._checked(list_id)}/entries/query"):
            ids.append(entry["parent_record_id"])
            if len(ids) == READ:
                yield from self._read(ids)
                ids = []
        yield from self._read(ids)

    def _named(self, name: str) -> str | None:
        """The id of the list with this name."""
        lists = self.http.get("/v2/lists").json()["data"]
        ids = [str(each["id"]["list_id"]) for each in lists if each["name"] == name]
        if len(ids) > 1:
            do = "rename the others in Attio, or write one of these as list_id"
            raise DefinitionError(f"{name!r} is the name of {len(ids)} lists in Attio: {', '.join(ids)}", do=do)
        return ids[0] if ids else None

    def _checked(self, list_id: str) -> str:
        """A list's id, looked at once: what it refuses is the fault of no member. `list_id` may be its slug."""
        if list_id not in self.lists:
            answer = self.http.get(f"/v2/lists/{quote(list_id, safe='')}", extensions=MAY_LACK)
            if not answer.is_success:
                raise _gone(list_id)
            found = answer.json()["data"]
            if found["parent_object"] != [self.options.object]:
                what = f"the Attio list {found['name']!r} holds {' and '.join(found['parent_object'])}"
                do = f"name another list, or write as `object` what it holds; this sync sends {self.options.object}"
                raise DeliveryError(what, do=do)
            self.lists[list_id] = str(found["id"]["list_id"])
        return self.lists[list_id]

    def _know(self, names: Set[str]) -> None:
        """Learn once of what types these attributes are. Raises DefinitionError for what cannot be written."""
        if names <= self.kinds.keys():
            return
        path = f"/v2/objects/{self.options.object}/attributes"
        here = {each["api_slug"]: each for each in self._all("GET", path) if not each["is_archived"]}
        writable = [name for name, each in here.items() if each["is_writable"]]
        if unknown := sorted(names - {*writable}):
            do = f"make it in Attio, or send one of: {', '.join(writable)}"
            raise DefinitionError(f"{unknown[0]!r} is no attribute of {self.options.object} that can be set", do=do)
        unique = [name for name in writable if here[name]["is_unique"] and here[name]["type"] in VALUES]
        if self.by not in unique:
            do = f'write identify = "…", one of: {", ".join(unique)}'
            raise DefinitionError(f"{self.by!r} is no unique text in Attio, and so identifies no record", do=do)
        self.kinds |= {name: here[name]["type"] for name in names}

    def _present(self, place: str, member: Member) -> str | None:
        """Bring one record up to date and onto the list; the reason where either is refused."""
        values = {name: _value(self.kinds[name], value) for name, value in member.fields.items()}
        values[self.by] = [self.ident(member)]
        told: dict[str, Any] = {"params": {"matching_attribute": self.by}, "json": {"data": {"values": values}}}
        answer = self.http.put(self.records, extensions={"expect": {400}}, **told)
        if not answer.is_success:
            return _words(answer)
        record = answer.json()["data"]
        if kept := [name for name, value in values.items() if value == [] and record["values"].get(name)]:
            return f"Attio did not empty {kept[0]}"
        entry = {"parent_record_id": record["id"]["record_id"], "parent_object": self.options.object}
        told = {"json": {"data": {**entry, "entry_values": {}}}}
        answer = self.http.put(f"/v2/lists/{place}/entries", extensions=MAY_REFUSE, **told)
        if answer.status_code == 404:
            raise _gone(place)
        # Someone who is on the list several times is on it.
        return None if answer.is_success or _said(answer).get("code") == "multiple_match_results" else _words(answer)

    def _read(self, ids: Sequence[str]) -> Iterator[Mapping[str, object]]:
        """Each identifier of these records: a person may have several addresses."""
        if ids:
            for record in self._all("POST", f"{self.records}/query", filter={"record_id": {"$in": ids}}):
                for each in record["values"].get(self.by, ()):
                    yield {self.by: each[VALUES[each["attribute_type"]]]}

    def _all(self, method: str, path: str, **asked: Any) -> Iterator[Mapping[str, Any]]:
        """Everything that a call lists, page by page."""
        for offset in count(0, PAGE):
            page = {**asked, "limit": PAGE, "offset": offset}
            told: dict[str, Any] = {"params": page} if method == "GET" else {"json": page}
            found = self.http.request(method, path, extensions={"reads": True}, **told).json()["data"]
            yield from found
            if len(found) < PAGE:
                return


def _gone(list_id: str) -> DeliveryError:
    do = "check whose ATTIO_API_KEY it is; where the list was deleted, `audiences forget` this sync: it starts anew"
    return DeliveryError(f"Attio has no list {list_id}", do=do)


def _slug(name: str) -> str:
    """A slug that belongs to this name alone."""
    words = re.findall("[a-z0-9]+", name.lower())
    return "_".join(["audience", *words])[:40] + "_" + hashlib.sha256(name.encode()).hexdigest()[:8]


def _value(kind: str, value: object) -> object:
    """What an attribute of this type is set to."""
    if value is None:
        return []
    return str(value) if kind in TEXTS and type(value) in (int, float) else value


def _said(answer: httpx.Response) -> Mapping[str, Any]:
    """The JSON object of an error; an empty one where the answer has none."""
    with suppress(TypeError, ValueError):
        return dict(orjson.loads(answer.content))
    return {}


def _words(answer: httpx.Response) -> str:
    return str(_said(answer).get("message") or "Attio gives no reason")
