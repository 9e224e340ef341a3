"""What a sync to an ads platform reads: a row for each identifier of a member, as the platform compares it.

An ads platform knows no people. So a claim is of one identifier, and so are comparisons, removals and refusals, which
need not know it. The text is wrapped around the audience's SQL, and runs where that runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from audiences.errors import DefinitionError
from audiences.hashed import Kind
from audiences.terms import granted
from audiences.warehouse import Words, literal, quoted

# No field of a destination, and no table that an audience reads, has such a name.
KIND, ROW, TWICE, MEMBERS = "<kind>", '"<row>"', '"<twice>"', '"<members>"'


@dataclass(frozen=True, slots=True)
class Asked:
    """What a sync reads.

    source: SQL; types: column of it -> its type
    key:    the columns that name a row
    send:   destination field -> column
    consents: of the fields that are sent, those without whose consent a row is of nobody who may be sent
    several: columns that hold an array
    """

    source: str
    types: Mapping[str, str]
    key: Sequence[str]
    send: Mapping[str, str]
    consents: Sequence[str] = ()
    several: Set[str] = frozenset()


def claims(words: Words, asked: Asked, kinds: Mapping[str, Kind]) -> Asked:
    """The same of identifiers.

    A sync of one kind keeps the key of its audience. With several, or with several values of a kind, each a text in an
    array, the key has one part more: "email", and "email 2" for the second in order. A member without an identifier, or
    without a consent that is asked for, has one row without; one whose key comes twice has a row of every kind.

    kinds: those that are sent
    """
    told = _Told(words, asked, kinds)
    key = {f"<key {n}>": asked.types[column] for n, column in enumerate(asked.key, 1)}
    words.key((*asked.key, *asked.key), asked.types)  # raises for what cannot be a part of a key of several columns
    fields = {name: words.text if name in told.rules else asked.types[column] for name, column in asked.send.items()}
    send = {name: name for name in asked.send}
    if len(kinds) == 1 and not told.several:
        if len(key) == 1:
            key = dict.fromkeys(key, words.text)  # as it will be when another kind is sent besides
        return Asked(told.plain(), key | fields, tuple(key), send, asked.consents)
    return Asked(told.parted(), {**key, KIND: words.text, **fields}, (*key, KIND), send, asked.consents)


class _Told:
    """One sync's text, part by part. A member is a row `m`: its key, what is sent of it, identifiers in normal form."""

    def __init__(self, words: Words, asked: Asked, kinds: Mapping[str, Kind]):
        self.words, self.asked, self.kinds = words, asked, kinds
        pairs = [pair for kind in kinds.values() for pair in zip(kind.fields, kind.rules, strict=True)]
        self.rules = {name: rule for name, rule in pairs if name in asked.send}
        self.several = {name for name in self.rules if asked.send[name] in asked.several}
        for name, kind in kinds.items():
            if len(kind.fields) > 1 and (found := sorted(self.several & {*kind.fields})):
                raise DefinitionError(
                    f"{found[0]} is sent as an array, and an identifier of the kind {name} is made of one value each",
                    do=f"send one value as {found[0]}",
                )

    def plain(self) -> str:
        """A row a member."""
        [name] = self.kinds
        members = self._members(self._keys(text=True))
        return f"with {members}\nselect {self._columns('', self._of(name))} from {MEMBERS} as m"

    def parted(self) -> str:
        """A row an identifier."""
        named = ", ".join(f"({literal(name)})" for name in self.kinds)
        one = f"""select {self._columns(f"k.name as {quoted(KIND)}, ", self._of_each())}
from {MEMBERS} as m cross join (values {named}) as k(name) where {" or ".join(self._asked_for())}"""
        many = [self._many(name) for name, sort in self.kinds.items() if self.several & {*sort.fields}]
        keys = self._keys()
        there = " and ".join(f"{key} is not null" for key in keys)
        more = f", count(*) over (partition by {', '.join(keys)}) > 1 and {there} as {TWICE}"
        more += f", row_number() over () as {ROW}" if many else ""
        return f"with {self._members(keys, more)}\n" + "\nunion all ".join([one, *many])

    def _keys(self, text: bool = False) -> list[str]:
        keys = [self._taken(column) for column in self.asked.key]
        return [f"cast({keys[0]} as varchar)"] if text and len(keys) == 1 else keys

    def _members(self, keys: Sequence[str], more: str = "") -> str:
        """Written down: an engine that looks through it makes the normal forms again for every condition on them."""
        columns = [f"{value} as {quoted(f'<key {n}>')}" for n, value in enumerate(keys, 1)]
        columns += [f"{self._value(name)} as {quoted(name)}" for name in self.asked.send]
        # The line break: the SQL may end in a line comment.
        return f"{MEMBERS} as materialized (select {', '.join(columns)}{more} from (\n{self.asked.source}\n) as q)"

    def _taken(self, column: str) -> str:
        return self.words.taken(column, self.asked.types[column])

    def _value(self, name: str) -> str:
        """What is sent as a field; an identifier in its normal form, NULL for none, or where there is no consent."""
        value = self._taken(self.asked.send[name])
        if name not in self.rules:
            return value
        consents = [f"({granted(self._taken(self.asked.send[each]))})" for each in self.asked.consents]
        if name in self.several:
            value = f"cast({value} as varchar[])"
        else:
            value = f"nullif({self.rules[name].form.sql(f'cast({value} as varchar)')}, '')"
        return f"case when {' and '.join(consents)} then {value} end" if consents else value

    def _columns(self, kind: str, values: Mapping[str, str]) -> str:
        keys = "".join(f"m.{quoted(f'<key {n}>')}, " for n, _ in enumerate(self.asked.key, 1))
        told = (f"{values.get(name, f'm.{quoted(name)}')} as {quoted(name)}" for name in self.asked.send)
        return f"{keys}{kind}{', '.join(told)}"

    def _has(self, name: str) -> str:
        """Whether a member has an identifier of this kind."""
        kind = self.kinds[name]
        needed = [f"m.{quoted(each)}" for each in kind.fields if each not in kind.optional]
        if self.several & {*kind.fields}:
            together = kind.rules[0].form.sql(f"array_to_string({needed[0]}, '')")
            return f"coalesce({together}, '') <> ''"
        return " and ".join(f"{each} is not null" for each in needed)

    def _of(self, name: str) -> dict[str, str]:
        """Of a member who has not all of a kind, none of it."""
        return {each: f"case when {self._has(name)} then m.{quoted(each)} end" for each in self.rules}

    def _of_each(self) -> dict[str, str]:
        """Of a row, what its kind is made of."""
        found = {}
        for each in self.rules:
            kinds = [name for name, kind in self.kinds.items() if each in kind.fields and each not in self.several]
            when = " or ".join(f"k.name = {literal(name)} and {self._has(name)}" for name in kinds)
            found[each] = f"case when {when} then m.{quoted(each)} end" if kinds else f"cast(null as {self.words.text})"
        return found

    def _asked_for(self) -> list[str]:
        """When a member has a row of a kind that is not several: it is there; or nothing is; or the key comes twice."""
        alone = [name for name, kind in self.kinds.items() if not self.several & {*kind.fields}]
        one = [f"(k.name = {literal(name)} and {self._has(name)})" for name in alone]
        none = " and ".join(f"not ({self._has(name)})" for name in self.kinds)
        return [*one, f"(k.name = {literal(next(iter(self.kinds)))} and {none})", f"m.{TWICE}"]

    def _many(self, name: str) -> str:
        """Rows of a kind of which a member has several: each once, by its place among the member's own."""
        [field], [rule] = self.kinds[name].fields, self.kinds[name].rules
        form = f"nullif({rule.form.sql('a.value')}, '')"
        each = f"""select a.*, dense_rank() over (partition by {ROW} order by a.normal) as place,
  row_number() over (partition by {ROW}, a.normal order by a.normal) as copy
  from (select a.*, {form} as normal
    from (select m.*, unnest(m.{quoted(field)}) as value from {MEMBERS} as m) as a) as a where a.normal is not null"""
        further = f"{literal(f'{name} ')} || cast(m.place as varchar)"
        kind = f"case when m.place = 1 or m.{TWICE} then {literal(name)} else {further} end as {quoted(KIND)}, "
        values = dict.fromkeys(self.rules, f"cast(null as {self.words.text})") | {field: "m.normal"}
        return f"select {self._columns(kind, values)} from ({each}) as m where m.copy = 1"
