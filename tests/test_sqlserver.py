"""SQL Server as a source, untried: its T-SQL as sqlglot reads it, run by DuckDB in place of the driver's connection."""

from __future__ import annotations

from datetime import timedelta

import duckdb
import pytest
from sqlalchemy.engine import make_url

from audiences.errors import Deferred, DefinitionError, WarehouseError
from audiences.warehouse import sources
from audiences.warehouse.sources.sqlserver import SQLServerSource, compiled, parted
from audiences.warehouse.words import Cancelled
from behind import Behind
from engines import ReadOnly
from sourced import asks, failed, travelled, two_syncs
from world import World

URL = make_url("mssql://reader:not-a-real-password@127.0.0.1:9/shop")

# A value as SQL Server writes it -> what travels.
VALUES = {
    "null": None,
    "N'😀'": "😀",
    "''": "",
    "7": 7,
    "cast(1.50 as decimal(10, 2))": 1.5,
    "cast('2026-02-28' as date)": "2026-02-28",
    "cast('2026-02-28 23:59:59.5' as datetime2)": "2026-02-28T23:59:59.500000",
    "0x00ff": "AP8=",
}
TYPES = {"INTEGER": "int", "VARCHAR": "nvarchar(max)", "BLOB": "varbinary(2)"}


class Connection:
    """What stands in for the driver's: a cursor whose statements DuckDB runs."""

    def __init__(self, engine):
        self.engine, self.rows = engine, iter(())

    def cursor(self):
        return self

    def close(self):
        """Nothing is held."""

    def execute(self, sql):
        from pymssql import ProgrammingError

        asked = sql.removeprefix("exec sp_describe_first_result_set @tsql = N'")
        select = asked.removesuffix("'").replace("''", "'") if asked != sql else sql
        try:
            found, rows = self.engine.answer(select)
        except duckdb.Error as error:
            number = 208 if isinstance(error, duckdb.CatalogException) else 245
            raise ProgrammingError(number, f"{error}DB-Lib error message 20018, severity 16".encode()) from None
        self.description = [("is_hidden",), ("name",), ("system_type_name",)]
        if asked != sql:
            rows = [(False, name, TYPES.get(type_, type_.lower())) for name, type_ in found]
        self.rows = iter(rows)

    def fetchall(self):
        return [*self.rows]

    def fetchmany(self, size):
        return [row for row, _ in zip(self.rows, range(size), strict=False)]


@pytest.fixture
def world(tmp_path, monkeypatch):
    engine = Behind("tsql", URL)
    monkeypatch.setattr(SQLServerSource, "connection", lambda self: Connection(engine))
    return World(tmp_path, engine=ReadOnly(engine))


def test_two_syncs(world):
    """
    A first sync; then one with an addition, an update, a move and a removal; then nothing is left to do.
    """
    two_syncs(world)


def test_what_travels(world):
    """
    A value of each type, as the rule of all engines says.
    """
    assert travelled(world, VALUES) == [*VALUES.values()]


def test_a_query_may_start_with_its_steps(world):
    """
    T-SQL has no WITH inside of parentheses: it goes before them.
    """
    world.people((1, "a@x", 3), (2, "b@x", 9))
    asks(world, "with low as (select id, email, nps from people where nps < 5)\nselect id, email, nps from low")

    assert world.sync().outcome == "delivered"
    assert world.listed() == {"a@x": 3}
    assert parted("with a as (select 1 as x) -- why\nselect x from a") == (
        "with a as (select 1 as x) -- why\n",
        "select x from a",
    )


def test_what_is_said(world):
    """
    Names are shown; what may quote a row is told by its number.
    """
    world.people((1, "ada@example.com"))

    assert "refuses a statement: Catalog Error" in failed(world, "select id, email, nps from peeple")
    said = failed(world, "select id, email, cast(email as int) as nps from people")
    assert "fails with error 245" in said
    assert "ada" not in said


@pytest.mark.parametrize(
    ("number", "error", "shown"),
    [
        (229, WarehouseError, True),
        (11501, WarehouseError, True),
        (207, WarehouseError, True),
        (1205, Deferred, False),
        (20003, Cancelled, False),
        (3906, WarehouseError, False),
        (20047, WarehouseError, False),
        (8134, WarehouseError, False),
    ],
)
def test_an_error_is_known_by_its_number(number, error, shown):
    """
    Of a missing right or name the words are shown, of values they are not; those of the driver never.
    """
    found = SQLServerSource(URL).refusal(Exception(number, b"the words DB-Lib error message 20018, severity 16:\nmore"))

    assert type(found) is error
    assert ("the words" in str(found)) is shown
    assert "DB-Lib" not in str(found)


def test_a_query_is_held_to_its_time():
    """
    In whole seconds, more rather than less; one without a limit does not keep that of the connection before.
    """
    assert SQLServerSource(URL).bounded(timedelta(milliseconds=1500), None).options()["timeout"] == 2
    assert SQLServerSource(URL).options()["timeout"] == timedelta(days=24).total_seconds()


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("decimal(38,0)", "HUGEINT"),
        ("numeric(10,2)", "VARIANT"),
        ("datetimeoffset(7)", "VARCHAR"),
        ("uniqueidentifier", "VARCHAR"),
        ("bit", "BOOLEAN"),
    ],
)
def test_a_type_is_kept_as_what_it_holds(type_, kind):
    """
    A decimal without decimals is a whole number; what is not named is text.
    """
    assert SQLServerSource(URL).kind(type_) == kind


def test_a_server_that_cannot_be_reached():
    """
    Why is said in words, once, without a password.
    """
    with pytest.raises(WarehouseError, match="cannot be reached: Unable to connect") as refused:
        sources.of(URL).described("select 1 as a")
    assert "not-a-real" not in str(refused.value)
    assert str(refused.value).count("Unable to connect") == 1


def test_a_driver_that_is_missing(monkeypatch):
    """
    The extra that brings it is named.
    """
    monkeypatch.setattr("audiences.warehouse.sources.sqlserver.find_spec", lambda name: None)

    with pytest.raises(DefinitionError) as missing:
        sources.of(URL).described("select 1")
    assert missing.value.do == "pip install 'audiences[sqlserver]'"


def test_a_query_is_described_as_it_stands():
    """
    Of a backslash at the end of a line T-SQL leaves both out of a literal, unless they come twice.
    """
    assert compiled("select 'a' as a -- C:\\\n, 2 as b") == (
        "exec sp_describe_first_result_set @tsql = N'select ''a'' as a -- C:\\\\\n\n, 2 as b'"
    )
