"""An audience's SQL is one SELECT that only reads: everything else is refused before a warehouse sees it."""

from __future__ import annotations

import logging
from pathlib import Path

import duckdb
import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st

from audiences import denied, query
from audiences.errors import DefinitionError
from audiences.place import Place

HERE = Place(Path("audiences/x.sql"), 10)
DIALECTS = ["duckdb", "postgres", "redshift", "mysql", "snowflake", "bigquery"]
DIALECTS += ["clickhouse", "tsql", "trino", "spark", "databricks", "sqlite"]


def checked(sql, dialect="duckdb"):
    return query.checked(sql, dialect, HERE)


def refusal(sql, dialect="duckdb"):
    with pytest.raises(DefinitionError) as caught:
        checked(sql, dialect)
    return str(caught.value)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "sql",
    [
        "select a from b",
        "-- why\nselect a /* what */ from b where c = 'read_csv(1); insert into x'",
        "(select a from b)",
        "((select a from b) union all (select a from c))",
        "with x as (select a from b) select a from x order by a limit 3",
        "select t.a, count(*) as n from s.b as t left join c on t.a = c.a group by t.a having count(*) > 1",
        "select a, row_number() over (partition by a order by b) as url from file",
    ],
)
def test_a_select_is_returned_as_written(dialect, sql):
    """
    What only reads passes, in every dialect, without a change.
    """
    assert checked(sql, dialect) == sql


@pytest.mark.parametrize("end", [";", " ; ", ";;", "; -- that is all", " -- no ; here", "\n/* ; */\n;\n", ""])
def test_what_follows_the_query_is_cut_off(end):
    """
    The query can be put in parentheses: no closing semicolon, no comment that would swallow them.
    """
    assert duckdb.sql(f"({checked('select 1 as a' + end)})").fetchall() == [(1,)]


def test_a_semicolon_in_a_text_or_a_comment_ends_nothing():
    """
    Quotes, dollar quotes, quoted names and nested comments are read as the engine reads them.
    """
    sql = """select ';' as a, $$;$$ as b, $x$ $$;' $x$ as c, e'\\';' as d, 1 as "e;", 'é😀' as f /* /* ; */ ; */ -- ;"""

    assert duckdb.sql(checked(sql)).fetchall() == [(";", ";", " $$;' ", "';", 1, "é😀")]
    assert query.output_names(checked(sql), "duckdb") == ("a", "b", "c", "d", "e;", "f")


@pytest.mark.parametrize("sql", ["", " \n", ";", "-- only a comment", "/* ; */ ;"])
def test_an_empty_query_is_refused(sql):
    """
    A header alone is no audience.
    """
    assert refusal(sql).startswith("audiences/x.sql:10 has no query below the header\n  do: write one SELECT")


@pytest.mark.parametrize("second", ["select 2", "drop table b", "-- x\n delete from b", "/* x */; select 2"])
def test_a_second_statement_is_refused(second):
    """
    One file, one SELECT: what stands behind a semicolon is refused, whatever it is.
    """
    said = refusal(f"select 1;\n{second}")

    assert "starts a second statement\n  do: write one SELECT" in said
    assert said.startswith(f"audiences/x.sql:{11 if chr(10) not in second else 12} ")


@pytest.mark.parametrize(
    "sql",
    [
        "insert into a select 1",
        "update a set b = 1",
        "delete from a",
        "drop table a",
        "create table a as select 1",
        "copy a to 'x.csv'",
        "values (1)",
        "(values (1))",
        "explain select 1",
        "(explain select 1)",
        "pragma version",
        "attach 'x.db'",
        "install httpfs",
        "set threads = 1",
        "call pragma_version()",
        "describe a",
        "merge into a using b on a.c = b.c when matched then delete",
        "select a from b) as q; drop table b; --",
    ],
)
def test_what_is_no_select_is_refused(sql):
    """
    Only a SELECT passes, alone or in parentheses.
    """
    assert "write one SELECT" in refusal(sql)


