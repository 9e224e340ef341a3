"""The page on writing a connector: every file that it shows is found, run and held to every promise, as it stands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

import pytest

from audiences import project as projects
from audiences.cli import COMMANDS
from audiences.connector import Limits, Proof
from audiences.verbs import Verbs
from test_every_connector import sandbox_of
from world import HEADER, Killed, World

HOUSE = Path(__file__).parent.parent
PAGE = (HOUSE / "docs" / "writing-a-connector.md").read_text("utf-8")
FILES = dict(re.findall(r"^`([\w/.]+)`[^\n]*\n\n```\w+\n(.*?)```$", PAGE, re.DOTALL | re.MULTILINE))
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
SUITE = [f"tests/test_every_{what}.py" for what in ("connector", "request", "cassette", "consent", "pace")]

NOT_YET = 'if said["state"] != "done":\n            return None'
TOLD = "self.told(self.uploads[name])"
ONCE = TOLD.replace(
    "uploads[name]", 'uploads.pop(name) if self.uploads[name]["state"] == "done" else self.uploads[name]'
)

# A fault of Magpie's connector or sandbox -> what the suite says of it, and what makes it: a text there -> another.
FAULTS = {
    "hasty": ("before the job is done", {NOT_YET: NOT_YET.replace("None", "Receipt.of(members)")}),
    "sleepy": ("no verdict after the sandbox's works()", {NOT_YET: NOT_YET.replace("done", "finished")}),
    "silent": ("speak of every member", {"(members, {key: why": "(members[1:], {key: why"}),
    "numbered": ("a ticket is text, and not int", {"ticket=str(": "ticket=len("}),
    "ticketless": ("a ticket is text, and not None", {"ticket=str(": "ticket=print("}),
    "mixed": ("'bad'", {TOLD: "self.told([*self.uploads.values()][-1])"}),
    "plain": ("has no outcome", {"def outcome(": "def result("}),
    "keeping": ("'kept'", {"  hashes = [": "  self.kept = hashes = [", NOT_YET: f"self.kept\n        {NOT_YET}"}),
    "fickle": ("something else when it is asked again", {TOLD: ONCE}),
    "idle": ("magpie_idle.py writes outcome: write works(self)", {"def works(": "def rests("}),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with the page's files, and the vendor's specification in a folder beside it."""
    folder = tmp_path_factory.mktemp("page")
    for name, text in FILES.items():
        path = folder / ("specifications" if name == "flock/openapi.yaml" else "project") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("…", sha256(FILES["flock/openapi.yaml"].encode()).hexdigest()))
    return folder / "project"


@pytest.fixture
def magpie(tmp_path, project, monkeypatch):
    """A world with three people, and the page's Magpie as its destination."""
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)
    made = World(tmp_path, "magpie")
    made.define(text=HEADER.replace('"email", "nps"', '"email"'))
    made.people((1, "anna@example.com"), (2, " Ben@Example.com"), (3, "never@example.com"), (4, "nowhere"))
    made.receiver = sandbox_of(tmp_path / "connectors" / "magpie.py").Sandbox()
    for variable, value in made.receiver.settings.items():
        monkeypatch.setenv(variable, value)
    return made


def altered(text, other):
    for old, new in other.items():
        text = text.replace(old, new)
    return text


def hashed(*names):
    return {sha256(f"{name}@example.com".encode()).hexdigest() for name in names}


def run(project, *words):
    """One command in the checkout, for this project's connectors."""
    ours = {"AUDIENCES_PROJECT": str(project), "AUDIENCES_SPECIFICATIONS": str(project.parent / "specifications")}
    where = os.environ | ours | {"PYTHONPATH": os.pathsep.join(["src", "tests"])}
    return subprocess.run([sys.executable, *words], cwd=HOUSE, env=where, capture_output=True, text=True)


def test_the_page_shows_whole_files():
    """
    Three connectors with their sandboxes, a specification, and what names it.
    """
    assert set(FILES) == {
        "connectors/flock.py",
        "connectors/magpie.py",
        "connectors/nest.py",
        "tests/sandboxes/flock.py",
        "tests/sandboxes/magpie.py",
        "tests/sandboxes/nest.py",
        "tests/specifications.toml",
        "flock/openapi.yaml",
    }


def test_what_the_page_shows_keeps_every_promise(project):
    """
    Its connectors pass the suite, the specification and a cassette that is recorded as the page says.
    """
    recorded = [run(project, "tests/record.py", name, "sandbox") for name in ("flock", "magpie")]
    ran = run(project, *PYTEST, *SUITE, "-k", "(flock or magpie or nest) and not real_clock")

    assert [each.returncode for each in recorded] == [0, 0], recorded
    assert (project / "tests" / "cassettes" / "flock.yaml").is_file()
    asked = (project / "tests" / "cassettes" / "magpie.yaml").read_text("utf-8").partition("/uploads/up-1")[2]
    assert 0 < asked.find("queued") < asked.find("done")
    assert ran.returncode == 0, ran.stdout
    assert "skipped" not in ran.stdout
    assert int(re.search(r"(\d+) passed", ran.stdout)[1]) > 110


