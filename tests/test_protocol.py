"""What a run writes, and in which order, is what the protocol says: recorded at the databases and at the wire."""

from __future__ import annotations

import re
from itertools import groupby, pairwise

import pytest
from sqlalchemy import event

from scale import times
from world import Killed, Killer, World

BEFORE = [(1, "a@x", 1), (2, "b@x", 1), (3, "c@x", 1), (4, "d@x", 1), (5, "e@x", 1), (6, "bad@x", 1)]
# one moves, one changes, one is new, two leave
AFTER = [(1, "z@x", 1), (2, "b@x", 2), (3, "c@x", 1), (6, "bad@x", 1), (7, "f@x", 1)]

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
    "4e": r"(update|insert into|delete from) \S*refused_",
    "plan": r"create table \S*outbox_",
    "drop": r"drop table \S* ?\S* ?\S*outbox_",
}
WRITES = re.compile(r"\s*(update|insert|delete|create table|drop table|select v?\S*verdict)", re.IGNORECASE)


def step(statement: str) -> str | None:
    words = " ".join(statement.split()).lower().replace('"', "")
    return next((name for name, pattern in STEPS.items() if re.search(pattern, words)), None)


class Recorder(Killer):
    """Takes down the steps of a run: statements of both databases, and calls. It may kill as well."""

    def __init__(self, at=None):
        super().__init__(at)
        self.seen: list[str] = []

    def statement(self, connection, cursor, statement, *more):
        super().statement(connection, cursor, statement, *more)
        if name := step(statement):
            self.seen.append(name)

    def watch(self, worker, receiver):
        for engine in (worker.warehouse.engine, worker.state.engine):
            event.listen(engine, "before_cursor_execute", self.statement)

        def called(told):
            self.step()
            self.seen.append("send")

        receiver.before, receiver.after = called, self.step


def recorded(world, at=None):
    """The steps of a run, without renewals; killed at its n-th."""
    recorder = Recorder(at)
    try:
        world.results(killer=recorder, force=True)
    except Killed:
        world.forget_lease()
    world.receiver.before = world.receiver.after = lambda told: None
    seen = [name for name in recorder.seen if name != "renew"]
    return [name for name, group in groupby(seen)], recorder.dead


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.small(batch=2)
    made.people(*BEFORE)
    made.sync()
    made.people(*AFTER)
    return made


def first(seen, name):
    return seen.index(name) if name in seen else len(seen)


def last(seen, name):
    return max((at for at, each in enumerate(seen) if each == name), default=-1)


def in_order(seen):
    """Whether what was done of a run stands in the protocol's order, whether or not it came to its end."""
    begins = ("take", "fence", "prepare", "plan", "register", "publish", "mark", "intent", "send")
    for one, other in pairwise(begins):
        if other in seen:
            assert first(seen, one) < first(seen, other), (one, other, seen)
    marks = [at for at, name in enumerate(seen) if name == "mark"]
    assert all("intent" in seen[at:] for at in marks[:-1])
    for at, name in enumerate(seen):
        if name == "send":  # never without an intent of its own before it, written after the last call's
            since = max((n for n in range(at) if seen[n] == "send"), default=first(seen, "publish"))
            assert "intent" in seen[since:at], seen
    closes = [at for at, name in enumerate(seen) if name == "close"]
    for at in closes:
        until = next((n for n in range(at + 1, len(seen)) if seen[n] in ("plan", "register", "close")), len(seen))
        assert not {"4a", "4b", "4c", "4e", "send", "record"} & set(seen[at:until]), seen
        assert first(seen[at:], "forget") < first(seen[at:], "drop") or "drop" not in seen[at:until], seen
    if "send" in seen and "close" in seen and last(seen, "close") > first(seen, "send"):
        assert last(seen, "record") < last(seen, "read") < last(seen, "close")


def test_a_run_goes_by_the_protocol(world):
    """
    take, fence, prepare, plan, register, publish; for each call mark (where it passes the window), intent, send,
    record; then the verdicts are read, settled in order and the outbox closed before the state forgets; release.
    """
    seen, _ = recorded(world)

    in_order(seen)
    calls = [name for name in seen if name in ("register", "publish", "mark", "intent", "send", "record")]
    assert calls == ["register", "publish", "mark", *["intent", "send", "record"] * calls.count("send")]
    assert seen[0] == "take"
    assert seen[-1] == "release"
    assert [name for name in seen[last(seen, "record") :] if name[0] == "4" or name == "close"][-1] == "close"


def test_the_run_after_a_crash_goes_by_the_protocol(tmp_path, world):
    """
    Killed at any step, a run has kept the order up to there; the next one settles what is open and closes it before it
    plans, and then goes the way of every run.
    """
    for at in range(1, 200, times(18, 1, 9)):
        folder = tmp_path / f"at{at}"
        folder.mkdir()
        other = world.copy(folder)
        before, dead = recorded(other, at)
        after, _ = recorded(other)

        in_order(before)
        in_order(after)
        if "publish" in before and before[-1] != "publish" and "close" not in before:
            assert first(after, "fence") < first(after, "read") < first(after, "close") < first(after, "plan")
        if not dead:
            return
    raise AssertionError("the run has more steps than are tried")
