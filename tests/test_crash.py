"""Killed at any step, run again: nothing lost, nothing sent again but the batches in flight, no stranger touched."""

from __future__ import annotations

from functools import cache

import pytest

from engines import started
from scale import times
from world import Killer, World

pytestmark = pytest.mark.no_cover  # all of its code is run by others, too, and to watch it costs half as long again

BATCH = 2
BEFORE = [(1, "a@x", 1), (2, "b@x", 1), (3, "c@x", 1), (4, "d@x", 1), (5, "e@x", 1), (8, "h@x", 1), (9, "h@x", 1)]
# a and e swap, b moves, c changes, f is new, g takes the address that d leaves, and of the two at h one leaves
AFTER = [(1, "e@x", 1), (2, "z@x", 1), (3, "c@x", 2), (5, "a@x", 1), (6, "f@x", 1), (7, "d@x", 1), (9, "h@x", 1)]
STRANGER = "stranger@x"
STEPS = 75  # of the run below; a test checks that it is enough
# How far apart the steps are that are tried: ALONE where nothing but the kill happens, APART where more does. A case
# takes the server a third of what it takes an engine that opens a file. `make thorough` tries every step on both.
ALONE = {
    "duckdb": times(25, 1, 4),
    "postgresql": times(5, 1, 2),
    "sqlite": times(25, 1, 11),
    "mariadb": times(11, 1, 11),
}
APART = {
    "duckdb": times(37, 1, 28),
    "postgresql": times(19, 1, 10),
    "sqlite": times(37, 1, 37),
    "mariadb": times(37, 1, 37),
}


@pytest.fixture(scope="module")
def prepared(request, tmp_path_factory):
    """Makes the world of an engine, by its name, once: it has a list, and the audience has just changed."""

    @cache
    def prepared(name):
        world = World(tmp_path_factory.mktemp("prepared"), engine=started(request, name))
        world.small(BATCH)
        world.people(*BEFORE)
        world.sync()
        world.receiver.lists["L"][STRANGER] = {"email": STRANGER}
        world.receiver.calls.clear()
        world.people(*AFTER)
        return world

    return prepared


@pytest.fixture
def world(engine, prepared, tmp_path, databases):
    return prepared(engine.name).copy(tmp_path, databases)


def steps(first, apart=APART):
    """The steps to try on each engine."""
    tried = [(name, at) for name, step in apart.items() for at in range(first, STEPS, step)]
    return pytest.mark.parametrize(("engine", "at"), tried, indirect=["engine"])


def test_the_run_has_no_more_steps_than_are_tried(world):
    """
    Every step of the run has a test below.
    """
    killer = Killer()
    world.results(killer=killer, force=True)

    assert 40 < killer.steps < STEPS


@steps(1, ALONE)
def test_killed_at_any_step(world, at):
    """
    Killed at this step and run again, twice in quiet, list and ledger equal the audience, and only what was in flight
    is sent again.
    """
    world.killed(at, force=True)
    world.sync(force=True)
    world.sync(force=True)

    in_step(world)
    assert len(world.receiver.sent("upsert")) <= 6 + BATCH
    assert len(world.receiver.sent("remove")) <= 2 + BATCH
    assert {key for key, verb in told(world, "accepted") if verb in ("add", "update")} == set(range(1, 10))
    assert {key for key, verb in told(world, "accepted") if verb in ("move", "remove", "release")} == {1, 2, 4, 5, 8}


@steps(1)
def test_killed_and_the_state_lost(world, at):
    """
    Killed at this step, and the state deleted before the next run: nothing is lost, and nobody foreign removed.
    """
    world.killed(at, force=True)
    world.state_file.unlink()
    world.sync(force=True)
    world.sync(force=True)

    in_step(world)


@steps(1)
def test_killed_and_the_audience_changes_back(world, at):
    """
    Killed at this step, and by the next run the audience is as it was: whatever was half done is undone.
    """
    world.killed(at, force=True)
    world.people(*BEFORE)
    world.sync(force=True)
    world.sync(force=True)

    in_step(world, BEFORE)


@steps(2)
def test_killed_the_state_lost_and_the_audience_changes_back(world, at):
    """
    Killed at this step, the state database deleted, and by the next run the audience is as it was: the warehouse alone
    remembers what may have been sent, and it is undone.
    """
    world.killed(at, force=True)
    world.state_file.unlink()
    world.people(*BEFORE)
    world.sync(force=True)
    world.sync(force=True)

    in_step(world, BEFORE)


def in_step(world, rows=AFTER):
    """List and ledger say what the audience says; the stranger is where they were."""
    assert world.receiver.holds() == {email for _, email, _ in rows} | {STRANGER}
    assert all(world.receiver.lists["L"][email]["nps"] == nps for _, email, nps in rows)
    assert world.ledger() == {(key, email, True) for key, email, _ in rows}
    assert STRANGER not in str(world.receiver.sent("remove"))
    rows = world.sql("select outbox, seq from audience_sync.history_team__webhook")
    assert len(rows) == len(set(rows))


def told(world, answer):
    """Key and verb of what the history tells with this answer."""
    rows = world.sql(f"select key, verb from audience_sync.history_team__webhook where answer = '{answer}'")
    return {(int(key), verb) for key, verb in rows}
