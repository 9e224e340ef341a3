"""Snowflake, only read and holding our tables, by the emulator fakesnow behind its own protocol: `make apart`."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiences import control, tables
from audiences.control import Fence
from audiences.errors import LeaseLost
from engines import ReadOnly
from scale import times
from snowflaked import Snowflake, WritableSnowflake, emulated
from sourced import failed, two_syncs
from test_changes import (
    QUERY,
    SYNC,
    TERMS,
    agrees,
    by_any_rule,
    by_this_rule,
    cases,
    often,
    people,
    unique_people,
)
from test_control import STEPS, begun, everything, opened
from test_convergence import Told, ToldOfJobs, told
from test_crash import AFTER, BATCH, BEFORE, STRANGER, in_step
from world import HEADER, Killer, World

KILLS = 120  # steps of the run below; a test checks that it is enough

# A value as Snowflake writes it -> what travels.
VALUES = {
    "null": None,
    "'😀'": "😀",
    "''": "",
    "true": True,
    "7": 7,
    "12345678901234567890": 12345678901234567890,
    "0.1::float": 0.1,
    "1.50::number(10, 2)": 1.5,
    "'2026-02-28'::date": "2026-02-28",
    "'2026-02-28 23:59:59'::timestamp_ntz": "2026-02-28T23:59:59",
    "'2026-02-28 23:59:59'::timestamp_tz": "2026-02-28T23:59:59+00:00",
}


@pytest.fixture(scope="module")
def server():
    fakesnow = pytest.importorskip("fakesnow", reason="fakesnow has an environment of its own: make apart")
    with fakesnow.server() as found:
        yield found


@pytest.fixture(autouse=True, scope="module")
def reached(server):
    with emulated(server):
        yield


@pytest.fixture
def world(tmp_path, server):
    return World(tmp_path, engine=ReadOnly(Snowflake(server)))


def test_two_syncs(world):
    """
    A first sync; then one with an addition, an update, a move and a removal; then nothing is left to do.
    """
    two_syncs(world)


def test_any_history_ends_in_step(server):
    """
    The histories of test_convergence, from Snowflake's protocol.
    """
    told(Told, ReadOnly(Snowflake(server)), times(10, 1_000, 20))


def test_what_travels(world):
    """
    A value of each type, as the rule of all engines says.
    """
    columns = ", ".join(f"{value} as v{n}" for n, value in enumerate(VALUES))
    send = ", ".join(f'"v{n}"' for n in range(len(VALUES)))
    text = HEADER.replace("select id, email, nps from people", f"select 1 as id, 'p@x' as email, {columns}")
    world.define(text=text.replace('"nps"]', f"{send}]"))
    result = world.sync()

    assert result.error is None
    [member] = world.receiver.sent("upsert")
    assert [member["fields"][f"v{n}"] for n in range(len(VALUES))] == [*VALUES.values()]
    assert world.sync().outcome == "unchanged"


def test_what_is_said(world):
    """
    What cannot be compiled is shown.
    """
    assert "refuses a statement" in failed(world, "select id, email, nps from peeple")


@pytest.fixture
def engine(server):
    return WritableSnowflake(server)


@pytest.fixture
def held(tmp_path, engine):
    """A world whose tables Snowflake itself holds."""
    return World(tmp_path, engine=engine)


def test_two_syncs_whose_tables_it_holds(held):
    """
    A first sync, and its changes, where our tables are in Snowflake itself.
    """
    two_syncs(held)


@pytest.mark.parametrize("machine", [Told, ToldOfJobs])
def test_any_history_ends_in_step_where_it_holds_our_tables(engine, machine):
    """
    The same histories: killed runs, also between two statements that settle, a lost state, and jobs that end later.
    """
    told(machine, engine, times(10, 1_000, 20))


@pytest.fixture(scope="module")
def fence(server):
    """An empty warehouse that has run the sync once."""
    engine = WritableSnowflake(server)
    with engine.warehouse(engine.alone()) as warehouse:
        warehouse.run("create table people (id bigint, email varchar, nps integer)")
        control.create(warehouse, SYNC.name, SYNC.table)
        tables.create(warehouse, TERMS, warehouse.described(QUERY))
        yield Fence(warehouse, SYNC.name, SYNC.table, 7)


@settings(max_examples=times(6, 500, 10), **often)
@given(case=st.one_of(cases(unique_people, by_this_rule), cases(people, by_this_rule)))
def test_the_plan_is_what_the_rules_say(fence, case):
    """
    Rows and counts of a comparison equal those of the rules in plain Python, as test_changes tells them.
    """
    agrees(fence, case)


@settings(max_examples=times(6, 500, 10), **often)
@given(case=st.one_of(cases(unique_people, by_any_rule), cases(people, by_any_rule)))
def test_the_plan_after_a_change_of_list_or_identifier(fence, case):
    """
    The same where claims may be of another list, or known by another identifier than today's.
    """
    agrees(fence, case, rule="another")


@pytest.fixture(scope="module")
def prepared(server, tmp_path_factory):
    """A world that has a list, and whose audience has just changed."""
    world = World(tmp_path_factory.mktemp("prepared"), engine=WritableSnowflake(server))
    world.small(BATCH)
    world.people(*BEFORE)
    world.sync()
    world.receiver.lists["L"][STRANGER] = {"email": STRANGER}
    world.receiver.calls.clear()
    world.people(*AFTER)
    return world


def test_the_run_has_no_more_steps_than_are_tried(prepared, tmp_path):
    """
    Every step of the run has a test below.
    """
    killer = Killer()
    prepared.copy(tmp_path).results(killer=killer, force=True)

    assert 40 < killer.steps < KILLS


@pytest.mark.parametrize("at", range(1, KILLS, times(24, 1, 12)))
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


@pytest.mark.parametrize("step", STEPS)
def test_after_a_takeover_no_step_changes_anything(engine, step):
    """
    Another worker has put up its fence: whatever the old one tries, it changes nothing, and raises LeaseLost.
    """
    url = engine.alone()
    with engine.open(url) as connection:
        connection.execute('create table people ("id" bigint, "email" varchar)')
    with engine.warehouse(url) as first, engine.warehouse(url) as second:
        begun(first)
        old = opened(first)
        control.take(second, old.sync, old.table, 1, 2, "another")
        before = everything(second)

        with pytest.raises(LeaseLost):
            STEPS[step](old)
        assert everything(second) == before
