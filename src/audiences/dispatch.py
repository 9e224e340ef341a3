"""This run's outbox on its way: published, delivered, and settled. No two syncs of one account are here at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from audiences import compare, lease, ranges, settle, verdicts
from audiences.batch import Verdict
from audiences.book import Book
from audiences.connector import Connector
from audiences.deliver import Delivery
from audiences.errors import LeaseLost
from audiences.lease import Lease
from audiences.ledger import Settlement
from audiences.plan import Plan
from audiences.project import Binding
from audiences.reader import Reader
from audiences.repair import Repair
from audiences.theirs import flush
from audiences.worker import Result, Worker


@dataclass(frozen=True, slots=True)
class Dispatch:
    """One outbox that its guard let pass, and its plan. repair: where it holds everyone, for the list is made anew"""

    worker: Worker
    binding: Binding
    held: Lease
    connector: Connector
    reader: Reader
    plan: Plan
    repair: Repair | None = None

    def go(self, result: Result) -> Result:
        """Send it; the result with what became of it."""
        with self._account():
            verdicts.register(self.held, self.reader.outbox)
            self.reader.fence.update("outbox = :outbox, mark = 0", outbox=self.reader.outbox)
            return self._send(result)

    @contextmanager
    def _account(self) -> Iterator[None]:
        """Keep other workers off the account while this one delivers: its pace is one for all its syncs."""
        name = f"account:{self.binding.sync.section}"
        held = lease.awaited(self.worker.state, name, self.worker.queue, self.worker.sleep)
        try:
            with held.kept():
                # Another worker may have been asked to wait since this run began.
                self.worker.shared(self.binding.sync.section, self.binding.connector.limits)
                yield
        finally:
            with suppress(LeaseLost):
                held.release()

    def _send(self, result: Result) -> Result:
        """Deliver the published outbox and settle what became of it."""
        fence, total, phases = self.reader.fence, self.reader.total(), self.reader.phases()
        now = compare.moment(self.worker.now())
        leaves = any(phase.verb != "upsert" for phase in phases)
        first, keyed = not self.plan.listed, total if self.plan.keyed else 0
        settlement = Settlement(fence, fence.epoch, self.reader.columns(), now, leaves=leaves, first=first, keyed=keyed)
        shown = partial(flush, self.connector, self.reader.lists(phases))
        book = Book(fence, self.held, self.reader, phases, settlement, shown, self.connector.limits.batch)
        done = partial(self.worker.told, self.binding.sync.name)
        delivery = Delivery(book, self.connector, self.worker.stop, lambda rows: done(rows, total))
        # What is settled by one statement is soon over, and reads again what the plan has read.
        if total > ranges.ROWS or fence.warehouse.source:
            fence.warehouse.relieve()  # of what the plan took: delivery needs memory of its own
        with self.worker.stage("deliver", rows=total) as told:
            self._run(delivery, book, total)
            told.fails(delivery.error)
        if isinstance(delivery.error, LeaseLost):
            raise delivery.error
        with self.worker.stage("settle"):
            shown()
            found = settle.close(self.held, settlement, total)
            if self.repair and self.repair.done:
                self.repair.tidy(now)
        # A move is half of a change, whose other half is counted, and a release is none.
        counted = [(phase.lo, phase.hi) for phase in phases if phase.verb in ("upsert", "remove")]
        delivered = result.delivered + ranges.common(found.of(Verdict.OK), counted)
        leaving = [(phase.lo, phase.hi) for phase in phases if phase.verb in ("move", "remove")]
        stayed = result.stayed + ranges.common(found.of(Verdict.REFUSED, Verdict.DOUBT), leaving)
        result = replace(result, delivered=delivered, stayed=stayed, size=self._size(settlement.by_key(found)))
        result = replace(result, unnamed=result.unnamed + delivery.unnamed, stays=result.stays or delivery.stays)
        return replace(result, stopped=delivery.stopped, error=delivery.error)

    def _size(self, once: bool) -> int:
        """Members who have a claim now. once: each has one, for the plan found no second, and all was acknowledged

        Where each had one, a second is of this outbox, and only its keys are looked through: to tell all keys apart
        takes as long as half a comparison.
        """
        fence = self.reader.fence
        ledger = fence.warehouse.table("ledger_" + fence.table)
        new = f' where "key" in (select "key" from {ledger} where outbox = {self.reader.outbox})'
        second = f'(select count(*) - count(distinct "key") from {ledger}{"" if self.plan.second else new})'
        [(size,)] = fence.warehouse.run(
            f"select count(*) - {'0' if once or not self.plan.listed else second} from {ledger}"
        )
        return int(size)

    def _run(self, delivery: Delivery, book: Book, total: int) -> None:
        if self.repair is None:
            delivery.run()
            return
        book.kept = []
        self.repair.begin()
        delivery.run()
        if not delivery.over:
            delivery.error = self.repair.end(self.held, book, total)
