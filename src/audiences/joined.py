"""The one pass over the audience and the ledger, as SQL: whatever differs (`j`), and the counts of the rows (`n`).

Nothing here runs anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from audiences.terms import sent
from audiences.whole import REPEATED, Whole


@dataclass(frozen=True, slots=True)
class Refresh:
    """Who is sent again though nothing differs, before the provider forgets them.

    due, late: moments, as SQL literals: whose claim is older than `due` may be sent again, older than `late` is
    share:     how much of the list one run takes beside the late, 0.0 to 1.0, the oldest first
    """

    due: str
    late: str
    share: float


@dataclass(frozen=True, slots=True)
class Joined(Whole):
    """One audience beside its ledger.

    ledger, refused: our tables, quoted, or what stands for them; now: the moment, as an SQL literal
    refresh:         who is sent again though nothing differs; None: nobody
    light:           whether the query is run a second time for its counts, and its rows are not written down
    """

    ledger: str
    refused: str
    now: str
    refresh: Refresh | None = None
    light: bool = field(default=False, kw_only=True)

    def _compared(self) -> str:
        """The parts of a WITH that are made of the rows of the query."""
        if self.words.streams and not self.repeated and not self.refresh:
            return self._streamed()
        again = self.light and not self.repeated and not self.refresh
        return f"""r as {"not " if again else ""}materialized ({self._rows()}),
{REPEATED + "," if self.repeated else ""}
s as (select * from r where "key" is not null{self._once('r."key"')}),
{self._old()}j as materialized ({self._joined()}),
{self._twice()},
n as (select count(*) as whole, count("key") as keyed from r)"""

    def _streamed(self) -> str:
        """The same where no row is written down but those of `j`: the others are grouped and counted as they come.

        A row is joined once for each claim of its key: what is counted too much for that is `again`.
        """
        before = {name: f"k.p{i}" for i, name in enumerate(self.fields)}
        kept = f"lk, {'li, ll, ' if self.known.wide else ''}lsure, {self._each('p{i}')}"
        differs = self._differing("k", before, "li", "ll")
        named = self._named("k.li", "k.ll", "k.lk", before)
        # No group is without a row: it is asked because DuckDB, which expects all rows, then expects a fifth of them.
        return f"""k as materialized (select s.there, s."key", {self._each("s.c{i}")}, l."key" as lk,
  {"l.ident as li, l.list as ll, " if self.known.wide else ""}l.sure as lsure, {self._before()}
  from (select true as there, r.* from ({self._rows()}) as r) as s full join {self.ledger} l on s."key" = l."key"),
j as materialized (select "key" as sk, {self._each("c{i}")}, {self._ident("k")} as si, lk, {named},
  lsure, {self._each("p{i}")} from k
  where (k."key" is not null or lk is not null) and (k."key" is null or lk is null or not lsure or {differs})
  group by "key", {self._each("c{i}")}, {kept} having count(*) > 0),
{self._twice()},
again as (select coalesce(sum(more), 0) as more
  from (select distinct sk, {self._each("c{i}")} from j) s join twice on twice."key" = sk),
m as (select count(there) as whole, count("key") as keyed from k),
n as (select m.whole - again.more as whole, m.keyed - again.more as keyed from m, again)"""

    def _twice(self) -> str:
        """Who has an identifier that a claim of `j` has, or that its member has now; and of keys with several claims,
        how many more than one.

        Of those claims all are in j but one that equals the query, and that has the identifier of its member now.
        """
        moved = f"lk is not null and (si <> li or ll <> {self._list})"
        return f"""near as materialized (select l."key", l.ident, l.list, l.sure from {self.ledger} l
  where l.ident in (select li from j where lk is not null union all select si from j where {moved})),
twice as (select "key", count(*) - 1 as more from (select lk as "key", li, ll from j where lk is not null
    union select n."key", n.ident, n.list from near n where n."key" in (select lk from j)) c
  group by "key" having count(*) > 1)"""

    def _named(self, ident: str, list_: str, key: str, before: Mapping[str, str]) -> str:
        """By what a claim is known: as the ledger says where another rule may have written it, else by today's rule.

        Those texts are wide, and would travel through the whole join. Where the ledger says otherwise, `astray` tells.
        """
        if self.known.wide:
            return f"{ident} as li, {list_} as ll"
        return f"{self.terms.ident(key, before)} as li, {self._list} as ll"

    def _before(self) -> str:
        return ", ".join(f"{self._held_as(name)} as p{i}" for i, name in enumerate(self.fields))

    def _differing(self, row: str, before: Mapping[str, str], ident: str, list_: str) -> str:
        """Whether a row with a key that has a claim differs from it; before: what the claim holds for each field."""
        differs = [f"{row}.c{i} is distinct from {before[name]}" for i, name in enumerate(self.terms.send)]
        if self.known.wide:
            differs += [f"{self._ident(row)} is distinct from {ident}", f"{list_} <> {self._list}"]
        return " or ".join(differs)

    def _joined(self) -> str:
        """The one pass over everything, on the key in its own type: whatever differs, with the ident of those only."""
        after = self._each("s.c{i} as c{i}")
        before = {name: self._held_as(name) for name in self.fields}
        differs = self._differing("s", before, "l.ident", "l.list")
        named = self._named("l.ident", "l.list", 'l."key"', before)
        same = old = ""
        if self.refresh:
            same = f""",
  l.sure and not ({differs}) as same, l."at" as since"""
            old = f' or (l.sure and l."at" < {self.refresh.late}) or l."key" in (select "key" from old)'
        return f"""select s."key" as sk, {after}, {self._ident("s")} as si, l."key" as lk, {named},
  l.sure as lsure, {self._before()}{same}
  from s full join {self.ledger} l on s."key" = l."key"
  where {self.words.seldom(f's."key" is null or l."key" is null or not l.sure or {differs}{old}')}"""

    def _held_as(self, name: str) -> str:
        """What the ledger holds for a field, in the type that the query has now."""
        held, wanted = self.known.columns.get("sent_" + name), self.types.get(self.terms.send.get(name, ""))
        if held is None:
            return f"cast(null as {wanted})"
        column = f"l.{sent(name)}"
        return column if wanted is None or wanted == held else self.words.fitted(column, wanted)

    def _old(self) -> str:
        """The oldest of those who may be sent again, so many as one run takes: the join holds no more of them.

        Who is not wanted any more has no place among them, nor who waits after a refusal: those come besides.
        """
        if not self.refresh:
            return ""
        same = "".join(f" and f.{sent(name)} is not distinct from {self._held_as(name)}" for name in self.terms.send)
        claims = f'from {self.ledger} l where l.sure and l."at" < {self.refresh.due}'
        return f"""old as materialized (select "key" from (
    select l."key", row_number() over (order by l."at", l."key") as nth {claims}
      and exists (select 1 from s where s."key" = l."key")
      and not exists (select 1 from {self.refused} f where f."key" = l."key" and f.ident = l.ident
        and f.retry_at > {self.now}{same})) o
    where nth < (select {self.refresh.share:.9f} * count(*) + 1 from {self.ledger})
  union all select l."key" {claims} and exists (select 1 from {self.refused} f where f."key" = l."key"
    and f.retry_at > {self.now})),
"""
