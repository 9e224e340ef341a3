"""Hashed identifiers where the ledger is on the worker's own disk: they are hashed on their way to it, so that it never
holds plain what a platform is told as a hash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from audiences.audience import Sync
from audiences.hashed import Hashed, Kind, rules_of, unfit, why
from audiences.identity import Form
from audiences.normal import MARK, Rule
from audiences.project import Binding


@dataclass(frozen=True, slots=True)
class Digest:
    """What is kept for the values of one column, as one sync sends them.

    column:  of the query
    several: whether it holds an array of them
    """

    column: str
    rule: Rule
    several: bool = False

    @property
    def kind(self) -> str:
        """The type in which they are kept."""
        return "VARCHAR[]" if self.several else "VARCHAR"

    def of(self, value: Any) -> str | list[str] | None:
        """A value's hash, marked as one; why it has none; None where there is no value. Of an array a list of these."""
        if value is None or not self.several:
            return self._one(value)
        if isinstance(value, list | tuple):
            return self._each(value)
        return [unfit("is an array of a type that the driver does not know; cast it to one of text")]

    def _each(self, values: Iterable[object]) -> list[str]:
        """Each normal form once. Several that cannot be hashed stay as many: blanks at the end part equal reasons."""
        kept, counted = {self.rule.form.of(value): self._one(value) for value in values}, Counter[str]()
        found = []
        for text in filter(None, kept.values()):
            found.append(f"{text}{' ' * counted[text]}")
            counted[text] += bool(why(text))
        return found

    def _one(self, value: object) -> str | None:
        if isinstance(value, list | tuple):
            return unfit("is an array where one value is meant")
        text = "" if value is None else self.rule.form.of(value)
        if not text:
            return None
        try:
            return f"{MARK}{self.rule.sent(text)}"
        except ValueError as error:
            return unfit(str(error))


def digests(bindings: Iterable[Binding], types: Mapping[str, str]) -> dict[str, Digest]:
    """The columns that are made on the way, by name. types: column of the query -> type"""
    names, found = {name.casefold(): name for name in types}, {}
    for binding in bindings:
        send = binding.sync.send
        for field, rule in _hashed(binding).items():
            if field in send and (column := names.get(send[field].casefold())):
                found[named(binding.sync, field)] = Digest(column, rule, types[column].endswith("]"))
    return found


def named(sync: Sync, field: str) -> str:
    """The column for a field of a sync: no query has one of such a name."""
    return f"<{sync.section} {field}>"


def kept(binding: Binding, kinds: Mapping[str, Kind]) -> dict[str, Kind]:
    """The same kinds of what was hashed on the way: it compares as it is."""
    as_it_is = {field: replace(rule, form=Form.EXACT) for field, rule in _hashed(binding).items()}
    return {
        name: replace(
            kind, rules=tuple(as_it_is.get(each, rule) for each, rule in zip(kind.fields, kind.rules, strict=True))
        )
        for name, kind in kinds.items()
    }


def _hashed(binding: Binding) -> dict[str, Rule]:
    """Field -> its rule, of those that a sync sends as hashes and does not have as such."""
    if not issubclass(binding.connector, Hashed):
        return {}
    kinds = binding.connector.sent_kinds(binding.options, tuple(binding.sync.send))
    return {field: rule for field, rule in rules_of(kinds).items() if rule.hashed}
