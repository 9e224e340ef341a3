"""What Snowflake's words say where it holds our tables, without a server: statements, locks, settings, errors."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url
from sqlglot import exp, parse_one

from audiences import control, outbox, tables
from audiences.control import Fence
from audiences.errors import DefinitionError, WarehouseError
from audiences.history import Story
from audiences.warehouse import Conflict, Warehouse
from audiences.warehouse.dialects.snowflake import translated
from audiences.warehouse.duckdb import DuckDB
from audiences.warehouse.snowflake import Snowflake, _kind
from audiences.warehouse.words import Cancelled
from oracle import Case, Claim, Person, Refusal
from sourced import two_syncs
from test_changes import QUERY, SYNC, TERMS, planned
from test_control import NOW, STEPS, begun, opened
from test_snowflake_words import Said
from world import World

WORDS = Snowflake(make_url("snowflake://worker@account/shop/public?role=audiences"), "audience_sync")
PEOPLE = [Person(1, "a@x", 1), Person(1, "b@x", 1), Person(2, "c@x", None), Person(None, "d@x", 1)]
CLAIMS = [Claim(1, "a@x", "M", "a@x", 1, True, True), Claim(3, "c@x", "L", "c@x", 1, False, False)]
REFUSALS = [Refusal(2, "c@x", "L", "c@x", 1, True)]


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """All that a few runs say, and each step of settling, as Snowflake would be told it."""
    told, usual = set(), DuckDB.said
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DuckDB, "said", lambda self, statement: told.add(statement) or usual(self, statement))
        two_syncs(World(tmp_path_factory.mktemp("said")))
        _plans()
        for step in STEPS.values():
            with _fenced() as fence:
                step(fence)
        with _fenced() as fence:
            fence.warehouse.run(f"create table {fence.warehouse.table('history_team__webhook')} as select 0 as outbox")
            patch.setattr(Warehouse, "run", lambda self, statement: told.add(statement))
            Story(fence, 1, None, NOW).left(fence.warehouse.table("ledger_team__webhook"), "l.outbox < 1")
    return {statement: parse_one(translated(statement), dialect="snowflake") for statement in told}


def _plans():
    """Comparisons of each mode, with doubts, refusals and claims that grow old, of this rule and of another."""
    with Warehouse(make_url("duckdb:///:memory:"), "audience_sync") as warehouse:
        warehouse.run("create table people (id bigint, email varchar, nps integer)")
        control.create(warehouse, SYNC.name, SYNC.table)
        tables.create(warehouse, TERMS, warehouse.described(QUERY))
        fence = Fence(warehouse, SYNC.name, SYNC.table, 7)
        for mode, repeatable, mortal in (("mirror", True, True), ("mirror", False, False), ("add", True, False)):
            case = Case(PEOPLE, CLAIMS, REFUSALS, mode=mode, repeatable=repeatable, mortal=mortal)
            _, _, changes = planned(fence, case, "another" if mortal else None)
            outbox.outlive(fence, changes)
            planned(fence, replace(case, claims=[], refusals=[]), None)


@contextmanager
def _fenced():
    """A fence over a new warehouse, with an open outbox."""
    with Warehouse(make_url("duckdb:///:memory:"), "audience_sync") as warehouse:
        warehouse.run("create table people (id bigint, email varchar)")
        begun(warehouse)
        yield opened(warehouse)


def test_each_name_is_quoted(said):
    """
    Snowflake reads a name that is not in capitals, and so would not find one that is quoted elsewhere.
    """
    assert len(said) > 60
    assert [sql for sql, tree in said.items() if not all(each.quoted for each in tree.find_all(exp.Identifier))] == []


def test_a_table_that_is_changed_has_its_own_name(said):
    """
    UPDATE and DELETE are documented without another name for their table.
    """
    changes = [tree for tree in said.values() if isinstance(tree, exp.Update | exp.Delete)]

    assert len(changes) > 15
    assert [tree.sql() for tree in changes if tree.this.alias] == []


def test_existence_is_asked_in_a_where(said):
    """
    Of a test of existence, or in a query, anywhere else the documentation does not speak.
    """
    tests = [test for tree in said.values() for test in (*tree.find_all(exp.Exists), *tree.find_all(exp.In))]
    tests = [test for test in tests if isinstance(test, exp.Exists) or test.args.get("query")]

    assert len(tests) > 60
    assert [test.sql() for test in tests if not isinstance(test.find_ancestor(exp.Where, exp.Select), exp.Where)] == []


def test_a_number_of_rows_has_an_order(said):
    """
    `row_number()` needs one, and a WHERE something of which it asks.
    """
    windows = [window for tree in said.values() for window in tree.find_all(exp.Window)]
    selects = [select for tree in said.values() for select in tree.find_all(exp.Select)]

    assert all(window.args.get("order") for window in windows)
    assert all(select.args.get("from_") for select in selects if select.args.get("where"))
    assert len(windows) > 5


def test_halves_are_the_whole():
    """
    A SELECT that asks in a column whether there is something gives the same rows in the same order when it asks in a
    WHERE: also where it asks twice, and where it keeps each row once.
    """
    asked = [
        "select k, exists (select 1 from b where b.k = a.k), not exists (select 1 from c where c.k > a.k) from a"
        " order by n",
        "select distinct k, (exists (select 1 from b where b.k = a.k) or exists (select 1 from c where c.k = a.k)) as e"
        " from a where n < 4",
        "select not exists (select 1 from a) and not exists (select 1 from b)",
    ]
    with Warehouse(make_url("duckdb:///:memory:"), "audience_sync") as warehouse:
        warehouse.run("create table a as select * from (values (1, 4), (2, 3), (2, 2), (3, 1), (null, 5)) v(k, n)")
        warehouse.run("create table b as select 1 as k union all select 3")
        warehouse.run("create table c as select 3 as k")
        for statement in asked:
            rows = warehouse.run(statement)
            found = warehouse.run(parse_one(translated(statement), dialect="snowflake").sql(dialect="duckdb"))

            assert found == rows if "order by" in statement else sorted(found, key=str) == sorted(rows, key=str)


def test_what_is_not_known_is_not_true():
    """
    NULL is not true: sqlglot makes NULL of that.
    """
    with Warehouse(make_url("duckdb:///:memory:"), "audience_sync") as warehouse:
        asked = translated("select x is not true, x is true from (values (true), (false), (null)) v(x)")

        assert warehouse.run(asked) == [(False, True), (True, False), (True, False)]


def test_a_column_of_another_type():
    """
    Its table is made anew in the one statement, for no column can become another type, and each change of a table is
    a transaction.
    """
    fitted = WORDS.fitted('"sent_nps"', "DECIMAL(38,0)")
    [made] = WORDS.said(f'alter table "s"."t" alter column "sent_nps" type DECIMAL(38,0) using {fitted}')

    assert made == (
        'CREATE OR REPLACE TABLE "s"."t" AS SELECT * REPLACE (TRY_CAST(CAST("sent_nps" AS VARCHAR) AS DECIMAL(38, 0))'
        ' AS "sent_nps") FROM "s"."t"'
    )
    assert WORDS.said('alter table "s"."t" rename to "u"') == ('ALTER TABLE "s"."t" RENAME TO "s"."u"',)


def test_a_transaction_locks_before_it_asks(tmp_path, monkeypatch):
    """
    Where a write that has waited may not see what it has waited for, nothing of a control row is asked or changed but
    behind the sync's own lock, in the same transaction; and a run goes as ever.
    """
    said = []
    monkeypatch.setattr(DuckDB, "locks", True)
    event.listen(Engine, "before_cursor_execute", heard := lambda _, __, sql, *___: said.append(sql))
    two_syncs(World(tmp_path))
    event.remove(Engine, "before_cursor_execute", heard)
    kinds = [kind for sql in said if (kind := re.search(r"begin tr|commit|rollback|update \S*(lock|control)_", sql))]
    story = " ".join((kind[1] or kind[0])[:7] for kind in kinds)

    assert story.count("control") > 10
    assert (
        re.sub(r"begin t lock control commit|begin t lock commit|begin t commit|commit|begin t", "", story).split()
        == []
    )


def test_a_first_run_that_is_killed(tmp_path, monkeypatch):
    """
    Where a table is no part of a transaction, a sync's first run may end at any step of making its own: the next
    begins as the first, and everyone is on the list.
    """
    monkeypatch.setattr(DuckDB, "locks", True)
    for at in (6, 8, 10):  # behind the table, the lock's, and its row
        (folder := tmp_path / str(at)).mkdir()
        world = World(folder)
        world.people((1, "a@x"), (2, "b@x"))

        assert world.killed(at)
        assert world.sync().error is None
        assert world.listed() == {"a@x": 0, "b@x": 0}


@pytest.mark.parametrize(
    ("number", "state", "error"),
    [
        (625, "57014", Conflict),
        (2002, "42710", Conflict),
        (630, "57014", Cancelled),
        (3001, "42501", WarehouseError),
        (904, "42000", WarehouseError),
    ],
)
def test_an_error_is_known_by_its_number(number, state, error):
    """
    A lock that another holds, or a table just made, is another worker; what took too long is none.
    """
    raised = Said(state)
    raised.errno = number

    assert type(WORDS.refusal(raised)) is error


def test_a_right_that_is_missing():
    """
    The statement that gives it is named.
    """
    refused = WORDS.refusal(Said("42501"))

    assert 'grant usage, create table on schema "audience_sync" to role "audiences"' in refused.do


class Session:
    """A session that answers SHOW PARAMETERS as Snowflake does."""

    def __init__(self, **parameters):
        self.parameters = parameters

    def exec_driver_sql(self, sql):
        name, _ = re.fullmatch(r"show parameters like '(\w+)' in (account|schema)", sql).groups()
        rows = [{"key": name, "value": self.parameters[name]}] if name in self.parameters else []
        return SimpleNamespace(mappings=lambda: rows)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"READ_CONSISTENCY_MODE": "SESSION"}, "alter account set read_consistency_mode = 'GLOBAL'"),
        ({}, "not shown to this role"),
        ({"READ_CONSISTENCY_MODE": "GLOBAL", "DEFAULT_DDL_COLLATION": "en-ci"}, "collation en-ci"),
    ],
)
def test_an_account_that_will_not_do(parameters, said):
    """
    Where a session may not see what another has committed, or tables compare text in their own way, nothing runs.
    """
    with pytest.raises(WarehouseError) as refused:
        WORDS.greet(Session(**parameters))
    assert said in str(refused.value)


def test_an_account_that_will():
    """
    Whose sessions see what others commit, and whose schema compares text as it is.
    """
    WORDS.greet(Session(READ_CONSISTENCY_MODE="GLOBAL", DEFAULT_DDL_COLLATION=""))


def test_a_url_without_a_schema():
    """
    The audience's temporary table needs one.
    """
    with pytest.raises(WarehouseError, match="names no schema"):
        Snowflake(make_url("snowflake://worker@account/shop"), "audience_sync").greet(Session())


def test_an_audience_lands_as_it_is():
    """
    In a temporary table, its text without the collation of its columns; what cannot be compared is refused by name.
    """
    [made] = WORDS.landed('"staged_1"', "select 1 -- all", {"ID": "DECIMAL(38,0)", "EMAIL": "VARCHAR"})

    assert made.startswith(
        'create or replace temporary table "staged_1" as select "ID", collate("EMAIL", \'\') as "EMAIL" from (select'
    )
    assert "-- all\n" in made
    with pytest.raises(DefinitionError, match="'TAGS' is of the type ARRAY"):
        WORDS.landed('"staged_1"', "select 1", {"TAGS": "ARRAY"})


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("fixed(38,0)", "DECIMAL(38,0)"),
        ("fixed(10,2)", "DECIMAL(10,2)"),
        ("text(None,None)", "VARCHAR"),
        ("real(None,None)", "DOUBLE"),
        ("timestamp_ntz(0,9)", "TIMESTAMP"),
        ("timestamp_ltz(0,9)", "TIMESTAMPLTZ"),
        ("binary(None,None)", "BLOB"),
        ("variant(None,None)", "VARIANT"),
    ],
)
def test_a_type_is_called_as_our_statements_call_it(type_, kind):
    """
    So that a table of ours, asked for its columns, has the types that it was made with.
    """
    assert _kind(type_) == kind


def test_a_key_of_several_columns():
    """
    JSON is made of a VARIANT there; the parts are those of every engine.
    """
    key, type_ = WORDS.key(("ID", "SHOP"), {"ID": "DECIMAL(38,0)", "SHOP": "VARCHAR"})

    assert type_ == "VARCHAR"
    assert 'CAST(TO_JSON(TO_VARIANT(CAST("q"."SHOP" AS VARCHAR))) AS VARCHAR)' in translated(f"select {key} from q")


def test_what_it_is_told_of_time():
    """
    How long a statement may take, and that one does not wait, in whole seconds.
    """
    assert WORDS.bounding(timedelta(milliseconds=1500))[0].endswith("statement_timeout_in_seconds = 2")
    assert WORDS.impatient() == ("alter session set lock_timeout = 0", "alter session set lock_timeout = 60")
    later = WORDS.later("timestamp '2026-03-01 12:00:00'", "(f.attempts + 1)")
    assert "TIMESTAMPADD(HOUR, CAST((" in translated(f"select {later} from f")


def test_a_label_comes_last():
    """
    What stands before a statement is not kept in the account's list of queries.
    """
    assert WORDS.labelled("/* audiences: team */ ", "select 1") == "select 1 /* audiences: team */"
    assert WORDS.labelled("", "select 1") == "select 1"