@pytest.mark.parametrize("verb", ["insert into a values (1)", "update a set b = 1", "delete from a"])
def test_a_data_modifying_cte_is_refused(verb):
    """
    A statement that writes is found inside a WITH, and its line is named.
    """
    for dialect in ("postgres", "duckdb"):
        said = refusal(f"with x as (\n{verb}\nreturning *)\nselect * from x", dialect)

        assert said.startswith(f"audiences/x.sql:11 holds {verb.split()[0].upper()}, which does more than read")


def test_select_into_is_refused():
    """
    SELECT INTO makes a table, a variable or a file: none is reading.
    """
    for dialect, target in [("postgres", "b"), ("tsql", "#b"), ("mysql", "@b"), ("mysql", "outfile '/b'")]:
        said = refusal(f"select a\ninto {target} from c", dialect)

        assert said.startswith("audiences/x.sql:11 writes, with INTO\n  do: leave INTO out")


@pytest.mark.parametrize(
    ("dialect", "lock"),
    [
        ("postgres", "for update"),
        ("postgres", "for no key update"),
        ("postgres", "for share of b skip locked"),
        ("postgres", "for key share"),
        ("mysql", "for update"),
        ("mysql", "lock in share mode"),
        ("tsql", "with (updlock)"),
    ],
)
def test_a_lock_is_refused(dialect, lock):
    """
    FOR UPDATE, FOR SHARE and their kin hold up whoever writes.
    """
    said = refusal(f"select a from b\n{lock}", dialect)

    assert "locks the rows that it reads\n  do: leave FOR UPDATE, FOR SHARE" in said


def test_reading_without_locks_is_allowed():
    """
    A hint to wait for nobody is no lock.
    """
    assert checked("select a from b with (nolock)", "tsql")


CALLS = {
    "duckdb": """
        read_text read_blob read_csv read_csv_auto read_parquet parquet_scan read_json read_json_auto read_ndjson glob
        sniff_csv parquet_metadata parquet_schema sqlite_scan postgres_scan postgres_query mysql_scan mysql_query
        iceberg_scan delta_scan read_duckdb getenv query query_table nextval current_setting set_config sleep_ms
        pg_sleep checkpoint json_execute_serialized_sql pandas_scan arrow_scan write_log duckdb_secrets read_xlsx
        st_read enable_logging load install""",
    "postgres": """
        pg_read_file pg_read_binary_file pg_ls_dir pg_stat_file pg_terminate_backend pg_cancel_backend pg_sleep
        pg_sleep_for pg_sleep_until lo_import lo_export lo_get loread dblink dblink_exec set_config nextval setval
        pg_advisory_lock pg_try_advisory_xact_lock pg_notify query_to_xml query_to_xmlschema cursor_to_xml
        database_to_xml pg_reload_conf pg_rotate_logfile pg_file_write crosstab ts_stat query_export_to_s3""",
    "redshift": "pg_terminate_backend pg_cancel_backend set_config",
    "mysql": "load_file sleep benchmark get_lock release_lock sys_exec setval master_pos_wait",
    "snowflake": "system$cancel_all_queries system$wait infer_schema get_presigned_url to_query",
    "bigquery": "external_query",
    "clickhouse": "file url s3 remote remoteSecure executable mysql postgresql hdfs sleep sleepEachRow cluster",
    "tsql": "openrowset opendatasource openquery xp_cmdshell sp_executesql fn_get_audit_file",
    "trino": "query raw_query",
    "spark": "java_method reflect read_files",
    "databricks": "java_method reflect read_files http_request secret remote_query",
    "sqlite": "load_extension readfile writefile edit",
}


