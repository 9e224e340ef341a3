"""When an account is left alone: while its host asks every process to wait, and while another worker delivers to it."""

from __future__ import annotations

import re

import httpx
import pytest
from sqlalchemy import event
from sqlalchemy.engine import make_url

import jobs
from audiences import lease
from audiences.http.told import FURTHEST, asked
from audiences.state import State, pauses
from driven import START, Driven
from prompt import Project
from states import rows
from test_http_line import Far, says
from test_throttled import Turning
from world import Killed, World, bare

CHECK = ("check", "--connectors")
LEFT = r"(2,000|1,9\d\d)"  # of 2,000 seconds, on however slow a machine


@pytest.fixture
def clock():
    return Driven()


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    made.people((1, "a@x"), (2, "b@x"), (3, "c@x"))
    made.small()
    return made


def passes(world, seconds):
    """So many seconds pass for the state database."""
    rows(f"sqlite:///{world.state_file}", f"update lease set until = until - {seconds}")


class Meanwhile:
    """Lets another worker hear of a pause while a run makes its plan."""

    def watch(self, worker, receiver):
        def planned(connection, cursor, statement, *_):
            if bare(statement).startswith("create table") and "outbox_" in statement:
                pauses.keep(worker.state, "webhook", 2000)

        event.listen(worker.warehouse.engine, "before_cursor_execute", planned)


def asks(world, seconds, section="webhook"):
    """The account's host asks some other process for a pause."""
    with world.worker() as worker:
        pauses.keep(worker.state, section, seconds)


def synced(world, far, clock, **more):
    return world.sync(transport=httpx.MockTransport(far), sleep=clock.sleep, clock=clock, **more)


def test_what_a_state_database_keeps_of_pauses(state_url):
    """
    A pause is kept by account and ends by the database's clock; of two, the one that ends later counts.
    """
    known = State(state_url)
    for section, seconds in (("crm", 50), ("crm", 100), ("crm", 10), ("crm_eu", -5)):
        pauses.keep(known, section, seconds)
    known.close()
    again = State(state_url)
    found = {section: pauses.left(again, section) for section in ("crm", "crm_eu", "none")}
    again.close()

    assert 90 < found.pop("crm") <= 100
    assert found == {"crm_eu": 0.0, "none": 0.0}


@pytest.mark.parametrize("words", ["9" * 400, "9999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_no_host_asks_for_more_than_a_month(words):
    """
    A pause ends: what says to wait for longer than a month is taken for a month.
    """
    assert asked(httpx.Response(429, headers={"retry-after": words}), lambda: START) == FURTHEST


def test_the_next_process_is_deferred_without_a_call(world, clock):
    """
    While a pause lasts that is longer than there is patience for, every later run is deferred before it calls, and says
    for how long; the first after it delivers.
    """
    far = Turning(world, clock, away=1, seconds=2000)
    first = synced(world, far, clock)
    passes(world, 1000)
    early = synced(world, far, clock)
    calls = far.calls
    passes(world, 1000)
    clock.seconds += 2000
    late = synced(world, far, clock)

    assert [each.outcome for each in (first, early, late)] == ["deferred", "deferred", "delivered"]
    assert re.search(r"makes a call wait (1000|9\d\d) s in all; this run waits 900 s at most", early.error.what)
    assert (calls, far.early, far.calls) == (1, 0, 3)


def test_a_short_pause_is_waited_for(world, clock):
    """
    Killed while it waits for a host, a run leaves the pause to the next one, which waits for what is left of it.
    """
    far = Turning(world, clock, away=1, seconds=60)

    def dies(seconds):
        raise Killed

    with pytest.raises(Killed):
        world.sync(transport=httpx.MockTransport(far), sleep=dies, clock=clock)
    rows(f"sqlite:///{world.state_file}", "update lease set until = 0 where sync not like 'pause:%'")
    result = synced(world, far, clock)

    assert (result.outcome, far.calls) == ("delivered", 3)
    assert 50 < clock.seconds <= 60  # less what the two runs took by the state's own clock


def test_a_pause_that_comes_while_a_run_plans_is_heeded(world, clock):
    """
    What a host asks another worker for, after this one began and before it holds the account, holds it as well.
    """
    far = Turning(world, clock, away=0, seconds=0)

    result = synced(world, far, clock, killer=Meanwhile())

    assert (result.outcome, far.calls) == ("deferred", 0)
    assert re.search(r"makes a call wait (2000|19\d\d) s", result.error.what)


def test_no_job_is_asked_for_in_a_pause(tmp_path, clock):
    """
    The calls before a delivery wait, too: nobody asks what became of a ticket.
    """
    world = jobs.world(tmp_path)
    world.people((1, "a@x"))
    world.sync()
    asks(world, 2000, "jobs")

    assert world.sync(clock=clock).outcome == "deferred"
    assert world.receiver.asked == []


def test_another_account_is_called(world, clock):
    """
    A pause is the account's own: those of other sections are called.
    """
    asks(world, 2000, "webhook_eu")

    assert synced(world, Turning(world, clock, away=0, seconds=0), clock).outcome == "delivered"


def test_an_account_is_delivered_to_by_one_worker_at_a_time(world, clock):
    """
    While another worker delivers to the account, a sync of it is deferred without a call; then it is delivered.
    """
    far, state = Turning(world, clock, away=0, seconds=0), State(make_url(f"sqlite:///{world.state_file}"))
    held = lease.take(state, "account:webhook", 0)
    during, calls = synced(world, far, clock), far.calls
    held.release()
    state.close()

    assert (during.outcome, calls) == ("deferred", 0)
    assert "account:webhook is being run by another worker" in during.error.what
    assert synced(world, far, clock).outcome == "delivered"


def test_status_tells_a_pause(tmp_path):
    """
    `status` says for how long no call is made to a sync's account.
    """
    project = Project(tmp_path)
    project.audience("hooked", "webhook")
    before = project.types("status")
    asks(project, 2000)

    assert "host asks" not in before.out
    assert re.search(rf"never ran; no call for {LEFT} s more, as webhook's host asks", project.types("status").out)
    told = {each["sync"]: each["waits"] for each in project.types("status", "--json").told["syncs"]}
    assert 1900 < told.pop("hooked.webhook") <= 2000
    assert told == {"team.file": 0}


def test_a_check_keeps_and_heeds_a_pause(tmp_path):
    """
    5: `check --connectors` is asked to wait and leaves that to later commands; none of them calls.
    """
    project = Project(tmp_path)
    with Far(says("429 Slow", b"", "retry-after: 2000")) as far:
        project.odd(f"def check(self):\n    self.http.get({far.url()!r})")
        first, again, ended = (project.types(*words) for words in (CHECK, CHECK, ("status", "odd")))

    assert (first.code, again.code, len(far.heads)) == (5, 5, 1)
    assert re.search(r"makes a call wait (2000|19\d\d) s in all; this run waits 20 s at most", again.err)
    assert re.search(rf"no call for {LEFT} s more, as odd's host asks", ended.out)
