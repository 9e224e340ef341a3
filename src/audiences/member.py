"""A member of an audience, and what a provider said about a batch of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, overload

import orjson

T = TypeVar("T")
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


MEMBER: Callable[[Iterable[Any]], Member] = partial(tuple.__new__, Member)  # Member(*values), by no line of Python


class Keys(Set[str]):
    """The keys of a batch, out of JSON: who only asks whether they are these very keys needs none of them.

    json: `{"key": …, "fields": {…}}` of each, with commas between; number: how many there are, all different
    """

    def __init__(self, json: str, number: int):
        self.json, self.number = json, number

    @cached_property
    def members(self) -> Sequence[Mapping[str, Any]]:
        """What the JSON says of each, in order."""
        found: list[dict[str, Any]] = orjson.loads(f"[{self.json}]")
        return found

    @cached_property
    def _found(self) -> frozenset[str]:
        return frozenset(self)

    def __contains__(self, key: object) -> bool:
        return key in self._found

    def __iter__(self) -> Iterator[str]:
        return (member["key"] for member in self.members)

    def __len__(self) -> int:
        return self.number

    @classmethod
    def _from_iterable(cls, keys: Iterable[T]) -> frozenset[T]:
        return frozenset(keys)


class Written(Sequence[Member]):
    """Members whose JSON the warehouse wrote: most batches go out as they are, and nobody looks at a member.

    json: `{"key": …, "fields": {…}}` of each, with commas between; every value is one that travels
    seqs: their places in the outbox, in the same order
    """

    def __init__(self, json: str, seqs: Sequence[int]):
        self.json, self.seqs, self.keys = json, seqs, Keys(json, len(seqs))

    @cached_property
    def members(self) -> Sequence[Member]:
        """Each of them, for whoever looks."""
        told = zip(self.keys.members, self.seqs, strict=True)
        return [Member(member["key"], member["fields"], seq) for member, seq in told]

    def __len__(self) -> int:
        return len(self.seqs)

    @overload
    def __getitem__(self, place: int) -> Member: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Member]: ...
    def __getitem__(self, place: int | slice) -> Member | Sequence[Member]:
        return self.members[place]


def written(members: Sequence[Member]) -> orjson.Fragment:
    """JSON of these members, an array of `{"key": …, "fields": {…}}`: a part of what orjson.dumps is given.

    Raises orjson.JSONEncodeError for what JSON cannot hold.
    """
    if isinstance(members, Written):
        return orjson.Fragment(f"[{members.json}]")
    told = [{"key": member.key, "fields": member.fields} for member in members]
    return orjson.Fragment(orjson.dumps(told, default=dict))


def keys(members: Iterable[Member]) -> Set[str]:
    """Their keys."""
    return members.keys if isinstance(members, Written) else frozenset(member.key for member in members)


def seqs(members: Iterable[Member]) -> Sequence[int]:
    """Their places in the outbox."""
    return members.seqs if isinstance(members, Written) else [member.seq for member in members]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider did with one batch. Every member of it is in exactly one of the first two.

    accepted: keys that are on the list (or off it, for a removal)
    rejected: key -> the provider's reason
    ticket:   where the provider judges later: its own name for the job; `accepted` then means "taken in"
    unnamed:  how many of the accepted it refused without saying whom: counted and told, and nobody is taken for refused
    """

    accepted: Set[str]
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
        accepted = keys(members)
        if rejected:
            if strangers := len(rejected.keys() - accepted):
                raise ValueError(f"{strangers} rejected keys were not in the batch")
            accepted = accepted - rejected.keys()
        return cls(accepted, dict(rejected), ticket, min(unnamed, len(accepted)))
