"""What became of each row, written down as ranges and read back after a crash."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import text

from audiences import lease, ranges, verdicts
from audiences.batch import Verdict
from audiences.errors import LeaseLost
from audiences.state import State, hashed
from audiences.verdicts import Found


@pytest.fixture
def held(state_url):
    state = State(state_url)
    held = lease.take(state, "team.webhook", 0)
    verdicts.register(held, 1)
    yield held
    state.close()


def rows(held, table):
    with held.state.begin() as connection:
        return [tuple(row) for row in connection.execute(text(f"select * from {table}"))]


def test_neighbours_grow_into_one_row(held):
    """
    A thousand batches in order are one row of the state database, whatever their number.
    """
    for batch in range(50):
        verdicts.record(held, 1, [(Verdict.OK, (10 * batch, 10 * batch + 9), None)], {}, 10 * batch + 10)

    assert rows(held, "verdict") == [("team.webhook", 1, 0, 499, "ok", None)]
    assert verdicts.read(held, 1, 0) == Found(500, {Verdict.OK: ((0, 499),)})


def test_rows_of_one_ticket_grow_and_those_of_another_do_not(held):
    """
    Each ticket keeps its own rows; a row that waits for a verdict is no doubt.
    """
    for lo, ticket in ((0, "job-1"), (2, "job-1"), (4, "job-2"), (8, "job-1")):
        verdicts.record(held, 1, [(Verdict.TICKET, (lo, lo + 1), ticket)], {}, lo + 2)
    found = verdicts.read(held, 1, 0)

    assert found.tickets == {"job-1": [(0, 3), (8, 9)], "job-2": [(4, 5)]}
    assert found.doubts == [(6, 7)]
    assert len(rows(held, "verdict")) == 3


def test_verdicts_of_one_row_each_in_any_order(held):
    """
    However they come, each row has the verdict that was written, and the rest below the mark is in doubt.
    """
    dice = random.Random(7)
    said = {seq: dice.choice([*Verdict, None]) for seq in range(60)}
    order = [seq for seq in said if said[seq]]
    dice.shuffle(order)
    for seq in order:
        verdicts.record(held, 1, [(said[seq], (seq, seq), None)], {}, 60)
    found = verdicts.read(held, 1, 0)

    for verdict in Verdict:
        assert found.of(verdict) == ranges.of(seq for seq in said if said[seq] == verdict)
    assert found.doubts == ranges.of(seq for seq in said if said[seq] in (None, Verdict.DOUBT))


def test_the_mark_only_grows(held):
    """
    What may have been sent stays so.
    """
    verdicts.record(held, 1, [], {}, 40)
    verdicts.record(held, 1, [], {}, 20)
    verdicts.record(held, 1, [(Verdict.OK, (0, 3), None)], {})

    assert verdicts.read(held, 1, 0).mark == 40


def test_an_outbox_that_the_state_does_not_know(held):
    """
    After a lost state, all below the warehouse's own mark is in doubt.
    """
    verdicts.record(held, 1, [(Verdict.OK, (0, 9), None)], {}, 10)
    found = verdicts.read(held, 4, 25)

    assert found == Found(25)
    assert found.doubts == [(0, 24)]


def test_registering_forgets_the_outbox_before(held):
    """
    A state holds one outbox a sync; forgetting leaves none, and other syncs keep theirs.
    """
    other = lease.take(held.state, "crew.webhook", 0)
    verdicts.register(other, 1)
    verdicts.record(other, 1, [(Verdict.OK, (0, 1), None)], {}, 2)
    verdicts.record(held, 1, [(Verdict.OK, (0, 9), None)], {}, 10)
    verdicts.register(held, 2)

    assert verdicts.read(held, 2, 99) == Found(0)
    assert verdicts.read(held, 1, 10) == Found(10)

    verdicts.forget(held)

    assert rows(held, "opened") == [("crew.webhook", 1, 2)]
    assert rows(held, "verdict") == [("crew.webhook", 1, 0, 1, "ok", None)]


def test_reasons_are_kept_by_the_hash_of_the_key(held):
    """
    The newest words count, and how often there were any; the key itself is not kept.
    """
    verdicts.record(held, 1, [(Verdict.REFUSED, (0, 0), None)], {"k1": "first"}, 1)
    verdicts.record(held, 1, [(Verdict.REFUSED, (4, 4), None)], {"k1": "second"}, 5)

    assert rows(held, "refusal") == [("team.webhook", hashed("k1"), "second", 2)]


def test_a_worker_that_was_taken_over_writes_no_verdict(held):
    """
    Verdicts, intents and reasons of an old worker are not written.
    """
    with held.state.begin() as connection:
        connection.execute(text("update lease set epoch = 2, holder = 'another'"))

    for write in (
        lambda: verdicts.record(held, 1, [(Verdict.OK, (0, 9), None)], {"k1": "no"}, 10),
        lambda: verdicts.register(held, 2),
        lambda: verdicts.forget(held),
        lambda: verdicts.read(held, 1, 0),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert (rows(held, "verdict"), rows(held, "refusal")) == ([], [])
    assert rows(held, "opened") == [("team.webhook", 1, 0)]
