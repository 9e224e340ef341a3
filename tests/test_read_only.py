"""A warehouse of which the worker only reads: whatever it has to remember is in a file of its own."""

from __future__ import annotations

import duckdb
import pytest
from sqlalchemy.engine import make_url

from audiences import settings
from audiences.errors import DefinitionError, Held
from audiences.settings import Settings
from audiences.warehouse import Warehouse, made, source, sources
from engines import Closed, DuckDB, Onlooker, PostgreSQL, ReadOnly
from prompt import Project
from scale import times
from test_convergence import Told, told
from world import HEADER, World

# What PostgreSQL has and DuckDB has in the same words; then what only one of them has.
BOTH = """
    null | 'text'::varchar | ''::varchar | '😀'::varchar | true | 7::smallint | 9223372036854775807::bigint
    0.1::float8 | date '2026-02-28' | timestamp '2026-02-28 23:59:59.5' | timestamptz '2026-02-28 23:59:59+05:30'
    time '12:30' | 'c0ffee00-0000-0000-0000-000000000000'::uuid | 1.50::numeric(10, 2)
    12345678901234567.5::numeric(20, 2) | '{"a": 1}'::json
    100::numeric(10, 0) | array[1, null, 3] | array['x', 'y'] | interval '90 minutes'
"""
ALONE = {
    "postgresql": "'infinity'::timestamp | '0044-03-15 BC'::date | 1::numeric / 3 | 'ab'::bytea | '10.0.0.1'::inet",
    "duckdb": "'ab'::blob | 18446744073709551615::ubigint | {'a': 1.5, 'b': [true]} | map {'k': 1}",
}
UNFIT = {
    "postgresql": "'NaN'::numeric | 'NaN'::float8 | '-infinity'::float8 | array['NaN'::float8]",
    "duckdb": "'nan'::double | 'inf'::float | ['nan'::double]",
}


def values(text):
    return [value.strip() for line in text.strip().splitlines() for value in line.split(" | ")]


@pytest.fixture(params=[Onlooker, Closed], ids=lambda kind: kind.name)
def world(request, tmp_path):
    databases = request.getfixturevalue("databases") if request.param is Onlooker else None
    return World(tmp_path, engine=ReadOnly(request.param(databases)))


@pytest.fixture
def onlooker(tmp_path, databases):
    """The same on PostgreSQL alone."""
    return World(tmp_path, engine=ReadOnly(Onlooker(databases)))


def asks(world, select):
    world.define(text=HEADER.replace("select id, email, nps from people", select))


def test_two_syncs_of_a_role_that_only_reads(world):
    """
    A first sync; then one with an addition, an update, a move and a removal. Nothing is made in the warehouse.
    """
    world.people((1, "a@x"), (2, "b@x"), (3, "c@x"), (4, "d@x"))
    first = world.sync()
    world.people((1, "a@x"), (2, "b@x", 7), (3, "new@x"), (5, "e@x"))
    second = world.sync(force=True)
    ours = "table_schema not in ('pg_catalog', 'information_schema')"

    assert (first.outcome, second.outcome) == ("delivered", "delivered")
    assert world.listed() == {"a@x": 0, "b@x": 7, "new@x": 0, "e@x": 0}
    assert (second.plan.added, second.plan.updated, second.plan.removed) == (1, 2, 1)
    assert world.sync().outcome == "unchanged"
    assert world.sql(f"select table_name from information_schema.tables where {ours}") == [("people",)]


@pytest.mark.parametrize("kind", [Onlooker, Closed], ids=lambda kind: kind.name)
@pytest.mark.no_cover
def test_any_history_ends_in_step(request, kind):
    """
    The histories of test_convergence, with the ledger apart: kills between any two of its statements, lost answers, a
    lost state.
    """
    server = request.getfixturevalue("postgres_server") if kind is Onlooker else None
    told(Told, ReadOnly(kind(server and server.database)), times(5, 2_000, 30))


