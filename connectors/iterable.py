"""Iterable: a list is a static list of users. Which channels and message types they get is never touched.

Set-up: ITERABLE_API_KEY, a server-side key (Integrations > API keys); ITERABLE_REGION, the project's data centre: eu
where the address of its pages begins with app.eu, else us.

    [sync.iterable]
    list = "Detractors"
    send = { email = "email", npsScore = "nps_score" }   # a user's field = column
    new = "refuse"             # or "subscribed"

A user goes by `email` or by `userId`, as the project identifies users: send one of them. All else is written into the
user's fields, which keep their types: another type is refused. NULL travels as null; what Iterable makes of it is not
documented. A project that drops unknown fields stops the sync, which names them.

`new` says what becomes of someone who is no user yet: refused, or made one. To Iterable a new user has opted out of
nothing, and gets whatever is sent to the list; hence "subscribed". Opt-outs are kept in a user's own fields, apart from
lists, and this connector refuses to send those. Whom Iterable has forgotten (GDPR) is refused. A removal takes the user
off the list, not out of a channel, and deletes nobody. Additions and removals may start journeys that listen for them.

A list is found by its exact name among the static ones, or made; one that Iterable fills by itself, or that suppresses
mail, is refused. Calls: one for 100 members. With email and new = "refuse" one more for each, up to 100 a second, to
see whether there is such a user: a project that goes by e-mail address alone would make one. Reading back is one call,
of 5 a minute, and takes lists of up to 10 MiB. The pace of adding and removing is not documented; neither is whether a
list shows a change at once.
https://github.com/Iterable/api-client/blob/981eeb590954cd94b3e06fddab5cb4c6d2165a46/api-docs.json (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import httpx
from pydantic import SecretStr

from audiences import BatchRefused, Category, Connector, DefinitionError, Form, Limits, Member, Proof, Receipt

HOSTS = {"us": "api.iterable.com", "eu": "api.eu.iterable.com"}
CONSENT = {"emailListIds", "subscribedMessageTypeIds", "unsubscribedChannelIds", "unsubscribedMessageTypeIds"}

STRANGER = 'no user of this project; the option new = "subscribed" would make one, who gets what is sent to the list'
# What `failedUpdates` calls those whom a call did not change.
FORGOTTEN = "Iterable has forgotten this user (GDPR) and takes nothing more"
MALFORMED = "malformed, says Iterable"
UNFIT = "a value that Iterable does not take: often of another type than its field has"
REASONS = {
    "forgottenEmails": FORGOTTEN,
    "forgottenUserIds": FORGOTTEN,
    "invalidDataEmails": UNFIT,
    "invalidDataUserIds": UNFIT,
    "invalidEmails": MALFORMED,
    "invalidUserIds": MALFORMED,
    "notFoundEmails": STRANGER,
    "notFoundUserIds": STRANGER,
}
ABSENT = {FORGOTTEN, MALFORMED, STRANGER}  # who is no user is on no list


class Iterable(Connector):
    identified_by = frozenset({"email", "userId"})
    limits = Limits(batch=100, concurrency=40, per_second=100)
    category, proof = Category.EMAIL, Proof.SPECIFICATION

    class Settings(Connector.Settings):
        api_key: SecretStr
        region: Literal["us", "eu"]

    class Options(Connector.Options):
        new: Literal["refuse", "subscribed"] = "refuse"

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        [self.by] = self.identity

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        if consent := sorted(CONSENT & set(send)):
            do = "take it out of send; opt-outs are changed in Iterable, by the user's own hand"
            raise DefinitionError(f"{consent[0]!r} is what a user of Iterable has opted out of, or into", do=do)
        found = super().identify(options, send)
        if len(found) > 1:
            do = "send the one that the project identifies users by"
            raise DefinitionError("a user of Iterable goes by email or by userId, and both are sent", do=do)
        return found

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key = settings.api_key.get_secret_value().strip()
        return {"base_url": f"https://{HOSTS[settings.region]}", "headers": {"api-key": key}}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """A 429 does not say when; calls are counted by the second."""
        return 1.0 if answer.status_code == httpx.codes.TOO_MANY_REQUESTS else None

    def check(self) -> None:
        self.http.get("/api/lists")

    def prepare(self, name: str) -> str:
        if found := {id_: kind for id_, (kind, each) in self._lists().items() if each == name}:
            if [*found.values()] == ["Standard"]:
                return str(next(iter(found)))
            kinds = ", ".join(f"{kind} {id_}" for id_, kind in found.items())
            do = "name another list, or rename that one in Iterable; of several static ones, write one as list_id"
            raise DefinitionError(f"{name!r} is not the name of one static list, but of: {kinds}", do=do)
        made = self.http.post("/api/lists", json={"name": name}, extensions={"creates": True}).json()["listId"]
        # Names need not be unique: another run may have made the same list. Everyone takes the oldest.
        return str(min([made, *(id_ for id_, (_, each) in self._lists().items() if each == name)]))

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        strangers = self._strangers(members)
        told = {self.ident(member): self._told(member) for member in members if member.key not in strangers}
        said = self._ask("subscribe", list_id, told, updateExistingUsersOnly=self.options.new == "refuse")
        if dropped := said.get("filteredOutFields"):
            what = f"the project drops fields that it does not know: {', '.join(sorted(dropped))}"
            raise DefinitionError(what, do="add them to the project in Iterable, or take them out of send")
        why = _failed(said)
        if said["successCount"] < len(told.keys() - why.keys()):
            raise BatchRefused(f"Iterable took {said['successCount']} of {len(told)}, and does not say whom not")
        rejected = {member.key: why[self.ident(member)] for member in members if self.ident(member) in why}
        return Receipt.of(members, rejected | strangers)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        told = {self.ident(member): {self.by: self.ident(member)} for member in members}
        said = self._ask("unsubscribe", list_id, told, channelUnsubscribe=False)
        why = _failed(said)
        if said["failCount"] > len(told.keys() & why.keys()):
            raise BatchRefused(f"Iterable left {said['failCount']} of {len(told)}, and does not say whom")
        left = {member.key: why.get(self.ident(member), STRANGER) for member in members}
        return Receipt.of(members, {key: reason for key, reason in left.items() if reason not in ABSENT})

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        self._check(list_id)
        asked: Mapping[str, str | bool] = {"listId": list_id, "preferUserId": self.by == "userId"}
        for line in self.http.get("/api/lists/getUsers", params=asked).text.split("\n"):
            if line.strip():
                yield {self.by: line.strip()}

    def _lists(self) -> dict[int, tuple[str, str]]:
        """id -> (kind, name) of all lists; they come in one page."""
        return {each["id"]: (each["listType"], each["name"]) for each in self.http.get("/api/lists").json()["lists"]}

    def _check(self, list_id: str) -> None:
        """Look once whether a list is there and may be changed: what Iterable does otherwise is not documented."""
        if list_id in self.checked:
            return
        kind = {str(id_): kind for id_, (kind, _) in self._lists().items()}.get(list_id)
        if kind != "Standard":
            what = f"is a {kind} list, and has to be a static one" if kind else "is no list of this project"
            do = "check whose ITERABLE_API_KEY it is; a deleted list is made anew after `audiences forget`"
            raise DefinitionError(f"{list_id} {what}", do=do)
        self.checked.add(list_id)

    def _strangers(self, members: Sequence[Member]) -> dict[str, str]:
        """key -> reason of those who are no user, where the call itself would make them one."""
        if self.options.new != "refuse" or self.by != "email":
            return {}
        found: dict[str, str] = {}
        for member in members:
            asked, expect = {"email": self.ident(member)}, {"expect": {400}}
            said = self.http.get("/api/users/getByEmail", params=asked, extensions=expect)
            if not said.is_success:
                found[member.key] = MALFORMED
            elif not (user := said.json()) or not user["user"]:  # an empty object is a stranger
                found[member.key] = STRANGER
        return found

    def _told(self, member: Member) -> dict[str, object]:
        fields = {name: value for name, value in member.fields.items() if name != self.by}
        made = {"preferUserId": True} if self.by == "userId" and self.options.new == "subscribed" else {}
        return {self.by: self.ident(member), **({"dataFields": fields} if fields else {}), **made}

    def _ask(self, verb: str, list_id: str, told: Mapping[str, object], **how: bool) -> Any:
        """What a call about these users answers; none is made for nobody."""
        if not told:
            return {"successCount": 0, "failCount": 0}
        body = {"listId": int(list_id), "subscribers": [*told.values()], **how}
        return self.http.post(f"/api/lists/{verb}", json=body).json()


def _failed(said: Mapping[str, Any]) -> dict[str, str]:
    """Identifier -> reason of those whom an answer names as not changed."""
    named = {**{name: said.get(name) for name in ("invalidEmails", "invalidUserIds")}, **said.get("failedUpdates", {})}
    forms = {True: Form.CASELESS, False: Form.EXACT}
    return {
        forms[kind.endswith("Emails")].of(each): REASONS.get(kind, kind)
        for kind, names in named.items()
        for each in names or ()
    }
