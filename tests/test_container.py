"""State that would go with its container is found by what the system says of itself, and told before it is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from audiences.cli import container
from prompt import Project

IN_DOCKER = "100 90 0:50 / / ro,relatime - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A"
ON_A_HOST = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw"
VOLUME = "120 100 8:1 /var/lib/docker/volumes/audiences-state/_data /state rw,relatime - ext4 /dev/sda1 rw"
SPACED = r"121 100 8:1 /srv/mine /my\040state rw,relatime - ext4 /dev/sda1 rw"
TMPFS = "122 100 0:60 / /state rw,nosuid shared:7 - tmpfs tmpfs rw"
CLAIM = "123 100 8:2 /pvc-1 /state rw,relatime - xfs /dev/nvme1n1 rw"
EMPTY_DIR = (
    "124 100 8:1 /var/lib/kubelet/pods/8f/volumes/kubernetes.io~empty-dir/state /state rw,relatime - ext4 /dev/sda1 rw"
)
FOLDER = Path("/state/audiences")


def system(folder: Path, *mounts: str, mark: str = "") -> Path:
    """A system's root with these mounts, and perhaps what an engine leaves in it."""
    (folder / "proc" / "self").mkdir(parents=True)
    (folder / "proc" / "self" / "mountinfo").write_text("".join(f"{mount}\n" for mount in mounts))
    if mark:
        (folder / mark).parent.mkdir(exist_ok=True)
        (folder / mark).touch()
    return folder


def made(folder: Path) -> Project:
    """A project whose state database is a file in its folder."""
    folder.mkdir()
    return Project(folder)


@pytest.mark.parametrize(
    ("mounts", "folder", "why"),
    [
        ([IN_DOCKER], FOLDER, "is on no volume"),
        ([IN_DOCKER, VOLUME], FOLDER, None),
        ([IN_DOCKER, VOLUME], Path("/stately"), "is on no volume"),
        ([IN_DOCKER, SPACED], Path("/my state/audiences"), None),
        ([IN_DOCKER, CLAIM], FOLDER, None),
        ([IN_DOCKER, TMPFS], FOLDER, "is in memory alone"),
        ([IN_DOCKER, EMPTY_DIR], FOLDER, "is in an emptyDir, which goes with its pod"),
        ([IN_DOCKER, TMPFS, VOLUME], FOLDER, None),  # mounted over the other
    ],
)
def test_what_goes_with_the_container_is_found(tmp_path, mounts, folder, why):
    """
    A folder on the container's own file system, in memory or in an emptyDir does not outlive it; one on a volume does.
    """
    assert container.lost(folder, system(tmp_path, *mounts), {}) == why


@pytest.mark.parametrize(
    ("mark", "environment"),
    [(".dockerenv", {}), ("run/.containerenv", {}), ("", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"})],
)
def test_a_container_is_known_by_what_its_engine_leaves(tmp_path, mark, environment):
    """
    Docker, Podman and Kubernetes are known whatever file system the container's root has.
    """
    assert container.lost(FOLDER, system(tmp_path, ON_A_HOST, mark=mark), environment) == "is on no volume"


def test_a_host_keeps_what_it_is_given(tmp_path):
    """
    Without a container nothing is said, also of a folder in memory; nor where the system does not tell.
    """
    assert container.lost(FOLDER, system(tmp_path / "linux", ON_A_HOST, TMPFS), {}) is None
    assert container.lost(FOLDER, tmp_path / "mac", {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) is None


@pytest.mark.parametrize("words", [("check",), ("serve", "--once")])
def test_it_is_told_before_it_is_lost(tmp_path, monkeypatch, words):
    """
    `check` and `serve` warn on stderr, with the file and the remedy, and go on; on a volume they say nothing.
    """
    project = made(tmp_path / "project")
    monkeypatch.setattr(container, "ROOT", system(tmp_path / "docker", IN_DOCKER))
    warned = project.types(*words)
    volume = VOLUME.replace("/state", str(project.folder.resolve()))
    monkeypatch.setattr(container, "ROOT", system(tmp_path / "volume", IN_DOCKER, volume))

    assert warned.code == 0
    assert f"warning: the state database {project.state_file} is on no volume" in warned.err
    assert "do: mount a volume there, or let AUDIENCES_STATE_URL name a PostgreSQL database\n" in warned.err
    assert "warning: the state" not in project.types(*words).err


def test_a_ledger_that_goes_with_the_container_is_told(tmp_path, monkeypatch):
    """
    Where the warehouse is only read, the ledger must outlive the container; a server for the state is no way out then.
    """
    project = made(tmp_path / "project")
    monkeypatch.setattr(container, "ROOT", system(tmp_path / "docker", IN_DOCKER))
    warned = project.types("check", AUDIENCES_LEDGER_URL="duckdb:///ledger.duckdb").err

    assert f"warning: the ledger {project.folder.resolve() / 'ledger.duckdb'} is on no volume: the next" in warned
    assert "PostgreSQL" not in warned


def test_a_server_is_no_file(tmp_path, monkeypatch):
    """
    A state database on PostgreSQL needs no volume, and gets no warning.
    """
    project = made(tmp_path / "project")
    monkeypatch.setattr(container, "ROOT", system(tmp_path / "docker", IN_DOCKER))

    assert "warning" not in project.types("check", AUDIENCES_STATE_URL="postgresql+psycopg://db.example.com/state").err
