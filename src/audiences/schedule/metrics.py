"""What Prometheus is told. What ran here is counted here; how each sync stands, the state database tells every worker.

Names as https://prometheus.io/docs/practices/naming asks (read 2026-11). A label is a sync, a host or a word, never a
person.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from audiences import cron, runs
from audiences.errors import UnsafePlan, WarehouseError
from audiences.http import Shared
from audiences.project import Project, awake
from audiences.schedule import timetable
from audiences.state import State
from audiences.worker import Result

OF_A_RUN: Mapping[str, tuple[str, str]] = {  # name -> what it is, and the column of a run
    "audiences_listed_members": ("Members listed after the newest run.", "size"),
    "audiences_refused_members": ("Members that the destination refuses.", "refused"),
    "audiences_set_aside_members": (
        "Members without a key of their own, an identifier, or a consent that is asked for.",
        "set_aside",
    ),
    "audiences_pending_members": ("Members that the provider has taken in and not judged yet.", "pending"),
    "audiences_unknown_claims": ("Claims of unknown outcome, which wait for someone's word.", "unknown"),
}
CHANGES = ("added", "updated", "removed", "refreshed")


class Metrics:
    """The counters of this process, and the registry of all that is told."""

    def __init__(self, state: State, accounts: Mapping[Any, Shared], project: Callable[[], Project]):
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.runs = self._counter("audiences_runs", "Runs by outcome.", "sync", "outcome")
        self.planned = self._counter("audiences_planned_changes", "Changes that the guard let pass.", "sync", "change")
        self.delivered = self._counter("audiences_delivered_changes", "Changes that were acknowledged.", "sync")
        self.refused = self._counter("audiences_refusals", "Members refused for the first time.", "sync")
        self.unnamed = self._counter("audiences_unnamed_refusals", "Refused, and nobody is named.", "sync")
        self.registry.register(Standing(state, project))
        self.registry.register(Hosts(accounts))

    def heard(self, results: Sequence[Result]) -> None:
        """Count the syncs of one turn."""
        for each in results:
            sync = each.binding.sync.name
            self.runs.labels(sync, each.outcome).inc()
            self.delivered.labels(sync).inc(each.delivered)
            self.refused.labels(sync).inc(each.fresh)
            self.unnamed.labels(sync).inc(each.unnamed)
            if each.plan and not isinstance(each.error, UnsafePlan):
                for change in CHANGES:
                    self.planned.labels(sync, change).inc(getattr(each.plan, change))

    def _counter(self, name: str, what: str, *labels: str) -> prometheus_client.Counter:
        return prometheus_client.Counter(name, what, labels, registry=self.registry)


class Standing(Collector):
    """How each sync stands, by its newest run on whichever worker; whether files and state can be read."""

    def __init__(self, state: State, project: Callable[[], Project]):
        self.state, self.project = state, project

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked at the start."""
        return ()

    def collect(self) -> Iterator[Metric]:
        project = self.project()
        files = GaugeMetricFamily("audiences_definitions", "Files under audiences/.", labels=["state"])
        files.add_metric(["read"], len(project.audiences))
        files.add_metric(["broken"], len(project.broken))
        yield files
        try:
            yield from self._syncs(project)
            up = 1
        except WarehouseError:
            up = 0
        yield GaugeMetricFamily("audiences_state_up", "Whether the state database answers.", value=up)

    def _syncs(self, project: Project) -> Iterator[Metric]:
        began = time.monotonic()
        standing = runs.newest(self.state, sorted(project.bindings))
        for metric, (what, column) in OF_A_RUN.items():
            yield _gauge(metric, what, {name: getattr(run, column) for name, (run, _) in standing.items()})
        ended = {name: run.ended for name, (run, _) in standing.items() if run.ended}
        took = {name: run.ended - run.started for name, (run, _) in standing.items() if run.ended}
        good = {name: at for name, (_, at) in standing.items() if at}
        due = dict(_due(project, good, timetable.since(self.state)))
        outcomes = GaugeMetricFamily(
            "audiences_last_run_outcome", "1 for how the newest run ended.", labels=["sync", "outcome"]
        )
        for name, (run, _) in standing.items():
            outcomes.add_metric([name, str(run.result)], 1)
        yield outcomes
        yield _gauge("audiences_due_timestamp_seconds", "The first moment of its schedule that no run has served.", due)
        yield _gauge("audiences_last_run_timestamp_seconds", "When the newest run ended.", ended)
        yield _gauge("audiences_last_run_duration_seconds", "How long the newest run took.", took)
        yield _gauge("audiences_last_success_timestamp_seconds", "When a run last ended well.", good)
        asked = time.monotonic() - began
        yield GaugeMetricFamily("audiences_state_read_seconds", "How long it took to ask the state.", value=asked)


class Hosts(Collector):
    """Calls and waits of each host, as the accounts of this process have counted them."""

    def __init__(self, accounts: Mapping[Any, Shared]):
        self.accounts = accounts

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked at the start."""
        return ()

    def collect(self) -> Iterator[Metric]:
        calls = CounterMetricFamily("audiences_host_calls", "Attempts of calls.", labels=["host", "answer"])
        waits = CounterMetricFamily("audiences_host_wait_seconds", "Waits of calls.", labels=["host"])
        attempts, waited = Counter[tuple[str, str]](), defaultdict[str, float](float)
        for shared in list(self.accounts.values()):
            called, slept = shared.tally.now()
            attempts.update(called)
            for host, seconds in slept.items():
                waited[host] += seconds
        for (host, answer), times in sorted(attempts.items()):
            calls.add_metric([host, answer], times)
        for host, seconds in sorted(waited.items()):
            waits.add_metric([host], seconds)
        yield from (calls, waits)


def _due(project: Project, good: Mapping[str, float], since: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """(sync, the first moment of its schedule that no run has served), of each that is not paused.

    A run that failed has served its moment; one by hand, if it went well, all before it.
    """
    for audience in project.audiences:
        for binding in awake(audience, [project.bindings[sync.name] for sync in audience.syncs]):
            name = binding.sync.name
            if served := max(good.get(name, 0.0), since.get(audience.name, 0.0)):
                last = datetime.fromtimestamp(served, UTC)
                yield name, cron.after(audience.schedule, audience.timezone, last).timestamp()


def _gauge(name: str, what: str, values: Mapping[str, float]) -> Metric:
    """A gauge with a value for each sync."""
    found = GaugeMetricFamily(name, what, labels=["sync"])
    for sync, value in values.items():
        found.add_metric([sync], value)
    return found
