"""A connector before its sandbox, on a driven clock, with every call written down."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from audiences import Member, connectors, http
from audiences.http.wire import SIGN_IN
from test_every_connector import ROOTS, Clock, sandbox_of

ADA, ZOE = "ada@example.com", "zoe@example.com"


class Dialogue:
    """One account, and connectors to it.

    far:   the sandbox
    calls: (method, path with its query, body) of each call
    """

    def __init__(self, name: str, folder: Path):
        self.path, self.folder = ROOTS[0] / "connectors" / f"{name}.py", folder
        self.cls = connectors.find(name, [self.path.parent])
        self.far, self.calls, self.clock = sandbox_of(self.path).Sandbox(), [], Clock()

    def speak(self, before=lambda request: None, send=("email",), **options):
        """A connector. `before` sees each request first, and may answer it itself; sign-ins are not its business."""

        def answer(request):
            if SIGN_IN in request.extensions:
                return self.far(request)
            body = json.loads(request.content) if request.content else None
            self.calls.append((request.method, request.url.raw_path.decode(), body))
            return before(request) or self.far(request)

        variables = "".join(f'{name}="{value}"\n' for name, value in self.far.settings.items())
        (self.folder / ".env").write_text(variables)
        self.far.options = options
        account = connectors.settings(self.path.stem, self.cls, self.folder)
        waits = {"passes_in": self.cls.passes_in, "sleep": self.clock.sleep, "clock": self.clock}
        line = http.client(self.cls.reach(account), self.cls.limits, transport=httpx.MockTransport(answer), **waits)
        return self.cls(account, self.cls.Options(**options), line, send=send)

    def sent(self, method, path=""):
        """The bodies of the calls by this method, to paths that begin like this."""
        return [body for each, where, body in self.calls if each == method and where.startswith(path)]


def told(*addresses, **fields):
    """Members with these addresses, keyed by them, and with the same fields."""
    return [Member(each, {"email": each, **fields}, n) for n, each in enumerate(addresses)]
