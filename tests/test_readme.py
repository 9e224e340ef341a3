"""The README's own words: what it shows works as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from audiences import definition
from audiences.cli import COMMANDS

HOUSE = Path(__file__).parent.parent
README = (HOUSE / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    """The README's code in one language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_audience_can_be_read(tmp_path):
    """
    The audience file that the README shows is one.
    """
    [text] = blocks("sql")
    (tmp_path / "detractors.sql").write_text(text)

    audience = definition.load(tmp_path / "detractors.sql", "duckdb")

    assert [sync.name for sync in audience.syncs] == ["detractors.webhook"]


def test_the_connector_keeps_every_promise(tmp_path):
    """
    The connector and the sandbox that the README shows, copied into a project, are found by the suite and pass it.
    """
    connector, sandbox = blocks("python")
    for path, text in (("connectors/pigeon.py", connector), ("tests/sandboxes/pigeon.py", sandbox)):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)

    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "tests/test_every_connector.py",
            "-k",
            "pigeon",
        ],
        cwd=HOUSE,
        env=os.environ | {"AUDIENCES_PROJECT": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert ran.returncode == 0, ran.stdout
    assert len(connector.splitlines()) < 50
    assert int(re.search(r"(\d+) passed", ran.stdout)[1]) > 20


def test_every_command_is_named():
    """
    The README's table has every command of the command line.
    """
    named = set(re.findall(r"`([a-z]+)[^`]*`", README[README.index("| command |") : README.index("Exit codes")]))

    assert set(COMMANDS) <= named
