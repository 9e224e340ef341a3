"""One open outbox while it is delivered: what may have been sent is written down before, what became of it after."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

from audiences import verdicts
from audiences.batch import Phase, Rows, Sent, Verdict
from audiences.control import Fence
from audiences.lease import Lease
from audiences.ledger import Settlement
from audiences.ranges import Range
from audiences.reader import Reader

WINDOW = 10  # batches, at least, that one mark in the warehouse covers: what the loss of the state would blur
PAUSE = 30.0  # seconds between checkpoints, at least
SHARE = 20  # … and so many times what the last one took; nor do marks come more often

Said = tuple[Verdict, Range, str | None]  # as `Sent.verdicts` gives it


@dataclass
class Book:
    """The book that a Delivery writes in. Marks go to the warehouse, intents and verdicts to the state database.

    kept: acknowledgements that wait for `acknowledge`, where they count only as a whole; None: nothing is held back
    """

    fence: Fence
    held: Lease
    reader: Reader
    order: Sequence[Phase]
    settlement: Settlement
    flush: Callable[[], None]
    batch: int
    clock: Callable[[], float] = time.monotonic
    marked: int = 0
    window: int = WINDOW  # batches
    due_again: float = float("-inf")  # when the next mark costs no more than its share
    last: float = field(init=False)
    took: float = 0.0
    kept: list[Said] | None = None

    def __post_init__(self) -> None:
        self.last = self.clock()

    def phases(self) -> Sequence[Phase]:
        return self.order

    def windows(self, phase: Phase, size: int, failed: Sequence[Range]) -> Generator[Rows]:
        return self.reader.windows(phase, size, failed)

    def intend(self, end: int, done: Sequence[Sent]) -> None:
        if end > self.marked:
            self._mark(end)
        self._write(done, end)

    def _mark(self, end: int) -> None:
        """Mark a window that begins below `end`: of twice as many batches where the last one was over too soon."""
        began = self.clock()
        self.window = max(WINDOW, self.window * 2 if began < self.due_again else self.window // 2)
        self.marked = end + (self.window - 1) * self.batch
        self.fence.update("mark = :mark", self.reader.outbox, mark=self.marked)
        ended = self.clock()
        self.due_again = ended + SHARE * (ended - began)

    def record(self, done: Sequence[Sent]) -> None:
        if done:
            self._write(done, None)

    def due(self) -> bool:
        return self.clock() - self.last > max(PAUSE, SHARE * self.took)

    def checkpoint(self) -> None:
        """Bring the ledger up to what is acknowledged so far. Rare checkpoints lose nothing while the state lives."""
        began = self.clock()
        self.fence.warehouse.relieve()  # of what the plan took: a delivery that comes here lasts
        self.flush()
        self.settlement.acknowledged(verdicts.read(self.held, self.reader.outbox, self.marked))
        self.last = self.clock()
        self.took = self.last - began

    def acknowledge(self) -> None:
        """Write down what was held back."""
        verdicts.record(self.held, self.reader.outbox, self.kept or [], {})

    def _write(self, done: Sequence[Sent], intent: int | None) -> None:
        found = [row for sent in done for row in sent.verdicts()]
        if self.kept is not None:
            self.kept += [row for row in found if row[0] is Verdict.OK]
            found = [row for row in found if row[0] is not Verdict.OK]
        reasons = {key: reason for sent in done for key, reason in sent.reasons.items()}
        verdicts.record(self.held, self.reader.outbox, found, reasons, intent)
