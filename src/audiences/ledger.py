"""What the destination acknowledged, a row a (key, ident, list), and who was refused; kept by set statements.

Each statement names its outbox and carries the fence, may be repeated, and changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from audiences import ranges
from audiences.batch import Verdict
from audiences.changes import UPSERT, VERB, same
from audiences.control import Fence
from audiences.ranges import Range
from audiences.verdicts import Found
from audiences.warehouse import literal

FREE = "verb = 'release'"
OFF = "verb in ('move', 'remove')"
BACKOFF = "case {attempts} when 1 then 1 when 2 then 4 when 3 then 16 when 4 then 64 else 168 end"  # hours


@dataclass(frozen=True, slots=True)
class Settlement:
    """Bring ledger and refused up to date with what became of one outbox.

    columns: the outbox's sent columns, quoted; now: the moment, as an SQL literal
    judged:  rows of a closed outbox, as SQL, that are settled by what became of them: of a ticket, or in doubt
    leaves:  whether a row may be no upsert: to look for the claims of the others takes a pass over the ledger
    first:   whether its sync had no claim when this began, so that there is none to be replaced
    keyed:   rows of an outbox that takes every claim of its keys off, and no other claim; 0: nobody says so
    settled: what this has applied already; once is enough, while the run goes on
    """

    fence: Fence
    outbox: int
    columns: Sequence[str]
    now: str
    judged: str = ""
    leaves: bool = True
    first: bool = False
    keyed: int = 0
    settled: list[Range] = field(default_factory=list, init=False)

    def acknowledged(self, found: Found) -> None:
        """What is known to be done, and what was refused. May be called while delivery goes on.

        A transaction a chunk, because each may be repeated, and one for a million rows would hold them all in memory.
        """
        if not self.first:
            self._index()
        by_key = self.by_key(found)
        most = self.fence.warehouse.words.settles
        for chunk in ranges.chunks(ranges.without(found.of(Verdict.OK), self.settled), rows=most):
            if self.settled:
                self.fence.warehouse.relieve()  # of what the chunk before took
            with self.fence.transaction(self._open):
                self._applied(self._rows(chunk), by_key)
            self.settled.extend(chunk)
        if self.first:
            self._index()
        for chunk in ranges.chunks(found.of(Verdict.REFUSED, Verdict.DOUBT)):
            with self.fence.transaction(self._open):
                self._refused(self._rows(chunk))
        taken = [(lo, hi, ticket) for ticket, spans in found.tickets.items() for lo, hi in spans]
        for start in range(0, len(taken), 500):
            with self.fence.transaction(self._open):
                self._taken(taken[start : start + 500])

    def by_key(self, found: Found) -> bool:
        """Whether a claim that changes is told by its key: of a `keyed` outbox all is acknowledged."""
        return found.of(Verdict.OK) == [(0, self.keyed - 1)]

    def whole(self, found: Found) -> None:
        """Everything: also the doubts; then close the outbox, which is always the last step."""
        self.acknowledged(found)
        with self.fence.transaction(self.outbox):
            for chunk in ranges.chunks(found.doubts):
                self._doubted(self._rows(chunk))
        self.fence.update("outbox = null, mark = 0", self.outbox)

    def resolved(self, places: Iterable[int], delivered: bool) -> None:
        """What became of `judged` rows of `unknown`, as someone found out. Each transaction lets go of its rows."""
        for chunk in ranges.chunks(ranges.of(places)):
            rows, settled = self._rows(chunk), self._applied if delivered else self._undone
            with self.fence.transaction():
                settled(rows)
                unknown = self._table("unknown")
                self._change(f"delete from {unknown} u using {rows} o where u.outbox = o.outbox and u.seq = o.seq")

    def _index(self) -> None:
        """Let the ledger be read by its key: at its first load afterwards, which takes two thirds of the time."""
        self.fence.warehouse.index(self._table("ledger"), '"key"')

    @property
    def _open(self) -> int | None:
        """The outbox that must still be open."""
        return None if self.judged else self.outbox

    def _table(self, kind: str) -> str:
        return self.fence.warehouse.table(f"{kind}_{self.fence.table}")

    @property
    def _source(self) -> str:
        return self.judged or self.fence.rows(self.outbox)

    def _rows(self, chunk: Sequence[Range]) -> str:
        """The outbox's rows in these ranges, under the fence. One range, as is usual, needs no join."""
        if len(chunk) == 1:
            [(lo, hi)] = chunk
            found = f"{self._source} o where o.seq between {lo} and {hi} and"
        else:
            spans = ", ".join(f"({lo}, {hi})" for lo, hi in chunk)
            found = f"{self._source} o join (values {spans}) v(lo, hi) on o.seq between v.lo and v.hi where"
        return f"(select o.* from {found} {self.fence.holds(self._open)})"

    def _change(self, sql: str) -> None:
        self.fence.warehouse.run(sql)

    def _gone(self, rows: str) -> str:
        """Take off who goes and who is written anew, in one pass: the ledger is large, the rows are few.

        What an outbox takes off a list, none of its upserts writes on it: a plan removes no identifier that a wanted
        member carries.
        """
        # Off the list is off the list, whoever claimed it.
        whose = f'(o."key" = l."key" or o.{OFF})' if self.leaves else 'o."key" = l."key"'
        return f"{self._table('ledger')} l using {rows} o where o.ident = l.ident and o.list = l.list and {whose}"

    def _gone_by_key(self, rows: str) -> str:
        """The same by key: no identifier is read, the widest that a claim has.

        What a chunk before has written stays: of a member who changes list, the row that leaves comes last.
        """
        return f'{self._table("ledger")} where outbox < {self.outbox} and "key" in (select "key" from {rows} o)'

    def _applied(self, rows: str, by_key: bool = False) -> None:
        """DELETE and INSERT in the one transaction: 2.2 times as fast as MERGE on DuckDB."""
        ledger, refused = self._table("ledger"), self._table("refused")
        ups, free = (f"(select * from {rows} where {verbs})" for verbs in (UPSERT, FREE))
        columns = "".join(f", {name}" for name in self.columns)
        if not self.first:
            self._change(f"delete from {self._gone_by_key(rows) if by_key else self._gone(rows)}")
        self._change(
            f'insert into {ledger} ("key", ident, list, sure, outbox, "at"{columns})'
            f' select "key", ident, list, true, {self.outbox}, {self.now}{columns} from {ups}'
        )
        self._change(f'delete from {refused} where "key" in (select "key" from {ups})')
        if self.leaves:
            self._change(f"delete from {refused} l using {free} o where {same('l')}")

    def _taken(self, taken: Sequence[tuple[int, int, str]]) -> None:
        """Taken in with a ticket: the rows wait beside the ledger, which stays as it was."""
        spans = ", ".join(f"({lo}, {hi}, {literal(ticket)})" for lo, hi, ticket in taken)
        pending, columns = self._table("pending"), "".join(f", {name}" for name in self.columns)
        self._change(
            f'insert into {pending} (ticket, outbox, seq, verb, "key", ident, list, "at"{columns})'
            f' select v.ticket, {self.outbox}, o.seq, {VERB}, o."key", o.ident, o.list, {self.now}{columns}'
            f" from {self._source} o join (values {spans}) v(lo, hi, ticket) on o.seq between v.lo and v.hi"
            f" where {self.fence.holds(self._open)}{self._unpending}"
        )

    @property
    def _unpending(self) -> str:
        """The condition that an outbox row `o` does not wait for a verdict."""
        if not self.fence.warehouse.columns(f"pending_{self.fence.table}"):
            return ""
        here = f"p.outbox = {self.outbox} and p.seq = o.seq"
        return f" and not exists (select 1 from {self._table('pending')} p where {here})"

    def _doubted(self, rows: str) -> None:
        """Sent without an answer: whatever claim there is, is no longer sure; an upsert without one gets one."""
        rows = f"(select o.* from {rows} o where true{self._unpending})"
        ledger, there = self._table("ledger"), "o.ident = l.ident and o.list = l.list"
        columns = "".join(f", {name}" for name in self.columns)
        equal = " and ".join(f"x.{name} is not distinct from o.{name}" for name in self.columns)
        held = f"{same('x')} and x.sure and (o.verb = 'upsert' or x.outbox = {self.outbox}) and {equal}"
        settled = f"exists (select 1 from {ledger} x where {held})"
        noted = self.fence.warehouse.columns(f"unknown_{self.fence.table}")
        # A refresh leaves a doubt only where its lost job, or its repetition, may do harm.
        verbs = UPSERT if noted or self._unpending else "verb = 'upsert'"
        ups = f"(select * from {rows} o where o.{verbs} and not {settled})"
        gone = f"(select * from {rows} where {OFF})"
        # Sent once more, a doubt is young again: a ticket of this call, too, may be lost.
        since = "l.sure" if noted else f"(l.sure or l.outbox < {self.outbox})"
        if noted:
            self._unknown(ups, f"exists (select 1 from {ledger} l where {same('l')})")
            self._unknown(gone, "true", f" and exists (select 1 from {ledger} l where {there})")
        doubt = f'set sure = false, outbox = {self.outbox}, "at" = {self.now}'
        self._change(f"update {ledger} l {doubt} from {gone} o where {there} and {since}")
        self._change(f"update {ledger} l {doubt} from {ups} o where {same('l')} and {since}")
        self._change(
            f'insert into {ledger} ("key", ident, list, sure, outbox, "at"{columns})'
            f' select "key", ident, list, false, {self.outbox}, {self.now}{columns} from {ups} o'
            f" where not exists (select 1 from {ledger} l where {same('l')})"
        )

    def _unknown(self, rows: str, had: str, and_if: str = "") -> None:
        """Note rows in doubt as they were sent, and whether their claims stood: no verb of theirs is repeated."""
        unknown, columns = self._table("unknown"), "".join(f", {name}" for name in self.columns)
        self._change(
            f'insert into {unknown} (had, outbox, seq, verb, "key", ident, list, "at"{columns})'
            f' select {had}, {self.outbox}, o.seq, {VERB}, o."key", o.ident, o.list, {self.now}{columns} from {rows} o'
            f" where not exists (select 1 from {unknown} u where u.outbox = {self.outbox} and u.seq = o.seq){and_if}"
        )

    def _undone(self, rows: str) -> None:
        """Not applied after all: a claim that was new goes, and what stood before stands again."""
        ledger = self._table("ledger")
        new = f"(select * from {rows} where verb = 'upsert' and not had)"
        self._change(f"delete from {ledger} l using {new} o where {same('l')} and not l.sure")
        self._change(
            f"update {ledger} l set sure = true from {rows} o where o.ident = l.ident and o.list = l.list"
            f' and (o.verb <> \'upsert\' or o."key" = l."key") and not l.sure and l.outbox = {self.outbox}'
        )

    def _refused(self, rows: str) -> None:
        """An attempt counts once an outbox; other data of a member start the count anew."""
        refused, columns = self._table("refused"), "".join(f", {name}" for name in self.columns)
        ups = f"(select * from {rows} where {UPSERT})"
        equal = " and ".join(f"f.{name} is not distinct from o.{name}" for name in self.columns)
        again = f'f.outbox < {self.outbox} and f."key" = o."key"'
        words = self.fence.warehouse.words
        first, due = (words.later(self.now, BACKOFF.format(attempts=n)) for n in ("1", "(f.attempts + 1)"))
        self._change(
            f'update {refused} f set attempts = f.attempts + 1, outbox = {self.outbox}, "at" = {self.now},'
            f" retry_at = {due} from {ups} o where {again} and {same('f')} and {equal}"
        )
        self._change(f"delete from {refused} f using {ups} o where {again}")
        self._change(
            f'insert into {refused} ("key", ident, list, attempts, retry_at, outbox, "at"{columns})'
            f' select "key", ident, list, 1, {first}, {self.outbox}, {self.now}{columns} from {ups} o'
            f' where not exists (select 1 from {refused} f where f."key" = o."key")'
        )
