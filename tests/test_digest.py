"""The digest: how many entered and left each list, told once a moment of its line, whoever tells it."""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from alerted import Looks, Office, posting
from audiences import history, lease
from audiences.alerts.digest import Change, Digest, words
from audiences.alerts.post import Slack
from audiences.alerts.watch import Watch
from audiences.alerts.ways import digest
from audiences.cli.session import listed
from audiences.errors import Held
from audiences.history import COLUMNS
from audiences.settings import Settings
from audiences.warehouse import Warehouse
from prompt import Project, answering
from scheduled import ENOUGH, Clock, waits
from states import rows
from world import World

A, B, C, D = (1, "a@x", 1), (2, "b@x", 2), (3, "c@x", 3), (4, "d@x", 4)
LIST = "team → webhook (team)"
ELEVEN, NOON, ONE = (f"timestamp '2026-03-01 {hour}:00'" for hour in (11, 12, 13))
COUNTED = {  # outbox, verb and answer of a member's rows -> entered and left
    "1 add accepted": (1, 0),
    "1 add resolved: delivered": (1, 0),
    "1 add pending": (0, 0),
    "1 add unknown": (0, 0),
    "1 add resolved: not delivered": (0, 0),
    "1 add refused: no": (0, 0),
    "1 add accepted; 1 add accepted": (1, 0),
    "1 add unknown; 2 update accepted; 3 update accepted": (1, 0),
    "1 add unknown; 2 remove accepted; 3 add accepted": (1, 1),
    "1 add unknown; 2 remove accepted; 3 update accepted": (0, 1),
    "1 update accepted": (0, 0),
    "1 remove accepted": (0, 1),
    "1 remove pending": (0, 0),
    "1 remove refused: no": (0, 0),
    "1 move accepted; 1 release accepted": (0, 0),
}


class Desk(Office):
    """An office whose workers tell a digest half past each hour; held: looks at the warehouse that find it held."""

    def __init__(self, folder, clock, **lines):
        super().__init__(folder, clock, **lines)
        self.more["now"] = lambda: clock().replace(tzinfo=None)
        self.keeps, self.held = timedelta(days=90), 0

    @contextmanager
    def looks(self):
        with self.turns() as turns:
            self.began(turns)
            way = posting("slack", "https://hooks.example.com/1", Slack(), self.slack)
            told = Digest(
                turns.state, way, "30 * * * *", self.keeps, self.syncs, self.opened, listed, self.clock
            )  # fmt: skip
            yield Looks(self, turns, Watch(turns.state, [], lambda: None, lambda: self.seconds, told.tell))

    def syncs(self):
        return [sync for each in self.found.audiences for sync in each.syncs]

    def opened(self) -> Warehouse:
        if self.held:
            self.held -= 1
            raise Held("the warehouse is used by another process", do="wait")
        return Warehouse(self.url, "audience_sync")

    def hour(self, look, *people) -> list[str]:
        """Let an hour pass and a run find these people; what a look two minutes later adds to what was told."""
        self.clock.pass_(hours=1)
        self.people(*people)
        self.take(look.turns)
        self.clock.pass_(minutes=2)
        return told(look)


def told(look) -> list[str]:
    """The lines that one look adds, without title and moment."""
    before = len(look.office.slack.messages)
    look()
    return [line for text in look.office.slack.messages[before:] for line in text.splitlines()[1:-1]]


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path, Clock(f"{datetime.now(UTC):%Y-%m-%dT%H}:07"))


@pytest.fixture
def look(desk):
    with desk.looks() as look:
        look()
        yield look


def test_it_counts_who_entered_and_who_left(desk, look):
    """
    Additions and removals that were taken; no update, no new address, nobody refused, nobody who was never listed.
    """
    desk.receiver.rejects("c@x")
    first = desk.hour(look, A, B, C)
    changed = desk.hour(look, (1, "a@x", 9), (2, "new@x", 2), C)
    gone = desk.hour(look, (2, "new@x", 2), D)

    assert first == [f"{LIST}: 2 entered, 0 left, 2 listed", "without change: 0 of 1 lists"]
    assert changed == ["without change: 1 of 1 lists"]
    assert gone == [f"{LIST}: 1 entered, 1 left, 2 listed", "without change: 0 of 1 lists"]


