"""Hand the outbox to a connector, a batch at a time, and write down what became of each row. It knows no SQL.

The caller's thread reads, marks and records; calls go out on a few threads of their own. A phase ends before the next
one begins, and two batches that name one identifier are never in flight together.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from queue import SimpleQueue
from typing import Protocol

import structlog

from audiences import ranges
from audiences.batch import Batch, Phase, Rows, Sent, Verdict, cut, whole
from audiences.connector import Connector
from audiences.errors import AudienceError
from audiences.member import seqs
from audiences.ranges import Range
from audiences.send import FEWEST, send

log = structlog.get_logger()
LOGGED = 100  # of batches that all is well with, each so many-th is told


class Book(Protocol):
    """Who reads the outbox and remembers. Called from one thread."""

    def phases(self) -> Sequence[Phase]: ...

    def windows(self, phase: Phase, size: int, failed: Sequence[Range]) -> Generator[Rows]:
        """All rows of a phase, in order; failed: moves that were not acknowledged."""

    def intend(self, end: int, done: Sequence[Sent]) -> None:
        """Rows below `end` may be sent from now on; and what became of earlier ones. Durable when it returns."""

    def record(self, done: Sequence[Sent]) -> None: ...

    def due(self) -> bool: ...

    def checkpoint(self) -> None:
        """Bring the ledger up to date. Called while nothing is in flight."""


@dataclass
class Delivery:
    """One outbox on its way. `stop` is asked before each commit; `told` hears how many rows are done."""

    book: Book
    connector: Connector
    stop: Callable[[], bool] = lambda: False
    told: Callable[[int], None] = lambda rows: None
    error: AudienceError | None = None
    stopped: bool = False
    flying: dict[Future[Sent], Batch] = field(default_factory=dict)
    ended: SimpleQueue[Future[Sent]] = field(default_factory=SimpleQueue)
    landed: list[Sent] = field(default_factory=list)
    failed: list[Range] = field(default_factory=list)
    unnamed: int = 0  # members whom the provider refused without saying whom
    number: int = 0  # of batches that have been sent
    stays: str = ""  # why it refuses to remove someone, people masked: the first such words

    def run(self) -> None:
        """Deliver phase after phase. What ends it early is in `error` or `stopped`; what is in flight is waited for."""
        with ThreadPoolExecutor(self.connector.limits.concurrency, thread_name_prefix="deliver") as pool:
            for phase in self.book.phases():
                self._deliver(phase, pool)
                self._land(everything=True)
                self.book.record(self._taken())
                if self.over:
                    return

    @property
    def over(self) -> bool:
        return self.error is not None or self.stopped

    def _deliver(self, phase: Phase, pool: ThreadPoolExecutor) -> None:
        with closing(self._batches(phase)) as batches:
            self._sent(phase, batches, pool)

    def _sent(self, phase: Phase, batches: Iterator[Batch], pool: ThreadPoolExecutor) -> None:
        alone = self._probed(phase)
        for first in batches:
            if phase.verb == "release":
                self.landed.append(whole(first, Verdict.OK))
                continue
            self._room()
            self._checkpoint()
            self.stopped = self.stopped or self.stop()
            if self.over:
                return
            group = [first, *islice(batches, 0 if alone else self._together - 1)]
            self.book.intend(seqs(group[-1].members)[-1] + 1, self._taken())
            for batch in group:
                self._start(batch, pool)
            if alone:
                self._land(everything=True)
                alone = False

    def _probed(self, phase: Phase) -> bool:
        """Whether the first batch goes alone: a fault of set-up comes to light in it, at no more than its few calls."""
        return not phase.again and self.connector.limits.batch >= FEWEST

    @property
    def _together(self) -> int:
        """Batches that are written down in one commit: never more in doubt than may be in flight.

        No free call waits for another to be free, so that slow calls are all under way; where calls are quick, several
        end during one commit, and the next one is of several.
        """
        return self.connector.limits.concurrency - len(self.flying)

    def _room(self) -> None:
        while len(self.flying) >= self.connector.limits.concurrency:
            self._land()

    def _start(self, batch: Batch, pool: ThreadPoolExecutor) -> None:
        """Send it as soon as no batch in flight names one of its identifiers; not at all after an error."""
        while any(not batch.idents.isdisjoint(other.idents) for other in self.flying.values()):
            self._land()
        if self.error:
            self.landed.append(whole(batch, Verdict.NO))
            return
        here = contextvars.copy_context()  # what is bound to the log: run, audience, sync
        call = pool.submit(here.run, send, self.connector, batch)
        self.flying[call] = batch
        call.add_done_callback(self.ended.put)

    def _checkpoint(self) -> None:
        if self.book.due():
            self._land(everything=True)
            self.book.record(self._taken())
            self.book.checkpoint()

    def _batches(self, phase: Phase) -> Generator[Batch]:
        """Cut a phase into batches; who is held is recorded as not sent."""
        size = self.connector.limits.batch
        with closing(self.book.windows(phase, size, self.failed if phase.verb == "upsert" else ())) as windows:
            for rows in windows:
                if rows.held:
                    self.landed.append(Sent({Verdict.NO: ranges.of(rows.held)}, rows=len(rows.held)))
                yield from cut(phase, rows, size)
                if self.over:
                    return

    def _land(self, everything: bool = False) -> None:
        """Wait for the calls in flight: for one of them, or for all."""
        while self.flying:
            call = self._first()
            self._note(self.flying.pop(call), call.result())
            if not everything and self.ended.empty():
                return

    def _first(self) -> Future[Sent]:
        """The first call in flight that has ended, as soon as one has."""
        return self.ended.get()

    def _note(self, batch: Batch, sent: Sent) -> None:
        self.landed.append(sent)
        self.error = self.error or sent.error
        self.unnamed += sent.unnamed
        if batch.verb in ("move", "remove"):
            self.stays = self.stays or next(iter(sent.reasons.values()), "")
        if batch.verb == "move":
            ok = [*sent.found.get(Verdict.OK, []), *sent.found.get(Verdict.TICKET, [])]
            self.failed += ranges.without(ranges.of(seqs(batch.members)), ok)
        self.told(sent.rows)
        counts = {str(verdict): sum(hi - lo + 1 for lo, hi in found) for verdict, found in sent.found.items()}
        # A line a batch is more than anyone reads; a sync that takes hours shows that it goes on.
        say = log.debug if sent.found.keys() == {Verdict.OK} and self.number % LOGGED else log.info
        say("batch.sent", verb=batch.verb, members=len(batch.members), calls=sent.calls, **counts)
        self.number += 1

    def _taken(self) -> list[Sent]:
        taken, self.landed = self.landed, []
        return taken
