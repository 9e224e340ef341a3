"""What was sent without an answer by a connector that cannot repeat a call: kept, and settled as told."""

from __future__ import annotations

from contextlib import suppress

import httpx
import pytest

from audiences import connectors, unknown
from audiences.cli import forget
from audiences.cli.session import taken
from audiences.compare import moment
from engines import either
from scale import times
from world import Killed, Killer, World

engine = either


ONCE = """from audiences import Limits
from audiences.connectors import find, shipped

class Once(find("webhook", [shipped("connectors")])):
    limits = Limits(batch=5)
    repeatable = {repeatable}
"""
SYNC, TABLE = "team.webhook", "team__webhook"
ANNA, BEN, CLEO = (1, "anna@x", 7), (2, "ben@x", 8), (3, "cleo@x", 9)
CHANGES = {  # the verb that has no answer, of whom and how it is shown, and who is in the audience then
    "upserts": ("upsert", {"1": "~", "3": "+", "4": "+"}, [(1, "anna@x", 1), BEN, (3, "clea@x", 9), (4, "new@x", 4)]),
    "moves": ("remove", {"3": "−"}, [ANNA, BEN, (3, "clea@x", 9)]),
    "removals": ("remove", {"2": "−", "3": "−"}, [ANNA]),
}
APART = times(12, 1, 6)  # of the steps at which a settlement is killed; `make thorough` tries every one
every_change = pytest.mark.parametrize("change", CHANGES)
applied_or_not = pytest.mark.parametrize("applied", [True, False], ids=["applied", "not applied"])


def repeats(world, repeatable):
    (world.folder / "connectors").mkdir(exist_ok=True)
    (world.folder / "connectors" / "webhook.py").write_text(ONCE.format(repeatable=repeatable))
    connectors._load.cache_clear()


@pytest.fixture
def world(tmp_path, engine):
    """Anna, Ben and Cleo are listed, by a connector that cannot repeat a call."""
    made = World(tmp_path, engine=engine)
    repeats(made, False)
    made.people(ANNA, BEN, CLEO)
    made.sync()
    return made


def cut(world, verb, applied):
    """From now on calls of this verb have no answer, and were applied or not."""

    def broken(told):
        if told["verb"] == verb:
            raise httpx.ReadTimeout("gone")

    world.receiver.before, world.receiver.after = (
        (lambda told: None, broken) if applied else (broken, lambda told: None)
    )


def heals(world):
    world.receiver.before = world.receiver.after = lambda told: None
    world.receiver.calls.clear()


def doubtful(world, change, applied):
    """A run in which this change has no answer."""
    verb, _, people = CHANGES[change]
    world.people(*people)
    cut(world, verb, applied)
    world.sync(force=True)
    heals(world)


def doubts(world):
    with world.worker() as worker:
        return unknown.doubts(worker.warehouse, TABLE)


def kept(world):
    """Key -> sign of each doubt. What the ledger holds meanwhile is what was acknowledged last, or sent first."""
    found = doubts(world)
    claims = world.sql("select key, ident, sent_nps from audience_sync.ledger_team__webhook where not sure")
    sent = {(int(doubt.key), doubt.ident, doubt.fields["nps"]) for doubt in found}
    assert set(claims) == {ANNA if row[0] == 1 else row for row in sent}
    return {doubt.key: doubt.sign for doubt in found}


def say(world, delivered, killer=None):
    """Settle all that is in doubt."""
    with world.worker() as worker:
        found = unknown.doubts(worker.warehouse, TABLE)
        if killer:
            killer.watch(worker, world.receiver)
        with taken(worker.warehouse, worker.state, SYNC, TABLE) as fence:
            unknown.resolve(fence, found, delivered, moment(world.moment))


def right(world, change):
    """Whether list and ledger hold the audience, all of it sure."""
    people = CHANGES[change][-1]
    wanted = {(key, email, True) for key, email, _ in people}
    return world.ledger() == wanted and world.listed() == {email: nps for _, email, nps in people}


@every_change
@applied_or_not
def test_what_is_truly_said_is_taken_for_the_truth(world, change, applied):
    """
    Nobody in doubt is sent anything before. Delivered: the ledger holds what was sent, and it is not sent again. Not
    delivered: the ledger holds what it held, and the next run sends it. The list is the audience after one quiet run.
    """
    doubtful(world, change, applied)
    result, waited = world.sync(force=True), kept(world)
    say(world, applied)
    done = world.receiver.calls.copy()
    world.sync(force=True)

    signs = CHANGES[change][1]
    assert (result.unknown, result.plan.unknown, waited, done) == (len(signs), len(signs), signs, [])
    assert right(world, change)
    also = change == "moves"  # the new address, which has waited for the old one
    assert len(world.receiver.calls) == also + (not applied)
    assert doubts(world) == []
    assert world.sync().outcome == "unchanged"


