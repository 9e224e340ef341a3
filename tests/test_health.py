"""What whoever watches is told: alive, ready, and metrics that Prometheus's own strict parser reads."""

from __future__ import annotations

import re
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from audiences.errors import DefinitionError
from audiences.schedule.health import Health, listening
from scheduled import Clock, Scheduled
from states import rows
from watched import OPEN_METRICS, Watched


@pytest.fixture
def watched(tmp_path):
    world = Scheduled(tmp_path, Clock("2026-03-02T12:07"))
    with ExitStack() as stack:
        turns = stack.enter_context(world.turns())
        world.began(turns)
        yield Watched(world, turns, stack)


def test_metrics_tell_what_ran(watched):
    """
    Runs by outcome, changes planned and delivered, refusals, how each sync stands: all as they are, by a strict parser.
    """
    watched.world.people((1, "a@x"), (2, "b@x"), (3, None), (3, None))
    watched.world.receiver.rejects("b@x")
    watched.run(hours=1)
    first = watched.told()
    watched.run(hours=1)
    told = watched.told()

    sync = "team.webhook"
    assert told("audiences_runs_total", sync, "delivered") == 1
    assert told("audiences_runs_total", sync, "unchanged") == 1
    assert told("audiences_planned_changes_total", sync, "added") == 2
    assert told("audiences_delivered_changes_total", sync) == 1
    assert told("audiences_refusals_total", sync) == 1
    assert told("audiences_unnamed_refusals_total", sync) == 0
    assert first("audiences_listed_members", sync) == told("audiences_listed_members", sync) == 1
    assert told("audiences_refused_members", sync) == 1
    assert told("audiences_set_aside_members", sync) == 1
    assert told("audiences_pending_members", sync) == told("audiences_unknown_claims", sync) == 0
    assert 0 < told("audiences_last_run_duration_seconds", sync) < 60
    assert told("audiences_last_run_timestamp_seconds", sync) == told("audiences_last_success_timestamp_seconds", sync)
    assert (told("audiences_definitions", "read"), told("audiences_definitions", "broken")) == (1, 0)
    assert told("audiences_state_up") == 1
    assert told("process_open_fds") > 0


def test_a_lists_size_is_what_the_run_has_left(watched):
    """
    Who has left is not counted any more, and who came is, right after the run that delivered it.
    """
    sizes = []
    for people in ([(1, "a@x"), (2, "b@x")], [(2, "b@x")], [(2, "c@x"), (3, "d@x"), (4, "e@x")]):
        watched.world.people(*people)
        watched.run(hours=1)
        sizes.append(watched.told()("audiences_listed_members", "team.webhook"))

    assert sizes == [2, 1, 3]


def test_the_manual_names_every_metric(watched):
    """
    The table of docs/production.md has the metrics that are told, and none else.
    """
    watched.world.receiver.rejects()
    watched.run(hours=1)
    _, text = watched.get("/metrics", **OPEN_METRICS)
    samples = [one.name for each in text_string_to_metric_families(text) for one in each.samples]
    told = {name for name in samples if name.startswith("audiences_") and not name.endswith("_created")}
    table = (Path(__file__).parent.parent / "docs" / "production.md").read_text()

    assert set(re.findall(r"^\| `(audiences_\w+)`", table, re.MULTILINE)) == told | {
        "audiences_host_wait_seconds_total"
    }


def test_a_failure_does_not_count_as_a_good_run(watched):
    """
    The last success and the list's size stay as they were while runs fail, or a guard stops them; what a guard stopped
    is not planned.
    """
    watched.world.people(*((number, f"p{number}@x") for number in range(20)))
    watched.run(hours=1)
    before = watched.told()
    watched.world.people((1, "p1@x"))
    watched.run(hours=1)
    watched.world.sql("drop table people")
    watched.run(hours=1)
    after = watched.told()

    good = ("audiences_last_success_timestamp_seconds", "team.webhook")
    assert after(*good) == before(*good)
    assert after("audiences_listed_members", "team.webhook") == 20
    assert after("audiences_last_run_timestamp_seconds", "team.webhook") > after(*good)
    assert after("audiences_runs_total", "team.webhook", "guarded") == 1
    assert after("audiences_runs_total", "team.webhook", "failed") == 1
    assert after("audiences_planned_changes_total", "team.webhook", "removed") == 0


