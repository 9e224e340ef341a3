"""What the benchmarks hold a sync to does the same work: its ratios would tell nothing otherwise."""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb
import orjson
import pytest

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

import bench
import changes
import hand
import least
import people

MEMBERS = 800
ACKNOWLEDGED = """create table audience_sync.ledger_{sync} as
    select id as key, email as ident, 'Everyone' as list, true as sure, 1 as outbox, timestamp '2026-01-01' as at,
    email as sent_email, first_name as sent_first_name, plan as sent_plan, score as sent_score from people"""


@pytest.fixture
def warehouse():
    """People, and two ledgers in which each of them is acknowledged."""
    with duckdb.connect() as connection:
        connection.execute(people.MAKE.format(members=MEMBERS))
        connection.execute("create schema audience_sync")
        for sync in ("one", "other"):
            connection.execute(ACKNOWLEDGED.format(sync=sync))
        yield connection


@pytest.mark.parametrize("syncs", [["one"], ["one", "other"]], ids=["the query itself", "one evaluation of two"])
def test_by_hand_each_ledger_ends_as_the_query_is(warehouse, syncs):
    """
    After 1 % has changed the statements by hand leave in each ledger whom the query returns, with what it returns.
    """
    due = people.change(warehouse)
    hand.run(warehouse, changes.SELECT, syncs)
    wanted = warehouse.execute(f"{changes.SELECT} order by id").fetchall()

    assert (len(due["upsert"]), len(due["remove"])) == (6, 4)
    for sync in syncs:
        held = (
            f"select key, ident, sent_first_name, sent_plan, sent_score from audience_sync.ledger_{sync} order by key"
        )
        assert warehouse.execute(held).fetchall() == wanted
        new = f"select count(*) from audience_sync.ledger_{sync} where outbox = 2"
        assert warehouse.execute(new).fetchall() == [(6,)]


def test_an_audience_of_several_destinations(tmp_path):
    """
    The project that is measured has a section for each destination, and each its own address.
    """
    made = changes.Changes(tmp_path, 1, MEMBERS, bench.Files(tmp_path), destinations=3)
    (tmp_path / "audiences").mkdir()
    made.write(changes.SELECT)
    made.send_to("/null")
    text, environment = (tmp_path / "audiences" / "everyone.sql").read_text(), (tmp_path / ".env").read_text()

    assert [line for line in text.splitlines() if "[sync" in line] == [f"-- [sync.webhook_{n}]" for n in (1, 2, 3)]
    assert text.endswith(f"-- ///\n{changes.SELECT}")
    assert environment.count("_URL=http://127.0.0.1:1/null\n") == 4


def test_the_least_account_sends_what_the_loop_sends(warehouse):
    """
    The members that the engine writes as JSON are, byte for byte, those that a sync's own encoder writes.
    """
    warehouse.execute(least.OUTBOX.format(select=bench.SELECT))
    told = [
        {"key": str(key), "fields": dict(zip(hand.SEND, values, strict=True))}
        for key, *values in warehouse.execute(f"{bench.SELECT} order by id").fetchall()
    ]

    [members] = least.batches(warehouse, MEMBERS)
    assert f"[{members}]".encode() == orjson.dumps(told)
