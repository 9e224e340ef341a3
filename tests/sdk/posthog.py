# /// script
# dependencies = ["posthog==7.91.1"]
# ///
"""PostHog's own library: events that set persons' properties, several a call. It has no call about cohorts."""

from datetime import UTC, datetime

from posthog import Posthog, client, request

NOW = datetime(2026, 11, 22, 8, 48, 50, tzinfo=UTC)
EVENTS = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"


class Stopped(datetime):
    """A clock: the library says when it sends."""

    @classmethod
    def now(cls, tz=None):
        return NOW


def calls(sends):
    request.datetime, client.system_context = Stopped, dict  # nor what machine it is that sends
    sends("POST /batch/", told, [{"$set": {"plan": "pro"}}] * 2)
    sends("POST /batch/", told, [{"$set": {"plan": "pro"}, "$unset": ["note"]}])


def told(changes):
    """One event a person, in one call."""
    library = Posthog("not-a-real-token", host="https://eu.i.posthog.com", flush_at=len(changes))
    for n, (change, event) in enumerate(zip(changes, EVENTS, strict=False), 1):
        who = f"user-{n}"
        library.capture("$set", distinct_id=who, properties={"distinct_id": who, **change}, timestamp=NOW, uuid=event)
    library.shutdown()
