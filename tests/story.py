"""One story told to a connector, through the client that a worker gives it: people come, change, are refused, leave."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from audiences import BatchRefused, Connector, Member, connectors, http
from test_every_connector import Clock

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)  # of a list made anew


def remote(path: Path, options: Mapping[str, Any], sandbox: Any, folder: Path, **line: Any) -> Connector:
    """The connector of a file, with its account as the environment, or else the .env of this folder, says.

    line: what the client is made with beside; without `transport` it is the network.
    """
    cls = connectors.find(path.stem, [path.parent])
    account = connectors.settings(path.stem, cls, folder)
    client = http.client(cls.reach(account), cls.limits, passes_in=cls.passes_in, means=cls.means, **line)
    send = [*sandbox.member(1), *filter(None, [getattr(sandbox, "any_field", None)])]
    return cls(account, cls.Options(**options), client, send=send, outbox="project-sync-1")


def sandbox_with(module: Any, options: Mapping[str, Any]) -> Any:
    """A new sandbox, as a sync with these options finds it."""
    sandbox = module.Sandbox()
    sandbox.options = dict(options)
    return sandbox


def account(sandbox: Any, folder: Path) -> Path:
    """The folder, with the sandbox's account in its .env."""
    (folder / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in sandbox.settings.items()))
    return folder


@dataclass
class Story:
    """Told to `remote` about the people of its sandbox; a batch that is refused whole is not halved here."""

    remote: Connector
    sandbox: Any
    seq: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    list_id: str = ""

    def short(self) -> None:
        """Two are added, one is changed, both are removed."""
        self.list_id = self.remote.prepare(self.sandbox.list)
        one, two = self.sandbox.member(1), self.sandbox.member(2)
        self.tell("upsert", a=one, b=two)
        self.tell("upsert", a=self.changed(one))
        self.tell("remove", a=one, b=two)

    def long(self, values: Sequence[object]) -> None:
        """The same and what happens seldom: strangers, the unwelcome, every value, a full batch, reading back."""
        self.short()
        self.remote.prepare(self.sandbox.list)
        if hasattr(self.sandbox, "unwelcome"):
            self.tell("upsert", c=self.sandbox.member(3), bad=self.sandbox.unwelcome())
            self.tell("remove", bad=self.sandbox.unwelcome())
        if hasattr(self.sandbox, "any_field"):
            for value in values:
                self.tell("upsert", a={**self.sandbox.member(1), self.sandbox.any_field: value})
        self.tell("upsert", **{f"k{n}": self.sandbox.member(n) for n in range(self.remote.limits.batch)})
        self.tell("remove", stranger=self.sandbox.member(9_999))
        self.optional()

    def tell(self, verb: str, **people: Mapping[str, object]) -> None:
        """One batch, and what became of it where it has a ticket; key -> fields."""
        members, receipt = [Member(key, fields, next(self.seq)) for key, fields in people.items()], None
        with suppress(BatchRefused):  # the request has been made
            receipt = getattr(self.remote, verb)(self.list_id, members)
        self.remote.flush(self.list_id)
        if receipt and receipt.ticket:
            self._ask(receipt.ticket, [member for member in members if member.key in receipt.accepted])

    def _ask(self, ticket: str, members: Sequence[Member]) -> None:
        """What became of a ticket, asked before and after its job is done; a real provider takes its own time."""
        self.remote.outcome(ticket, members)
        self.sandbox.works()
        self.remote.outcome(ticket, members)

    def optional(self) -> None:
        """What not every connector can do: check the account, make the list anew, read it back."""
        cls = type(self.remote)
        if cls.check is not Connector.check:
            self.remote.check()
        if cls.replaces():
            self.remote.replacing(self.list_id, BEGAN)
            self.tell("upsert", a=self.sandbox.member(1))
            self.remote.replaced(self.list_id, BEGAN)
        if cls.members is not Connector.members:
            list(self.remote.members(self.list_id))

    def changed(self, fields: Mapping[str, object]) -> dict[str, object]:
        """Another value in a field that says nothing of who it is."""
        free = (name for name in fields if name not in self.remote.identity)
        other = getattr(self.sandbox, "any_field", None) or next(free, None)
        return {**fields, other: "changed"} if other else dict(fields)


def recorded(path: Path, options: Mapping[str, Any], sandbox: Any, folder: Path, values: Sequence[object]) -> list[Any]:
    """(request, answer) of each call of the long story, against the sandbox in this process."""
    calls: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append((request, found := sandbox(request)))
        return found

    clock = Clock()
    line = {"transport": httpx.MockTransport(answer), "sleep": clock.sleep, "clock": clock}
    Story(remote(path, options, sandbox, account(sandbox, folder), **line), sandbox).long(values)
    return calls
