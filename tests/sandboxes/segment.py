"""The part of Segment that connectors/segment.py speaks to, in memory: one source, and a destination that keeps traits.

It keeps what Segment documents: 500 KB a call and 32 KB an event or a 400, more than 2,500 events taken and dropped, an
event without a user dropped unsaid, and of two with one `messageId` the second. Success is the answer to a wrong key as
well, and to a call in the wrong region; here both are a 401, so that they are found out.
"""

import json
from base64 import b64encode

import httpx

HOSTS = {"us": "api.segment.io", "eu": "events.eu1.segmentapis.com"}
SIGNED = "Basic " + b64encode(b"not-a-real-key:").decode()

options = ({"null": "clear"}, {"null": "keep"})


class Sandbox:
    list = "NPS détracteurs [2026]"
    any_field = "note"
    batch_bytes, taken = 500_000, {"json": {"success": True}}

    def __init__(self):
        self.settings = {"SEGMENT_WRITE_KEY": "not-a-real-key", "SEGMENT_REGION": "us"}
        self.elsewhere = {"SEGMENT_REGION": "eu"}
        self.options = {}  # of the sync
        self.users, self.seen = {}, set()  # user -> traits; ids of events

    @property
    def host(self):
        return HOSTS[self.settings["SEGMENT_REGION"]]

    def member(self, n):
        return {"userId": f"user-{n}", "email": f"person{n}@example.com", "firstName": "Ada"}

    def unwelcome(self):
        return {**self.member(0), "note": "a" * 2**15}

    def holds(self, fields):
        traits = self.users.get(fields["userId"], {})
        sent = {name: value for name, value in fields.items() if name != "userId"}
        return fields["userId"] in self.listed() and all(self.same(traits, *each) for each in sent.items())

    def same(self, traits, name, value):
        if value is None and self.options.get("null") == "keep":
            return True
        return name in traits and json.dumps(traits[name]) == json.dumps(value)

    def listed(self):
        return {user for user, traits in self.users.items() if traits.get("in_nps_detracteurs_2026") is True}

    def __call__(self, request):
        assert (request.method, request.url.path) == ("POST", "/v1/batch")
        if request.url.host != self.host or request.headers.get("authorization") != SIGNED:
            return httpx.Response(401)
        events = json.loads(request.content)["batch"]
        if len(request.content) > self.batch_bytes or any(len(json.dumps(each)) > 2**15 for each in events):
            return httpx.Response(400, text="Request size too large")
        for event in events if len(events) <= 2500 else ():
            self.take(**event)
        return httpx.Response(200, **self.taken)

    def take(self, type, userId, traits, messageId):
        assert type == "identify"
        assert len(messageId) < 100
        if userId and messageId not in self.seen:
            self.seen.add(messageId)
            self.users.setdefault(userId, {}).update(traits)
