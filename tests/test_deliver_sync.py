"""Deliveries of whole syncs: what is sent again after moves, members or credentials were refused."""

from __future__ import annotations

import httpx
import pytest

from audiences.errors import CredentialsRefused
from engines import either
from world import World

engine = either


@pytest.fixture
def world(tmp_path, engine):
    return World(tmp_path, engine=engine)


def removals_refused(told):
    """A far end that takes nobody off its list."""
    if told["verb"] == "remove":
        return httpx.Response(200, json={"rejected": {member["key"]: "locked" for member in told["members"]}})
    return None


def test_a_new_address_waits_for_the_old_one(world):
    """
    While the removal of an old address is refused, the new one is not added; once it is off, it is.
    """
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()
    world.people((1, "new@x"), (2, "b@x"))
    world.receiver.before = removals_refused
    world.sync()

    assert world.receiver.holds() == {"a@x", "b@x"}
    assert world.ledger() == {(1, "a@x", True), (2, "b@x", True)}

    world.receiver.before = lambda told: None
    world.sync()

    assert world.receiver.holds() == {"new@x", "b@x"}
    assert world.ledger() == {(1, "new@x", True), (2, "b@x", True)}


def test_both_of_two_who_leave_one_address_wait_for_it(world):
    """
    Two keys leave one address, by one removal: while that is refused, the new address of either is not added.
    """
    world.people((1, "a@x"), (2, "a@x"), (3, "c@x"))
    world.sync()
    world.people((1, "one@x"), (2, "two@x"), (3, "c@x"), (4, "d@x"))
    world.receiver.before = removals_refused
    world.sync()

    assert world.receiver.holds() == {"a@x", "c@x", "d@x"}

    world.receiver.before = lambda told: None
    world.sync()

    assert world.receiver.holds() == {"one@x", "two@x", "c@x", "d@x"}


def test_refused_members_do_not_stop_a_sync(world):
    """
    A dozen members refused before, and refused again, travel in batches of their own: others are delivered.
    """
    world.people(*((n, f"bad{n}@x") for n in range(12)), (50, "a@x"))
    world.receiver.rejects(*(f"bad{n}@x" for n in range(12)))
    first = world.sync()
    world.later(hours=2)
    world.people(*((n, f"bad{n}@x") for n in range(12)), (50, "a@x"), (51, "b@x"))
    second = world.sync()

    assert (first.error, second.error) == (None, None)
    assert (first.refused, first.fresh, second.refused, second.fresh) == (12, 12, 12, 0)
    assert world.receiver.holds() == {"a@x", "b@x"}


def test_refused_credentials_cost_nothing_but_time(world):
    """
    A key that is revoked in the middle stops the sync; with a new one, only the rest is sent.
    """
    world.small(batch=2)
    world.people(*((n, f"p{n}@x") for n in range(8)))
    world.receiver.before = lambda told: httpx.Response(401) if len(world.receiver.calls) > 2 else None
    result = world.sync()

    assert isinstance(result.error, CredentialsRefused)
    assert (result.delivered, len(world.receiver.calls)) == (4, 3)

    world.receiver.before = lambda told: None
    world.receiver.calls.clear()
    world.sync()

    assert len(world.receiver.sent("upsert")) == 4
    assert len(world.ledger()) == len(world.receiver.holds()) == 8
