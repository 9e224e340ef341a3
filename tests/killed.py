"""Runs that are killed at each of their steps, told of one engine by importing it. Its test file has `engine`."""

from __future__ import annotations

import pytest

from scale import times
from test_crash import AFTER, BATCH, BEFORE, STRANGER, in_step
from world import Killer, World

__all__ = ["prepared", "test_killed_at_any_step", "test_the_run_has_no_more_steps_than_are_tried"]
KILLS = 240  # steps of the run below; a test checks that it is enough


@pytest.fixture(scope="module")
def prepared(engine, tmp_path_factory):
    """A world that has a list, and whose audience has just changed."""
    world = World(tmp_path_factory.mktemp("prepared"), engine=engine)
    world.small(BATCH)
    world.people(*BEFORE)
    world.sync()
    world.receiver.lists["L"][STRANGER] = {"email": STRANGER}
    world.receiver.calls.clear()
    world.people(*AFTER)
    return world


def test_the_run_has_no_more_steps_than_are_tried(prepared, tmp_path):
    """
    Every step of the run may be one at which it is killed.
    """
    killer = Killer()
    prepared.copy(tmp_path).results(killer=killer, force=True)

    assert 40 < killer.steps < KILLS


@pytest.mark.no_cover
@pytest.mark.parametrize("at", range(1, KILLS, times(120, 1)))
def test_killed_at_any_step(prepared, tmp_path, at):
    """
    Killed at this step and run again, twice in quiet, list and ledger equal the audience; and so they do where the
    state is lost as well, and the audience changes back.
    """
    world = prepared.copy(tmp_path)
    world.killed(at, force=True)
    world.sync(force=True)
    world.sync(force=True)
    in_step(world)

    world.people(*BEFORE)
    world.killed(at, force=True)
    world.state_file.unlink()
    world.people(*AFTER)
    world.sync(force=True)
    world.sync(force=True)
    in_step(world)
