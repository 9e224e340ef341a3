"""The one SELECT that says what must change: the audience as it is now against the ledger, in the warehouse.

Its rows are the outbox in the order in which they are sent, and before them one row (verb `census`) whose ident holds
the counts: they come from the very evaluation that they describe. Nothing here runs anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from audiences.joined import Joined
from audiences.terms import sent
from audiences.whole import COUNTS

UPSERT = "verb in ('upsert', 'refresh')"  # a refresh is an upsert of what the ledger holds already
VERB = "case when o.verb = 'refresh' then 'upsert' else o.verb end"  # of an outbox row `o`, as it goes out


@dataclass(frozen=True, slots=True)
class Changes(Joined):
    """One comparison.

    frozen: key and ident of those who are neither sent nor lost, as a SELECT; empty: there can be nobody
    """

    frozen: str = field(default="", kw_only=True)

    def select(self) -> str:
        """The comparison with a ledger that holds someone."""
        return f"""with {self._compared()},
gone as (select lk, li, ll, {self._each("p{i}")}, si is not null as wanted,
  si is not null and ll = {self._list} as moved from j
  where lk is not null and (si is null or si <> li or ll <> {self._list}){self._once("lk")}),
{self._doubts()}held as ({self._held()}),
leaving as (select g.*, h.ident is not null as kept, h.sure as sure from gone g
  left join held h on h.ident = g.li and g.ll = {self._list}),
want as ({self._want()}),
todo as ({self._todo()}),
t as (
  select 0 as phase, 'census' as verb, null as "key", ({self._census()}) as ident, null as list,
    false as had, false as again, {self._each("null as p{i}")}
  union all select * from todo)
