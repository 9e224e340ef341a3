"""In what terms one sync is compared: its key, the columns that are sent, and what makes up an identifier."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from audiences import identity
from audiences.audience import Mode
from audiences.identity import Form
from audiences.warehouse import quoted

SENT = "sent_"  # our own columns and a destination's fields never meet


@dataclass(frozen=True, slots=True)
class Terms:
    """
    table:    the sync's name as tables write it
    key:      the columns of the query that name a member
    send:     destination field -> column of the query
    identity: the fields that make up an identifier, and their forms; none: the key
    list_id:  the list at the destination
    fewest:   members below which the provider does not use a list
    kinds:    the types of the columns that make up an identifier, or of those of the key
    consents: fields that must be granted, or the member is sent nothing
    judged_within: the longest that a batch with a ticket waits for its verdict; none: there are no tickets
    lifetime: after which the provider forgets a member who is not sent again; None: never
    apart:    time between two runs, by the schedule; what a lifetime is judged by
    """

    table: str
    key: Sequence[str]
    send: Mapping[str, str]
    identity: Mapping[str, Form]
    list_id: str
    mode: Mode = "mirror"
    repeatable: bool = True
    judged_within: timedelta = timedelta(0)
    lifetime: timedelta | None = None
    apart: timedelta = timedelta(0)
    consents: Sequence[str] = ()
    fewest: int = 0
    kinds: Sequence[str] = ()

    @property
    def rule(self) -> str:
        """What idents rest on. While a ledger was written by this rule, each is made of what was sent with it.

        The types count, for a value that becomes another's has another text: '007' is 7.
        """
        identity = [[name, str(form)] for name, form in self.identity.items()]
        return json.dumps({"list": self.list_id, "identity": identity, "kinds": [*self.kinds]})

    @property
    def labelled(self) -> bool:
        """Whether a claim is of an identifier by itself, and not of a member."""
        return any(form.label for form in self.identity.values())

    def willing(self, row: str, fields: Sequence[str]) -> str:
        """Whether a row has given every consent, as an SQL expression over its columns c0, c1 …, one for each field."""
        found = [granted(f"{row}.c{fields.index(name)}") for name in self.consents]
        return f"({' and '.join(found) or 'true'})"

    def ident(self, key: str, columns: Mapping[str, str]) -> str:
        """The identifier, as an SQL expression over a key and the columns that hold each field; NULL for none."""
        if not self.identity:
            return f"nullif(cast({key} as varchar), '')"
        held = [f"cast({columns[name]} as varchar)" for name in self.identity]
        return identity.ident_sql(held, list(self.identity.values()))


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger is like before a comparison.

    columns: its columns and their types; empty where there is no ledger
    empty:   whether none of ledger, refused and pending holds a row
    wide:    whether another rule may have written it, so that idents must be compared, too
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    empty: bool = True
    wide: bool = False


def granted(value: str) -> str:
    """Whether a consent is given: an SQL expression over one that holds it, true as a boolean or as a word."""
    return f"coalesce(lower(cast({value} as varchar)), '') in ('granted', 'true')"


def sent(field: str) -> str:
    """The column that holds what a destination field was sent."""
    return quoted(SENT + field)


def fields(columns: Mapping[str, str]) -> list[str]:
    """The destination fields among a table's columns."""
    return [name.removeprefix(SENT) for name in columns if name.startswith(SENT)]
