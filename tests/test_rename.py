"""A sync under a new name goes on with what the old one knew, wherever the renaming was cut off."""

from __future__ import annotations

import pytest

from audiences import control
from engines import either
from world import World

engine = either


STEPS = 14  # of the renaming and a little more; a test checks that it is enough


@pytest.fixture
def world(tmp_path, engine):
    """A sync with three members, one of them refused, whose file is then renamed."""
    world = World(tmp_path, engine=engine)
    world.people((1, "a@x"), (2, "b@x"), (3, "bad@x"))
    world.receiver.rejects("bad@x")
    world.sync()
    renamed(world)
    return world


def renamed(world):
    (world.folder / "audiences" / "team.sql").unlink()
    world.define('renamed_from = "team.webhook"', name="crew")
    world.receiver.before = lambda told: None
    world.receiver.calls.clear()


def test_a_dry_run_of_a_renamed_sync(world):
    """
    Before any run, the plan of the new name is compared with what the old one knew.
    """
    plan = world.plan()

    assert (plan.listed, plan.added, plan.changed, plan.waiting) == (2, 0, 0, 1)
    with world.worker() as worker:
        assert control.syncs(worker.warehouse) == {"team.webhook": "team__webhook"}


@pytest.mark.parametrize("at", range(1, STEPS))
def test_killed_while_the_tables_are_renamed(world, at):
    """
    Killed at this step and run again, nobody is sent or removed, and only the new name is left.
    """
    world.killed(at)
    result = world.sync()

    assert (result.outcome, result.plan.listed, result.refused) == ("unchanged", 2, 1)
    assert world.receiver.calls == []
    with world.worker() as worker:
        assert control.syncs(worker.warehouse) == {"crew.webhook": "crew__webhook"}
        assert worker.warehouse.tables("ledger_") == ["ledger_crew__webhook"]


def test_the_renaming_has_no_more_steps_than_are_tried(world):
    """
    At the last step that is tried, the tables have their new names.
    """
    world.killed(STEPS)

    with world.worker() as worker:
        assert worker.warehouse.tables("control_") == ["control_crew__webhook"]


def test_an_outbox_left_open_under_the_old_name_is_settled(tmp_path):
    """
    What an interrupted run of the old name sent is known to the new one.
    """
    world = World(tmp_path)
    world.small(batch=1)
    world.people((1, "a@x"), (2, "b@x"), (3, "c@x"))
    world.killed_in_call(3)
    renamed(world)
    world.sync()

    assert len(world.receiver.sent("upsert")) <= 2
    assert world.receiver.holds() == {"a@x", "b@x", "c@x"}
    assert world.sql("select count(*) from audience_sync.ledger_crew__webhook where sure") == [(3,)]


def test_a_name_that_nothing_had(tmp_path):
    """
    renamed_from a sync that never ran is a first run.
    """
    world = World(tmp_path)
    world.define('renamed_from = "team.webhook"')
    world.people((1, "a@x"))

    assert world.plan().added == 1
    assert world.sync().outcome == "delivered"
