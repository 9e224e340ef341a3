"""Customer.io: a list is a manual segment. Only people whom Customer.io has are added; nobody is made one, or mailed.

Set-up: in the workspace's Account settings > API credentials, a Tracking API key, which is CUSTOMERIO_SITE_ID and
CUSTOMERIO_API_KEY, and an App API key: CUSTOMERIO_APP_API_KEY. CUSTOMERIO_REGION, the account's data centre: us or eu;
`audiences check --connectors` compares it.

    [sync.customerio]
    list = "Detractors"
    send = { id = "user_id", nps_score = "nps_score" }   # a person's attribute = column

People go by `id`, as Customer.io can take nobody off a segment by e-mail address: a workspace without ids cannot be
used. All else is written into the person's attributes, up to 1,000 bytes each; what Customer.io makes of NULL, which
travels as null, is not documented. Identifiers (`email`, `phone`, `cio_id`) are refused, since they cannot be changed
by id; so are `unsubscribed` and subscription preferences: who opted out stays out. A stranger is refused until your app
makes a person of them: Customer.io takes changes into a queue, and passes over whoever is not there yet. A removal
takes the person off the segment, and deletes nobody. Segments may start campaigns.

A segment is found by its exact name among the manual ones, or made; a data-driven one is refused. Calls for 500
members: five to see who is there, one for attributes, one for the segment; 10 a second. What is refused is named by
its place in the call; a success says that a change was taken, and nothing tells when a segment shows it. Reading back
is a call for 10,000 members, without those who have no id.
https://docs.customer.io/integrations/api/track/ (v1 segments, v2 batch, limits), and of …/integrations/api/app/:
tag/customers/getPeopleById, tag/segments/getSegmentMembership, …/createManSegment, …/listSegments (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import httpx
import orjson
from pydantic import SecretStr

from audiences import BatchRefused, Category, Connector, DefinitionError, Form, Limits, Member, Proof, Receipt

TRACK = {"us": "track.customer.io", "eu": "track-eu.customer.io"}
APP = {"us": "api.customer.io", "eu": "api-eu.customer.io"}
PEOPLE, PAGE = 100, 10_000  # in one call: whom it looks for, whom it lists
LONGEST, LARGEST = 1000, 32_000  # bytes: of an attribute's value, of one person's change

CONSENT = ("unsubscribed", "cio_subscription_preferences")
FIXED = ("email", "phone", "cio_id", "_update")
STRANGER = "no person of this workspace has this id; it is added once your app makes one"


class Customerio(Connector):
    identified_by = frozenset({"id"})
    limits = Limits(batch=500, concurrency=4, per_second=10, bytes=500_000)  # the App API's pace; Track takes more
    category, proof = Category.EMAIL, Proof.DOCUMENTATION

    class Settings(Connector.Settings):
        site_id: str
        api_key: SecretStr
        app_api_key: SecretStr
        region: Literal["us", "eu"]

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        for name in send:
            if name.partition(".")[0] in CONSENT:
                do = "take it out of send; a person changes it by their own hand"
                raise DefinitionError(f"{name!r} is what a person has opted out of, or into", do=do)
            if name in FIXED:
                do = "take it out of send, or name another attribute: send = { billing_email = … }"
                raise DefinitionError(f"{name!r} is no attribute that can be written by a person's id", do=do)
        return super().identify(options, send)

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        signed = (settings.site_id.strip(), settings.api_key.get_secret_value().strip())
        return {"base_url": f"https://{TRACK[settings.region]}", "auth": signed}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """A 429 does not say when; calls are counted by the second."""
        return 1.0 if answer.status_code == httpx.codes.TOO_MANY_REQUESTS else None

    def check(self) -> None:
        """Try both keys. Raises DefinitionError where the account is in another region."""
        region = self.http.get("/api/v1/accounts/region").json()["region"]
        if region != self.settings.region:
            do = f"export CUSTOMERIO_REGION={region}; where the section has another name, its name stands in front"
            raise DefinitionError(f"this account is in the region {region}, and not in {self.settings.region}", do=do)
        self._segments()

    def prepare(self, name: str) -> str:
        if found := {id_: kind for id_, (kind, each) in self._segments().items() if each == name}:
            if [*found.values()] == ["manual"]:
                return str(next(iter(found)))
            kinds = ", ".join(f"{kind} {id_}" for id_, kind in found.items())
            do = "name another list, or rename that one in Customer.io; of several manual ones, write one as list_id"
            raise DefinitionError(f"{name!r} is not the name of one manual segment, but of: {kinds}", do=do)
        told = {"json": {"segment": {"name": name}}, "extensions": {"creates": True}}
        made = self._app("POST", "/v1/segments", **told).json()["segment"]["id"]
        # Nothing says that names are unique: another run may have made the same segment. Everyone takes the oldest.
        return str(min([made, *(id_ for id_, (_, each) in self._segments().items() if each == name)]))

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        known = self._known([self.ident(member) for member in members])
        refused = {member.key: STRANGER for member in members if self.ident(member) not in known}
        refused |= self._written([member for member in members if member.key not in refused])
        self._change(list_id, "add", [self.ident(member) for member in members if member.key not in refused])
        return Receipt.of(members, refused)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        self._change(list_id, "remove", [self.ident(member) for member in members])
        return Receipt.of(members)

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        self._check(list_id)
        start: Mapping[str, str] = {}
        while True:
            asked = {"limit": PAGE, **start}
            page = self._app("GET", f"/v1/segments/{list_id}/membership", params=asked).json()
            yield from ({"id": str(each["id"])} for each in page["identifiers"] if each["id"])
            if not page.get("next"):
                return
            start = {"start": page["next"]}

    def _check(self, list_id: str) -> None:
        """Look once whether a segment is there and may be changed: what happens otherwise is not documented."""
        if list_id in self.checked:
            return
        kind = {str(id_): kind for id_, (kind, _) in self._segments().items()}.get(list_id)
        if kind != "manual":
            what = f"is a {kind} segment, and has to be a manual one" if kind else "is no segment of this workspace"
            do = "check whose CUSTOMERIO_APP_API_KEY it is; a deleted one is made anew after `audiences forget`"
            raise DefinitionError(f"{list_id} {what}", do=do)
        self.checked.add(list_id)

    def _segments(self) -> dict[int, tuple[str, str]]:
        """id -> (kind, name) of all segments; they come in one page."""
        segments = self._app("GET", "/v1/segments").json()["segments"]
        return {each["id"]: (each["type"], each["name"]) for each in segments}

    def _known(self, ids: Sequence[str]) -> set[str]:
        """Those of these ids that are a person's; an answer leaves out the others."""
        known: set[str] = set()
        for part in self.parts(ids, PEOPLE):
            asked, reads = {"ids": part}, {"reads": True}
            answer = self._app("POST", "/v1/customers/attributes", json=asked, extensions=reads)
            known |= {str(each["customer"]["id"]) for each in answer.json()["customers"]}
        return known

    def _written(self, members: Sequence[Member]) -> dict[str, str]:
        """Give these people their attributes; key -> reason for those whom Customer.io refuses."""
        attributes = {m.key: {name: value for name, value in m.fields.items() if name != "id"} for m in members}
        refused = {key: why for key, each in attributes.items() if (why := _unfit(each))}
        told = [member for member in members if member.key not in refused and attributes[member.key]]
        if not told:
            return refused
        # A person whom someone deletes meanwhile is not made anew.
        batch = [_identify(self.ident(member), {**attributes[member.key], "_update": True}) for member in told]
        answer = self.http.post("/api/v2/batch", json={"batch": batch})
        for error in answer.json()["errors"] if answer.status_code == httpx.codes.MULTI_STATUS else ():
            if "batch_index" not in error:
                raise BatchRefused(_words(error))
            refused[told[error["batch_index"]].key] = _words(error)
        return refused

    def _change(self, list_id: str, verb: str, ids: Sequence[str]) -> None:
        if ids:
            path, by = f"/api/v1/segments/{list_id}/{verb}_customers", {"id_type": "id"} if verb == "add" else None
            self.http.post(path, params=by, json={"ids": list(dict.fromkeys(ids))})

    def _app(self, method: str, path: str, **call: Any) -> httpx.Response:
        """A call to the App API, which has a host and a key of its own."""
        token = self.settings.app_api_key.get_secret_value().strip()
        url, headers = f"https://{APP[self.settings.region]}{path}", {"authorization": f"Bearer {token}"}
        return self.http.request(method, url, headers=headers, auth=None, **call)


def _identify(name: str, attributes: Mapping[str, object]) -> dict[str, object]:
    return {"type": "person", "identifiers": {"id": name}, "action": "identify", "attributes": attributes}


def _unfit(attributes: Mapping[str, object]) -> str:
    """Why Customer.io cannot keep these attributes: what it does with more than it documents, it does not say."""
    for name, value in attributes.items():
        if len(value.encode() if isinstance(value, str) else orjson.dumps(value, default=dict)) > LONGEST:
            return f"{name} has more than the {LONGEST:,} bytes that Customer.io keeps of an attribute"
    size = len(orjson.dumps(attributes, default=dict))
    return f"{size:,} bytes of attributes, and Customer.io takes {LARGEST:,} of a person" if size > LARGEST else ""


def _words(error: Mapping[str, Any]) -> str:
    return (
        ": ".join(str(error[name]) for name in ("reason", "field", "message") if error.get(name)) or "no reason given"
    )
