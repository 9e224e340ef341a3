"""What a person has to mend at a provider, as its connector says it: terms to accept, a right, a programme."""

from __future__ import annotations

import pytest

from prompt import Project

ASKED = 'raise DeliveryError("the terms for lists are not accepted", do="accept them: https://lists.example.com/terms")'
SAID = "the terms for lists are not accepted\n  do: accept them: https://lists.example.com/terms\n"


@pytest.fixture
def project(tmp_path):
    found = Project(tmp_path)
    found.people((1, "anna@x", 7), (2, "ben@x", 8))
    return found


def test_check_says_it_before_anything_is_sent(project):
    """
    1: the section is named, with the reason and the way out as the connector has them; other accounts are tried.
    """
    project.odd(f"def check(self): {ASKED}")
    ended, machine = (project.types("check", "--connectors", *words) for words in ((), ("--json",)))

    assert ended.code == machine.told["exit"] == 1
    assert ended.err == f"error: odd: {SAID}"
    assert "file  ok\nodd   failed\n" in ended.out
    assert machine.told["connectors"][1]["error"]["do"] == "accept them: https://lists.example.com/terms"


@pytest.mark.parametrize("verb", ["prepare(self, name)", "upsert(self, list_id, members)"])
def test_a_sync_stops_with_it(project, verb):
    """
    1: nothing is in doubt and nobody is refused; once it is mended, the next run delivers.
    """
    project.odd(f"def {verb}: {ASKED}")
    failed = project.types("sync", "odd")
    standing = project.types("status", "odd", "--json").told["syncs"][0]
    project.odd("pass")
    mended = project.types("sync", "odd")

    assert failed.code == 1
    assert f"error: odd.odd failed: {SAID}" in failed.err
    assert (standing["listed"], standing["refused"], standing["last"]["result"]) == (0, 0, "failed")
    assert (mended.code, "2 changes delivered." in mended.out) == (0, True)
