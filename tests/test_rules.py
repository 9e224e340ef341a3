"""Alert rules and dashboard ask for what a worker tells; a real worker raises each alert, and clears it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

import jobs
from audiences import unknown as claims
from audiences.cli.session import taken
from audiences.compare import moment
from scheduled import Clock, Scheduled
from states import rows
from watched import Watched

DEPLOY = Path(__file__).parent.parent / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yaml"
ALERTS = {rule["alert"]: rule for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]}
TESTS = yaml.safe_load((DEPLOY / "prometheus" / "rules_test.yaml").read_text())["tests"]
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
OWN = {"instance", "pod"}  # labels that Prometheus gives, by where it found a worker
STEP, SICK, WELL = 5, 26 * 12, 24  # minutes; steps of trouble, more than a day, and two hours after it

ONCE = """from audiences import Limits
from audiences.connectors import find, shipped

class Once(find("webhook", [shipped("connectors")])):
    limits = Limits(batch=5)
    repeatable = False
"""


def queries() -> dict[str, str]:
    """Where it stands -> what is asked of Prometheus."""
    panels = {f"{each['title']} {one['refId']}": one["expr"] for each in DASHBOARD["panels"] for one in each["targets"]}
    [variable] = [each["query"] for each in DASHBOARD["templating"]["list"] if each["type"] == "query"]
    return {name: rule["expr"] for name, rule in ALERTS.items()} | panels | {"the variable": variable}


@contextmanager
def watching(folder: Path):
    """A worker of a small world, with one good run of 20 people behind it."""
    world = Scheduled(folder, Clock("2026-03-02T12:07"))
    people(world, 20)
    with ExitStack() as stack:
        turns = stack.enter_context(world.turns())
        world.began(turns)
        yield Watched(world, turns, stack)


def people(world, number):
    world.people(*((each, f"p{each}@x") for each in range(number)))


@pytest.fixture
def watched(tmp_path):
    with watching(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """Metric -> label -> its values, as a worker tells them that has met most of what there is to meet."""
    with watching(tmp_path_factory.mktemp("labels")) as found:
        answers = iter([httpx.Response(503)])
        found.world.receiver.before = lambda told: next(answers, None)
        found.run(hours=1)
        told: dict[str, dict[str, set[str]]] = {}
        for sample in (one for family in found.families() for one in family.samples):
            for name, value in sample.labels.items():
                told.setdefault(sample.name, {}).setdefault(name, set()).add(value)
            told.setdefault(sample.name, {})
    return told


@pytest.mark.parametrize("where", queries())
def test_every_name_that_is_asked_for_is_told(where, labels):
    """
    Each metric in a rule or a panel is one that a worker tells, and each label, and its value, is one of that metric's.
    """
    query = queries()[where]
    words = (Path(__file__).parent.parent / "docs" / "production.md").read_text()
    outcomes = set(re.findall(r"`(\w+)`", re.search(r"runs: (.*) \|", words)[1]))
    metrics = re.findall(r"\b((?:audiences|process)_\w+)(?:\{([^}]*)\})?", query)
    grouped = {name for found in re.findall(r"\b(?:by|without|on) \(([^)]*)\)", query) for name in found.split(", ")}

    assert metrics
    for metric, matchers in metrics:
        assert metric in labels, metric
        for label, value in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
            known = outcomes if label == "outcome" else labels[metric][label] | {"$sync"}
            assert set(value.split("|")) <= known, (metric, label)
    assert grouped <= OWN.union(*(labels[metric] for metric, _ in metrics))


def test_every_alert_says_what_to_do():
    """
    Each has a severity, one line that names the sync, and what to look at; and its own test fires it and clears it.
    """
    for name, rule in ALERTS.items():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "description"}
        [own] = [each["alert_rule_test"] for each in TESTS if each["name"] == name]
        fires = {_seconds(each["eval_time"]): bool(each["exp_alerts"]) for each in own}
        assert [fires[at] for at in sorted(fires)] == [False, True, False], name


def _seconds(words: str) -> int:
    return sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in re.findall(r"(\d+)([hms])", words))


@pytest.fixture(scope="module")
def promtool():
    """Prometheus' own judge of rules, asked with these words."""
    found = shutil.which("promtool")
    if not found:
        pytest.skip("promtool is not here, so nothing has judged the alert rules: it comes with Debian's prometheus")

    def ask(*words: str) -> None:
        ran = subprocess.run([found, *words], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr

    return ask


def test_the_rules_are_rules(promtool):
    """
    Prometheus takes them, and each fires and clears in its own test, in the words that people read.
    """
    promtool("check", "rules", str(RULES))
    promtool("test", "rules", str(RULES.with_name("rules_test.yaml")))


def failing(watched):
    watched.world.sql("alter table people rename to gone")
    watched.run(hours=1)
    yield
    watched.world.sql("alter table gone rename to people")


def guarded(watched):
    people(watched.world, 1)
    watched.run(hours=1)
    yield
    people(watched.world, 20)


def deferred(watched):
    people(watched.world, 21)
    watched.world.receiver.before = lambda told: httpx.Response(429, headers={"retry-after": "7200"})
    watched.run(hours=1)
    yield
    watched.world.receiver.before = lambda told: None
    rows(watched.turns.state.url, "update lease set until = 0")  # what two hours do
    watched.accounts.clear()


def stale(watched):
    yield


def refusing(watched):
    watched.world.receiver.rejects(*(f"p{each}@x" for each in range(20, 30)))
    people(watched.world, 30)
    watched.run(hours=1)
    yield
    people(watched.world, 20)


def pending(watched):
    (watched.world.folder / "connectors").mkdir()
    (watched.world.folder / "connectors" / "webhook.py").write_text(jobs.CONNECTOR)
    watched.world.receiver = provider = jobs.Provider()
    watched.world.began(watched.turns)
    people(watched.world, 21)
    watched.run(hours=1)
    yield
    provider.works()


def unknown(watched):
    def cut(told):
        raise httpx.ReadTimeout("gone")

    (watched.world.folder / "connectors").mkdir()
    (watched.world.folder / "connectors" / "webhook.py").write_text(ONCE)
    watched.world.began(watched.turns)
    people(watched.world, 21)
    watched.world.receiver.before = cut
    watched.run(hours=1)
    yield
    watched.world.receiver.before = lambda told: None
    with watched.world.worker() as worker:
        doubts = claims.doubts(worker.warehouse, "team__webhook")
        with taken(worker.warehouse, worker.state, "team.webhook", "team__webhook") as fence:
            claims.resolve(fence, doubts, True, moment(watched.world.moment))


def broken(watched):
    file = watched.world.folder / "audiences" / "other.sql"
    file.write_text("select 1")
    watched.definitions.changed()
    yield
    file.unlink()
    watched.definitions.changed()


def stateless(watched):
    rows(watched.turns.state.url, "alter table run rename to gone")
    yield
    rows(watched.turns.state.url, "alter table gone rename to run")


TROUBLES = {
    "AudienceFailed": failing,
    "AudienceGuarded": guarded,
    "AudienceDeferred": deferred,
    "AudienceStale": stale,
    "AudienceRefusals": refusing,
    "AudiencePendingLong": pending,
    "AudienceUnknown": unknown,
    "AudienceFilesBroken": broken,
    "AudiencesStateDown": stateless,
}


def scraped(watched, minute: int) -> dict[str, float]:
    """A series as Prometheus writes it -> its value, on a clock that shows this minute now."""
    found, later = {}, minute * 60 - time.time()
    for sample in (one for family in watched.families() for one in family.samples if "audiences" in one.name):
        name = ",".join(f'{label}="{value}"' for label, value in {**sample.labels, "instance": "a:8080"}.items())
        value = sample.value + later if "timestamp" in sample.name else sample.value
        found[f"{sample.name}{{{name}}}"] = value
    return found


def asked(alert: str, sick: dict[str, float], well: dict[str, float]) -> str:
    """A test for promtool: these series for a day and two hours, and those after it; the alert fires, and clears."""
    series = []
    for name in sick.keys() | well.keys():
        parts = [(sick.get(name), SICK), (well.get(name), WELL)]
        values = [f"_x{steps}" if value is None else f"{value:f}x{steps - 1}" for value, steps in parts]
        series.append({"series": name, "values": " ".join(values)})
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    told = [
        {"expr": firing, "eval_time": f"{(SICK - 1) * STEP}m", "exp_samples": [{"value": 1}]},
        {"expr": firing, "eval_time": f"{(SICK + WELL - 1) * STEP}m", "exp_samples": []},
    ]
    group = {"interval": f"{STEP}m", "input_series": series, "promql_expr_test": told}
    return json.dumps({"rule_files": [str(RULES)], "evaluation_interval": f"{STEP}m", "tests": [group]})


@pytest.mark.parametrize("alert", TROUBLES)
def test_a_real_worker_raises_and_clears_each_alert(watched, tmp_path, promtool, alert):
    """
    What a worker tells while it is in this trouble raises the alert; what it tells once that is over clears it.
    """
    watched.run(hours=1)
    trouble = TROUBLES[alert](watched)
    next(trouble)
    sick = scraped(watched, 0)
    next(trouble, None)
    watched.run(hours=1)
    well = scraped(watched, (SICK + WELL - 1) * STEP)
    (tmp_path / "test.json").write_text(asked(alert, sick, well))

    promtool("test", "rules", str(tmp_path / "test.json"))


def test_a_worker_that_is_gone_is_missed(watched, tmp_path, promtool):
    """
    Where nothing is told any more, that raises the one alert that is left; and every trouble has its test.
    """
    (tmp_path / "test.json").write_text(asked("AudiencesWorkerDown", {}, scraped(watched, 0)))

    promtool("test", "rules", str(tmp_path / "test.json"))
    assert TROUBLES.keys() | {"AudiencesWorkerDown"} == ALERTS.keys()
