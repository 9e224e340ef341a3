# /// script
# dependencies = ["rudder-sdk-python==2.1.9"]
# ///
"""RudderStack's own library: identify events, several a call."""

from datetime import UTC, datetime

from rudderstack.analytics import request
from rudderstack.analytics.client import Client

NOW = datetime(2026, 11, 22, 8, 48, 50, tzinfo=UTC)
MARK = "in_nps_detracteurs_2026"
ADDED = "de267934-2393-529f-883b-3aeb3e7d22e9", "5253518d-a1ee-5d3c-9db2-7d2dd83e867f"
TAKEN = "9871beb8-1987-5b67-a441-d1795e527746", "372491c6-140d-5ad0-a1cc-81dc4eb07bdc"


class Stopped(datetime):
    """A clock: the library says when it sends."""

    @classmethod
    def now(cls, tz=None):
        return NOW


def calls(sends):
    request.datetime = Stopped
    people = [{"email": f"person{n}@example.com", "firstName": "Ada", MARK: True} for n in (1, 2)]
    sends("POST /v1/batch", both, people, ADDED)
    sends("POST /v1/batch", both, [{MARK: False}] * 2, TAKEN)


def both(traits, events):
    """One event of each of two people, in one call."""
    client = Client("not-a-real-key", host="https://acme.dataplane.rudderstack.com", gzip=False, upload_size=2)
    for n, (each, event) in enumerate(zip(traits, events, strict=True), 1):
        client.identify(f"user-{n}", each, timestamp=NOW, message_id=event)
    client.shutdown()
