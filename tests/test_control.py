"""The fence: what a worker that was taken over still tries changes nothing, and it learns so."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from sqlalchemy import event

from audiences import control, outbox, pending, tables
from audiences.batch import Verdict
from audiences.control import Control
from audiences.errors import LeaseLost, WarehouseError
from audiences.identity import Form
from audiences.ledger import Settlement
from audiences.terms import Terms
from audiences.verdicts import Found
from engines import EVERY, on

everywhere = on(*EVERY)
waiting = on(*(name for name in EVERY if name != "duckdb, swapped"))  # where writers meet while a transaction is open

NAME, TABLE = "team.webhook", "team__webhook"
TERMS = Terms(TABLE, ("id",), {"email": "email"}, {"email": Form.CASELESS}, "L")
NOW = "timestamp '2026-03-01 12:00:00'"
ROWS = """
select * from (values
  (0, 'move', 1, 'old@x', 'L', true, false, 'old@x'),
  (1, 'upsert', 1, 'new@x', 'L', true, false, 'new@x'),
  (2, 'upsert', 2, 'b@x', 'L', false, false, 'b@x'),
  (3, 'remove', 3, 'c@x', 'L', true, false, 'c@x'))
  t(seq, verb, "key", ident, list, had, again, sent_email)
"""


@pytest.fixture
def url(tmp_path, engine):
    return engine.new(tmp_path)


def begun(warehouse):
    """The tables of a sync, and a ledger of two."""
    control.create(warehouse, NAME, TABLE)
    tables.create(warehouse, TERMS, warehouse.described("select id, email from people"))
    pending.create(warehouse, TABLE)
    tables.beside(warehouse, "unknown", TABLE, "had boolean")
    for key, email in ((1, "old@x"), (3, "c@x")):
        warehouse.run(
            f"insert into {warehouse.table('ledger_' + TABLE)}"
            f" values ({key}, '{email}', 'L', true, 0, {NOW}, '{email}')"
        )


@pytest.fixture
def first(url, engine):
    """A warehouse, and a ledger of two."""
    with engine.open(url) as connection:
        connection.execute("create table people (id bigint, email varchar)")
    with engine.warehouse(url) as warehouse:
        begun(warehouse)
        yield warehouse


@pytest.fixture
def second(first, url, engine):
    """A second connection to the same warehouse: another worker."""
    with engine.warehouse(url) as warehouse:
        yield warehouse


def opened(warehouse, seen=0, epoch=1):
    """A run that has put up its fence and published an outbox."""
    fence = control.take(warehouse, NAME, TABLE, seen, epoch, "worker")
    warehouse.run(f"create table {outbox.table(fence, epoch)} as {ROWS}")
    fence.update("outbox = :outbox, mark = 0", outbox=epoch)
    return fence


def settlement(fence):
    return Settlement(fence, fence.epoch, ['"sent_email"'], NOW)


def everything(warehouse):
    """All that the fence guards."""
    return [
        sorted(map(str, warehouse.run(f"select * from {warehouse.table(f'{kind}_{TABLE}')}")))
        for kind in ("control", "ledger", "refused", "pending", "unknown")
    ]


STEPS = {
    "mark": lambda fence: fence.update("mark = :mark", fence.epoch, mark=4),
    "publish": lambda fence: fence.update("outbox = :outbox, mark = 0", outbox=fence.epoch),
    "list": lambda fence: fence.update("list_id = :id", id="another"),
    "acknowledge": lambda fence: settlement(fence).acknowledged(Found(4, {Verdict.OK: ((0, 3),)})),
    "refuse": lambda fence: settlement(fence).acknowledged(Found(4, {Verdict.REFUSED: ((1, 2),)})),
    "take in": lambda fence: settlement(fence).acknowledged(Found(4, {}, {"job": ((1, 2),)})),
    "doubt": lambda fence: settlement(fence).whole(Found(4)),
    "close": lambda fence: settlement(fence).whole(Found(0)),
}


@pytest.mark.parametrize("step", STEPS)
def test_every_step_changes_something_while_the_fence_holds(first, step):
    """
    The steps below are steps: each changes what the fence guards, or, as publishing again, may be repeated.
    """
    fence = opened(first)
    first.run(f"update {fence.control} set mark = 9")
    before = everything(first)
    STEPS[step](fence)

    assert everything(first) != before


@everywhere
@pytest.mark.parametrize("step", STEPS)
def test_after_a_takeover_no_step_changes_anything(first, second, step):
    """
    Another worker has put up its fence: whatever the old one tries, it changes nothing, and raises LeaseLost.
    """
    old = opened(first)
    control.take(second, NAME, TABLE, 1, 2, "another")
    before = everything(second)

    with pytest.raises(LeaseLost):
        STEPS[step](old)
    assert everything(second) == before


@pytest.mark.parametrize("step", ["mark", "acknowledge", "refuse", "take in", "doubt", "close"])
def test_a_step_of_an_outbox_that_is_closed_changes_nothing(first, step):
    """
    What belongs to an outbox is off once that outbox is closed, also for the run that is still the newest.
    """
    fence = opened(first)
    fence.update("outbox = null, mark = 0", fence.epoch)
    before = everything(first)

    with pytest.raises(LeaseLost):
        STEPS[step](fence)
    assert everything(first) == before


@waiting
@pytest.mark.parametrize("closed", [False, True], ids=["taken over", "closed"])
@pytest.mark.parametrize("write", ["_applied", "by key", "_doubted", "_refused", "_taken"])
def test_each_statement_carries_the_fence_itself(first, second, write, closed):
    """
    Also outside of a transaction, a statement of a worker that was taken over, or about an outbox that is closed, finds
    no row to settle.
    """
    old = opened(first)
    if closed:
        old.update("outbox = null, mark = 0", 1)
    else:
        control.take(second, NAME, TABLE, 1, 2, "another")
    before = everything(second)
    late = settlement(old)
    if write == "by key":
        late._applied(late._rows([(0, 3)]), by_key=True)
    else:
        getattr(late, write)([(0, 3, "job")] if write == "_taken" else late._rows([(0, 3)]))

    assert everything(second) == before


@waiting
def test_a_takeover_stops_a_settlement_that_began_before(first, second):
    """
    The old worker is inside its transaction when another takes over: that one gives way.
    """
    old = opened(first)
    waits = []
    with old.transaction(1), pytest.raises(WarehouseError, match="cannot be taken over"):
        control.take(second, NAME, TABLE, 1, 2, "another", sleep=waits.append)

    assert len(waits) == 20
    assert waits[-1] > waits[0] > 0


@on("duckdb", "sqlite", "mariadb")
@pytest.mark.parametrize("step", ["acknowledge", "refuse", "take in", "doubt", "resolve"])
def test_no_statement_of_a_settlement_stands_alone(first, second, step):
    """
    At no statement that settles something can another worker take over: all of it is done, or nothing.
    """
    old = opened(first)
    tried = []

    def met(_connection, _cursor, statement, *_):
        if statement.lower().startswith(("insert", "delete", "update")) and "control" not in statement[:50]:
            with pytest.raises(WarehouseError, match="cannot be taken over"):
                control.take(second, NAME, TABLE, 1, 2, "another", sleep=lambda seconds: None)
            tried.append(statement)

    if step == "resolve":
        STEPS["doubt"](old)
    event.listen(first.engine, "before_cursor_execute", met)
    if step == "resolve":
        judged = f"(select * from {first.table('unknown_' + TABLE)} where outbox = 1)"
        Settlement(old, 1, ['"sent_email"'], NOW, judged).resolved([1, 2], delivered=False)
    else:
        STEPS[step](old)

    assert tried
    assert control.read(first, TABLE).epoch == 1


def test_a_takeover_waits_for_a_settlement_to_end(first, second):
    """
    A conflict while the fence goes up is met again after a moment: the old worker's settlement ends, the new one is in.
    """
    old = opened(first)
    settling = old.transaction(1)
    settling.__enter__()
    waits = []

    def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            settling.__exit__(None, None, None)

    new = control.take(second, NAME, TABLE, 1, 2, "another", sleep)

    assert (new.epoch, len(waits)) == (2, 2)
    with pytest.raises(LeaseLost):
        STEPS["mark"](old)


@contextmanager
def met_by_a_takeover(first, second):
    """A transaction of the first that has read something when the second takes over."""
    with first.transaction():
        first.run(f"select count(*) from {first.table('ledger_' + TABLE)}")
        control.take(second, NAME, TABLE, 1, 2, "another")
        yield


@everywhere
def test_a_settlement_that_meets_a_takeover_is_undone(first, second):
    """
    The takeover is committed while the old worker's transaction is open: that transaction changes nothing.
    """
    old = opened(first)
    before = everything(first)[1:]

    with pytest.raises(LeaseLost), met_by_a_takeover(first, second):
        old.update("mark = :mark", mark=7)
    assert everything(second)[1:] == before
    assert control.read(second, TABLE) == Control(epoch=2, outbox=1)


@everywhere
def test_only_one_of_two_puts_up_the_fence(first, second):
    """
    Two workers saw the same epoch: the second one finds another, and stops.
    """
    control.take(first, NAME, TABLE, 0, 1, "one")

    with pytest.raises(LeaseLost):
        control.take(second, NAME, TABLE, 0, 1, "two")


def test_making_a_sync_again_changes_nothing(first):
    """
    The control row is made once; a sync that never ran has none.
    """
    opened(first)
    before = everything(first)
    control.create(first, NAME, TABLE)

    assert everything(first) == before
    assert control.read(first, "another__webhook") is None
    assert control.syncs(first) == {NAME: TABLE}
