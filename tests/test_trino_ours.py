"""Our tables in Trino's words, untried there: on a DuckDB behind a false driver, as far as both know them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiences import control
from audiences.errors import LeaseLost
from scale import LONGER, THOROUGH, times
from sourced import two_syncs
from test_changes import agrees, by_any_rule, by_this_rule, cases, empty, often, people, unique_people
from test_composite_key import HUGE, ROWS, TRUTH, same_bytes
from test_control import STEPS as EACH
from test_control import begun, everything, opened
from test_convergence import Told, ToldOfJobs, told
from test_forms import writes_one_form
from test_normal import RULES
from trinoed import Trino, falsely
from world import World

STEPS = 40  # of a renaming; a test checks that it is enough


@pytest.fixture(autouse=True, scope="module")
def false():
    with falsely():
        yield


@pytest.fixture
def engine():
    return Trino()


@pytest.fixture
def world(tmp_path, engine):
    return World(tmp_path, engine=engine)


@pytest.fixture(scope="module")
def fence(false):
    """An empty warehouse that has run the sync once."""
    engine = Trino()
    with engine.warehouse(engine.alone()) as warehouse:
        yield empty(warehouse)


def test_two_syncs(world):
    """
    A first sync; then one with an addition, an update, a move and a removal; then nothing is left to do, nor is there
    anything temporary.
    """
    two_syncs(world)

    assert world.engine.scratch(world.url) == []


@pytest.mark.parametrize("machine", [Told, ToldOfJobs] if LONGER or THOROUGH else [Told])
def test_any_history_ends_in_step(engine, machine):
    """
    The histories of test_convergence: killed runs, also between two statements that settle, a lost state, late jobs.
    """
    told(machine, engine, times(2, 1_000, 12))


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


@pytest.mark.parametrize("at", range(4, STEPS, times(12, 1, 4)))
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


@settings(max_examples=times(4, 300, 20), **often)
@given(case=st.one_of(cases(unique_people, by_this_rule), cases(people, by_this_rule)))
def test_the_plan_is_what_the_rules_say(fence, case):
    """
    Rows and counts of a comparison equal those of the rules in plain Python, as test_changes tells them.
    """
    agrees(fence, case)


@settings(max_examples=times(4, 300, 20), **often)
@given(case=st.one_of(cases(unique_people, by_any_rule), cases(people, by_any_rule)))
def test_the_plan_after_a_change_of_list_or_identifier(fence, case):
    """
    The same where claims may be of another list, or known by another identifier than today's.
    """
    agrees(fence, case, rule="another")


@pytest.mark.parametrize("name", RULES)
def test_sql_and_python_write_one_form(fence, name):
    """
    Of any text the translated forms make what the worker makes; the functions are DuckDB's.
    """
    writes_one_form(fence.warehouse, name)


def test_the_same_bytes_of_a_key(engine):
    """
    A key of several columns is what every engine makes of it.
    """
    same_bytes(engine, [*ROWS, HUGE, TRUTH])


@pytest.mark.parametrize("step", EACH)
def test_after_a_takeover_no_step_changes_anything(engine, step):
    """
    Another worker has put up its fence: whatever the old one tries, it changes nothing, and raises LeaseLost.
    """
    url = engine.alone()
    with engine.open(url) as connection:
        connection.execute("create table people (id bigint, email varchar)")
    with engine.warehouse(url) as first, engine.warehouse(url) as second:
        begun(first)
        old = opened(first)
        control.take(second, old.sync, old.table, 1, 2, "another")
        before = everything(second)

        with pytest.raises(LeaseLost):
            EACH[step](old)
        assert everything(second) == before
