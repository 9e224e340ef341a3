"""What every test stands on: a clean environment, and a watch that nothing private gets out."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from coverage import Coverage

import canary
from audiences.cli import container
from audiences.http import AUTHORITIES
from engines import DuckDB, PostgreSQL, either, engine, holder  # noqa: F401 (fixtures)
from mariadb import mariadb_server  # noqa: F401 (a fixture)
from postgres import databases, postgres, postgres_server  # noqa: F401 (fixtures)
from states import state_url  # noqa: F401 (a fixture)

CONNECTORS = Path(__file__).parent.parent / "connectors"
OURS = ("AUDIENCES_", *(f"{path.stem.upper()}_" for path in CONNECTORS.glob("*.py")))
MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30


def pytest_configure(config):
    """Watch from the first test on; keep the tests' folders in memory where there is room for them."""
    canary.watch()
    atexit.register(hush)
    if hasattr(config, "workerinput"):  # a worker has begun with it; what it starts is as users start it
        os.environ.pop("GLIBC_TUNABLES", None)
    # A database waits for the disk at every commit, here for nothing: no test cuts the power.
    if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
        tempfile.tempdir = str(MEMORY)


def pytest_collection_finish():
    """Let the collector pass over the tests themselves, and come seldom: what it reads again and again outlives it."""
    gc.freeze()
    gc.set_threshold(20_000, 20)


def pytest_sessionfinish():
    """Let what is left of the tests be: pytest would look five times for what nobody refers to any more."""
    gc.freeze()


def hush():
    """Close stderr to the last words of the interpreter: DuckDB's binding counts its own objects there as leaks."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def pytest_terminal_summary(terminalreporter):
    """Say at the end what was left out, and why: a line a reason, however many tests it keeps from running."""
    skipped = terminalreporter.getreports("skipped")
    reasons = Counter(report.longrepr[2].removeprefix("Skipped: ") for report in skipped)
    for reason, number in reasons.most_common():
        terminalreporter.write_line(f"left out: {number} test{'s' if number > 1 else ''}: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    """Watch no lines of a test that says `no_cover`, nor of what is set up for it."""
    watch = Coverage.current() if item.get_closest_marker("no_cover") else None
    if watch:
        watch.stop()
    try:
        return (yield)
    finally:
        if watch:
            watch.start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """What a test printed, itself or through a process of its own, is watched too."""
    report = yield
    for section, words in report.sections:
        if section.endswith(report.when):  # the sections of earlier phases are told again
            canary.saw(words)
    return report


@pytest.fixture(autouse=True)
def nothing_private_gets_out():
    """No address, name or token is in any log line, error, exception chain or printed word of any test."""
    yield

    assert not canary.leaks()


@pytest.fixture(autouse=True)
def no_warehouse_stays_open():
    """What a test has opened ends with it."""
    yield

    for kind in (DuckDB, PostgreSQL):
        for url in [*kind.kept]:
            kind.close(url)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path_factory):
    """No setting of whoever runs the tests counts, nor the container around them; no state of theirs is touched.

    Nor do the authorities count that they trust, which a client would read anew.
    """
    for name in [name for name in os.environ if name.startswith(OURS) or name in AUTHORITIES]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    monkeypatch.setattr(container, "ROOT", Path("/nowhere"))
