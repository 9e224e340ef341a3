"""A history: what happens to one sync, event by event, and what must be true after each run and in the quiet after all.

An event is a change of one member, or of the list; a run; a call that goes wrong; a kill; the loss of the state
database; a job of the provider's that ends.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

import duckdb
import httpx
from sqlalchemy import event

import jobs
from audiences.errors import AudienceError, WarehouseError
from engines import PostgreSQL
from world import HEADER, Killed, Killer, World, whole

STRANGER = "stranger@x"
KEYS = range(1, 8)
NAMES = [*(f"{letter}@x" for letter in "abcdefgh"), "bad@x"]
POISON = 13  # a score that the receiver refuses, with whoever has it
SETTLES = re.compile(r"(delete from|insert into|update) \S*(ledger|refused|pending)_|outbox = null")
SWAPS = re.compile(r'(CREATE TABLE|DROP TABLE IF EXISTS) "audience_sync"."v\d|INSERT INTO \S+control_', re.IGNORECASE)

# A change of the audience: its kind, whom it is about, and the other member, the address or the score that it needs.
CHANGES = ("come", "move", "score", "poison", "share", "swap", "hand over", "leave", "lose name", "twice", "as before")
CHANGES += ("list L", "list M")

# What becomes of a call before the provider has seen it to the end …
UNSEEN = {
    "no connection": httpx.ConnectError("no connection"),
    "reset before": httpx.ReadError("reset"),
    "time-out before": httpx.ReadTimeout("no answer"),
    "429": httpx.Response(429),
    "429 wait": httpx.Response(429, headers={"retry-after": "5"}),
    "500 before": httpx.Response(500),
    "401": httpx.Response(401),
}
# … and after.
SEEN = {
    "reset after": httpx.RemoteProtocolError("cut"),
    "time-out after": httpx.ReadTimeout("no answer"),
    "500 after": httpx.Response(500),
    "503 after": httpx.Response(503),
    "not JSON": httpx.Response(200, text="<html>"),
    "wrong JSON": httpx.Response(200, json={"rejected": {"nobody we know": "…"}, "results": 7, "job": None}),
    "slow body": None,
}
FATES = (*UNSEEN, *SEEN, "well")


class Dropped(PostgreSQL):
    """A database a history, dropped at its end."""

    def __init__(self, server):
        super().__init__(server.database)
        self.server = server

    def close(self, url):
        PostgreSQL.close(url)
        self.server.drop(url)


class Death(Killer):
    """Kills right before the n-th step of a run; settling: only statements that settle are counted."""

    def __init__(self, at: int | None, settling: bool = False):
        super().__init__(at)
        self.settling = settling

    def step(self, *_: object) -> None:
        if self.dead or not self.settling:
            super().step()

    def statement(self, connection, cursor, statement, *more):
        if self.settling and (SETTLES.search(statement) or SWAPS.search(statement)):
            Killer.step(self)
        else:
            super().statement(connection, cursor, statement, *more)

    def watch(self, worker, receiver):
        """Only what is written; calls are met on their way."""
        for engine in (worker.warehouse.engine, worker.state.engine):
            event.listen(engine, "before_cursor_execute", self.statement)


class Sky:
    """The way to the far end: each call in turn meets its fate, and a process may die before and after it took."""

    def __init__(self, end: Callable[[httpx.Request], httpx.Response], fates: Iterable[str], death: Death):
        self.end, self.fates, self.death, self.met = end, iter(fates), death, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        fate = next(self.fates, "well")
        self.met += fate != "well"
        self.death.step()
        if fate in UNSEEN:
            return self._meets(UNSEEN[fate])
        answer = self.end(request)
        self.death.step()
        if fate == "slow body":
            return httpx.Response(200, content=self._slow())
        if fate == "not JSON" and (not answer.is_success or b"rejected" in answer.content):
            return answer  # a refusal is not turned into a success: that would be a provider that lies
        return self._meets(SEEN[fate]) if fate in SEEN else answer

    def _meets(self, fate: httpx.Response | Exception) -> httpx.Response:
        if isinstance(fate, Exception):
            raise fate
        return httpx.Response(fate.status_code, headers=fate.headers, content=fate.content)

    def _slow(self) -> Iterator[bytes]:
        yield b'{"'
        raise httpx.ReadTimeout("the rest does not come")


class History:
    """One sync and all that happens to it. `events` counts; `told` says them, for whoever must understand a failure."""

    quiet_runs, patience = 2, {"days": 8}  # longer than a refused member ever waits

    def __init__(self, world: World, named: bool = True):
        self.world, self.named, self.events = world, named, 0
        self.team: dict[int, tuple[str | None, int]] = {}
        self.twice: set[int] = set()
        self.seconds = 0.0
        self.days: list[dict] = [{}]
        self.owners: dict[str | None, set[int]] = defaultdict(set)
        self.other_list("L")
        self.begin()

    def begin(self) -> None:
        self.world.receiver.lists |= {name: {STRANGER: {"email": STRANGER}} for name in "LM"}
        self.world.receiver.before = self.judge

    def day(self, changes: Sequence[tuple[str, int, int, str, int]]) -> None:
        """The audience changes, member by member."""
        self.days.append(dict(self.team))
        self.twice = set()
        for kind, key, other, name, score in changes:
            self.events += 1
            before = self.team.get(key, (name, score))
            if kind == "as before":  # what was half done must be undone
                self.team = dict(self.days[-1 - other % len(self.days)])
            elif kind.startswith("list"):
                self.other_list(kind[-1])
            elif kind == "leave":
                self.team.pop(key, None)
            elif kind == "lose name":
                self.team[key] = (None, before[1])
            elif kind == "twice":
                self.twice.add(key)
            elif kind in ("come", "move"):
                self.team[key] = (name, before[1])
            elif kind == "share":
                self.team[key] = (self.team.get(other, before)[0], before[1])
            elif kind == "swap" and other in self.team:
                self.team[key], self.team[other] = self.team[other], before
            elif kind == "hand over":
                self.team[other] = before
                self.team.pop(key, None)
            else:
                self.team[key] = (before[0], POISON if kind == "poison" else score)
        self.publish(self.twice)

    def other_list(self, name: str) -> None:
        self.list = name
        self.world.define("[guard]\nempty = true", HEADER.replace('list = "L"', f'list = "{name}"'))

    def publish(self, twice: Iterable[int] = ()) -> None:
        for key, (name, _) in self.team.items():
            self.owners[name].add(key)
        rows = [(key, *member) for key, member in self.team.items()]
        self.world.people(*rows, *((key, "twice@x", 1) for key in twice if key in self.team))

    def run(self, fates: Sequence[str] = (), at: int | None = None, settling: bool = False) -> None:
        """A run in this weather; killed at a step of it, where it has so many."""
        death = Death(at, settling)
        sky = Sky(self.world.receiver, fates, death)
        error = None
        try:
            way = {"transport": httpx.MockTransport(sky), "sleep": self.sleep, "clock": self.clock}
            [result] = self.world.results(killer=death, force=True, **way)
            error = result.error
        except Killed:
            self.events += 1
        self.events += 1 + sky.met
        self.world.forget_lease()
        assert expected(error), error
        assert self.on_lists() <= self.remembered()

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def clock(self) -> float:
        return self.seconds

    def lose_state(self) -> None:
        """The state database is gone with all that it knew."""
        self.events += 1
        for path in self.world.state_file.parent.glob("s.sqlite*"):
            path.unlink()

    def settle(self) -> None:
        """Quiet runs; then everything is in step."""
        self.publish()
        self.world.later(**self.patience)
        for _ in range(self.quiet_runs):
            self.events += 1
            result = self.world.sync(force=True)
        assert result.error is None, result.error
        self.in_step()

    def refuses(self, name: str, score: int) -> bool:
        return "bad" in name or score == POISON

    def judge(self, told: dict) -> httpx.Response | None:
        """Refuse the poisonous, and apply the others; None where nobody is."""
        fields = [member["fields"] for member in told["members"]]
        bad = [told["verb"] == "upsert" and self.refuses(each["email"], each["nps"]) for each in fields]
        if not any(bad):
            return None
        if not self.named:
            return httpx.Response(422, text="this one is refused")
        away = {member["key"]: "refused" for member, is_bad in zip(told["members"], bad, strict=True) if is_bad}
        self.world.receiver.apply({**told, "members": [each for each in told["members"] if each["key"] not in away]})
        return httpx.Response(200, json={"rejected": away})

    def listed(self, name: str) -> dict[str, dict]:
        """Address -> fields of who is on a list, strangers left out."""
        return {each: fields for each, fields in self.world.receiver.lists.get(name, {}).items() if each != STRANGER}

    def on_lists(self) -> set[str]:
        """Everybody who is on a list by our hand."""
        return {name for each in "LM" for name in self.listed(each)}

    def remembered(self) -> set[str]:
        """Every identifier that the warehouse knows to be, perhaps, on a list (I2 of the protocol)."""
        table, there = f"team__{self.world.connector}", set(self.tables())
        if f"control_{table}" not in there:
            return set()
        found = self.world.sql(f"select outbox, mark from audience_sync.control_{table}")
        selects = [f"select ident from audience_sync.{kind}_{table}" for kind in ("ledger", "pending")]
        selects = [each for each in selects if each.partition(".")[2] in there]
        selects += [
            f"select ident from {self.placed(f'audience_sync.outbox_{table}_{outbox}')} where seq < {mark}"
            " and verb = 'upsert'"
            for outbox, mark in found
            if outbox is not None
        ]
        return {ident for (ident,) in self.world.sql(" union all ".join(selects))} if selects else set()

    def placed(self, outbox: str) -> str:
        """An outbox with the places of its rows, and their verb, which are no columns of DuckDB's first one."""
        try:
            self.world.sql(f"select seq from {outbox} limit 0")
        except (duckdb.BinderException, WarehouseError):
            return f"(select rowid as seq, 'upsert' as verb, * from {outbox}) o"
        return outbox

    def tables(self) -> list[str]:
        """By our names, also where another table is meant by one."""
        return [re.sub(r"^v\d+_\d+_\d+_", "", name) for (name,) in self.world.sql(self.world.engine.listing)]

    def in_step(self) -> None:
        """I3 of the protocol: the list is the audience less the refused, so is the ledger, and nothing is open.

        The one leftover that may be: an unsure claim of a member still wanted, whom the provider refuses now.
        """
        wanted = {key: member for key, member in self.team.items() if member[0]}
        bad = {key for key, (name, score) in wanted.items() if self.refuses(name, score)}
        carried = {name for name, _ in wanted.values()}
        good = {(key, name, True) for key, (name, _) in wanted.items() if key not in bad}
        ledger, listed, table = self.world.ledger(), self.listed(self.list), f"team__{self.world.connector}"
        refused = {whole(key) for (key,) in self.world.sql(f"select key from audience_sync.refused_{table}")}
        nameless, claiming = self.team.keys() - wanted.keys(), {key for key, _, _ in ledger - good}

        assert {name for _, name, _ in good} <= listed.keys() <= carried
        assert listed.keys() <= {ident for _, ident, _ in ledger} <= carried
        assert good <= ledger
        assert {ident for _, ident, _ in ledger - good} <= {wanted[key][0] for key in bad}
        assert bad <= refused <= bad | nameless | claiming
        for key, (name, score) in wanted.items():
            if key not in bad and self.owners[name] == {key}:
                assert listed[name]["nps"] == score
        assert self.world.sql(f"select outbox from audience_sync.control_{table}") == [(None,)]
        assert not [name for name in self.tables() if name.startswith(f"outbox_{table}_")]
        self.elsewhere()

    def elsewhere(self) -> None:
        """Nobody is left on a list that is not ours any more, and the strangers are where they were."""
        other = "LM".replace(self.list, "")
        assert not self.listed(other)
        assert all(self.world.receiver.lists[name][STRANGER] == {"email": STRANGER} for name in "LM")
        assert STRANGER not in str(self.world.receiver.sent("remove"))


