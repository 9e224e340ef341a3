"""Microsoft Advertising: a list is a customer list of hashed addresses; 1,000 identifiers a call.

Set-up: an app registration in Microsoft Entra, and a developer token of Microsoft Advertising (Tools > Developer
portal): MICROSOFT_ADS_CLIENT_ID, MICROSOFT_ADS_CLIENT_SECRET where the app has one, MICROSOFT_ADS_DEVELOPER_TOKEN.
MICROSOFT_ADS_REFRESH_TOKEN is of someone who may edit the account, for https://ads.microsoft.com/msads.manage
offline_access. MICROSOFT_ADS_ACCOUNT_ID and MICROSOFT_ADS_CUSTOMER_ID are `aid` and `cid` in the address of its pages.

    [sync.microsoft_ads]
    list = "NPS promoters"
    send = { email = "email" }
    terms = "accepted"     # those for Customer Match; without this line somebody accepts them in Microsoft Advertising

`email` is sent as a hash, `external_id` (Microsoft's type "CRM") as it is; the two of one person are entries of their
own, in a call each. Telephone numbers are not sent: how they are written before they are hashed is not documented.

The list is found by its exact name among the customer lists of the account, or made for this account alone. It keeps
people for `days` (390 at most) after they were last sent, Microsoft's own default being 30: one that is there already
must keep them as long. A removal takes an identifier off the list; nobody else's are touched. A list needs 300 people,
shows its size after 48 hours, and cannot be read back. Whom Microsoft turns away it names, in its own words.
Not documented: how many identifiers a call takes (two public connectors send 1,000), how many calls a minute (one that
is too many is tried again after a minute), and what is said of a removal of someone who is not there: whom it turns
away is removed again. `--replace` is left out, since a list longer than one call would be short for a while.
Not confirmed: with what status HTTP carries a fault; its code is read. Nothing was tried on a live account.
https://learn.microsoft.com/advertising/campaign-management-service/ (customerlistuserdata, customerlist,
getaudiencesbyids), https://learn.microsoft.com/advertising/guides/services-protocol, …/operation-error-codes,
https://pypi.org/project/msads (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

import httpx
from pydantic import Field, SecretStr

from audiences import (
    BatchRefused,
    DefinitionError,
    DeliveryError,
    Hashed,
    Kind,
    Limits,
    Member,
    Proof,
    Receipt,
    RefreshToken,
)
from audiences.normal import EMAIL, EXTERNAL_ID

Number = Annotated[str, Field(pattern=r"^\d+$")]

TOKEN = "https://login.microsoftonline.com/common/oauth2/v2.0/token"
SCOPE = "https://ads.microsoft.com/msads.manage offline_access"
TYPES = {"email": "Email", "external_id": "CRM"}
REVISION = "2026-10-12"  # which Microsoft's own client names with every call
LOOKS = {"reads": True}
CODE = re.compile(r'"Code":\s*(\d+)')
MEANT = {105: 401, 109: 401, 106: 403, 117: 429}  # the code of a fault -> the status of HTTP that says so
TERMS = 'write terms = "accepted", or make one customer list in Microsoft Advertising and accept the terms there'
GONE = "check list_id and MICROSOFT_ADS_ACCOUNT_ID; a deleted list is made anew after `audiences forget`"
REMEDIES = {3913: TERMS, 8003: TERMS, 8000: GONE}


class MicrosoftAds(Hashed):
    kinds: ClassVar[Mapping[str, Kind]] = {
        "email": Kind(("email",), (EMAIL,)),
        "external_id": Kind(("external_id",), (EXTERNAL_ID,)),
    }
    limits = Limits(batch=1000)
    proof = Proof.SDK
    fewest = 300

    class Settings(Hashed.Settings):
        client_id: str
        client_secret: SecretStr = SecretStr("")
        refresh_token: SecretStr
        developer_token: SecretStr
        customer_id: Number
        account_id: Number

    class Options(Hashed.Options):
        terms: Literal["accepted"] | None = Field(None, description="that you accept Microsoft's for Customer Match")
        days: int = Field(390, ge=1, le=390, description="how long the list keeps someone who is not sent again")

    @classmethod
    def lasts(cls, options: Any) -> timedelta:
        return timedelta(days=options.days)

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        secrets = settings.client_secret, settings.refresh_token, settings.developer_token
        secret, token, developer = (each.get_secret_value().strip() for each in secrets)
        how: dict[str, Any] = {"client_id": settings.client_id.strip(), "client_auth": "body", "scope": SCOPE}
        auth = RefreshToken(TOKEN, refresh_token=token, client_secret=secret, **how)
        account = {"CustomerId": settings.customer_id, "CustomerAccountId": settings.account_id}
        headers = {"DeveloperToken": developer, **account, "api-revision": REVISION}
        return {
            "base_url": "https://campaign.api.bingads.microsoft.com/CampaignManagement/v13",
            "auth": auth,
            "headers": headers,
        }

    @classmethod
    def means(cls, answer: httpx.Response) -> int:
        codes = () if answer.is_success else map(int, CODE.findall(answer.text))
        return next((MEANT[each] for each in codes if each in MEANT), answer.status_code)

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """Calls are counted by a window of 60 seconds that slides; the answer does not say when one is let in."""
        return 60.0 if answer.status_code == httpx.codes.TOO_MANY_REQUESTS else None

    def check(self) -> None:
        self._lists()

    def prepare(self, name: str) -> str:
        return self.found_or_made("Microsoft Advertising customer list", name, self._named, self._make)

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        if list_id not in self.checked:
            self._check(list_id)
        return self._apply(list_id, "Add", members)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        return self._apply(list_id, "Remove", members)

    def _apply(self, list_id: str, what: str, members: Sequence[Member]) -> Receipt:
        found, refused = self.identified(members)
        accepts = {"AcceptCustomerMatchTerm": True} if self.options.terms else {}
        for kind in sorted({each.kind for each in found}):
            mine = [each for each in found if each.kind == kind]
            whose = {"AudienceId": list_id, "ActionType": what, "CustomerListItemSubType": TYPES[kind]}
            told = {**whose, "CustomerListItems": [each.values[0] for each in mine], **accepts}
            said = self.http.post("/CustomerListUserData/Apply", json={"CustomerListUserData": told}).json()
            refused |= {mine[place].member.key: why for place, why in _errors(said, len(mine))}
        return Receipt.of(members, refused)

    def _check(self, list_id: str) -> None:
        """Look once at the list: whether it is there, and keeps people as long as the sync says."""
        said = next(iter(self._lists([list_id])), None)
        if said is None:
            raise DeliveryError(f"the customer list {list_id} of Microsoft Advertising is gone", do=GONE)
        if (days := said.get("MembershipDuration")) is not None and days < self.options.days:
            do = f"write days = {days}, or lengthen it in Microsoft Advertising"
            raise DefinitionError(f"the list keeps its people {days} days, and not {self.options.days}", do=do)
        self.checked.add(list_id)

    def _lists(self, ids: Sequence[str] = ()) -> list[Mapping[str, Any]]:
        """The account's customer lists, or those of them with these ids."""
        asked = {"Type": "CustomerList", **({"AudienceIds": ids} if ids else {})}
        said = self.http.post("/Audiences/QueryByIds", json=asked, extensions=LOOKS).json()
        return [each for each in said.get("Audiences") or () if each]

    def _named(self, name: str) -> list[str]:
        """The ids of the lists with exactly this name, the oldest first."""
        return sorted((str(each["Id"]) for each in self._lists() if each["Name"] == name), key=int)

    def _make(self, name: str) -> object:
        scope = {"Scope": "Account", "ParentId": self.settings.account_id}
        wanted = {"Type": "CustomerList", "Name": name, "MembershipDuration": self.options.days, **scope}
        said = self.http.post("/Audiences", json={"Audiences": [wanted]}, extensions={"creates": True}).json()
        for _, why in _errors(said, 1):
            raise BatchRefused(why)
        return said["AudienceIds"][0]


def _errors(said: Mapping[str, Any], size: int) -> Iterator[tuple[int, str]]:
    """(place, words) of each item that was turned away.

    Raises DeliveryError where it is the account's or the list's fault, BatchRefused where it is no item's.
    """
    for each in filter(None, said.get("PartialErrors") or ()):
        code, why = int(each.get("Code") or 0), f"{each.get('ErrorCode') or ''} {each.get('Message') or ''}".strip()
        if code in REMEDIES:
            raise DeliveryError(f"Microsoft Advertising takes nobody into the list: {why}", do=REMEDIES[code])
        if not 0 <= int(each.get("Index", -1)) < size:
            raise BatchRefused(why)
        yield int(each["Index"]), why or "Microsoft says no reason"
