"""One sync end to end; the only room that knows the order of its steps, which is also the order of a recovery."""

from __future__ import annotations

import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import httpx
import structlog

from audiences import (
    compare,
    connectors,
    control,
    http,
    lease,
    ledger,
    outbox,
    ranges,
    rename,
    runs,
    settle,
    verdicts,
)
from audiences.audience import Audience
from audiences.batch import Verdict
from audiences.book import Book
from audiences.connector import Connector
from audiences.control import Control, Fence
from audiences.deliver import Delivery
from audiences.errors import AudienceError, DeliveryError, LeaseLost
from audiences.lease import Lease
from audiences.project import Binding
from audiences.stage import staged
from audiences.terms import Terms
from audiences.theirs import flush, theirs
from audiences.worker import Result, Worker

log = structlog.get_logger()


def audience(worker: Worker, audience: Audience, bindings: Sequence[Binding]) -> list[Result]:
    """Run the syncs of one audience, which share its evaluation. One that fails does not stop the others."""
    run = uuid.uuid4().hex[:12]
    with structlog.contextvars.bound_contextvars(run=run, audience=audience.name):
        try:
            types = worker.warehouse.described(audience.select)
            with staged(worker.warehouse, audience, len(bindings), run) as source:
                return [_sync(worker, audience, binding, source, types, run) for binding in bindings]
        except AudienceError as error:
            return [Result(binding, error=error) for binding in bindings]


def _sync(
    worker: Worker, audience: Audience, binding: Binding, source: str, types: Mapping[str, str], run: str
) -> Result:
    name = binding.sync.name
    with structlog.contextvars.bound_contextvars(sync=name):
        before = runs.last(worker.state, name)
        begun = runs.begin(worker.state, name, audience.fingerprint)
        steps = _Sync(worker, audience, binding, source, dict(types), begun)
        try:
            steps.go()
        except AudienceError as error:
            steps.result = replace(steps.result, error=error)
        except Exception as error:
            steps.result = replace(steps.result, error=defect(error))
        result = steps.result
        if result.plan:
            result = replace(result, aside=max(0, result.plan.set_aside - (before.set_aside if before else 0)))
        runs.end(worker.state, begun, result.outcome, result.plan, result.refused)
        log.info("sync.ended", outcome=result.outcome, delivered=result.delivered, refused=result.refused)
        return result


