"""What is remembered of our tables while nobody else changes them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from sqlalchemy import event

from audiences.warehouse import Warehouse
from test_labels import Listener
from world import World, bare


@pytest.fixture
def warehouse(engine):
    with Warehouse(engine.alone(), "audience_sync") as warehouse:
        warehouse.prepare()
        warehouse.run(f"create table {warehouse.table('ledger_a')} (ident varchar)")
        with warehouse.catalogue.kept():
            yield warehouse


def asked(warehouse):
    """From now on, what is asked of the engine."""
    found = []
    event.listen(warehouse.engine, "before_cursor_execute", lambda *told: found.append(bare(told[2])))
    return found


def test_columns_are_asked_for_once(warehouse):
    """
    Also of a table that is missing; other tables that change are not asked for again.
    """
    first = [warehouse.columns(name) for name in ("ledger_a", "none")]
    warehouse.run(f"create table {warehouse.table('outbox_a')} (seq bigint)")
    statements = asked(warehouse)

    assert [warehouse.columns(name) for name in ("ledger_a", "none")] == first
    assert [list(found) for found in first] == [["ident"], []]
    assert not statements


def test_a_table_that_changes_is_asked_for_again(warehouse):
    """
    It is made, gets a column, another name, and goes.
    """
    told, table = [], warehouse.table("outbox_a")
    for statement in (
        "select 1",
        f"create table {table} (seq bigint)",
        f"ALTER TABLE {table} add column ident varchar",
        f'alter table {table} rename to "outbox_b"',
        f"drop table if exists {warehouse.table('outbox_b')}",
    ):
        warehouse.run(statement)
        told.append([list(warehouse.columns(name)) for name in ("outbox_a", "outbox_b")])

    assert told == [[[], []], [["seq"], []], [["seq", "ident"], []], [[], ["seq", "ident"]], [[], []]]


def test_what_a_transaction_takes_back_is_not_remembered(warehouse):
    """
    A table that was made in it is not there after it.
    """
    with suppress(ZeroDivisionError), warehouse.transaction():
        warehouse.run(f"create table {warehouse.table('outbox_a')} (seq bigint)")
        assert warehouse.columns("outbox_a")
        raise ZeroDivisionError

    assert not warehouse.columns("outbox_a")


def test_nothing_is_remembered_without_a_fence(warehouse):
    """
    Another worker may change the tables then.
    """
    with warehouse.catalogue.kept():
        warehouse.columns("ledger_a")
    statements = asked(warehouse)

    assert warehouse.columns("ledger_a")
    assert statements


def test_a_quiet_run_looks_for_each_table_once(tmp_path):
    """
    But for `control`, which it looks for before its fence, too.
    """
    world, listener = World(tmp_path), Listener()
    world.people((1, "a@x", 1))
    world.sync()
    world.sync(killer=listener)

    looked = [bare(sql) for sql in listener.said if "table_name = '" in sql]
    assert len(looked) == len({*looked}) + 1
