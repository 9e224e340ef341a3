"""Batches that a provider took in with a ticket, until its job has judged them.

They wait in the warehouse, with the ticket, so that they outlive the state database. Until then nobody in them is
sent anything else: a job that is still open could undo it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from audiences import history, mask, portable, ranges, tables
from audiences.batch import Verdict
from audiences.connector import Connector
from audiences.control import Fence
from audiences.history import Story
from audiences.ledger import Settlement
from audiences.member import Member, Receipt
from audiences.send import covering
from audiences.terms import fields, sent
from audiences.theirs import theirs
from audiences.verdicts import Found
from audiences.warehouse import Warehouse, literal


def create(warehouse: Warehouse, table: str) -> None:
    """Make a sync's pending table, or bring its columns up to those of its ledger."""
    tables.beside(warehouse, "pending", table, "ticket varchar")


@dataclass(frozen=True, slots=True)
class Job:
    """One ticket, and the rows of an outbox that it will judge.

    verb: of those rows; send: the fields that are sent today, others travel only where they have a value
    """

    fence: Fence
    ticket: str
    outbox: int
    verb: str
    send: Sequence[str]

    @property
    def table(self) -> str:
        return self.fence.warehouse.table(f"pending_{self.fence.table}")

    @property
    def _rows(self) -> str:
        return f"{self.table} where ticket = {literal(self.ticket)} and outbox = {self.outbox}"

    def members(self) -> list[Member]:
        """Whom the ticket speaks of, as they were sent; `seq` is their place in the outbox of then."""
        names = fields(self.fence.warehouse.columns(f"pending_{self.fence.table}"))
        columns = "".join(f", {sent(name)}" for name in names)
        found = self.fence.warehouse.run(f'select cast("key" as varchar), seq{columns} from {self._rows} order by seq')
        members = []
        for key, seq, *row in found:
            told = {name: v for name, v in zip(names, row, strict=True) if name in self.send or v is not None}
            members.append(Member(key, portable.fields(told), seq))
        return members

    def judged(self, receipt: Receipt, members: Sequence[Member], reasons: Mapping[str, str], now: str) -> None:
        """Settle these rows as a receipt says, and let go of the ticket: last, so that it is asked again otherwise.

        A removal that failed changes nothing: the next comparison plans it anew.
        """
        off = [member.seq for member in members if member.key in receipt.rejected]
        on = [member.seq for member in members if member.key in receipt.accepted]
        found = Found(0, {Verdict.OK: tuple(ranges.of(on)), Verdict.REFUSED: tuple(ranges.of(off))})
        told = [(seq, seq, history.refused(reasons[key])) for key, _, seq in members if key in receipt.rejected]
        told += [(lo, hi, history.ACCEPTED) for lo, hi in found.of(Verdict.OK)]
        Story(self.fence, self.outbox, None, now).amend(told)
        self._settlement(now).acknowledged(found)
        with self.fence.transaction():
            self.fence.warehouse.run(f"delete from {self._rows}")

    def _settlement(self, now: str) -> Settlement:
        warehouse = self.fence.warehouse
        columns = [sent(name) for name in fields(warehouse.columns(f"pending_{self.fence.table}"))]
        return Settlement(self.fence, self.outbox, columns, now, f"(select * from {self._rows})")


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a ticket.

    delivered: changes that are acknowledged; stayed: removals that failed
    reasons:   key -> reason, people masked, of the refused
    unnamed:   how many the provider refused without saying whom
    stays:     why the first of the removals failed, people masked
    """

    delivered: int
    stayed: int
    reasons: Mapping[str, str]
    unnamed: int
    stays: str = ""


def judge(fence: Fence, connector: Connector, send: Sequence[str], now: str) -> Iterator[Judged]:
    """Ask what became of each ticket, and settle those that are judged.

    Raises AudienceError where the provider cannot be asked, or its answer does not speak of every member.
    """
    for job in _jobs(fence, send):
        members = job.members()
        with theirs(type(connector)):
            receipt = connector.outcome(job.ticket, members)
        if receipt is not None:
            covering(receipt, members)
            adds = job.verb == "upsert"
            # A move is half of a change, whose other half is counted.
            delivered = len(receipt.accepted) if job.verb != "move" else 0
            reasons = _masked(receipt, members)
            stayed, stays = (0, "") if adds else (len(receipt.rejected), next(iter(reasons.values()), ""))
            yield Judged(delivered, stayed, reasons if adds else {}, receipt.unnamed, stays)
            job.judged(receipt, members, reasons, now)


def count(warehouse: Warehouse, table: str) -> int:
    """How many members of a sync wait for a verdict."""
    if not warehouse.columns(f"pending_{table}"):
        return 0
    [(found,)] = warehouse.run(f'select count(distinct "key") from {warehouse.table("pending_" + table)}')
    return int(found)


def _jobs(fence: Fence, send: Sequence[str]) -> list[Job]:
    warehouse = fence.warehouse
    if not warehouse.columns(f"pending_{fence.table}"):
        return []
    table = warehouse.table(f"pending_{fence.table}")
    found = warehouse.run(
        f"select ticket, outbox, verb from {table} group by ticket, outbox, verb order by outbox, min(seq)"
    )
    return [Job(fence, ticket, outbox, verb, send) for ticket, outbox, verb in found]


def _masked(receipt: Receipt, members: Sequence[Member]) -> dict[str, str]:
    return {
        member.key: mask.text(str(receipt.rejected[member.key]), (member.key, *member.fields.values()))
        for member in members
        if member.key in receipt.rejected
    }
