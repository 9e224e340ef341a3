"""SendGrid Marketing lists of contacts; 1,000 contacts a job. Suppressions and unsubscribe groups are never touched.

Set-up: in SendGrid, Settings > API Keys > Create API Key > Restricted Access, with full access to Marketing;
SENDGRID_API_KEY is that key. What is sent beside `email` goes by the name of a field, reserved or your own, as under
Marketing > Custom Fields:

    [sync.sendgrid]
    list = "Detractors"
    send = { email = "email", first_name = "first_name", nps_score = "nps_score" }
    new = "refuse"             # or "subscribed"

`new` says what becomes of someone who is no contact yet: refused, or made one. SendGrid keeps no consent of a contact:
it writes to each who is not suppressed, so a new one counts as subscribed. Who unsubscribed is suppressed by address,
contact or not, and stays so. Removal takes a contact off the list and deletes nobody. An automation that starts with
the list writes to those who are added. The list is found by its exact name, or made.

SendGrid works through jobs: what became of each contact is known in the next run, which asks. A job without errors has
taken everyone. Of one with errors SendGrid names nobody but in a file on another host, so everyone of it is looked up:
who is on the list, and was changed since the job began, is accepted. One bad address turns a whole call down; where the
answer names it, it is refused and the others are sent once more. To look 100 people up is a call more: to remove them,
and to add them while new ones are refused. No number of calls a second is documented. NULL leaves a field as it is: how
to empty one is not documented. No list is read back: a list and a search show the latest 50 contacts, and an export
ends later in files at a store that no page names, which must not see the key. What is in doubt is sent again,
so nobody waits for it. Not confirmed: how long a job takes (24 hours are allowed for) and is remembered; that one of a
removal can be asked for (where it is unknown, the list decides); what a row of an export holds. A contact with further
identifiers is to be sent with all.
https://www.twilio.com/docs/sendgrid/api-reference/contacts, …/lists, …/custom-fields,
https://github.com/sendgrid/sendgrid-oai (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from audiences import BatchRefused, Category, Connector, DefinitionError, DeliveryError, Limits, Member, Proof, Receipt

LOOKED_UP = 100  # addresses a call; and ids of contacts, which an address of a page can hold
LONGEST = 100  # characters of an address that can be looked up

STRANGER = 'no contact of SendGrid\'s; the option new = "subscribed" would make one, whom SendGrid may write to'
UNFIT = f"an address of more than {LONGEST} characters, which could not be looked up again"
OVER = {"failed": "SendGrid says that all of this job failed", "gone": "SendGrid does not know this job any more"}
UNSURE = "SendGrid counts errors in this job and names nobody; it does not show this contact as changed by it"
KEPT = "SendGrid still has it on the list"


class Sendgrid(Connector):
    identified_by = frozenset({"email"})
    limits = Limits(batch=1000, concurrency=2, bytes=6_000_000)
    category, proof = Category.EMAIL, Proof.SPECIFICATION
    judged_within = timedelta(hours=24)

    class Settings(Connector.Settings):
        api_key: SecretStr

    class Options(Connector.Options):
        new: Literal["refuse", "subscribed"] = "refuse"

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        self.fields: dict[str, tuple[str, str]] = {}  # name -> its id, "" where it is reserved; and its type

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        token = settings.api_key.get_secret_value().strip()
        return {"base_url": "https://api.sendgrid.com/v3", "headers": {"authorization": f"Bearer {token}"}}

    def check(self) -> None:
        self.http.get("/marketing/lists", params={"page_size": 1})

    def prepare(self, name: str) -> str:
        return self.found_or_made("SendGrid list", name, self._named, self._make)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        self._define(members)
        made = {member.key: self._contact(member) for member in members}
        refused = {key: each for key, each in made.items() if isinstance(each, str)}
        told = {key: each for key, each in made.items() if not isinstance(each, str)}
        if self.options.new == "refuse":
            known = self._looked_up([each["email"] for each in told.values()])
            refused |= {key: STRANGER for key, each in told.items() if each["email"] not in known}
        fit = {key: contact for key, contact in told.items() if key not in refused}
        answer = self._put(list_id, [*fit.values()], {400})
        if answer and not answer.is_success:  # the whole call was turned down
            refused |= (culprits := _whose(answer, fit))
            answer = self._put(list_id, [contact for key, contact in fit.items() if key not in culprits])
        return Receipt.of(members, refused, ticket=f"{list_id}/{answer.json()['job_id']}" if answer else None)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        idents = sorted({self.ident(member) for member in members})
        ids = sorted(contact["id"] for part in self.parts(idents, LOOKED_UP) for contact in self._found(part).values())
        path = f"{_path(list_id)}/contacts"
        calls = [self.http.delete(path, params={"contact_ids": ",".join(part)}) for part in self.parts(ids, LOOKED_UP)]
        jobs = "+".join(str(answer.json()["job_id"]) for answer in calls)
        return Receipt.of(members, ticket=f"{list_id}/off/{jobs}" if jobs else None)

    def outcome(self, ticket: str, members: Sequence[Member]) -> Receipt | None:
        list_id, _, jobs = ticket.partition("/")
        said = [self._job(each) for each in jobs.removeprefix("off/").split("+")]
        if not {each["status"] for each in said} <= {"completed", "errored", *OVER}:
            return None
        idents = {member.key: self.ident(member) for member in members}
        if jobs.startswith("off/"):
            found = self._looked_up([*idents.values()])
            listed = {each for each, contact in found.items() if list_id in contact["list_ids"]}
            return Receipt.of(members, {key: KEPT for key, each in idents.items() if each in listed})
        if over := OVER.get(said[0]["status"]):
            return Receipt.of(members, dict.fromkeys(idents, over))
        if said[0]["status"] == "completed":
            return Receipt.of(members)
        found = self._looked_up([*idents.values()])
        done = {each for each, contact in found.items() if _changed(contact, list_id, said[0]["started_at"])}
        return Receipt.of(members, {key: UNSURE for key, each in idents.items() if each not in done})

    def _check(self, list_id: str) -> None:
        """Look once whether a list is there: what it refuses is the fault of no member."""
        if list_id in self.checked:
            return
        if not self.http.get(_path(list_id), extensions={"expect": {404}}).is_success:
            do = "check list_id and whose SENDGRID_API_KEY it is; a deleted list is made anew after `audiences forget`"
            raise DeliveryError(f"the SendGrid list {list_id} is gone", do=do)
        self.checked.add(list_id)

    def _named(self, name: str) -> list[str]:
        """The ids of the lists with exactly this name, in an order that is everyone's."""
        found: list[str] = []
        page: dict[str, Any] = {"page_size": 1000}
        while page:
            said = self.http.get("/marketing/lists", params=page).json()
            found += [str(each["id"]) for each in said["result"] if each["name"] == name]
            after = (said.get("_metadata") or {}).get("next")
            page = {"page_size": 1000, "page_token": httpx.URL(after).params["page_token"]} if after else {}
        return sorted(found)

    def _make(self, name: str) -> object:
        return self.http.post("/marketing/lists", json={"name": name}, extensions={"creates": True}).json()["id"]

    def _define(self, members: Sequence[Member]) -> None:
        """Learn the ids and types of the fields that are sent. What SendGrid does with an unknown one is not told."""
        names = {name for member in members for name in member.fields} - self.identified_by
        if names <= self.fields.keys():
            return
        said = self.http.get("/marketing/field_definitions").json()
        self.fields = {each["name"]: (each["id"], each["field_type"]) for each in said["custom_fields"]}
        for each in said["reserved_fields"]:
            if not each.get("read_only"):
                self.fields[each["name"]] = ("", each["field_type"])
        if unknown := sorted(names - self.fields.keys()):
            do = f"add it in SendGrid, or name one of: {', '.join(sorted(self.fields.keys() - self.identified_by))}"
            raise DefinitionError(f"{unknown[0]!r} is the name of no field in SendGrid that can be written", do=do)

    def _contact(self, member: Member) -> dict[str, Any] | str:
        """A member as a contact, or why SendGrid takes none."""
        custom: dict[str, object] = {}
        contact: dict[str, Any] = {"email": self.ident(member), "custom_fields": custom}
        if len(contact["email"]) > LONGEST:
            return UNFIT
        for name in [each for each, value in member.fields.items() if value is not None and each != "email"]:
            field, kind = self.fields[name]
            try:
                (custom if field else contact)[field or name] = _value(name, kind, member.fields[name])
            except ValueError as error:
                return str(error)
        return contact

    def _put(self, list_id: str, contacts: Sequence[Any], expect: Set[int] = frozenset()) -> httpx.Response | None:
        """The answer to these contacts; None where there are none."""
        body = {"list_ids": [list_id], "contacts": contacts}
        return self.http.put("/marketing/contacts", json=body, extensions={"expect": expect}) if contacts else None

    def _job(self, name: str) -> Mapping[str, Any]:
        """What a job says of itself; of one that is forgotten, that it is gone."""
        path = f"/marketing/contacts/imports/{quote(name, safe='')}"
        answer = self.http.get(path, extensions={"expect": {404}})
        return {"status": "gone"} if answer.status_code == 404 else answer.json()

    def _found(self, emails: Sequence[str]) -> dict[str, Any]:
        """Address -> contact of those, at most 100, who go by it. Raises BatchRefused where one is malformed."""
        call = {"reads": True, "expect": {404}}  # where there is none of them
        answer = self.http.post("/marketing/contacts/search/emails", json={"emails": emails}, extensions=call)
        said = answer.json()["result"] if answer.is_success else {}
        found = {email: each["contact"] for email, each in said.items() if "contact" in each}
        return {email: contact for email, contact in found.items() if contact["email"] == email}  # no alternate one

    def _looked_up(self, emails: Sequence[str]) -> dict[str, Any]:
        """The same for any number; a malformed address is no contact's."""
        found: dict[str, Any] = {}
        parts = [*self.parts(emails, LOOKED_UP)]
        while parts:
            part = parts.pop()
            try:
                found |= self._found(part)
            except BatchRefused:
                half = len(part) // 2
                parts += [each for each in (part[:half], part[half:]) if half]
        return found


