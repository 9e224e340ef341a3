"""Salesforce: a list is a campaign, and on it are contacts, leads or accounts; 200 records a call, 5,000 a job.

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
    bulk = 2000                   # members; a batch of more goes by a job; 5000: none does, for none has more

`new` says what becomes of someone whom Salesforce does not know: refused, or created: that may start automations, and
Email Opt Out is off in a new record. Nobody's opt-out is touched: a field that holds one cannot be sent. An identifier
that several records have is refused. Removal deletes the campaign member, never the record. The campaign is found by
its exact name, or made, inactive. Names are not unique there: of several that syncs have made, as their description
tells, the oldest is taken; any other name that several have is refused. NULL empties a field, a struct names a related
record ({"Account_No__c": "A-1"}), a multi-select takes the text `a;b`. Assignment rules are not run.

Calls for up to 200 members: two to four to add or update, two to remove, and one a run to see the campaign; one at a
time, since campaign members lock their campaign: who meets a lock (UNABLE_TO_LOCK_ROW) is refused, and tried again
later. The day's calls used up, the sync is deferred; how long too many calls at once are refused is not documented.
A job of the Bulk API 2.0 writes the records, or removes the campaign members. What became of each is known in the next
run, which adds them to the campaign by calls: jobs run side by side, and would lock it for each other. A job begins
once its ticket is written down, so that none is at work unseen. A struct makes its batch go by calls, for a related
record that is missing would fail a whole job. Not documented: how long a job waits before its 20 tries of 5 minutes;
whoever is in doubt is sent nothing for 2 hours.
https://developer.salesforce.com/docs/platform/api-rest/guide/ (resources-composite-sobjects-collections-upsert.md,
resources-composite-composite-post.md, resources-query.md, headers-autoassign.md), …/docs/platform/object-reference/
references/standard-objects/object-campaignmember.html, …/docs/platform/api-asynch/guide/ (read 2026-11)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

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
    SObjects,
)

HOST = r"^[a-z0-9.-]+\.my\.salesforce\.com$"
VERSION = "/services/data/v62.0"
CONSENT = {"hasoptedoutofemail", "hasoptedoutoffax", "donotcall"}  # fields of contacts and leads
MADE = "Kept by audiences."  # the description of a campaign that a sync has made
BUSY = 10.0  # seconds; calls of 20 s and more are the ones that are counted

STRANGER = 'unknown to Salesforce; the option new = "create" would make a record'
SEVERAL = "several records in Salesforce have this identifier"

Judged = tuple[dict[str, str], dict[str, str]]  # key -> id of what was done; key -> reason for the others


class Salesforce(Connector):
    limits = Limits(batch=5000, bytes=5_000_000)  # what a job did repeats its rows, in an answer of at most 10 MiB
    category, proof = Category.CRM, Proof.DOCUMENTATION
    judged_within = timedelta(hours=2)

    class Settings(Connector.Settings):
        domain: Annotated[str, StringConstraints(strip_whitespace=True, to_lower=True, pattern=HOST)]
        client_id: str
        client_secret: SecretStr

    class Options(Connector.Options):
        identify: Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9_]*$")]
        object: Literal["contact", "lead", "account"] = "contact"
        new: Literal["refuse", "create"] = "refuse"
        bulk: int = Field(2000, ge=0, description="members; a batch of more goes by a job of the Bulk API")

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        self.object = self.options.object.capitalize()
        [(self.by, self.form)] = self.identity.items()
        self.made_by = self.by if self.options.new == "create" else ""  # the external id that an upsert is by
        self.org = SObjects(self.http)

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
        list(self.org.rows("SELECT Id FROM Campaign LIMIT 1"))

    def prepare(self, name: str) -> str:
        if not (found := self._named(name)):
            self.http.post("/sobjects/Campaign", json={"Name": name, "Description": MADE})
            found = self._named(name)  # the oldest, where another was quicker or an answer was lost
        if found:
            return found
        raise DeliveryError(f"Salesforce does not show the campaign {name!r} that it has made", do="run again")

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        known, strange = ({}, {}) if self.made_by else self._known(members)
        told = self._told([each for each in members if each.key not in strange], known)
        operation = "upsert" if self.made_by else "update"
        if ticket := self._ticket(list_id, told, operation, self.object, self.made_by):
            return Receipt.of(members, strange, ticket)
        records, rejected = self._written(told)
        records |= {key: each for key, each in known.items() if key not in told}
        return Receipt.of(members, strange | rejected | self._joined(list_id, members, records))

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        self._check(list_id)
        found = self._joint(list_id, members)
        rejected = {key: SEVERAL for key, ids in found.items() if len(ids) > 1}
        ids = {key: each for key, [each, *_] in found.items() if key not in rejected}
        told = {key: {"id": each} for key, each in ids.items()}
        if ticket := self._ticket(list_id, told, "delete", "CampaignMember"):
            return Receipt.of(members, rejected, ticket)
        failed = self.org.delete(ids)[1]
        still = self._joint(list_id, [each for each in members if each.key in failed])
        return Receipt.of(members, rejected | {key: why for key, why in failed.items() if key in still})

    def flush(self, list_id: str) -> None:
        """Begin what was uploaded: by now each ticket is written down, so that no job is at work without one."""
        self.org.begin()

    def outcome(self, ticket: str, members: Sequence[Member]) -> Receipt | None:
        job, list_id = ticket.split()
        if not (ended := self.org.ended(job)):
            return None
        if ended.operation == "delete":
            still = self._joint(list_id, members)
            return Receipt.of(members, {key: ended.why(each) for key, [each, *_] in still.items()})
        idents = {each.key: self.ident(each) for each in members}
        names = idents if ended.operation == "upsert" else self._known(members)[0]
        records = {key: ended.done[name] for key, name in names.items() if name in ended.done}
        rejected = {key: ended.why(names.get(key, "")) for key in idents if key not in records}
        return Receipt.of(members, rejected | self._joined(list_id, members, records))

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        self._check(list_id)
        where = f"CampaignId = '{list_id}' AND {self.object}Id != null"
        for value, _ in self.org.column("CampaignMember", f"{self.object}.{self.by}", where):
            yield {self.by: value}

    def _named(self, name: str) -> str | None:
        """The id of the campaign with this name. SOQL compares without regard to case."""
        wanted = f"WHERE Name = {self.org.quoted(name)} ORDER BY CreatedDate, Id"
        rows = self.org.rows(f"SELECT Id, Name, Description FROM Campaign {wanted}")
        found = {row["Id"]: row["Description"] for row in rows if row["Name"] == name}
        if len(found) > 1 and {*found.values()} != {MADE}:
            what = f"{name!r} is the name of several campaigns: {', '.join(found)}"
            raise DefinitionError(what, do="write the id of one as list_id, or rename the others")
        return next(iter(found), None)

    def _check(self, list_id: str) -> None:
        """Look once whether a campaign is there: that it is not is the fault of no member."""
        if not re.fullmatch("[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?", list_id, re.ASCII):
            do = "write `list`, the name of a campaign, or its id of 15 or 18 characters as list_id"
            raise DefinitionError(f"{list_id!r} is not the id of a campaign", do=do)
        if list_id not in self.checked and not list(self.org.rows(f"SELECT Id FROM Campaign WHERE Id = '{list_id}'")):
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
        for value, ref in self.org.found(table, field, [*keys], where):
            if key := keys.get(self.form.of(value)):
                found.setdefault(key, []).append(ref)
        return found

    def _told(self, members: Sequence[Member], known: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """key -> the record to write; none for whom Salesforce knows, where only the identifier is sent."""
        told = dict[str, dict[str, Any]]()
        for member in members:
            fields = {name: value for name, value in member.fields.items() if name != self.by}
            if self.made_by:
                told[member.key] = {**fields, self.by: self.ident(member)}
            elif fields:
                told[member.key] = {**fields, "id": known[member.key]}
        return told

    def _ticket(self, list_id: str, told: Mapping[str, Mapping[str, Any]], *how: str) -> str:
        """A job for these, where they are so many that they go by one, and none has a value that it cannot take."""
        job = self.org.upload(told.values(), *how) if len(told) > self.options.bulk else ""
        return f"{job} {list_id}" if job else ""

    def _written(self, told: Mapping[str, Mapping[str, Any]]) -> Judged:
        """Records created or brought up to date."""
        done, failed = self.org.write("PATCH", self.object, told, self.made_by)
        if not done and len(failed) > 1 and len(reasons := {*failed.values()}) == 1:
            raise BatchRefused(reasons.pop())  # as a field that does not exist: perhaps no member's fault
        return done, failed

    def _joined(self, list_id: str, members: Sequence[Member], records: Mapping[str, str]) -> dict[str, str]:
        """Put on the campaign who has a record and is not; key -> reason for those who are not on it afterwards."""
        there = self._joint(list_id, [each for each in members if each.key in records])
        row = {"CampaignId": list_id}
        new = {key: {**row, f"{self.object}Id": each} for key, each in records.items() if key not in there}
        failed = self.org.write("POST", "CampaignMember", new)[1]
        # Another, or an attempt of this call whose answer was lost, may have been quicker.
        there = self._joint(list_id, [each for each in members if each.key in failed])
        return {key: why for key, why in failed.items() if key not in there}
