"""What was sent to whom, by which run, and what the destination said: rows beside the ledger, without any field.

No run decides anything by them. They answer whoever asks why someone is on a list, or is not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from audiences import ranges
from audiences.batch import Verdict
from audiences.control import Fence
from audiences.ranges import Range
from audiences.verdicts import Found
from audiences.warehouse import Warehouse, literal

ACCEPTED, PENDING, UNKNOWN = "accepted", "pending", "unknown"  # what a destination says; else `refused: …`
SAID = {True: "resolved: delivered", False: "resolved: not delivered"}  # what someone has found out of what was unknown
ON_LIST = (ACCEPTED, SAID[True])  # answers after which a member who was added or updated is there
COLUMNS = 'outbox bigint, seq bigint, "key" varchar, verb varchar, run varchar, "at" timestamp, answer varchar'
FEW = 500  # answers that one statement carries
# Chunks before memory is let go of: their rows are narrow, and the ledger is soon written from the same pages.
SELDOM = 4
Answer = tuple[int, int, str]  # rows of an outbox, from and to, and what was said of each


def keep(warehouse: Warehouse, table: str, wanted: bool) -> None:
    """Make a sync's history, or drop it where none is wanted. Where there is none, none is written.

    Its key is text, whatever the ledger's is: what was sent stays told when the key gets another type.
    """
    name, known = warehouse.table(f"history_{table}"), warehouse.columns(f"history_{table}")
    if wanted and not known:
        warehouse.run(f"create table if not exists {name} ({COLUMNS})")
    elif known and not wanted:
        warehouse.run(f"drop table {name}")


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a member that was sent. verb: add, update, remove, move or release; at: in UTC."""

    at: datetime
    verb: str
    answer: str
    run: str | None


def of(warehouse: Warehouse, table: str, keys: Collection[str]) -> list[Event]:
    """What was sent of a member, known by any of these keys, in order; nothing where no history is kept."""
    if not warehouse.columns(f"history_{table}"):
        return []
    found = warehouse.run(
        f'select "at", verb, answer, run from {warehouse.table(f"history_{table}")}'
        f' where "key" in ({", ".join(map(literal, keys))}) order by outbox, seq'
    )
    return [Event(*row) for row in found]


def reaches(warehouse: Warehouse, table: str) -> datetime | None:
    """When the oldest outbox that is told of was settled; None where none is."""
    if not warehouse.columns(f"history_{table}"):
        return None
    rows = warehouse.run(f'select "at" {_first(warehouse.table(f"history_{table}"))}')
    return next((at for (at,) in rows), None)


def moved(warehouse: Warehouse, table: str, since: str, until: str) -> tuple[int, int]:
    """How many members entered a list and left it, as its destination has said after one moment and up to another.

    since, until: SQL literals

    Counted as a plan counts: a move and a release are neither. Who was added without an answer has entered once an
    update of his is accepted; a claim stood by then, so that it was no second addition.
    """
    if not warehouse.columns(f"history_{table}"):
        return 0, 0
    name, done = warehouse.table(f"history_{table}"), f"answer in ({', '.join(map(literal, ON_LIST))})"
    within = f'{done} and "at" > {since} and "at" <= {until}'
    [(entered,)] = warehouse.run(
        f"""with doubt as (select "key", max(outbox) as outbox from {name} where verb = 'add' and answer = '{UNKNOWN}'
    group by "key"),
  later as (select h."key", h.verb, h.answer, h."at",
    row_number() over (partition by h."key" order by h.outbox, h.seq) as nth
    from {name} h join doubt d on d."key" = h."key" and h.outbox > d.outbox where {done})
select count(distinct "key") from (select "key" from {name} where verb = 'add' and {within}
  union all select "key" from later where nth = 1 and verb = 'update' and {within}) e"""
    )
    [(left,)] = warehouse.run(f"select count(distinct \"key\") from {name} where verb = 'remove' and {within}")
    return int(entered), int(left)


def refused(reason: str) -> str:
    """The answer of a destination that refused."""
    return f"refused: {reason}" if reason else "refused"


