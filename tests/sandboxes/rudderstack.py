"""The part of RudderStack that connectors/rudderstack.py speaks to: Segment's API, with an address of its own.

It differs as documented: traits in an event's context, 4 MB a call, 400 where the key is not a source's. "OK" is what
its server answers.
"""

import importlib.util
from pathlib import Path

import httpx

spec = importlib.util.spec_from_file_location("sandbox_segment", Path(__file__).with_name("segment.py"))
segment = importlib.util.module_from_spec(spec)
spec.loader.exec_module(segment)

options = segment.options


class Sandbox(segment.Sandbox):
    list, any_field = segment.Sandbox.list, segment.Sandbox.any_field
    batch_bytes, taken = 4_000_000, {"text": "OK"}
    host = "acme.dataplane.rudderstack.com"
    unwelcome = segment.Sandbox.unwelcome

    def __init__(self):
        super().__init__()
        self.settings = {
            "RUDDERSTACK_WRITE_KEY": "not-a-real-key",
            "RUDDERSTACK_DATA_PLANE_URL": f"https://{self.host}",
        }
        del self.elsewhere

    def __call__(self, request):
        if request.headers.get("authorization") != segment.SIGNED:
            return httpx.Response(400, text="Invalid Authorization Header")
        return super().__call__(request)

    def take(self, type, userId, context, messageId):
        super().take(type, userId, context["traits"], messageId)
