"""A list made anew: everyone who is wanted is sent, and whoever else is there goes, by the provider's own doing.

What is accepted counts only once the provider has made the list of it: a run that ends before leaves doubts, which the
next one sends again. With tickets that is some runs later, and a table in the warehouse remembers what is waited for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from audiences import outbox as outboxes
from audiences import ranges, verdicts
from audiences.batch import Verdict
from audiences.book import Book
from audiences.changes import Changes
from audiences.connector import Connector
from audiences.control import Fence
from audiences.errors import AudienceError, Deferred, DefinitionError, DeliveryError, LeaseLost, Unanswered, UnsafePlan
from audiences.history import Story
from audiences.joined import Refresh
from audiences.lease import Lease
from audiences.plan import Plan
from audiences.project import Binding
from audiences.theirs import theirs
from audiences.warehouse import Warehouse, literal

NEVER = "timestamp '9999-01-01'"
ROOM = timedelta(minutes=15)  # for clocks: more than any connector allows for


def check(binding: Binding, plan: Plan) -> None:
    """Raise AudienceError where the list cannot be made anew, or someone would leave it who is to stay."""
    if not binding.connector.replaces():
        raise DefinitionError(f"{binding.sync.connector} cannot make a list anew", do="leave out --replace")
    if binding.sync.mode != "mirror":
        raise DefinitionError(
            f"{plan.title} is of mode {binding.sync.mode!r}, which removes nobody", do="leave out --replace"
        )
    if plan.pending or plan.unknown:
        raise Deferred(
            f"{plan.title}: {plan.pending + plan.unknown:,} wait for the provider's verdict, or someone's",
            do=f"ask for it again once there are none: audiences status {plan.sync.name}",
        )
    if plan.repeated:
        raise UnsafePlan(
            f"{plan.title}: {plan.repeated:,} keys come more than once, and would leave the list",
            do="mend the query; or leave out --replace",
        )
    if plan.rows <= plan.set_aside:
        raise UnsafePlan(f"{plan.title}: there is nobody to make the list of", do="leave out --replace")


def everyone(changes: Changes) -> Changes:
    """The comparison in which whoever is wanted is sent, also who waits after a refusal, and nobody is removed."""
    terms = replace(changes.terms, mode="upsert")
    return replace(changes, terms=terms, now=NEVER, refresh=Refresh(NEVER, NEVER, 1.0))


def planned(plan: Plan, whole: Plan) -> Plan:
    """An ordinary plan, and that of `everyone`, as the one of a list made anew."""
    return replace(whole, removed=plan.removed, unsettled=plan.unsettled, anew=plan.rows - plan.set_aside)


@dataclass
class Repair:
    """One list made anew. began: when, in UTC; done: the provider has made it, and what was not sent is gone"""

    fence: Fence
    connector: Connector
    list_id: str
    began: datetime
    done: bool = field(default=False, init=False)

    def begin(self) -> None:
        """Say that everyone follows."""
        if type(self.connector).partial:
            self._doubt("true")
        with theirs(type(self.connector)):
            self.connector.replacing(self.list_id, self.began)

    def end(self, held: Lease, book: Book, total: int) -> AudienceError | None:
        """Let the provider make the list of what it has accepted, and write that down; why that cannot be.

        With tickets, that this is to be done once all are judged.
        """
        found = verdicts.read(held, self.fence.epoch, total)
        told = [*found.of(Verdict.REFUSED, Verdict.TICKET), *(span for _, span, _ in book.kept or [])]
        if ranges.missing(told, total):
            return unfinished("some were sent without an answer")
        try:
            if self.connector.judges_later():
                self._wait()
            else:
                self._part(found)
                with theirs(type(self.connector)):
                    self.connector.replaced(self.list_id, self.began)
                self.done = True
        except AudienceError as error:
            return error
        book.acknowledge()
        return None

    def tidy(self, now: str) -> None:
        """Forget the claims of those who were not sent: they are off the list."""
        tidy(self.fence, self.fence.epoch, self.list_id, self.began, now)

    def _part(self, found: verdicts.Found) -> None:
        """Whoever was not sent, or was refused, goes with the next call, and the run may end before it knows."""
        sent = f'from {outboxes.table(self.fence, self.fence.epoch)} o where o."key" = l."key" and o.ident = l.ident'
        self._doubt(f"not exists (select 1 {sent} and o.list = l.list)")
        for chunk in ranges.chunks(found.of(Verdict.REFUSED)):
            places = " or ".join(f"o.seq between {lo} and {hi}" for lo, hi in chunk)
            self._doubt(f"exists (select 1 {sent} and ({places}))")

    def _doubt(self, which: str) -> None:
        """Let nobody of these be surely on the list. which: SQL about a claim `l`"""
        ledger = self.fence.warehouse.table(f"ledger_{self.fence.table}")
        with self.fence.transaction():
            self.fence.warehouse.run(
                f"update {ledger} l set sure = false where l.list = {literal(self.list_id)} and {which}"
            )

    def _wait(self) -> None:
        table = self.fence.warehouse.table(f"replace_{self.fence.table}")
        self.fence.warehouse.run(f"create table if not exists {table} (outbox bigint, list varchar, began timestamp)")
        with self.fence.transaction():
            self.fence.warehouse.run(f"delete from {table}")
            began = f"timestamp '{self.began:%Y-%m-%d %H:%M:%S.%f}'"
            self.fence.warehouse.run(
                f"insert into {table} values ({self.fence.epoch}, {literal(self.list_id)}, {began})"
            )


def finish(fence: Fence, connector: Connector, now: str) -> None:
    """Where a list is being made anew, and all its tickets are judged, let the provider end it.

    Raises AudienceError where it does not. A call without an answer is made again by the next run.
    """
    warehouse, name = fence.warehouse, f"replace_{fence.table}"
    if not warehouse.columns(name):
        return
    for outbox, list_id, began in warehouse.run(f"select outbox, list, began from {warehouse.table(name)}"):
        if _counted(warehouse, f"pending_{fence.table}", outbox):
            return
        error = _ended(fence, connector, outbox, list_id, began)
        if isinstance(error, Deferred | LeaseLost | Unanswered):
            raise error
        if error is None:
            tidy(fence, outbox, list_id, began, now)
        with fence.transaction():
            warehouse.run(f"delete from {warehouse.table(name)}")
        if error:
            raise error


def _ended(fence: Fence, connector: Connector, outbox: int, list_id: str, began: datetime) -> AudienceError | None:
    """Have the provider end it; why it does not. Where a ticket was lost, someone who is to stay might go."""
    if _counted(fence.warehouse, f"ledger_{fence.table}", outbox, " and not sure"):
        return unfinished("what became of some is not known any more")
    try:
        with theirs(type(connector)):
            connector.replaced(list_id, began)
    except AudienceError as error:
        return error
    return None


def tidy(fence: Fence, outbox: int, list_id: str, began: datetime, now: str) -> None:
    """Forget the claims of a list that are older than the outbox of which it was made, and tell the history so.

    Of those shortly before it nobody can say whether they went, since a provider that goes by time is told an earlier
    one, for a clock that is wrong: they are in doubt, and so removed, or sent again, by the next run.
    """
    ledger = fence.warehouse.table(f"ledger_{fence.table}")
    stale = f"l.outbox < {outbox} and l.list = {literal(list_id)}"
    gone = f"{stale} and l.\"at\" < timestamp '{began - ROOM:%Y-%m-%d %H:%M:%S.%f}'"
    with fence.transaction():
        Story(fence, outbox, None, now).left(ledger, gone)
        fence.warehouse.run(f"delete from {ledger} l where {gone}")
        fence.warehouse.run(f"update {ledger} l set sure = false where {stale}")


def unfinished(why: str) -> DeliveryError:
    """What to say of a list that was not made anew: it is what it was, and whom was sent is on it."""
    return DeliveryError(
        f"the list was not made anew: {why}", do="ask for it again; who was to be added is sent by any run"
    )


def _counted(warehouse: Warehouse, table: str, outbox: int, more: str = "") -> int:
    if not warehouse.columns(table):
        return 0
    [(count,)] = warehouse.run(f"select count(*) from {warehouse.table(table)} where outbox = {outbox}{more}")
    return int(count)
