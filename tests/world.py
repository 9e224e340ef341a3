"""A small world for the engine's tests: a real warehouse, state database and wire, and at its end a receiver."""

from __future__ import annotations

import copy
import csv
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from sqlalchemy import event
from sqlalchemy.engine import make_url

from audiences import control, preview, project, run
from audiences.state import State
from audiences.worker import Result, Worker
from engines import DuckDB, PostgreSQL

HEADER = """-- /// audience
-- about = "A test"
-- owner = "tests@example.com"
-- key = "id"
-- schedule = "@daily"
--
-- [sync.webhook]
-- list = "L"
-- send = ["email", "nps"]
{more}-- ///
select id, email, nps from people
"""
SMALL = """from audiences import Limits
from audiences.connectors import find, shipped

class Small(find("webhook", [shipped("connectors")])):
    limits = Limits(batch={batch}, concurrency={concurrency})
"""
SECRET = "whsec_bm90LWEtcmVhbC1zZWNyZXQtb2Ytb3Vycw=="


class Receiver:
    """The far end of `webhook`: the lists as they stand, by address. It drops what it has seen, as receivers should.

    before, after: called with each request, before and after it is applied; may raise, or give an answer of their own
    """

    def __init__(self):
        self.lists: dict[str, dict[str, dict]] = {}
        self.calls: list[dict] = []
        self.seen: set[str] = set()
        self.before: Callable = lambda told: None
        self.after: Callable = lambda told: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        told = json.loads(request.content)
        self.calls.append(told)
        if answer := self.before(told):
            return answer
        if request.headers["webhook-id"] not in self.seen:
            self.seen.add(request.headers["webhook-id"])
            self.apply(told)
        return self.after(told) or httpx.Response(200, json={})

    def apply(self, told: dict) -> None:
        held = self.lists.setdefault(told["list"], {})
        for member in told["members"]:
            name = (member["fields"].get("email") or member["key"]).strip(" ").lower()
            if told["verb"] == "upsert":
                held[name] = member["fields"]
            else:
                held.pop(name, None)

    def rejects(self, *names: str) -> None:
        """From now on, add everybody but these addresses, which the answer names."""

        def before(told: dict) -> httpx.Response:
            found = [each for each in told["members"] if told["verb"] == "upsert" and each["fields"]["email"] in names]
            self.apply({**told, "members": [each for each in told["members"] if each not in found]})
            return httpx.Response(200, json={"rejected": {each["key"]: "no such person" for each in found}})

        self.before = before

    def holds(self, name: str = "L") -> set[str]:
        return set(self.lists.get(name, {}))

    def sent(self, verb: str) -> list[dict]:
        return [member for told in self.calls if told["verb"] == verb for member in told["members"]]


