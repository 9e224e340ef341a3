"""A sync under a new name goes on with what the old one knew, wherever the renaming was cut off."""

from __future__ import annotations

import pytest

from audiences import control, lease
from audiences.errors import Held
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
    (world.folder / "audiences" / "team.sql").unlink(missing_ok=True)
    world.define('renamed_from = "team.webhook"', name="crew")
    world.receiver.before = lambda told: None
    world.receiver.calls.clear()


def test_a_new_name_that_was_refused_before_the_old_one_was_written(world):
    """
    Run without renamed_from, the new name is told that its list is another's and what to write; that done, it goes on
    where the old one ended.
    """
    world.define(name="crew")
    refused = world.sync().error
    assert 'write renamed_from = "team.webhook"' in refused.do
    assert world.plan().added == 3
    renamed(world)

    assert (world.plan().listed, world.plan().added) == (2, 0)
    result = world.sync()

    assert (result.outcome, result.plan.listed, result.refused) == ("unchanged", 2, 1)
    assert world.receiver.calls == []
    with world.worker() as worker:
        assert control.syncs(worker.warehouse) == {"crew.webhook": "crew__webhook"}


def test_a_copy_that_was_refused_does_not_keep_the_other_from_its_list(world):
    """
    Where a copy of an audience ran once and was refused, the one whose list it is goes on as before.
    """
    world.define(name="crew")
    assert world.sync().outcome == "failed"
    (world.folder / "audiences" / "crew.sql").unlink()
    world.define()

    assert (world.sync().outcome, world.plan().listed) == ("unchanged", 2)


def test_a_refused_new_name_that_is_run_by_another_worker_is_left_alone(world):
    """
    Who holds the new name's lease keeps its tables; the other run is told so, and nothing is renamed.
    """
    world.define(name="crew")
    world.sync()
    renamed(world)

    with world.worker() as worker:
        lease.take(worker.state, "crew.webhook", 0)
    assert isinstance(world.sync().error, Held)
    with world.worker() as worker:
        assert set(control.syncs(worker.warehouse)) == {"crew.webhook", "team.webhook"}


def test_a_dry_run_of_a_renamed_sync(world):
    """
    Before any run, the plan of the new name is compared with what the old one knew.
    """
    plan = world.plan()

    assert (plan.listed, plan.added, plan.changed, plan.waiting) == (2, 0, 0, 1)
    with world.worker() as worker:
        assert control.syncs(worker.warehouse) == {"team.webhook": "team__webhook"}


@pytest.mark.parametrize("at", range(1, STEPS))
@pytest.mark.no_cover
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
