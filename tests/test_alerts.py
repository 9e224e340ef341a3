"""Alerts: one notice a change of state, whoever looks, however often; and never in the way of the work."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from datetime import UTC, datetime

import httpx
import pytest

from alerted import DOWN, Office
from audiences import lease
from audiences.errors import UnsafePlan
from scheduled import ENOUGH, Clock, waits
from states import rows

FULL = "team.webhook failed"
WELL = "team.webhook is well again"
LATE = "team.webhook is late"


@pytest.fixture
def office(tmp_path):
    return Office(tmp_path, Clock(f"{datetime.now(UTC):%Y-%m-%dT%H}:07"))


@pytest.fixture
def look(office):
    with office.looks() as look:
        yield look


def test_ten_failing_runs_are_one_notice_and_so_is_their_end(office, look):
    """
    However often it fails it is told once, and so is that it is well again.
    """
    for _ in range(10):
        look.ran("failed", DOWN)
        look()
    for _ in range(3):
        look.ran("delivered")
        look()

    assert look() == [FULL, WELL]
    assert office.hook.messages == [FULL, "team.webhook well"]


def test_a_notice_says_why_and_whose_it_is(office, look):
    """
    Of a real run that fails: the reason and remedy as the command line says them, purpose, owner, and since when.
    """
    office.sql("drop table people")
    office.clock.pass_(hours=1)
    [failed] = office.take(look.turns)
    look()
    office.sql("create table people (id bigint, email varchar, nps integer)")
    office.clock.pass_(hours=1)
    office.take(look.turns)

    assert look() == [FULL, WELL]
    title, what, do, whose = office.slack.messages[0].splitlines()
    assert (title, what, do) == (f"*{FULL}*", failed.error.what, f"do: {failed.error.do}")
    assert whose.startswith("A test; owner tests@example.com; since 20")
    assert "ended well: unchanged" in office.slack.messages[1]


def test_no_member_is_in_a_notice(office, look):
    """
    Of a provider that turns everybody away, and quotes them, its words are told without them.
    """
    office.people(*((number, f"p{number}@x.example.com") for number in range(12)))
    office.receiver.before = lambda told: httpx.Response(422, text="p7@x.example.com is not wanted")
    office.clock.pass_(hours=1)
    office.take(look.turns)

    assert look() == [FULL]
    assert "… is not wanted" in office.slack.messages[0]
    assert "x.example.com" not in office.slack.messages[0]


def test_a_guard_is_told_with_its_way_out(look):
    """
    What a guard stopped is told with both numbers and the command that looks; another trouble after it is told, too.
    """
    plan = UnsafePlan("team would remove 9 of 20 members (45%)", do="look: audiences plan team.webhook")
    look.ran("guarded", plan)
    look()
    look.ran("failed", DOWN)

    assert look() == ["team.webhook is stopped by its guard", FULL]
    assert "(45%)\ndo: look: audiences plan team.webhook\n" in look.office.slack.messages[0]


@pytest.mark.parametrize("word", ["deferred", "stopped"])
def test_what_is_put_off_neither_raises_nor_clears(look, word):
    """
    A run that was put off says nothing of how a sync stands.
    """
    look.ran(word, DOWN)
    before = look()
    look.ran("failed", DOWN)
    look.ran(word, DOWN)

    assert (before, look()) == ([], [FULL])


def test_refusals_above_a_share_are_told(look):
    """
    More than the share refused is told once and so is when it is less again; a list below the guard's floor is too
    small for shares.
    """
    look.ran("delivered", size=4, refused=5)
    small = look()
    look.ran("delivered", size=95, refused=5)
    at_the_share = look()
    look.ran("delivered", size=94, refused=6)
    look()
    look.ran("delivered", size=90, refused=10)
    look()
    look.ran("delivered", size=99, refused=1)

    assert small == at_the_share == []
    assert look() == ["team.webhook has too many members refused", WELL]
    assert (
        "6 refused beside 94 listed (6%); told above 5%\ndo: look: audiences refused team.webhook"
        in (look.office.slack.messages[0])
    )


def test_a_run_that_does_not_come_is_told(office, look):
    """
    An hour after a moment of its line without a good run a sync is late, once; the next good run ends that.
    """
    look.ran("delivered")
    office.clock.pass_(minutes=110)
    soon = look()
    office.clock.pass_(minutes=5)
    look()
    office.clock.pass_(days=1)
    late = look()
    look.ran("unchanged")

    assert (soon, late) == ([], [LATE])
    assert look() == [LATE, WELL]
    assert "no run has ended well since " in office.slack.messages[0]


def test_a_sync_that_never_ran_is_late_too(office, look):
    """
    A first run that does not come is told as any other.
    """
    office.clock.pass_(minutes=110)
    soon = look()
    office.clock.pass_(minutes=5)

    assert (soon, look()) == ([], [LATE])
    assert "no run has ended well yet" in office.slack.messages[0]


def test_a_sync_that_is_put_off_for_ever_is_late(office, look):
    """
    Runs that are deferred each time have had their turn, and yet the list is not kept in step: that is told.
    """
    look.ran("delivered")
    found = []
    for _ in range(3):
        office.clock.pass_(hours=1)
        look.ran("deferred", DOWN)
        found.append(look())

    assert found == [[], [LATE], [LATE]]


def test_what_came_due_during_a_long_run_is_due_at_its_end(office, look):
    """
    A run that took longer than its period has not made the next one late.
    """
    look.ran("delivered", minutes=150)
    at_its_end = look()
    office.clock.pass_(minutes=59)
    soon = look()
    office.clock.pass_(minutes=2)

    assert (at_its_end, soon, look()) == ([], [], [LATE])


def test_a_failure_is_not_told_as_late_besides(office, look):
    """
    One trouble is one notice: what failed is not late as well, however long it lasts.
    """
    look.ran("failed", DOWN)
    look()
    office.clock.pass_(days=7)

    assert look() == [FULL]


@pytest.mark.parametrize("asleep", ["paused = true", "gone"])
def test_a_sync_that_slept_is_not_late(office, look, asleep):
    """
    A sync that was paused for a month, or is new in an old audience, is not late before it had its chance.
    """
    look.ran("delivered")
    section = "[sync.file]\nlist = 'x'\nsend = ['email']\n"
    office.line("team", "@hourly", "" if asleep == "gone" else section + asleep)
    office.began(look.turns)
    for _ in range(3):
        office.clock.pass_(days=10)
        look.ran("delivered")
    office.line("team", "@hourly", section)
    office.began(look.turns)
    awake = look()
    look.ran("deferred", DOWN, "team.file")
    office.clock.pass_(minutes=10)

    assert awake == look() == []


def test_a_sync_that_is_paused_is_watched_no_more(office, look):
    """
    Whoever pauses what fails, or takes its file away, is told that this is over; back and well, it says nothing.
    """
    look.ran("failed", DOWN)
    look()
    office.line("team", "@hourly", paused=True)
    office.began(look.turns)
    look()
    office.line("team", "@hourly")
    office.began(look.turns)
    look.ran("delivered")

    assert look() == [FULL, "team.webhook is watched no more"]


def test_a_broken_file_is_told_and_leaves_open_what_it_hides(office, look):
    """
    A file that cannot be read is told with place and remedy; what was told of its syncs stands until it can be read.
    """
    look.ran("failed", DOWN)
    look()
    file = office.folder / "audiences" / "team.sql"
    text = file.read_text()
    file.write_text("select 1")
    office.found = office.read()
    look()
    broken = look()
    file.write_text(text)
    office.found = office.read()

    assert broken == [FULL, "team cannot be read"]
    assert "team.sql:1 has no header" in office.slack.messages[1]
    assert look() == [*broken, "team is well again"]


def test_an_orphan_is_told_until_it_is_gone(office, look):
    """
    A list that no file keeps in step any more is told with its ways out; where nobody has looked, nothing is said.
    """
    office.orphans = {"old.webhook": "old.webhook lists 3 members\n  do: audiences forget old.webhook"}
    look()
    office.orphans = None
    unseen = look()
    office.orphans = {}

    assert unseen == ["old.webhook has no file any more"]
    assert look() == [*unseen, "old.webhook is watched no more"]
    assert "lists 3 members\ndo: audiences forget old.webhook" in office.slack.messages[0]


def test_a_restart_tells_nothing_anew(office):
    """
    What was told is kept where every worker sees it: a new one has nothing to add.
    """
    with office.looks() as look:
        look.ran("failed", DOWN)
        look()
    with office.looks() as look:
        again = look()
        look.ran("delivered")

        assert (again, look()) == ([FULL], [FULL, WELL])


def test_a_worker_that_ends_has_told_its_last_minute(office, look):
    """
    Between two looks nothing is lost: there is one more at the end.
    """
    with look.watch.kept():
        look.ran("failed", DOWN)

    assert office.slack.titles == [FULL]


def test_two_workers_tell_it_once(office):
    """
    While one worker is telling, another that sees the same leaves it alone; after that there is nothing left to tell.
    """
    arrived, gate = threading.Event(), threading.Event()
    office.slack.answer = lambda: waits(arrived, gate)
    with ExitStack() as stack:
        one, other = (stack.enter_context(office.looks()) for _ in range(2))
        one.ran("failed", DOWN)
        one.watch.once()
        assert arrived.wait(ENOUGH)
        meanwhile = other()
        gate.set()
        one.watch.wait(ENOUGH)

        assert (meanwhile, other(), one()) == ([], [FULL], [FULL])
    assert office.hook.messages == [FULL]


def test_whoever_was_quicker_is_seen_behind_the_lease(office, monkeypatch):
    """
    A worker that looked before another had told, and got the lease after, tells nothing a second time.
    """
    taken = lease.take

    def later(*words):
        with monkeypatch.context() as patch, office.looks() as other:
            patch.setattr(lease, "take", taken)
            other()
        return taken(*words)

    with office.looks() as look:
        look.ran("failed", DOWN)
        look.watch.ways = look.watch.ways[:1]
        monkeypatch.setattr(lease, "take", later)

        assert look() == [FULL]


def test_a_worker_with_older_files_does_not_contradict(office):
    """
    While a fix is rolled out, a worker that still has the broken file does not tell it again.
    """
    with ExitStack() as stack:
        new, old = (stack.enter_context(office.looks()) for _ in range(2))
        file = office.folder / "audiences" / "team.sql"
        text = file.read_text()
        file.write_text("select 1")
        office.found = office.read()
        yesterday = office.sight(old.turns)
        new()
        file.write_text(text)
        office.found = office.read()
        new()
        old.watch.look = lambda: yesterday

        assert old() == new() == ["team cannot be read", "team is well again"]


@pytest.mark.parametrize(
    "answer",
    [
        lambda: httpx.Response(404, text="no_service"),
        lambda: httpx.Response(400, text="invalid_payload"),
        lambda: httpx.Response(503),
        lambda: 1 / 0,
    ],
)
def test_a_dead_slack_is_told_later(office, look, answer):
    """
    Where Slack does not take it, the other way is told all the same, and Slack a while later, once.
    """
    asked = []
    office.slack.answer = lambda: asked.append(1) or answer()
    look.ran("failed", DOWN)
    look()
    tries = len(asked)
    office.slack.answer = lambda: None
    soon = look()
    office.seconds = 61.0

    assert (soon, look(), look()) == ([], [FULL], [FULL])
    assert 0 < tries == len(asked)
    assert office.hook.messages == [FULL]


def test_a_dead_slack_is_asked_less_and_less(office, look):
    """
    A way that stays dead is tried after one minute, two, four, and then once an hour: not at each look.
    """
    asked = []
    office.slack.answer = lambda: asked.append(office.seconds) or httpx.Response(404)
    look.watch.ways = look.watch.ways[:1]
    look.ran("failed", DOWN)
    for _ in range(300):
        look.watch.once()
        look.watch.wait(ENOUGH)
        office.seconds += 60

    minutes = [int(at // 60) for at in asked]
    assert minutes == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243]


def test_what_is_over_before_it_could_be_told_is_not_told(office, look):
    """
    Slack is told how things stand, not what it missed while it was dead.
    """
    office.slack.answer = lambda: httpx.Response(404)
    look.ran("failed", DOWN)
    look()
    look.ran("delivered")
    office.slack.answer, office.seconds = lambda: None, 61.0

    assert look() == []
    assert office.hook.messages == [FULL, "team.webhook well"]


def test_a_slack_that_hangs_holds_nothing_up(office, look):
    """
    A look comes back while Slack still thinks, the other way is told, and Slack is not asked twice at a time.
    """
    arrived, gate = threading.Event(), threading.Event()
    office.slack.answer = lambda: waits(arrived, gate)
    look.ran("failed", DOWN)
    look.watch.once()
    assert arrived.wait(ENOUGH)
    look.watch.once()
    look.watch.telling["webhook"].join(ENOUGH)
    meanwhile = (list(office.hook.messages), office.slack.titles)
    gate.set()

    assert meanwhile == ([FULL], [])
    assert look() == [FULL]


def test_much_that_is_wrong_at_once_is_one_message(tmp_path):
    """
    Where a warehouse is down and everything fails, Slack gets it in messages of twenty, a webhook one by one.
    """
    office = Office(tmp_path, Clock("2026-03-02T12:07"), **{f"a{n:02}": "@hourly" for n in range(25)})
    with office.looks() as look:
        for n in range(25):
            look.ran("failed", DOWN, f"a{n:02}.webhook")
        look()

    assert [message.count("*a") for message in office.slack.messages] == [20, 5]
    assert len(office.hook.messages) == 25


def test_a_state_that_cannot_be_read_is_survived(office, look):
    """
    Without its tables a look tells nothing and breaks nothing; the next one tells.
    """
    look.ran("failed", DOWN)
    rows(look.turns.state.url, "alter table run rename to gone")
    without = look()
    rows(look.turns.state.url, "alter table gone rename to run")

    assert (without, look()) == ([], [FULL])
