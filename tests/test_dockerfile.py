"""The Dockerfile, read as Docker reads it: no engine builds it here, so what can be said without one is said."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from audiences.cli import COMMANDS
from audiences.schedule.health import Health, listening
from audiences.settings import Settings

HOUSE = Path(__file__).parent.parent


def instructions(path: Path) -> list[tuple[str, str]]:
    """(name, rest) of each instruction of the last stage: the one that ships."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found = [(name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in text.splitlines())]
    last = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    return [each for each in found[last:] if each[0]]


IMAGE = instructions(HOUSE / "Dockerfile")


def said(name: str) -> str:
    """What the last instruction of a name says: it is the one that holds."""
    return [rest for each, rest in IMAGE if each == name][-1]


def variables() -> dict[str, str]:
    """The environment that the image gives."""
    return dict(re.findall(r'(\w+)="?([^\s"]+)"?', said("ENV")))


def loaded():
    """The health check, as a module."""
    spec = importlib.util.spec_from_file_location("healthcheck", HOUSE / "deploy" / "healthcheck.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_signals_reach_the_worker():
    """
    The worker is the container's first process: no shell stands before it, and the signal is one that it hears.
    """
    assert json.loads(said("ENTRYPOINT")) == ["audiences"]
    assert json.loads(said("CMD"))[0] in COMMANDS
    assert said("STOPSIGNAL") == "SIGTERM"


def test_it_runs_as_nobody_in_particular():
    """
    The user is a number that is not root's, as `runAsNonRoot` of Kubernetes asks, and owns the folder of the state.
    """
    user, _, group = said("USER").partition(":")

    assert int(user) > 0
    assert f"--owner={user} --group={group} {variables()['XDG_STATE_HOME']}" in said("RUN")


def test_no_unnamed_volume_hides_that_none_was_given():
    """
    There is no VOLUME: state that is not on one shows, and the worker says so.
    """
    assert "VOLUME" not in dict(IMAGE)


def test_the_image_says_what_it_is():
    """
    Title, description, licence and the commit that it was built from stand in the labels of the OCI.
    """
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]+)"', said("LABEL")))

    assert labels.keys() == {"title", "description", "licenses", "revision"}
    assert said("ARG").startswith(labels["revision"].removeprefix("$"))


def test_what_is_copied_is_there():
    """
    Everything that the image takes from the checkout is in it, and let through by .dockerignore.
    """
    ignored = (HOUSE / ".dockerignore").read_text().splitlines()
    copied = [rest.split()[0] for name, rest in IMAGE if name == "COPY" and not rest.startswith("--from")]

    assert copied
    assert all((HOUSE / path).is_file() and f"!{path}" in ignored for path in copied)


def test_a_projects_image_knows_its_commit():
    """
    A project's own image is built with the commit of its definitions, which the worker reads from its environment.
    """
    own = dict(instructions(HOUSE / "deploy" / "Dockerfile"))

    assert own["ARG"] == "AUDIENCES_COMMIT"
    assert own["ENV"] == 'AUDIENCES_COMMIT="$AUDIENCES_COMMIT"'


@pytest.mark.parametrize(
    ("words", "port"),
    [
        ("audiences serve", "8080"),
        ("audiences serve --port 9", "9"),
        ("audiences serve --port=9", "9"),
        ("/sbin/docker-init -- audiences -C /project serve", "8080"),
        ("audiences serve --once", None),
        ("audiences sync --all", None),
    ],
)
def test_only_a_worker_that_stays_is_watched(words, port):
    """
    The health check asks where `serve` answers; a container with another command has nothing to be asked.
    """
    assert loaded().port(words, variables()) == port


def test_the_health_check_tells_what_healthz_tells():
    """
    0 while jobs are woken, 1 once they are not: what Docker takes for healthy and unhealthy.
    """
    answers = iter([True, False])
    with listening(Health(lambda: next(answers), {}, CollectorRegistry()), 0) as port:
        codes = [loaded().main(f"audiences serve --port {port}", {}) for _ in range(2)]

    assert codes == [0, 1]


def test_a_worker_that_does_not_answer_is_unhealthy():
    """
    1 where nobody listens.
    """
    assert loaded().main("audiences serve --port 1", {}) == 1


def test_the_health_check_is_run_as_written():
    """
    Its command is Python and the file that is copied, without a shell; Docker's time-out leaves it time to answer.
    """
    options, _, command = said("HEALTHCHECK").partition(" CMD ")
    target = [rest.split()[1] for name, rest in IMAGE if name == "COPY" and "healthcheck.py" in rest]

    assert json.loads(command) == ["python", *target]
    assert int(re.search(r"--timeout=(\d+)s", options)[1]) > loaded().TIMEOUT
    assert Settings(port=variables()["AUDIENCES_PORT"]).port == int(said("EXPOSE"))
