"""Our tables without transactions: what one row swaps in, and what of it survives whoever takes over."""

from __future__ import annotations

import itertools
import random
import re
from contextlib import contextmanager, suppress
from threading import Semaphore, Thread

import pytest
from sqlalchemy import event
from sqlglot import parse_one

from audiences import control
from audiences.batch import Verdict
from audiences.control import Control
from audiences.errors import LeaseLost
from audiences.verdicts import Found
from audiences.warehouse import Conflict, remade
from audiences.warehouse.dialects import Ours
from audiences.warehouse.logged import Logged
from engines import on
from scale import times
from sourced import two_syncs
from test_control import NAME, TABLE, begun, opened, settlement
from world import World

pytestmark = on("duckdb, swapped")
COUNTS = [*itertools.product(range(6), range(1, 8), range(1, 6), (1, 2, 20))]  # statements before each turn


@pytest.fixture
def url(tmp_path, engine):
    return engine.new(tmp_path)


@contextmanager
def workers(engine, url):
    """The run that has the sync, and another worker's warehouse."""
    with engine.open(url) as connection:
        connection.execute("create or replace table people (id bigint, email varchar)")
        connection.execute("drop schema if exists audience_sync cascade")
    with engine.warehouse(url) as first, engine.warehouse(url) as second:
        begun(first)
        yield opened(first), second


class Turns:
    """Lets several workers run one statement at a time, in a given order; what is left of each in the end, whole."""

    def __init__(self):
        self.may, self.back = {}, Semaphore(0)

    def meets(self, name, warehouse):
        event.listen(warehouse.engine, "before_cursor_execute", lambda *_: self.wait(name))
        self.may[name] = Semaphore(0)

    def wait(self, name):
        if name in self.may:
            self.back.release()
            self.may[name].acquire()

    def run(self, order, **does):
        done = {name: [] for name in does}

        def begin(name):
            try:
                done[name].append(does[name]())
            except Exception as error:
                done[name].append(error)
            self.back.release()

        threads = {name: Thread(target=begin, args=[name]) for name in does}
        for thread in threads.values():
            thread.start()
            self.back.acquire()  # it stands before its first statement
        for name in itertools.chain(order, itertools.cycle(does)):
            if not done[name]:
                self.may[name].release()
                self.back.acquire()
            if all(done.values()):
                break
        for thread in threads.values():
            thread.join()
        self.may.clear()
        for [found] in done.values():
            if isinstance(found, Exception) and not isinstance(found, LeaseLost):
                raise found
        return {name: found for name, [found] in done.items()}


