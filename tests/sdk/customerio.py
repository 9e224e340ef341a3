# /// script
# dependencies = ["customerio==3.2.0"]
# ///
"""Customer.io's own client: people in batches, which it sends as they are given. It has no call about segments."""

from customerio import CustomerIO, Regions


def calls(sends):
    client = CustomerIO("site-1", "not-a-real-key", region=Regions.EU)
    people = [
        {"type": "person", "identifiers": {"id": f"user/{n}"}, "action": "identify", "attributes": fields}
        for n, fields in ((1, {"first_name": "Ada", "_update": True}), (2, {"first_name": "Ada", "_update": True}))
    ]
    sends("POST /api/v2/batch", client.batch, people)
