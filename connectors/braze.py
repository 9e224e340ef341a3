"""Braze: a list is a yes-or-no custom attribute of users, which segments, campaigns and Canvases filter by.

Set-up: Settings > API keys, a REST API key with the permissions users.track and users.export.ids: BRAZE_API_KEY; the
REST endpoint of your instance, from the same page: BRAZE_URL (https://rest.iad-01.braze.com).

    [sync.braze]
    list = "Detractors"        # the attribute in_detractors is true
    send = { external_id = "user_id", first_name = "first_name", nps_score = "nps_score" }   # attribute = column
    new = "refuse"             # or "subscribed"

A user goes by `external_id`, or by the member's key where it is not sent. Braze's own fields have Braze's names
(first_name, email, phone, country …), any other name is a custom attribute. Texts, numbers, booleans and lists travel;
a struct is refused, since Braze takes some for operations (`{"inc": 1}`). NULL removes an attribute; with `null =
"keep"` it leaves what is there. `property` names another attribute. Membership is always a boolean: an array attribute
has a limit of its own, and what becomes of elements beyond it is not confirmed.

`new` says what becomes of someone who is no user yet: refused, or made one, who gets what Braze sends to whoever did
not opt out ("subscribed"). Subscription groups, email_subscribe and push_subscribe are consent: never written, and
refused as fields. A removal unsets the attribute, makes nobody a user, and leaves all else.

50 members are one call, with a second before it that finds who is a user where `new` is "refuse". Braze lets 250 such
look-ups through a minute, and 250,000 updates an hour, each of 50 to 75 users by the contract; `users/track/bulk` is
not used, being a beta that takes no new customers. A success says that a change is queued: Braze asks for up to 5
minutes between calls that depend on each other, so a segment may show it late. Whether Braze names a stranger among the
errors of a removal is not documented; nor is the form of these errors: one that names nobody is found by halving. Who
is on a list cannot be read back but as files in a store of your own.
https://www.braze.com/docs/api/endpoints/user_data/post_user_track, …/export/user_data/post_users_identifier,
…/api/objects_filters/user_attributes_object, …/api/api_limits, …/api/errors (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr

from audiences import BatchRefused, ByProperty, Category, Change, DefinitionError, Form, Limits, Proof, Unanswered

CONSENT = {"email_subscribe", "push_subscribe", "subscription_groups"}
OTHERS = {"_update_existing_only", "braze_id", "push_token_import", "push_tokens", "user_alias"}  # say who, or how
NOBODY = "audiences-check"
STRANGER = 'no user of this workspace has this external_id; the option new = "subscribed" would make one'
STRUCT = "{} holds a struct, which Braze could take for an operation"


class Braze(ByProperty):
    known_by = "external_id"
    longest = 255
    limits = Limits(batch=50, windows=((250, 60),))  # of look-ups; there may be many more updates
    category, proof = Category.IN_APP, Proof.SPECIFICATION

    class Settings(ByProperty.Settings):
        api_key: SecretStr
        url: Annotated[str, Field(pattern=r"^https://rest\.[a-z]+-\d+\.braze\.(com|eu)/?$")]

    class Options(ByProperty.Options):
        membership: Literal["boolean"] = "boolean"
        new: Literal["refuse", "subscribed"] = "refuse"

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        if consent := sorted(CONSENT & {*send}):
            do = "take it out of send: a user changes it by their own hand"
            raise DefinitionError(f"{consent[0]!r} is what a user of Braze has opted out of, or into", do=do)
        if others := sorted(OTHERS & {*send}):
            do = "take it out of send; a user goes by external_id"
            raise DefinitionError(f"{others[0]!r} is no attribute of a user in Braze", do=do)
        return super().identify(options, send)

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key = settings.api_key.get_secret_value().strip()
        headers = {"authorization": f"Bearer {key}", "x-braze-bulk": "true"}
        return {"base_url": settings.url.rstrip("/"), "headers": headers}

    def check(self) -> None:
        self._strangers([NOBODY])

    def write(self, changes: Sequence[Change]) -> Mapping[str, str]:
        refused = {change.key: why for change in changes if (why := _unfit(change))}
        there = [change for change in changes if change.set and change.key not in refused]
        if there and self.options.new == "refuse":
            strangers = self._strangers([change.user for change in there])
            refused |= {change.key: STRANGER for change in there if change.user in strangers}
        told = [change for change in changes if change.key not in refused]
        return {**refused, **self._track(told)}

    def _strangers(self, users: Sequence[str]) -> set[str]:
        """Those of these external ids that no user has."""
        body = {"external_ids": users, "fields_to_export": ["external_id"]}
        said = self.http.post("/users/export/ids", json=body, extensions={"reads": True}).json()
        return {*users} - {str(each.get("external_id")) for each in said["users"]}

    def _track(self, changes: Sequence[Change]) -> Mapping[str, str]:
        """key -> reason, of those whom Braze names as not changed; no call is made for nobody."""
        if not changes:
            return {}
        answer = self.http.post("/users/track", json={"attributes": [self._attributes(each) for each in changes]})
        said: Any = None
        with suppress(ValueError):
            said = answer.json()
        if not isinstance(said, Mapping) or said.get("message") not in ("success", "queued"):
            do = "check BRAZE_URL, and what stands between here and Braze; then run again"
            raise Unanswered("Braze's answer does not say whether it took the changes", do=do)
        return _failed(said.get("errors") or (), changes)

    def _attributes(self, change: Change) -> dict[str, object]:
        # Whoever leaves is not made a user on the way out.
        there = not change.set or self.options.new == "refuse"
        gone = dict.fromkeys(change.unset)
        return {**change.set, **gone, "external_id": change.user, "_update_existing_only": there}


def _unfit(change: Change) -> str:
    """Why a change cannot be told to Braze; empty where it can."""
    structs = [name for name, value in change.set.items() if isinstance(value, Mapping)]
    return STRUCT.format(structs[0]) if structs else ""


def _failed(errors: Sequence[Any], changes: Sequence[Change]) -> dict[str, str]:
    """key -> reason, by the place that each error names. Raises BatchRefused where one names none."""
    found: dict[str, str] = {}
    for error in errors:
        place = error.get("index") if isinstance(error, Mapping) else None
        words = str(error.get("type") or error) if isinstance(error, Mapping) else str(error)
        if not isinstance(place, int) or not 0 <= place < len(changes):
            raise BatchRefused(words)
        found[changes[place].key] = words
    return found