def defect(error: Exception) -> AudienceError:
    """A fault of ours, by its class and place: its words may hold a person. It stops one sync, not the others."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return DeliveryError(
        f"audiences has a defect: {type(error).__name__} at {Path(last.filename).name}:{last.lineno}",
        do="report it; what was sent is settled by the next run",
    )


@dataclass
class _Sync:
    """The steps, in the only order in which a crash at any of them loses nothing: take, fence, settle what an earlier
    run left, prepare, plan, guard, register, publish, deliver, settle, release.
    """

    worker: Worker
    audience: Audience
    binding: Binding
    source: str
    types: dict[str, str]
    begun: str  # this run, as the state database names it
    result: Result = field(init=False)

    def __post_init__(self) -> None:
        self.result = Result(self.binding)

    def go(self) -> None:
        warehouse, sync = self.worker.warehouse, self.binding.sync
        rename.follow(warehouse, self.worker.state, sync, self._now())
        seen = control.read(warehouse, sync.table) or Control()
        held = lease.take(self.worker.state, sync.name, seen.epoch)
        try:
            with held.kept():
                control.create(warehouse, sync.name, sync.table)
                fence = control.take(warehouse, sync.name, sync.table, seen.epoch, held.epoch, held.holder)
                self._run(held, fence)
        finally:
            with suppress(LeaseLost):
                held.release()

    def _run(self, held: Lease, fence: Fence) -> None:
        cls, sync = self.binding.connector, self.binding.sync
        settings = connectors.settings(sync.section, cls, self.worker.project)
        with self._client(cls, settings, held) as line:
            name = f"{sync.table}-{self.worker.state.id[:8]}-{held.epoch}"
            with theirs(cls):
                connector = cls(settings, self.binding.options, line, sync.send, name)
            self._recover(held, fence, connector)
            terms = self._terms(fence, connector)
            self._plan(fence, terms)
            self._deliver(held, fence, connector, terms)
        self._count_refused()

    def _recover(self, held: Lease, fence: Fence, connector: Connector) -> None:
        """Settle what an interrupted run left open, after its lists show what they took in."""
        known = control.read(fence.warehouse, fence.table)
        if known and known.outbox is not None:
            flush(connector, outbox.Reader(fence, known.outbox, ()).lists())
        settle.open_outbox(held, fence, self._now())
        outbox.sweep(fence)

    def _client(self, cls: type[Connector], settings: Connector.Settings, held: Lease) -> httpx.Client:
        worker = self.worker
        with theirs(cls):
            reach = cls.reach(settings)
        return http.client(
            reach,
            cls.limits,
            repeatable=cls.repeatable,
            patience=worker.patience,
            lease=held.lasts,
            transport=worker.transport,
            sleep=worker.sleep,
        )

    def _terms(self, fence: Fence, connector: Connector) -> Terms:
        """The terms of this run: the list is found or made, and the ledger is brought up to the columns sent now."""
        known = control.read(fence.warehouse, fence.table) or Control()
        compare.same_key(self.audience, known)
        sync = self.binding.sync
        list_id = sync.list_id or (known.list_id if known.list_name == sync.list else None) or self._found(connector)
        fence.update(
            "list_name = :name, list_id = :id, key_columns = :key", name=sync.list, id=list_id, key=self.audience.key
        )
        control.alone(fence.warehouse, sync, list_id)
        terms = compare.terms(self.audience, self.binding, self.types, list_id)
        ledger.create(fence.warehouse, terms, self.types)
        return terms

    def _found(self, connector: Connector) -> str:
        name = str(self.binding.sync.list)
        with theirs(type(connector)):
            return connector.prepare(name)

    def _plan(self, fence: Fence, terms: Terms) -> None:
        """Make this run's outbox, and let the guard judge it."""
        warehouse, known = fence.warehouse, control.read(fence.warehouse, fence.table)
        changes = compare.changes(warehouse, terms, self.source, self.types, known, self.worker.now())
        plan = outbox.fill(fence, changes, self.binding.sync)
        self.result = replace(self.result, plan=plan)
        try:
            plan.check(
                self.audience.guard,
                self.worker.force,
                lambda: compare.explained(warehouse, changes, plan.filled),
                runs.promised(self.worker.state, self.binding.sync.name),
            )
        except AudienceError:
            outbox.drop(fence, fence.epoch)
            raise
        runs.approve(self.worker.state, self.begun, fence.epoch, plan)
        # Claims of two rules may stand side by side from here on, until a later run finds them all of one.
        fence.update("rule = :rule", rule=None if changes.known.wide else terms.rule)

    def _deliver(self, held: Lease, fence: Fence, connector: Connector, terms: Terms) -> None:
        reader = outbox.Reader(fence, fence.epoch, list(terms.send))
        if not reader.total():
            outbox.drop(fence, fence.epoch)
            flush(connector, [terms.list_id])  # a run under another name may have been cut off before it did
            return
        with self._account():
            verdicts.register(held, fence.epoch)
            fence.update("outbox = :outbox, mark = 0", outbox=fence.epoch)
            self._send(held, fence, connector, terms, reader)

    @contextmanager
    def _account(self) -> Iterator[None]:
        """Keep other workers off the account while this one delivers: its pace is one for all its syncs."""
        held = lease.take(self.worker.state, f"account:{self.binding.sync.section}", 0)
        try:
            with held.kept():
                yield
        finally:
            with suppress(LeaseLost):
                held.release()

    def _send(self, held: Lease, fence: Fence, connector: Connector, terms: Terms, reader: outbox.Reader) -> None:
        """Deliver the published outbox and settle what became of it."""
        total, phases, lists = reader.total(), reader.phases(), reader.lists()
        settlement = ledger.Settlement(fence, fence.epoch, reader.columns(), self._now())
        shown = partial(flush, connector, lists)
        book = Book(fence, held, reader, settlement, shown, connector.limits.batch)
        done = partial(self.worker.told, self.binding.sync.name)
        delivery = Delivery(book, connector, self.worker.stop, lambda rows: done(rows, total))
        delivery.run()
        if isinstance(delivery.error, LeaseLost):
            raise delivery.error
        shown()
        found = settle.close(held, settlement, total)
        # A move is half of a change, whose other half is counted, and a release is none.
        counted = [(phase.lo, phase.hi) for phase in phases if phase.verb in ("upsert", "remove")]
        delivered = ranges.common(found.of(Verdict.OK), counted)
        self.result = replace(self.result, delivered=delivered, stopped=delivery.stopped, error=delivery.error)

    def _count_refused(self) -> None:
        warehouse, table = self.worker.warehouse, self.binding.sync.table
        [(everyone, fresh)] = warehouse.run(
            "select count(*), count(case when r.attempts = 1 and r.outbox = c.epoch then 1 end)"
            f" from {warehouse.table('refused_' + table)} r, {warehouse.table('control_' + table)} c"
        )
        self.result = replace(self.result, refused=everyone, fresh=fresh)

    def _now(self) -> str:
        return compare.moment(self.worker.now())
