"""MailerLite: a list is a group of subscribers; 50 members in two or three calls.

Set-up: Integrations > MailerLite API > Generate new token; MAILERLITE_API_TOKEN. It ends with the user who made it. The
API of "MailerLite Classic", which accounts from before March 2022 have, is another one.

    [sync.mailerlite]
    list = "NPS detractors"
    send = { email = "email", name = "first_name", nps_score = "nps_score" }   # a field's key = column
    new = "refuse"             # or "subscribed"

What is sent beside `email` goes by a field's key, as in {$nps_score}: the field has to exist (Subscribers > Fields).
Texts and numbers travel, a date as text; NULL empties a field. MailerLite's answer is read: who did not get a value is
refused.

`new` says what becomes of someone who is no subscriber yet: refused, or made an active one, who gets what is sent to
the group. Whoever is one is written and put into the group whatever their status, which is never sent: who unsubscribed
stays so. That being put into a group leaves the status alone is not documented in so many words; MailerLite documents
that its API reactivates nobody who unsubscribed, bounced or complained. A removal takes someone out of the group,
nothing else. Both may start automations that listen for the group.

A group is found by its exact name, or made. Calls: for 50 members one to find them, one to write fields, one to add or
remove them, each a batch; one for each new subscriber, since MailerLite turns a batch of these alone into an import,
which names five of whom it refused. There are 120 a minute for an account. Reading back costs a call for each 1,000
subscribers, and one at least for each of the five statuses. Whether a batch counts as one call, and how many may be
under way at once, is not documented.
https://developers.mailerlite.com (getting-started, api/subscribers, api/groups, api/fields, api/batching; read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from itertools import count
from typing import Any, Literal
from urllib.parse import quote

from pydantic import SecretStr

from audiences import Category, Connector, DefinitionError, Limits, Member, Proof, Receipt

PAGE = 100  # of groups and fields, as MailerLite shows them; what is more than it takes is not documented
SUBSCRIBERS = 1000  # a page, at most
STATUSES = ("active", "unsubscribed", "unconfirmed", "bounced", "junk")  # a group lists the active ones where not asked
GONE = {"expect": {404}}
MAY_REFUSE = {"expect": {422}}

STRANGER = 'no subscriber of this account; the option new = "subscribed" would make one, who gets what the group gets'
NO_ADDRESS = "not an e-mail address"


class Mailerlite(Connector):
    identified_by = frozenset({"email"})
    # Each new subscriber is a call, and a batch of them has to end within AUDIENCES_GRACE.
    limits = Limits(batch=50, per_second=2)
    category, proof = Category.EMAIL, Proof.DOCUMENTATION

    class Settings(Connector.Settings):
        api_token: SecretStr

    class Options(Connector.Options):
        new: Literal["refuse", "subscribed"] = "refuse"

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        self.known: set[str] = set()  # keys of fields

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        token = settings.api_token.get_secret_value().strip()
        kind = "application/json"  # of both, asks MailerLite, in each request
        headers = {"authorization": f"Bearer {token}", "accept": kind, "content-type": kind}
        return {"base_url": "https://connect.mailerlite.com/api", "headers": headers}

    def check(self) -> None:
        self.http.get("/groups", params={"limit": 1})

    def prepare(self, name: str) -> str:
        return self.found_or_made("MailerLite group", name, self._named, self._make)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        self._know({name for member in members for name in member.fields} - self.identified_by)
        refused = {member.key: why for member in members if (why := self._unfit(member))}
        fit = [member for member in members if member.key not in refused]
        ids, missing = self._found(fit)
        for member in fit:
            if missing.get(member.key) == STRANGER and self.options.new == "subscribed":
                missing[member.key] = self._made(list_id, member)
        there = [member for member in fit if member.key in ids]
        refused |= self._written(there, ids)
        refused |= self._grouped("POST", list_id, [member for member in there if member.key not in refused], ids)
        return Receipt.of(members, refused | {key: why for key, why in missing.items() if why})

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        # What is no address was never added, and would be taken for an id.
        ids, missing = self._found([member for member in members if "@" in self.ident(member)])
        refused = {key: why for key, why in missing.items() if why != STRANGER}
        there = [member for member in members if member.key in ids]
        return Receipt.of(members, refused | self._grouped("DELETE", list_id, there, ids))

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        self._check(list_id)
        for status in STATUSES:
            asked: dict[str, str | int] = {"filter[status]": status, "limit": SUBSCRIBERS}
            while True:
                said = self.http.get(f"/groups/{list_id}/subscribers", params=asked).json()
                yield from ({"email": each["email"]} for each in said["data"])
                if not (after := said["meta"]["next_cursor"]):
                    break
                asked["cursor"] = after

    def _named(self, name: str) -> list[int]:
        """The ids of the groups with exactly this name, the oldest first."""
        groups = self._all("/groups", **{"filter[name]": name})
        return sorted(int(each["id"]) for each in groups if each["name"] == name)

    def _make(self, name: str) -> object:
        return self.http.post("/groups", json={"name": name}, extensions={"creates": True}).json()["data"]["id"]

    def _check(self, list_id: str) -> None:
        """Look once whether a group is there: what refuses it is the fault of no member."""
        if list_id in self.checked:
            return
        number = list_id.isascii() and list_id.isdecimal()
        path, asked = f"/groups/{list_id}/subscribers", {"limit": 1}
        if not (number and self.http.get(path, params=asked, extensions=GONE).is_success):
            do = "check whose MAILERLITE_API_TOKEN it is; a deleted group is made anew after `audiences forget`"
            raise DefinitionError(f"{list_id!r} is the id of no group in MailerLite", do=do)
        self.checked.add(list_id)

    def _know(self, names: Set[str]) -> None:
        """Learn once what fields there are. Raises DefinitionError for one that is not there."""
        if names <= self.known:
            return
        self.known = {each["key"] for each in self._all("/fields")}
        if unknown := sorted(names - self.known):
            do = f"add it under Subscribers > Fields, or send one of: {', '.join(sorted(self.known))}"
            raise DefinitionError(f"{unknown[0]!r} is the key of no field in MailerLite", do=do)

    def _unfit(self, member: Member) -> str:
        """Why MailerLite is not asked to take a member; empty where it is."""
        if "@" not in self.ident(member):
            return NO_ADDRESS
        odd = [name for name, value in member.fields.items() if isinstance(value, bool | list | Mapping)]
        return (
            f"{odd[0]} holds a {type(member.fields[odd[0]]).__name__}, and a field takes text or a number"
            if odd
            else ""
        )

    def _found(self, members: Sequence[Member]) -> tuple[dict[str, str], dict[str, str]]:
        """key -> id of those who are subscribers; key -> why of those of whom that is not known, or who are none."""
        asked = [("GET", f"subscribers/{quote(self.ident(member), safe='@')}", None) for member in members]
        ids: dict[str, str] = {}
        missing: dict[str, str] = {}
        for member, (code, body) in zip(members, self._batch(asked, reads=True), strict=True):
            if code == 200 and self._same(body, member):
                ids[member.key] = str(body["data"]["id"])
            else:
                missing[member.key] = STRANGER if code == 404 else _words(body)
        return ids, missing

    def _made(self, list_id: str, member: Member) -> str:
        """Make one an active subscriber in the group; why not, empty where it went well."""
        told = {"email": self.ident(member), "fields": _fields(member), "groups": [list_id], "status": "active"}
        answer = self.http.post("/subscribers", json=told, extensions=MAY_REFUSE)
        body = answer.json()
        return _lacking(body, member) if answer.is_success and self._same(body, member) else _words(body)

    def _written(self, members: Sequence[Member], ids: Mapping[str, str]) -> dict[str, str]:
        """Write what is sent of each; key -> why of those who did not get it."""
        told = [member for member in members if _fields(member)]
        asked = [("PUT", f"subscribers/{ids[member.key]}", {"fields": _fields(member)}) for member in told]
        refused = {
            member.key: _lacking(body, member) if code == 200 and self._same(body, member) else _words(body)
            for member, (code, body) in zip(told, self._batch(asked), strict=True)
        }
        return {key: why for key, why in refused.items() if why}

    def _grouped(self, method: str, group: str, members: Sequence[Member], ids: Mapping[str, str]) -> dict[str, str]:
        """Put each into the group, or take them out; key -> why of those where that did not go well."""
        asked = [(method, f"subscribers/{ids[member.key]}/groups/{group}", None) for member in members]
        # Who has left the group, or the account, meanwhile is out of it.
        done = {200, 201} if method == "POST" else {204, 404}
        answers = zip(members, self._batch(asked), strict=True)
        return {member.key: _words(body) for member, (code, body) in answers if code not in done}

    def _batch(self, asked: Sequence[tuple[str, str, object]], reads: bool = False) -> list[tuple[int, Any]]:
        """(status, body) of each of these requests, in their order; (0, nothing) of one without an answer."""
        if not asked:
            return []
        requests = [
            {"method": method, "path": f"api/{path}", **({"body": body} if body else {})}
            for method, path, body in asked
        ]
        said = self.http.post("/batch", json={"requests": requests}, extensions={"reads": reads}).json()["responses"]
        answers = [(each["code"], each.get("body")) for each in said[: len(asked)]]
        return answers + [(0, None)] * (len(asked) - len(answers))

    def _same(self, body: Any, member: Member) -> bool:
        """Whether an answer speaks of this member."""
        shown = (body or {}).get("data") or {}
        return bool(self.identity["email"].of(str(shown.get("email"))) == self.ident(member))

    def _all(self, path: str, **query: str) -> Iterator[Mapping[str, Any]]:
        """Everything that a call lists, page by page."""
        for number in count(1):
            asked: Mapping[str, str | int] = {**query, "limit": PAGE, "page": number}
            said = self.http.get(path, params=asked).json()
            yield from said["data"]
            if number >= said["meta"]["last_page"]:
                return


def _fields(member: Member) -> dict[str, object]:
    return {name: value for name, value in member.fields.items() if name != "email"}


def _lacking(body: Any, member: Member) -> str:
    """Which field is not as it was sent, by an answer that shows the subscriber; empty where all are."""
    empty = (None, "")
    shown = body["data"]["fields"]
    left = [name for name, value in _fields(member).items() if (value in empty) is not (shown.get(name) in empty)]
    return f"MailerLite did not take {left[0]}" if left else ""


def _words(body: Any) -> str:
    """MailerLite's own words on one request."""
    with suppress(AttributeError, KeyError, TypeError):
        told = [words for each in body.get("errors", {}).values() for words in each]
        if said := " ".join(told) or body["message"]:
            return str(said)
    return "MailerLite gives no reason"
