"""What SQL Server's words say of rows, types, keys, errors and time, without a server."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from unittest.mock import Mock

import pytest
from sqlalchemy.engine import make_url

from audiences.errors import Deferred, DefinitionError, WarehouseError
from audiences.warehouse.dialects.tsql import stepped
from audiences.warehouse.engines import spoken
from audiences.warehouse.opened import opened
from audiences.warehouse.sources.sqlserver import SQLServerSource
from audiences.warehouse.sqlserver import SQLServer, _kind
from audiences.warehouse.words import Conflict, literal
from mssqled import SQLServer as Held
from test_sqlserver_said import COLLATED

URL = make_url("mssql://worker:not-a-real-password@127.0.0.1:9/shop")
WORDS = SQLServer(URL, "audience_sync")


@pytest.fixture
def server(monkeypatch):
    server = Held()
    monkeypatch.setattr(SQLServerSource, "connection", lambda self, **_options: server.connected(self.url))
    return server


def test_rows_are_written_down_as_they_are_kept():
    """
    The query stands as it is, a comment at its end included, its WITH before all; texts lose the blanks at their end.
    """
    types = {"id": "BIGINT", "x]": "VARCHAR", "n": "DECIMAL(10,2)", "vip": "BOOLEAN"}

    assert WORDS.landed('"staged_7"', "with a as (select 1 as id) select * from a -- all", types) == (
        "drop table if exists [#staged_7]",
        "with a as (select 1 as id) select cast(q.[id] as bigint) as [id],"
        f" rtrim(cast(q.[x]]] as nvarchar(max))){COLLATED} as [x]]], cast(q.[n] as DECIMAL(10,2)) as [n],"
        " cast(q.[vip] as bit) as [vip] into [#staged_7] from (\nselect * from a -- all\n) as q",
    )


def test_its_types_are_ours():
    """
    What has no form of its own keeps its name.
    """
    told = {
        "int": "BIGINT",
        "bit": "BOOLEAN",
        "nvarchar(max)": "VARCHAR",
        "char(3)": "VARCHAR",
        "numeric(10,2)": "DECIMAL(10,2)",
        "money": "DECIMAL(19,4)",
        "datetime2(7)": "TIMESTAMP",
        "smalldatetime": "TIMESTAMP",
        "date": "DATE",
        "float": "float",
        None: "unknown",
    }

    assert {type_: _kind(type_) for type_ in told} == told


@pytest.mark.parametrize(
    ("type_", "help_"),
    [
        ("float", "cast(x as decimal(38, 10)) as x"),
        ("uniqueidentifier", "lower(cast(x as nvarchar(36))) as x"),
        ("datetimeoffset(7)", "cast(switchoffset(x, '+00:00') as datetime2) as x"),
        ("varbinary(2)", "convert(nvarchar(max), x, 2) as x"),
        ("time(7)", "cast(x as nvarchar(max)) as x"),
        ("sql_variant", "cast(x as nvarchar(max)) as x"),
        (None, "cast(x as nvarchar(max)) as x"),
    ],
)
def test_what_has_no_type_of_ours_is_refused(type_, help_):
    """
    With the cast that helps: the text of a float would have six digits, by which two members were one.
    """
    with pytest.raises(DefinitionError, match="'x' is of the type") as refused:
        WORDS.landed('"staged"', "select 1", {"x": _kind(type_)})

    assert refused.value.do == f"cast it in the query: {help_}"


def test_a_bit_is_no_key():
    """
    Its text is 1 or 0, which is no boolean elsewhere. Nor is it a part of a key.
    """
    with pytest.raises(DefinitionError, match="the key 'vip' is of the type bit") as refused:
        WORDS.key(["vip"], {"vip": "BOOLEAN"})
    assert "case vip when 1 then 'true' else 'false' end as vip" in refused.value.do
    with pytest.raises(DefinitionError, match="'vip' is of the type BOOLEAN"):
        WORDS.key(["id", "vip"], {"id": "BIGINT", "vip": "BOOLEAN"})
    assert WORDS.key(["id"], {"id": "BIGINT"}) == ('q."id"', "BIGINT")


class Said(Exception):
    """As the driver tells what the server says."""

    def __init__(self, number, words):
        super().__init__(number, f"{words}DB-Lib error message {number}, severity 16".encode())


@pytest.mark.parametrize(
    ("number", "words", "kind"),
    [
        (2714, "There is already an object named 'v7_0_0_ledger_x' in the database.", Conflict),
        (208, "Invalid object name 'audience_sync.v7_0_0_ledger_x'.", Conflict),
        (208, "Invalid object name 'shop.peeple'.", WarehouseError),
        (1205, "Transaction was deadlocked on lock resources with another process.", Conflict),
        (3960, "Snapshot isolation transaction aborted due to update conflict.", Deferred),
        (8134, "Divide by zero error encountered.", WarehouseError),
    ],
)
def test_what_an_error_means(number, words, kind):
    """
    Two sessions that met are no fault of the audience's.
    """
    assert type(WORDS.refusal(Said(number, words))) is kind


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (262, "CREATE TABLE permission denied in database 'shop'."),
        (2759, "CREATE SCHEMA failed due to previous errors."),
        (2760, 'The specified schema name "audience_sync" either does not exist or you do not have permission'),
    ],
)
def test_a_right_that_is_missing_is_named(number, words):
    """
    With what gives it, and the way without it. Of a schema that may not be made the driver tells the graver error, the
    second: whoever is told to wait for another worker would wait for ever.
    """
    refused = WORDS.refusal(Said(number, words))

    assert words in refused.what
    assert "create schema [audience_sync] authorization its user, grant create table to it" in refused.do
    assert "AUDIENCES_LEDGER_URL" in refused.do


def test_its_driver_is_asked_to_commit_at_once(monkeypatch):
    """
    Each statement is a transaction of its own.
    """
    pymssql = pytest.importorskip("pymssql")
    told = {}
    monkeypatch.setattr(pymssql, "connect", lambda **options: told.update(options))

    SQLServerSource(URL).connection(autocommit=True)

    assert told["autocommit"] is True
    assert told["encryption"] == "require"


def test_a_login_opens_no_transaction_by_itself():
    """
    As an administrator may have set for all logins, which this driver leaves so: nothing would ever be committed.
    """
    connection = Mock()

    WORDS.greet(connection)

    told = connection.execution_options.return_value.exec_driver_sql
    told.assert_called_once_with("set implicit_transactions off; set transaction isolation level read committed")


def test_a_table_that_is_not_there_has_no_columns(server):
    """
    It is not compiled: which of its errors that would raise, the documentation does not say.
    """
    with server.warehouse(server.alone()) as warehouse:
        warehouse.prepare()
        warehouse.run('create table "audience_sync"."there" (a bigint, b varchar, c boolean, d timestamp, e date)')

        assert warehouse.columns("missing") == {}
        assert list(warehouse.columns("there").values()) == ["BIGINT", "VARCHAR", "BOOLEAN", "TIMESTAMP", "DATE"]


NOON = datetime(2026, 2, 28, 12)  # noqa: DTZ001 (as our tables have it)
FITTED = {
    "BIGINT": {"12": 12, "": None, "x": None, None: None},
    "DECIMAL(10,2)": {"1.50": Decimal("1.50"), "": None, "x": None},
    "DATE": {"2026-02-28": date(2026, 2, 28), "2026-02-30": None, "28/02/2026": None, "": None, None: None},
    "TIMESTAMP": {"2026-02-28 12:00:00": NOON, "28/02/2026": None, " ": None},
    "BOOLEAN": {"1": None, "": None},
    "VARCHAR": {"": "", "x": "x", None: None},
}


@pytest.mark.parametrize("type_", FITTED)
def test_what_was_sent_is_another_type_only_where_its_text_is_one(server, type_):
    """
    An empty text is neither 0 nor the first day of 1900, as T-SQL would have it: what was sent as one is sent again.
    """
    with server.warehouse(server.alone()) as warehouse:
        warehouse.run("create table a (t varchar)")
        for text, fitted in FITTED[type_].items():
            warehouse.run("delete from a where true")
            warehouse.run(f"insert into a values ({'null' if text is None else literal(text)})")

            assert warehouse.run(f"select {WORDS.fitted('t', type_)} from a") == [(fitted,)]


def test_a_day_is_asked_for_its_form_before_it_is_read():
    """
    28/02/2026 is a day in some languages of a login, 02/03/2026 in all of them, but not the same.
    """
    [said] = stepped(f"select {WORDS.fitted('t', 'DATE')} from a")

    assert f"LIKE N'____-__-__%'{COLLATED} THEN TRY_CAST(" in said
    assert said.count("TRY_CAST(") == 1


def test_a_backslash_at_the_end_of_a_line_stays(server):
    """
    In a literal T-SQL leaves both out. A query with one in a comment would be described as another.
    """
    text = "C:\\\n, 'D:\\\\\r\n"

    with server.warehouse(server.alone()) as warehouse:
        warehouse.run("create table a (t varchar)")
        warehouse.run(f"insert into a values ({literal(text)})")

        assert warehouse.run("select t from a") == [(text,)]
        assert list(warehouse.described("select 1 as a -- C:\\\n, 2 as b")) == ["a", "b"]


def test_without_its_driver(monkeypatch):
    """
    What brings it is named.
    """
    monkeypatch.setattr("audiences.warehouse.sqlserver.find_spec", lambda name: None)
    with pytest.raises(DefinitionError) as missing:
        opened(URL, "audience_sync")

    assert missing.value.do == "pip install 'audiences[sqlserver]'"
    assert spoken(URL) is SQLServer
