"""What statements in Redshift's words mean, and how values are kept: on a PostgreSQL in its place, untried there."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from sqlalchemy.engine import make_url

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse import Warehouse, literal
from redshifted import Near, Redshift


@pytest.fixture(autouse=True, scope="module")
def near():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audiences.warehouse.redshift.RedshiftSource", Near)
        yield


@pytest.fixture
def engine(databases):
    return Redshift(databases)


ASKED = [
    "select k, exists (select 1 from b where b.k = a.k) or not exists (select 1 from c where c.k = a.k) from a",
    "select distinct k from a where not ((k in (select k from b where n > 1) and n > 0) is true)",
    "select *, not exists (select 1 from b) as none from a where exists (select 1 from c where n is null)",
    "select count(*) from a where not exists (select 1 from b where b.k = a.k and b.n is not distinct from a.n)",
    "select a.k from a where exists (select 1 from b where b.n is not distinct from a.n and b.k = a.k)",
    "select a.k from a where exists (select 1 from b where b.k = a.k and a.n > 1)",
    "select a.k from a where not exists (select 1 from b where b.k = a.k and (b.n = a.n or a.n > 1 or b.n = 2))",
    "select a.n, exists (select 1 from b join c on c.k = b.k where b.k = a.k and (b.n <> a.n or c.n <> a.n)) from a",
    "select a.n, exists (select 1 from b where b.k = a.k and b.n <> a.n) from a",
    "select a.n from a, (select 1 as one) o where a.k not in (select k from b where k > 1) and a.k = o.one",
    "select n from (select a.* from a) where k in (select k from b union all select n from c)",
    "with p as (select k, count(*) as n from a group by k) select exists (select 1 from p where n > 1)",
    "with p as (select distinct k from a) select p.k, q.k from p join p q on q.k = p.k",
    "select v.x, v.y from (values (1, 'a'), (2, null), (3, 'c')) v(x, y)"
    " where exists (select 1 from b where b.k = v.x)",
    "select a.n is distinct from b.n, a.n is not distinct from b.n from a left join b on b.k = a.k",
    "select n from a where (n > 2) is not true",
    "select cast(timestamp '2026-03-01 23:30:00' + cast(k as integer) * interval '1 hour' as varchar) from c",
]


@pytest.mark.parametrize("statement", ASKED)
def test_a_statement_means_what_it_said(engine, statement):
    """
    A test of existence in any place, a part of a WITH, a list of values, NULL in comparisons: the rows are DuckDB's.
    """
    with Warehouse(make_url("duckdb:///:memory:"), "s") as duckdb, engine.warehouse(engine.alone()) as redshift:
        for warehouse in (duckdb, redshift):
            warehouse.run("create table a (k bigint, n bigint)")
            warehouse.run("insert into a values (1, 1), (1, 2), (2, 3), (3, null), (null, 4), (4, 1), (4, 7)")
            warehouse.run("create table b (k bigint, n bigint)")
            warehouse.run("insert into b values (1, 1), (1, null), (3, null), (3, null), (4, 1), (4, 7), (null, 2)")
            warehouse.run("create table c (k bigint, n bigint)")
            warehouse.run("insert into c values (3, null), (4, 2)")
        rows, expected = (sorted(each.run(statement), key=str) for each in (redshift, duckdb))

    assert expected
    assert rows == expected


@pytest.mark.parametrize("standard", ["on", "off"])
def test_a_text_is_read_as_it_was_written(engine, standard):
    """
    Whether a backslash stands for itself in a session or not.
    """
    texts = ["back\\slash", "\\'; drop table people; --", "\\", "it's", "\\\\n", "", "%s :x"]
    with engine.warehouse(engine.alone()) as warehouse:
        warehouse.connection.exec_driver_sql(f"set standard_conforming_strings to {standard}")
        for text in texts:
            assert warehouse.run(f"select {literal(text)} as x, 1 where {literal(text)} in ('a', {literal(text)})") == [
                (text, 1)
            ]


# What an audience selects -> how our tables keep it.
TYPES = {
    "1::smallint": "BIGINT",
    "'x'::char(3)": "VARCHAR",
    "'x'": "VARCHAR",
    "true": "BOOLEAN",
    "0.1::float4": "REAL",
    "0.1::float8": "DOUBLE",
    "1.5::numeric(10, 2)": "DECIMAL(10,2)",
    "1::numeric(38, 0)": "DECIMAL(38,0)",
    "date '2026-03-01'": "DATE",
    "timestamp '2026-03-01 12:00:00'": "TIMESTAMP",
    "timestamptz '2026-03-01 12:00:00+01'": "TIMESTAMPTZ",
}


def test_json_of_every_character_that_has_an_escape(engine):
    """
    As Python writes it, whichever of them it is.
    """
    text = "".join(map(chr, range(1, 128))) + "é😀"
    with engine.warehouse(engine.alone()) as warehouse:
        [(found,)] = warehouse.run(f"select to_json({literal(text)})")

    assert found == json.dumps(text, ensure_ascii=False)


def test_its_types_are_ours(engine):
    """
    A column is described as a table of ours has it once it is made and asked again, also as another of that type.
    """
    select = "select " + ", ".join(f"{value} as v{n}" for n, value in enumerate(TYPES))
    with engine.warehouse(engine.alone()) as warehouse:
        warehouse.prepare()
        types = warehouse.described(select)
        warehouse.land('"staged"', select, types)
        made = warehouse.table("ledger_t")
        columns = ", ".join(f'cast("{name}" as {kind}) as "{name}"' for name, kind in types.items())
        warehouse.run(f'create table {made} as select {columns} from "staged"')

        assert [*types.values()] == [*TYPES.values()]
        assert warehouse.columns("ledger_t") == types
        assert warehouse.columns("ledger_u") == {}


def test_a_name_of_a_column_comes_back(engine):
    """
    Redshift makes small letters of each name, also in quotes: ours have no others, and are told as they were.
    """
    with engine.warehouse(engine.alone()) as warehouse:
        warehouse.prepare()
        table = warehouse.table("ledger_t")
        warehouse.land('"staged"', "select 1 as email, 2 as nps", {"email": "BIGINT", "nps": "BIGINT"})
        warehouse.run(
            f'create table {table} as select email as "sent_First Name", nps as "sent_first_name" from "staged"'
        )
        warehouse.run(f'alter table {table} add column "sent_É" varchar')
        kept = (
            warehouse.connection.exec_driver_sql(
                "select column_name from information_schema.columns where table_name = 'ledger_t'"
            )
            .scalars()
            .all()
        )

        assert list(warehouse.columns("ledger_t")) == ["sent_First Name", "sent_first_name", "sent_É"]
        assert warehouse.run(f'select "sent_first_name", "sent_First Name" from {table}') == [(2, 1)]
        assert [name for name in kept if name != name.lower()] == []


@pytest.mark.parametrize(
    ("value", "do"),
    [
        ("time '12:00'", "cast(x as varchar) as x"),
        ("1::numeric / 3", "x::decimal(38, 10) as x"),
        ("array[1]", "cast(x as varchar) as x"),
    ],
)
def test_what_has_no_type_of_ours_is_refused(engine, value, do):
    """
    With the cast that helps.
    """
    with (
        engine.warehouse(engine.alone()) as warehouse,
        pytest.raises(DefinitionError, match="'x' is of the type") as no,
    ):
        warehouse.land('"staged"', "select 1", warehouse.described(f"select {value} as x"))

    assert no.value.do == f"cast it in the query: {do}"


def test_a_column_of_another_type_is_tried(engine):
    """
    What a type cannot hold becomes NULL.
    """
    with engine.warehouse(engine.alone()) as warehouse:
        tried = [warehouse.words.fitted("v.x", kind) for kind in ("BIGINT", "VARCHAR", "BOOLEAN", "DECIMAL(4,1)")]

        assert warehouse.run(f"select {', '.join(tried)} from (values ('7'), ('x')) v(x) order by v.x") == [
            (7, "7", None, 7),
            (None, "x", None, None),
        ]


def test_what_takes_too_long_is_broken_off(engine):
    """
    With the way out; the next statement has its time again.
    """
    with engine.warehouse(engine.alone()) as warehouse:
        with pytest.raises(WarehouseError, match="and was stopped"), warehouse.bounded(timedelta(milliseconds=100)):
            warehouse.land('"landed"', "select pg_sleep(5)::varchar as x", {"x": "VARCHAR"})
        assert warehouse.run("show statement_timeout") == [("0",)]


def test_another_session_sees_a_statement_at_once(engine):
    """
    Each is a transaction of its own, and none is read only.
    """
    url = engine.alone()
    with engine.warehouse(url) as one, engine.warehouse(url) as other:
        one.run("create table t (x bigint)")
        one.run("insert into t values (1)")

        assert other.run("select x from t") == [(1,)]


def test_a_database_that_does_not_see_case(engine):
    """
    Two keys would be one there: nothing runs.
    """
    url = engine.alone()
    with engine.open(url) as connection:
        connection.execute(
            "create or replace function db_collation() returns varchar language sql as $$ select 'case_insensitive' $$"
        )
    with pytest.raises(WarehouseError, match="compares text as case_insensitive") as refused:
        engine.warehouse(url)

    assert "AUDIENCES_LEDGER_URL" in refused.value.do
