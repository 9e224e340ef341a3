"""A worker of a small world, asked as Prometheus asks."""

from __future__ import annotations

from urllib.error import HTTPError
from urllib.request import Request, urlopen

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from audiences.errors import WarehouseError
from audiences.schedule.definitions import Definitions
from audiences.schedule.health import Health, listening
from audiences.schedule.metrics import Metrics

OPEN_METRICS = {"accept": "application/openmetrics-text; version=1.0.0"}


class Watched:
    """A worker of a small world, and the addresses that it answers at."""

    def __init__(self, world, turns, stack):
        self.world, self.turns, self.accounts = world, turns, {}
        world.more["accounts"] = self.accounts
        self.definitions = Definitions(world.folder, world.read)
        self.metrics = Metrics(turns.state, self.accounts, lambda: self.definitions.project)
        self.wrong, self.seconds, self.up = {}, 0.0, True
        checks = {name: lambda name=name: self.check(name) for name in ("warehouse", "state")}
        health = Health(lambda: self.up, checks, self.metrics.registry, lambda: self.seconds)
        self.port = stack.enter_context(listening(health, 0))

    def check(self, name):
        if name in self.wrong:
            raise WarehouseError(self.wrong[name], do="mend it")

    def run(self, **delta):
        self.world.clock.pass_(**delta)
        results = self.world.take(self.turns)
        self.metrics.heard(results)
        return results

    def get(self, path, **headers):
        try:
            with urlopen(Request(f"http://127.0.0.1:{self.port}{path}", headers=headers)) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def families(self):
        """All metrics, as the strict parser of OpenMetrics reads them."""
        return list(text_string_to_metric_families(self.get("/metrics", **OPEN_METRICS)[1]))

    def told(self):
        """Asked for a metric and its labels: the value, as the strict parser of OpenMetrics reads it; None for none."""
        families = self.families()
        assert all(each.documentation for each in families if each.name.startswith("audiences"))
        found = {(one.name, frozenset(one.labels.values())): one.value for each in families for one in each.samples}
        return lambda name, *labels: found.get((name, frozenset(labels)))