def _path(list_id: str) -> str:
    return f"/marketing/lists/{quote(list_id, safe='')}"


def _value(name: str, kind: str, value: object) -> object:
    """What a field of this type takes. Raises ValueError for what it does not."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number and (kind == "Number" or not isinstance(value, str)):
        takes = "a number" if kind == "Number" else "a text or a number"
        raise ValueError(f"{name} holds a {type(value).__name__}, and a field of the type {kind} takes {takes}")
    return value if kind == "Number" else str(value)


def _changed(contact: Mapping[str, Any], list_id: str, since: str) -> bool:
    """Whether a contact is on a list, and was changed since a moment."""
    moments = [datetime.fromisoformat(each) for each in (contact["updated_at"], since)]
    return list_id in contact["list_ids"] and moments[0] >= moments[1]


def _words(answer: httpx.Response) -> Sequence[str]:
    """SendGrid's own words on a refusal."""
    with suppress(ValueError, TypeError, KeyError):
        return [str(each["message"]) for each in answer.json()["errors"]]
    return ["it gives no reason"]


def _whose(answer: httpx.Response, fit: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """key -> reason, of those whose address a refusal names. Raises BatchRefused where it names nobody's."""
    words = _words(answer)
    named = {key: [each for each in words if f"'{contact['email']}'" in each] for key, contact in fit.items()}
    if not any(named.values()):
        raise BatchRefused("; ".join(words))
    return {key: each[0] for key, each in named.items() if each}
