"""An open outbox, read a window at a time: as rows, or as JSON of whole batches where the engine writes it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import repeat
from typing import Any, TypeVar

from audiences.batch import Phase, Rows
from audiences.changes import VERB
from audiences.control import Fence
from audiences.member import MEMBER, Written
from audiences.ranges import Range
from audiences.terms import SENT, fields, sent

APART = 1_000_000  # identifiers that are told apart by one statement: more of them would take memory by the 100 MB
WRITE = 16_000  # rows of which the engine writes the JSON at a time: each statement costs some 2 ms besides
Row = tuple[Any, ...]
P = TypeVar("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads an open outbox. Each range is a query of its own: no cursor and no transaction stays open."""

    fence: Fence
    outbox: int
    send: Sequence[str]

    def total(self) -> int:
        """How many rows there are; the census is none of them."""
        [(highest,)] = self.fence.warehouse.run(f"select max(seq) from {self._table}")
        return 0 if highest is None else int(highest) + 1

    def lists(self, phases: Sequence[Phase] | None = None) -> list[str]:
        """The lists that the outbox changes: more than one while a sync moves to another.

        phases: where they are known
        """
        named = [phase.list_id for phase in (self.phases() if phases is None else phases)]
        if None in named:
            found = self.fence.warehouse.run(f"select distinct list from {self._table} where seq >= 0")
            named = [name for (name,) in found]
        return sorted({str(name) for name in named})

    def columns(self) -> list[str]:
        """The outbox's sent columns, quoted."""
        return [sent(name) for name in self._fields()]

    def phases(self) -> list[Phase]:
        """What is delivered one after the other: releases, moves, upserts, those of the refused, removals, refreshes.

        A refresh is an upsert on its way.
        """
        found = self.fence.warehouse.run(
            f"select {VERB}, again, min(seq), max(seq), case when min(list) = max(list) then min(list) end"
            f" from {self._table} o where seq >= 0 group by verb, again order by min(seq)"
        )
        return [Phase(*row) for row in found]

    def windows(self, phase: Phase, size: int, failed: Sequence[Range] = ()) -> Generator[Rows]:
        """All rows of a phase in order, many batches of `size` rows at a time, or one; failed: as for `rows`.

        Where the engine writes a batch's JSON it does so while the one before is sent, and no row passes here.
        """
        if failed or not (member := self._member(phase)):
            most = self.fence.warehouse.words.reads
            yield from (self.rows(phase, lo, hi, failed) for lo, hi in _steps(phase, size, most))
            return
        json, finite = member
        ident = self.fence.warehouse.words.number.format("ident")
        places = list(_steps(phase, size, WRITE))
        parts = [json] if self._apart(phase, ident) else [json, ident]
        statements = (self._batches(parts, finite, size, lo, hi) for lo, hi in places)
        with self.fence.warehouse.beside() as ask, closing(ahead(statements, ask)) as asked:
            for (lo, hi), found in zip(places, asked, strict=True):
                if all(finite for _, _, finite, *_ in found):
                    yield from (_written(phase, *batch) for batch in found)
                else:
                    yield self.rows(phase, lo, hi, ident=ident)

    def _member(self, phase: Phase) -> tuple[str, str] | None:
        """What the engine writes of a row; None where it does not, or rows differ: in their lists, in what they carry,
        or for a key is among them twice.
        """
        if phase.list_id is None or not self._alike(phase):
            return None
        types = self.fence.warehouse.columns(f"outbox_{self.fence.table}_{self.outbox}")
        told = {name: (sent(name), types[SENT + name]) for name in self._named(phase)}
        return self.fence.warehouse.words.written('cast("key" as varchar)', told)

    def _alike(self, phase: Phase) -> bool:
        """Whether each row carries the same fields, and a key of its own: who leaves may have several claims."""
        if phase.verb == "upsert":
            return True
        words, once = self.fence.warehouse.words, set(self._fields()) - set(self.send)
        return not once and words.apart and self._apart(phase, words.number.format('"key"'))

    def _apart(self, phase: Phase, number: str) -> bool:
        """Whether no two rows of a phase have this number in common, where that is sooner asked than read."""
        if not self.fence.warehouse.words.apart:
            return False
        several = 1 + (phase.hi - phase.lo) // APART
        rows = f"(select {number} as i from {self._table} where seq >= {phase.lo} and seq <= {phase.hi}) as r"
        twice = (
            f"select 1 from {rows} where i % {several} = {part} group by i having count(*) > 1 limit 1"
            for part in range(several)
        )
        return not any(self.fence.warehouse.run(statement) for statement in twice)

    def _batches(self, parts: Sequence[str], finite: str, size: int, lo: int, hi: int) -> str:
        """A row a batch: its places, whether JSON holds all values, members, numbers for identifiers if asked."""
        texts = ", ".join(f"string_agg(cast({part} as varchar), ',' order by seq)" for part in parts)
        return (
            f"select min(seq), max(seq), coalesce(bool_and({finite}), true), {texts}"
            f" from {self._table} where seq >= {lo} and seq <= {hi}"
            f" group by seq - (seq - {lo}) % {size} order by min(seq)"
        )

    @property
    def _table(self) -> str:
        return self.fence.rows(self.outbox)

    def rows(self, phase: Phase, lo: int, hi: int, failed: Sequence[Range] = (), ident: str = "ident") -> Rows:
        """The rows of a phase from lo to hi, both included.

        failed: moves that were not acknowledged; an upsert whose member leaves by one of them is held
        ident:  what stands for the identifier, as SQL: the same for all batches that may be in flight together
        """
        names = self._named(phase)
        found = self.fence.warehouse.run(
            f'select {", ".join(sent(name) for name in names)}, cast("key" as varchar), cast({ident} as varchar)'
            f"{'' if phase.list_id else ', list'}{self._held(failed)}"
            f" from {self._table} o where seq >= {lo} and seq <= {hi} order by seq"
        )
        seqs: Sequence[int] = range(lo, hi + 1)  # dense, within a phase too
        held = [seq for seq, row in zip(seqs, found, strict=True) if failed and row[-1]]
        if held:
            seqs = sorted(set(seqs) - set(held))
            found = [row for row in found if not row[-1]]
        return self._rows(phase, names, seqs, found, held)

    def _rows(
        self, phase: Phase, names: Sequence[str], seqs: Sequence[int], found: Sequence[Row], held: Sequence[int]
    ) -> Rows:
        """A million rows pass here: by whole columns, so that no line of Python runs for each of them."""
        if not found:
            return Rows((), (), (), held)
        keys, idents, *more = list(zip(*found, strict=True))[len(names) :]
        fields: Iterable[dict[str, object]] = map(dict, map(zip, repeat(names), found))
        if phase.verb != "upsert":
            fields = map(self._before, fields)
        members = list(map(MEMBER, zip(keys, fields, seqs, strict=True)))
        return Rows(members, idents, (phase.list_id,) * len(found) if phase.list_id else more[0], held)

    def _before(self, fields: Mapping[str, object]) -> dict[str, object]:
        """A field that is no longer sent travels only with a removal, which may be known by it."""
        return {name: value for name, value in fields.items() if name in self.send or value is not None}

    def _named(self, phase: Phase) -> Sequence[str]:
        """The fields that travel; of who leaves also those that once did."""
        return list(self.send) if phase.verb == "upsert" else self._fields()

    def _fields(self) -> list[str]:
        return fields(self.fence.warehouse.columns(f"outbox_{self.fence.table}_{self.outbox}"))

    def _held(self, failed: Sequence[Range]) -> str:
        if not failed:
            return ""
        spans = " or ".join(f"m.seq between {lo} and {hi}" for lo, hi in failed)
        ledger = self.fence.warehouse.table(f"ledger_{self.fence.table}")
        return f""", exists (select 1 from {ledger} l join {self._table} m
          on m.ident = l.ident and m.list = l.list and m.verb = 'move'
          where l."key" = o."key" and (l.ident <> o.ident or l.list <> o.list) and ({spans}))"""


def _steps(phase: Phase, size: int, most: int) -> Iterator[Range]:
    """The places of a phase, so many at a time as are whole batches; one batch at least."""
    step = max(1, most // size) * size
    return ((lo, min(lo + step - 1, phase.hi)) for lo in range(phase.lo, phase.hi + 1, step))


def ahead(places: Iterable[P], read: Callable[[P], T]) -> Generator[T]:
    """What `read` makes of each place, in order: of one more than was asked for, by a thread beside the caller's."""
    coming: deque[Future[T]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="read") as thread:
        for place in places:
            coming.append(thread.submit(read, place))
            if len(coming) > 1:
                yield coming.popleft().result()
        yield from (each.result() for each in coming)


def _written(phase: Phase, lo: int, hi: int, finite: bool, members: str, idents: str = "") -> Rows:
    """One batch, as the engine wrote it. An outbox has a key no more than once among its upserts."""
    seqs = range(lo, hi + 1)
    return Rows(Written(members, seqs), idents.split(",") if idents else (), (str(phase.list_id),) * len(seqs))
