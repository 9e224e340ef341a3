"""The one SELECT that says what must change: the audience as it is now against the ledger, in the warehouse.

Its rows are the outbox in the order in which they are sent, and before them one row (verb `census`) whose ident holds
the counts: they come from the very evaluation that they describe. Nothing here runs anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audiences.terms import Known, Terms, fields, sent
from audiences.warehouse import Words, literal

COUNTS = (
    "rows",  # rows of the query
    "keyed",  # … with a key
    "new_rows",  # … whose key has no claim
    "new_keys",  # … such keys
    "gone_keys",  # keys with a claim that the query does not return
    "listed",  # keys with a claim
    "repeated",  # keys that the query returns more than once, where that was asked
    "nameless",  # members without any identifier
    "added",
    "updated",
    "removed",
    "waiting",  # refused before, unchanged, not yet due
    "unknown",  # claims in doubt that only read-back or a person can resolve
    "pending",  # members who wait for the provider's verdict
)
KEY = 'r."key"'  # not `"key"` alone: inside of an `exists` that would be another's
REPEATED = 'rep as (select "key" from r where "key" is not null group by "key" having count(*) > 1)'


@dataclass(frozen=True, slots=True)
class Changes:
    """One comparison.

    source:          the audience's SQL, or a table that holds its rows
    types:           column of the query -> its type
    key:             the key of a row `q` of the source, as an SQL expression
    ledger, refused: our tables, quoted, or what stands for them; now: the moment, as an SQL literal
    frozen:          key and ident of those who are neither sent nor lost, as a SELECT; empty: there can be nobody
    repeated:        whether keys that the query returns more than once are looked for and left out
    """

    words: Words
    terms: Terms
    source: str
    types: Mapping[str, str]
    key: str
    known: Known
    ledger: str
    refused: str
    frozen: str
    now: str
    repeated: bool = False

    @property
    def fields(self) -> list[str]:
        """What an outbox row carries: the fields sent now, then those sent once, which a removal may need."""
        return [*self.terms.send, *(name for name in fields(self.known.columns) if name not in self.terms.send)]

    def select(self) -> str:
        """The comparison with a ledger that holds someone."""
        return f"""with r as materialized ({self._rows()}),
{REPEATED + "," if self.repeated else ""}
s as (select * from r where "key" is not null{self._once('r."key"')}),
j as materialized ({self._joined()}),
gone as (select lk, li, ll, {self._each("p{i}")}, si is not null as wanted,
  si is not null and ll = {self._list} as moved from j
  where lk is not null and (si is null or si <> li or ll <> {self._list}){self._once("lk")}),
{self._doubts()}near as materialized (select l."key", l.ident, l.list, l.sure from {self.ledger} l
  where l.ident in (select li from gone
    union all select si from j where lk is not null and (si <> li or ll <> {self._list}))),
held as ({self._held()}),
leaving as (select g.*, h.ident is not null as kept, h.sure as sure from gone g
  left join held h on h.ident = g.li and g.ll = {self._list}),
want as ({self._want()}),
todo as ({self._todo()}),
n as (select count(*) as whole, count("key") as keyed{self._filled()} from r),
t as (
  select 0 as phase, 'census' as verb, null as "key", ({self._census()}) as ident, null as list,
    false as had, false as again, {self._each("null as p{i}")}
  union all select * from todo)
select row_number() over (order by phase, "key", ident) - 2 as seq, verb, "key", ident, list, had, again,
  {self._each("p{i} as {sent}")} from t order by seq"""

    def first(self, whole: bool = False) -> str:
        """The short form for a ledger that holds nobody: all are new, in any order; nothing is joined or sorted.

        whole: with the rows that cannot be sent
        """
        fit = f"{KEY} is not null and {self._ident('r')} is not null{self._once(KEY)}"
        return f"""with r as ({self._rows()}){", " + REPEATED if self.repeated else ""}
select row_number() over () - 1 as seq, 'upsert' as verb, "key", {self._ident("r")} as ident, {self._list} as list,
  false as had, false as again, {self._each("c{i} as {sent}")}
