"""Providers know identifiers, not keys: the list holds every wanted address after each run, on both connectors."""

from __future__ import annotations

import pytest

from engines import either
from world import World

engine = either


@pytest.fixture(params=["webhook", "file"])
def world(request, tmp_path, engine):
    return World(tmp_path, request.param, engine)


def test_a_shared_address_stays_while_one_of_the_two_is_wanted(world):
    """
    Two keys with one address, one of which leaves: the address stays; when both have left, it goes.
    """
    world.people((1, "a@x", 7), (2, "a@x", 7), (3, "c@x", 1))
    world.sync()
    world.people((2, "a@x", 7), (3, "c@x", 1))
    world.sync()

    assert world.listed() == {"a@x": 7, "c@x": 1}
    assert world.ledger() == {(2, "a@x", True), (3, "c@x", True)}

    world.people((3, "c@x", 1))
    world.sync()

    assert world.listed() == {"c@x": 1}


def test_two_members_swap_their_addresses(world):
    """
    Both addresses are on the list after every run, with the fields of whoever has them now.
    """
    world.people((1, "a@x", 1), (2, "b@x", 2))
    world.sync()
    world.people((1, "b@x", 1), (2, "a@x", 2))
    for _ in range(2):
        world.sync()

        assert world.listed() == {"b@x": 1, "a@x": 2}
    assert world.ledger() == {(1, "b@x", True), (2, "a@x", True)}


def test_an_address_is_handed_over(world):
    """
    A key hands its address to a new one and takes another: every wanted address is on the list after each run.
    """
    world.people((1, "a@x", 1), (2, "b@x", 2))
    world.sync()
    world.people((1, "z@x", 1), (2, "b@x", 2), (3, "a@x", 3))
    for _ in range(2):
        world.sync()

        assert world.listed() == {"z@x": 1, "b@x": 2, "a@x": 3}
    assert world.ledger() == {(1, "z@x", True), (2, "b@x", True), (3, "a@x", True)}


def test_a_leaver_hands_an_address_to_a_newcomer(world):
    """
    Who leaves and who comes with the same address change nothing on the list but the fields.
    """
    world.people((1, "a@x", 1), (2, "b@x", 2))
    world.sync()
    world.people((2, "b@x", 2), (3, "a@x", 3))
    for _ in range(2):
        world.sync()

        assert world.listed() == {"a@x": 3, "b@x": 2}
    assert world.ledger() == {(2, "b@x", True), (3, "a@x", True)}


def test_a_chain_of_addresses(world):
    """
    Three members each take the next one's address, and the last a new one.
    """
    world.people((1, "a@x", 1), (2, "b@x", 2), (3, "c@x", 3))
    world.sync()
    world.people((1, "b@x", 1), (2, "c@x", 2), (3, "d@x", 3))
    for _ in range(2):
        world.sync()

        assert world.listed() == {"b@x": 1, "c@x": 2, "d@x": 3}
