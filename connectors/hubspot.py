"""HubSpot: a list is a static segment of contacts or companies; 100 records a call, at most 100 calls in 10 s.

Set-up: in HubSpot, Development > Keys > Service keys > Create service key, with the scopes crm.lists.read,
crm.lists.write, crm.objects.contacts.read, crm.objects.contacts.write (for companies: crm.objects.companies.read and
.write). HUBSPOT_ACCESS_TOKEN is that key, or the access token of a private app that you have already.

    [sync.hubspot]
    list = "NPS detractors"
    send = { email = "email", nps_last_score = "nps_score" }   # a property's internal name = column

The list is found by its name, or made, as a static list; one that HubSpot fills by itself (DYNAMIC) is refused, and one
that is deleted is not made again. Properties must exist: Settings > Properties shows their internal names.
Contacts go by `email`; who is not in HubSpot is created. `identify = "customer_no"` takes a property of yours instead,
sent too and created there with "Require unique values": fewer calls, and a new address is an update.
Companies: `object = "company"`, always with such an `identify`: in HubSpot several companies may share a domain.
To be on a list is not consent: subscriptions stay as they are. Removal takes off the list, no more. A record whose
identifier someone changed in HubSpot is not found and stays listed; of two members whose addresses one contact has, the
first to leave takes it off. Values travel as text: NULL empties the property, a list becomes `a;b` (checkboxes), a
struct is refused; a datetime wants a zone. A day's calls used up, the sync is deferred until midnight (account's time).
Not documented: whether a wrong value in an update fails alone, and whether a batch looks for additional addresses.
https://developers.hubspot.com/docs/api-reference/latest/crm/lists/guide, …/crm/using-object-apis, …/error-handling,
https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines (read 2026-11)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote

import httpx
import orjson
from pydantic import SecretStr

from audiences import BatchRefused, Category, Connector, DefinitionError, DeliveryError, Limits, Member, Proof, Receipt

OBJECTS = {"contact": ("/crm/v3/objects/contacts", "0-1"), "company": ("/crm/v3/objects/companies", "0-2")}
PAUSES = {423: 2.0, 477: 0.0, "TEN_SECONDLY_ROLLING": 10.0, "DAILY": math.inf}  # seconds; of a 429, by its policy
MAY_LACK = {"expect": {404}}
MAY_REFUSE = {"expect": {400, 409}}
HELD = {"0-1": "contacts", "0-2": "companies"}
NAMED = {"add": "recordsIdsAdded", "remove": "recordIdsRemoved"}  # in an answer; spelt so by the specification
INNER = re.compile(r'"message":\s*("(?:[^"\\]|\\.)*")')  # in a message that says what is wrong in JSON


class Hubspot(Connector):
    limits = Limits(batch=100, concurrency=3, windows=((100, 10),))  # of the smallest plan
    category, proof = Category.CRM, Proof.SPECIFICATION

    class Settings(Connector.Settings):
        access_token: SecretStr

    class Options(Connector.Options):
        object: Literal["contact", "company"] = "contact"
        identify: str = ""

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        self.records, self.type = OBJECTS[self.options.object]
        [(self.by, self.form)] = self.identity.items()

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Any]:
        name = options.identify or ("email" if options.object == "contact" else "")
        if name and name in send:
            return cls.formed([name])
        how = f"is known to HubSpot by {name}, which is not sent" if name else "has no identifier of HubSpot's own"
        do = f'{"send it, or " if name else ""}write identify = "…": a property with unique values, which is sent too'
        raise DefinitionError(f"a {options.object} {how}", do=do)

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        token = settings.access_token.get_secret_value().strip()
        return {"base_url": "https://api.hubapi.com", "headers": {"authorization": f"Bearer {token}"}}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        status = answer.status_code
        return PAUSES.get(str(_body(answer).get("policyName")) if status == 429 else status)

    def check(self) -> None:
        self.http.get("/crm/v3/lists/folders")

    def prepare(self, name: str) -> str:
        path = f"/crm/v3/lists/object-type-id/{self.type}/name/{quote(name, safe='')}"
        found = self.http.get(path, extensions=MAY_LACK)
        if not found.is_success:
            wanted = {"name": name, "objectTypeId": self.type, "processingType": "MANUAL"}
            made = self.http.post("/crm/v3/lists", json=wanted, extensions=MAY_REFUSE)
            found = made if made.is_success else self.http.get(path, extensions=MAY_LACK)  # another was quicker
            if not found.is_success:
                raise BatchRefused(_words(_body(made)))
        return self._check(str(_body(found)["list"]["listId"]))

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        texts = [{name: _text(name, value) for name, value in member.fields.items()} for member in members]
        told = [Member(m.key, fields | {self.by: self.ident(m)}) for m, fields in zip(members, texts, strict=True)]
        records, rejected = self._written(told)
        if not records and len(members) > 1 and len(reasons := set(rejected.values())) == 1:
            raise BatchRefused(reasons.pop())  # as a property that does not exist: perhaps no member's fault
        listed = self._listed(list_id, "add", sorted({*records.values()}))
        lost = {key: "HubSpot did not add it to the list" for key, record in records.items() if record not in listed}
        return Receipt.of(members, rejected | lost)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        found = self._found(members)
        left = self._listed(list_id, "remove", sorted({*found.values()}))
        return Receipt.of(members, {key: "HubSpot left it on the list" for key, ref in found.items() if ref in left})

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        page: dict[str, Any] = {"limit": 250}
        while page:
            answer = self._of(list_id, "GET", "/memberships", params=page)
            ids = [str(each["recordId"]) for each in answer["results"]]
            for part in self.parts(ids, self.limits.batch):
                for each in self._read(part):
                    yield {self.by: each["properties"].get(self.by)}
            after = ((answer.get("paging") or {}).get("next") or {}).get("after")
            page = {"limit": 250, "after": after} if after else {}

    def _check(self, list_id: str) -> str:
        """Look once whether a list is there and may be changed: what it refuses is the fault of no member."""
        if list_id not in self.checked:
            found = self._of(list_id, "GET")["list"]
            kind, of = found["processingType"], found["objectTypeId"]
            if kind not in ("MANUAL", "SNAPSHOT") or of != self.type:
                holds = f"{kind}, of {HELD.get(of, of)}; it has to be static, of {HELD[self.type]}"
                what = f"the HubSpot list {found['name']!r} is {holds}"
                raise DeliveryError(what, do="name another list, or make this one static; `object` says what is sent")
            self.checked.add(list_id)
        return list_id

    def _of(self, list_id: str, method: str, path: str = "", **call: Any) -> Mapping[str, Any]:
        """What a call about a list answers. Raises DeliveryError where the list is gone."""
        answer = self.http.request(method, f"/crm/v3/lists/{quote(list_id, '')}{path}", extensions=MAY_LACK, **call)
        said = _body(answer)
        if not answer.is_success or (said.get("list") or {}).get("deletedAt"):
            do = "restore it in HubSpot, within 90 days; or `audiences forget` this sync, and the next run starts anew"
            raise DeliveryError(f"the HubSpot list {list_id} is gone", do=do)
        return said

    def _written(self, members: Sequence[Member]) -> tuple[dict[str, str], dict[str, str]]:
        """key -> record id of those created or brought up to date; key -> reason for the others."""
        if self.by != "email":
            told = {m.key: {"id": m.fields[self.by], "idProperty": self.by, "properties": m.fields} for m in members}
            return self._write("upsert", told)
        # An upsert by e-mail address cannot be partial, says HubSpot: what is not sent would be lost.
        found = self._found(members)
        new = {m.key: {"associations": [], "properties": m.fields} for m in members if m.key not in found}
        made, refused = self._write("create", new)
        found |= self._found([m for m in members if m.key in refused])  # another was quicker
        rest = {m.key: {name: v for name, v in m.fields.items() if name != self.by} for m in members}
        known = {key: {"id": record, "properties": rest[key]} for key, record in found.items() if rest[key]}
        done, wrong = self._write("update", known) if known else (found, {})
        return made | done, {key: why for key, why in refused.items() if key not in found} | wrong

    def _write(self, verb: str, told: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
        """key -> record id of those whom the answer names, by trace or by identifier; key -> reason for the others."""
        traces = {f"audiences-{n}": key for n, key in enumerate(told)}  # with these, one input fails alone
        known = traces | {str(each.get("id") or each["properties"][self.by]): key for key, each in told.items()}
        said = self._post(verb, [{**told[key], "objectWriteTraceId": trace} for trace, key in traces.items()])
        refused: dict[str, str] = {}
        for error in said.get("errors") or ():
            names = {str(name) for values in (error.get("context") or {}).values() for name in values}
            whose = names & traces.keys() or names & known.keys() or {""}  # nobody's, and so all the others'
            refused |= {known.get(name, ""): _words(error) for name in whose}
        done: dict[str, str] = {}
        for each in said["results"]:
            name = str(each["id"]) if verb == "update" else self.form.of(each["properties"].get(self.by))
            key = known.get(each.get("objectWriteTraceId") or "") or known.get(name)
            if key and key not in refused:
                done[key] = str(each["id"])
        others = refused.pop("", "HubSpot does not say what became of it")
        return done, dict.fromkeys(told.keys() - done.keys(), others) | refused

    def _found(self, members: Sequence[Member]) -> dict[str, str]:
        """key -> record id of those whom HubSpot has; a contact's additional addresses are its own, too."""
        keys = {self.ident(member): member.key for member in members}
        found: dict[str, str] = {}
        for each in self._read(list(keys), idProperty=self.by):
            more = str(each["properties"].get("hs_additional_emails") or "").split(";") if self.by == "email" else []
            names = {self.form.of(name) for name in [each["properties"].get(self.by), *more]}
            found |= {keys[name]: str(each["id"]) for name in names & keys.keys()}
        return found

    def _read(self, ids: Sequence[str], **by: str) -> Sequence[Any]:
        """The records with these ids, or these values of the idProperty; strangers are left out."""
        wanted = [self.by, "hs_additional_emails"] if self.by == "email" else [self.by]
        more = {"properties": wanted, "propertiesWithHistory": [], **by}
        return list(self._post("read", [{"id": each} for each in ids], **more)["results"])

    def _listed(self, list_id: str, verb: str, ids: Sequence[str]) -> set[str]:
        """Those of these records that are on the list after a change; read back where its answer does not name them."""
        said = self._of(list_id, "PUT", f"/memberships/{verb}", json=ids) if ids else {}
        named = {str(each) for each in said.get(NAMED[verb]) or ()}
        listed = named if verb == "add" else set()
        if unsaid := [each for each in ids if each not in named]:  # missing, or it was so before
            body = {"inputs": [{"objectTypeId": self.type, "recordId": each} for each in unsaid]}
            path, looks = "/crm/v3/lists/records/memberships/batch/read", {"reads": True}
            answer = self.http.post(path, json=body, extensions=looks)
            for each in answer.json()["results"]:
                if list_id in {str(one["listId"]) for one in each["recordListMemberships"]}:
                    listed = listed | {str(each["recordId"])}
        return listed

    def _post(self, verb: str, inputs: Sequence[Any], **more: Any) -> Mapping[str, Any]:
        """What a batch call answers; none is made for nobody. Raises BatchRefused, with HubSpot's own words."""
        if not inputs:
            return {"results": []}
        body, call = {"inputs": inputs, **more}, {**MAY_REFUSE, "reads": verb == "read"}
        answer = self.http.post(f"{self.records}/batch/{verb}", json=body, extensions=call)
        if not answer.is_success:
            raise BatchRefused(_words(_body(answer)))
        return _body(answer)