from r where {"true" if whole else fit}"""

    def first_census(self, made: str = "") -> str:
        """The counts that go with `first`: one row, COUNTS and then one for each field that is sent.

        made: the table that `first` was written to, whole; without one, the audience itself is counted
        """
        rows, ident = self._rows(), self._ident("r")
        if made:
            rows, ident = f'select "key", ident, {self._each("{sent} as c{i}")} from {made}', "r.ident"
        once = f"{KEY} is not null" + (' and rep."key" is null' if self.repeated else "")
        named = f"count(case when {once} then {ident} end)"
        return f"""with r as ({rows}){", " + REPEATED if self.repeated else ""}
select count(*), count({KEY}), count({KEY}), count(distinct {KEY}), 0, 0, {self._repeated_keys()},
  count(case when {once} then 1 end) - {named}, {named}, 0, 0, 0, 0, 0{self._filled()}
from r {f'left join rep on rep."key" = {KEY}' if self.repeated else ""}"""

    @property
    def _list(self) -> str:
        return literal(self.terms.list_id)

    def _each(self, pattern: str) -> str:
        """The pattern once for each field: {i} its place, {sent} its column."""
        return ", ".join(pattern.format(i=i, sent=sent(name)) for i, name in enumerate(self.fields))

    def _ident(self, row: str) -> str:
        columns = {name: f"{row}.c{i}" for i, name in enumerate(self.fields)}
        return self.terms.ident(f'{row}."key"', columns)

    def _once(self, key: str) -> str:
        return f' and not exists (select 1 from rep where rep."key" = {key})' if self.repeated else ""

    def _repeated_keys(self) -> str:
        return "(select count(*) from rep)" if self.repeated else "0"

    def _filled(self) -> str:
        return "".join(f", count(c{i}) as v{i}" for i in range(len(self.terms.send)))

    def _rows(self) -> str:
        """The audience: key, c0, c1 …; a field that is no longer sent is NULL."""
        taken = [self.words.taken(column, self.types[column]) for column in self.terms.send.values()]
        now = [f"{column} as c{i}" for i, column in enumerate(taken)]
        once = [
            f"cast(null as {self.known.columns['sent_' + name]}) as c{i}"
            for i, name in enumerate(self.fields)
            if name not in self.terms.send
        ]
        # The line break: the SQL may end in a line comment.
        return f'select {self.key} as "key", {", ".join(now + once)} from (\n{self.source}\n) as q'

    def _before(self, name: str) -> str:
        """What the ledger holds for a field, in the type that the query has now."""
        held, wanted = self.known.columns.get("sent_" + name), self.types.get(self.terms.send.get(name, ""))
        if held is None:
            return f"cast(null as {wanted})"
        column = f"l.{sent(name)}"
        return column if wanted is None or wanted == held else self.words.fitted(column, wanted)

    def _joined(self) -> str:
        """The one pass over everything, on the key in its own type: whatever differs, with the ident of those only."""
        before = ", ".join(f"{self._before(name)} as p{i}" for i, name in enumerate(self.fields))
        after = self._each("s.c{i} as c{i}")
        differs = [f"s.c{i} is distinct from {self._before(name)}" for i, name in enumerate(self.terms.send)]
        if self.known.wide:
            differs += [f"{self._ident('s')} is distinct from l.ident", f"l.list <> {self._list}"]
        return f"""select s."key" as sk, {after}, {self._ident("s")} as si,
  l."key" as lk, l.ident as li, l.list as ll, l.sure as lsure, {before}
  from s full join {self.ledger} l on s."key" = l."key"
  where s."key" is null or l."key" is null or not l.sure or {" or ".join(differs)}"""

    def _held(self) -> str:
        """The idents on this list that a wanted member carries; sure: acknowledged for one of them."""
        repeated = f' union all select {self._ident("r")}, 0 from r where "key" in (select "key" from rep)'
        return f"""select ident, max(sure) as sure from (
    select n.ident, case when n.sure then 1 else 0 end as sure from near n where n.list = {self._list}
      and not exists (select 1 from gone g where g.lk = n."key" and g.li = n.ident and g.ll = n.list)
    union all select si, 0 from j where si is not null and (lk is null or si <> li or ll <> {self._list})
    {repeated if self.repeated else ""}) h where ident is not null group by ident"""

    def _want(self) -> str:
        """Members to send: new, changed, in doubt, or under another ident; whether one waits after a refusal."""
        known = "and ".join(f"f.{sent(name)} is not distinct from j.c{i} " for i, name in enumerate(self.terms.send))
        sure = f'select 1 from {self.ledger} l where l."key" = sk and l.sure'
        only_new = f" and not exists ({sure})" if self.terms.mode == "add" else ""
        # Joins, for a claim and a refusal are unique: PostgreSQL would look each `exists` up row by row.
        return f"""select distinct sk, si, {self._each("c{i}")}, lk is not null as had, f."key" is not null as again,
  coalesce(f.ident = si and f.list = {self._list} and {known}and f.retry_at > {self.now}, false) as waits,
  {self._frozen("sk", "si")} as frozen
  from j left join near n on n."key" = sk and n.ident = si and n.list = {self._list}
    left join {self.refused} f on f."key" = sk
  where si is not null and (lk is null or (si = li and ll = {self._list}) or n."key" is null){only_new}"""

    def _doubts(self) -> str:
        return f"doubt as materialized ({self.frozen}),\n" if self.frozen else ""

    def _frozen(self, key: str, ident: str) -> str:
        if not self.frozen:
            return "false"
        doubt = "select 1 from doubt u where"
        return f'(exists ({doubt} u."key" = {key}) or exists ({doubt} u.ident = {ident}))'

    def _todo(self) -> str:
        """phase 1 release, 2 move, 3 upsert, 4 upsert of those refused before, 5 remove.

        Released is also who was refused, never got on the list, and is not wanted any more.
        """
        out = f"""select 3 + cast(again as integer) as phase, 'upsert' as verb, sk as "key", si as ident,
    {self._list} as list, had, again, {self._each("c{i} as p{i}")} from want where not waits and not frozen
  union all select 1, 'release', f."key", f.ident, f.list, false, false, {self._each("null")} from {self.refused} f
    where not exists (select 1 from r where r."key" = f."key")
      and not exists (select 1 from {self.ledger} l where l."key" = f."key")"""
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

    def _census(self) -> str:
        """COUNTS as one text, and behind them how many values each sent field has."""
        parts = {
            "rows": "n.whole",
            "keyed": "n.keyed",
            "new_rows": "(select count(*) from j where lk is null)",
            "new_keys": "(select count(distinct sk) from j where lk is null)",
            "gone_keys": f"(select count(distinct lk) from j where sk is null{self._once('lk')})",
            "listed": f'(select count(distinct "key") from {self.ledger})',
            "repeated": self._repeated_keys(),
            "nameless": "(select count(distinct sk) from j where sk is not null and si is null)",
            "added": "(select count(distinct \"key\") from todo where verb = 'upsert' and not had)",
            "updated": "(select count(distinct \"key\") from todo where verb = 'move' or (verb = 'upsert' and had))",
            "removed": self._removed(),
            "waiting": "(select count(*) from want where waits)",
            "unknown": "0" if self.terms.repeatable else f"(select count(*) from {self.ledger} where not sure)",
            "pending": '(select count(distinct "key") from doubt)' if self.terms.judged_within else "0",
        }
        counts = [f"cast({parts[name]} as varchar)" for name in COUNTS]
        counts += [f"cast(n.v{i} as varchar)" for i in range(len(self.terms.send))]
        return f"select {' || chr(44) || '.join(counts)} from n"

    def _removed(self) -> str:
        if self.terms.mode != "mirror":
            return "0"
        gone = f"from leaving where not kept and not wanted and not {self._frozen('lk', 'li')}"
        return f"(select count(distinct lk) {gone})"
