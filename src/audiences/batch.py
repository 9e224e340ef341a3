"""What travels between the outbox and a connector: rows, batches of them, and what became of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from audiences import ranges
from audiences.errors import AudienceError
from audiences.member import Member, keys
from audiences.ranges import Range


class Verdict(StrEnum):
    """What became of a row.

    OK:      acknowledged
    REFUSED: definitely not applied, and not to be tried again soon
    NO:      definitely not applied, may be tried in the next run
    DOUBT:   refused, after an attempt that had no answer
    TICKET:  taken in, and judged later
    A row that may have been sent and has none of these is in doubt, too.
    """

    OK = "ok"
    REFUSED = "refused"
    NO = "no"
    DOUBT = "doubt"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class Rows:
    """Neighbouring rows of an outbox, in order. Columns, not a value a row: a million rows pass here in seconds.

    members: with their fields as the warehouse gives them; idents, lists: as long as members
    idents:  identifiers, or numbers that stand for them; none where all of the phase differ, and so do its keys
    held:    places of rows left out: their members' old identifiers may still be on the list, so they are not sent
    """

    members: Sequence[Member]
    idents: Sequence[str]
    lists: Sequence[str]
    held: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Phase:
    """Rows of one verb, lo to hi, both included.

    again:   of those who were refused before
    list_id: the list of all of them; None where they are of several
    """

    verb: str
    again: bool
    lo: int
    hi: int
    list_id: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Members of one verb and one list that go out in one call.

    idents: as of `Rows`
    """

    verb: str
    again: bool
    list_id: str
    members: Sequence[Member]
    idents: frozenset[str]


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of a batch. Rows that no verdict names may have been applied.

    reasons: key -> the provider's words, people masked, for each refusal
    tickets: the provider's name for a job -> the rows that it will judge
    error:   why the sync must stop
    unnamed: how many of the acknowledged the provider refused without saying whom
    """

    found: Mapping[Verdict, Sequence[Range]]
    rows: int
    calls: int = 0
    reasons: Mapping[str, str] = field(default_factory=dict)
    tickets: Mapping[str, Sequence[Range]] = field(default_factory=dict)
    error: AudienceError | None = None
    unnamed: int = 0

    def verdicts(self) -> Iterator[tuple[Verdict, Range, str | None]]:
        """A verdict, its rows, and the ticket of the job that will judge them, where there is one."""
        for verdict, spans in self.found.items():
            if verdict is not Verdict.TICKET:
                yield from ((verdict, span, None) for span in spans)
        for ticket, spans in self.tickets.items():
            yield from ((Verdict.TICKET, span, ticket) for span in spans)


def cut(phase: Phase, rows: Rows, size: int) -> Iterator[Batch]:
    """Batches of at most `size` rows of one list, in order, in which each key and each identifier stands once."""
    start = 0
    while start < len(rows.members):
        members, idents, lists = rows.members, rows.idents, rows.lists
        if start or len(members) > size:
            end = start + size
            members, idents, lists = members[start:end], idents[start:end], lists[start:end]
        names = frozenset(idents)
        if len(names) < len(idents) or not _alike(members, lists):
            members = members[: _together(members, idents, lists)]
            names = frozenset(idents[: len(members)])
        yield Batch(phase.verb, phase.again, lists[0], members, names)
        start += len(members)


def _alike(members: Sequence[Member], lists: Sequence[str]) -> bool:
    """Whether these are of one list, and no key is among them twice: nearly always, and it is told at once."""
    return lists.count(lists[0]) == len(lists) and len(keys(members)) == len(members)


def _together(members: Sequence[Member], idents: Sequence[str], lists: Sequence[str]) -> int:
    """How many of these rows, from the first, can be one batch."""
    seen_keys, seen_idents = set[str](), set[str]()
    for at, (member, ident, list_id) in enumerate(zip(members, idents, lists, strict=True)):
        if list_id != lists[0] or member.key in seen_keys or ident in seen_idents:
            return at
        seen_keys.add(member.key)
        seen_idents.add(ident)
    return len(members)


def whole(batch: Batch, verdict: Verdict) -> Sent:
    """One verdict for every row of a batch."""
    return Sent({verdict: ranges.of(member.seq for member in batch.members)}, rows=len(batch.members))