def test_it_is_one_message_without_a_person(desk, look):
    """
    It says since when it counts, and names lists alone.
    """
    since = desk.clock()
    desk.hour(look, A, B)

    [text] = desk.slack.messages
    assert text.splitlines()[0] == "*audiences counts who entered and left*"
    assert text.splitlines()[-1] == f"since {since:%Y-%m-%d %H:%M} UTC"
    assert "@" not in text


def test_it_comes_at_its_moments(desk, look):
    """
    None before the first moment after the first look, and one a moment; of several that went by there is one.
    """
    desk.clock.pass_(minutes=22)
    early = told(look)
    desk.clock.pass_(minutes=1)
    first, again = told(look), told(look)
    desk.clock.pass_(hours=7)

    assert (early, first, again) == ([], ["without change: 1 of 1 lists"], [])
    assert len(told(look)) == 1


def test_a_restart_tells_nothing_twice(desk):
    """
    What was told is kept where every worker sees it, and what comes after it is counted from there.
    """
    with desk.looks() as look:
        look()
        desk.hour(look, A, B)
    with desk.looks() as look:
        again = told(look)

        assert again == []
        assert desk.hour(look, A)[0] == f"{LIST}: 0 entered, 1 left, 1 listed"


def test_two_workers_tell_it_once(desk):
    """
    While one worker is telling, another leaves it alone; after that there is nothing left to tell.
    """
    arrived, gate = threading.Event(), threading.Event()
    desk.slack.answer = lambda: waits(arrived, gate)
    with ExitStack() as stack:
        one, other = (stack.enter_context(desk.looks()) for _ in range(2))
        one()
        desk.clock.pass_(hours=1)
        one.watch.once()
        assert arrived.wait(ENOUGH)
        meanwhile = told(other)
        gate.set()
        one.watch.wait(ENOUGH)
        other()
        one()

        assert meanwhile == []
    assert len(desk.slack.messages) == 1


def test_whoever_was_quicker_is_seen_behind_the_lease(desk, look, monkeypatch):
    """
    A worker that found it due before another told it, and got the lease after, tells nothing.
    """
    taken = lease.take

    def later(*words):
        with monkeypatch.context() as patch, desk.looks() as other:
            patch.setattr(lease, "take", taken)
            other()
        return taken(*words)

    desk.clock.pass_(hours=1)
    monkeypatch.setattr(lease, "take", later)
    look()

    assert len(desk.slack.messages) == 1


def test_a_dead_slack_is_told_later(desk, look):
    """
    What Slack did not take is told a while later, once, with what has come since.
    """
    desk.slack.answer = lambda: httpx.Response(404)
    dead = desk.hour(look, A)
    desk.slack.answer = lambda: None
    soon = told(look)
    desk.seconds = 61.0

    assert (dead, soon) == ([], [])
    assert desk.hour(look, A, B)[0] == f"{LIST}: 2 entered, 0 left, 2 listed"
    assert told(look) == []


def test_a_warehouse_that_is_held_is_asked_at_the_next_look(desk, look):
    """
    Where another process has it, nothing is told and nothing lost.
    """
    desk.held = 1
    first = desk.hour(look, A)

    assert first == []
    assert told(look)[0] == f"{LIST}: 1 entered, 0 left, 1 listed"


def test_a_run_under_way_is_counted_once_it_is_written_down(desk, look):
    """
    A run writes its history at its end, as of its beginning: a digest in between leaves it to the next one.
    """

    def between(call):
        desk.receiver.before = lambda call: None
        rows(look.turns.state.url, f"update run set started = {desk.clock().timestamp()} where ended is null")
        desk.clock.pass_(minutes=10)
        seen.append(told(look))

    seen: list[list[str]] = []
    desk.receiver.before = between
    desk.clock.pass_(hours=1)
    desk.take(look.turns)

    assert seen == [["without change: 1 of 1 lists"]]
    assert desk.hour(look, (1, "a@x", 0))[0] == f"{LIST}: 1 entered, 0 left, 1 listed"


