"""What a run writes, and in which order, is what the protocol says: recorded at the databases and at the wire."""

from __future__ import annotations

import re
from itertools import groupby, pairwise

import httpx
import pytest
from sqlalchemy import event

import jobs
from engines import ENGINES
from history import Death
from scale import times
from world import Killed, World

BEFORE = [(1, "a@x", 1), (2, "b@x", 1), (3, "c@x", 1), (4, "d@x", 1), (5, "e@x", 1), (6, "bad@x", 1)]
# one moves, one changes, one is refused with other data, three are new, two leave
AFTER = [(1, "z@x", 1), (2, "b@x", 2), (3, "c@x", 1), (6, "bad@x", 2), (7, "f@x", 1), (8, "g@x", 1), (9, "h@x", 1)]

# Step -> the statements that are it; the first that fits. Where a table is named it is of this sync.
STEPS = {
    "take": r"update lease .* returning epoch",
    "release": r"update lease set holder = null",
    "renew": r"update lease",
    "fence": r"update \S*control_\S* set epoch = \d+, holder",
    "read": r"select .* from verdict",
    "register": r"insert into opened",
    "intent": r"update opened set mark",
    "record": r"(update|insert into) verdict",
    "forget": r"delete from (opened|verdict)",
    "close": r"outbox = null",
    "publish": r"outbox = \S+, mark = 0",
    "prepare": r"list_name =",
    "mark": r"update \S*control_\S* set epoch = epoch, mark =",
    "4a": r"insert into \S*ledger_.* true, |delete from \S*ledger_\S* l using .*verb = 'upsert'",
    "4b": r"delete from \S*ledger_\S* l using .*(move|release)",
    "4c": r"(update|insert into) \S*ledger_",
    "4d": r"insert into \S*pending_",
    "4e": r"(update|insert into|delete from) \S*refused_",
    "let go": r"delete from \S*pending_",
    "plan": r"create table \S*outbox_",
    "drop": r"drop table \S* ?\S* ?\S*outbox_",
}
# Of the statements that settle, and of all steps, every so many-th is one to be killed at; `make thorough` tries all.
# CI tries each statement that settles, on the engine that takes longer; `make test` every third, on the other.
APART = {
    ("webhook", "duckdb"): (times(13, 1, 1), times(82, 1, 41)),
    ("webhook", "postgresql"): (times(3, 1, 5), times(53, 1, 53)),
    ("jobs", "duckdb"): (times(21, 1, 3), times(99, 1, 53)),
    ("jobs", "postgresql"): (times(6, 1, 7), times(59, 1, 59)),
}
SETTLES = {"4a", "4b", "4c", "4d", "4e"}


def step(statement: str) -> str | None:
    words = " ".join(statement.split()).lower().replace('"', "")
    return next((name for name, pattern in STEPS.items() if re.search(pattern, words)), None)


class Recorder(Death):
    """Takes down the steps of a run: statements of both databases, and calls. It may kill as well.

    settling: only statements that settle are counted for that
    """

    def __init__(self, at=None, settling=False):
        super().__init__(at, settling)
        self.seen: list[str] = []

    def statement(self, connection, cursor, statement, *more):
        super().statement(connection, cursor, statement, *more)
        if name := step(statement):
            self.seen.append(name)

    def watch(self, worker, receiver):
        for engine in (worker.warehouse.engine, worker.state.engine):
            event.listen(engine, "before_cursor_execute", self.statement)
        answer = receiver.before

        def called(told):
            self.step()
            self.seen.append(call(told))
            return answer(told)

        receiver.before, receiver.after = called, self.step


def call(told):
    """What a call does, to a receiver of webhooks or to the provider of jobs."""
    if isinstance(told, httpx.Request):
        return "ask" if told.method == "GET" else "send add" if b'"verb":"add"' in told.content else "send drop"
    return "send add" if told["verb"] == "upsert" else "send drop"


def recorded(world, at=None, settling=False):
    """The steps of a run, without renewals; killed at its n-th, or right before the n-th statement that settles."""
    recorder, quiet = Recorder(at, settling), lambda told: None
    if world.connector == "webhook":
        world.receiver.rejects("bad@x")
    try:
        world.results(killer=recorder, force=True)
    except Killed:
        world.forget_lease()
    world.receiver.before = world.receiver.after = quiet
    return [name for name in recorder.seen if name != "renew"], recorder.dead


def made(kind, folder, engine, concurrency=1):
    """A world in which the audience has just changed. jobs: the provider's jobs are done, and nobody has asked yet."""
    folder.mkdir()
    world = jobs.world(folder, engine) if kind == "jobs" else World(folder, engine=engine)
    world.people(*BEFORE)
    if kind == "jobs":
        connector, world.receiver.turns_away = folder / "connectors" / "jobs.py", {"bad@x": "no such person"}
        connector.write_text(connector.read_text().replace("concurrency=2", "concurrency=1"))
    else:
        world.small(2, concurrency)
        world.receiver.rejects("bad@x")
    world.sync()
    if kind == "jobs":
        world.receiver.works()
    world.people(*AFTER)
    return world


@pytest.fixture(scope="module")
def prepared(request, tmp_path_factory, postgres_server):
    """Of each kind one, made once."""
    kind, engine = request.param
    return made(kind, tmp_path_factory.mktemp("of") / "kind", ENGINES[engine](postgres_server.database))


@pytest.fixture
def world(prepared, tmp_path, databases):
    return prepared.copy(tmp_path / "copy", databases)


KINDS = [(kind, engine) for kind in ("webhook", "jobs") for engine in ENGINES]
every_kind = pytest.mark.parametrize("prepared", KINDS, ids="-".join, indirect=True)


