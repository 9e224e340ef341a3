"""The identifier by which a provider knows a member, in its normal form: once in Python, once in SQL.

Two values with one normal form are one identifier: a change of case or blanks alone is no move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

SEPARATOR = "\x1f"  # between the parts of an identifier made of several fields
SEPARATOR_SQL = " || chr(31) || "


class Step(Protocol):
    """One step towards a normal form, said twice: the same of every text."""

    def of(self, text: str) -> str: ...

    def sql(self, text: str) -> str:
        """The step over `text`, an SQL expression of a character type that comes without a `%` or a parameter."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a provider compares the values of one identifying field: the steps from a text to its normal form.

    label: where identifiers of several sorts are kept side by side, the field's name: a part of the identifier, so that
           no two sorts ever meet, and one more sort changes none of the others
    """

    EXACT: ClassVar[Form]
    CASELESS: ClassVar[Form]  # blanks around it and upper case do not count, as in an e-mail address

    name: str
    steps: tuple[Step, ...] = ()
    label: str = ""

    def of(self, value: object) -> str:
        """The normal form of one value; '' for none."""
        text = "" if value is None else str(value)
        for step in self.steps:
            text = step.of(text)
        return text

    def sql(self, text: str) -> str:
        """The same as an expression over `text`, which is itself an expression of a character type; NULL stays NULL."""
        for step in self.steps:
            text = step.sql(text)
        return text

    def __str__(self) -> str:
        return f"{self.label}:{self.name}" if self.label else self.name


@dataclass(frozen=True, slots=True)
class Trim:
    """Without these characters around it. Each is named, for engines differ on what is blank."""

    characters: str = " "

    def of(self, text: str) -> str:
        return text.strip(self.characters)

    def sql(self, text: str) -> str:
        trimmed = f"trim({text}, '{self.characters}')"
        if len(self.characters) > 1:
            return trimmed
        # DuckDB looks for one character six times as fast as it trims, and few addresses have blanks around them.
        return f"case when position('{self.characters}' in {text}) > 0 then {trimmed} else {text} end"


@dataclass(frozen=True, slots=True)
class Lower:
    """In small letters."""

    def of(self, text: str) -> str:
        return text.lower()

    def sql(self, text: str) -> str:
        return f"lower({text})"


Form.EXACT = Form("exact")
Form.CASELESS = Form("caseless", (Trim(), Lower()))


def ident(fields: Mapping[str, object], identity: Mapping[str, Form]) -> str | None:
    """The identifier that these fields make up, or None where every part of it is missing or empty."""
    parts = [(form.of(fields.get(name)), form.label) for name, form in identity.items()]
    if not any(part for part, _ in parts):
        return None
    if all(label for _, label in parts):
        return "".join(f"{label}{SEPARATOR}{part}{SEPARATOR}" for part, label in parts if part)
    return SEPARATOR.join(part for part, _ in parts)


def ident_sql(texts: Sequence[str], forms: Sequence[Form]) -> str:
    """The same over SQL expressions of a character type, one a part."""
    parts = [form.sql(text) for text, form in zip(texts, forms, strict=True)]
    if all(form.label for form in forms):
        named = [_labelled(part, form.label) for part, form in zip(parts, forms, strict=True)]
        return f"nullif({' || '.join(named)}, '')"
    if len(parts) == 1:
        return f"nullif({parts[0]}, '')"
    whole = SEPARATOR_SQL.join(f"coalesce({part}, '')" for part in parts)
    nothing = SEPARATOR_SQL.join("''" for _ in parts)
    return f"nullif({whole}, {nothing})"


def _labelled(part: str, label: str) -> str:
    quoted = label.replace("'", "''")
    return f"coalesce('{quoted}' || chr(31) || nullif({part}, '') || chr(31), '')"
