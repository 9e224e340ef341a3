"""Hashed identifiers where the ledger is on the worker's own disk: they are hashed on their way to it, so that it never
holds plain what a platform is told as a hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from audiences.audience import Sync
from audiences.hashed import Hashed, Kind, rules_of, unfit
from audiences.identity import Form
from audiences.normal import MARK, Rule
from audiences.project import Binding


@dataclass(frozen=True, slots=True)
class Digest:
    """What is kept for the values of one column, as one sync sends them.

    column: of the query
    """

    column: str
    rule: Rule

    def of(self, value: object) -> str | None:
        """A value's hash, marked as one; why it has none; None where there is no value."""
        if isinstance(value, list | tuple):
            return unfit("is an array; where the warehouse is only read a column holds one value")
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
                found[named(binding.sync, field)] = Digest(column, rule)
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
