"""What the tests of `dynamics365` have in common: its sandbox, and connectors to it with every call written down."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import httpx

from audiences import Member, connectors, http
from hubspot_account import Clock

HERE = Path(__file__).parent
ADA, ZOE = "ada@example.com", "zoe@example.com"


class Environment:
    """One account. far: the sandbox"""

    def __init__(self, folder: Path):
        spec = importlib.util.spec_from_file_location("sandbox_dynamics365", HERE / "sandboxes" / "dynamics365.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.folder, self.far, self.clock = folder, module.Sandbox(), Clock()

    def speak(self, send=("emailaddress1", "new_nps"), before=lambda call: None, more=None):
        """A connector of a sync that sends these columns; `calls` has them all. `before` may answer a call itself."""
        cls, calls = connectors.find("dynamics365", [HERE.parent / "connectors"]), []
        variables = self.far.settings | (more or {})
        (self.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        account = connectors.settings("dynamics365", cls, self.folder)
        wire = httpx.MockTransport(lambda call: calls.append(call) or before(call) or self.far(call))
        line = http.client(cls.reach(account), cls.limits, transport=wire, sleep=self.clock.sleep, clock=self.clock)
        remote = cls(account, cls.Options(identify="emailaddress1"), line, send=send)
        remote.calls = calls
        return remote

    def losing(self, method, path):
        """The answer to the first such call is lost, after it was applied; then all is well."""
        lost = []

        def before(call):
            if call.method == method and path in call.url.path and not lost:
                lost.append(self.far(call))
                raise httpx.ReadError("cut")

        return before


def told(*addresses, **fields):
    """Members with these addresses, keyed by them, and a score."""
    return [Member(each, {"emailaddress1": each, "new_nps": 3, **fields}, n) for n, each in enumerate(addresses)]
