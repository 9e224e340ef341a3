"""What the tests of `salesforce` have in common: its sandbox, and connectors to it with every call written down."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import httpx

from audiences import Member, connectors, http
from hubspot_account import Clock

HERE = Path(__file__).parent
ADA, ZOE = "ada@example.com", "zoe@example.com"
OWN = {"identify": "Customer_No__c"}
CREATE = OWN | {"new": "create"}


class Org:
    """One account. far: the sandbox"""

    def __init__(self, folder: Path):
        spec = importlib.util.spec_from_file_location("sandbox_salesforce", HERE / "sandboxes" / "salesforce.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.folder, self.far, self.clock = folder, module.Sandbox(), Clock()

    def speak(self, send=("Customer_No__c", "LastName"), before=lambda call: None, more=None, **options):
        """A connector of a sync with these options; `calls` has them all. `before` may answer a call itself."""
        cls, calls = connectors.find("salesforce", [HERE.parent / "connectors"]), []
        variables = self.far.settings | (more or {})
        (self.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        account = connectors.settings("salesforce", cls, self.folder)
        wire = httpx.MockTransport(lambda call: calls.append(call) or before(call) or self.far(call))
        waits = {"passes_in": cls.passes_in, "sleep": self.clock.sleep, "clock": self.clock}
        line = http.client(cls.reach(account), cls.limits, transport=wire, **waits)
        self.far.options = options or CREATE
        remote = cls(account, cls.Options(**self.far.options), line, send=send)
        remote.calls = calls
        return remote

    def losing(self, path):
        """The answer to the first POST whose path ends so is lost, after it was applied; then all is well."""
        lost = []

        def before(call):
            if call.method == "POST" and call.url.path.endswith(path) and not lost:
                lost.append(self.far(call))
                raise httpx.ReadError("cut")

        return before


def people(count=1, **fields):
    """Members k0, k1 and so on, with the customer numbers C-0, C-1 and so on."""
    return [Member(f"k{n}", {"Customer_No__c": f"C-{n}", "LastName": "Ada", **fields}, n) for n in range(count)]


def refused(*codes):
    """An answer about records, each refused with a code, or done where it is None."""
    told = [{"success": not code, "id": "001", "errors": [{"statusCode": code, "message": "no"}] * bool(code)}
            for code in codes]  # fmt: skip
    return httpx.Response(200, json=told)