def first(seen, name):
    return next((at for at, each in enumerate(seen) if each.startswith(name)), len(seen))


def last(seen, name):
    return max((at for at, each in enumerate(seen) if each.startswith(name)), default=-1)


def until(seen, at, *names):
    """What was done after a step, up to the first of these."""
    return seen[at + 1 : next((n for n in range(at + 1, len(seen)) if seen[n] in names), len(seen))]


def in_order(seen, together=1):
    """Whether what was done of a run stands in the protocol's order, whether or not it came to its end.

    together: batches that one intent speaks of; 1: calls go one by one
    """
    for one, other in pairwise(("take", "fence", "prepare", "plan", "register", "publish", "mark", "intent", "send")):
        if first(seen, other) < len(seen):
            assert first(seen, one) < first(seen, other), (one, other, seen)
    marks = [at for at, name in enumerate(seen) if name == "mark"]
    assert all("intent" in seen[at:] for at in marks[:-1])
    delivers(seen, together)
    for at, name in enumerate(seen):
        if name == "close":  # the last word on an outbox; only then the state forgets it, and its table goes
            after = until(seen, at, "ask", "plan", "register", "close")
            assert not {*SETTLES, "let go", "record"} & set(after), seen
            assert first(after, "forget") < first(after, "drop") or "drop" not in after, seen
        if name == "let go":  # of a ticket, once all that it says is settled, and before anything is planned
            assert not SETTLES & set(until(seen, at, "ask", "prepare", "plan")), seen
            assert "ask" in seen[:at], seen
            assert at < first(seen, "prepare"), seen
    if "ask" in seen:
        assert last(seen[: first(seen, "ask")], "close") >= first(seen, "4c") or "4c" not in seen, seen
    if "close" in seen and last(seen, "close") > first(seen, "send"):
        assert last(seen, "record") < last(seen, "read") < last(seen, "close")


def delivers(seen, together):
    """No call without an intent, written after what was known; a phase begins when the one before it is recorded."""
    calls = [at for at, name in enumerate(seen) if name.startswith("send")]
    for number, at in enumerate(calls):
        assert number < together * seen[:at].count("intent"), seen
        if together == 1:
            assert "intent" in seen[calls[number - 1] if number else first(seen, "publish") : at], seen
    for one, other in pairwise(calls):
        if seen[one] != seen[other]:
            assert first(seen[one:other], "record") < last(seen[one:other], "intent"), seen
    phases = " ".join(name for name, _ in groupby(seen[at] for at in calls))
    assert phases in "send drop send add send drop", seen  # moves, who belongs, who left


def wholly(seen):
    """Whether a run went all its way, and settled in order."""
    assert (seen[0], seen[-1]) == ("take", "release")
    ending = seen[last(seen, "record") :]
    settled = [name for name, _ in groupby(name for name in ending if name in SETTLES or name == "close")]
    assert ending.index("read") < ending.index(settled[0])
    assert settled[-1] == "close"


@every_kind
def test_a_run_goes_by_the_protocol(world):
    """
    take, fence, judge what has a ticket, prepare, plan, register, publish; for each call mark (where it passes the
    window), intent, send, record; then the verdicts are read, settled in order and the outbox closed before the state
    forgets; release.
    """
    seen, _ = recorded(world)

    in_order(seen)
    wholly(seen)
    calls = [name for name, _ in groupby(seen) if name.split()[0] in ("register", "publish", "mark", "intent", "send")]
    number = len([name for name in calls if name.startswith("send")])
    assert calls[:3] == ["register", "publish", "mark"]
    assert [name.split()[0] for name in calls[3:]] == ["intent", "send"] * number
    assert ("ask" in seen, "4d" in seen, "let go" in seen) == ((world.connector == "jobs"),) * 3
    assert ("4a" in seen, "4e" in seen) == (True, True)


@pytest.mark.parametrize("engine", list(ENGINES), indirect=True)
def test_calls_at_once_keep_what_order_there_is(tmp_path, engine):
    """
    With four calls at once, a commit speaks of at most four batches before they begin, and a phase waits for the end of
    the one before it.
    """
    world = made("webhook", tmp_path / "many", engine, concurrency=4)
    world.people(*AFTER, *((number, f"p{number}@x", 1) for number in range(10, 30)))
    seen, _ = recorded(world)

    in_order(seen, together=4)
    wholly(seen)
    assert seen.count("send add") == 14


@every_kind
@pytest.mark.no_cover
def test_the_run_after_a_crash_goes_by_the_protocol(tmp_path, databases, prepared):
    """
    Killed at any step, or between any two statements that settle, a run has kept the order up to there; the next one
    settles what is open and closes it before it asks for tickets and plans, and then goes the way of every run.
    """
    for settling, apart in zip((True, False), APART[prepared.connector, prepared.engine.name], strict=True):
        for at in range(1, 200, apart):
            other = prepared.copy(tmp_path / f"{settling}{at}", databases)
            if not crashed(other, at, settling):
                break
        else:
            raise AssertionError("the run has more steps than are tried")


def crashed(world, at, settling):
    """Kill a run, and look at the order of what it did, and of the next; whether the run had so many steps."""
    before, dead = recorded(world, at, settling)
    after, _ = recorded(world)

    in_order(before)
    in_order(after)
    if "publish" in before[:-1] and "close" not in before:
        assert first(after, "fence") < first(after, "read") < first(after, "close") < first(after, "plan"), after
        assert first(after, "close") < first(after, "ask"), after
    return dead
