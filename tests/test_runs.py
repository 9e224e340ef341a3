"""What a broken-off run leaves to the next: its plan was looked at once, and is not stopped half-way."""

from __future__ import annotations

import httpx
import pytest

from audiences.errors import UnsafePlan
from world import World

TEAM = [(n, f"p{n}@x") for n in range(40)]


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    world.small(batch=10)
    world.people(*TEAM)
    return world


def killed(world):
    world.killed_in_call(2)


def refused_credentials(world):
    world.receiver.before = lambda told: httpx.Response(401) if len(world.receiver.calls) > 1 else None
    assert world.sync().outcome == "failed"


def stopped(world):
    asked = iter([False])
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
    asked = iter([False])
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
    world.state_file.unlink()

    assert isinstance(world.sync().error, UnsafePlan)
    assert world.sync(force=True).error is None
    assert len(world.receiver.holds()) == 40
