"""Salesforce: a list is a campaign, and on it are contacts, leads or accounts; 200 records a call.

Set-up: in Setup > External Client App Manager an app with OAuth, the scope "Manage user data via APIs (api)" and the
Client Credentials Flow, run as a user who may edit these records and campaigns (a "Marketing User").
SALESFORCE_CLIENT_ID and SALESFORCE_CLIENT_SECRET are its consumer key and secret; SALESFORCE_DOMAIN is the host in
Setup > My Domain: acme.my.salesforce.com, or of a sandbox acme--test.sandbox.my.salesforce.com.

    [sync.salesforce]
    list = "NPS detractors"
    send = { Customer_No__c = "customer_id", NPS__c = "nps_score" }   # a field's API name = column
    identify = "Customer_No__c"   # text, "External ID", "Unique" (ABC and abc as different values); or Email
    object = "contact"            # or "lead"; or "account", where "Accounts as Campaign Members" is enabled
    new = "refuse"                # or "create"

`new` says what becomes of someone whom Salesforce does not know: refused, or created: that may start automations, and
Email Opt Out is off in a new record. Nobody's opt-out is touched: a field that holds one cannot be sent. An identifier
that several records have is refused. Removal deletes the campaign member, never the record. The campaign is found by
its exact name, or made, inactive. Names are not unique there: of several that syncs have made, as their description
tells, the oldest is taken; any other name that several have is refused. NULL empties a field, a struct names a related
record ({"Account_No__c": "A-1"}), a multi-select takes the text `a;b`. Assignment rules are not run.

Calls for up to 200 members: two to four to add or update, two to remove, and one a run to see the campaign; one at a
time, since campaign members lock their campaign: who meets a lock (UNABLE_TO_LOCK_ROW) is refused, and tried again
later. The day's calls used up, the sync is deferred; how long too many calls at once are refused is not documented.
Not the Bulk API, which Salesforce advises above 2,000 records. It takes two jobs in a row, for records and campaign,
each of which waits in a queue and is judged a run later. Jobs bear no name: one whose answer was lost cannot be asked
for, so that whoever is in doubt, of a small batch too, would be sent nothing for the 7 days that a job is kept.
https://developer.salesforce.com/docs/platform/api-rest/guide/ (resources-composite-sobjects-collections-upsert.md,
resources-composite-composite-post.md, resources-query.md, headers-autoassign.md), …/docs/platform/object-reference/
references/standard-objects/object-campaignmember.html, …/docs/atlas.en-us.api_asynch.meta/api_asynch/create_job.htm
(read 2026-11)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote

import httpx
from pydantic import Field, SecretStr, StringConstraints

from audiences import (
    BatchRefused,
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

HOST = r"^[a-z0-9.-]+\.my\.salesforce\.com$"
VERSION = "/services/data/v62.0"
CONSENT = {"hasoptedoutofemail", "hasoptedoutoffax", "donotcall"}  # fields of contacts and leads
MADE = "Kept by audiences."  # the description of a campaign that a sync has made
BUSY = 10.0  # seconds; calls of 20 s and more are the ones that are counted
ESCAPED = str.maketrans({"\\": r"\\", "'": r"\'", "\n": r"\n", "\r": r"\r", "\t": r"\t"})

STRANGER = 'unknown to Salesforce; the option new = "create" would make a record'
SEVERAL = "several records in Salesforce have this identifier"

Judged = tuple[dict[str, str], dict[str, str]]  # key -> id of what was done; key -> reason for the others


class Salesforce(Connector):
    limits = Limits(batch=200)
    category, proof = Category.CRM, Proof.DOCUMENTATION

    class Settings(Connector.Settings):
        domain: Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, pattern=HOST)]
        client_id: str
        client_secret: SecretStr

    class Options(Connector.Options):
        identify: Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_]*$")]
        object: Literal["contact", "lead", "account"] = "contact"
        new: Literal["refuse", "create"] = "refuse"

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        self.object = self.options.object.capitalize()
        [(self.by, self.form)] = self.identity.items()
        self.checked: set[str] = set()  # ids of campaigns

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        if options.identify not in send:
            do = f"add it to send, or choose from: {', '.join(send)}"
            raise DefinitionError(f"identify names {options.identify!r}, which is not sent", do=do)
        if consent := [name for name in send if name.lower() in CONSENT]:
            what = f"{consent[0]} is a person's own choice, which a sync never changes"
            raise DefinitionError(what, do="take it out of send")
        return {options.identify: Form.CASELESS if options.identify.lower() == "email" else Form.EXACT}

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        host, key = f"https://{settings.domain}", settings.client_secret.get_secret_value().strip()
        url, name = f"{host}/services/oauth2/token", settings.client_id.strip()
        auth = ClientCredentials(url, client_id=name, client_secret=key, client_auth="body")
        # Without it an update, too, hands a lead to whom the rules name.
        return {"base_url": f"{host}{VERSION}", "auth": auth, "headers": {"sforce-auto-assign": "FALSE"}}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """Too many calls, in a day or at once, are a 403 of one code; only its words tell which."""
        if answer.status_code != 403 or b"REQUEST_LIMIT_EXCEEDED" not in answer.content:
            return None
        return BUSY if b"Concurrent" in answer.content else math.inf

    def check(self) -> None:
        list(self._rows("SELECT Id FROM Campaign LIMIT 1"))

    def prepare(self, name: str) -> str:
        if not (found := self._named(name)):
            self.http.post("/sobjects/Campaign", json={"Name": name, "Description": MADE})
            found = self._named(name)  # the oldest, where another was quicker or an answer was lost
        if found:
            return found
        raise DeliveryError(f"Salesforce does not show the campaign {name!r} that it has made", do="run again")

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        known, strange = self._known(members) if self.options.new == "refuse" else ({}, {})
        records, rejected = self._written([each for each in members if each.key not in strange], known)
        lost = self._joined(list_id, [each for each in members if each.key in records], records)
        return Receipt.of(members, strange | rejected | lost)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        found = self._joint(list_id, members)
        rejected = {key: SEVERAL for key, ids in found.items() if len(ids) > 1}
        ids = {key: each for key, [each, *_] in found.items() if key not in rejected}
        failed = self._all("DELETE", ids, params={"ids": ",".join(ids.values()), "allOrNone": "false"})[1]
        still = self._joint(list_id, [each for each in members if each.key in failed])
        return Receipt.of(members, rejected | {key: why for key, why in failed.items() if key in still})

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        self._check(list_id)
        where = f"CampaignId = '{list_id}' AND {self.object}Id != null"
        for row in self._rows(f"SELECT {self.object}.{self.by} FROM CampaignMember WHERE {where}"):
            yield {self.by: _at(row, f"{self.object}.{self.by}")}

    def _named(self, name: str) -> str | None:
        """The id of the campaign with this name. SOQL compares without regard to case."""
        wanted = f"SELECT Id, Name, Description FROM Campaign WHERE Name = {_quoted(name)} ORDER BY CreatedDate, Id"
        found = {row["Id"]: row["Description"] for row in self._rows(wanted) if row["Name"] == name}
        if len(found) > 1 and {*found.values()} != {MADE}:
            what = f"{name!r} is the name of several campaigns: {', '.join(found)}"
            raise DefinitionError(what, do="write the id of one as list_id, or rename the others")
        return next(iter(found), None)

    def _check(self, list_id: str) -> None:
        """Look once whether a campaign is there: that it is not is the fault of no member."""
        if not re.fullmatch("[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?", list_id, re.ASCII):
            do = "write `list`, the name of a campaign, or its id of 15 or 18 characters as list_id"
            raise DefinitionError(f"{list_id!r} is not the id of a campaign", do=do)
        if list_id not in self.checked and not list(self._rows(f"SELECT Id FROM Campaign WHERE Id = '{list_id}'")):
            do = "restore it in Salesforce; or `audiences forget` this sync, and the next run starts anew"
            raise DeliveryError(f"the campaign {list_id} is gone, or is not shown to this user", do=do)
        self.checked.add(list_id)

    def _known(self, members: Sequence[Member]) -> Judged:
        """Those whom Salesforce has once, and why the others are refused."""
        found = self._found(members, self.object, self.by)
        known = {key: ids[0] for key, ids in found.items() if len(ids) == 1}
        return known, {m.key: SEVERAL if m.key in found else STRANGER for m in members if m.key not in known}

    def _joint(self, list_id: str, members: Sequence[Member]) -> dict[str, list[str]]:
        """key -> ids of the campaign's members, by the identifier that their records have now."""
        return self._found(members, "CampaignMember", f"{self.object}.{self.by}", f"CampaignId = '{list_id}' AND ")

    def _found(self, members: Sequence[Member], table: str, field: str, where: str = "") -> dict[str, list[str]]:
        """key -> ids of the rows in which a field has the member's identifier."""
        keys, found = {self.ident(member): member.key for member in members}, dict[str, list[str]]()
        wanted = ", ".join(map(_quoted, keys))
        for row in self._rows(f"SELECT Id, {field} FROM {table} WHERE {where}{field} IN ({wanted})") if keys else ():
            if key := keys.get(self.form.of(_at(row, field))):
                found.setdefault(key, []).append(row["Id"])
        return found

    def _written(self, members: Sequence[Member], known: Mapping[str, str]) -> Judged:
        """Records created or brought up to date; only those that are known, where any are."""
        create, told = self.options.new == "create", dict[str, Any]()
        idle = {} if create else {m.key: known[m.key] for m in members if m.fields.keys() == {self.by}}
        for member in members:
            fields = {name: value for name, value in member.fields.items() if name != self.by}
            who = {self.by: self.ident(member)} if create else {"id": known[member.key]}
            told[member.key] = {"attributes": {"type": self.object}, **fields, **who}
        told = {key: each for key, each in told.items() if key not in idle}
        done, failed = self._all("PATCH", told, f"/{self.object}/{self.by}" if create else "")
        if not done and len(failed) > 1 and len(reasons := {*failed.values()}) == 1:
            raise BatchRefused(reasons.pop())  # as a field that does not exist: perhaps no member's fault
        return done | idle, failed

    def _joined(self, list_id: str, members: Sequence[Member], records: Mapping[str, str]) -> dict[str, str]:
        """Put on the campaign whoever is not; key -> reason for those who are not on it afterwards."""
        there, row = self._joint(list_id, members), {"attributes": {"type": "CampaignMember"}, "CampaignId": list_id}
        new = {m.key: {**row, f"{self.object}Id": records[m.key]} for m in members if m.key not in there}
        failed = self._all("POST", new)[1]
        # Another, or an attempt of this call whose answer was lost, may have been quicker.
        there = self._joint(list_id, [each for each in members if each.key in failed])
        return {key: why for key, why in failed.items() if key not in there}

    def _all(self, method: str, told: Mapping[str, Any], path: str = "", **call: Any) -> Judged:
        """What became of each of these, done for itself. The answer is in their order; no call is made for nobody."""
        if not told:
            return {}, {}
        call = call or {"json": {"allOrNone": False, "records": list(told.values())}}
        said = list(zip(told, self.http.request(method, f"/composite/sobjects{path}", **call).json(), strict=True))
        done = {key: str(each["id"]) for key, each in said if each["success"] is True}
        return done, {key: _words(each["errors"]) for key, each in said if key not in done}

    def _rows(self, soql: str) -> Iterator[Mapping[str, Any]]:
        """The rows of a query. It travels in a body: an address takes 16,384 bytes, and stands in logs."""
        asked = {"method": "GET", "url": f"{VERSION}/query?q={quote(soql, safe='')}", "referenceId": "rows"}
        said = self.http.post("/composite", json={"compositeRequest": [asked]}, extensions={"reads": True}).json()
        [answer] = said["compositeResponse"]
        if answer["httpStatusCode"] != 200:
            # Its words would show the query, and people in it.
            why = ", ".join(str(each["errorCode"]) for each in answer["body"])
            do = "check `object` and `identify` (a text field's API name), and what the app's user may read"
            raise DeliveryError(f"Salesforce refuses to look something up ({why})", do=do)
        page = answer["body"]
        yield from page["records"]
        while not page["done"]:
            page = self.http.get(f"/query/{page['nextRecordsUrl'].rpartition('/')[2]}").json()
            yield from page["records"]


def _quoted(value: str) -> str:
    return f"'{value.translate(ESCAPED)}'"


def _at(row: Mapping[str, Any], path: str) -> object:
    """The value at a path such as `Contact.Email`, its names in any case."""
    found: Any = row
    for name in path.lower().split("."):
        found = {each.lower(): value for each, value in found.items()}[name]
    return found


def _words(errors: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(f"{each['statusCode']}: {each['message']}" for each in errors) or "Salesforce gives no reason"
