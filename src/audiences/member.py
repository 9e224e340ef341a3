"""A member of an audience, and what a provider said about a batch of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

NOBODY: Mapping[str, str] = MappingProxyType({})


class Member(NamedTuple):
    """One person as a provider is told of them.

    key:    the audience's own key, as text; receipts speak of members by it
    fields: destination field -> value (None, bool, int, float, str, or lists and dicts of these);
            for a removal, the values that the provider was last sent
    seq:    the member's place in this run's outbox; 0 where there is none
    """

    key: str
    fields: Mapping[str, object]
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider did with one batch. Every member of it is in exactly one of the first two.

    accepted: keys that are on the list (or off it, for a removal)
    rejected: key -> the provider's reason
    ticket:   where the provider judges later: its own name for the job; `accepted` then means "taken in"
    unnamed:  how many of the accepted it refused without saying whom: counted and told, and nobody is taken for refused
    """

    accepted: frozenset[str]
    rejected: Mapping[str, str] = field(default_factory=dict)
    ticket: str | None = None
    unnamed: int = 0

    @classmethod
    def of(
        cls,
        members: Iterable[Member],
        rejected: Mapping[str, str] = NOBODY,
        ticket: str | None = None,
        unnamed: int = 0,
    ) -> Receipt:
        """A receipt that speaks of every member. Raises ValueError where a rejected key was not in the batch.

        unnamed: cut to the accepted, for a provider may count one member under several reasons
        """
        keys = frozenset(member.key for member in members)
        if strangers := len(rejected.keys() - keys):
            raise ValueError(f"{strangers} rejected keys were not in the batch")
        accepted = keys - rejected.keys()
        return cls(accepted, dict(rejected), ticket, min(unnamed, len(accepted)))
