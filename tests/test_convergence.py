"""Whatever happens to a sync, a few quiet runs later list, ledger and audience say the same."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

import jobs
from engines import EVERY, started
from history import CHANGES, FATES, KEYS, NAMES, Dropped, History, JobHistory
from scale import times
from test_every_connector import FILES
from test_every_connector_converges import STEPS as CONNECTORS_STEPS
from world import World

LENGTH = 7  # rules of one history, each of one event or of several
HOW = settings(
    max_examples=times(2, 3, 3),  # the first is a history in which least happens
    stateful_step_count=LENGTH,
    deadline=None,
    database=None,
    print_blob=False,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)

KEY = st.sampled_from(KEYS)
DAY = st.lists(
    st.tuples(st.sampled_from(CHANGES), KEY, KEY, st.sampled_from(NAMES), st.integers(1, 3)), min_size=1, max_size=8
)

pytestmark = pytest.mark.no_cover  # all of its code is run by others, too, and to watch it costs half as long again


class Told(RuleBasedStateMachine):
    """Tells histories. What differs between two falsifying ones stands in their last lines."""

    made: type[History] = History
    events = 0  # of all histories told

    def __init__(self, engine):
        super().__init__()
        self.folder, self.engine, self.history = Path(tempfile.mkdtemp()), engine, None

    def world(self, batch, concurrency):
        world = World(self.folder, engine=self.engine)
        world.small(batch, concurrency)
        return world

    @initialize(first=DAY, batch=st.sampled_from([2, 3]), concurrency=st.sampled_from([1, 1, 3]), named=st.booleans())
    def begins(self, first, batch, concurrency, named):
        self.history = self.made(self.world(batch, concurrency), named)
        self.history.day(first)

    @rule(
        changes=DAY,
        fates=st.lists(st.sampled_from(FATES), max_size=6),
        at=st.none() | st.integers(1, 75),
        settling=st.booleans(),
        lost=st.integers(0, 3),
    )
    def day_and_its_run(self, changes, fates, at, settling, lost):
        self.history.day(changes)
        self.history.run(fates, at and (at + 6) // 7 if settling else at, settling)
        if lost == 3:
            self.history.lose_state()

    def teardown(self):
        try:
            if self.history:
                self.history.settle()
        finally:
            Told.events += self.history.events if self.history else 0
            if self.history:
                getattr(self.engine, "close", lambda url: None)(self.history.world.url)
            shutil.rmtree(self.folder)


class ToldOfJobs(Told):
    """The same, with a provider that judges later."""

    made = JobHistory

    def world(self, batch, concurrency):
        return jobs.world(self.folder, self.engine)

    @rule(hours=st.integers(1, 4))
    def time_passes(self, hours):
        self.history.time_passes(hours)

    @rule(fails=st.sampled_from(["", "", "it came to nothing"]))
    def jobs_end(self, fails):
        self.history.jobs_end(fails)


# Events, at least: most of them where they take the least time, with a server that is there already.
STEPS = {
    ("duckdb", Told): times(22, 2_000, 100),
    ("postgresql", Told): times(70, 5_000, 320),
    ("duckdb", ToldOfJobs): times(14, 1_000, 50),
    ("postgresql", ToldOfJobs): times(30, 2_000, 200),
    ("duckdb, swapped", Told): times(12, 1_000, 40),
    ("duckdb, swapped", ToldOfJobs): times(10, 500, 20),
    ("sqlite", Told): times(12, 1_000, 40),
    ("sqlite", ToldOfJobs): times(10, 500, 20),
    ("mariadb", Told): times(20, 1_000, 20),
    ("mariadb", ToldOfJobs): times(10, 500, 10),
}


def test_two_thousand_events_in_all():
    """
    `.ci/run` tells of 2,000 events at the least, 50 of them of each connector; `make thorough` of 10,000.
    """
    of_each, here = CONNECTORS_STEPS, sum(STEPS.values())

    assert of_each >= times(15, 10_000, 50)
    assert here >= times(150, 10_000, 750)  # however many connectors there are
    assert here + of_each * len(FILES) >= times(500, 10_000, 2_000)


def told(machine, engine, steps, each=HOW.max_examples):
    """Tell histories on an engine, `each` at a time, until at least so many events have happened in them."""
    Told.events = 0
    for number in itertools.count():
        run_state_machine_as_test(seed(number)(lambda: machine(engine)), settings=settings(HOW, max_examples=each))
        if Told.events >= steps:
            return


@pytest.mark.parametrize("machine", [Told, ToldOfJobs])
@pytest.mark.parametrize("engine", list(EVERY))
def test_any_history_ends_in_step(request, machine, engine):
    """
    Members come, change, move, share, swap, hand over and leave; calls fail before and after they are applied; runs are
    killed, also between two statements that settle, and the state is lost. After every run the warehouse knows whoever
    may be on a list. Two quiet runs later (four with tickets) the list holds who belongs and nobody else, every claim
    is sure, whoever is refused is remembered as refused, and the stranger is where they were.
    """
    kind = Dropped(request.getfixturevalue("postgres_server")) if engine == "postgresql" else started(request, engine)
    told(machine, kind, STEPS[engine, machine])


def test_a_job_that_ends_after_a_change_of_list(tmp_path):
    """
    Who was taken in for one list, and found there once the sync had gone over to another, is moved to that one.
    """
    history = JobHistory(jobs.world(tmp_path))
    history.day([("come", 1, 1, "a@x", 1)])
    history.run()
    history.day([("list M", 1, 1, "a@x", 1)])
    history.run()
    history.jobs_end()
    history.run()

    history.settle()


def test_who_was_refused_with_data_that_are_gone(tmp_path):
    """
    Whose data are again those that the destination took is refused no more, although nothing of theirs is sent.
    """
    world = World(tmp_path)
    world.small()
    history = History(world)
    history.day([("come", 1, 1, "a@x", 1), ("come", 2, 2, "b@x", 1)])
    history.run()
    history.day([("poison", 1, 1, "a@x", 1)])
    history.run()
    history.day([("score", 1, 1, "a@x", 1)])

    history.settle()