def orders(count, seed=0):
    """Orders of the statements of two workers: those with one turn between, of those with few more, and by chance."""
    chance = random.Random(seed)
    one = ["b" * n + "a" * 40 for n in range(10)] + ["a" * n + "b" * 40 for n in range(16)]
    few = ["".join(each * n for each, n in zip("abab", counts, strict=True)) for counts in COUNTS]
    by_chance = ("".join(chance.choices("ab", k=20)) for _ in range(count // 2))
    return [*one, *chance.sample(few, min(len(few), count // 2)), *by_chance]


@pytest.mark.parametrize("order", orders(times(12, 2_000, 40)))
@pytest.mark.no_cover
def test_a_change_that_was_told_to_hold_is_never_lost(engine, url, order):
    """
    A run changes its control row while another takes over, in any order of their statements: the change is there for
    the one that took over wherever the run was told that it holds. The other always takes over.
    """
    with workers(engine, url) as (old, second):
        turns = Turns()
        turns.meets("a", old.warehouse)
        turns.meets("b", second)
        told = turns.run(
            order,
            a=lambda: old.update("mark = :mark", 1, mark=4),
            b=lambda: control.take(second, NAME, TABLE, 1, 2, "another"),
        )
        found = control.read(second, TABLE)

        assert not isinstance(told["b"], LeaseLost)
        assert found == Control(epoch=2, outbox=1, mark=found.mark)
        assert found.mark == 4 or isinstance(told["a"], LeaseLost)
        with pytest.raises(LeaseLost):
            old.update("mark = :mark", 1, mark=5)


@pytest.mark.parametrize("order", orders(times(12, 2_000, 30), seed=1))
@pytest.mark.no_cover
def test_a_settlement_holds_as_a_whole_or_not_at_all(engine, url, order):
    """
    The same of a settlement, which changes two tables: the one that took over finds all of it, or nothing.
    """
    with workers(engine, url) as (old, second):
        before = claims(second)
        second.places.clear()
        turns = Turns()
        turns.meets("a", old.warehouse)
        turns.meets("b", second)
        told = turns.run(
            order,
            a=lambda: settlement(old).acknowledged(Found(4, {Verdict.OK: ((0, 3),)})),
            b=lambda: control.take(second, NAME, TABLE, 1, 2, "another"),
        )
        after = {(1, "new@x"), (2, "b@x")}

        assert not isinstance(told["b"], LeaseLost)
        assert claims(second) == after if told["a"] is None else claims(second) in (before, after)


def claims(warehouse):
    rows = warehouse.run(f'select "key", ident from {warehouse.table("ledger_" + TABLE)}')
    return {tuple(row) for row in rows}


def test_two_takeovers_at_once(engine, url):
    """
    Of two workers that take a sync over at once, in any order of their statements, the one with the greater number has
    it in the end, whatever the other was told; and what the run before was told to hold is there.
    """
    for order in orders(times(6, 1_000, 20), seed=2):
        with workers(engine, url) as (old, second), engine.warehouse(url) as third:
            old.update("mark = :mark", 1, mark=4)
            turns = Turns()
            turns.meets("a", second)
            turns.meets("b", third)
            told = turns.run(
                order,
                a=lambda warehouse=second: control.take(warehouse, NAME, TABLE, 1, 2, "one"),
                b=lambda warehouse=third: control.take(warehouse, NAME, TABLE, 1, 3, "two"),
            )
            winner = 2 if isinstance(told["b"], LeaseLost) else 3

            assert control.read(old.warehouse, TABLE) == Control(epoch=winner, outbox=1, mark=4)
            if winner == 3 and not isinstance(told["a"], LeaseLost):
                with pytest.raises(LeaseLost):
                    told["a"].update("mark = :mark", 1, mark=5)


def test_what_a_transaction_makes_is_seen_at_its_end(engine, url):
    """
    Whoever else looks meanwhile finds the tables as they were.
    """
    with workers(engine, url) as (fence, second):
        before = claims(second)
        with fence.transaction(1):
            fence.warehouse.run(f'delete from {fence.warehouse.table("ledger_" + TABLE)} where "key" = 1')
            second.places.clear()

            assert (len(claims(fence.warehouse)), claims(second)) == (1, before)
        control.read(second, TABLE)

        assert len(claims(second)) == 1


def test_a_transaction_that_fails_leaves_nothing(engine, url):
    """
    What it has made is dropped, and its tables are what they were.
    """
    with workers(engine, url) as (fence, _):
        before, tables = claims(fence.warehouse), fence.warehouse.tables("v")
        with suppress(ZeroDivisionError), fence.transaction(1):
            fence.warehouse.run(f'delete from {fence.warehouse.table("ledger_" + TABLE)} where "key" = 1')
            raise ZeroDivisionError

        assert (claims(fence.warehouse), fence.warehouse.tables("v")) == (before, tables)


def test_a_look_goes_on_with_what_it_began_with(engine, url):
    """
    Who has looked at a control row sees the tables that it names until looking again: they stay for one more change.
    """
    with workers(engine, url) as (fence, second):
        control.read(second, TABLE)
        before = claims(second)
        settlement(fence).acknowledged(Found(4, {Verdict.OK: ((0, 3),)}))

        assert claims(second) == before


def test_rows_of_long_ago_are_forgotten(engine, url):
    """
    Each fiftieth takeover deletes those of all runs before it; what counts stays.
    """
    with workers(engine, url) as (old, second):
        old.update("mark = :mark", 1, mark=4)
        log = old.warehouse.table("control_" + TABLE)
        found = []
        for seen, epoch in ((1, 49), (49, 50)):
            control.take(second, NAME, TABLE, seen, epoch, "another")
            found.append(second._native(f"select distinct epoch from {log} order by epoch"))

        assert found == [[(0,), (1,), (49,)], [(50,)]]
        assert control.read(old.warehouse, TABLE) == Control(epoch=50, outbox=1, mark=4)


def test_runs_leave_no_tables_behind(tmp_path, engine):
    """
    Killed at any of its statements, a run leaves tables that nobody means: the next ones drop them.
    """
    world = World(tmp_path, engine=engine)
    two_syncs(world)
    for number, at in enumerate(range(20, 90, times(14, 1, 7))):
        world.people((1, "a@x", number), (number + 5, "new@x"))
        world.killed(at, force=True)
    world.sync(force=True)
    world.sync(force=True)
    with engine.warehouse(world.url) as warehouse:
        found = [re.sub(r"^v\d+_\d+_\d+_", "", name) for name in warehouse.tables("")]

    assert {name.partition("_")[0] for name in found} == {"control", "history", "ledger", "project", "refused"}
    assert all(found.count(name) <= 2 for name in found)


@pytest.mark.parametrize(
    "change",
    [
        "delete from t where n > 1",
        "delete from t",
        "delete from t l using (select 1 as k union all select 1) o where o.k = l.k",
        "delete from t l using o where o.k = l.k or o.n = l.n",
        "update t set n = 7 where n > 1",
        "update t l set n = l.n + 1, sure = false from o where o.k = l.k and l.sure",
        "update t l set n = v.n from (values (1, 70), (3, null)) v(k, n) where v.k = l.k",
        "update t l set sure = false where not exists (select 1 from o where o.k = l.k)",
    ],
)
def test_a_table_made_anew_is_what_it_would_have_been(engine, url, change):
    """
    NULLs in a condition, and rows that several others meet, mean what they mean to an UPDATE or a DELETE.
    """
    with engine.warehouse(url) as warehouse:
        rows = "(1, 1, true), (1, 2, null), (2, 3, true), (3, null, false), (null, 2, true)"
        warehouse.run(f"create table t as select * from (values {rows}) v(k, n, sure)")
        warehouse.run("create table o as select * from (values (1, 5), (1, 6), (null, 3), (3, 2)) v(k, n)")
        types = {"k": "INTEGER", "n": "INTEGER", "sure": "BOOLEAN"}
        found = warehouse.run(remade.after(parse_one(change, dialect=Ours), types))
        warehouse.run(change)

        assert sorted(map(str, found)) == sorted(map(str, warehouse.run("select * from t")))


def test_a_run_that_adds_rows_without_an_end_is_not_waited_for(engine, url, monkeypatch):
    """
    A takeover follows the run before as often as is likely, and then lets go.
    """
    usual = Logged._newest

    def another(warehouse, sync, where="true"):
        if where != "true":  # the run before adds its next row just before it is looked for
            old.warehouse._added(TABLE, usual(warehouse, sync, where), {})
        return usual(warehouse, sync, where)

    with workers(engine, url) as (old, second):
        monkeypatch.setattr(Logged, "_newest", another)
        with pytest.raises(Conflict):
            second._taken(TABLE, usual(second, TABLE), {"epoch": "2"}, "true")


def test_a_run_that_was_taken_over_adds_nothing_by_what_it_reads_anew(engine, url):
    """
    What the other has made of the control row is not taken for one's own, also outside of a transaction.
    """
    with workers(engine, url) as (old, second):
        control.take(second, NAME, TABLE, 1, 2, "another")
        control.read(old.warehouse, TABLE)
        before = claims(second), control.read(second, TABLE)
        with pytest.raises(Conflict):
            old.warehouse.run(f'delete from {old.warehouse.table("ledger_" + TABLE)} where "key" = 1')

        assert (claims(second), control.read(second, TABLE)) == before
