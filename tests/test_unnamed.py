"""Members whom a provider refuses without saying whom: counted and told, and nobody is taken for one of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import jobs
from alerted import Office
from audiences.member import Member, Receipt
from prompt import Project
from scheduled import Clock

PEOPLE = [(number, f"p{number}@x", number) for number in range(20)]
COUNTS = """
def upsert(self, list_id, members):
    return Receipt.of(members, super().upsert(list_id, members).rejected, unnamed=2)
"""


@pytest.fixture
def project(tmp_path):
    found = Project(tmp_path)
    found.people(*PEOPLE)
    found.odd(COUNTS)
    return found


def test_a_number_is_told_once_and_names_nobody(project):
    """
    4: the run that was told a number says it, and whoever looks at that run; all its members count as delivered, and
    nobody is refused. The next run has nothing to send, and ends with 0.
    """
    first, again = project.types("sync", "odd"), project.types("sync", "odd", "--json")
    newest, oldest = project.types("history", "odd", "--json").told["runs"]

    assert (first.code, again.code) == (4, 0)
    assert "  delivered; 2 of them refused, and it does not say whom\n" in first.out
    assert "20 changes delivered." in first.out
    assert (again.told["syncs"][0]["unnamed"], again.told["syncs"][0]["refused"]) == (0, 0)
    assert (oldest["unnamed"], oldest["delivered"], oldest["refused"], newest["unnamed"]) == (2, 20, 0, 0)
    assert ", 2 refused unnamed, " in project.types("run", oldest["id"]).out
    assert project.types("history", "odd").out.splitlines()[1].endswith("2 refused unnamed")


def test_status_tells_the_number_of_the_last_run(project):
    """
    `status` tells it beside the last run, and no more once another has ended.
    """
    project.types("sync", "odd")
    before = project.types("status", "odd")
    project.types("sync", "odd")
    after = project.types("status", "odd", "--json").told["syncs"][0]

    assert "; 2 refused by the provider without saying whom" in before.out
    assert (after["last"]["unnamed"], after["refused"]) == (0, 0)


def test_a_job_that_fails_in_part_and_names_nobody(tmp_path):
    """
    A verdict that comes late may be a number, too: each job's is counted by the run that hears it.
    """
    world = jobs.world(tmp_path)
    world.people(*PEOPLE[:3])
    world.receiver.unnamed = 1
    first = world.sync()
    world.receiver.works()
    judged, after = world.sync(), world.sync()

    assert (first.unnamed, judged.unnamed, after.unnamed) == (0, 2, 0)
    assert (judged.delivered, judged.refused, judged.fresh) == (3, 0, 0)
    assert len(world.ledger()) == 3


def test_a_number_is_never_more_than_was_accepted():
    """
    A provider may count one member under several reasons, and whom it named is not counted again.
    """
    members = [Member("1", {}), Member("2", {})]

    assert Receipt.of(members, {"1": "no"}, unnamed=7).unnamed == 1


def test_a_share_of_a_run_is_told(tmp_path):
    """
    More than the share of what one run delivered is told once; a run that delivers too little to judge by leaves it.
    """
    office = Office(tmp_path, Clock(f"{datetime.now(UTC):%Y-%m-%dT%H}:07"))
    with office.looks() as look:
        look.ran("delivered", delivered=100, unnamed=5, size=100)
        quiet = look()
        look.ran("delivered", delivered=100, unnamed=6, size=200)
        look()
        look.ran("delivered", delivered=9, unnamed=0, size=209)
        small = look()
        look.ran("delivered", delivered=10, unnamed=0, size=219)

        told = ["team.webhook has too many members refused unnamed"]
        assert (quiet, small, look()) == ([], told, [*told, "team.webhook is well again"])
    assert "6 of 100 changes refused without saying whom (6%); told above 5%\n" in office.slack.messages[0]


def test_no_share_of_nothing_is_told(tmp_path):
    """
    A guard without a floor, and a run that delivers nothing: it keeps no other notice back.
    """
    office = Office(tmp_path, Clock(f"{datetime.now(UTC):%Y-%m-%dT%H}:07"))
    office.line("team", "@hourly", "[guard]\nfloor = 0")
    with office.looks() as look:
        look.ran("delivered", delivered=0, refused=50, size=100)

        assert look() == ["team.webhook has too many members refused"]
