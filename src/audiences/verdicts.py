"""What became of each row of an outbox, as the state database keeps it: a range of places, not a row a member."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select

from audiences import ranges, state
from audiences.batch import Verdict
from audiences.lease import Lease
from audiences.ranges import Range


@dataclass(frozen=True, slots=True)
class Found:
    """The verdicts of one outbox; rows at or above `mark` were never sent.

    tickets: the provider's name for a job -> the rows that it will judge
    """

    mark: int
    by: Mapping[Verdict, tuple[Range, ...]] = field(default_factory=dict)
    tickets: Mapping[str, Sequence[Range]] = field(default_factory=dict)

    def of(self, *verdicts: Verdict) -> list[Range]:
        return ranges.joined(each for verdict in verdicts for each in self.by.get(verdict, ()))

    @property
    def silent(self) -> list[Range]:
        """Rows that may have been sent, and have no verdict."""
        return ranges.missing((each for found in self.by.values() for each in found), self.mark)

    @property
    def doubts(self) -> list[Range]:
        """Rows that may have been applied and were not acknowledged."""
        return ranges.joined([*self.silent, *self.of(Verdict.DOUBT)])


def read(held: Lease, outbox: int, mark: int) -> Found:
    """The verdicts of an outbox. Where the state does not know it (it was lost), the warehouse's own `mark` holds."""
    with held.begin() as connection:
        row = connection.execute(
            select(state.opened.c.mark).where(state.opened.c.sync == held.sync, state.opened.c.outbox == outbox)
        ).one_or_none()
        if row is None:
            return Found(mark)
        v = state.verdict
        rows = connection.execute(
            select(v.c.verdict, v.c.lo, v.c.hi, v.c.ticket).where(v.c.sync == held.sync, v.c.outbox == outbox)
        ).all()
    by = {each: tuple(ranges.joined((lo, hi) for said, lo, hi, _ in rows if said == each)) for each in Verdict}
    names = sorted({ticket for *_, ticket in rows if ticket is not None})
    tickets = {name: ranges.joined((lo, hi) for _, lo, hi, ticket in rows if ticket == name) for name in names}
    return Found(row.mark, {each: found for each, found in by.items() if found}, tickets)


def register(held: Lease, outbox: int) -> None:
    """Say that this outbox is about to be published; before the warehouse says so."""
    with held.begin() as connection:
        _forget(connection, held.sync)
        connection.execute(state.opened.insert().values(sync=held.sync, outbox=outbox, mark=0))


def forget(held: Lease) -> None:
    """Drop what was said of a closed outbox."""
    with held.begin() as connection:
        _forget(connection, held.sync)


def record(
    held: Lease,
    outbox: int,
    found: Iterable[tuple[Verdict, Range, str | None]],
    reasons: Mapping[str, str],
    intent: int | None = None,
) -> None:
    """Write verdicts with their tickets, the masked reasons of refusals by key, and how far the next batch goes.

    One transaction.
    """
    by: dict[tuple[Verdict, str | None], list[Range]] = {}
    for said, span, ticket in found:
        by.setdefault((said, ticket), []).append(span)
    with held.begin() as connection:
        for (said, ticket), spans in by.items():
            for lo, hi in ranges.joined(spans):
                _record(connection, held.sync, outbox, said, lo, hi, ticket)
        for key, reason in reasons.items():
            _explain(connection, held.sync, key, reason)
        if intent is not None:
            state.said(
                connection,
                "update opened set mark = :m where sync = :s and outbox = :n and mark < :m",
                {"m": intent, "s": held.sync, "n": outbox},
            )


def explain(held: Lease, reasons: Mapping[str, str]) -> None:
    """Write the masked reasons of refusals by key."""
    with held.begin() as connection:
        for key, reason in reasons.items():
            _explain(connection, held.sync, key, reason)


def reasons(held: Lease, keys: Iterable[str]) -> dict[str, str]:
    """The masked reasons of refusals, by key, as they were written last; for as many keys as one statement takes."""
    r, hashes = state.refusal.c, {state.hashed(key): key for key in keys}
    with held.begin() as connection:
        rows = connection.execute(select(r.key_hash, r.reason).where(r.sync == held.sync, r.key_hash.in_(hashes)))
        return {hashes[row.key_hash]: row.reason for row in rows}


def _record(
    connection: Connection, sync: str, outbox: int, said: Verdict, lo: int, hi: int, ticket: str | None
) -> None:
    here = {"s": sync, "n": outbox, "v": str(said), "lo": lo, "hi": hi, "t": ticket}
    grown = state.said(
        connection,
        "update verdict set hi = :hi where sync = :s and outbox = :n and verdict = :v and hi = :lo - 1"
        " and coalesce(ticket, '') = coalesce(:t, '')",
        here,
    )
    if not grown.rowcount:
        state.said(
            connection,
            "insert into verdict (sync, outbox, lo, hi, verdict, ticket) values (:s, :n, :lo, :hi, :v, :t)",
            here,
        )


def _explain(connection: Connection, sync: str, key: str, reason: str) -> None:
    state.said(
        connection,
        "insert into refusal (sync, key_hash, reason, attempts) values (:s, :k, :r, 1)"
        " on conflict (sync, key_hash) do update set reason = excluded.reason, attempts = refusal.attempts + 1",
        {"s": sync, "k": state.hashed(key), "r": reason},
    )


def _forget(connection: Connection, sync: str) -> None:
    connection.execute(delete(state.opened).where(state.opened.c.sync == sync))
    connection.execute(delete(state.verdict).where(state.verdict.c.sync == sync))