@pytest.mark.parametrize(("dialect", "name"), [(dialect, name) for dialect in CALLS for name in CALLS[dialect].split()])
def test_a_call_that_does_more_than_read_is_refused(dialect, name):
    """
    Files, commands, other servers, sleep, settings, sessions: the call and its line are named, however it is written.
    """
    left, right = {"mysql": "``", "bigquery": "``", "spark": "``", "databricks": "``", "tsql": "[]"}.get(dialect, '""')

    for call in (
        f"{name}('x')",
        f"{name.upper()} /* why */ ('x')",
        f"{left}{name}{right}('x')",
        f"some_schema.{name}('x')",
        f"some_schema.{left}{name}{right}\n('x')",
    ):
        for sql in (f"select\n{call} as a", f"select * from\n{call} as a", f"select a from b where c in (\n{call})"):
            said = refusal(sql, dialect)

            assert said.startswith("audiences/x.sql:11 calls ")
            assert name.lower() in said.splitlines()[0].lower()
            assert said.endswith("\n  do: leave the call out: an audience only reads tables")


def test_an_engine_without_a_list_is_refused_what_any_is():
    """
    A dialect that nobody wrote a list for is the strictest.
    """
    assert "reads files" in refusal("select read_csv('x')", "oracle")
    assert "sleeps" in refusal("select pg_sleep(1)", "oracle")


def test_every_file_reader_of_duckdb_is_denied():
    """
    DuckDB itself says which functions read files; none is missing from the list.
    """
    rows = duckdb.sql("""
        select distinct function_name from duckdb_functions()
        where function_name similar to '(read|parquet|sniff|scan)_.*|.*_scan|glob|getenv|query(_table)?|(pg_)?sleep.*'
    """).fetchall()

    assert len(rows) > 20
    assert [name for (name,) in rows if not denied.call("duckdb", name)] == []


@pytest.mark.parametrize(
    ("dialect", "table"),
    [
        ("duckdb", "'a.csv'"),
        ("duckdb", '"a.parquet"'),
        ("duckdb", "raw.csv"),
        ("duckdb", "'folder/*'"),
        ("duckdb", "'https://example.com/a'"),
        ("duckdb", "'a.json.gz'"),
        ("spark", "csv.`/a`"),
        ("databricks", "parquet.`s3://b/c`"),
        ("snowflake", "@stage/a"),
        ("snowflake", "'@stage/a'"),
    ],
)
def test_a_file_read_as_a_table_is_refused(dialect, table):
    """
    Where an engine takes a table's name for a path, such a name is refused.
    """
    said = refusal(f"select a from b\njoin {table} as c on true", dialect)

    assert said.startswith("audiences/x.sql:11 reads the file ")


