"""A source that was not loaded of late stops its audience: nothing is sent, and the error says why and the way out."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from audiences import definition, fresh, span
from audiences.audience import Fresh
from audiences.errors import DefinitionError, StaleSource, WarehouseError
from engines import ENGINES, HOLDERS, started
from prompt import Project
from world import HEADER, World

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC).replace(tzinfo=None)
TIMES = {"mariadb": "datetime(6)"}  # its `timestamp` depends on the zone of whoever writes it
FRESH = '[fresh]\ntable = "loads"\ncolumn = "came"\nwithin = "2 hours"'


@pytest.fixture(params=[name for name in HOLDERS if name != "sqlite"])  # which has no times
def world(request, tmp_path):
    world = World(tmp_path, engine=started(request, request.param))
    world.sql(f"create table loads (came {TIMES.get(request.param, 'timestamp')})")
    world.sql(f"insert into loads values ('{NOON}')")
    world.define(FRESH)
    return world


def loaded(world, moment):
    world.sql(f"update loads set came = '{moment}'" if moment else "delete from loads")


def asked(world, kind, *values, within="2 hours"):
    """Why a source whose column has this type and these values is too old at noon; None where it is not."""
    kind = TIMES.get(world.engine.name, kind) if kind == "timestamp" else kind
    rows = ", ".join(f"({value})" for value in values)
    world.sql("drop table if exists s", f"create table s (came {kind})", f"insert into s values {rows}")
    with world.engine.warehouse(world.url) as warehouse:
        if world.engine.name in ENGINES:
            warehouse.run("set timezone = 'Asia/Kolkata'")  # of the session: it must not matter
        wanted = Fresh("s", "came", span.read(within))
        fresh.check(warehouse, wanted)
        try:
            found = fresh.look(warehouse, wanted, NOON).stale
        except StaleSource as error:
            found = error
        return found and found.what


def test_the_newest_row_decides(world):
    """
    A moment without a zone counts as UTC, and a date as its midnight; NULLs do not count.
    """
    assert asked(world, "timestamp", "'2026-03-01 10:00'", "'2020-01-01'", "null") is None
    assert "is 2026-03-01 09:59:59 UTC, 2 hours 1 second before" in asked(world, "timestamp", "'2026-03-01 09:59:59'")
    assert asked(world, "date", "'2026-03-01'", within="12 hours") is None
    assert "is 2026-02-28 00:00:00 UTC, 1 day 12 hours before" in asked(world, "date", "'2026-02-28'", within="1 day")


@pytest.mark.parametrize("world", list(ENGINES), indirect=True)
def test_a_moment_with_a_zone_is_the_moment_that_it_is(world):
    """
    Whatever the zone of the session.
    """
    zoned = "timestamp with time zone"

    assert asked(world, zoned, "'2026-03-01 15:30+05:30'") is None
    assert asked(world, zoned, "'2026-03-01 05:00-05'") is None
    assert "is 2026-03-01 09:30:00 UTC, 2 hours 30 minutes before" in asked(world, zoned, "'2026-03-01 15:00+05:30'")


def test_what_lies_ahead_is_not_fresh(world):
    """
    A row of the future would hide every load that does not come. A clock that is a little fast is no such row, nor is
    the date of a place where tomorrow has begun.
    """
    assert asked(world, "timestamp", "'2026-03-01 12:05'") is None
    assert asked(world, "date", "'2026-03-02'", within="12 hours") is None

    assert "2026-03-01 14:00:00 UTC, 2 hours after now" in asked(world, "timestamp", "'2026-03-01 14:00'")
    assert "1 day 12 hours after now" in asked(world, "date", "'2026-03-03'", within="1 day")


def test_what_has_no_time_is_not_fresh(world):
    """
    An empty source is stale, and a column that is no time is a mistake.
    """
    assert asked(world, "timestamp", "null") == (
        "the source is stale: no row of s has came; [fresh] wants one of the last 2 hours"
    )
    with pytest.raises(DefinitionError, match="which is no time\n  do: name a column of a type"):
        asked(world, "varchar", "'2026-03-01'")


@pytest.mark.parametrize("world", list(ENGINES), indirect=True)
def test_what_is_in_no_calendar_is_not_fresh(world):
    """
    A newest moment of infinity would hide every load that does not come.
    """
    forever = asked(world, "timestamp", "'infinity'")

    assert "after now" in forever or "is no time of the calendar" in forever


def test_a_stale_source_stops_the_run(world):
    """
    Nobody is added or removed, by force either; the run counts as stopped, and once the source is loaded it goes on.
    """
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()
    world.people((2, "b@x"), (3, "c@x"))
    loaded(world, NOON - timedelta(hours=3))

    [result] = world.results(force=True)

    assert (result.outcome, result.error.exit_code, world.receiver.holds()) == ("guarded", 3, {"a@x", "b@x"})
    assert str(result.error) == (
        "the source is stale: the newest came of loads is 2026-03-01 09:00:00 UTC, 3 hours before now,"
        " 2026-03-01 12:00:00 UTC; [fresh] allows 2 hours\n"
        "  do: load the source, and run it again; if it may be as old as that, raise within under [fresh]"
    )
    loaded(world, NOON)
    assert world.sync(force=True).outcome == "delivered"
    assert world.receiver.holds() == {"b@x", "c@x"}


@pytest.mark.parametrize("world", ["duckdb"], indirect=True)
def test_what_is_open_is_settled_all_the_same(world):
    """
    A stale source keeps nobody from knowing what became of the batches of a run that was cut off.
    """
    world.people(*((n, f"p{n}@x") for n in range(6)))
    world.small(batch=2)
    world.killed_in_call(2)
    loaded(world, None)

    assert world.sync().outcome == "guarded"
    assert world.sql("select outbox from audience_sync.control_team__webhook") == [(None,)]
    assert ("0", "p0@x", True) in {(str(key), ident, sure) for key, ident, sure in world.ledger()}


@pytest.mark.parametrize("world", ["duckdb"], indirect=True)
def test_a_source_that_cannot_be_asked_stops_the_run(world):
    """
    Without a table, or without its column, nobody knows how old the data are: nothing is sent.
    """
    world.people((1, "a@x"))
    world.define(FRESH.replace("loads", "nowhere"))

    result = world.sync()

    assert isinstance(result.error, WarehouseError)
    assert result.error.what.startswith("the source under [fresh] cannot be asked: ")
    assert not world.receiver.calls


@pytest.fixture
def project(tmp_path):
    project = Project(tmp_path)
    project.people((1, "a@x"))
    project.sql("create table loads (came timestamp)", "insert into loads values ('2020-01-01')")
    project.define(FRESH)
    return project


def test_a_plan_shows_how_new_the_source_is(project):
    """
    `plan` counts all the same, says how new the source is and that it would stop the sync; --force changes nothing.
    """
    stale, forced = project.types("plan", "--exit-code"), project.types("sync", "team", "--force")

    assert (stale.code, forced.code) == (3, 3)
    assert (
        "  + 1 added   ~ 0 updated   − 0 removed   of 0 listed\n  source: the newest came of loads is 2020-01-01"
        in (stale.out)
    )
    assert "  its guard would stop it: the source is stale: the newest came of loads is 2020" in stale.out
    assert "team.file is stopped by its guard: the source is stale: the newest came of loads is 2020" in forced.err

    loaded(project, datetime.now(UTC).replace(tzinfo=None))
    told = project.types("plan", "--json").told["syncs"][0]
    assert (told["guard"], told["source"]["table"], told["source"]["column"]) == (None, "loads", "came")
    assert told["source"]["newest"].endswith("Z")
    assert "\n  fresh: the newest came of loads must be of the last 2 hours\n" in project.types("show", "team").out


def test_check_asks_for_the_source(project):
    """
    `check --warehouse` finds a source that is not there, or whose column is no time, and reads no row of it.
    """
    assert project.types("check", "--warehouse").code == 0

    project.define(FRESH.replace('"came"', '"when_loaded"'))
    assert "the source under [fresh] cannot be asked: " in project.types("check", "--warehouse").err
    project.define(FRESH.replace("loads", "people").replace('"came"', '"email"'))
    assert "is of the type VARCHAR, which is no time" in project.types("check", "--warehouse").err


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"loads"', '"a, b"', "team.sql:11 fresh.table 'a, b' is no name here\n  do: write a table as SQL names it"),
        ('"loads"', "'\"a.csv\"'", 'team.sql:11 reads the file "a.csv"\n  do: load it'),
        ('"loads"', '"(select 1)"', "is no name here"),
        (
            '"came"',
            '"max(came)"',
            "team.sql:12 fresh.column 'max(came)' is no name here\n  do: write a column as SQL names",
        ),
        ('"2 hours"', '"2h"', "team.sql:13 fresh.within '2h' is no span of time\n  do: write a number and a unit"),
        ('"2 hours"', "2", "'2' is no span of time"),
        ('"2 hours"', '"0 hours"', "'0 hours' is no span of time"),
        ("column", "colum", "team.sql:12 has an unknown key: fresh.colum\n  do: did you mean column?"),
        ('within = "2 hours"', "", 'team.sql:10 lacks fresh.within\n  do: write within = "2 hours"'),
    ],
)
def test_a_mistake_under_fresh_is_told(tmp_path, old, new, said):
    """
    What is no table, no column or no span of time is refused where it is written; no query of its own gets in there.
    """
    lines = "".join(f"-- {line}\n" for line in FRESH.replace(old, new).splitlines())
    (tmp_path / "team.sql").write_text(HEADER.replace("{more}", lines))

    with pytest.raises(DefinitionError, match=re.escape(said)):
        definition.load(tmp_path / "team.sql", "duckdb")
