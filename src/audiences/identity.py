"""The identifier by which a provider knows a member, in its normal form: once in Python, once in SQL.

Two values with one normal form are one identifier: a change of case or blanks alone is no move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

SEPARATOR = "\x1f"  # between the parts of an identifier made of several fields
SEPARATOR_SQL = " || chr(31) || "


class Form(StrEnum):
    """How a provider compares the values of one identifying field."""

    EXACT = "exact"
    CASELESS = "caseless"  # blanks around it and upper case do not count, as in an e-mail address

    def of(self, value: object) -> str:
        """The normal form of one value; '' for none. Blanks only are trimmed: engines differ on the rest."""
        if value is None:
            return ""
        text = str(value)
        return text if self is Form.EXACT else text.strip(" ").lower()

    def sql(self, text: str) -> str:
        """The same as an expression over `text`, which is itself an expression of a character type; NULL stays NULL."""
        return text if self is Form.EXACT else f"lower(trim({text}, ' '))"


def ident(fields: Mapping[str, object], identity: Mapping[str, Form]) -> str | None:
    """The identifier that these fields make up, or None where every part of it is missing or empty."""
    parts = [form.of(fields.get(name)) for name, form in identity.items()]
    return SEPARATOR.join(parts) if any(parts) else None


def ident_sql(texts: Sequence[str], forms: Sequence[Form]) -> str:
    """The same over SQL expressions of a character type, one a part."""
    parts = [form.sql(text) for text, form in zip(texts, forms, strict=True)]
    if len(parts) == 1:
        return f"nullif({parts[0]}, '')"
    whole = SEPARATOR_SQL.join(f"coalesce({part}, '')" for part in parts)
    nothing = SEPARATOR_SQL.join("''" for _ in parts)
    return f"nullif({whole}, {nothing})"