class World:
    """One project with one audience over the table people(id, email, nps)."""

    def __init__(self, folder: Path, connector: str = "webhook", engine: DuckDB | PostgreSQL | None = None):
        self.folder, self.receiver, self.connector = folder, Receiver(), connector
        self.engine = engine or DuckDB()
        self.url, self.state_file = self.engine.new(folder), folder / "state" / "s.sqlite"
        self.moment = datetime(2026, 3, 1, 12, tzinfo=UTC).replace(tzinfo=None)
        (folder / "audiences").mkdir(exist_ok=True)
        (folder / ".env").write_text(
            f"FILE_FOLDER={folder / 'lists'}\nWEBHOOK_URL=http://127.0.0.1:9/in\nWEBHOOK_SECRET={SECRET}\n"
        )
        self.define()
        self.sql("create table people (id bigint, email varchar, nps integer)")

    @property
    def warehouse_file(self) -> Path:
        """Where the warehouse is, if it is a file."""
        return Path(str(self.url.database))

    def define(self, more: str = "", text: str = HEADER, name: str = "team") -> None:
        """Write the audience's file; `more` are lines of its header."""
        lines = "".join(f"-- {line}\n" for line in more.splitlines())
        text = text.replace("{more}", lines).replace("[sync.webhook]", f"[sync.{self.connector}]")
        (self.folder / "audiences" / f"{name}.sql").write_text(text)

    def apart(self) -> None:
        """Hold the warehouse no longer: another process opens it, or someone looks at its file."""
        self.engine.close(self.url)

    def sql(self, *statements: str) -> list[tuple]:
        ours = any("audience_sync" in statement for statement in statements)
        with (self.engine.ours if ours else self.engine.open)(self.url) as connection:
            rows = []
            for statement in statements:
                result = connection.execute(statement)
                rows = result.fetchall() if result.description else []
            return rows

    def people(self, *rows: tuple) -> None:
        """Let the table hold exactly these (id, email, nps)."""
        self.engine.fill(self.url, "people", [(*row, 0)[:3] for row in rows])

    @contextmanager
    def worker(self, **more):
        warehouse = self.engine.warehouse(self.url)
        state = State(make_url(f"sqlite:///{self.state_file}"))
        options = {
            "transport": httpx.MockTransport(self.receiver),
            "sleep": lambda seconds: None,
            "now": lambda: self.moment,
        }
        try:
            control.adopt(warehouse, state)
            yield Worker(warehouse, state, self.folder, **(options | more))
        finally:
            warehouse.close()
            state.close()

    def results(self, names: Iterable[str] = (), killer: Killer | None = None, **more) -> list[Result]:
        found = project.load(self.folder, self.engine.dialect)
        assert not found.errors, found.errors
        with self.worker(**more) as worker:
            if killer:
                killer.watch(worker, self.receiver)
            return [
                result
                for audience in found.select(list(names))
                for result in run.audience(worker, audience, [found.bindings[s.name] for s in audience.syncs])
            ]

    def sync(self, **more) -> Result:
        [result] = self.results(**more)
        return result

    def plan(self):
        found = project.load(self.folder, self.engine.dialect)
        [audience] = found.audiences
        [sync] = audience.syncs
        with self.engine.warehouse(self.url) as warehouse:
            return preview.preview(warehouse, audience, found.bindings[sync.name], self.moment)[0]

    def ledger(self) -> set[tuple]:
        rows = self.sql(f"select key, ident, sure from audience_sync.ledger_team__{self.connector}")
        return {(whole(key), *row) for key, *row in rows}

    def listed(self) -> dict[str, int | None]:
        """The list as it stands at the destination: address -> nps."""
        if self.connector == "webhook":
            return {name: fields["nps"] for name, fields in self.receiver.lists.get("L", {}).items()}
        with (self.folder / "lists" / "L.csv").open() as lines:
            return {row["email"]: int(row["nps"]) for row in csv.DictReader(lines)}

    def later(self, **delta) -> None:
        self.moment += timedelta(**delta)

    def killed(self, at: int, **more) -> bool:
        """Run, and be killed at this step; whether the run had so many."""
        killer = Killer(at)
        try:
            self.results(killer=killer, **more)
        except Killed:
            return True
        finally:
            self.receiver.before = self.receiver.after = lambda told: None
            self.forget_lease()
        return False

    def killed_in_call(self, number: int, **more) -> None:
        """Run, and be killed when this call of the receiver's has arrived, before it is applied."""

        def before(told: dict) -> None:
            if len(self.receiver.calls) >= number:
                raise Killed

        self.receiver.before = before
        with suppress(Killed):
            self.results(**more)
            raise AssertionError(f"the run has no {number} calls")
        self.receiver.before = lambda told: None
        self.forget_lease()

    def small(self, batch: int = 2, concurrency: int = 1) -> None:
        """Let `webhook` be one with small batches: a connector in the project's own folder is found first."""
        (self.folder / "connectors").mkdir(exist_ok=True)
        (self.folder / "connectors" / "webhook.py").write_text(SMALL.format(batch=batch, concurrency=concurrency))

    def limits(self, words: str) -> None:
        """Let `webhook` be one with these limits, as its file says them: `batch=2, bytes=600`."""
        self.small()
        file = self.folder / "connectors" / "webhook.py"
        file.write_text(file.read_text().replace("batch=2, concurrency=1", words))

    def copy(self, folder: Path, databases: Callable | None = None) -> World:
        """The same world once more, in another folder, and in one of these databases."""
        self.apart()
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        other = copy.copy(self)
        other.engine = type(self.engine)(getattr(self.engine, "server", databases))
        other.folder, other.url = folder, other.engine.copy(self.url, folder)
        other.state_file = folder / "state" / self.state_file.name
        other.receiver = copy.deepcopy(self.receiver)
        # The copy of a state database would be another one to the warehouse: here it takes the place of the first.
        other.sql(f"update audience_sync.project set state_url = 'sqlite:///{other.state_file}'")
        return other

    def forget_lease(self) -> None:
        """What time does after a kill: the lease of the dead run ends."""
        with sqlite3.connect(self.state_file) as connection:
            connection.execute("update lease set until = 0")


def whole(key: object) -> object:
    """A key as the audience's table has it: one of SQLite, where no column has a type, is text in the ledger."""
    return int(key) if isinstance(key, str) and key.isdigit() else key


def bare(statement: str) -> str:
    """A statement of a run without the label that says whose it is."""
    return statement.partition(" */ ")[2] if statement.startswith("/* audiences: ") else statement


class Killed(BaseException):
    """What a test raises where a real process would be gone: nothing of ours catches it."""


class Killer:
    """Kills a run right before its n-th step: a statement that changes something, or a call, before or after it took.

    Once dead, every further step fails as well: a dead process writes nothing, not even in a `finally`.
    """

    def __init__(self, at: int | None = None):
        self.at, self.steps, self.dead = at, 0, False

    def step(self, *_: object) -> None:
        self.steps += 1
        self.dead = self.dead or self.steps == self.at
        if self.dead:
            raise Killed

    def statement(self, _connection, _cursor, statement: str, *_: object) -> None:
        if not bare(statement).lower().startswith(("select", "describe", "begin", "pragma", "set ")):
            self.step()

    def watch(self, worker: Worker, receiver: Receiver) -> None:
        for engine in (worker.warehouse.engine, worker.state.engine):
            event.listen(engine, "before_cursor_execute", self.statement)
        receiver.before = receiver.after = self.step
