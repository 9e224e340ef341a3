"""The history of a sync: what was sent to whom, by which run, and what the destination said; and nothing else."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

import jobs
from audiences import history, unknown
from audiences.batch import Verdict
from audiences.cli.forget import forget
from audiences.cli.session import taken
from audiences.compare import moment
from audiences.history import Story
from audiences.verdicts import Found
from engines import either, on
from prompt import Project
from states import rows
from test_unknown import repeats
from world import World

engine = either


ANNA, BEN, CLEO = (1, "anna@x", 7), (2, "ben@x", 8), (3, "cleo@x", 9)
DAY = timedelta(days=1)


@pytest.fixture
def world(tmp_path, engine):
    """Three people, one of whom the receiver refuses, after their first run."""
    world = World(tmp_path, engine=engine)
    world.small()
    world.people(ANNA, BEN, CLEO)
    world.receiver.rejects("cleo@x")
    world.sync()
    return world


def runs(world):
    """The runs that the state database knows, in order."""
    return [run for (run,) in rows(f"sqlite:///{world.state_file}", "select id from run order by started")]


def told(world, sync="team__webhook"):
    """The rows in the order in which they were sent: key, verb and answer."""
    return world.sql(f"select key, verb, answer from audience_sync.history_{sync} order by outbox, seq")


def test_each_row_that_was_sent_is_told(world):
    """
    Who was added, updated, moved, removed or let go, and what the destination said, its words without people.
    """
    world.receiver.rejects("anne@x")
    world.people((1, "anna@x", 70), (2, "benno@x", 8), (4, "anne@x", 1))
    world.sync(force=True)
    world.people((1, "anna@x", 70), (5, "dora@x", 1))
    world.sync(force=True)

    first, second, third = [("1", "add"), ("2", "add"), ("3", "add")], told(world)[3:8], told(world)[8:]
    assert [row[:2] for row in told(world)[:3]] == first
    assert [row[2] for row in told(world)[:3]] == ["accepted", "accepted", "refused: no such person"]
    assert second == [
        *(("3", "release", "accepted"), ("2", "move", "accepted"), ("1", "update", "accepted")),
        *(("2", "update", "accepted"), ("4", "add", "refused: no such person")),
    ]
    assert third == [("4", "release", "accepted"), ("5", "add", "accepted"), ("2", "remove", "accepted")]


def test_a_row_names_its_run_and_its_moment(world):
    """
    The run as `audiences history` names it, and when it was settled; of a person there is the key, and no field.
    """
    world.later(days=1)
    world.people(ANNA, (2, "benno@x", 8))
    world.sync(force=True)
    found = world.sql('select distinct outbox, run, "at" from audience_sync.history_team__webhook order by outbox')

    assert [row[1:] for row in found] == list(zip(runs(world), (world.moment - DAY, world.moment), strict=True))
    with world.worker() as worker:
        assert list(worker.warehouse.columns("history_team__webhook")) == [
            *("outbox", "seq", "key", "verb", "run", "at", "answer")
        ]


def test_what_waits_for_a_verdict_is_pending_and_then_judged(tmp_path, engine):
    """
    Taken in with a ticket is told as pending; once it is judged, its row says what the provider said, and when.
    """
    world = jobs.world(tmp_path, engine)
    world.people(ANNA, BEN, CLEO)
    world.receiver.fails = {"ben@x": "ben@x has no consent"}
    world.sync()
    before = told(world, "team__jobs")
    world.receiver.works()
    world.later(hours=1)
    world.sync()

    assert {answer for *_, answer in before} == {"pending"}
    assert told(world, "team__jobs") == [
        *(("1", "add", "accepted"), ("2", "add", "refused: … has no consent"), ("3", "add", "accepted"))
    ]
    assert world.sql('select distinct "at" from audience_sync.history_team__jobs') == [(world.moment,)]


def test_a_removal_that_comes_to_nothing_later_says_why(tmp_path):
    """
    A removal that its job rejects is told with the provider's words, though nobody is refused.
    """
    world = jobs.world(tmp_path)
    for people, fails in (([ANNA, BEN], ""), ([ANNA], "ben@x is locked")):
        world.people(*people)
        world.sync(force=True)
        world.receiver.works(fails)
    world.sync(force=True)

    assert told(world, "team__jobs")[2] == ("2", "remove", "refused: … is locked")


@on("duckdb")
def test_what_had_no_answer_is_unknown_until_someone_says(tmp_path, engine):
    """
    Sent without an answer is told as unknown; what someone found out stands there as such, of that row alone.
    """
    world = World(tmp_path, engine=engine)
    repeats(world, False)
    world.people(ANNA, BEN, CLEO)
    world.receiver.after = lambda told: httpx.Response(500)
    world.sync()
    before = told(world)
    resolved(world, 1, delivered=True)
    resolved(world, 2, delivered=False)

    assert [answer for *_, answer in before] == ["unknown"] * 3
    assert [answer for *_, answer in told(world)] == ["resolved: delivered", "resolved: not delivered", "unknown"]


def resolved(world, key, delivered):
    with world.worker() as worker:
        found = [doubt for doubt in unknown.doubts(worker.warehouse, "team__webhook") if doubt.key == str(key)]
        with taken(worker.warehouse, worker.state, "team.webhook", "team__webhook") as fence:
            unknown.resolve(fence, found, delivered, moment(world.moment))


@on("duckdb")
def test_a_doubt_of_before_is_told_as_no_other(tmp_path, engine):
    """
    Where a connector turns out not to repeat, older doubts have lost their places: what is said of one of them is
    written into no row of another member.
    """
    world = World(tmp_path, engine=engine)
    world.small(batch=2)
    world.people(ANNA, BEN, CLEO)
    world.receiver.after = lambda told: httpx.Response(500) if len(world.receiver.calls) > 1 else None
    world.sync()
    world.receiver.after = lambda told: None
    before = told(world)
    repeats(world, False)
    world.sync()
    resolved(world, 3, delivered=True)

    assert [answer for *_, answer in before] == ["accepted", "accepted", "unknown"]
    assert told(world) == before


@on("duckdb")
def test_told_twice_it_is_told_once(world):
    """
    Whatever became of a row, and however often it is written down, it is told once; a refusal without its words where
    the state database has lost them, and without a run.
    """
    with world.worker() as worker, taken(worker.warehouse, worker.state, "team.webhook", "team__webhook") as fence:
        name = worker.warehouse.table(f"outbox_team__webhook_{fence.epoch}")
        worker.warehouse.run(
            f"create table {name} as"
            " select n as seq, 'upsert' as verb, n + 10 as \"key\", n > 2 as had from range(7) t(n)"
        )
        fence.update("outbox = :outbox", outbox=fence.epoch)
        story = Story(fence, fence.epoch, None, moment(world.moment))
        by = {Verdict.OK: ((0, 0), (2, 2)), Verdict.REFUSED: ((1, 1), (6, 6)), Verdict.DOUBT: ((4, 4),)}
        for _ in range(2):
            story.write(Found(6, by | {Verdict.TICKET: ((3, 3),)}, {"job": [(3, 3)]}), lambda keys: {"14": "not now"})

    assert told(world)[3:] == [
        *(("10", "add", "accepted"), ("11", "add", "refused"), ("12", "add", "accepted"), ("13", "update", "pending")),
        *(("14", "update", "refused: not now"), ("15", "update", "unknown"), ("16", "update", "refused")),
    ]


def test_what_is_too_old_is_forgotten(world, monkeypatch):
    """
    Outboxes older than the history is to reach go, a piece a transaction, whether or not anything is sent; younger
    ones stay.
    """
    monkeypatch.setattr("audiences.ranges.ROWS", 2)
    world.receiver.rejects()
    world.people(ANNA, BEN, CLEO, (4, "dora@x", 1))
    kept = []
    for _ in range(2):
        world.later(days=2)
        world.sync(keeps=3 * DAY)
        kept.append(told(world))

    assert [len(each) for each in kept] == [5, 2]
    assert kept[1] == [("4", "add", "accepted"), ("3", "add", "accepted")]


@on("duckdb")
def test_a_signal_ends_the_forgetting(world, monkeypatch):
    """
    A worker that is told to stop finishes the piece that it is at; the next run goes on.
    """
    monkeypatch.setattr("audiences.ranges.ROWS", 1)
    asked = iter([False, True])
    with world.worker() as worker, taken(worker.warehouse, worker.state, "team.webhook", "team__webhook") as fence:
        history.prune(fence, "timestamp '2027-01-01'", lambda: next(asked))

    assert [key for key, *_ in told(world)] == ["2", "3"]


@on("duckdb")
def test_none_is_kept_where_none_is_wanted(world):
    """
    With no days to keep, what there is goes, and nothing is written any more.
    """
    world.people(ANNA)
    world.sync(keeps=timedelta(0), force=True)

    with world.worker() as worker:
        assert worker.warehouse.tables("history_") == []
        assert worker.warehouse.tables("ledger_") != []


@on("duckdb")
def test_a_renamed_sync_takes_its_history_along(world):
    """
    Under a new name the history goes on; forgetting the sync forgets it.
    """
    (world.folder / "audiences" / "team.sql").unlink()
    world.define('renamed_from = "team.webhook"', name="crew")
    world.people(ANNA)
    world.sync(force=True)
    after = told(world, "crew__webhook")
    with world.worker() as worker:
        forget(worker.warehouse, worker.state, "crew.webhook", "crew__webhook")

        assert after[3:] == [("3", "release", "accepted"), ("2", "remove", "accepted")]
        assert worker.warehouse.tables("history_") == []


@on("duckdb")
def test_an_outbox_that_was_left_open_is_told_by_the_next_run(world):
    """
    Killed before it is settled, a run's rows are told by the next one, with the run that sent them; each once.
    """
    world.people(ANNA, BEN, CLEO, (4, "dora@x", 1), (5, "emil@x", 1), (6, "fred@x", 1))
    world.killed_in_call(4)
    world.sync()
    found = world.sql("select key, answer, run from audience_sync.history_team__webhook order by outbox, seq")[3:]
    _, killed, last = runs(world)

    assert [row for row in found if row[2] == killed] == [
        *(("4", "accepted", killed), ("5", "accepted", killed), ("6", "unknown", killed))
    ]
    assert [row for row in found if row[2] == last] == [("6", "accepted", last)]


@pytest.mark.parametrize("words", [("sync", "--all"), ("serve", "--once")], ids=" ".join)
def test_how_far_it_reaches_is_a_setting(tmp_path, words):
    """
    AUDIENCES_HISTORY_DAYS is heard by `sync` and by `serve`; unset, there is a history.
    """
    project = Project(tmp_path)
    project.people(ANNA)
    project.types("serve", "--once")
    for days in ({}, {"AUDIENCES_HISTORY_DAYS": "0"}):
        rows(project.state_url, "update timetable set since = since - 100000")
        assert project.types(*words, **days).code == 0
        with project.engine.open(project.url) as connection:
            tables = [name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()]
        assert ("history_team__file" in tables) == (not days)
