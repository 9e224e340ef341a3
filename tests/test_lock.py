"""What the lock files promise; checked without a network."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement

HOUSE = Path(__file__).parent.parent
PROJECT = tomllib.loads((HOUSE / "pyproject.toml").read_text())

LOCKS = ["requirements.lock", "requirements-dev.lock"]
BESIDE = sorted(str(path.relative_to(HOUSE)) for path in HOUSE.glob("tests/*/*.lock"))


class Pin(NamedTuple):
    """One entry of a lock file; `via` is its comment on who asks for it."""

    version: str
    hashes: int
    via: str


def pinned(lock: str) -> dict[str, Pin]:
    """name -> pin of a lock file."""
    entries = re.split(r"^(?=\S)", (HOUSE / lock).read_text(), flags=re.MULTILINE)
    return {entry.split("==")[0]: pin(entry) for entry in entries if entry.strip()}


def pin(entry: str) -> Pin:
    """What an entry says. Raises ValueError where it names no version."""
    what, _, via = entry.partition("# via")
    return Pin(what.split("==", 1)[1].split()[0], what.count("--hash=sha256:"), via)


def asked(*groups: str) -> list[Requirement]:
    """What pyproject.toml asks for: the project itself with all its extras, and what is in these groups."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    lists = [PROJECT["project"]["dependencies"], *extras, *(PROJECT["dependency-groups"][group] for group in groups)]
    return [Requirement(each) for asks in lists for each in asks if isinstance(each, str)]


@pytest.mark.parametrize(("lock", "groups"), list(zip(LOCKS, [(), ("test", "dev")], strict=True)), ids=LOCKS)
def test_the_lock_is_fresh(lock, groups):
    """
    The lock holds every requirement of pyproject.toml at a version that meets it, and no requirement that is gone.
    """
    pins, wanted = pinned(lock), asked(*groups)

    stale = [str(each) for each in wanted if each.name not in pins or pins[each.name].version not in each.specifier]
    direct = {name for name, pin in pins.items() if "(pyproject.toml" in pin.via}

    assert not stale, "run make lock"
    assert direct == {each.name for each in wanted}, "run make lock"


@pytest.mark.parametrize("lock", LOCKS + BESIDE)
def test_the_lock_vouches_for_every_file(lock):
    """
    Every pin has its hashes, and no line names a host: whoever installs chooses where from.
    """
    assert all(pin.hashes for pin in pinned(lock).values())
    assert "://" not in (HOUSE / lock).read_text()


def test_both_locks_agree():
    """
    What is tested is what ships: a package in both locks has one version.
    """
    runtime, everything = (pinned(lock) for lock in LOCKS)

    assert {name: pin.version for name, pin in runtime.items()} == {name: everything[name].version for name in runtime}
