"""RudderStack: a list is a boolean trait of its members, which every destination behind a source gets as an identify.

Set-up: in RudderStack, a source of the kind HTTP; its write key is RUDDERSTACK_WRITE_KEY. RUDDERSTACK_DATA_PLANE_URL
(https://…), as Connections shows it above the sources, or that of your own data plane.

    [sync.rudderstack]
    list = "Detractors"
    send = { userId = "user_id", email = "email", nps_score = "nps_score" }   # a trait = column

`userId` says whose traits, where it is not sent the member's key does; all else is a trait of that name. The list is
the trait `in_detractors`, or the one that `property` names: true, and after a removal false; the other traits stay.
NULL travels as null, and what a destination makes of it is its own; with `null = "keep"` it is left out.
What a destination makes of somebody it does not know, such as a contact who is mailed, is set up there, in RudderStack.

Up to 1,000 members, 4 MB and 32 KB a member go in a call, two calls at a time; a limit of calls is not documented. It
answers that events came, not what a destination made of them, and nothing can be read back: the source's Live events
show it. Each event has a `messageId` of its own, by which a data plane that drops repeated events knows them.
https://www.rudderstack.com/docs/api/http-api, …/docs/event-spec/standard-events/identify (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, SecretStr

from audiences import ByIdentify, Category, Limits, Proof


class Rudderstack(ByIdentify):
    limits = Limits(batch=1000, concurrency=2, bytes=4_000_000)
    largest = 32_000
    category, proof = Category.ANALYTICS, Proof.SDK

    class Settings(ByIdentify.Settings):
        write_key: SecretStr
        data_plane_url: Annotated[str, Field(pattern=r"^https://[^\s?#@]+$")]

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key = settings.write_key.get_secret_value().strip()
        return {"base_url": settings.data_plane_url, "auth": (key, "")}

    @staticmethod
    def told(traits: Mapping[str, object]) -> Mapping[str, object]:
        """In the context, as RudderStack's page on identify and its own SDKs have them."""
        return {"context": {"traits": traits}}