def test_what_is_due_is_told_of_who_is_awake(watched):
    """
    A sync is due by its line, and after a good run at the next moment after it; a paused one never.
    """
    due = ("audiences_due_timestamp_seconds", "team.webhook")
    new = watched.told()(*due)
    watched.run(hours=1)
    told = watched.told()
    watched.world.line("team", "@hourly", paused=True)
    watched.definitions.changed()

    assert new == datetime(2026, 3, 2, 13, tzinfo=UTC).timestamp()
    assert 0 < told(*due) - told("audiences_last_success_timestamp_seconds", "team.webhook") <= 3600
    assert told(*due) % 3600 == 0
    assert told("audiences_last_run_outcome", "team.webhook", "delivered") == 1
    assert watched.told()(*due) is None


def test_another_worker_tells_the_same_of_a_sync(watched):
    """
    How a sync stands does not depend on which worker ran it last.
    """
    watched.run(hours=1)
    with watched.world.turns() as turns, ExitStack() as stack:
        told = Watched(watched.world, turns, stack).told()

    same = "audiences_last_success_timestamp_seconds", "team.webhook"
    assert told(*same) == watched.told()(*same)


def test_calls_and_waits_are_told_by_host(watched):
    """
    Each attempt counts by its answer, one without an answer too; so does the time that calls waited.
    """
    answers = iter([httpx.Response(503), httpx.ReadTimeout("late")])

    def before(told):
        answer = next(answers, None)
        if isinstance(answer, Exception):
            raise answer
        return answer

    watched.world.receiver.before = before
    watched.run(hours=1)
    told = watched.told()

    host = "127.0.0.1:9"
    calls = {answer: told("audiences_host_calls_total", host, answer) for answer in ("503", "none", "200")}
    assert calls == {"503": 1, "none": 1, "200": 1}
    assert (
        1.5 <= told("audiences_host_wait_seconds_total", host) <= 3
    )  # half a second and one, and as much again at most


def test_metrics_outlast_the_state_database(watched):
    """
    Where the state database is away, it is told as down, and what is counted here is still told.
    """
    watched.run(hours=1)
    rows(watched.turns.state.url, "drop table run")
    told = watched.told()

    assert told("audiences_state_up") == 0
    assert told("audiences_runs_total", "team.webhook", "delivered") == 1
    assert told("audiences_listed_members", "team.webhook") is None


def test_ready_says_what_is_missing(watched):
    """
    503 while anything that the work needs is away, and which; it is asked once for probes that come close together.
    """
    first = watched.get("/readyz")
    watched.wrong["warehouse"] = "the warehouse is away"
    held = watched.get("/readyz")
    watched.seconds += 11
    away = watched.get("/readyz")
    watched.wrong.clear()
    watched.seconds += 11

    assert first == held == (200, "warehouse: ok\nstate: ok\n")
    assert away == (503, "warehouse: the warehouse is away\nstate: ok\n")
    assert watched.get("/readyz")[0] == 200


def test_alive_says_whether_jobs_are_woken(watched):
    """
    200 while jobs are woken, whatever else is away; 503 once they are not.
    """
    watched.wrong["state"] = "the state is away"
    alive = watched.get("/healthz")
    watched.up = False

    assert alive == (200, "ok\n")
    assert watched.get("/healthz") == (503, "no job is woken any more\n")
    assert watched.get("/")[0] == 404


def test_a_port_that_is_taken_is_said(watched):
    """
    2: a port that another process has is named, with the way out.
    """
    health = Health(lambda: True, {}, CollectorRegistry())
    taken = pytest.raises(DefinitionError, match=f"port {watched.port} cannot be listened on: Address already in use")

    with taken, listening(health, watched.port):
        pass
