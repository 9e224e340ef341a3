"""What is under deploy/ is what its readers take: Kubernetes, Compose, GitHub and the command line itself."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click
import kubernetes_validate
import pytest
import yaml
from check_jsonschema import main as check
from click.testing import CliRunner

from audiences import cli
from audiences.settings import Settings

HOUSE = Path(__file__).parent.parent
DEPLOY = HOUSE / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
KUBERNETES = "1.37"

WORKFLOW = yaml.load((DEPLOY / "github" / "audiences.yml").read_text(), yaml.BaseLoader)  # `on` is a word there
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def documents() -> list[dict]:
    """Every Kubernetes object."""
    return [each for path in MANIFESTS for each in yaml.safe_load_all(path.read_text())]


def pods() -> list[tuple[str, dict]]:
    """(kind, the pod's specification) of whatever makes pods."""
    found = []
    for each in documents():
        spec = each["spec"]["jobTemplate"]["spec"] if each["kind"] == "CronJob" else each["spec"]
        if "template" in spec:
            found.append((each["kind"], spec["template"]["spec"]))
    return found


every_pod = pytest.mark.parametrize("pod", [pod for _, pod in pods()], ids=[kind for kind, _ in pods()])


def steps(job: str) -> list[dict]:
    return WORKFLOW["jobs"][job]["steps"]


def commands() -> list[list[str]]:
    """Every line of `audiences` that is typed under deploy/, and by the image itself."""
    [image] = [line for line in (HOUSE / "Dockerfile").read_text().splitlines() if line.startswith("CMD ")]
    lines = [line for job in WORKFLOW["jobs"] for step in steps(job) for line in step.get("run", "").splitlines()]
    typed = [shlex.split(line.partition(">")[0])[1:] for line in lines if line.startswith("audiences ")]
    run = [pod["containers"][0]["args"] for _, pod in pods()] + [COMPOSE["services"]["worker"]["command"]]
    return [json.loads(image.removeprefix("CMD ")), *run, *typed]


@pytest.mark.parametrize("each", documents(), ids=lambda each: each["kind"])
def test_kubernetes_takes_the_manifests(each):
    """
    Each object is valid by the API's own schema, with no field that it does not know.
    """
    kubernetes_validate.validate(each, KUBERNETES, strict=True)


@pytest.mark.parametrize(
    ("schema", "path"), [("vendor.compose-spec", "compose.yaml"), ("vendor.github-workflows", "github/audiences.yml")]
)
def test_compose_and_github_take_theirs(schema, path):
    """
    Both files are valid by the schemas that their makers publish.
    """
    ended = CliRunner().invoke(check, ["--builtin-schema", schema, str(DEPLOY / path)])

    assert ended.exit_code == 0, ended.output


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_is_one(words):
    """
    The command line's own parser takes every command that stands there.
    """
    name, *rest = words
    command = cli.root.get_command(click.Context(cli.root), name)

    assert command.make_context(name, rest)


@every_pod
def test_a_pod_has_no_rights(pod):
    """
    Not root, nothing to be gained, a root that cannot be written, no token of the cluster; /tmp can be written.
    """
    [container] = pod["containers"]

    assert pod["securityContext"]["runAsNonRoot"]
    assert f"USER {pod['securityContext']['runAsUser']}:" in (HOUSE / "Dockerfile").read_text()
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod["automountServiceAccountToken"]
    assert {each["mountPath"] for each in container["volumeMounts"]} == {"/secrets", "/tmp"}


@every_pod
def test_a_pod_ends_after_its_worker(pod):
    """
    The worker has its whole grace, and some seconds to say so, before it is killed.
    """
    variables = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}

    assert pod["terminationGracePeriodSeconds"] >= float(variables["AUDIENCES_GRACE"]) + 10
    assert variables["AUDIENCES_SECRETS"] == "/secrets"


@every_pod
def test_a_service_of_the_same_name_does_no_harm(pod):
    """
    Kubernetes would give the pod AUDIENCES_PORT=tcp://… for a Service called `audiences`: it is told not to.
    """
    assert pod["enableServiceLinks"] is False