def test_values_travel_as_from_a_warehouse_that_is_written(request, tmp_path, world):
    """
    What is sent of every type is the same in both modes, and nothing is sent again while it stays. An array is kept
    with the types of its values.
    """
    kind = world.engine.name.partition(",")[0]
    found = values(BOTH) + values(ALONE[kind])
    select = "select * from (" + " union all ".join(f"select {n} as id, 'p{n}@x' as email" for n in range(2)) + ") p"
    columns = ", ".join(f"{value} as v{n}" for n, value in enumerate(found))
    text = HEADER.replace('"nps"]', ", ".join(f'"v{n}"' for n in range(len(found))) + "]")
    text = text.replace("select id, email, nps from people", f"select *, {columns} from ({select}) q")
    (tmp_path / "written").mkdir()
    engine = DuckDB() if kind == "duckdb" else PostgreSQL(request.getfixturevalue("databases"))
    written = World(tmp_path / "written", engine=engine)
    for each in (world, written):
        each.define(text=text)
        assert each.sync().outcome == "delivered"
        assert each.sync().outcome == "unchanged"

    kinds = world.sql("select column_type from (describe audience_sync.ledger_team__webhook)")
    assert ("VARIANT",) in kinds
    assert ("VARIANT[]",) not in kinds
    assert len(world.receiver.sent("upsert")) == 2
    for here, there in zip(world.receiver.sent("upsert"), written.receiver.sent("upsert"), strict=True):
        assert [*here["fields"].items()] == [*there["fields"].items()]


def test_a_value_that_cannot_travel_spoils_only_its_member(world):
    """
    NaN and infinity, also inside of an array, are refused with their member, and named; the others are delivered.
    """
    unfit = values(UNFIT[world.engine.name.partition(",")[0]])
    columns = [f"case when n = {n} then {value} end as v{n}" for n, value in enumerate(unfit)]
    send = ", ".join(f'"v{n}"' for n in range(len(unfit)))
    everyone = " union all ".join(f"select {n} as n" for n in range(len(unfit) + 1))
    text = HEADER.replace('"nps"]', f"{send}]").replace("id, email, nps from people", "{row} from ({everyone}) p")
    row = f"n as id, concat('p', n, '@x') as email, {', '.join(columns)}"
    world.define(text=text.replace("{row}", row).replace("{everyone}", everyone))
    result = world.sync()

    assert (result.outcome, result.refused) == ("delivered", len(unfit))
    assert world.receiver.holds() == {f"p{len(unfit)}@x"}


def test_only_what_is_sent_leaves_the_warehouse(world):
    """
    A column that no sync sends is not even computed.
    """
    world.people((1, "a@x"))
    asks(world, "select id, email, nps, cast(email as integer) as never from people")

    assert world.sync().outcome == "delivered"


def test_a_stream_that_breaks_changes_nothing(onlooker, monkeypatch):
    """
    Rows that came before the source failed are no audience: nobody is sent, and nobody removed.
    """
    monkeypatch.setattr(source, "ROWS", 2)
    onlooker.people(*((n, f"p{n}@x") for n in range(1, 9)))
    onlooker.sync()
    asks(onlooker, "select id, email, 1 / (id - 8)::integer as nps from people")
    result = onlooker.sync(force=True)

    assert result.error.what.startswith("the warehouse fails with DivisionByZero")
    assert len(onlooker.receiver.calls) == 1
    assert len(onlooker.ledger()) == 8


def test_many_batches(onlooker, monkeypatch):
    """
    Each row arrives once, however the stream is cut.
    """
    monkeypatch.setattr(source, "ROWS", 3)
    onlooker.people(*((n, f"p{n}@x", n) for n in range(1, 11)))

    assert onlooker.sync().delivered == 10
    assert onlooker.listed() == {f"p{n}@x": n for n in range(1, 11)}


def test_the_transaction_only_reads(onlooker):
    """
    A function of the users' own that writes is stopped by the server.
    """
    onlooker.sql("create function counted() returns integer language sql as $$ delete from people returning 1 $$")
    onlooker.sql("grant delete on people to onlooker")
    onlooker.people((1, "a@x"))
    asks(onlooker, "select id, email, counted() as nps from people")

    assert "read-only" in onlooker.sync().error.what
    assert onlooker.sql("select count(*) from people") == [(1,)]


def test_a_right_that_is_missing_is_named(onlooker):
    """
    The grant that is missing is that of the table, and nothing is said of a schema of ours.
    """
    onlooker.sql("revoke select on people from onlooker")

    assert onlooker.sync().error.do == 'grant select on people to "onlooker"'


def test_no_connection_is_held_while_members_are_sent(onlooker):
    """
    The source is free while the provider is slow.
    """
    held = []
    onlooker.receiver.before = lambda told: held.append(
        onlooker.sql("select count(*) from pg_stat_activity where usename = 'onlooker'")
    )
    onlooker.people((1, "a@x"))
    onlooker.sync()

    assert held == [[(0,)]]