def test_a_ticket_that_does_not_keep_its_promises_is_caught(tmp_path):
    """
    Each fault that a connector with tickets or its sandbox may have fails the suite, and in clear words.
    """
    for fault, (_, other) in FAULTS.items():
        for name in ("connectors/magpie.py", "tests/sandboxes/magpie.py"):
            path = tmp_path / name.replace("magpie", f"magpie_{fault}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(altered(FILES[name], {"MAGPIE_": f"MAGPIE_{fault.upper()}_", **other}))

    run(tmp_path, *PYTEST, "--tb=no", "--no-summary", f"--junitxml={tmp_path / 'found.xml'}", SUITE[0], "-k", "magpie_")

    found = ElementTree.parse(tmp_path / "found.xml").iter("testcase")
    told = [(each.get("name"), part.get("message")) for each in found for part in each]
    for fault, (said, _) in FAULTS.items():
        assert [name for name, words in told if f"magpie_{fault}]" in name and said in words], fault


def test_taken_in_is_not_delivered_and_the_next_run_asks(magpie):
    """
    An upload is not sent again while it is open, and its verdict is settled by the run after; who is no address is
    refused at once.
    """
    first, second = magpie.sync(), magpie.sync()
    before = magpie.ledger()
    magpie.receiver.works()
    third = magpie.sync()

    assert (first.pending, first.refused, second.pending) == (3, 1, 3)
    assert len(magpie.receiver.uploads) == 1
    assert before == set()
    assert (third.pending, third.refused, third.plan.listed) == (0, 2, 2)
    assert magpie.receiver.audiences == {"L": hashed("anna", "ben")}


def test_nothing_overtakes_an_open_upload(magpie):
    """
    Who leaves while an upload is open is removed after its verdict.
    """
    magpie.sync()
    magpie.people((2, "ben@example.com"))
    magpie.sync()
    waiting = len(magpie.receiver.uploads)
    for _ in range(2):
        magpie.receiver.works()
        magpie.sync(force=True)
    magpie.receiver.works()

    assert waiting == 1
    assert magpie.receiver.audiences == {"L": hashed("ben")}


@pytest.mark.parametrize("end", ["forgotten", "failed"])
def test_an_upload_without_a_result_is_sent_again(magpie, end):
    """
    Where the provider has lost an upload or could not work it through, everybody in it is refused, and sent again.
    """
    magpie.sync()
    if end == "forgotten":
        magpie.receiver.uploads.clear()
    else:
        magpie.receiver.uploads["up-1"] |= {"state": "failed", "why": "out of order"}
    refused = magpie.sync()
    magpie.later(hours=2)
    again = magpie.sync()

    assert (refused.pending, refused.refused) == (0, 4)
    assert again.pending == 3


def test_a_lost_ticket_is_waited_for(magpie):
    """
    Where the answer to an upload was lost, its members are sent again once no job of it can be open any more.
    """
    sandbox = magpie.receiver

    def lost(request):
        sandbox(request)
        raise Killed

    magpie.receiver = lost
    with pytest.raises(Killed):
        magpie.sync()
    magpie.receiver = sandbox
    magpie.forget_lease()
    first = magpie.sync()
    magpie.later(hours=23)
    early, uploads = magpie.sync(), len(sandbox.uploads)
    magpie.later(hours=2)
    late = magpie.sync()

    assert (first.plan.pending, early.plan.pending, uploads) == (4, 4, 1)
    assert (late.pending, len(sandbox.uploads)) == (3, 2)


def test_a_field_that_the_page_s_provider_does_not_take_is_named(magpie):
    """
    What is sent beside the address is a mistake that is said, with the way out.
    """
    magpie.define()

    [error] = projects.load(magpie.folder, magpie.engine.dialect).errors

    assert "takes addresses, and no 'nps'" in str(error)
    assert 'write send = ["email"]' in str(error)


def test_the_page_has_every_verb_and_every_proof():
    """
    Each optional verb that is followed, each limit and each proof stands in the page, and nothing that is not there.
    """
    verbs = set(re.findall(r"^\| `(\w+)\(", PAGE, re.MULTILINE))
    proofs = set(re.findall(r"^\| `Proof\.(\w+)`", PAGE, re.MULTILINE))

    assert verbs == {name for name in vars(Verbs) if not name.startswith("_")}
    assert proofs == set(Proof.__members__)
    assert f"Limits({', '.join(Limits.__dataclass_fields__)})" in PAGE
    assert set(re.findall(r"audiences (check|connectors)\b", PAGE)) <= set(COMMANDS)


def test_the_page_is_told_the_commands_that_there_are():
    """
    What it says to type exists: the test files, and the goal of the Makefile.
    """
    typed = re.findall(r"^    .*?(tests/[\w/]+\.py|make \w+)", PAGE, re.MULTILINE)

    assert typed
    assert all((HOUSE / each).is_file() for each in typed if each.startswith("tests/"))
    assert all(f"\n{each[5:]}:" in (HOUSE / "Makefile").read_text() for each in typed if each.startswith("make "))