select row_number() over (order by phase, "key", ident) - 2 as seq, verb, "key", ident, list, had, again,
  {self._each("p{i} as {sent}")} from t order by seq"""

    def _held(self) -> str:
        """The idents on this list that a wanted member carries; sure: acknowledged for one of them."""
        repeated = f' union all select {self._ident("r")}, 0 from r where "key" in (select "key" from rep)'
        return f"""select ident, max(sure) as sure from (
    select n.ident, case when n.sure then 1 else 0 end as sure from near n where n.list = {self._list}
      and n.ident in (select li from gone)
      and not exists (select 1 from gone g where g.lk = n."key" and g.li = n.ident and g.ll = n.list)
    union all select si, 0 from j where si is not null and (lk is null or si <> li or ll <> {self._list})
    {repeated if self.repeated else ""}) h where ident is not null group by ident"""

    def _want(self) -> str:
        """Members to send: new, changed, in doubt, or under another ident; whether one waits after a refusal."""
        known = "and ".join(f"f.{sent(name)} is not distinct from j.c{i} " for i, name in enumerate(self.terms.send))
        sure = f'select 1 from {self.ledger} l where l."key" = sk and l.sure'
        same = "same or " if self.refresh else ""
        only_old = f" and (same is not true or since < {self.refresh.due})" if self.refresh else ""
        only_new = f" and ({same}not exists ({sure}))" if self.terms.mode == "add" else ""
        # Joins, for a claim and a refusal are unique: PostgreSQL would look each `exists` up row by row.
        return f"""select distinct sk, si, {self._each("c{i}")}, lk is not null as had, f."key" is not null as again,
  coalesce(f.ident = si and f.list = {self._list} and {known}and f.retry_at > {self.now}, false) as waits,
  {self._frozen("sk", "si")} as frozen{", same" if self.refresh else ""}
  from j left join near n on n."key" = sk and n.ident = si and n.list = {self._list}
    left join {self.refused} f on f."key" = sk
  where si is not null and (lk is null or (si = li and ll = {self._list}) or n."key" is null){only_new}{only_old}"""

    def _doubts(self) -> str:
        return f"doubt as materialized ({self.frozen}),\n" if self.frozen else ""

    def _frozen(self, key: str, ident: str) -> str:
        if not self.frozen:
            return "false"
        doubt = "select 1 from doubt u where"
        return f'(exists ({doubt} u."key" = {key}) or exists ({doubt} u.ident = {ident}))'

    def _todo(self) -> str:
        """phase 1 release, 2 move, 3 upsert, 4 upsert of those refused before, 5 remove, 6 and 7 refresh, like 3 and 4.

        Released is also who was refused, never got on the list, and is not wanted any more. Who is wanted and has no
        claim is in j, but for repeated keys.
        """
        wanted = 'r where r."key"' if self.repeated else "j where j.sk"
        out = f"""select 3 + cast(again as integer) as phase, 'upsert' as verb, sk as "key", si as ident,
    {self._list} as list, had, again, {self._each("c{i} as p{i}")} from want where {self._sendable()}
  union all select 1, 'release', f."key", f.ident, f.list, false, false, {self._each("null")} from {self.refused} f
    where not exists (select 1 from {wanted} = f."key")
      and not exists (select 1 from {self.ledger} l where l."key" = f."key"){self._refreshed()}"""
        before = self._each("p{i}")
        if self.terms.mode != "mirror":
            return out
        return f"""{out}
  union all select 1, 'release', lk, li, ll, true, false, {before} from leaving
    where kept and sure = 1 and not {self._frozen("lk", "li")}
  union all select case when moved then 2 else 5 end, case when moved then 'move' else 'remove' end,
    lk, li, ll, true, false, {before} from (
      select g.*, row_number() over (partition by li, ll order by moved desc, lk) as nth from leaving g
      where not kept and not {self._frozen("lk", "li")}) g where nth = 1"""

    def _sendable(self) -> str:
        """The condition that a row of `want` may be sent, and is no refresh."""
        return "not waits and not frozen" + (" and same is not true" if self.refresh else "")

    def _refreshed(self) -> str:
        """Of the members whose claims are old, sure and equal those whom this run sends again."""
        if not self.refresh:
            return ""
        return f"""
  union all select 6 + cast(again as integer), 'refresh', sk, si, {self._list}, had, again, {self._each("c{i}")}
    from want where same and not waits and not frozen"""

    def _census(self) -> str:
        """COUNTS as one text."""
        willing = self.terms.willing("j", self.fields)
        second = "(select cast(coalesce(sum(more), 0) as bigint) from twice)"  # a sum may be of a wider type, as 4.0
        parts = {
            "rows": "n.whole",
            "keyed": "n.keyed",
            "new_rows": "(select count(*) from j where lk is null)",
            "new_keys": "(select count(distinct sk) from j where lk is null)",
            "gone_keys": f"(select count(distinct lk) from j where sk is null{self._once('lk')})",
            "listed": f"(select count(*) from {self.ledger}) - {second}",
            "repeated": self._repeated_keys(),
            "nameless": f"(select count(distinct sk) from j where sk is not null and si is null and {willing})",
            "added": "(select count(distinct \"key\") from todo where verb = 'upsert' and not had)",
            "updated": "(select count(distinct \"key\") from todo where verb = 'move' or (verb = 'upsert' and had))",
            "removed": self._removed(),
            "refreshed": "(select count(*) from todo where verb = 'refresh')" if self.refresh else "0",
            "waiting": "(select count(*) from want where waits)",
            "unknown": "0" if self.terms.repeatable else f"(select count(*) from {self.ledger} where not sure)",
            "pending": '(select count(distinct "key") from doubt)' if self.terms.judged_within else "0",
            "astray": "0" if self.known.wide else self._astray(),
            "unconsented": f"(select count(distinct sk) from j where sk is not null and not {willing})",
            "second": second,
            "untouched": self._untouched(),
        }
        counts = [f"cast({parts[name]} as varchar)" for name in COUNTS]
        return f"select {' || chr(44) || '.join(counts)} from n"

    def _astray(self) -> str:
        """How many claims that differ are not known by what today's rule makes of them."""
        here = 'n."key" = lk and n.ident = li and n.list = ll'
        return f"(select count(*) from j where lk is not null and not exists (select 1 from near n where {here}))"

    def _untouched(self) -> str:
        """How many claims differ, and are named by no row of the outbox: who waits, or leaves by another's row."""
        here = 'o."key" = lk and o.ident = li and o.list = ll'
        return f"(select count(*) from j where lk is not null and not exists (select 1 from todo o where {here}))"

    def _removed(self) -> str:
        if self.terms.mode != "mirror":
            return "0"
        gone = f"from leaving where not kept and not wanted and not {self._frozen('lk', 'li')}"
        return f"(select count(distinct lk) {gone})"


def same(alias: str) -> str:
    """The condition that `alias` is the claim which the outbox row `o` is about."""
    return f'{alias}."key" = o."key" and {alias}.ident = o.ident and {alias}.list = o.list'
