"""What a sync would do, in numbers; whether its guard lets it; how that reads. It holds no person, no connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from audiences.audience import Guard, Sync
from audiences.errors import UnsafePlan

NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Plan:
    """Counts of members; one who moves or changes list counts once, as updated.

    counts:   what they are of, where the destination knows no members: "identifiers"
    rows:     what the query returned
    listed:   members that have a claim in the ledger
    keyless, repeated, nameless: set aside, for no key, a key that comes more than once, no identifier
    refreshed: sent again though nothing differs, before the provider forgets them; they count in no guard
    waiting:  refused before, unchanged, and not yet due again
    unknown:  claims that only read-back or a person can resolve
    pending:  members whom the provider has taken in and not judged yet; they are sent nothing until it has
    fewest:   below so many the destination does not use a list
    unconsented: set aside, for a consent that the destination asks for is not given; removed if there
    second:   claims of members who have another
    untouched: claims that differ from the query, and that no row of its outbox names
    anew:     of whom the list is made anew: all are sent, those who did not change among the refreshed
    """

    sync: Sync
    rows: int = 0
    listed: int = 0
    added: int = 0
    updated: int = 0
    removed: int = 0
    refreshed: int = 0
    keyless: int = 0
    repeated: int = 0
    nameless: int = 0
    waiting: int = 0
    unknown: int = 0
    pending: int = 0
    unsettled: int = 0
    unconsented: int = 0
    fewest: int = 0
    counts: str = "members"
    second: int = 0
    untouched: int = 0
    anew: int = 0

    @property
    def changed(self) -> int:
        return self.added + self.updated + self.removed

    @property
    def after(self) -> int:
        """How many are listed once it is delivered."""
        return self.listed + self.added - self.removed

    @property
    def keyed(self) -> bool:
        """Whether its outbox, all acknowledged, replaces just the claims of its keys: each has one, and it is named."""
        return not self.second and not self.untouched

    @property
    def few(self) -> bool:
        """Whether the list is, or will be, too small for the destination to use."""
        return bool(self.listed or self.added) and self.after < self.fewest

    @property
    def set_aside(self) -> int:
        return self.keyless + self.repeated + self.nameless + self.unconsented

    def check(
        self,
        guard: Guard,
        force: bool = False,
        why: Callable[[], str] = str,
        promised: Mapping[str, int] = NOTHING,
    ) -> None:
        """Raise UnsafePlan where the guard stops this plan. `force` passes shares, and nothing else.

        why: asked only when a share stops the plan: what explains it, in words, or ''
        promised: `added` and `updated` of an earlier plan that passed and was broken off: its rest passes, too
        """
        self._check_empty(guard)
        self._check_most(guard)
        if force or self.listed < guard.floor:
            return
        for verb, name, share in (
            ("remove", "removed", guard.removed),
            ("add", "added", guard.added),
            ("update", "updated", guard.updated),
        ):
            count = getattr(self, name)
            if count > max(share * self.listed, promised.get(name, 0)):
                raise self._stopped(verb, count, share, why())

    def _check_empty(self, guard: Guard) -> None:
        if self.rows == 0 and self.listed and not guard.empty:
            raise UnsafePlan(
                f"{self.title}: the query returns nobody, and {self.listed:,} {members(self.listed)} listed;"
                " nothing is sent",
                do="mend the query or its source;"
                " if the list is really to be emptied, write empty = true under [guard]",
            )

    def _check_most(self, guard: Guard) -> None:
        if guard.most is not None and self.changed > guard.most:
            raise UnsafePlan(
                f"{self.title} would change {self.changed:,} {self.counts}; its guard allows {guard.most:,} a run",
                do=f"look: audiences plan {self.sync.name}; if it is right, raise most under [guard]",
            )

    def _stopped(self, verb: str, count: int, share: float, why: str) -> UnsafePlan:
        reason = f" ({why})" if why else ""
        of = "to" if verb == "add" else "of"
        return UnsafePlan(
            f"{self.title} would {verb} {count:,} {of} {self.listed:,} {self.counts} ({count / self.listed:.0%});"
            f" its guard allows {share:.0%}{reason}",
            do=f"look: audiences plan {self.sync.name}; if it is right: audiences sync {self.sync.name} --force",
        )

    @property
    def title(self) -> str:
        return f"{self.sync.audience} → {self.sync.section} ({self.sync.shown_list})"

    def __str__(self) -> str:
        lines = [
            self.title,
            f"  + {self.added:,} added   ~ {self.updated:,} updated   − {self.removed:,} removed"
            f"   of {self.listed:,} listed{'' if self.counts == 'members' else f' {self.counts}'}",
            *(f"  {note}" for note in self.notes),
        ]
        return "\n".join(lines)

    @property
    def notes(self) -> Sequence[str]:
        """What else there is to know, a line each."""
        aside = (
            (self.keyless, "without a key"),
            (self.repeated, "with a key that the query returns more than once"),
            (self.nameless, "without an identifier"),
            (self.unconsented, "without consent"),
        )
        notes = [f"set aside: {', '.join(f'{n:,} {what}' for n, what in aside if n)}"] if self.set_aside else []
        if self.anew:
            notes.append(f"the list is made anew of {self.anew:,}; whoever else is on it goes")
        elif self.refreshed:
            notes.append(f"↻ {self.refreshed:,} sent again, before the destination forgets them")
        if self.few:
            notes.append(
                f"few: {self.after:,} {self.counts} once it is sent; the destination uses no list of fewer than"
                f" {self.fewest:,}"
            )
        if self.waiting:
            notes.append(f"waiting: {self.waiting:,} refused before and unchanged (audiences refused {self.sync.name})")
        if self.unknown:
            notes.append(
                f"unknown: {self.unknown:,} sent without an answer, and not sent again before someone says what became"
                f" of them (audiences resolve {self.sync.name})"
            )
        if self.pending:
            notes.append(f"pending: {self.pending:,} taken in before, and not judged by the provider yet")
        if self.unsettled:
            notes.append(
                f"an interrupted run left up to {self.unsettled:,} rows in doubt; the next sync settles them first"
            )
        return notes


def members(count: int) -> str:
    """`member is` or `members are`, as the number asks."""
    return "member is" if count == 1 else "members are"
