"""When the ledger is brought up to date on the way, and what the warehouse is told before a batch."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from audiences import book, dispatch
from audiences.book import PAUSE, SHARE, WINDOW, Book
from world import World


@pytest.mark.parametrize(("took", "pause"), [(0.5, PAUSE), (3.0, 3.0 * SHARE)])
def test_checkpoints_take_a_twentieth_of_the_time_at_most(took, pause):
    """
    The next one is due after 30 s, or after 20 times what the last one took.
    """
    now = [100.0]
    written = Book(None, None, None, (), None, None, batch=10, clock=lambda: now[0])
    written.took = took
    now[0] += pause

    assert not written.due()

    now[0] += 0.1
    assert written.due()


def test_checkpoints_on_the_way(tmp_path, engine, monkeypatch):
    """
    While a long delivery goes on, the ledger is brought up to what is acknowledged, and what was accepted is made
    visible first; a run that is killed right after has it.
    """
    world = World(tmp_path, engine=engine)
    world.small(batch=2)
    world.people(*((n, f"p{n}@x") for n in range(12)))
    now = [0.0]

    def minute(told):
        now[0] += 60

    def slow(*given, **named):
        return Book(*given, **named, clock=lambda: now[0])

    monkeypatch.setattr(dispatch, "Book", slow)
    world.receiver.after = minute
    world.killed_in_call(4)

    assert world.ledger() == {(n, f"p{n}@x", True) for n in range(6)}


def test_the_warehouse_is_told_of_ten_batches_at_a_time():
    """
    The mark is moved before the first batch that passes it, and to the end of the window that begins there.
    """
    marks, intents = [], []
    fence = SimpleNamespace(update=lambda change, within, mark: marks.append(mark))
    written = Book(fence, None, SimpleNamespace(outbox=1), (), None, None, 10, clock=lambda: 0.0)
    written._write = lambda done, intent: intents.append(intent)
    for end in range(10, 250, 10):
        written.intend(end, ())

    assert marks == [100, 200, 300]
    assert intents == list(range(10, 250, 10))
    assert (WINDOW, book.PAUSE) == (10, 30.0)


def test_marks_take_a_small_share_of_a_delivery():
    """
    Where a window is sent in less than twenty times what its mark took, the next one is twice as long; else half.
    """
    now, marks = [0.0], []

    def update(change, within, mark):
        marks.append(mark)
        now[0] += 1.0

    written = Book(
        SimpleNamespace(update=update), None, SimpleNamespace(outbox=1), (), None, None, 1, clock=lambda: now[0]
    )
    written._write = lambda done, intent: None
    for end in range(1, 400):
        now[0] += 0.4 if end < 200 else 4.0  # seconds a batch
        written.intend(end, ())

    lengths = [after - before for before, after in zip([0, *marks], marks, strict=False)]
    assert lengths[:4] == [10, 20, 40, 80]
    assert lengths[-3:] == [10, 10, 10]
