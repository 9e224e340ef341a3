"""The worker that stays: a job an audience, files that change under it, and no run beside itself."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta

import pytest
import structlog

from audiences.schedule.definitions import Definitions
from audiences.schedule.rota import LOOKING, Rota
from scheduled import ENOUGH, Clock, Scheduled, waits


class Wall:
    """What APScheduler asks for the time, in place of the class datetime of its module."""

    def __init__(self, clock: Clock):
        self.clock = clock

    def now(self, zone) -> datetime:
        return self.clock().astimezone(zone)


def until(holds):
    """Wait for what happens in a thread."""
    end = time.monotonic() + ENOUGH
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def clock(monkeypatch):
    found = Clock("2026-03-02T12:07")
    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Wall(found))
    return found


class Service(Rota):
    """A rota that can be pushed on, and that tells what was run."""

    def __init__(self, world, turns, **more):
        self.ran = []
        super().__init__(Definitions(world.folder, world.read), turns, told=self.heard, **more)

    def heard(self, results):
        self.ran += [result.binding.sync.audience for result in results]

    def push(self, **delta):
        """Let time pass, and wake the scheduler as its own timer would."""
        self.turns.now.pass_(**delta)
        self.scheduler.wakeup()


@pytest.fixture
def serving(clock):
    """Starts a worker that stays, and ends it with the test."""
    ends = []

    def start(world, **more):
        opened = world.turns()
        service = Service(world, opened.__enter__(), **more)
        ends.append(lambda: (service.close(), opened.__exit__(None, None, None)))
        service.start()
        return service

    yield start
    for end in ends:
        end()


def test_each_audience_is_run_when_it_is_due(tmp_path, clock, serving):
    """
    Two audiences run at their own moments, and only there; what is next is known.
    """
    service = serving(Scheduled(tmp_path, clock, hourly="@hourly", half="30 * * * *"))
    soon = service.next()
    service.push(minutes=22)
    assert service.ran == []
    service.push(minutes=1)
    until(lambda: service.ran == ["half"])
    service.push(minutes=30)
    until(lambda: service.ran == ["half", "hourly"])

    assert soon == (datetime.fromisoformat("2026-03-02T12:30+00:00"), "half")
    assert service.next() == (datetime.fromisoformat("2026-03-02T13:30+00:00"), "half")


def test_a_run_that_takes_longer_than_its_period_is_not_run_beside_itself(tmp_path, clock, serving):
    """
    Three moments go by while a run is under way: it is alone, and one late run comes after it.
    """
    world = Scheduled(tmp_path, clock, team="* * * * *")
    arrived, gate = threading.Event(), threading.Event()
    world.receiver.after = lambda told: waits(arrived, gate)
    service = serving(world)
    service.push(minutes=1)
    assert arrived.wait(ENOUGH)
    for _ in range(3):
        service.push(minutes=1)
    assert len(world.receiver.calls) == 1
    gate.set()
    until(lambda: service.ran == ["team"])
    until(lambda: service.next()[0] <= clock() + timedelta(seconds=5))
    world.people((1, "b@x"))
    service.push(seconds=5)
    until(lambda: service.ran == ["team", "team"])

    assert world.receiver.holds("team") == {"b@x"}
    assert service.next()[0] == datetime.fromisoformat("2026-03-02T12:12+00:00")


def test_files_are_taken_up_as_they_are(tmp_path, clock, serving):
    """
    A new file, another line, a pause and a file that is gone: each is as a fresh start would have it, without one.
    """
    world = Scheduled(tmp_path, clock, team="@hourly", gone="@hourly", asleep="@hourly")
    service = serving(world)
    world.line("team", "15 * * * *")
    world.line("new", "20 * * * *")
    world.line("asleep", "@hourly", paused=True)
    (tmp_path / "audiences" / "gone.sql").unlink()
    service.look()

    jobs = {job.id: job.next_run_time.minute for job in service.scheduler.get_jobs() if job.id != LOOKING}
    assert jobs == {"team": 15, "new": 20}


def test_a_broken_file_stops_itself_alone_and_loudly(tmp_path, clock, serving):
    """
    A file that cannot be read any more is told once, as an error with line and remedy; it is not run, the others are.
    Mended, it is run late.
    """
    world = Scheduled(tmp_path, clock, team="@hourly", other="@hourly")
    service, path = serving(world), tmp_path / "audiences" / "team.sql"
    sound = path.read_text()
    path.write_text(sound.replace("owner", "woner"))
    with structlog.testing.capture_logs() as logs:
        service.look()
        service.look()
        service.push(minutes=53)
        until(lambda: service.ran == ["other"])
    path.write_text(sound)
    service.look()
    service.push(seconds=1)
    until(lambda: service.ran == ["other", "team"])

    [told] = [each for each in logs if each["log_level"] == "error"]
    assert told["event"] == "definition.broken"
    assert "team.sql:3 has an unknown key: woner" in told["why"]
    assert "did you mean owner?" in told["do"]


def test_a_folder_that_cannot_be_read_leaves_what_is_known(tmp_path, clock, serving):
    """
    While audiences/ is away, as a volume may be, what was read before is run, and it is told once.
    """
    world = Scheduled(tmp_path, clock)
    service = serving(world)
    (tmp_path / "audiences").rename(tmp_path / "away")
    with structlog.testing.capture_logs() as logs:
        service.look()
        service.look()
    service.push(minutes=53)
    until(lambda: service.ran == ["team"])
    (tmp_path / "away").rename(tmp_path / "audiences")
    service.look()

    assert [each["event"] for each in logs if each["log_level"] == "error"] == ["definitions.unreadable"]
    assert service.definitions.error is None


def test_what_another_worker_has_is_tried_again(tmp_path, clock, serving):
    """
    A worker meets an audience that is due and that another one runs: it looks again, and finds nothing to do.
    """
    world = Scheduled(tmp_path, clock)
    arrived, gate = threading.Event(), threading.Event()
    world.receiver.after = lambda told: waits(arrived, gate)
    one = serving(world)
    one.push(minutes=53)
    assert arrived.wait(ENOUGH)
    other = serving(world)
    until(lambda: other.next()[0] == clock() + timedelta(seconds=5))
    gate.set()
    until(lambda: one.ran == ["team"])
    other.push(seconds=5)
    until(lambda: other.next()[0].hour == 14)

    assert other.ran == []
    assert len(world.receiver.calls) == 1


def test_a_shift_is_always_the_same(tmp_path, clock, serving):
    """
    With jitter each audience comes a little later, each by its own time, the same on every worker.
    """
    world = Scheduled(tmp_path, clock, **dict.fromkeys(("ant", "bee", "cat", "dog"), "@hourly"))
    one, other = (serving(world, jitter=60.0) for _ in range(2))

    later = {job.id: job.next_run_time for job in one.scheduler.get_jobs() if job.id in one.audiences}
    assert later == {job.id: job.next_run_time for job in other.scheduler.get_jobs() if job.id in one.audiences}
    assert len(set(later.values())) == 4
    assert all(each.hour == 13 and each.minute == 0 for each in later.values())


def test_a_slow_account_keeps_no_other_waiting(tmp_path, clock, serving):
    """
    Audiences of one account are run one after the other; one of another account is run beside them.
    """
    world = Scheduled(tmp_path, clock, slow="@hourly", same="@hourly", other="@hourly")
    path = tmp_path / "audiences" / "other.sql"
    path.write_text(path.read_text().replace("[sync.webhook]", '[sync.eu]\n-- connector = "webhook"'))
    with (tmp_path / ".env").open("a") as file:
        file.write("EU_URL=http://127.0.0.1:9/eu\nEU_SECRET=whsec_bm90LWEtcmVhbC1zZWNyZXQtb2Ytb3Vycw==\n")
    arrived, gate = threading.Event(), threading.Event()

    def slow(told):
        if told["list"] == "slow":
            arrived.set()
            gate.wait(ENOUGH)

    world.receiver.before = slow
    service = serving(world)
    service.push(minutes=53)
    assert arrived.wait(ENOUGH)
    until(lambda: "other" in service.ran)
    before = list(service.ran)
    gate.set()
    until(lambda: len(service.ran) == 3)

    assert before in (["other"], ["same", "other"], ["other", "same"])


def test_a_state_database_that_is_away_is_tried_again(tmp_path, clock, serving):
    """
    Where a turn cannot be taken at all, it is told, and taken as soon as it can be.
    """
    world = Scheduled(tmp_path, clock)
    service = serving(world)
    away = world.state_file.with_name("away")
    service.turns.state.engine.dispose()
    world.state_file.rename(away)
    world.state_file.mkdir()
    with structlog.testing.capture_logs() as logs:
        service.push(minutes=53)
        until(lambda: any(each["event"] == "turn.failed" for each in logs))
    until(lambda: service.next()[0] == clock() + timedelta(seconds=5))
    world.state_file.rmdir()
    away.rename(world.state_file)
    service.push(seconds=5)
    until(lambda: service.ran == ["team"])

    assert "the state database" in logs[0]["why"]