def test_duckdb_reads_such_a_name_as_a_file(tmp_path, monkeypatch):
    """
    The rule has its reason: DuckDB opens a file for a name without any quotes.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw.csv").write_text("a\n1\n")

    assert duckdb.sql("select * from raw.csv").fetchall() == [(1,)]
    assert 'reads the file "raw.csv"' in refusal("select * from raw.csv")


def test_a_table_whose_name_is_no_path_is_read():
    """
    Schemas, catalogs, wildcards of BigQuery and quoted names are tables.
    """
    assert checked('select a from lake.raw."Order Lines", x.users')
    assert checked("select a from `project-1.set.events_*`", "bigquery")


@pytest.mark.parametrize(
    ("dialect", "sql", "said"),
    [
        ("mysql", "select 1\n/*! , load_file('/etc/passwd') */", "opens '/*!'"),
        ("mysql", "select 1\n/*M! , sleep(9) */, 2", "opens '/*M!'"),
        ("duckdb", "select 1\n{# , 2 #}, 3", "opens '{#'"),
        ("postgres", 'select\nU&"pg\\005fsleep"(1)', "writes a name in escapes"),
        ("postgres", "select e'a'\n'\\'' , pg_sleep(1) , '", "cannot be read as postgres"),
    ],
)
def test_what_an_engine_may_read_otherwise_is_refused(dialect, sql, said):
    """
    A comment that runs, a name in escapes, a text in two parts: nothing hides from the check in them.
    """
    if sql.endswith("*/"):
        sql += ", 2"

    assert refusal(sql, dialect).startswith(f"audiences/x.sql:11 {said}")


def test_an_and_of_bits_is_no_escape():
    """
    `&` before a quoted name is arithmetic.
    """
    assert checked('select a & "b" as c from d')


@pytest.mark.parametrize(
    ("dialect", "sql", "said"),
    [
        ("snowflake", "select\nseq.nextval from b", "calls nextval, which writes"),
        ("tsql", "select\nnext value for seq as a", "holds NEXTVALUEFOR"),
        ("spark", "select\ntransform(a) using 'cat' as (b) from c", "holds QUERYTRANSFORM"),
    ],
)
def test_what_writes_without_a_call_is_refused(dialect, sql, said):
    """
    A sequence moves and a script runs also without parentheses.
    """
    assert refusal(sql, dialect).startswith(f"audiences/x.sql:11 {said}")


def test_a_query_that_cannot_be_read_is_refused_without_a_word_of_it():
    """
    The error says where the reading stopped; it does not quote the query, which may hold a person.
    """
    said = refusal("select a\nfrom b where c = = 'ada@example.com'")

    assert said.startswith("audiences/x.sql:11 cannot be read as duckdb near column ")
    assert "ada" not in said


@pytest.mark.parametrize("sql", ["select 'a", "select /* a", 'select "a', "select $x$ a", "select 1 as $ -- b"])
def test_an_open_quote_is_refused(sql):
    """
    What is never closed would swallow what the worker writes behind it.
    """
    assert "opens a quote or comment that nothing closes\n  do: close it" in refusal(sql)


def test_a_query_nested_beyond_reading_is_refused():
    """
    Depth that breaks the parser is an error like any other.
    """
    said = refusal("select " + "(" * 9000 + "1" + ")" * 9000)

    assert "nested too deeply\n  do: write it in steps" in said


def test_a_megabyte_is_read():
    """
    Long is not wrong.
    """
    sql = "select id from b where id in (" + ",".join(f"'{number:060}'" for number in range(16_000)) + ")"

    assert len(sql) > 1_000_000
    assert checked(sql) == sql


def test_the_parser_logs_nothing_of_a_query(caplog):
    """
    sqlglot warns of what it does not know by quoting it; nobody hears.
    """
    with caplog.at_level(logging.DEBUG):
        refusal("with x as (explain select 'ada@example.com') select 1")

    assert caplog.text == ""


PIECES = r"""select from where with as ( ) , ; . * 'a' "b" [ ] { } $ $1 :x @x % 1e9 0x e'\'' $$ f( case when end union
date_trunc( extract( cast( year interval :: -- /* */ # pivot( unnest( lateral for into \ é"""


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([*PIECES.split(), "\n", "\x01"]), max_size=14), st.sampled_from(DIALECTS))
def test_no_text_breaks_the_check(words, dialect):
    """
    Whatever stands there is a query that can be read, or a DefinitionError.
    """
    try:
        sql = checked(f"select {' '.join(words)}", dialect)
    except DefinitionError:
        return
    names = query.output_names(sql, dialect)

    assert sqlglot.parse(sql, dialect=dialect)
    assert names is None or all(names)


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("select a, t.b, c as d, 1 + 1 as e from t", ("a", "b", "d", "e")),
        ("with x as (select 1 as n) select n from x", ("n",)),
        ("select a from b union all select c from d", ("a",)),
        ("((select a from b) except (select c from d))", ("a",)),
        ('select A, "B" from t', ("A", "B")),
        ("select * from t", None),
        ("select t.*, a from t", None),
        ("from t", None),
        ("select a, count(*) from t", None),
        ("select columns('x') as a from t", None),
        ("select unnest(a) as b from t", None),
        ("select a from b union by name select c from d", None),
    ],
)
def test_the_names_that_a_query_returns(sql, names):
    """
    Known offline where each column has a name; otherwise the warehouse must be asked.
    """
    assert query.output_names(checked(sql), "duckdb") == names


def test_names_are_folded_where_the_engine_folds_them():
    """
    PostgreSQL and Snowflake change the case of a name without quotes, and only of that; BigQuery of none.
    """
    sql = 'select Mail, "Name" from t'

    assert query.output_names(sql, "postgres") == ("mail", "Name")
    assert query.output_names(sql, "snowflake") == ("mail", "Name")
    assert query.output_names("select as struct a from t", "bigquery") is None