@applied_or_not
def test_a_shared_address_whose_removal_is_in_doubt(world, applied):
    """
    Two members left who shared an address: one removal was sent, and one word frees both claims.
    """
    world.people(ANNA, BEN, CLEO, (5, "BEN@x", 8))
    world.sync()
    doubtful(world, "removals", applied)
    assert world.sync(force=True).unknown == 3

    say(world, applied)
    world.sync(force=True)

    assert right(world, "removals")
    assert len(world.receiver.calls) == (not applied)


@applied_or_not
def test_killed_in_the_call(world, applied):
    """
    A run that was killed while the call was on its way leaves the same doubt, and it is settled in the same way.
    """

    def dies(told):
        if told["verb"] == "upsert":
            raise Killed

    world.people(*CHANGES["upserts"][-1])
    setattr(world.receiver, "after" if applied else "before", dies)
    with suppress(Killed):
        world.sync(force=True)
    world.forget_lease()
    heals(world)
    assert world.sync(force=True).unknown == 3
    say(world, applied)
    world.sync()

    assert right(world, "upserts")
    assert len(world.receiver.calls) == (not applied)


def test_a_lost_state_doubts_only_what_may_have_been_sent(world):
    """
    With the state database lost, all rows below the warehouse's mark are in doubt, and each can be said of.
    """
    world.people(ANNA, BEN, *((n, f"p{n}@x", n) for n in range(10, 22)))
    world.killed_in_call(3, force=True)
    world.state_file.unlink()
    heals(world)
    world.sync(force=True)
    there = world.receiver.holds()
    with world.worker() as worker, taken(worker.warehouse, worker.state, SYNC, TABLE) as fence:
        found = unknown.doubts(worker.warehouse, TABLE)
        for delivered in (True, False):
            some = [each for each in found if ((each.ident in there) is (each.verb == "upsert")) is delivered]
            unknown.resolve(fence, some, delivered, moment(world.moment))
    world.sync(force=True)

    assert len(found) == 13
    assert len(world.receiver.holds()) == len(world.ledger()) == 14
    assert (len(world.receiver.sent("upsert")), len(world.receiver.sent("remove"))) == (7, 1)
    assert world.sync().outcome == "unchanged"


def test_verbs_that_may_be_repeated_after_all(world):
    """
    Once its connector can repeat a call, what is in doubt is sent again by itself, and nothing is kept for anyone.
    """
    doubtful(world, "upserts", True)
    repeats(world, True)
    result = world.sync()

    assert (result.unknown, result.outcome) == (0, "delivered")
    assert right(world, "upserts")
    assert doubts(world) == []


def test_a_doubt_from_before(world):
    """
    Claims that were in doubt when their connector's calls came to count as not repeatable can be said of, too.
    """
    repeats(world, True)
    doubtful(world, "upserts", False)
    repeats(world, False)
    result = world.sync(force=True)

    assert (result.unknown, [each.sign for each in doubts(world)]) == (3, ["+"] * 3)
    say(world, False)
    world.sync(force=True)
    assert right(world, "upserts")


def test_a_new_name_takes_doubts_along(world):
    """
    `renamed_from` keeps what is in doubt; `forget` forgets it.
    """
    doubtful(world, "upserts", True)
    (world.folder / "audiences" / "team.sql").unlink()
    world.define('renamed_from = "team.webhook"', name="crew")
    result = world.sync(force=True)

    assert (result.unknown, world.receiver.calls) == (3, [])
    with world.worker() as worker:
        assert len(unknown.doubts(worker.warehouse, "crew__webhook")) == 3
        forget.forget(worker.warehouse, worker.state, "crew.webhook", "crew__webhook")
        assert [name for name in worker.warehouse.tables("") if name != "project"] == []


@pytest.mark.parametrize("change", times(["upserts"], list(CHANGES)))
@applied_or_not
@pytest.mark.no_cover
def test_killed_while_it_is_settled(world, change, applied):
    """
    Killed between any two steps of a settlement: said once more, it is settled, and no half of it is left.
    """
    doubtful(world, change, applied)
    for at in range(1, 99, APART):
        killer = Killer(at)
        with suppress(Killed):
            say(world, applied, killer)
        heals(world)
        world.forget_lease()
        if not killer.dead:
            break
        assert len([claim for claim in world.ledger() if not claim[2]]) == len(doubts(world))
    world.sync(force=True)

    assert at > 5
    assert right(world, change)
