"""What MySQL is told where it holds our tables, and what its words say of servers and time; no MySQL runs here."""

from __future__ import annotations

import re
import time
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy.engine import make_url
from sqlglot import exp, parse_one

from audiences.errors import WarehouseError
from audiences.warehouse.dialects.mysql import stepped
from audiences.warehouse.engines import spoken
from audiences.warehouse.mysql import MySQL
from mysqled import Near, WritableMySQL
from statements import statements

URL = make_url("mysql://worker@127.0.0.1/shop")
WORDS = MySQL(URL, "audience_sync")
OURS = re.compile("<|staged_")


@pytest.fixture(scope="module")
def said():
    """Our statements' steps as MySQL is told them, parsed. How many hours later is said otherwise: left out."""
    ours = [statement for statement in statements() if "INTERVAL" not in statement.upper()]
    return {step: parse_one(step, dialect="mysql") for statement in ours for step in stepped(statement)}


@pytest.fixture
def warehouse(mariadb_server, monkeypatch):
    """A MariaDB in the place of MySQL."""
    monkeypatch.setattr("audiences.warehouse.mariadb.MySQLSource", Near)
    engine = WritableMySQL(mariadb_server)
    with engine.warehouse(engine.alone()) as found:
        yield found


def test_no_temporary_table_is_read_twice_in_one_statement(said):
    """
    It cannot be: https://dev.mysql.com/doc/refman/8.4/en/temporary-table-problems.html.
    """
    read = {}
    for step, tree in said.items():
        made = tree.this if isinstance(tree, exp.Create) else None
        names = Counter(table.name for table in tree.find_all(exp.Table) if table is not made and not table.db)
        read[step] = max((many for name, many in names.items() if OURS.match(name)), default=0)

    assert len(said) > 200
    assert [step for step, many in read.items() if many > 1] == []
    assert sum("> 2`" in step or " 2` AS" in step for step in said) > 10


def test_what_mysql_does_not_take(said):
    """
    CREATE OR REPLACE of a table, a WITH (each mention of which it may evaluate anew), FULL JOIN; a DROP TABLE of one
    part may be of a table of the users'; each name is quoted, for there are more words that are reserved.
    """
    dropped = [step for step in said if step.startswith("DROP TABLE")]

    assert not any(" OR REPLACE " in step or "nopad" in step for step in said)
    assert not any(tree.find(exp.With) for tree in said.values())
    assert not any(join.side == "FULL" for tree in said.values() for join in tree.find_all(exp.Join))
    assert len(dropped) > 3
    assert [step for step in dropped if "`.`" not in step] == []
    assert {each.name for tree in said.values() for each in tree.find_all(exp.Identifier) if not each.quoted} == {
        "nameless"
    }


def test_rows_are_written_down_as_they_are_kept():
    """
    In place of those that are there; text by its code points.
    """
    assert WORDS.landed('"staged_7"', "select id -- all", {"id": "BIGINT", "x": "VARCHAR"}) == (
        "drop temporary table if exists `staged_7`",
        "create temporary table `staged_7` as select q.`id` as `id`, convert(q.`x` using utf8mb4)"
        " COLLATE utf8mb4_0900_bin as `x` from (\nselect id -- all\n) as q",
    )


def test_an_outbox_has_an_index():
    """
    It is new, and read by ranges of its numbers; a text would need a length.
    """
    assert WORDS.indexed('"s"."outbox_t_7"', "seq") == ("create index audiences on `s`.`outbox_t_7` (seq)",)
    assert WORDS.indexed('"s"."ledger_t"', '"key"') == ()


@pytest.mark.parametrize(
    ("scheme", "version", "said"),
    [
        ("mysql", "8.0.20", "mysql:// is for MySQL 8.0.21 or newer"),
        ("mysql", "11.4.2-MariaDB", "let AUDIENCES_WAREHOUSE_URL begin with mariadb://"),
        ("mariadb", "8.4.7", "begin with mysql:// for MySQL"),
        ("mariadb", "10.6.1-MariaDB", "mariadb:// is for MariaDB 10.11 or newer"),
    ],
)
def test_another_server_than_the_url_says(scheme, version, said):
    """
    Each has a scheme of its own: what is right for one is not for the other.
    """

    class Connection:
        def exec_driver_sql(self, statement):
            return [(version,)]

    url = make_url(f"{scheme}://worker@127.0.0.1/shop")
    with pytest.raises(WarehouseError) as refused:
        spoken(url)(url, "audience_sync").greet(Connection())

    assert said in str(refused.value)
    assert "AUDIENCES_LEDGER_URL" in refused.value.do


def test_what_takes_too_long_is_broken_off(warehouse):
    """
    Also a CREATE TABLE … SELECT, which MySQL's own time-out leaves alone; the next statement has its time again.
    """
    begun = time.monotonic()
    with pytest.raises(WarehouseError, match="and was stopped"), warehouse.bounded(timedelta(seconds=0.3)):
        warehouse.land('"landed"', "select cast(sleep(20) as char) as x", {"x": "VARCHAR"})

    assert time.monotonic() - begun < 15
    assert warehouse.run("select 1 as x") == [(1,)]