def test_the_pods_that_stay_are_watched():
    """
    Both probes ask what `serve` answers, on the port that it is told and Prometheus asks.
    """
    [deployment] = [each for each in documents() if each["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    [container] = template["spec"]["containers"]
    [port] = container["ports"]

    assert {"name": "AUDIENCES_PORT", "value": str(port["containerPort"])} in container["env"]
    assert template["metadata"]["annotations"]["prometheus.io/port"] == str(port["containerPort"])
    for probe, path in (("startup", "/healthz"), ("liveness", "/healthz"), ("readiness", "/readyz")):
        assert container[f"{probe}Probe"]["httpGet"] == {"path": path, "port": port["name"]}


def test_one_of_two_workers_may_be_away():
    """
    The budget is of the pods that the Deployment makes, and leaves one of them.
    """
    found = {each["kind"]: each["spec"] for each in documents()}
    deployment, budget = found["Deployment"], found["PodDisruptionBudget"]

    assert budget["selector"]["matchLabels"] == deployment["template"]["metadata"]["labels"]
    assert 0 < budget["maxUnavailable"] < deployment["replicas"]


def test_a_job_is_not_begun_beside_another_or_again():
    """
    A run that takes long is let go on, and one that failed waits for the schedule of its own audience.
    """
    [job] = [each["spec"] for each in documents() if each["kind"] == "CronJob"]

    assert job["concurrencyPolicy"] == "Forbid"
    assert job["jobTemplate"]["spec"]["backoffLimit"] == 0


def test_compose_keeps_the_state_and_gives_the_worker_time():
    """
    The state database is on a volume; the worker has no rights, its whole grace, and secrets as files of their names.
    """
    worker, state = COMPOSE["services"]["worker"], COMPOSE["services"]["state"]

    assert state["volumes"][0].partition(":")[0] in COMPOSE["volumes"]
    assert float(worker["stop_grace_period"].removesuffix("s")) >= float(worker["environment"]["AUDIENCES_GRACE"]) + 10
    assert (worker["read_only"], worker["cap_drop"], worker["tmpfs"]) == (True, ["ALL"], ["/tmp"])
    assert {*worker["secrets"], *state["secrets"]} == COMPOSE["secrets"].keys()
    assert {name.removeprefix("AUDIENCES_").lower() for name in worker["secrets"]} <= Settings.model_fields.keys()


def test_a_fork_gets_no_secret():
    """
    The workflow runs with the rights of the pull request; what has a secret, or writes, runs for no fork.
    """
    trusted = "github.event.pull_request.head.repo.full_name == github.repository"

    assert WORKFLOW["on"].keys() == {"pull_request"}
    assert WORKFLOW["permissions"] == {"contents": "read"}
    for name, job in WORKFLOW["jobs"].items():
        careful = "secrets." not in yaml.dump(job) and "permissions" not in job
        assert careful or job["if"] == trusted, name
    assert WORKFLOW["jobs"]["plan"]["permissions"] == {"contents": "read", "pull-requests": "write"}


def test_what_runs_connectors_cannot_write():
    """
    The step that plans, and so runs the branch's connectors, has the warehouse's secret alone; no step keeps git's.
    """
    [plan] = [step for step in steps("plan") if "audiences plan" in step.get("run", "")]
    checkouts = [step for job in WORKFLOW["jobs"] for step in steps(job) if "checkout" in step.get("uses", "")]

    assert [name for name, value in plan["env"].items() if "${{" in value] == ["AUDIENCES_WAREHOUSE_URL"]
    assert all(step["with"]["persist-credentials"] == "false" for step in checkouts)


def test_no_script_holds_words_of_a_pull_request():
    """
    Nothing that somebody could write into a title or a branch's name becomes part of a script.
    """
    assert not [step for job in WORKFLOW["jobs"] for step in steps(job) if "${{" in step.get("run", "")]