def test_it_counts_no_further_back_than_the_history(desk):
    """
    Somebody who sets it again after a year is not told of what the history has half forgotten.
    """
    desk.keeps = timedelta(days=3)
    with desk.looks() as look:
        look()
        desk.clock.pass_(hours=1)
        desk.take(look.turns)
        desk.clock.pass_(days=4)

        assert told(look) == ["without change: 1 of 1 lists"]


def test_the_largest_changes_are_named():
    """
    Up to fifty lists have a line each; the others are one sum.
    """
    changes = [Change(f"a{n:02} → crm (L)", n, 1000 * n, 5) for n in range(53)]
    lines = words(changes).splitlines()

    assert lines[0] == "a52 → crm (L): 52 entered, 52,000 left, 5 listed"
    assert lines[50:] == ["2 more: 3 entered, 3,000 left", "without change: 1 of 53 lists"]


def test_what_a_row_counts_for(tmp_path, engine):
    """
    A change counts once the destination has taken it, or someone has said so; a member who came twice counts once.
    """
    world = World(tmp_path, engine=engine)
    with Warehouse(world.url, "audience_sync") as warehouse:
        warehouse.prepare()
        warehouse.run(f"create table audience_sync.history_t ({COLUMNS})")

        assert {text: counted(warehouse, text) for text in COUNTED} == COUNTED
        assert history.moved(warehouse, "never_ran", ELEVEN, NOON) == (0, 0)


def counted(warehouse: Warehouse, text: str) -> tuple[int, int]:
    """What is counted of these rows of a history, all of noon; nothing of them in the hour after."""
    warehouse.run("delete from audience_sync.history_t")
    for row in text.split("; "):
        outbox, verb, answer = row.split(" ", 2)
        values = f"{outbox}, 0, 'k', '{verb}', null, {NOON}, '{answer}'"
        warehouse.run(f"insert into audience_sync.history_t values ({values})")
    assert history.moved(warehouse, "t", NOON, ONE) == (0, 0)
    return history.moved(warehouse, "t", ELEVEN, NOON)


@pytest.mark.parametrize(
    ("more", "line"),
    [({}, "@daily"), ({"alert_slack": None}, ""), ({"history_days": 0}, ""), ({"alert_digest": " "}, "")],
)
def test_it_needs_slack_and_a_history(more, line):
    """
    Without either, or without a line, there is none.
    """
    set_ = {"alert_slack": "https://hooks.example.com/1", "alert_digest": "@daily", **more}

    assert digest(Settings(**set_)) == line


@pytest.mark.parametrize("words", [("check",), ("serve", "--once")], ids=" ".join)
def test_a_line_that_is_none_is_a_mistake(tmp_path, words):
    """
    2: said by `check`, and before anything is run.
    """
    ended = Project(tmp_path).types(*words, AUDIENCES_ALERT_DIGEST="every day")

    assert ended.code == 2
    assert "AUDIENCES_ALERT_DIGEST is no schedule: it " in ended.err


def test_serve_tells_it_and_sync_does_not(tmp_path):
    """
    `serve --once` tells what is due, as `serve` does; `sync` never does.
    """
    project, came = Project(tmp_path), []
    project.people(A, B)
    project.types("serve", "--once")
    with answering(lambda told: (came.append(told["text"]), (200, {}))[1]) as found:
        where = {"AUDIENCES_ALERT_SLACK": found["WEBHOOK_URL"], "AUDIENCES_ALERT_DIGEST": "* * * * *"}
        project.types("serve", "--once", **where)
        project.types("sync", "--all", **where)
        rows(project.state_url, "update told set at = at - 600")
        project.sql('update audience_sync.history_team__file set "at" = "at" - interval \'5 minutes\'')
        project.types("sync", "--all", **where)
        before = list(came)
        project.types("serve", "--once", **where)

    assert before == []
    assert [text.splitlines()[1] for text in came] == ["team → file (L): 2 entered, 0 left, 2 listed"]
