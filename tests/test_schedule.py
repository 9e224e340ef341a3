"""Turns: who is due, that one worker has it, what a late run makes up for; and the jobs of a worker that stays."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from audiences import lease
from audiences.errors import Held
from scheduled import Clock, Scheduled, waits
from states import rows


@pytest.fixture
def world(tmp_path):
    return Scheduled(tmp_path, Clock("2026-03-02T12:07"))


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_new_audience_waits_for_its_first_moment(world):
    """
    Whoever merges a file is not surprised by a run at once: it comes at the first moment of the line, and once.
    """
    with world.turns() as turns:
        world.began(turns)
        first = world.take(turns)
        world.clock.pass_(minutes=53)
        second, third = world.take(turns), world.take(turns)

    assert first == third == ()
    assert [each.outcome for each in second] == ["delivered"]
    assert world.receiver.holds("team") == {"a@x"}


def test_a_pause_is_made_up_for_by_one_late_run(world):
    """
    After a day without any worker an hourly audience is run once, late, and then at its next moment.
    """
    with world.turns() as turns:
        world.began(turns)
    world.clock.pass_(days=1)
    with world.turns() as turns:
        world.began(turns)
        late, again, due = world.take(turns), world.take(turns), world.due(turns)

    assert (len(late), again) == (1, ())
    assert due == at("2026-03-03T13:00")


@pytest.mark.parametrize(
    ("line", "more"),
    [("30 * * * *", ""), ("@hourly, Asia/Kolkata", ""), ("@hourly", "[sync.file]\nlist='x'\nsend=['email']")],
)
def test_a_line_that_changes_holds_from_now_on(world, line, more):
    """
    A new line or zone makes nothing due that it did not name before; any other change leaves due what was.
    """
    with world.turns() as turns:
        world.began(turns)
        world.clock.pass_(hours=2)
        world.line("team", line, more)
        world.began(turns)

        assert (world.due(turns) <= world.clock()) == bool(more)


def test_a_woken_audience_waits_as_a_new_one(world):
    """
    What went by while an audience was paused is not made up for.
    """
    with world.turns() as turns:
        for paused in (False, True, False):
            world.line("team", "@hourly", paused=paused)
            world.began(turns)
            world.clock.pass_(minutes=90)

        assert world.due(turns) == at("2026-03-02T16:00")


def test_one_worker_has_the_turn(world):
    """
    While one worker is at it, another hears that it is held; once it is done there is nothing left to do.
    """
    arrived, gate, found = threading.Event(), threading.Event(), []
    world.receiver.after = lambda told: waits(arrived, gate)
    with world.turns() as one, world.turns() as other:
        world.began(one)
        world.clock.pass_(hours=1)
        first = threading.Thread(target=lambda: found.extend(world.take(one)))
        first.start()
        assert arrived.wait(20)
        with pytest.raises(Held, match="team"):
            world.take(other)
        gate.set()
        first.join()

        assert world.take(other) == ()
    assert [each.outcome for each in found] == ["delivered"]
    assert len(world.receiver.calls) == 1


def test_whoever_was_quicker_is_seen_behind_the_lease(world, monkeypatch):
    """
    A worker that looked before another had finished, and got the lease after, runs nothing a second time.
    """
    taken = lease.take

    def later(*words):
        with monkeypatch.context() as patch, world.turns() as other:
            patch.setattr(lease, "take", taken)
            world.take(other)
        return taken(*words)

    with world.turns() as turns:
        world.began(turns)
        world.clock.pass_(hours=1)
        monkeypatch.setattr(lease, "take", later)

        assert world.take(turns) == ()
    assert len(world.receiver.calls) == 1


def test_a_dead_workers_turn_is_taken_over(world):
    """
    Where a worker is gone in the middle, the audience is due until its lease has ended and another has run it.
    """
    with world.turns() as turns:
        world.began(turns)
        world.clock.pass_(hours=1)
        lease.take(turns.state, "schedule:team", 0)
        with pytest.raises(Held):
            world.take(turns)
        world.forget_lease()

        assert [each.outcome for each in world.take(turns)] == ["delivered"]


def test_a_sync_that_is_run_by_hand_is_not_run_beside(world):
    """
    The turn waits for a `sync` that someone typed, without a query and without a run that says so.
    """
    with world.turns() as turns:
        world.began(turns)
        world.clock.pass_(hours=1)
        held = lease.take(turns.state, "team.webhook", 0)
        with pytest.raises(Held, match=r"team\.webhook is being run"):
            world.take(turns)
        held.release()

        assert len(world.take(turns)) == 1
    assert rows(turns.state.url, "select result from run") == [("delivered",)]


@pytest.mark.parametrize(("queue", "outcome"), [(5.0, "delivered"), (0.0, "deferred")])
def test_an_account_that_another_sync_uses_is_waited_for(world, queue, outcome):
    """
    A worker that stays waits for the account; without patience for that the sync is deferred, and still due.
    """
    with world.turns() as turns:
        world.began(turns)
        world.clock.pass_(hours=1)
        held = lease.take(turns.state, "account:webhook", 0)
        world.more = {"queue": queue, "sleep": lambda seconds: held.release()}

        assert [each.outcome for each in world.take(turns)] == [outcome]
        assert (world.due(turns) > world.clock()) == (outcome == "delivered")


def test_a_signal_leaves_the_turn_to_the_next_worker(world):
    """
    A run that a signal broke off has not had its turn: whoever comes next goes on from there, late.
    """
    world.small()
    world.people(*((number, f"p{number}@x") for number in range(6)))

    def stop(told):
        world.stopped = True

    world.receiver.after = stop
    with world.turns() as turns:
        world.began(turns)
        world.clock.pass_(hours=1)
        [broken] = world.take(turns)
        none = world.take(turns)
        world.stopped, world.receiver.after = False, lambda told: None
        [rest] = world.take(turns)

    assert (broken.outcome, none, rest.outcome) == ("stopped", (), "delivered")
    assert len(world.receiver.sent("upsert")) == 6


def test_a_signal_before_the_first_sync_leaves_the_turn_as_well(world):
    """
    One that comes while the warehouse is being opened, when no sync has begun: the audience is as due as before.
    """

    @contextmanager
    def interrupted():
        with world.hired() as worker:
            world.stopped = True
            yield worker

    with world.turns() as turns:
        world.began(turns)
        world.clock.pass_(hours=1)
        none = world.take(replace(turns, hired=interrupted))
        world.stopped = False
        [rest] = world.take(turns)

    assert (list(none), rest.outcome) == ([], "delivered")


def test_a_failure_has_had_its_turn(world):
    """
    As with cron, what failed is tried again at the line's next moment.
    """
    world.sql("drop table people")
    with world.turns() as turns:
        world.began(turns)
        world.clock.pass_(hours=1)
        [failed] = world.take(turns)

        assert failed.outcome == "failed"
        assert world.due(turns) == at("2026-03-02T14:00")


@pytest.mark.parametrize(
    ("start", "fixed", "moving"),
    [
        ("2026-03-28T22:00", "2026-03-29T03:00+02:00 2026-03-30T02:30+02:00", 0 + 2),
        ("2026-10-24T22:00", "2026-10-25T02:30+02:00 2026-10-26T02:30+01:00", 4 + 2),
    ],
)
def test_a_driven_clock_runs_each_audience_as_cron_would(tmp_path, start, fixed, moving):
    """
    Over a change of the clock, minute by minute: a fixed time is run once a day, a line with a star as the clock shows.
    """
    clock = Clock(start)
    world = Scheduled(tmp_path, clock, fixed="30 2 * * *, Europe/Oslo", moving="*/30 2 * * *, Europe/Oslo")
    ran = {"fixed": [], "moving": []}
    with world.turns() as turns:
        world.began(turns)
        dues = {name: world.due(turns, name) for name in ran}
        end = clock() + timedelta(hours=30)
        while clock() < end:
            for name in ran:
                if dues[name] <= clock():
                    ran[name] += [clock()] * len(world.take(turns, name))
                    dues[name] = world.due(turns, name)
            clock.pass_(minutes=1)

    assert ran["fixed"] == [datetime.fromisoformat(each).astimezone(UTC) for each in fixed.split()]
    assert len(ran["moving"]) == moving
    assert {each.astimezone(ZoneInfo("Europe/Oslo")).hour for each in ran["moving"]} == {2}
