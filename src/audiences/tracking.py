"""Segment's tracking API, which RudderStack speaks as well: profiles change by `identify` events, many in one call.

Changes of profiles come in, one event a member goes out. What becomes of an event behind the call, nobody answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Literal
from uuid import NAMESPACE_OID, uuid5

import httpx

from audiences.errors import BatchRefused, Unanswered
from audiences.property import ByProperty, Change


class ByIdentify(ByProperty):
    """A list is a boolean trait, which destinations behind the provider get with the other traits of the user.

    A removal says false: null would have to be kept by each destination, and many leave it out. A trait that is NULL
    and to be cleared travels as null all the same, as there is no other word for it.

    An event's `messageId` comes from the run's outbox and the member's place in it, never from its content: whoever is
    added, removed and added again is three events, and another attempt at a call has the ids of the first.
    """

    known_by = "userId"
    longest = 100
    largest: ClassVar[int]  # bytes of one event

    class Options(ByProperty.Options):
        """An array cannot be told by one of its texts: a trait is replaced whole."""

        membership: Literal["boolean"] = "boolean"

    def write(self, changes: Sequence[Change]) -> Mapping[str, str]:
        events = {change.key: self._event(change) for change in changes}
        refused = {key: why for key, event in events.items() if (why := self._unfit(event))}
        if told := [event for key, event in events.items() if key not in refused]:
            _taken(self.http.post("/v1/batch", json={"batch": told}))
        return refused

    def _event(self, change: Change) -> Mapping[str, object]:
        # An upsert sets the mark at least; what sets nothing is a removal.
        cleared = None if change.set else False
        traits = {**dict.fromkeys(change.unset, cleared), **change.set}
        name = str(uuid5(NAMESPACE_OID, f"{self.outbox}-{change.seq}"))
        return {"type": "identify", "userId": change.user, **self.told(traits), "messageId": name}

    @staticmethod
    def told(traits: Mapping[str, object]) -> Mapping[str, object]:
        """Where an event has its traits."""
        return {"traits": traits}

    def _unfit(self, event: Mapping[str, object]) -> str:
        size = len(json.dumps(event, ensure_ascii=False).encode())
        return f"{size:,} bytes, and an event has at most {self.largest:,}" if size > self.largest else ""


def _taken(answer: httpx.Response) -> None:
    """Nothing, unless an answer of success says otherwise: `{"success": false}`, or a page for people."""
    if answer.text.lstrip().startswith("<"):
        raise Unanswered(
            "the answer to the events is a page, and none of an API for events",
            do="check the address in the account's settings; the next run looks again",
        )
    said: Any = None
    with suppress(ValueError):
        said = json.loads(answer.content)
    if isinstance(said, dict) and said.get("success") is False:
        raise BatchRefused(str(said.get("message") or "refused without a reason"))