def test_two_syncs_share_one_evaluation(onlooker):
    """
    The source is asked once for all syncs of an audience.
    """
    onlooker.define('[sync.second]\nconnector = "webhook"\nlist = "M"\nsend = ["email"]')
    env = onlooker.folder / ".env"
    env.write_text(env.read_text() + env.read_text().replace("WEBHOOK_", "SECOND_"))
    onlooker.sql("create sequence asked", "grant usage on sequence asked to onlooker")
    onlooker.people((1, "a@x"), (2, "b@x"))
    streams = []
    with pytest.MonkeyPatch.context() as patch:
        streamed = source.Driven.batches
        patch.setattr(source.Driven, "batches", lambda *asked: streams.append(asked) or streamed(*asked))

        assert [result.outcome for result in onlooker.results()] == ["delivered", "delivered"]
    assert len(streams) == 1
    assert onlooker.receiver.holds("L") == onlooker.receiver.holds("M") == {"a@x", "b@x"}


@pytest.fixture
def typed(tmp_path):
    """A project at the prompt, with its warehouse only read."""
    project = Project(tmp_path)
    project.people((1, "a@x"), (2, "b@x"))
    project.apart()
    with (tmp_path / ".env").open("a") as env:
        env.write("AUDIENCES_LEDGER_URL=duckdb:///kept/ledger.duckdb\n")
    return project


def test_the_commands_find_their_ledger(typed):
    """
    To look makes no file; a sync makes one, for its owner alone. Every command works with it.
    """
    before = (typed.folder / "w.duckdb").read_bytes()
    ledger = typed.folder / "kept" / "ledger.duckdb"

    assert "2 added" in typed.types("plan").out
    assert typed.types("check", "--warehouse").out.startswith("team: id BIGINT, email VARCHAR, nps BIGINT\n")
    assert not ledger.parent.exists()
    assert typed.types("sync", "--all").code == 0
    assert (ledger.stat().st_mode & 0o777, ledger.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert typed.types("plan", "--exit-code").code == 0
    assert "2 listed" in typed.types("status").out
    assert "2 members now" in typed.types("show", "team").out
    assert "the query returns them" in typed.types("why", "1", "--audience", "team").out
    assert typed.types("forget", "team.file", "--yes").code == 0
    assert (typed.folder / "w.duckdb").read_bytes() == before


def test_a_ledger_that_is_held(typed):
    """
    One process at a time has the ledger; another one is told which file it is.
    """
    url = make_url(f"duckdb:///{typed.folder / 'ledger.duckdb'}")
    made(url)
    with (
        Warehouse(url, "audience_sync", sources.of(typed.url)) as warehouse,
        pytest.raises(Held, match="the ledger's file is held by another worker or command"),
    ):
        raise warehouse.words.shut(duckdb.IOException("IO Error: Could not set lock on file"))


@pytest.mark.parametrize(
    ("ledger", "state", "said"),
    [
        ("sqlite:///l.sqlite", "", "AUDIENCES_LEDGER_URL names no DuckDB file"),
        ("duckdb:///:memory:", "", "AUDIENCES_LEDGER_URL names no DuckDB file"),
        ("duckdb:///w.duckdb", "", "names the warehouse's own file"),
        ("duckdb:///l.duckdb", "postgresql://db.example.com/state", "keeps the ledger on the disk of one"),
    ],
)
def test_settings_that_do_not_go_together(tmp_path, ledger, state, said):
    """
    A ledger is a DuckDB file of its own, and one worker's alone.
    """
    found = Settings(warehouse_url="duckdb:///w.duckdb", ledger_url=ledger, state_url=state)
    url = settings.state_url if state else settings.ledger_url

    with pytest.raises(DefinitionError) as refused:
        url(found, tmp_path)
    assert said in refused.value.what
    assert "unset" in refused.value.do


def test_an_engine_without_a_source_is_refused():
    """
    What cannot be read says what can.
    """
    with pytest.raises(DefinitionError, match="'oracle' is not supported") as refused:
        sources.of(make_url("oracle://example.com/x"))
    assert "postgresql" in refused.value.do


@pytest.mark.parametrize(("more", "threads"), [("", 2), ("&memory_limit=1GB", 8)], ids=["by itself", "given more"])
def test_the_ledgers_engine_has_threads_for_its_memory(tmp_path, more, threads):
    """
    However many cores there are, it takes two, for each thread holds memory of its own; given more memory, all of them.
    """
    url = make_url(f"duckdb:///{tmp_path / 'ledger.duckdb'}")
    made(url)
    eight_cores = make_url(f"{url}?threads=8{more}")
    with Warehouse(eight_cores, "audience_sync", sources.of(url)) as ledger:
        assert ledger.run("select current_setting('threads')") == [(threads,)]
