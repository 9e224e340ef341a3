"""One sync, step by step; the only room that knows their order, which is also the order of a recovery."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

import httpx

from audiences import (
    account,
    compare,
    connectors,
    control,
    history,
    http,
    lease,
    outbox,
    pending,
    rename,
    repair,
    runs,
    settle,
    tables,
    unknown,
    verdicts,
)
from audiences.audience import Audience
from audiences.claims import Asked
from audiences.connector import Connector
from audiences.control import Control, Fence
from audiences.dispatch import Dispatch
from audiences.errors import AudienceError, DefinitionError, LeaseLost, StaleSource
from audiences.lease import Lease
from audiences.plan import Plan
from audiences.project import Binding
from audiences.reader import Reader
from audiences.repair import Repair
from audiences.terms import Terms
from audiences.theirs import flush, theirs
from audiences.worker import Result, Worker


@dataclass
class Steps:
    """The steps, in the only order in which a crash at any of them loses nothing: take, fence, settle what an earlier
    run left, prepare, plan, guard, register, publish, deliver, settle, release.
    """

    worker: Worker
    audience: Audience
    binding: Binding
    source: str
    types: dict[str, str]
    begun: str  # this run, as the state database names it
    stale: StaleSource | None = None  # why the source must not be read; what is open is settled all the same
    result: Result = field(init=False)
    asked: Asked = field(init=False)

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
                with warehouse.catalogue.kept():
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
            history.keep(fence.warehouse, fence.table, bool(self.worker.keeps))
            with self.worker.stage("recover"):
                self._recover(held, fence, connector)
            with self.worker.stage("judge"):
                self._judge(held, fence, connector)
            if self.stale:
                raise self.stale
            with self.worker.stage("prepare"):
                terms = self._terms(fence, connector)
            plan = self._plan(fence, terms)
            self._deliver(held, fence, connector, terms, plan)
        history.prune(fence, compare.moment(self.worker.now() - self.worker.keeps), self.worker.stop)
        self._count()

    def _recover(self, held: Lease, fence: Fence, connector: Connector) -> None:
        """Settle what an interrupted run left open, after its lists show what they took in."""
        known = control.read(fence.warehouse, fence.table)
        if known and known.outbox is not None:
            flush(connector, Reader(fence, known.outbox, ()).lists())
        settle.open_outbox(held, fence, self._now())
        outbox.sweep(fence)

    def _judge(self, held: Lease, fence: Fence, connector: Connector) -> None:
        """Settle what the provider has judged since the last run."""
        for judged in pending.judge(fence, connector, tuple(self.binding.sync.send), self._now()):
            verdicts.explain(held, judged.reasons)
            result, fresh = self.result, len(judged.reasons)
            delivered, stayed = result.delivered + judged.delivered, result.stayed + judged.stayed
            self.result = replace(result, fresh=result.fresh + fresh, delivered=delivered, stayed=stayed)
            stays = result.stays or judged.stays
            self.result = replace(self.result, unnamed=result.unnamed + judged.unnamed, stays=stays)
        repair.finish(fence, connector, self._now())

    def _client(self, cls: type[Connector], settings: Connector.Settings, held: Lease) -> httpx.Client:
        worker = self.worker
        with theirs(cls):
            reach = cls.reach(settings)
        return http.client(
            account.known(reach, self.binding.sync.section, lambda: worker.state, worker.desks, worker.sleep),
            cls.limits,
            repeatable=cls.repeatable,
            passes_in=cls.passes_in,
            means=cls.means,
            patience=worker.patience,
            shared=worker.shared(self.binding.sync.section, cls.limits),
            lease=held.lasts,
            transport=worker.transport,
            sleep=worker.sleep,
            clock=worker.clock,
        )

    def _terms(self, fence: Fence, connector: Connector) -> Terms:
        """The terms of this run: the list is found or made, and the ledger is brought up to the columns sent now."""
        known = control.read(fence.warehouse, fence.table) or Control()
        compare.same_key(self.audience, known)
        sync = self.binding.sync
        list_id = sync.list_id or (known.list_id if known.list_name == sync.list else None) or self._found(connector)
        fence.update(
            "list_name = :name, list_id = :id, key_columns = :key",
            name=sync.list,
            id=list_id,
            key=self.audience.key_columns,
        )
        try:
            control.alone(fence.warehouse, sync, list_id)
        except DefinitionError:
            # Whoever keeps the list would be refused, too, for as long as this one says that it does.
            fence.update("list_name = :name, list_id = :id", name=known.list_name, id=known.list_id)
            raise
        self.asked = compare.asked(fence.warehouse, self.audience, self.binding, self.source, self.types)
        terms = compare.terms(self.audience, self.binding, self.asked, list_id)
        tables.create(fence.warehouse, terms, self.asked.types)
        if terms.judged_within:
            pending.create(fence.warehouse, terms.table)
        unknown.keep(fence.warehouse, terms)
        return terms

    def _found(self, connector: Connector) -> str:
        name = str(self.binding.sync.list)
        with theirs(type(connector)):
            return connector.prepare(name)

    def _plan(self, fence: Fence, terms: Terms) -> Plan:
        """Make this run's outbox, and let the guard judge it."""
        warehouse, known = fence.warehouse, control.read(fence.warehouse, fence.table)
        warehouse.relieve()  # of the ledger that an earlier sync has read
        with self.worker.stage("plan") as told, warehouse.bounded(self.audience.timeout, self.audience.bytes):
            changes = compare.changes(warehouse, terms, self.asked.source, self.asked.types, known, self.worker.now())
            plan = outbox.fill(fence, changes, self.binding.sync)
            told.tell(**{name: getattr(plan, name) for name in runs.NUMBERS})
        self.result = replace(self.result, plan=plan, size=plan.listed, unknown=plan.unknown)
        try:
            with self.worker.stage("guard"):
                plan.check(
                    self.audience.guard,
                    self.worker.force,
                    lambda: compare.explained(warehouse, changes, self.audience),
                    runs.promised(self.worker.state, self.binding.sync.name),
                )
                if self.worker.replace:
                    repair.check(self.binding, plan)
        except AudienceError:
            outbox.drop(fence, fence.epoch)
            raise
        if self.worker.replace:
            plan = repair.planned(plan, outbox.fill(fence, repair.everyone(changes), self.binding.sync))
            self.result = replace(self.result, plan=plan)
        runs.approve(self.worker.state, self.begun, fence.epoch, plan)
        outbox.outlive(fence, changes)
        # Claims of two rules may stand side by side from here on, until a later run finds them all of one.
        fence.update("rule = :rule", rule=None if changes.known.wide else terms.rule)
        return plan

    def _deliver(self, held: Lease, fence: Fence, connector: Connector, terms: Terms, plan: Plan) -> None:
        reader = Reader(fence, fence.epoch, list(terms.send))
        if not reader.total():
            outbox.drop(fence, fence.epoch)
            flush(connector, [terms.list_id])  # a run under another name may have been cut off before it did
            return
        mended = Repair(fence, connector, terms.list_id, self.worker.now()) if self.worker.replace else None
        self.result = Dispatch(self.worker, self.binding, held, connector, reader, plan, mended).go(self.result)

    def _count(self) -> None:
        warehouse, table = self.worker.warehouse, self.binding.sync.table
        [(everyone, fresh)] = warehouse.run(
            "select count(*), count(case when r.attempts = 1 and r.outbox = c.epoch then 1 end)"
            f" from {warehouse.table('refused_' + table)} r, {warehouse.table('control_' + table)} c"
        )
        waiting, doubts = pending.count(warehouse, table), unknown.count(warehouse, table)
        fresh += self.result.fresh
        self.result = replace(self.result, refused=everyone, fresh=fresh, pending=waiting, unknown=doubts)

    def _now(self) -> str:
        return compare.moment(self.worker.now())
