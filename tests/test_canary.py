"""The watch that every test is under sees what it should."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

TESTS = Path(__file__).parent

# Each of these tests passes by itself, and lets out what it should not.
LEAKS = """
import logging, subprocess, sys
import click, pytest, structlog
from click.testing import CliRunner
from audiences.errors import DefinitionError

ADA = "ada" + "@example.com"

def test_a_line_of_the_log():
    structlog.get_logger().info("batch.sent", who=ADA)

def test_a_line_of_another_log():
    logging.getLogger("httpx").warning("HTTP Request: %s", ADA)

def test_an_error():
    with pytest.raises(DefinitionError):
        raise DefinitionError(f"cannot send {ADA}", do="do not")

def test_the_cause_of_an_error():
    with pytest.raises(DefinitionError):
        try:
            int(ADA)
        except ValueError as error:
            raise DefinitionError("cannot send", do="do not") from error

def test_printed_by_a_command():
    CliRunner().invoke(click.Command("c", callback=lambda: click.echo(ADA, err=True)))

def test_raised_by_a_command():
    CliRunner().invoke(click.Command("c", callback=lambda: int(ADA)))

def test_printed_by_a_process():
    subprocess.run([sys.executable, "-c", f"print('{ADA}')"], capture_output=True)

def test_printed():
    print(ADA)

def test_printed_and_read(capsys):
    print(ADA)
    capsys.readouterr()

@pytest.fixture(scope="module")
def noisy():
    print(ADA)

def test_printed_before_it_began(noisy):
    pass

def test_a_secret():
    print("not-a-real-" + "token")

def test_a_name():
    print("A" + "da was here")
"""

KEPT = """
import pytest
from audiences.errors import DefinitionError

def test_the_cause_is_cut_off():
    with pytest.raises(DefinitionError):
        try:
            int("ada" + "@example.com")
        except ValueError:
            raise DefinitionError("cannot send a member", do="look: audiences refused") from None

def test_an_owner_and_a_masked_person():
    print("cx@example.com was told of j…@e….com")
"""


def verdicts(folder: Path, tests: str) -> dict[str, bool]:
    """name -> whether it came through, of each of these tests, run under the watch in a pytest of its own."""
    (folder / "test_them.py").write_text(tests)
    where = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])}
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "--junitxml=report.xml", "test_them.py"]
    subprocess.run(command, cwd=folder, env=where, stdout=subprocess.DEVNULL, check=False)
    cases = ElementTree.parse(folder / "report.xml").iter("testcase")
    return {case.attrib["name"]: case.find("error") is None and case.find("failure") is None for case in cases}


def test_whatever_gets_out_is_seen(tmp_path):
    """
    A person, a name or a secret in a log line, an error, its cause or printed words fails the test that let it out.
    """
    came_through = verdicts(tmp_path, LEAKS)

    assert len(came_through) == LEAKS.count("def test_") == 12
    assert not any(came_through.values()), came_through


def test_what_is_kept_is_not_seen(tmp_path):
    """
    A cause that is cut off, an owner and a masked person are no leaks.
    """
    came_through = verdicts(tmp_path, KEPT)

    assert came_through == {"test_the_cause_is_cut_off": True, "test_an_owner_and_a_masked_person": True}
