"""BigQuery where it holds our tables: Google's own client before a false one, whose rows come from DuckDB."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy.engine import make_url
from sqlglot import exp, parse_one

from audiences import outbox
from audiences.errors import DefinitionError, WarehouseError
from audiences.history import Story
from audiences.warehouse import Conflict
from audiences.warehouse.bigquery import BigQuery, _kind
from audiences.warehouse.dialects.bigquery import stepped
from audiences.warehouse.swapped import Swapped
from audiences.warehouse.words import Cancelled
from bigqueried import InProcess, WritableBigQuery, amiss, kept
from kept import *  # noqa: F403
from killed import *  # noqa: F403
from oracle import Case, Claim, Person, Refusal
from scale import times
from sourced import two_syncs
from test_changes import empty, planned
from test_composite_key import HUGE, TRUTH
from test_control import NOW, STEPS, begun, opened
from world import HEADER, World

WORDS = BigQuery(make_url("bigquery://shop/crm"), "audience_sync")
LATER = "timestamp '2026-03-01 12:00:00'"
HISTORIES = times(2, 1_000)
FURTHER = [(-1, HUGE[1] % 2**63), TRUTH]
PEOPLE = [Person(1, "a@x", 1), Person(1, "b@x", 1), Person(2, "c@x", None), Person(None, "d@x", 1)]
CLAIMS = [Claim(1, "a@x", "M", "a@x", 1, True, True), Claim(3, "c@x", "L", "c@x", 1, False, False)]
REFUSALS = [Refusal(2, "c@x", "L", "c@x", 1, True)]


@contextmanager
def falsely():
    """With the false one in place of Google."""
    with pytest.MonkeyPatch.context() as patch:
        for room in ("sources.bigquery", "bigquery"):
            patch.setattr(f"audiences.warehouse.{room}.BigQuerySource", InProcess)
        yield patch


@pytest.fixture(autouse=True)
def in_process():
    with falsely():
        yield


@pytest.fixture(scope="module")
def engine():
    with falsely():
        yield WritableBigQuery()


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """All that a few runs say, and each step of settling, as BigQuery is told it; each parsed in its own SQL."""
    told_, usual = set(), BigQuery.said
    with falsely() as patch:
        patch.setattr(
            BigQuery, "said", lambda self, statement: told_.update(usual(self, statement)) or usual(self, statement)
        )
        two_syncs(World(tmp_path_factory.mktemp("said"), engine=WritableBigQuery()))
        with fenced(empty) as fence:
            for mode, repeatable, mortal in (("mirror", True, True), ("mirror", False, False), ("add", True, False)):
                case = Case(PEOPLE, CLAIMS, REFUSALS, mode=mode, repeatable=repeatable, mortal=mortal)
                _, _, changes = planned(fence, case, "another" if mortal else None)
                outbox.outlive(fence, changes)
                planned(fence, replace(case, claims=[], refusals=[]), None)
        for step in STEPS.values():
            with fenced(under_way) as fence:
                step(fence)
        with fenced(under_way) as fence:
            patch.setattr(Swapped, "run", lambda self, statement: told_.update(stepped(statement)))
            Story(fence, 1, None, NOW).left(fence.warehouse.table("ledger_team__webhook"), "l.outbox < 1")
    return {statement: parse_one(statement, dialect="bigquery") for statement in told_}


@contextmanager
def fenced(made):
    engine = WritableBigQuery()
    with engine.warehouse(engine.alone()) as warehouse:
        yield made(warehouse)


def under_way(warehouse):
    warehouse.run("create table people (id bigint, email varchar)")
    begun(warehouse)
    return opened(warehouse)


def test_nothing_is_said_that_bigquery_is_known_to_refuse(said):
    """
    No test of existence that no join can stand for, no outer join without an equation, no change without a WHERE, no
    WHERE without a FROM.
    """
    assert len(said) > 200
    assert {sql: amiss(tree, "any") for sql, tree in said.items() if amiss(tree, "any")} == {}


@pytest.mark.parametrize(
    "statement",
    [
        "select exists (select 1 from b where b.k = a.k) from a",
        "select 1 from a where a.n = 1 or exists (select 1 from b where b.k = a.k)",
        "select 1 from a where not exists (select 1 from b where b.k > a.k)",
        "select 1 from a full join b on a.k = 1",
        "select 1 from a left join b on a.k < b.k",
        "select 1 where true",
        "update a set k = 1",
        "delete from a",
        "select 1 from _SESSION.a",
    ],
)
def test_what_the_rules_find(statement):
    """
    Each rule above finds what it is there for.
    """
    assert amiss(parse_one(statement, dialect="bigquery"), "") != ""


def test_no_name_is_a_word_of_the_language(said):
    """
    Each name is quoted, but that of the session, which has to be read as one.
    """
    names = [(name.name, name.quoted) for tree in said.values() for name in tree.find_all(exp.Identifier)]

    assert {name for name, quoted in names if not quoted} == {"_SESSION"}


def test_no_column_is_called_as_a_table_beside_it(said):
    """
    Which alone would be all of that table's row.
    """
    alone = [column for tree in said.values() for column in tree.find_all(exp.Column) if not column.table]
    beside = [(column, column.find_ancestor(exp.Select)) for column in alone]

    assert len(alone) > 500
    assert not [column.name for column, select in beside if select and column.name in tables_of(select)]


def tables_of(select):
    parts = [select.args["from_"].this] if select.args.get("from_") else []
    return {part.alias_or_name for part in (*parts, *(join.this for join in select.args.get("joins") or ()))}


def test_each_part_of_a_with_is_a_table_of_the_session(said):
    """
    Where it would be evaluated wherever it is mentioned; and no table that is made has a column of NULL alone, which
    would be one of whole numbers, or without a name.
    """
    made = [tree for tree in said.values() if isinstance(tree, exp.Create) and tree.expression]
    columns = [column for tree in made for column in tree.expression.selects]

    assert not [tree for tree in said.values() if tree.find(exp.With)]
    assert len(made) > 50
    assert not [column for column in columns if not column.is_star and not column.alias_or_name]
    selects = [tree.expression for tree in made if isinstance(tree.expression, exp.Select)]
    assert not [column for each in selects for column in each.selects if isinstance(column.unalias(), exp.Null)]


def test_no_order_is_paid_for_where_a_table_is_made(said):
    """
    A table has none; what is read by ranges is kept together.
    """
    made = {sql: tree for sql, tree in said.items() if isinstance(tree, exp.Create)}

    assert not [sql for sql, tree in made.items() if tree.expression and tree.expression.args.get("order")]
    outboxes = [sql for sql in made if "`.`outbox_" in sql[:60]]
    assert outboxes
    assert all("` CLUSTER BY `seq` AS SELECT" in sql for sql in outboxes)
    assert any(re.search(r"`history_\w+` \(.*\) CLUSTER BY `outbox`$", sql) for sql in made)


@pytest.mark.parametrize(
    "statement",
    [
        "select k, exists (select 1 from b where b.k = a.k) as e, not exists (select 1 from c where c.k = a.k) as f"
        " from a order by n",
        "select distinct k, (exists (select 1 from b where b.k = a.k) or exists (select 1 from c where c.k = a.k)) as e"
        " from a where n < 4",
        "select a.* from a where not ((a.n > 1 and exists (select 1 from b where b.k = a.k and a.n < 4)) is true)",
        "select k from a where n > 9 or exists (select 1 from b where a.n is null and b.k = a.k)",
        "select k, n from a where not exists (select 1 from (values (1, 2), (3, 3)) as v(lo, hi)"
        " where a.k >= v.lo and a.n between v.lo and v.hi)",
    ],
)
def test_a_join_asks_as_the_test_did(fence, statement):
    """
    Also of NULL, of a row that is there twice, and where a condition is of the outer row alone.
    """
    duck = kept().engine.cursor()
    duck.execute("create temp table a as select * from (values (1, 4), (2, 3), (2, 2), (3, 1), (null, 5)) v(k, n)")
    duck.execute("create temp table b as select * from (values (1), (1), (3), (null)) v(k)")
    duck.execute("create temp table c as select 3 as k")
    [asked] = stepped(statement)
    rows = duck.execute(statement).fetchall()

    assert amiss(parse_one(statement, dialect="duckdb"), "") != ""
    assert amiss(parse_one(asked, dialect="bigquery"), "") == ""
    found = duck.execute(parse_one(asked, dialect="bigquery").sql(dialect="duckdb")).fetchall()
    assert sorted(found, key=str) == sorted(rows, key=str)


@pytest.mark.parametrize(
    ("statement", "asked"),
    [
        ("select split_part(a, '@', 2)", "IF((`a`) IS NULL, NULL, COALESCE(SPLIT(`a`, '@')[SAFE_ORDINAL(2)], ''))"),
        ("select translate(a, '--.-', '')", "TRANSLATE(`a`, '-.', '')"),
        ("select to_json(a)", "IF((`a`) IS NULL, NULL, TO_JSON_STRING(`a`))"),
        ("select a is not true", "NOT `a` IS TRUE"),
        ("select 'it''s a \\'", r"'it\'s a \\'"),
        ("select 1 union select 2", "UNION DISTINCT"),
        ("update s.project set layout = 2", "WHERE TRUE"),
        ('alter table "s"."t" rename to "u"', "ALTER TABLE `s`.`t` RENAME TO `u`"),
        (f"select {WORDS.later(LATER, '(f.n + 1)')} from f", "INTERVAL CAST((`f`.`n` + 1) AS INT64) HOUR)"),
    ],
)
def test_what_other_engines_say_otherwise(statement, asked):
    """
    A part that there is not is empty, no character is named twice, NULL is no JSON, what is not known is not true.
    """
    assert asked in " ".join(stepped(statement))


def test_what_travels(world, engine):
    """
    Values of each type that our tables keep come and go unchanged; what has no zone has none, what has one is in UTC.
    """
    values = {
        "cast(1.5 as decimal(18, 3))": 1.5,
        "date '2026-02-28'": "2026-02-28",
        "time '12:30:00'": "12:30:00",
        "timestamp '2026-02-28 23:59:59.5'": "2026-02-28T23:59:59.500000",
        "timestamptz '2026-02-28 23:59:59+05:30'": "2026-02-28T18:29:59+00:00",
        "cast('\\x00\\xff' as blob)": "AP8=",
        "'it''s \\ \"x\" \u2028 %'": 'it\'s \\ "x" \u2028 %',
        "true": True,
        "cast(0.1 as double)": 0.1,
        "cast(null as varchar)": None,
    }
    names = [f"v{n}" for n in range(len(values))]
    picked = ", ".join(f"{value} as {name}" for name, value in zip(names, values, strict=True))
    with engine.open(world.url) as connection:
        connection.execute(f"create table many as select 1 as id, 'p@x' as email, {picked}")
    text = HEADER.replace(', "nps"]', "".join(f', "{name}"' for name in names) + "]")
    world.define(
        text=text.replace("select id, email, nps from people", f"select id, email, {', '.join(names)} from many")
    )

    assert str(world.sync().error) == "None"
    fields = world.receiver.sent("upsert")[0]["fields"]
    assert [fields[name] for name in names] == [*values.values()]
    assert world.sync().outcome == "unchanged"


def jobs_of(run):
    before = len(kept().jobs)
    found = run()
    return found, kept().jobs[before:]


def test_a_session_begins_with_a_temporary_table_and_ends_with_the_connection(engine):
    """
    Only what speaks of its tables is of it: a command that makes none has no session. None is left over.
    """
    url = engine.alone()
    with engine.warehouse(url) as warehouse:
        _, jobs = jobs_of(lambda: warehouse.run("create table people (id bigint)"))
        assert not [job for job in jobs if "createSession" in job["query"]]
        warehouse.land('"staged_1"', "select id from people -- all", {"id": "BIGINT"})
        _, jobs = jobs_of(lambda: warehouse.run('select count(*) from "staged_1"'))
        assert [each["key"] for each in jobs[0]["query"]["connectionProperties"]] == ["session_id"]
        assert len(kept().sessions) > 0
        _, jobs = jobs_of(lambda: warehouse.run("select 1 from people"))
        assert "connectionProperties" not in jobs[0]["query"]
        open_ = len(kept().sessions)
        _, jobs = jobs_of(warehouse.close)

    assert [job["query"]["query"] for job in jobs] == ["CALL BQ.ABORT_SESSION()"]
    assert len(kept().sessions) == open_ - 1


def test_each_job_is_asked_anew_where_the_data_are_and_says_whose_it_is(world):
    """
    No cached result: a worker must read what another has written. The labels find its cost; the URL's dataset is that
    of the audience.
    """
    world.people((1, "a@x"))
    _, jobs = jobs_of(lambda: world.sync(commit="0123abcd"))
    labels = [job["labels"] for job in jobs]

    assert len(jobs) > 50
    assert {job["query"]["useQueryCache"] for job in jobs} == {False}
    assert {job["query"]["defaultDataset"]["datasetId"] for job in jobs} == {world.url.database}
    assert {each["tool"] for each in labels} == {"audiences"}
    ours = [each for each in labels if each.get("sync") == "webhook"]
    assert len(ours) > 40
    assert {(each["audience"], each["commit"]) for each in ours} == {("team", "0123abcd")}
    assert len({each["run"] for each in ours}) == 1


def test_a_query_is_held_to_its_bytes_and_all_to_their_time(world):
    """
    `bytes` is a limit of the job that writes the audience down, and not of what is compared with it; `timeout` of each.
    """
    world.people((1, "a@x"))
    world.define(text=HEADER.replace("{more}", '--\n-- [limits]\n-- bytes = 100\n-- timeout = "1 minute"\n'))
    _, jobs = jobs_of(world.sync)
    limited = [job["query"] for job in jobs if "maximumBytesBilled" in job["query"]]
    world.define(text=HEADER.replace("{more}", "--\n-- [limits]\n-- bytes = 99\n"))
    over = world.sync()

    assert ["staged_" in query["query"] for query in limited] == [True]
    assert sum(job.get("jobTimeoutMs") == "60000" for job in jobs) > 5
    assert "reads more than the bytes that [limits] allows; it did not run" in str(over.error)
    assert world.listed() == {"a@x": 0}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"location": "US"}, "is in US, and that of the audiences in EU"),
        ({"defaultTableExpirationMs": "3600000"}, "whoever was listed would be forgotten"),
        ({"defaultCollation": "und:ci"}, "has the collation und:ci"),
    ],
)
def test_a_dataset_that_will_not_do(engine, more, said):
    """
    Whose tables no query reads beside the audience's, whose tables go by themselves, or compare text in their own way.
    """
    url = engine.alone()
    kept().make(f"{url.database}_sync", **more)

    with pytest.raises(WarehouseError) as refused:
        engine.warehouse(url)
    assert said in str(refused.value)


def test_a_dataset_that_is_missing(engine):
    """
    Is made by someone who says where: the statement is told.
    """
    with pytest.raises(WarehouseError, match=r"create schema `nowhere_sync` options \(location = 'EU'\)"):
        engine.warehouse(make_url(engine.nowhere))


def test_our_jobs_run_where_the_datasets_are(engine):
    """
    A job that names no table, as the one that begins a session, would run in the US.
    """
    with engine.warehouse(engine.alone()) as warehouse:
        driver = warehouse.connection.connection.driver_connection
        job = driver.begun("select 1")

    assert job.location == "EU"


class Said(Exception):
    """An error as the client raises it."""

    def __init__(self, reason, words="the words"):
        super().__init__(f"404 GET https://bigquery.googleapis.com: {words}")
        self.errors = [{"reason": reason, "message": words}]


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (Said("notFound", "Not found: Table shop:audience_sync.v1_2_0_ledger_a was not found"), Conflict),
        (Said("duplicate", "Already Exists: Table shop:audience_sync.v1_2_0_ledger_a"), Conflict),
        (Said("notFound", "Not found: Table shop:crm.people was not found"), WarehouseError),
        (Said("notFound", "Not found: Dataset shop:audience_sync was not found"), WarehouseError),
        (Said("stopped"), Cancelled),
        (Said("invalidQuery"), WarehouseError),
    ],
)
def test_an_error_is_known_by_its_reason(error, meant):
    """
    One of our tables that is there already, or gone, is another worker; what took too long is none.
    """
    assert type(WORDS.refusal(error)) is meant


def test_what_is_said_of_a_right_and_of_a_wire():
    """
    The statement that gives the right is named; who cannot be reached is said to be so.
    """
    from audiences.warehouse.bigqueried import Unreached

    assert "grant `roles/bigquery.dataEditor` on schema `audience_sync`" in WORDS.refusal(Said("accessDenied")).do
    assert "cannot be reached: no route" in str(WORDS.refusal(Unreached("no route")))


def test_what_a_query_fails_with(world):
    """
    What a dry run says names tables and columns, and is shown; what fails as it runs may quote a row.
    """
    world.people((1, "ada@example.com"))
    world.define(text=HEADER.replace("from people", "from peeple"))
    assert "refuses a statement: Not found" in str(world.sync().error)

    world.define(text=HEADER.replace("select id, email, nps", "select id, email, cast(email as int64) as nps"))
    assert "fails with invalidQuery" in str(told := world.sync().error)
    assert "ada" not in str(told)


@pytest.mark.parametrize(
    ("type_", "mode", "kind"),
    [
        ("INTEGER", "NULLABLE", "BIGINT"),
        ("FLOAT64", "REQUIRED", "DOUBLE"),
        ("STRING", "NULLABLE", "VARCHAR"),
        ("DATETIME", "NULLABLE", "TIMESTAMP"),
        ("TIMESTAMP", "NULLABLE", "TIMESTAMPTZ"),
        ("BYTES", "NULLABLE", "BLOB"),
        ("NUMERIC", "NULLABLE", "DECIMAL(38,9)"),
        ("BIGNUMERIC", "NULLABLE", "BIGDECIMAL"),
        ("STRING", "REPEATED", "ARRAY"),
        ("RECORD", "NULLABLE", "RECORD"),
    ],
)
def test_a_type_is_called_as_our_statements_call_it(type_, mode, kind):
    """
    So that a table of ours, asked for its columns, has the types that it was made with.
    """
    assert _kind(SimpleNamespace(field_type=type_, mode=mode)) == kind


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("ARRAY", "to_json_string(x) as x"),
        ("RECORD", "to_json_string(x) as x"),
        ("JSON", "to_json_string(x) as x"),
        ("GEOGRAPHY", "st_astext(x) as x"),
        ("RANGE", "cast(x as string) as x"),
        ("INTERVAL", "cast(x as string) as x"),
    ],
)
def test_a_type_that_cannot_be_compared(kind, said):
    """
    Is refused by the name of its column, with what makes text of it.
    """
    with pytest.raises(DefinitionError) as refused:
        WORDS.landed('"staged_1"', "select 1", {"x": kind})
    assert said in str(refused.value)


def test_an_audience_lands_as_it_is():
    """
    In a temporary table, its text without the collation of its column, and nothing of it is translated.
    """
    types = {"id": "BIGINT", "e`mail": "VARCHAR", "at": "TIMESTAMP", "n": "DECIMAL(38,9)", "m": "BIGDECIMAL"}
    [made] = WORDS.landed('"staged_1"', "select 1 -- all", types)

    assert made == (
        "CREATE OR REPLACE TEMP TABLE _SESSION.`staged_1` AS SELECT CAST(`q`.`id` AS INT64) AS `id`,"
        " COLLATE(CAST(`q`.`e\\`mail` AS STRING), '') AS `e\\`mail`, CAST(`q`.`at` AS DATETIME) AS `at`,"
        " CAST(`q`.`n` AS NUMERIC) AS `n`, CAST(`q`.`m` AS BIGNUMERIC) AS `m` FROM (\nselect 1 -- all\n) AS q"
    )


def test_a_column_of_another_type():
    """
    Its values go by way of text, of which each cast is tried.
    """
    fitted = WORDS.fitted('"sent_nps"', "BIGINT")

    assert stepped(f'select {fitted} as "x" from "s"."t"') == [
        "SELECT SAFE_CAST(SAFE_CAST(`sent_nps` AS STRING) AS INT64) AS `x` FROM `s`.`t`"
    ]


def test_how_long_is_given_to_each_job(engine):
    """
    And no longer than the block lasts.
    """
    with engine.warehouse(engine.alone()) as warehouse:
        with warehouse.bounded(timedelta(milliseconds=1500)):
            _, [timed] = jobs_of(lambda: warehouse.run("select 1"))
        _, [after] = jobs_of(lambda: warehouse.run("select 1"))

    assert (timed["jobTimeoutMs"], "jobTimeoutMs" in after) == ("1500", False)
