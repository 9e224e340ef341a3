"""Dynamics 365: a list is a static marketing list of contacts, leads or accounts in Dataverse. Experimental.

Set-up: an app registration in Microsoft Entra with a client secret, added in the Power Platform admin center as an
application user whose role may read and write these records and marketing lists. DYNAMICS365_URL is the environment
(https://acme.crm4.dynamics.com, with its region), DYNAMICS365_TENANT_ID, DYNAMICS365_CLIENT_ID and
DYNAMICS365_CLIENT_SECRET are of the registration.

    [sync.dynamics365]
    list = "NPS detractors"
    send = { emailaddress1 = "email", new_npsscore = "nps_score" }   # a column's logical name = column
    identify = "emailaddress1"   # a text column that is unique, if not by an alternate key, then in fact
    object = "contact"           # or "lead", "account"
    experimental = true

Who is not in Dynamics is refused, and so is an identifier that several records have: nobody is created, since a lost
answer could create them twice. Nobody's opt-out is touched: a column that holds one cannot be sent. Removal takes the
list's member away, never the record. The list is found by its exact name, or made, under an id that follows from the
name, so that it is made once; a dynamic or a locked list, or one of other records, is refused. NULL empties a column.

Calls: for each 10 members one to find them, for each 50 one to see who is on the list; for each member one to update
(none where only the identifier is sent), and one to add or to remove. At most 6,000 calls in 5 minutes, as documented
for a user on one web server. Contacts whose identifier was changed in Dynamics are not found, and stay listed.

Not confirmed, hence experimental: that a list's member is deleted as its table's page has it (DELETE listmembers), and
what the action that adds one says of someone who is on the list. So the list is read before and after, and who is not
on it after an addition that was refused, or is on it after a removal, is refused.
https://learn.microsoft.com/dynamics365/developer/reference/entities/ (list, listmember),
https://learn.microsoft.com/previous-versions/dynamicscrm-2016/developers-guide/mt607495(v=crm.8) (AddMemberList),
https://learn.microsoft.com/power-apps/developer/data-platform/ (api-limits, webapi/query-data-web-api,
webapi/perform-conditional-operations-using-web-api; read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal
from uuid import NAMESPACE_URL, uuid5

import httpx
from pydantic import Field, SecretStr, StringConstraints

from audiences import (
    Category,
    ClientCredentials,
    Connector,
    DefinitionError,
    DeliveryError,
    Form,
    Limits,
    Member,
    Proof,
    Receipt,
)

HOST = r"^https://[a-z0-9-]+\.crm[0-9]*\.dynamics\.com$"
GUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
OBJECTS = {"account": 1, "contact": 2, "lead": 4}  # the codes of a list's kind
CONSENT = re.compile("donot[a-z]+|followemail|msdyn_gdproptout")
ODATA = {"odata-version": "4.0", "odata-maxversion": "4.0"}
MAY_REFUSE = {"expect": {400, 404, 412}}
PAGE = 50  # ids in a query; of identifiers, which may be long, a fifth: an address takes 32 KB

STRANGER = "unknown to Dynamics 365; it is on the list once it has a record there"
SEVERAL = "several records in Dynamics 365 have this identifier"
KEPT = "Dynamics 365 left it on the list, and gave no reason"


class Dynamics365(Connector):
    limits = Limits(batch=50, concurrency=4, windows=((6000, 300),))  # documented: 52 at once; a batch has to end soon
    category, proof = Category.CRM, Proof.EXPERIMENTAL

    class Settings(Connector.Settings):
        url: Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, pattern=HOST)]
        tenant_id: Annotated[str, Field(pattern="^[0-9A-Za-z.-]+$")]
        client_id: str
        client_secret: SecretStr

    class Options(Connector.Options):
        identify: Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
        object: Literal["contact", "lead", "account"] = "contact"

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        self.object = self.options.object
        [(self.by, self.form)] = self.identity.items()

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        if options.identify not in send:
            do = f"add it to send, or choose from: {', '.join(send)}"
            raise DefinitionError(f"identify names {options.identify!r}, which is not sent", do=do)
        if consent := [name for name in send if CONSENT.fullmatch(name)]:
            what = f"{consent[0]} is a person's own choice, which a sync never changes"
            raise DefinitionError(what, do="take it out of send")
        return {options.identify: Form.CASELESS if options.identify.startswith("emailaddress") else Form.EXACT}

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        url = f"https://login.microsoftonline.com/{settings.tenant_id}/oauth2/v2.0/token"
        name, key = settings.client_id.strip(), settings.client_secret.get_secret_value().strip()
        scope = f"{settings.url}/.default"
        auth = ClientCredentials(url, client_id=name, client_secret=key, client_auth="body", scope=scope)
        return {"base_url": f"{settings.url}/api/data/v9.2", "auth": auth, "headers": ODATA}

    def check(self) -> None:
        self.http.get("/WhoAmI")

    def prepare(self, name: str) -> str:
        if found := self._named(name):
            return self._check(found)
        list_id = uuid5(NAMESPACE_URL, f"audiences:{self.object}:{name}")
        body = {"listname": name, "type": False, "createdfromcode": OBJECTS[self.object]}
        # 412: it is there, made by another or by an attempt of this call whose answer was lost.
        self.http.patch(f"/lists({list_id})", json=body, headers={"if-none-match": "*"}, extensions={"expect": {412}})
        if found := self._named(name):
            return self._check(found)
        what = f"the marketing list {list_id}, made as {name!r}, has another name now"
        raise DefinitionError(what, do="write its id as list_id, or give this list another name")

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        records, rejected = self._known(members)
        there = self._on(list_id, list(records.values()))
        for member in members:
            if record := records.get(member.key):
                why = self._updated(record, member) or ("" if record in there else self._added(list_id, record))
                rejected |= {member.key: why} if why else {}
        return Receipt.of(members, rejected)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        records, rejected = self._known(members)
        listed, why = self._on(list_id, list(records.values())), dict[str, str]()
        for record, row in listed.items():
            answer = self.http.delete(f"/listmembers({row})", extensions=MAY_REFUSE)
            why[record] = "" if answer.is_success else _words(answer)
        still = self._on(list_id, list(listed))
        kept = {key: why[record] or KEPT for key, record in records.items() if record in still}
        return Receipt.of(members, {key: each for key, each in rejected.items() if each != STRANGER} | kept)

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        self._check(list_id)
        rows = self._rows("/listmembers", "_entityid_value", f"_listid_value eq {list_id}")
        ids = [each["_entityid_value"] for each in rows]
        for part in self.parts(ids, PAGE):
            wanted = " or ".join(f"{self.object}id eq {each}" for each in part)
            for record in self._rows(f"/{self.object}s", self.by, wanted):
                yield {self.by: record[self.by]}

    def _named(self, name: str) -> str | None:
        """The id of the list with this name. Dataverse compares without regard to case."""
        listed = self._rows("/lists", "listid,listname", f"listname eq {_quoted(name)}")
        found = [str(each["listid"]) for each in listed if each["listname"] == name]
        if len(found) > 1:
            what = f"{name!r} is the name of several marketing lists: {', '.join(found)}"
            raise DefinitionError(what, do="write the id of one as list_id, or rename the others")
        return next(iter(found), None)

    def _check(self, list_id: str) -> str:
        """Look once whether a list is there and may be changed: what it refuses is the fault of no member."""
        if not GUID.fullmatch(list_id):
            do = "write `list`, the name of a marketing list, or its id (a GUID in lower case) as list_id"
            raise DefinitionError(f"{list_id!r} is not the id of a marketing list", do=do)
        if list_id in self.checked:
            return list_id
        wanted = {"$select": "listname,type,createdfromcode,lockstatus"}
        answer = self.http.get(f"/lists({list_id})", params=wanted, extensions={"expect": {404}})
        if not answer.is_success:
            do = "`audiences forget` this sync, and the next run starts anew, with a list of this name"
            raise DeliveryError(f"the marketing list {list_id} is gone", do=do)
        said = answer.json()
        if said["type"] or said["lockstatus"] or said["createdfromcode"] != OBJECTS[self.object]:
            what = f"the marketing list {said['listname']!r} is dynamic or locked, or not of {self.object}s"
            raise DeliveryError(what, do="name another list, or unlock this one; `object` says what is sent")
        self.checked.add(list_id)
        return list_id

    def _known(self, members: Sequence[Member]) -> tuple[dict[str, str], dict[str, str]]:
        """key -> record id of those whom Dynamics has once; key -> reason for the others."""
        keys, found = {self.ident(member): member.key for member in members}, dict[str, list[str]]()
        for part in self.parts([*keys], PAGE // 5):
            wanted = " or ".join(f"{self.by} eq {_quoted(each)}" for each in part)
            for row in self._rows(f"/{self.object}s", f"{self.object}id,{self.by}", wanted):
                if key := keys.get(self.form.of(row[self.by])):
                    found.setdefault(key, []).append(row[f"{self.object}id"])
        known = {key: ids[0] for key, ids in found.items() if len(ids) == 1}
        return known, {m.key: SEVERAL if m.key in found else STRANGER for m in members if m.key not in known}

    def _on(self, list_id: str, records: Sequence[str]) -> dict[str, str]:
        """record id -> id of its row, of those of these records that are on the list."""
        wanted = " or ".join(f"_entityid_value eq {each}" for each in records)
        where = f"_listid_value eq {list_id} and ({wanted})"
        rows = self._rows("/listmembers", "listmemberid,_entityid_value", where) if records else ()
        return {each["_entityid_value"]: each["listmemberid"] for each in rows}

    def _updated(self, record: str, member: Member) -> str:
        """Bring a record up to date, and never make one; the reason where it is refused."""
        fields = {name: value for name, value in member.fields.items() if name != self.by}
        if not fields:
            return ""
        path, only = f"/{self.object}s({record})", {"if-match": "*"}
        answer = self.http.patch(path, json=fields, headers=only, extensions=MAY_REFUSE)
        return "" if answer.is_success else _words(answer)

    def _added(self, list_id: str, record: str) -> str:
        """Put a record on a list; the reason where it is not there afterwards."""
        path, body = f"/lists({list_id})/Microsoft.Dynamics.CRM.AddMemberList", {"EntityId": record}
        answer = self.http.post(path, json=body, extensions=MAY_REFUSE)
        return "" if answer.is_success or self._on(list_id, [record]) else _words(answer)

    def _rows(self, path: str, select: str, where: str) -> Iterator[Mapping[str, Any]]:
        """The rows of a table, page by page."""
        page = self.http.get(path, params={"$select": select, "$filter": where}).json()
        while True:
            yield from page["value"]
            if not (link := page.get("@odata.nextLink")):
                return
            # To the account's own host, whatever the link says.
            page = self.http.get(self.http.base_url.copy_with(raw_path=httpx.URL(link).raw_path)).json()


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _words(answer: httpx.Response) -> str:
    with suppress(ValueError, TypeError, KeyError):
        return f"{answer.json()['error']['message']}"
    return f"Dynamics 365 answered {answer.status_code}, without a word"
