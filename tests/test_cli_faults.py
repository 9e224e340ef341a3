"""`audiences sync` with a connector that has a defect or breaks off: what is said, and what the next run makes good."""

from __future__ import annotations

import pytest

from engines import each, either, on
from prompt import ODD, Project, answering

engine = either


PEOPLE = [(number, f"p{number}@x", number) for number in range(20)]


@pytest.fixture
def project(tmp_path, engine):
    found = Project(tmp_path, engine)
    found.people(*PEOPLE)
    return found


FAULTS = {
    "prepare": ("def prepare(self, name):\n    raise KeyError('not-a-real-token')", "KeyError (odd.py:6)"),
    "reach": ("@classmethod\ndef reach(cls, settings):\n    return settings.nothing", "AttributeError"),
    "making": ("def __init__(self, *a):\n    raise ValueError('p1@x')", "ValueError (odd.py:6)"),
    "upsert": ("def upsert(self, list_id, members):\n    return {}[members[0].fields['email']]", "KeyError (odd.py:6)"),
    "flush": ("def flush(self, list_id):\n    raise ValueError('p1@x')", "ValueError (odd.py:6)"),
    "receipt": (
        "def upsert(self, list_id, members):\n    return Receipt.of(members[1:])",
        "does not speak of every member",
    ),
    "silence": ("def upsert(self, list_id, members):\n    pass", "does not speak of every member"),
    "stranger": ("def upsert(self, list_id, members):\n    return Receipt.of(members, {'x': 'no'})", "ValueError"),
    "refusal": (
        "def prepare(self, name):\n    raise BatchRefused('no p1@x here')",
        "the provider refuses the list: no …",
    ),
}


@pytest.mark.parametrize(("engine", "fault"), each(["upsert"], FAULTS), indirect=["engine"])
def test_a_broken_connector_stops_its_sync_alone(project, fault):
    """
    1: whatever a connector's code raises is named by class and line, never in its own words; the other syncs run.
    """
    body, said = FAULTS[fault]
    project.odd(body)

    ended = project.types("sync", "--all")

    assert ended.code == 1
    assert "error: odd.odd failed: " in ended.err
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert ended.out.endswith("20 changes delivered. Syncs: 1 delivered, 1 failed.\n")


BREAKS = "def flush(self, list_id):\n    raise ValueError"


def test_a_mended_connector_goes_on(project):
    """
    What was accepted and not shown yet is on the list after the next run, though there is nothing left to send.
    """
    project.odd(BREAKS)
    project.types("sync", "odd")
    project.odd("pass")

    ended = project.types("sync", "odd")

    assert ended.code == 0
    assert len(project.written("odd")) == 20


def test_a_move_that_broke_off_is_finished(project):
    """
    The list that a sync has left is emptied by the next run too, where the first one broke off before that showed.
    """
    project.odd("pass")
    project.types("sync", "odd")
    project.odd(BREAKS)
    path = project.folder / "audiences" / "odd.sql"
    path.write_text(path.read_text().replace('list = "odd"', 'list = "new"'))
    assert project.types("sync", "odd", "--force").code == 1

    (project.folder / "connectors" / "odd.py").write_text(ODD.format(body="    pass"))
    ended = project.types("sync", "odd")

    assert ended.code == 0
    assert len(project.written("new")) == 20
    assert project.written("odd") == []


def test_a_sync_that_broke_off_is_finished_under_a_new_name(project):
    """
    A sync that is renamed after it broke off shows on its list what was accepted.
    """
    project.odd(BREAKS)
    project.types("sync", "odd")
    project.odd("pass")
    path = project.folder / "audiences" / "odd.sql"
    text = path.read_text().replace('list = "odd"', 'list = "odd"\n-- renamed_from = "odd.odd"')
    path.rename(path.with_name("even.sql")).write_text(text)

    ended = project.types("sync", "even")

    assert ended.code == 0
    assert len(project.written("odd")) == 20


@on("duckdb")
def test_a_sync_that_breaks_says_how_far_it_came(project):
    """
    1: where some of the changes were delivered before, the error says how many.
    """
    project.audience("hooked", "webhook")
    project.small(10)
    answers = iter([(200, {}), (404, {})])
    with answering(lambda told: next(answers)) as where:
        ended = project.types("sync", "hooked", **where)

    assert ended.code == 1
    assert "hooked.webhook failed, with 10 changes delivered before: 127.0.0.1:" in ended.err


def test_an_unknown_outcome_is_no_success(project):
    """
    5: where a call that cannot be repeated had no answer, its members are unknown until someone decides.
    """
    project.odd("repeatable = False\ndef upsert(self, list_id, members):\n    raise Unanswered('no answer', do='wait')")

    first, second = project.types("sync", "odd"), project.types("sync", "odd")

    assert (first.code, second.code) == (1, 5)
    assert "unknown: 20 sent without an answer" in second.out
