"""What a broken-off run leaves to the next: its plan was looked at once, and is not stopped half-way."""

from __future__ import annotations

from contextlib import closing, contextmanager

import httpx
import pytest

from audiences import control, runs, state
from audiences.audience import Sync
from audiences.errors import UnsafePlan
from audiences.plan import Plan
from audiences.state import State
from audiences.warehouse import Warehouse
from audiences.worker import Worker
from engines import DuckDB, PostgreSQL
from states import rows
from world import World

TEAM = [(n, f"p{n}@x") for n in range(40)]


class Stated(World):
    """A world whose state database is of either kind, and its warehouse of the same."""

    def __init__(self, folder, url, databases):
        embedded = url.get_backend_name() == "sqlite"
        super().__init__(folder, engine=DuckDB() if embedded else PostgreSQL(databases))
        self.state_url = url

    @contextmanager
    def worker(self, **more):
        options = {"transport": httpx.MockTransport(self.receiver), "sleep": lambda seconds: None}
        with Warehouse(self.url, "audience_sync") as warehouse, closing(State(self.state_url)) as found:
            control.adopt(warehouse, found)
            yield Worker(warehouse, found, self.folder, **(options | {"now": lambda: self.moment} | more))

    def forget_lease(self):
        rows(self.state_url, "update lease set until = 0")

    def lose_state(self):
        for table in state.tables.tables:
            rows(self.state_url, f"drop table {table}")


@pytest.fixture
def world(tmp_path, state_url, databases):
    world = Stated(tmp_path, state_url, databases)
    world.small(batch=10)
    world.people(*TEAM)
    return world


def killed(world):
    world.killed_in_call(2)


def refused_credentials(world):
    world.receiver.before = lambda told: httpx.Response(401) if len(world.receiver.calls) > 1 else None
    assert world.sync().outcome == "failed"


def stopped(world):
    asked = iter([False, False])  # before the sync, and before its first batch
    assert world.sync(stop=lambda: next(asked, True)).outcome == "stopped"


@pytest.mark.parametrize("ends", [killed, refused_credentials, stopped])
def test_a_first_sync_that_was_broken_off_goes_on(world, ends):
    """
    Killed, stopped or refused after the first batch: the next run adds the others, without --force.
    """
    ends(world)
    world.receiver.before = lambda told: None
    assert len(world.receiver.holds()) == 10

    assert world.sync().error is None
    assert len(world.receiver.holds()) == len(world.ledger()) == 40


def test_what_was_finished_is_no_promise(world):
    """
    Once a run has come to its end, the guard looks at shares again.
    """
    stopped(world)
    world.sync()
    world.people(*TEAM, *((100 + n, f"q{n}@x") for n in range(25)))

    assert isinstance(world.sync().error, UnsafePlan)


def test_a_removal_that_was_broken_off_is_guarded_anew(world):
    """
    What is left of a removal that passed its guard passes again by itself; of one that was forced, it is forced again.
    """
    world.sync()
    world.people(*TEAM[:10])
    asked = iter([False, False])  # before the sync, and before its first batch
    assert world.sync(force=True, stop=lambda: next(asked, True)).outcome == "stopped"
    assert len(world.receiver.holds()) == 30

    assert isinstance(world.sync().error, UnsafePlan)
    assert len(world.receiver.holds()) == 30


def test_what_a_guard_stopped_is_no_promise(world):
    """
    A plan that was stopped is stopped again, however often it is tried.
    """
    world.sync()
    world.people(*TEAM[:10])

    for _ in range(2):
        assert isinstance(world.sync().error, UnsafePlan)
    assert len(world.receiver.holds()) == 40


def test_without_the_state_a_broken_off_sync_is_looked_at_again(world):
    """
    Where the state is lost, so is what was allowed: the guard stops the rest, and nothing is lost.
    """
    stopped(world)
    world.lose_state()

    assert isinstance(world.sync().error, UnsafePlan)
    assert world.sync(force=True).error is None
    assert len(world.receiver.holds()) == 40


def test_a_run_is_remembered_by_the_databases_own_clock(state_url):
    """
    When a run began and ended is told by one clock for all workers, and the newest one that ended is the last.
    """
    known = State(state_url)
    first = runs.begin(known, "team.webhook", "f")
    plan = Plan(Sync("team", "webhook", "webhook", {}), listed=5, added=4, updated=3, removed=2, nameless=1)
    runs.approve(known, first, 1, plan)
    promised = runs.promised(known, "team.webhook")
    runs.end(known, first, "delivered", plan, refused=1)
    runs.begin(known, "team.webhook", "f")
    past = runs.last(known, "team.webhook")
    [(ago,)] = rows(state_url, f"select {known.now()} - started from run where id = '{first}'")
    known.close()

    assert promised == {"added": 4, "updated": 7}
    assert (past.result, past.listed, past.added, past.updated, past.removed) == ("delivered", 5, 4, 3, 2)
    assert (past.refused, past.set_aside) == (1, 1)
    assert 0 <= past.ended - past.started <= ago < 60
