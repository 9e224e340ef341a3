"""What the tests of `hubspot` have in common: its sandbox, and the connector on the real transport stack."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import httpx

from audiences import Member, connectors, http
from audiences.batch import Batch
from audiences.send import send

ROOT = Path(__file__).parent.parent
ADA, ZOE, KIM = "ada@example.com", "zoe@example.com", "kim@example.com"
OWN = {"identify": "customer_no"}


class Clock:
    """Time that passes only where someone sleeps."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def new_sandbox():
    """HubSpot without records and lists."""
    spec = importlib.util.spec_from_file_location("sandbox_hubspot", ROOT / "tests" / "sandboxes" / "hubspot.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Sandbox()


def connector(wire, clock, *fields, token="not-a-real-token", **options):
    """The connector of a sync that sends these fields; wire: what answers its calls."""
    cls = connectors.find("hubspot", [ROOT / "connectors"])
    reach = cls.reach(cls.Settings(access_token=token))
    waits = {"passes_in": cls.passes_in, "sleep": clock.sleep, "clock": clock}
    line = http.client(reach, cls.limits, transport=httpx.MockTransport(wire), **waits)
    return cls(None, cls.Options(**options), line, send=fields or ("email", "nps_score"), outbox="o-1")


def people(*fields):
    """Members with these fields; their keys are k0, k1 and so on."""
    return [Member(f"k{n}", each, n) for n, each in enumerate(fields)]


def crowd(size):
    """So many members, all of them good."""
    return people(*({"email": f"p{n}@example.com", "nps_score": n} for n in range(size)))


def delivered(connector, list_id, members):
    """What the worker makes of one batch."""
    return send(connector, Batch("upsert", False, list_id, members, frozenset()))


def answering(sandbox, path, status, **body):
    """The sandbox, but for calls to a path, which get this answer."""

    def answer(request):
        return httpx.Response(status, json=body) if request.url.path.endswith(path) else sandbox(request)

    return answer
