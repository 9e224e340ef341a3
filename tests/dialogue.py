"""A connector before its sandbox, on a driven clock, with every call written down."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import httpx
import pytest

from audiences import Member, connectors, http, project
from audiences.batch import Batch
from audiences.http.wire import SIGN_IN
from audiences.send import send as deliver
from test_every_connector import ROOTS, Clock, sandbox_of
from world import HEADER, World

ADA, ZOE = "ada@example.com", "zoe@example.com"
SHOWN = """-- [sync.webhook]
-- list = "L"
-- send = ["email", "nps"]"""


class Dialogue:
    """One account, and connectors to it.

    send, options: what its syncs send, and the options that they have, where `speak` is told no others
    far:           the sandbox
    calls:         (method, path with its query, body) of each call but sign-ins; the body read as JSON where it is
    requests:      all of them as they were made, httpx.Request
    """

    def __init__(self, name: str, folder: Path, send=("email",), **options):
        self.path, self.folder, self.send, self.options = ROOTS[0] / "connectors" / f"{name}.py", folder, send, options
        self.cls = connectors.find(name, [self.path.parent])
        self.far, self.calls, self.requests, self.clock = sandbox_of(self.path).Sandbox(), [], [], Clock()

    def account(self, **settings):
        """The sandbox's account as a project's .env has it; these variables take the place of others."""
        variables = "".join(f'{name}="{value}"\n' for name, value in (self.far.settings | settings).items())
        (self.folder / ".env").write_text(variables)
        return connectors.settings(self.path.stem, self.cls, self.folder)

    def speak(self, before=lambda request: None, send=None, settings=None, outbox="", **options):
        """A connector. `before` sees each request but sign-ins first, and may answer it itself."""

        def answer(request):
            self.requests.append(request)
            if SIGN_IN in request.extensions:
                return self.far(request)
            self.calls.append((request.method, request.url.raw_path.decode(), body_of(request)))
            return before(request) or self.far(request)

        account = self.account(**settings or {})
        self.far.options = self.options | options
        waits = {"passes_in": self.cls.passes_in, "means": self.cls.means}
        waits |= {"sleep": self.clock.sleep, "clock": self.clock}
        line = http.client(self.cls.reach(account), self.cls.limits, transport=httpx.MockTransport(answer), **waits)
        return self.cls(account, self.cls.Options(**self.far.options), line, send=send or self.send, outbox=outbox)

    def sent(self, method, path=""):
        """The bodies of the calls by this method, to paths that begin like this."""
        return [body for each, where, body in self.calls if each == method and where.startswith(path)]

    def losing(self, method, path):
        """A `before`: the answer to the first such call is lost, after it was applied. path: a pattern"""
        lost = []

        def before(request):
            if request.method == method and re.search(path, request.url.path) and not lost:
                lost.append(self.far(request))
                raise httpx.ReadError("cut")

        return before


def fixtures(name, send=("email",), **options):
    """The fixtures of a file of tests, by these names: `dialogue, far, speak = fixtures("brevo")`."""
    account = pytest.fixture(lambda tmp_path: Dialogue(name, tmp_path, send, **options))
    return account, pytest.fixture(lambda dialogue: dialogue.far), pytest.fixture(lambda dialogue: dialogue.speak)


def body_of(request):
    text = request.content.decode()
    return json.loads(text) if text and "json" in request.headers["content-type"] else text or None


def answering(path, status, **said):
    """A `before`: calls to paths that end like this get this answer."""
    return lambda request: httpx.Response(status, json=said) if request.url.path.endswith(path) else None


def first(*answers):
    """A `before`: the first calls get these answers."""
    left = [*answers]
    return lambda request: left.pop(0) if left else None


def told(*addresses, **fields):
    """Members with these addresses, keyed by them, and with the same fields."""
    return [Member(each, {"email": each, **fields}, n) for n, each in enumerate(addresses)]


def delivered(remote, list_id, members, verb="upsert"):
    """What the worker makes of one batch."""
    return deliver(remote, Batch(verb, False, list_id, members, frozenset()))


def documented(name, folder):
    """A project with an audience whose section is the one that the connector's docstring shows."""
    manual = ast.get_docstring(ast.parse((ROOTS[0] / "connectors" / f"{name}.py").read_text(encoding="utf-8")))
    start = manual.index(f"[sync.{name}]")
    section = "\n".join(f"-- {line.strip()}" for line in manual[start : manual.index("\n\n", start)].splitlines())
    world = World(folder, name)
    world.define(text=HEADER.replace(SHOWN, section).replace("select id, email, nps", "select *"))
    return project.load(world.folder, "duckdb")
