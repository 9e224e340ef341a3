"""Lists that are too small for their provider: told before, and a removal that it refuses for that is tried again."""

from __future__ import annotations

import httpx
import pytest

from audiences.errors import DeliveryError
from prompt import Project
from world import World

PEOPLE = [(number, f"p{number}@x", number) for number in range(30)]
KEEPS = """
import pathlib
def remove(self, list_id, members):
    if self.pathlib.Path("kept").exists():
        return Receipt.of(members, dict.fromkeys((m.key for m in members), "it is kept"))
    return super().remove(list_id, members)
"""
SMALL = "removing them would leave fewer than 20"


@pytest.fixture
def world(tmp_path):
    """Thirty people on a list whose provider refuses to let it have fewer than twenty."""
    made = World(tmp_path)
    made.people(*PEOPLE)
    made.sync()

    def before(told):
        left = len(made.receiver.holds()) - len(told["members"])
        return httpx.Response(422, text=SMALL) if told["verb"] == "remove" and left < 20 else None

    made.receiver.before = before
    return made


def test_a_plan_says_that_a_list_is_too_small(tmp_path):
    """
    Below the provider's fewest the plan warns with both numbers, in words and in JSON, and is delivered all the same.
    """
    project = Project(tmp_path)
    project.people(*PEOPLE)
    project.odd("fewest = 25")
    enough = project.types("sync", "odd")
    project.people(*PEOPLE[:24])
    few, told = project.types("sync", "odd", "--force"), project.types("plan", "odd", "--json").told["syncs"][0]

    assert "few:" not in enough.out
    assert "\n  few: 24 members once it is sent; the destination uses no list of fewer than 25\n" in few.out
    assert (few.code, told["few"], told["listed"]) == (0, True, 24)


def test_a_refused_removal_is_said_and_tried_again(world):
    """
    Some of those who are to go stay, for the list would become too small: the provider's words are told, the ledger
    remembers them, nobody counts as refused, and the next run tries again.
    """
    world.people(*PEOPLE[:19])
    first, second = world.sync(force=True), world.sync(force=True)
    world.receiver.before = lambda told: None
    last = world.sync(force=True)

    assert (first.error, first.stayed, first.stays, first.refused) == (None, 1, SMALL, 0)
    assert (second.plan.removed, second.stays, last.stayed) == (1, SMALL, 0)
    assert (len(world.receiver.holds()), len(world.ledger())) == (19, 19)


def test_who_is_still_on_the_list_is_told_by_status_too(tmp_path):
    """
    The provider keeps who is to go, and who moves under the old address, for which the new one waits: the run ends with
    4, it and `status` tell how many, until a run takes them off.
    """
    project = Project(tmp_path)
    project.people(*PEOPLE)
    project.odd(KEEPS)
    project.types("sync", "odd")
    project.people(*PEOPLE[2:], (0, "moved@x", 0))
    (project.folder / "kept").touch()
    moved, kept = project.types("sync", "odd"), project.types("status", "odd")
    (project.folder / "kept").unlink()
    last, after = project.types("sync", "odd"), project.types("status", "odd")

    assert "  nothing was delivered; 2 still on the list, since it refuses to remove them (it is kept)\n" in moved.out
    assert (moved.code, last.code) == (4, 0)
    assert "; 2 still on the list, since the provider refuses to remove them" in kept.out
    assert "still on the list" not in after.out


def test_a_removal_that_is_refused_whole(world):
    """
    Where nobody of a batch may go, the run fails with the provider's words; what was to be added is added, nobody is
    forgotten, and the next run tries again.
    """
    world.people(*PEOPLE[:10], (40, "new@x", 1))
    del world.receiver.lists["L"]["p29@x"]
    del world.receiver.lists["L"]["p28@x"]
    for number in range(20, 28):
        del world.receiver.lists["L"][f"p{number}@x"]
    failed = world.sync(force=True)
    claims = len(world.ledger())
    world.receiver.before = lambda told: None
    last = world.sync(force=True)

    assert isinstance(failed.error, DeliveryError)
    assert SMALL in failed.error.what
    assert (claims, last.plan.removed, last.error) == (31, 20, None)
    assert world.receiver.holds() == {"new@x", *(name for _, name, _ in PEOPLE[:10])}
