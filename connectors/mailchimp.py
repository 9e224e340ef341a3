"""Mailchimp: a list is a tag (a static segment) on contacts of one audience. No subscription status is ever touched.

Set-up: MAILCHIMP_API_KEY (profile > Extras > API keys), and MAILCHIMP_SERVER, the account's data centre: what stands
after the last `-` of the key, and first in the address of its admin pages (us19). The audience's id is under
Audience > All contacts > Settings > Audience name and defaults. What is sent beside `email` goes by its merge tag:

    [sync.mailchimp]
    list = "Detractors"
    audience_id = "a1b2c3d4e5"
    send = { email = "email", FNAME = "first_name", NPS = "nps_score" }
    new = "refuse"             # or "transactional"

`new` says what becomes of someone who is no contact yet: refused, or made one with the status `transactional`; never
`subscribed`. A contact is tagged and updated whatever its status is: who unsubscribed stays unsubscribed. An archived
contact is refused, since Mailchimp does not tell whether it had opted out. Removal takes the tag away, nothing else.
A tag is found by its exact name, or made once; the list's id is AUDIENCE_ID/TAG_ID.

Calls: one for 100 members to add or remove, and one for each whom its answer does not name, to see whether the tag is
there: an address that Mailchimp ignored is refused. With merge fields one more for each member added or updated, since
only single contacts can be changed without a word on their status. A new contact costs one or two more.
NULL empties a field. Texts and numbers travel, and a struct of addr1, city, state and zip into an address; no booleans.
What a segment call makes of an archived contact, an update of an unknown merge field, and a new tag of a name that is
taken, is not documented: the first is looked up, the second refused here, the third looked for again.
https://mailchimp.com/developer/marketing/ (api/list-members, api/list-segments, docs/fundamentals; read 2026-11)
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from itertools import count
from typing import Annotated, Any, Literal

import httpx
from pydantic import Field, SecretStr, ValidationInfo, field_validator

from audiences import Category, Connector, DefinitionError, Limits, Member, Proof, Receipt

PAGE = 1000  # of anything that is listed
EVERYBODY = {"include_cleaned": True, "include_transactional": True, "include_unsubscribed": True}

# What is found of a member: that the tag is there, that it may be added, or else the reason why not.
TAGGED, UNTAGGED = "", None
STRANGER = 'no contact of this audience; the option new = "transactional" would make one, which gets no campaigns'
ARCHIVED = "an archived contact; it takes part again once it is unarchived in Mailchimp"
IGNORED = "Mailchimp left this contact untagged and gave no reason; look there whether it is archived"
KEPT = "Mailchimp left the tag on this contact and gave no reason"


class Mailchimp(Connector):
    identified_by = frozenset({"email"})
    # Mailchimp takes 500 a call; with merge fields each is a call too, and a batch has to end within AUDIENCES_GRACE.
    limits = Limits(batch=100, concurrency=10)
    category, proof = Category.EMAIL, Proof.SPECIFICATION

    class Settings(Connector.Settings):
        api_key: SecretStr
        server: str

        @field_validator("server")
        @classmethod
        def _as_the_key_says(cls, value: str, info: ValidationInfo) -> str:
            server, key = value.strip().lower(), info.data.get("api_key")
            if not re.fullmatch(r"[a-z]+[0-9]+", server, re.ASCII):
                raise ValueError("it must be the data centre alone, a few letters and a number")
            if key and not key.get_secret_value().strip().endswith(f"-{server}"):
                raise ValueError("the API key is of another data centre: write what stands after its last `-`")
            return server

    class Options(Connector.Options):
        audience_id: Annotated[str, Field(pattern="^[0-9A-Za-z]+$")]
        new: Literal["refuse", "transactional"] = "refuse"

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key = settings.api_key.get_secret_value().strip()
        return {"base_url": f"https://{settings.server}.api.mailchimp.com/3.0", "auth": ("any", key)}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """A 403 without JSON is a throttle; one with it speaks of the key or the plan."""
        return 1.0 if answer.status_code == 403 and not _words(answer) else None

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        if not _segment(list_id).startswith(f"/lists/{self.options.audience_id}/"):
            do = "name another list as well: it is filled in the new audience, then the old one is emptied"
            raise DefinitionError(f"{list_id!r} is not in the audience {self.options.audience_id!r}", do=do)
        names = {name for member in members for name in member.fields} - self.identified_by
        kinds = self._kinds(names) if names else {}
        found: dict[str, str | None] = {}
        for member in members if names else ():
            found[member.key] = self._written(list_id, member, kinds)
        self._tag(list_id, members, found)
        self._tag(list_id, members, found)  # those whom the first round made contacts
        return Receipt.of(members, {key: why or IGNORED for key, why in found.items() if why != TAGGED})

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        said = self._ask("POST", _segment(list_id), json={"members_to_remove": [self.ident(each) for each in members]})
        gone = {each["email_address"].lower() for each in said["members_removed"]}
        kept = [each.key for each in members if self.ident(each) not in gone and self._tagged(list_id, each)]
        return Receipt.of(members, dict.fromkeys(kept, KEPT))

    def check(self) -> None:
        self.http.get("/ping")

    def prepare(self, name: str) -> str:
        if found := self._named(name):
            return found
        path, body = f"/lists/{self.options.audience_id}/segments", {"name": name, "static_segment": []}
        answer = self.http.post(path, json=body, extensions={"expect": {400}})
        # Refused, it may be there: made by another run, or by this call's own first attempt, whose answer was lost.
        if found := f"{self.options.audience_id}/{answer.json()['id']}" if answer.is_success else self._named(name):
            return found
        raise DefinitionError(f"Mailchimp makes no tag {name!r}: {_words(answer)}", do="give the list another name")

    def members(self, list_id: str) -> Iterable[Mapping[str, object]]:
        for each in self._all(f"{_segment(list_id)}/members", "members", "email_address", "merge_fields", **EVERYBODY):
            yield {"email": each["email_address"], **each["merge_fields"]}

    def _named(self, name: str) -> str | None:
        """The id of the tag with this name. A segment with conditions cannot hold a list."""
        listed = self._all(f"/lists/{self.options.audience_id}/segments", "segments", "id", "name", "type")
        ids = {f"{self.options.audience_id}/{each['id']}": each["type"] for each in listed if each["name"] == name}
        if [*ids.values()] in ([], ["static"]):
            return next(iter(ids), None)
        what = (
            f"{name!r} is not the name of one tag, but of: {', '.join(f'{kind} {each}' for each, kind in ids.items())}"
        )
        do = "name another list, or rename that segment in Mailchimp; of several tags (static), write one as list_id"
        raise DefinitionError(what, do=do)

    def _kinds(self, names: Set[str]) -> Mapping[str, str]:
        """The types of these merge fields. What Mailchimp does with an unknown one is not documented: it is refused."""
        fields = self._all(f"/lists/{self.options.audience_id}/merge-fields", "merge_fields", "tag", "type")
        kinds = {each["tag"]: each["type"] for each in fields}
        if unknown := sorted(names - kinds.keys()):
            do = f'add it in Mailchimp, or name one of {", ".join(kinds)}: send = {{ FNAME = "<column>" }}'
            raise DefinitionError(f"{unknown[0]!r} is the tag of no merge field of this audience", do=do)
        return {name: kinds[name] for name in names}

    def _written(self, list_id: str, member: Member, kinds: Mapping[str, str]) -> str | None:
        """Give a contact its merge fields, without a word on its status."""
        try:
            body = {"merge_fields": {name: _value(name, kind, member.fields.get(name)) for name, kind in kinds.items()}}
        except ValueError as error:
            return str(error)
        answer = self.http.patch(self._contact(list_id, member), json=body, extensions={"expect": {400, 404}})
        return self._new(list_id, member, body) if answer.status_code == 404 else _shown(list_id, answer)

    def _new(self, list_id: str, member: Member, body: Mapping[str, object]) -> str | None:
        """Someone who is no contact yet, as `new` says. Were it one by now, its status would stay as it is."""
        if self.options.new == "refuse":
            return STRANGER
        body = {**body, "email_address": self.ident(member), "status_if_new": "transactional"}
        return _shown(list_id, self.http.put(self._contact(list_id, member), json=body, extensions={"expect": {400}}))

    def _tag(self, list_id: str, members: Sequence[Member], found: dict[str, str | None]) -> None:
        """Tag those without a verdict. Whom the answer does not name was tagged before, or is ignored."""
        waiting = [member for member in members if found.get(member.key) is UNTAGGED]
        if not waiting:
            return
        said = self._ask("POST", _segment(list_id), json={"members_to_add": [self.ident(each) for each in waiting]})
        added = {each["email_address"].lower() for each in said["members_added"]}
        words = {name.lower(): each["error"] for each in said["errors"] for name in each["email_addresses"]}
        found |= {member.key: TAGGED for member in waiting if self.ident(member) in added}
        for member in waiting:
            if found.get(member.key) is UNTAGGED:
                tagged = self._tagged(list_id, member)
                reason = TAGGED if tagged else words.get(self.ident(member), IGNORED)
                found[member.key] = self._new(list_id, member, {}) if tagged is None else reason

    def _tagged(self, list_id: str, member: Member) -> bool | None:
        """Whether a contact has the tag; None where the address is no contact's."""
        path, expect = f"{self._contact(list_id, member)}/tags", {"expect": {404}}
        answer = self.http.get(path, params={"fields": "tags.id", "count": PAGE}, extensions=expect)
        return None if answer.status_code == 404 else _has(list_id, answer)

    def _contact(self, list_id: str, member: Member) -> str:
        name = hashlib.md5(self.ident(member).encode(), usedforsecurity=False).hexdigest()
        return f"/lists/{list_id.partition('/')[0]}/members/{name}"

    def _all(self, path: str, name: str, *fields: str, **query: bool) -> Iterator[Mapping[str, Any]]:
        """Everything in a collection, page by page."""
        wanted = ",".join(["total_items", *(f"{name}.{field}" for field in fields)])
        for offset in count(0, PAGE):
            page = self._ask("GET", path, params={**query, "count": PAGE, "offset": offset, "fields": wanted})
            yield from page[name]
            if offset + PAGE >= page["total_items"]:
                return

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        answer = self.http.request(method, path, extensions={"expect": {404}}, **options)
        if answer.status_code != 404:
            return answer.json()
        do = "check audience_id and whose MAILCHIMP_API_KEY it is; a deleted tag is made anew after `audiences forget`"
        raise DefinitionError(f"Mailchimp finds nothing at {path}", do=do)


