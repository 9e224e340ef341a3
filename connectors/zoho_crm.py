"""Zoho CRM: a list is a tag on contacts or leads; 50 a call. No record is made, and no opt-out touched.

Set-up: at https://api-console.zoho.com, or its sister in your data centre, a Self Client: ZOHO_CRM_CLIENT_ID,
ZOHO_CRM_CLIENT_SECRET. There, "Generate Code" with the scopes ZohoCRM.coql.READ, ZohoCRM.modules.contacts.ALL (or
leads), ZohoCRM.settings.tags.ALL and ZohoCRM.settings.fields.READ, and exchange it for ZOHO_CRM_REFRESH_TOKEN, as the
API's page on tokens shows. ZOHO_CRM_REGION is the data centre, as its pages' address tells: us, eu, in, au, jp, ca, cn.

    [sync.zoho_crm]
    list = "Detractors"
    send = { Email = "email", NPS_Score = "nps_score" }   # a field's API name = column
    module = "Contacts"          # or "Leads"
    identify = "Email"           # or the API name of another field of text

The tag is found by its exact name in the module, or made; its name has at most 25 characters. Who is no record yet is
refused: Zoho wants more of a new one than a list knows, and a query that follows may not find it. Of several records
with one identifier each is tagged. Values travel as they are, NULL as null. Workflows, approvals and blueprints are not
started by an update; tags may start some. Opt-outs, consent and tags cannot be sent: to be on a list is not consent.
Removal takes the tag away, nothing else; who is not found any more, as someone whose address was changed in Zoho,
counts as removed and stays tagged.

Credits are counted in any 24 hours and organisation, 5,000 on the smallest plan. Each 50 members cost two, and up to
five more with fields; reading back one for 200 records of the module. Used up, the sync is deferred; the smallest plan
has 5 calls under way at once. Each start of the worker is a sign-in, of which Zoho allows ten in ten minutes.
Not documented: whether a query tells cases apart, or finds an encrypted field's value; how soon it finds a new record;
how many records can be read back, 100,000 as it seems; what taking away a tag makes of a record without it; whether a
spent day says so (X-API-CREDITS-REMAINING: 0). Where it does not, a few tries are made, and no more.
https://www.zoho.com/crm/developer/docs/api/v8/ (add-tags, update-records, Get-Records-through-COQL-Query, multi-dc,
api-limits), https://help.zoho.com/portal/en/community/topic/kaizen-171-faqs-on-coql-api (quotes),
https://github.com/zoho/crm-oas (read 2026-11)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

import httpx
from pydantic import Field, SecretStr

from audiences import (
    BatchRefused,
    Category,
    Connector,
    DefinitionError,
    Form,
    Limits,
    Member,
    Proof,
    Receipt,
    RefreshToken,
)

# Data centre -> where to sign in, where the API is.
DOMAINS = {
    "us": ("zoho.com", "zohoapis.com"),
    "eu": ("zoho.eu", "zohoapis.eu"),
    "in": ("zoho.in", "zohoapis.in"),
    "au": ("zoho.com.au", "zohoapis.com.au"),
    "jp": ("zoho.jp", "zohoapis.jp"),
    "ca": ("zohocloud.ca", "zohoapis.ca"),
    "cn": ("zoho.com.cn", "zohoapis.com.cn"),
}
LONGEST = 25  # characters of a tag's name
RECORDS = 100  # a call that changes them; tags take 500
PAGE = 200
MAY_FAIL = {"expect": {400}}  # also where every item of a call failed
ITS_OWN = frozenset({"Data_Processing_Basis", "Email_Opt_Out", "Tag", "Unsubscribed_Mode", "Unsubscribed_Time", "id"})

STRANGER = "no record of the module; make one in Zoho, or look whether the sign-in's user may see it"
UNFIT = "its identifier holds a quotation mark or a backslash, and might not be found again"
SILENT = "Zoho does not say that it changed this record"


class ZohoCrm(Connector):
    limits = Limits(batch=50, concurrency=5)
    category, proof = Category.CRM, Proof.SDK

    class Settings(Connector.Settings):
        client_id: str
        client_secret: SecretStr
        refresh_token: SecretStr
        region: Literal["us", "eu", "in", "au", "jp", "ca", "cn"]

    class Options(Connector.Options):
        module: Literal["Contacts", "Leads"] = "Contacts"
        identify: Annotated[str, Field(pattern=r"^[A-Za-z]\w*$", description="what a record is known by")] = "Email"

    def __init__(self, *account: Any, **run: Any):
        super().__init__(*account, **run)
        [(self.by, self.form)] = self.identity.items()
        self.tags: Mapping[str, str] = {}  # id -> name

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        if options.identify not in send:
            what = f"a record is known to Zoho by {options.identify}, which is not sent"
            raise DefinitionError(what, do=f'send it: send = {{ {options.identify} = "<column>" }}')
        if own := sorted(ITS_OWN & set(send)):
            do = "take it out of send; tags and opt-outs are changed in Zoho, each by its own hand"
            raise DefinitionError(f"{own[0]!r} is not for a list to write", do=do)
        return {options.identify: Form.CASELESS if options.identify == "Email" else Form.EXACT}

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        accounts, api = DOMAINS[settings.region]
        url, name = f"https://accounts.{accounts}/oauth/v2/token", settings.client_id.strip()
        key, token = (each.get_secret_value().strip() for each in (settings.client_secret, settings.refresh_token))
        how: dict[str, Any] = {"client_auth": "body", "scheme": "Zoho-oauthtoken"}
        auth = RefreshToken(url, refresh_token=token, client_id=name, client_secret=key, **how)
        return {"base_url": f"https://www.{api}/crm/v8", "auth": auth}

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """A 429 is too many calls at once, which pass, or a day without credits, which does not. Neither says when."""
        spent = answer.status_code == 429 and answer.headers.get("x-api-credits-remaining") == "0"
        return math.inf if spent else None

    def check(self) -> None:
        self._known()

    def prepare(self, name: str) -> str:
        if len(name) > LONGEST:
            what = f"{name!r} has {len(name)} characters, and the name of a tag in Zoho at most {LONGEST}"
            raise DefinitionError(what, do="give the list a shorter name")
        if found := [id_ for id_, each in self._known().items() if each == name]:
            return found[0]
        body, query = {"tags": [{"name": name}]}, {"module": self.options.module}
        answer = self.http.post("/settings/tags", params=query, json=body, extensions=MAY_FAIL)
        # Also where another run made it, or this call's first attempt, whose answer was lost: names are unique.
        if found := [id_ for id_, each in self._known().items() if each == name]:
            return found[0]
        said = "; ".join(map(_words, _said(answer).get("tags", ())))
        what = f"Zoho makes no tag {name!r}: {said or 'it gives no reason'}"
        raise DefinitionError(what, do="make it in Zoho, or give the list another name")

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        tag, found = self._tag(list_id), self._found(members)
        rows = {
            record: {name: value for name, value in member.fields.items() if name != self.by}
            for member in members
            for record in found.get(self.ident(member), ())
        }
        why = self._updated(rows)
        why |= self._changed("add_tags", [each for each in rows if each not in why], tags=[tag], over_write=False)
        strangers = [member for member in members if self.ident(member) not in found]
        refused = {member.key: UNFIT if _unfit(self.ident(member)) else STRANGER for member in strangers}
        return Receipt.of(members, refused | self._reasons(members, found, why))

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        tag, found = self._tag(list_id), self._found(members)
        records = [*dict.fromkeys(record for each in found.values() for record in each)]
        return Receipt.of(members, self._reasons(members, found, self._changed("remove_tags", records, tags=[tag])))

    def members(self, list_id: str) -> Iterator[Mapping[str, object]]:
        tag = self._tag(list_id)
        query: dict[str, Any] = {"fields": f"{self.by},Tag", "per_page": PAGE}
        while True:
            said = _said(self.http.get(f"/{self.options.module}", params=query))
            for each in said.get("data", ()):
                if tag["id"] in (str(one["id"]) for one in each.get("Tag") or ()) and each.get(self.by):
                    yield {self.by: each[self.by]}
            if not said or not said["info"]["more_records"]:
                return
            query = {**query, "page_token": said["info"]["next_page_token"]}

    def _known(self) -> Mapping[str, str]:
        """id -> name of the module's tags; they come in one page."""
        said = _said(self.http.get("/settings/tags", params={"module": self.options.module}))
        return {str(each["id"]): str(each["name"]) for each in said.get("tags", ())}

    def _tag(self, list_id: str) -> Mapping[str, str]:
        """The list's tag, looked up once: one that is gone would be made anew by its name."""
        if list_id not in self.tags:
            self.tags = self._known()
        if list_id in self.tags:
            return {"id": list_id, "name": self.tags[list_id]}
        do = "check module and ZOHO_CRM_REGION; a deleted tag is made anew after `audiences forget`"
        raise DefinitionError(f"{list_id!r} is the id of no tag of {self.options.module} in Zoho", do=do)

    def _found(self, members: Sequence[Member]) -> Mapping[str, Sequence[str]]:
        """Identifier -> ids of the records that have it; strangers are left out. Raises BatchRefused for too many."""
        idents = sorted({each for each in map(self.ident, members) if not _unfit(each)})
        if not idents:
            return {}
        values = ", ".join("'" + each.replace("'", "''") + "'" for each in idents)
        query = f"select id, {self.by} from {self.options.module} where {self.by} in ({values})"
        said = _said(self.http.post("/coql", json={"select_query": query}, extensions={"reads": True}))
        if said and said["info"]["more_records"]:
            raise BatchRefused(f"more than {len(said['data'])} records have this identifier")
        found: dict[str, list[str]] = {}
        for each in said.get("data", ()):
            found.setdefault(self.form.of(each[self.by]), []).append(str(each["id"]))
        return found

    def _updated(self, rows: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
        """Record -> reason, of those that Zoho did not update. An empty `trigger` starts no workflow."""

        def send(some: Sequence[str]) -> httpx.Response:
            body = {"data": [{"id": each, **rows[each]} for each in some], "trigger": []}
            return self.http.put(f"/{self.options.module}", json=body, extensions=MAY_FAIL)

        return _each([*rows], send) if any(rows.values()) else {}

    def _changed(self, action: str, records: Sequence[str], **how: object) -> dict[str, str]:
        """Record -> reason, of those whose tags Zoho did not change."""
        path = f"/{self.options.module}/actions/{action}"
        return _each(records, lambda some: self.http.post(path, json={**how, "ids": some}, extensions=MAY_FAIL))

    def _reasons(
        self, members: Sequence[Member], found: Mapping[str, Sequence[str]], why: Mapping[str, str]
    ) -> dict[str, str]:
        """key -> reason, of the members with a record that was refused."""
        told = {each.key: [why[one] for one in found.get(self.ident(each), ()) if one in why] for each in members}
        return {key: reasons[0] for key, reasons in told.items() if reasons}


def _unfit(ident: str) -> bool:
    return bool({*ident} & {*'"\\'})


def _each(records: Sequence[str], send: Callable[[Sequence[str]], httpx.Response]) -> dict[str, str]:
    """Record -> reason, of those that were not changed; as many a call as Zoho takes."""
    parts = Connector.parts(records, RECORDS)
    return {each: why for part in parts for each, why in _refused(part, send(part)).items()}


def _said(answer: httpx.Response) -> Mapping[str, Any]:
    """The JSON of an answer; an empty one where it found nothing, and has no body."""
    return {} if answer.status_code == 204 else answer.json()


def _refused(records: Sequence[str], answer: httpx.Response) -> dict[str, str]:
    """Record -> reason, of those not named as changed; errors have no id, but a place. Raises BatchRefused for none."""
    said = _said(answer)
    if not answer.is_success and not said.get("data"):
        raise BatchRefused(_words(said))
    items = said["data"]
    done = {str(each["details"]["id"]) for each in items if each["status"] == "success"}
    told = dict(zip(records, items, strict=True)) if len(items) == len(records) else {}
    return {each: _words(told.get(each, {})) for each in records if each not in done}


def _words(item: Mapping[str, Any]) -> str:
    """Zoho's own words on one record or tag."""
    if item.get("status") != "error":
        return SILENT
    name = (item.get("details") or {}).get("api_name")
    return f"{item['code']}: {item['message']}" + (f" ({name})" if name else "")
