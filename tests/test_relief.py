"""What DuckDB keeps of what it has read is let go between the statements that settle, where it is much."""

from __future__ import annotations

import pytest
from sqlalchemy import event

from audiences.warehouse import duckdb
from engines import DuckDB

HELD = "select sum(memory_usage_bytes) from duckdb_memory()"


@pytest.fixture
def warehouse(tmp_path):
    """One that has written and read a table of some megabytes, and keeps its pages."""
    engine = DuckDB()
    with engine.warehouse(engine.new(tmp_path)) as warehouse:
        warehouse.run("create table people as select i as id, md5(i::varchar) as name from range(150000) r(i)")
        warehouse.run("checkpoint")
        warehouse.run("select count(distinct name) from people")
        yield warehouse


def test_many_pages_are_let_go(warehouse, monkeypatch):
    """
    Down to a few of them, and the limit is afterwards what it was.
    """
    monkeypatch.setattr(duckdb, "FEW", 1_000_000)
    [(before,)], usual = warehouse.run(HELD), limit(warehouse)
    warehouse.relieve()
    [(after,)] = warehouse.run(HELD)

    assert before > 2_000_000
    assert after <= 1_000_000
    assert limit(warehouse) == usual


def test_few_pages_are_left_alone(warehouse):
    """
    A small delivery does not wait for the engine to let go of what it would read again.
    """
    said = []
    event.listen(warehouse.engine, "before_cursor_execute", lambda *words: said.append(words[2]))
    warehouse.relieve()

    assert [statement.partition(" ")[0] for statement in said] == ["select"]


def limit(warehouse):
    """Its limit as it shows it, without the fraction, which it rounds each time."""
    return warehouse.run("select current_setting('memory_limit')")[0][0].partition(".")[0]