def _segment(list_id: str) -> str:
    """Where the tag of a list is."""
    if found := re.fullmatch(r"([0-9A-Za-z]+)/([0-9]+)", list_id, re.ASCII):
        return "/lists/{}/segments/{}".format(*found.groups())
    do = 'write `list`, the name of a tag, or list_id = "AUDIENCE_ID/TAG_ID"'
    raise DefinitionError(f"{list_id!r} is not the id of a list in Mailchimp", do=do)


def _has(list_id: str, answer: httpx.Response) -> bool:
    return any(str(each["id"]) == list_id.rpartition("/")[2] for each in answer.json()["tags"])


def _shown(list_id: str, answer: httpx.Response) -> str | None:
    """What a contact shows, or why it was refused. It shows 50 tags at most; a tag beyond them is added once more."""
    if answer.status_code == 400:
        return _words(answer) or "refused without a word"
    if answer.json()["status"] == "archived":
        return ARCHIVED
    return TAGGED if _has(list_id, answer) else UNTAGGED


def _value(name: str, kind: str, value: object) -> object:
    """What a merge field of this type takes. Raises ValueError for what it cannot."""
    if value is None:
        return ""
    if isinstance(value, dict) is not (kind == "address") or isinstance(value, bool | list):
        takes = "a struct of addr1, city, state and zip" if kind == "address" else "a text or a number"
        raise ValueError(f"{name} holds a {type(value).__name__}, and a merge field of the type {kind} takes {takes}")
    return value if isinstance(value, dict) or kind == "number" else str(value)


def _words(answer: httpx.Response) -> str:
    """Mailchimp's own words on an error; empty where the answer is none of its own."""
    with suppress(ValueError, TypeError, KeyError):
        said = answer.json()
        return "; ".join(f"{each['field']}: {each['message']}" for each in said.get("errors", ())) or said["detail"]
    return ""