def _body(answer: httpx.Response) -> Mapping[str, Any]:
    """An answer's JSON object; an empty one where it has none: every field of an error is optional."""
    with suppress(TypeError, ValueError):
        return dict(orjson.loads(answer.content))
    return {}


def _words(error: Mapping[str, Any]) -> str:
    """An error's reasons one by one, where it gives them so; else its message."""
    message = str(error.get("message") or "HubSpot gives no reason")
    told = [str(each.get("message") or "") for each in error.get("errors") or ()]
    told = told or [str(orjson.loads(each)) for each in INNER.findall(message)]
    return "; ".join(dict.fromkeys(filter(None, told))) or message


def _text(name: str, value: object) -> str:
    """A value as HubSpot keeps it. Raises BatchRefused, which the worker narrows down to its member."""
    if isinstance(value, float):  # without an exponent: whether HubSpot reads one is not documented
        return f"{Decimal(repr(value)):f}".removesuffix(".0")
    if not isinstance(value, list | Mapping):
        return value if isinstance(value, str) else "" if value is None else orjson.dumps(value).decode()
    if isinstance(value, Mapping):
        raise BatchRefused(f"{name} holds a struct, and a HubSpot property holds text")
    texts = [_text(name, each) for each in value]
    if any(";" in text for text in texts):
        raise BatchRefused(f"{name} holds a list with a `;` in a text, which HubSpot would read as two")
    return ";".join(filter(None, texts))  # a `;` in front would add to the checkboxes that are ticked
