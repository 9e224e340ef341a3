"""The right to run a sync: one holder at a time, a number that only grows, and an end that cannot be overslept."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from audiences import lease
from audiences.errors import Deferred, Held, LeaseLost, WarehouseError
from audiences.state import State
from states import rows

HOLD = """
import sys, time
from sqlalchemy.engine import make_url
from audiences import lease
from audiences.state import State
held = lease.take(State(make_url(sys.argv[1])), "team.webhook", 0)
print(held.epoch, flush=True)
time.sleep(600)
"""


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def state(state_url):
    opened = State(state_url)
    yield opened
    opened.close()


def sql(state, statement):
    return rows(state.url, statement)


def elsewhere(state):
    """Let the lease's holder be a process of another machine, of which only time tells whether it lives."""
    sql(state, "update lease set holder = 'another|boot|1|7|1'")


@pytest.fixture
def another_process(state):
    """A real process that holds the lease."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(state.url)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "1\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_one_holder_at_a_time(state):
    """
    A lease that is held is not given, also not to the process that holds it; given back, it is.
    """
    held = lease.take(state, "team.webhook", 0)
    with pytest.raises(Deferred, match=r"free again in (59|60) s"):
        lease.take(state, "team.webhook", 0)

    held.release()

    assert lease.take(state, "team.webhook", 0).epoch == 2


def race(url, workers, sync="team.webhook"):
    """So many workers, each with a connection of its own, ask for one lease at once: who gets it, who is told no."""
    start, won, told = threading.Barrier(workers, timeout=30), [], []

    def ask():
        own = State(url)
        start.wait()
        try:
            won.append(lease.take(own, sync, 0).epoch)
        except Deferred as held:
            told.append(held.what)
        own.close()

    threads = [threading.Thread(target=ask) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return won, told


def test_of_workers_that_ask_at_once_one_gets_it(state):
    """
    Whether the lease is new, given back, or run out under a holder elsewhere: one of six gets it, the others hear so.
    """
    for epoch, before in enumerate((None, "holder = null", "holder = 'another|boot|1|7|1', until = 1"), 1):
        if before:
            sql(state, f"update lease set {before}")
        won, told = race(state.url, 6)

        assert won == [epoch]
        assert told == ["team.webhook is being run by another worker"] * 5


def test_of_two_workers_only_the_newest_writes(state):
    """
    While one renews as fast as it can, another takes over an ended lease; from then on the first one writes nothing.
    """
    old, own = lease.take(state, "team.webhook", 0), State(state.url)
    elsewhere(state)
    sql(state, "update lease set until = 1")
    new = lease.take(own, "team.webhook", 0)
    for _ in range(20):
        with pytest.raises(LeaseLost), old.begin():
            pytest.fail("the block must not be entered")
        with new.begin():
            pass
    own.close()

    assert sql(state, "select epoch from lease") == [(2,)]


def test_syncs_do_not_wait_for_each_other(state):
    """
    Each sync has a lease of its own.
    """
    lease.take(state, "team.webhook", 0)

    assert lease.take(state, "crew.webhook", 0).epoch == 1


def test_the_epoch_is_above_the_states_and_the_warehouses(state):
    """
    A new state database does not start again at 1, and an older warehouse takes no number back.
    """
    first = lease.take(state, "team.webhook", seen=41)
    first.release()
    second = lease.take(state, "team.webhook", seen=7)

    assert (first.epoch, second.epoch) == (42, 43)


def test_a_lease_runs_out(state):
    """
    After its time, whoever held it elsewhere loses it to the next one, with a higher number; before, they do not.
    """
    lease.take(state, "team.webhook", 0)
    elsewhere(state)
    with pytest.raises(Deferred):
        lease.take(state, "team.webhook", 0)
    sql(state, "update lease set until = until - 61")

    assert lease.take(state, "team.webhook", 0).epoch == 2


def test_a_dead_holder_is_not_waited_for(state, another_process):
    """
    A process of this machine that was killed loses its lease at once.
    """
    another_process.kill()
    another_process.wait()

    assert lease.take(state, "team.webhook", 0).epoch == 2


def test_a_living_holder_keeps_its_lease(state, another_process):
    """
    A process of this machine that lives keeps it.
    """
    with pytest.raises(Deferred, match="is being run by another worker"):
        lease.take(state, "team.webhook", 0)


def test_another_process_with_the_number_of_a_dead_one_is_not_the_holder(state):
    """
    Process numbers come again: the holder is known by its start, too.
    """
    *place, pid, _ = lease.identity().split("|")

    assert lease.dead("|".join((*place, pid, "1")))
    assert not lease.dead(lease.identity())


@pytest.mark.parametrize("part", range(3))
def test_only_a_process_of_this_very_machine_can_be_seen_dead(part):
    """
    Another host, another boot or another container: only time tells.
    """
    parts = lease.identity().split("|")
    parts[part], parts[3] = "another", "999999999"

    assert not lease.dead("|".join(parts))


def test_every_transaction_renews(state):
    """
    Whoever writes keeps the lease; its own deadline counts from before it asked.
    """
    clock = Clock()
    held = lease.take(state, "team.webhook", 0, clock)
    clock.now += 50
    sql(state, "update lease set until = until - 50")
    with held.begin():
        pass

    assert held.deadline == 1050 + lease.TTL
    [(left,)] = sql(state, f"select until - {state.now()} from lease")
    assert 55 < left <= 60


def test_a_holder_who_was_taken_over_writes_nothing(state):
    """
    After a takeover, the old holder's transactions fail before their first word, and so does giving the lease back.
    """
    old = lease.take(state, "team.webhook", 0)
    elsewhere(state)
    sql(state, "update lease set until = 0")
    lease.take(state, "team.webhook", 0)

    with pytest.raises(LeaseLost), old.begin():
        pytest.fail("the block must not be entered")
    with pytest.raises(LeaseLost):
        old.release()
    assert sql(state, "select epoch, case when holder is null then 0 else 1 end from lease") == [(2, 1)]


def test_a_call_needs_a_lease_that_outlasts_it(state):
    """
    With time enough nothing is asked; with too little the lease is renewed first; where it cannot be, the call is off.
    """
    clock = Clock()
    held = lease.take(state, "team.webhook", 0, clock)
    clock.now += 22
    held.lasts(35)
    assert held.deadline == 1060

    clock.now += 2
    held.lasts(35)
    assert held.deadline == 1024 + lease.TTL

    sql(state, "update lease set epoch = 9")
    held.lasts(35)
    clock.now += 30
    with pytest.raises(LeaseLost):
        held.lasts(35)


def test_a_call_longer_than_any_lease_is_never_made(state):
    """
    A renewal gives no more than its time.
    """
    held = lease.take(state, "team.webhook", 0)

    with pytest.raises(LeaseLost):
        held.lasts(lease.TTL)


def test_a_lease_is_kept_while_something_else_takes_long(state, monkeypatch):
    """
    A thread renews it meanwhile, and ends with the block.
    """
    monkeypatch.setattr(lease, "RENEW", 0.01)
    held = lease.take(state, "team.webhook", 0)
    before, renewed = held.deadline, threading.Event()
    held.clock = lambda: renewed.set() or before
    with held.kept():
        assert renewed.wait(10)

    assert held.deadline == before + lease.TTL
    assert "lease" not in [thread.name for thread in threading.enumerate()]


def test_a_renewal_that_fails_is_tried_again(state, monkeypatch):
    """
    A state database that is away for a moment ends no lease; one that was taken over ends the renewing.
    """
    monkeypatch.setattr(lease, "RENEW", 0.01)
    held = lease.take(state, "team.webhook", 0)
    tried = threading.Semaphore(0)

    def clock():
        tried.release()
        if held.epoch == 1:
            held.epoch = 2  # from the second renewal on, the lease is another's
            raise WarehouseError("away", do="wait")
        return 0.0

    held.clock = clock
    with held.kept():
        assert tried.acquire(timeout=10)
        assert tried.acquire(timeout=10)

        assert not tried.acquire(timeout=0.1)


def test_a_lease_is_waited_for_as_long_as_there_is_patience(state):
    """
    Whoever waits takes the lease as soon as it is given back, and hears that it is held where that is not soon enough.
    """
    held, waits = lease.take(state, "account:webhook", 0), []

    def given_back(seconds):
        waits.append(seconds)
        if len(waits) == 3:
            held.release()

    with pytest.raises(Held):
        lease.awaited(state, "account:webhook", 0.0, given_back)
    taken = lease.awaited(state, "account:webhook", 60.0, given_back)

    assert waits == [1.0, 1.0, 1.0]
    assert taken.epoch == held.epoch + 1
    with pytest.raises(Held):
        lease.awaited(state, "account:webhook", 2.0, waits.append)
    assert len(waits) == 5


def test_whether_a_lease_is_held_can_be_asked(state):
    """
    To ask takes nothing: one is busy while it is held, and is not once its holder has died or it has ended.
    """
    assert lease.busy(state, ["a", "b"]) is None
    held = lease.take(state, "b", 0)
    assert (lease.busy(state, ["a", "b"]), lease.busy(state, ["a"])) == ("b", None)
    sql(state, f"update lease set holder = '{held.holder.rpartition('|')[0]}|long ago'")
    assert lease.busy(state, ["b"]) is None
    elsewhere(state)
    assert lease.busy(state, ["b"]) == "b"
    sql(state, "update lease set until = 0")

    assert lease.busy(state, ["b"]) is None
