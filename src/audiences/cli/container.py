"""Whether a folder outlives the container that the worker runs in; no container, and every folder does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
MARKS = (".dockerenv", "run/.containerenv")  # what Docker and Podman leave in a container's root
MEMORY = ("tmpfs", "ramfs")
EMPTY_DIR = "kubernetes.io~empty-dir"  # the kubelet's name for it, part of the folder that is mounted


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of /proc/self/mountinfo: what is mounted where. source: the folder of the file system that is seen."""

    point: Path
    source: str
    kind: str


def lost(folder: Path, root: Path, environment: Mapping[str, str]) -> str | None:
    """Why what is written in a folder goes with the container; None where it stays, or nobody can tell.

    root: where the system's own files are looked for; environment: of this process
    """
    mounts = list(_mounts(root))
    where = folder.resolve()
    found = [mount for mount in mounts if where.is_relative_to(mount.point)]
    if not found or not _inside(root, environment, mounts):
        return None
    mount = max(reversed(found), key=lambda each: len(each.point.parts))  # the last that was mounted there is seen
    if mount.kind in MEMORY:
        return "is in memory alone"
    if EMPTY_DIR in mount.source:
        return "is in an emptyDir, which goes with its pod"
    return "is on no volume" if mount.point == Path("/") else None


def _inside(root: Path, environment: Mapping[str, str], mounts: list[Mount]) -> bool:
    if "KUBERNETES_SERVICE_HOST" in environment or any((root / mark).exists() for mark in MARKS):
        return True
    return any(mount.point == Path("/") and mount.kind == "overlay" for mount in mounts)


def _mounts(root: Path) -> Iterator[Mount]:
    """Every mount; none where the system does not tell.

    https://docs.kernel.org/filesystems/proc.html#proc-pid-mountinfo-information-about-mounts (read 2026-11)
    """
    try:
        lines = (root / "proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        before, _, after = line.partition(" - ")
        source, point = before.split()[3:5]
        yield Mount(Path(_plain(point)), source, after.split()[0])


def _plain(path: str) -> str:
    """A path as it is: blanks and backslashes stand there as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), path)
