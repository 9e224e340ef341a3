"""Our tables in Trino's words, untried there: on a DuckDB behind a false driver, as far as both know them."""

from __future__ import annotations

import pytest

from audiences import control
from kept import *  # noqa: F403
from scale import times
from sourced import two_syncs
from test_composite_key import HUGE, TRUTH
from trinoed import Trino, falsely

HISTORIES = times(2, 1_000)
FURTHER = [HUGE, TRUTH]
STEPS = 40  # of a renaming; a test checks that it is enough


@pytest.fixture(scope="module")
def engine():
    with falsely():
        yield Trino()


def test_nothing_temporary_stays(world):
    """
    After each session that has ended well.
    """
    two_syncs(world)

    assert world.engine.scratch(world.url) == []


@pytest.fixture
def renamed(world):
    """A sync with three members, one of them refused, whose file has another name now."""
    world.people((1, "a@x"), (2, "b@x"), (3, "bad@x"))
    world.receiver.rejects("bad@x")
    world.sync()
    (world.folder / "audiences" / "team.sql").unlink()
    world.define('renamed_from = "team.webhook"', name="crew")
    world.receiver.calls.clear()
    return world


@pytest.mark.parametrize("at", range(4, STEPS, times(12, 1)))
def test_killed_while_the_tables_are_renamed(renamed, at):
    """
    Each is copied. Killed at this step and run again, nobody is sent or removed, and the new name has what the old had.
    """
    renamed.killed(at)
    renamed.receiver.before = lambda told: None
    result = renamed.sync()

    assert (result.outcome, result.plan.listed, result.refused) == ("unchanged", 2, 1)
    assert renamed.receiver.calls == []
    with renamed.worker() as worker:
        assert control.read(worker.warehouse, "crew__webhook")
        assert [bool(worker.warehouse.columns(f"ledger_{name}__webhook")) for name in ("crew", "team")] == [True, False]


def test_the_renaming_has_no_more_steps_than_are_tried(renamed):
    """
    At the last step that is tried, the tables have their new names.
    """
    renamed.killed(STEPS)

    with renamed.worker() as worker:
        assert worker.warehouse.tables("control_") == ["control_crew__webhook"]
