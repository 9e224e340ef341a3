"""CleverTap: a list is a yes-or-no property of user profiles, which segments filter by. Experimental.

Set-up: Settings > Project: CLEVERTAP_ACCOUNT_ID (the project ID) and CLEVERTAP_PASSCODE; CLEVERTAP_REGION, how the
dashboard's address begins: eu1, in1, sg1, us1, aps3 or mec1.

    [sync.clevertap]
    list = "Detractors"
    send = { identity = "user_id", "NPS score" = "nps_score" }   # a profile's property = column
    experimental = true

`identity` says whose profile; where it is not sent, the member's key does. Whoever is on the list has the property
`in_detractors` with the value true (`property` names another). Send the identity that your app logs users in by:
CleverTap makes a profile of every one that it does not know, and offers no way to update only those it knows. So that
nobody becomes someone to write to, `Email` and `Phone` are refused, and so is what users have opted out of (`MSG-…`).

All else travels as texts, up to 512 bytes, numbers and booleans; lists and objects are refused. NULL leaves a property
as it is: how to unset one is not confirmed. For the same reason a removal sets the property to false, and leaves all
else. Up to 1,000 members go in one call, 15 calls at once. Who is refused is named by identity in an answer of success;
that the name comes back in `record` is seen in another's code, and not documented. Static segments that take members
are in private beta, and not used. Nothing is read back, and there is no call that only tries the account.
https://developer.clevertap.com/docs/upload-user-profiles-api, …/common-api-components; for answers
https://github.com/rudderlabs/rudder-transformer (clevertap) (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import SecretStr

from audiences import BatchRefused, ByProperty, Category, Change, DefinitionError, Form, Limits, Proof

HOSTS = {region: f"{region}.api.clevertap.com" for region in ("in1", "sg1", "us1", "aps3", "mec1")}
HOSTS["eu1"] = "api.clevertap.com"
REACHING = {"email", "phone"}
CONSENT = "msg-"
LONGEST = 512  # bytes of a property's value


class Clevertap(ByProperty):
    known_by = "identity"
    longest = 120
    limits = Limits(batch=1000, concurrency=15)
    category, proof = Category.IN_APP, Proof.EXPERIMENTAL

    class Settings(ByProperty.Settings):
        account_id: str
        passcode: SecretStr
        region: Literal["eu1", "in1", "sg1", "us1", "aps3", "mec1"]

    class Options(ByProperty.Options):
        membership: Literal["boolean"] = "boolean"
        null: Literal["keep"] = "keep"

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        for name in send:
            if name.lower() in REACHING or name.lower().startswith(CONSENT):
                do = "take it out of send: a profile that CleverTap does not know yet would be one to write to"
                raise DefinitionError(f"{name!r} says how a user is reached, or what they opted out of", do=do)
        return super().identify(options, send)

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        signed = {
            "x-clevertap-account-id": settings.account_id.strip(),
            "x-clevertap-passcode": settings.passcode.get_secret_value().strip(),
        }
        return {"base_url": f"https://{HOSTS[settings.region]}", "headers": signed}

    def write(self, changes: Sequence[Change]) -> Mapping[str, str]:
        refused = {change.key: why for change in changes if (why := _unfit(change.set))}
        left = [change for change in changes if change.key not in refused]
        return refused | (self._upload(left) if left else {})

    def _upload(self, changes: Sequence[Change]) -> dict[str, str]:
        """Write these profiles; key -> reason for each that is named as not processed."""
        records = [{"identity": change.user, "type": "profile", "profileData": _data(change)} for change in changes]
        said = self.http.post("/1/upload", json={"d": records}).json()
        keys = {change.user: change.key for change in changes}
        failed = {str(each["record"]["identity"]): str(each["error"]) for each in said.get("unprocessed", ())}
        if said["processed"] + len(failed) != len(changes) or not failed.keys() <= keys.keys():
            raise BatchRefused(next(iter(failed.values()), "CleverTap does not say what became of each"))
        return {keys[user]: why for user, why in failed.items()}


def _data(change: Change) -> dict[str, object]:
    return {**change.set, **dict.fromkeys(change.unset, False)}


def _unfit(properties: Mapping[str, object]) -> str:
    """Why CleverTap cannot keep these properties: what it does with more than it documents, it does not say."""
    for name, value in properties.items():
        if isinstance(value, list | dict):
            return f"{name} is a list or an object, and a property is a text, a number or a boolean"
        if isinstance(value, str) and len(value.encode()) > LONGEST:
            return f"{name} has more than the {LONGEST} bytes that CleverTap keeps of a property"
    return ""