class JobHistory(History):
    """The same with a provider that takes batches in and judges them later. Jobs end whenever, or come to nothing."""

    quiet_runs = 4

    def begin(self) -> None:
        self.world.receiver.fails = {"bad@x": "refused"}
        self.hours = 0

    def jobs_end(self, fails: str = "") -> None:
        """Every job that runs is done; fails: why all of them come to nothing."""
        self.events += 1
        self.hours = 0
        self.world.receiver.works(fails)

    def time_passes(self, hours: int) -> None:
        """Hours pass; no job takes longer than its connector says that the longest does, which is six."""
        self.events += 1
        if self.hours + hours >= 6:
            self.jobs_end()
        self.hours += hours
        self.world.later(hours=hours)

    def settle(self) -> None:
        """Every job ends; the clock goes past the longest, so that one which was lost is waited for no more."""
        self.publish()
        for _ in range(self.quiet_runs):
            self.events += 1
            self.world.receiver.works()
            self.world.later(**self.patience)
            result = self.world.sync(force=True)
            assert result.error is None, result.error
        self.in_step()
        # Nobody waits for a verdict but who was refused, and is tried again whenever that is due.
        waiting = {key for _, _, key in jobs.pending(self.world)}
        assert all(self.refuses(*self.team[key]) for key in waiting)

    def refuses(self, name: str, score: int) -> bool:
        return name == "bad@x"

    def elsewhere(self) -> None:
        assert not self.listed("LM".replace(self.list, ""))


def expected(error: AudienceError | None) -> bool:
    """Whether an error is of those that weather brings: none of ours, and none that no weather explains."""
    return error is None or "defect" not in error.what
