"""ActiveCampaign: a list is a tag on contacts. Its own lists are subscriptions, and never touched.

Set-up: Settings > Developer shows both: ACTIVECAMPAIGN_URL (https://you.api-us1.com) and ACTIVECAMPAIGN_API_TOKEN, the
key of a user who may manage contacts and tags.

    [sync.activecampaign]
    list = "Detractors"
    send = { email = "email", firstName = "first_name", NPS_SCORE = "nps_score" }
    new = "refuse"             # or "unsubscribed"

Beside `email`, a contact has firstName, lastName and phone; any other name is a custom field's personalization tag
without its `%`, and has to exist. Values travel as text, a list as `||a||b||`, NULL as an
empty text; a boolean or a struct is refused.

`new` says what becomes of someone who is no contact yet: refused, or made one that is on no list, and so is sent no
campaign. A contact is tagged and updated whatever it has subscribed to, or left. A removal takes the tag away, nothing
else. Tags may start automations. A tag is found by its exact name, or made.

Calls: two for each member added (to find the contact, to tag it), three with fields; three for each removed. There
are 5 a second for all keys of an account together: some 6,000 members an hour. Reading back costs one for 100. Whether
a contact may have one tag twice is not documented: a removal takes away all that there are.
https://developers.activecampaign.com/reference (list-all-contacts, create-a-new-contact, update-a-contact-new,
create-contact-tag, remove-a-contacts-tag, retrieve-all-tags, retrieve-fields, pagination, rate-limits; read 2026-11);
that a contact's tags are at /contacts/{id}/contactTags is said by the links of every contact
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from itertools import count
from typing import Annotated, Any, Literal

import httpx
from pydantic import Field, SecretStr

from audiences import Category, Connector, DefinitionError, Limits, Member, Proof, Receipt

PAGE = 100  # of anything that is listed
OWN = frozenset({"firstName", "lastName", "phone"})
GONE = {"expect": {404}}
MAY_FAIL = {"expect": {404, 422}}

STRANGER = 'no contact of this account; the option new = "unsubscribed" would make one, which is on no list'


class Activecampaign(Connector):
    identified_by = frozenset({"email"})
    # Each member is three calls, two batches share the pace, and each has to end within AUDIENCES_GRACE.
    limits = Limits(batch=10, concurrency=2, per_second=5)
    category, proof = Category.EMAIL, Proof.DOCUMENTATION

    class Settings(Connector.Settings):
        url: Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.-]+/?$")]
        api_token: SecretStr

    class Options(Connector.Options):
        new: Literal["refuse", "unsubscribed"] = "refuse"

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        token = settings.api_token.get_secret_value().strip()
        return {"base_url": f"{settings.url.rstrip('/')}/api/3", "headers": {"api-token": token}}

    def check(self) -> None:
        self.http.get("/users/me")

    def prepare(self, name: str) -> str:
        return self.found_or_made("ActiveCampaign tag", name, self._named, self._make)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        names = {name for member in members for name in member.fields} - self.identified_by
        fields = self._fields(names - OWN)
        reasons = {member.key: self._added(list_id, member, fields) for member in members}
        return Receipt.of(members, {key: why for key, why in reasons.items() if why})

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        for member in members:
            if contact := self._contact(member):
                self._untag(list_id, contact)
        return Receipt.of(members)

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        self._check(list_id)
        last = 0
        while True:
            asked: Mapping[str, str | int] = {"tagid": list_id, "orders[id]": "asc", "id_greater": last, "limit": PAGE}
            contacts = self.http.get("/contacts", params=asked).json()["contacts"]
            if not (new := [each for each in contacts if int(each["id"]) > last]):
                return
            yield from ({"email": each["email"]} for each in new)
            last = max(int(each["id"]) for each in new)

    def _check(self, list_id: str) -> None:
        """Look once whether a tag is there: what becomes of a contact that is given another is not documented."""
        if list_id in self.checked:
            return
        known = (
            list_id.isascii() and list_id.isdecimal() and self.http.get(f"/tags/{list_id}", extensions=GONE).is_success
        )
        if not known:
            do = "check whose ACTIVECAMPAIGN_API_TOKEN it is; a deleted tag is made anew after `audiences forget`"
            raise DefinitionError(f"{list_id!r} is the id of no tag in ActiveCampaign", do=do)
        self.checked.add(list_id)

    def _named(self, name: str) -> list[int]:
        """The ids of the contact tags with exactly this name, the oldest first."""
        tags = self._all("/tags", "tags", search=name)
        return sorted(int(each["id"]) for each in tags if each["tag"] == name and each["tagType"] == "contact")

    def _make(self, name: str) -> object:
        wanted = {"tag": {"tag": name, "tagType": "contact", "description": ""}}
        return self.http.post("/tags", json=wanted, extensions={"creates": True}).json()["tag"]["id"]

    def _fields(self, names: Set[str]) -> Mapping[str, str]:
        """Personalization tag -> id of these custom fields."""
        known = {each["perstag"]: str(each["id"]) for each in self._all("/fields", "fields")} if names else {}
        if unknown := sorted(names - known.keys()):
            do = f"add it in ActiveCampaign, or name one of: {', '.join(sorted(OWN | known.keys()))}"
            raise DefinitionError(f"{unknown[0]!r} is the personalization tag of no field", do=do)
        return known

    def _added(self, list_id: str, member: Member, fields: Mapping[str, str]) -> str:
        """Why a member is not on the list; empty where it is."""
        try:
            body = _body(member, fields)
        except ValueError as error:
            return str(error)
        contact = self._contact(member)
        if contact is None and self.options.new == "refuse":
            return STRANGER
        if contact is None:
            wanted = {"contact": {"email": self.ident(member), **body}}
            answer = self.http.post("/contacts", json=wanted, extensions=MAY_FAIL)
            if not answer.is_success:
                return _words(answer)
            contact = int(answer.json()["contact"]["id"])
        elif body:
            answer = self.http.put(f"/contacts/{contact}", json={"contact": body}, extensions=MAY_FAIL)
            if not answer.is_success:
                return _words(answer)
        told = {"contactTag": {"contact": contact, "tag": int(list_id)}}
        answer = self.http.post("/contactTags", json=told, extensions=MAY_FAIL)
        return "" if answer.is_success else _words(answer)

    def _untag(self, list_id: str, contact: int) -> None:
        for each in [*self._all(f"/contacts/{contact}/contactTags", "contactTags")]:
            if str(each["tag"]) == list_id:
                self.http.delete(f"/contactTags/{each['id']}", extensions=GONE)

    def _contact(self, member: Member) -> int | None:
        """The id of the contact with this address, whatever it has subscribed to."""
        found = self.http.get("/contacts", params={"email": self.ident(member), "status": -1}).json()["contacts"]
        return next((int(each["id"]) for each in found if self._same(each["email"], member)), None)

    def _same(self, address: str, member: Member) -> bool:
        return self.identity["email"].of(address) == self.ident(member)

    def _all(self, path: str, name: str, **query: str) -> Iterator[Mapping[str, Any]]:
        """Everything in a collection, page by page; one that comes whole is not asked for again and again."""
        seen: set[str] = set()
        for offset in count(0, PAGE):
            asked: Mapping[str, str | int] = {**query, "limit": PAGE, "offset": offset}
            answer = self.http.get(path, params=asked, extensions=GONE)
            page = answer.json()[name] if answer.is_success else []  # of a contact that is gone there is nothing
            new = [each for each in page if str(each["id"]) not in seen]
            yield from new
            seen |= {str(each["id"]) for each in new}
            if len(page) < PAGE or not new:
                return


def _body(member: Member, fields: Mapping[str, str]) -> dict[str, object]:
    """What is sent of a contact, without its address. Raises ValueError for a value that no field takes."""
    texts = {name: _text(name, value) for name, value in member.fields.items() if name != "email"}
    own: dict[str, object] = {name: text for name, text in texts.items() if name in OWN}
    values = [{"field": fields[name], "value": text} for name, text in texts.items() if name not in OWN]
    return {**own, "fieldValues": values} if values else own


def _text(name: str, value: object) -> str:
    if isinstance(value, list):
        return f"||{'||'.join(_text(name, each) for each in value)}||" if value else ""
    if isinstance(value, bool | Mapping):
        raise ValueError(f"{name} holds a {type(value).__name__}, and a field of ActiveCampaign takes text or numbers")
    return "" if value is None else str(value)


def _words(answer: httpx.Response) -> str:
    """ActiveCampaign's own words on one member."""
    with suppress(ValueError, TypeError, KeyError):
        said = answer.json()
        told = [": ".join(filter(None, (each["title"], each.get("detail")))) for each in said.get("errors", ())]
        return "; ".join(told) or said["message"]
    return "refused without a word"
