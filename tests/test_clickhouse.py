"""ClickHouse, only read and holding our tables, by the real engine in this process: `make apart`."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiences import control, tables
from audiences.control import Fence
from audiences.errors import LeaseLost, WarehouseError
from audiences.warehouse import sources
from clickhoused import ClickHouse, InProcess, WritableClickHouse
from engines import ReadOnly
from scale import times
from sourced import failed, several, two_syncs
from test_changes import QUERY, SYNC, TERMS, agrees, by_any_rule, by_this_rule, cases, often, people, unique_people
from test_composite_key import HUGE, ROWS, TRUTH, same_bytes
from test_control import STEPS, begun, everything, opened
from test_convergence import Told, ToldOfJobs, told
from test_crash import AFTER, BATCH, BEFORE, STRANGER, in_step
from test_forms import writes_one_form
from test_normal import RULES
from world import HEADER, Killer, World

KILLS = 200  # steps of the run below; a test checks that it is enough

# A value as ClickHouse writes it -> what travels.
VALUES = {
    "null": None,
    "'😀'": "😀",
    "toFixedString('ab', 2)": "YWI=",
    "toLowCardinality('x')": "x",
    "true": True,
    "toUInt8(7)": 7,
    "toUInt64(18446744073709551615)": 18446744073709551615,
    "toInt128('170141183460469231731687303715884105727')": "170141183460469231731687303715884105727",
    "toInt256('1')": 1,
    "toFloat64(0.1)": 0.1,
    "toDecimal64(1.5, 2)": 1.5,
    "toDecimal128('12345678901234567.5', 2)": "12345678901234567.50",
    "toDate('2026-02-28')": "2026-02-28",
    "toDateTime('2026-02-28 23:59:59', 'UTC')": "2026-02-28T23:59:59+00:00",
    "toDateTime64('2026-02-28 23:59:59.5', 3, 'Asia/Kolkata')": "2026-02-28T18:29:59.500000+00:00",
    "toUUID('c0ffee00-0000-0000-0000-000000000000')": "c0ffee00-0000-0000-0000-000000000000",
    "[1, null, 3]": [1, None, 3],
    "map('a', 1)": {"a": 1},
    "toIPv4('10.0.0.1')": "10.0.0.1",
}


@pytest.fixture(autouse=True)
def in_process(monkeypatch):
    for room in ("sources.clickhouse", "clickhouse"):
        monkeypatch.setattr(f"audiences.warehouse.{room}.ClickHouseSource", InProcess)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, engine=ReadOnly(ClickHouse()))


def test_two_syncs(world):
    """
    A first sync; then one with an addition, an update, a move and a removal; then nothing is left to do.
    """
    two_syncs(world)


def test_any_history_ends_in_step():
    """
    The histories of test_convergence, from ClickHouse.
    """
    told(Told, ReadOnly(ClickHouse()), times(10, 1_000, 40))


def test_what_travels(world):
    """
    A value of each type, as the rule of all engines says.
    """
    columns = ", ".join(f"{value} as v{n}" for n, value in enumerate(VALUES))
    send = ", ".join(f'"v{n}"' for n in range(len(VALUES)))
    text = HEADER.replace("select id, email, nps from people", f"select 1 as id, 'p@x' as email, {columns}")
    world.define(text=text.replace('"nps"]', f"{send}]"))
    result = world.sync()
    [member] = world.receiver.sent("upsert")

    assert result.error is None
    assert [member["fields"][f"v{n}"] for n in range(len(VALUES))] == [*VALUES.values()]
    assert world.sync().outcome == "unchanged"


def test_what_cannot_travel_spoils_only_its_member(world):
    """
    NaN is refused with its member; the other is delivered.
    """
    world.define(
        text=HEADER.replace(
            "select id, email, nps from people",
            """
        select 1 as id, 'a@x' as email, nan as nps union all select 2, 'b@x', 1.5""",
        )
    )

    assert world.sync().refused == 1
    assert world.receiver.holds() == {"b@x"}


def test_what_is_said(world):
    """
    Names and grammar are shown; what may quote a row is told by its number.
    """
    world.people((1, "ada@example.com"))

    assert "Unknown table expression identifier 'peeple'" in failed(world, "select id, email, nps from peeple")
    said = failed(world, "select id, email, throwIf(email like 'a%', email) as nps from people")
    assert "fails with error" in said
    assert "ada" not in said


@pytest.mark.parametrize("select", ["select count() as n from {} where number % 7 = 8", "select number as n from {}"])
def test_what_takes_too_long_is_broken_off(world, select):
    """
    One row that does not come, and rows without an end.
    """
    with (
        world.engine.warehouse(world.url) as warehouse,
        pytest.raises(WarehouseError, match="and was stopped"),
        warehouse.bounded(timedelta(milliseconds=100)),
    ):
        warehouse.land('"landed"', select.format("numbers(1000000000000)"), {"n": "HUGEINT"})


def test_several_of_a_member(tmp_path):
    """
    Each value of an array is an identifier.
    """
    several(tmp_path, ReadOnly(ClickHouse()), "id Int64, mails Array(Nullable(String)), primary key (id)")


def test_it_only_reads(world):
    """
    What would write is an error of the engine's.
    """
    with pytest.raises(WarehouseError, match="is read-only"):
        sources.of(world.url).asked("insert into people values (1, 'a@x', 1)")


@pytest.fixture
def engine():
    return WritableClickHouse()


@pytest.fixture
def held(tmp_path, engine):
    """A world whose tables ClickHouse itself holds."""
    return World(tmp_path, engine=engine)


def test_two_syncs_whose_tables_it_holds(held):
    """
    A first sync, and its changes, where our tables are in ClickHouse itself.
    """
    two_syncs(held)


@pytest.mark.parametrize("machine", [Told, ToldOfJobs])
def test_any_history_ends_in_step_where_it_holds_our_tables(engine, machine):
    """
    The same histories: killed runs, also between two statements that settle, a lost state, and jobs that end later.
    """
    told(machine, engine, times(10, 1_000, 60))


@pytest.fixture(scope="module")
def fence():
    """An empty warehouse that has run the sync once."""
    engine = WritableClickHouse()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audiences.warehouse.clickhouse.ClickHouseSource", InProcess)
        with engine.warehouse(engine.alone()) as warehouse:
            warehouse.run("create table people (id bigint, email varchar, nps integer)")
            control.create(warehouse, SYNC.name, SYNC.table)
            tables.create(warehouse, TERMS, warehouse.described(QUERY))
            warehouse.run(f"update {warehouse.table('control_' + SYNC.table)} set epoch = 7, outbox = 7")
            yield Fence(warehouse, SYNC.name, SYNC.table, 7)


@settings(max_examples=times(6, 500, 30), **often)
@given(case=st.one_of(cases(unique_people, by_this_rule), cases(people, by_this_rule)))
def test_the_plan_is_what_the_rules_say(fence, case):
    """
    Rows and counts of a comparison equal those of the rules in plain Python, as test_changes tells them.
    """
    agrees(fence, case)


@settings(max_examples=times(6, 500, 30), **often)
@given(case=st.one_of(cases(unique_people, by_any_rule), cases(people, by_any_rule)))
def test_the_plan_after_a_change_of_list_or_identifier(fence, case):
    """
    The same where claims may be of another list, or known by another identifier than today's.
    """
    agrees(fence, case, rule="another")


@pytest.mark.parametrize("name", RULES)
def test_sql_and_python_write_one_form(fence, name):
    """
    Of any text ClickHouse makes the form that the worker makes.
    """
    writes_one_form(fence.warehouse, name)


def test_the_same_bytes_of_a_key(engine):
    """
    A key of several columns is what every engine makes of it.
    """
    same_bytes(engine, [*ROWS, HUGE, TRUTH])


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A world that has a list, and whose audience has just changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audiences.warehouse.clickhouse.ClickHouseSource", InProcess)
        world = World(tmp_path_factory.mktemp("prepared"), engine=WritableClickHouse())
        world.small(BATCH)
        world.people(*BEFORE)
        world.sync()
        world.receiver.lists["L"][STRANGER] = {"email": STRANGER}
        world.receiver.calls.clear()
        world.people(*AFTER)
        yield world


def test_the_run_has_no_more_steps_than_are_tried(prepared, tmp_path):
    """
    Every step of the run has a test below.
    """
    killer = Killer()
    prepared.copy(tmp_path).results(killer=killer, force=True)

    assert 40 < killer.steps < KILLS


@pytest.mark.parametrize("at", range(1, KILLS, times(24, 1, 6)))
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
        connection.execute("create table people (id Nullable(Int64), email Nullable(String)) engine = Memory")
    with engine.warehouse(url) as first, engine.warehouse(url) as second:
        begun(first)
        old = opened(first)
        control.take(second, old.sync, old.table, 1, 2, "another")
        before = everything(second)

        with pytest.raises(LeaseLost):
            STEPS[step](old)
        assert everything(second) == before
