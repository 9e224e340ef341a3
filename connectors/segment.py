"""Segment: a list is a boolean trait of its members, which every destination behind a source gets as an identify event.

Set-up: in Segment, a source of the kind HTTP API; its write key is SEGMENT_WRITE_KEY; SEGMENT_REGION, the workspace's
own: us or eu. Segment answers a wrong key as it answers the right one, and an event for the other region as one for
its own: see in the source's Debugger that the first members arrive.

    [sync.segment]
    list = "Detractors"
    send = { userId = "user_id", email = "email", nps_score = "nps_score" }   # a trait = column

`userId` says whose traits, where it is not sent the member's key does; all else is a trait of that name. The list is
the trait `in_detractors`, or the one that `property` names: true, and after a removal false; the other traits stay.
NULL travels as null, and what a destination makes of it is its own; with `null = "keep"` it is left out.
What a destination makes of somebody it does not know, such as a contact who is mailed, is set up there, in Segment.

Up to 1,000 members, 500 KB and 32 KB a member go in a call. Segment recommends at most 1,000 calls a second for a
workspace; this connector makes two at a time. It answers that events came, not that they were taken, and nothing can be
read back: the Debugger shows those that were not. Of two events with one `messageId` it drops the second. Whether
events of one user that follow each other at once arrive in order is not documented.
https://segment.com/docs/connections/sources/catalog/libraries/server/http-api, …/connections/spec/identify,
https://segment.com/docs/guides/regional-segment (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import SecretStr

from audiences import ByIdentify, Category, Limits, Proof

HOSTS = {"us": "api.segment.io", "eu": "events.eu1.segmentapis.com"}


class Segment(ByIdentify):
    limits = Limits(batch=1000, concurrency=2, bytes=500_000)
    largest = 32_000
    category, proof = Category.ANALYTICS, Proof.SDK

    class Settings(ByIdentify.Settings):
        write_key: SecretStr
        region: Literal["us", "eu"]

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        key = settings.write_key.get_secret_value().strip()
        return {"base_url": f"https://{HOSTS[settings.region]}", "auth": (key, "")}
