"""The audience as it is now, as SQL: its rows by our own names, and the outbox of a list that holds nobody yet.

Nothing here runs anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from audiences.control import ALIKE
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
    "refreshed",  # members sent again though nothing differs
    "waiting",  # refused before, unchanged, not yet due
    "unknown",  # claims in doubt that only read-back or a person can resolve
    "pending",  # members who wait for the provider's verdict
    "astray",  # claims whose identifier is not what was sent makes by today's rule, of those that differ
    "unconsented",  # members without a consent that is asked for, who are none of the nameless
    "second",  # claims of keys that have another
    "untouched",  # claims that differ, and that no row of the outbox names
)
KEY = 'r."key"'  # not `"key"` alone: inside of an `exists` that would be another's
REPEATED = 'rep as (select "key" from r where "key" is not null group by "key" having count(*) > 1)'


@dataclass(frozen=True, slots=True)
class Whole:
    """One audience, in the terms of one sync.

    source:   the audience's SQL, or a table that holds its rows
    types:    column of the query -> its type
    key:      the key of a row `q` of the source, as an SQL expression
    repeated: whether keys that the query returns more than once are looked for and left out
    """

    words: Words
    terms: Terms
    source: str
    types: Mapping[str, str]
    key: str
    known: Known
    repeated: bool = field(default=False, kw_only=True)

    @property
    def fields(self) -> list[str]:
        """What an outbox row carries: the fields sent now, then those sent once, which a removal may need."""
        return [*self.terms.send, *(name for name in fields(self.known.columns) if name not in self.terms.send)]

    def first(self, whole: bool = False, numbered: bool = True) -> str:
        """The short form for a ledger that holds nobody: all are new, in any order; nothing is joined or sorted.

        whole: with the rows that cannot be sent; numbered: with `seq`, and with what all have in common: see ALIKE
        """
        common = {"seq": "row_number() over () - 1", **ALIKE} if numbered else {}
        shared = "".join(f"{value} as {name}, " for name, value in common.items())
        fit = f"{KEY} is not null and {self._ident('r')} is not null{self._once(KEY)}"
        return f"""with r as ({self._rows()}){", " + REPEATED if self.repeated else ""}
select {shared}"key", {self._ident("r")} as ident, {self._list} as list, {self._each("c{i} as {sent}")}
from r where {"true" if whole else fit}"""

    def first_census(self, made: str = "") -> str:
        """The counts that go with `first`: one row.

        made: the table that `first` was written to, whole; without one, the audience itself is counted
        """
        rows, ident = self._rows(), self._ident("r")
        if made:
            rows, ident = f'select "key", ident, {self._each("{sent} as c{i}")} from {made}', "r.ident"
        once = f"{KEY} is not null" + (' and rep."key" is null' if self.repeated else "")
        named, willing = f"count(case when {once} then {ident} end)", self.terms.willing("r", self.fields)
        return f"""with r as ({rows}){", " + REPEATED if self.repeated else ""}
select count(*), count({KEY}), count({KEY}), count(distinct {KEY}), 0, 0, {self._repeated_keys()},
  count(case when {once} and {willing} then 1 end) - {named}, {named},
  0, 0, 0, 0, 0, 0, 0, count(case when {once} and not {willing} then 1 end), 0, 0
from r {f'left join rep on rep."key" = {KEY}' if self.repeated else ""}"""

    def filled(self) -> str:
        """How many rows there are, and how many have a value: one row, a count for each field that is sent now."""
        counts = ", ".join(f"count(c{i})" for i in range(len(self.terms.send)))
        return f"select count(*), {counts} from ({self._rows()}) as r"

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