@dataclass(frozen=True, slots=True)
class Story:
    """What became of one outbox.

    run: the run that sent it, where the state database still knows; now: the moment, as an SQL literal
    """

    fence: Fence
    outbox: int
    run: str | None
    now: str

    def write(self, found: Found, reasons: Callable[[Sequence[str]], Mapping[str, str]]) -> None:
        """Write down the rows that were sent, before the outbox is closed. A row that stands there already stays.

        reasons: of refusals, people masked, by key; asked for a few keys at a time
        """
        if not self.fence.warehouse.columns(f"history_{self.fence.table}"):
            return
        # Only a settlement that was broken off has left some, and to look for each of them is dear.
        [(some,)] = self.fence.warehouse.run(
            f"select exists (select 1 from {self._table} where outbox = {self.outbox})"
        )
        pending = ranges.joined(span for spans in found.tickets.values() for span in spans)
        for answer, spans in ((ACCEPTED, found.of(Verdict.OK)), (PENDING, pending), (UNKNOWN, found.silent)):
            for number, chunk in enumerate(ranges.chunks(spans), 1):
                if number % SELDOM == 0:
                    self.fence.warehouse.relieve()
                self._insert([(lo, hi, answer) for lo, hi in chunk], some)
        for chunk in ranges.chunks(found.of(Verdict.REFUSED, Verdict.DOUBT), rows=FEW):
            self._insert(list(self._refused(chunk, reasons)), some)
        self.fence.warehouse.index(self._table, "outbox, seq")  # once it holds something: that is faster

    def amend(self, told: Sequence[Answer]) -> None:
        """Let rows of a closed outbox have another answer, for it came later."""
        if not self.fence.warehouse.columns(f"history_{self.fence.table}"):
            return
        for start in range(0, len(told), FEW):
            with self.fence.transaction():
                self.fence.warehouse.run(
                    f'update {self._table} h set answer = v.answer, "at" = {self.now}'
                    f" from (values {_values(told[start : start + FEW])}) v(lo, hi, answer)"
                    f" where h.outbox = {self.outbox} and h.seq between v.lo and v.hi"
                )

    def left(self, ledger: str, stale: str) -> None:
        """Tell of claims that went with a list made anew of this outbox, in the transaction that forgets them.

        stale: which of the ledger's rows `l`, as SQL
        """
        if not self.fence.warehouse.columns(f"history_{self.fence.table}"):
            return
        new = f"exists (select 1 from {ledger} n where n.outbox >= {self.outbox} and n.list = l.list and n"
        rows = f'select l.*, {new}.ident = l.ident) as stays, {new}."key" = l."key") as moves from {ledger} l'
        self.fence.warehouse.run(
            f"insert into {self._table}"
            f' select {self.outbox}, h.last + row_number() over (order by l."key", l.ident), cast(l."key" as varchar),'
            " case when l.stays then 'release' when l.moves then 'move' else 'remove' end,"
            f" h.run, {self.now}, '{ACCEPTED}' from ({rows} where {stale}) l cross join"
            f" (select coalesce(max(seq), -1) as last, max(run) as run from {self._table}"
            f" where outbox = {self.outbox}) h"
        )

    @property
    def _table(self) -> str:
        return self.fence.warehouse.table(f"history_{self.fence.table}")

    @property
    def _source(self) -> str:
        return self.fence.rows(self.outbox)

    def _insert(self, told: Sequence[Answer], some: bool) -> None:
        """Some: whether rows of this outbox may stand there already."""
        run = "null" if self.run is None else literal(self.run)
        here = f"outbox = {self.outbox} and seq between {told[0][0]} and {told[-1][1]}"
        new = f"o.seq not in (select seq from {self._table} where {here})" if some else "true"
        with self.fence.transaction(self.outbox):
            self.fence.warehouse.run(
                f'insert into {self._table} select {self.outbox}, o.seq, cast(o."key" as varchar),'
                f" case when o.verb <> 'upsert' then o.verb when o.had then 'update' else 'add' end,"
                f" {run}, {self.now}, o.answer from {self._told(told)} o where {new}"
            )

    def _told(self, told: Sequence[Answer]) -> str:
        """The outbox's rows that something was said of, with it: in one piece, mostly, which needs no join."""
        if len(told) == 1:
            [(lo, hi, answer)] = told
            return f"(select o.*, {literal(answer)} as answer from {self._source} o where o.seq between {lo} and {hi})"
        spans = f"(values {_values(told)}) v(lo, hi, answer)"
        return f"(select o.*, v.answer from {self._source} o join {spans} on o.seq between v.lo and v.hi)"

    def _refused(
        self, chunk: Sequence[Range], reasons: Callable[[Sequence[str]], Mapping[str, str]]
    ) -> Iterator[Answer]:
        """Each refused row of these ranges with its reason, in order."""
        spans = ", ".join(f"({lo}, {hi})" for lo, hi in chunk)
        rows = self.fence.warehouse.run(
            f'select o.seq, cast(o."key" as varchar) from {self._source} o'
            f" join (values {spans}) v(lo, hi) on o.seq between v.lo and v.hi order by o.seq"
        )
        known = reasons([key for _, key in rows])
        yield from ((seq, seq, refused(known.get(key, ""))) for seq, key in rows)


def prune(fence: Fence, before: str, stop: Callable[[], bool]) -> None:
    """Forget what was settled before a moment, an SQL literal: the oldest outbox first, a piece a transaction."""
    while not stop() and (place := _oldest(fence, before)):
        outbox, first = place
        with fence.transaction():
            fence.warehouse.run(
                f"delete from {fence.warehouse.table(f'history_{fence.table}')}"
                f" where outbox = {outbox} and seq between {first} and {first + ranges.ROWS - 1}"
            )


def _oldest(fence: Fence, before: str) -> tuple[int, int] | None:
    """Outbox and place of the first row, where it is older than that."""
    if not fence.warehouse.columns(f"history_{fence.table}"):
        return None
    name = fence.warehouse.table(f"history_{fence.table}")
    rows = fence.warehouse.run(f'select outbox, seq, "at" < {before} {_first(name)}')
    return next(((outbox, seq) for outbox, seq, old in rows if old), None)


def _first(history: str) -> str:
    """The row that is first in order. Of the first outbox: DuckDB, which has no index, would look at all rows."""
    return f"from {history} where outbox = (select min(outbox) from {history}) order by seq limit 1"


def _values(told: Sequence[Answer]) -> str:
    return ", ".join(f"({lo}, {hi}, {literal(answer)})" for lo, hi, answer in told)
