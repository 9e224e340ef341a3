"""The connector `mailchimp` before its sandbox, on a driven clock, with every call written down."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import httpx

from audiences import Member, connectors, http

ROOT = Path(__file__).parent.parent
ADA, ZOE = "ada@example.com", "zoe@example.com"


class Clock:
    """Time that passes only where someone sleeps."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class Chimp:
    """One account, and connectors to it.

    far:   the sandbox
    calls: (method, path, body) of each call
    """

    def __init__(self, folder: Path):
        self.folder, self.far, self.calls, self.clock = folder, sandbox(), [], Clock()

    def speak(self, new="refuse", before=lambda request: None, audience="a1b2c3d4e5"):
        """A connector. `before` sees each request first, and may answer it itself."""

        def answer(request):
            body = json.loads(request.content) if request.content else None
            self.calls.append((request.method, request.url.path.removeprefix("/3.0"), body))
            return before(request) or self.far(request)

        variables = "".join(f'{name}="{value}"\n' for name, value in self.far.settings.items())
        (self.folder / ".env").write_text(variables)
        cls, wire = mailchimp(), httpx.MockTransport(answer)
        account = connectors.settings("mailchimp", cls, self.folder)
        waits = {"passes_in": cls.passes_in, "sleep": self.clock.sleep, "clock": self.clock}
        line = http.client(cls.reach(account), cls.limits, transport=wire, **waits)
        return cls(account, cls.Options(audience_id=audience, new=new), line, send=["email"])

    def sent(self, method):
        """The bodies of the calls by this method."""
        return [body for each, _, body in self.calls if each == method]


def mailchimp():
    return connectors.find("mailchimp", [ROOT / "connectors"])


def sandbox():
    spec = importlib.util.spec_from_file_location("sandbox_mailchimp", ROOT / "tests" / "sandboxes" / "mailchimp.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Sandbox()


def told(*addresses, **fields):
    """Members with these addresses, keyed by them, and with the same fields."""
    return [Member(each, {"email": each, **fields}, n) for n, each in enumerate(addresses)]
