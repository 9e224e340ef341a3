"""Membership as a property of the user, for providers that keep profiles and no lists that can be written.

Members of a list come in; what goes out is a `Change` of each one's profile, in four words that these providers share:
set, unset, add to an array, take out of one. It knows no provider and makes no call.
"""

from __future__ import annotations

import re
import unicodedata
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from audiences.connector import Connector, Null
from audiences.errors import DefinitionError
from audiences.identity import Form
from audiences.member import Member, Receipt

ARRAY = "audiences"  # the array property of a sync that names none
PLAIN = re.compile(r"[^\W\d][\w .-]*")  # a property's name: no `$`, which marks a provider's own, and no quote or colon
BETWEEN = ": "  # a property and the name in it, in a list's id


@dataclass(frozen=True, slots=True)
class Mark:
    """What says in a profile that its user is on a list; as text, the list's id.

    property: `audiences: Detractors` is the name Detractors in the array `audiences`; `in_detractors` is true, or unset
    name:     the list's name in the array; None for a boolean
    """

    property: str
    name: str | None = None

    @classmethod
    def of(cls, list_id: str) -> Mark:
        """The mark that a list's id tells."""
        found, between, name = list_id.partition(BETWEEN)
        return cls(found, name if between else None)

    def __str__(self) -> str:
        return self.property if self.name is None else f"{self.property}{BETWEEN}{self.name}"

    def holds(self, value: object) -> bool:
        """Whether the property's value, as read back, says that the user is on the list."""
        return value is True if self.name is None else isinstance(value, list) and self.name in value


@dataclass(frozen=True, slots=True)
class Change:
    """What one profile is to become; what it does not name stays as it is. No property is in two of the last four.

    key:   the member's, by which `write` speaks of it
    user:  whose profile, as the provider knows the user
    set:   property -> value, never None
    unset: properties that are to be gone
    add:   array property -> the text to be in it once, beside what is there
    take:  array property -> the text to be out of it
    seq:   the member's place in this run's outbox
    """

    key: str
    user: str
    set: Mapping[str, object] = field(default_factory=dict)
    unset: Sequence[str] = ()
    add: Mapping[str, str] = field(default_factory=dict)
    take: Mapping[str, str] = field(default_factory=dict)
    seq: int = 0


def _property(name: str) -> str:
    if not PLAIN.fullmatch(name):
        raise ValueError("a property is a letter or `_`, then letters, digits, blanks, `_`, `.` and `-`")
    return name


class ByProperty(Connector):
    """A provider whose users have properties: a connector says in `write` how one is changed, and has both verbs.

    Only membership is undone by a removal: the list's name is taken out of the array, or the boolean is unset. Unset,
    not false: false would make a profile of someone unknown, and tell who left from who never came. The fields that
    were sent stay: they are facts of the user, and another list may send the same ones. Two lists never share a mark,
    so none undoes the other; of a field that two lists send, the value sent last holds.

    A boolean is called `in_` and the list's name: accents dropped, in lower case, each run of anything but a to z and 0
    to 9 as one `_`. It is also the list's id, of which an account has one: two names that come to one are refused.
    """

    known_by: ClassVar[str]  # the field that says whose profile; where it is not sent, the member's key does
    longest: ClassVar[int]  # bytes of a property's name, and of a text in an array

    class Options(Connector.Options):
        """How a sync's list is kept. A provider without arrays narrows `membership` to its one kind."""

        membership: Literal["array", "boolean"] = Field(
            "array",
            description="how profiles show the list: its name in an array, or a boolean of its own",
            examples=["boolean"],
        )
        property: Annotated[str, AfterValidator(_property)] | None = Field(
            None,
            description=f'the array (by default "{ARRAY}"), or the boolean (by default "in_" and the list\'s name)',
            examples=["lists"],
        )
        null: Null = "clear"

    @abstractmethod
    def write(self, changes: Sequence[Change]) -> Mapping[str, str] | Receipt:
        """Change these profiles, each at most once. Returns key -> reason for those the provider refuses.

        Where the provider takes changes in and judges them later, a receipt with a ticket for all of them.

        Called again with the same changes it leaves the same profiles. A membership comes last, or together with the
        fields: who is refused must not be on the list.
        """

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        kept = options.property or (ARRAY if options.membership == "array" else None)
        if kept in (cls.known_by, *send):
            raise _shared(kept)
        return cls.formed([cls.known_by] if cls.known_by in send else [])

    def prepare(self, name: str) -> str:
        """The list's mark. Nothing is made at the provider: a property is there with the first profile that has it."""
        if self.options.membership == "array":
            return str(self._fit(Mark(self.options.property or ARRAY, name)))
        return str(self._fit(Mark(self.options.property or _derived(name))))

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        mark = self._asked(Mark.of(list_id))
        if mark.property in members[0].fields:
            raise _shared(mark.property)
        return self._written(members, [self._present(mark, member) for member in members])

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        # By the id alone: the list may have been filled under other options than today's.
        mark = Mark.of(list_id)
        return self._written(members, [self._absent(mark, member) for member in members])

    def _written(self, members: Sequence[Member], changes: Sequence[Change]) -> Receipt:
        said = self.write(changes)
        return said if isinstance(said, Receipt) else Receipt.of(members, said)

    def _present(self, mark: Mark, member: Member) -> Change:
        fields = {name: value for name, value in member.fields.items() if name != self.known_by}
        given = {name: value for name, value in fields.items() if value is not None}
        nulls = [name for name in fields if name not in given] if self.options.null == "clear" else []
        user, seq = self.ident(member), member.seq
        if mark.name is None:
            return Change(member.key, user, {**given, mark.property: True}, nulls, seq=seq)
        return Change(member.key, user, given, nulls, add={mark.property: mark.name}, seq=seq)

    def _absent(self, mark: Mark, member: Member) -> Change:
        user, seq = self.ident(member), member.seq
        if mark.name is None:
            return Change(member.key, user, unset=[mark.property], seq=seq)
        return Change(member.key, user, take={mark.property: mark.name}, seq=seq)

    def _asked(self, mark: Mark) -> Mark:
        """The mark, if the sync's options mean it. Raises DefinitionError where they were changed since."""
        array = self.options.membership == "array"
        meant = self.options.property or (ARRAY if array else mark.property)
        if array is (mark.name is None) or mark.property != meant:
            shown = f"{meant}{BETWEEN}NAME" if array else self.options.property or "in_NAME"
            raise DefinitionError(
                f"the list is kept in {str(mark)!r}, and the sync's options ask for {shown!r}",
                do="put the options back; or give the list another name, or its new id as list_id:"
                " members are added there, then removed here",
            )
        return self._fit(mark)

    def _fit(self, mark: Mark) -> Mark:
        for text in filter(None, (mark.property, mark.name)):
            if len(text.encode()) > self.longest:
                raise DefinitionError(
                    f"{text!r} has more than the {self.longest} bytes that this provider keeps",
                    do="give the list, or the property, a shorter name",
                )
        if not PLAIN.fullmatch(mark.property):
            raise DefinitionError(
                f"{mark.property!r} cannot be a property",
                do="use a letter or _, then letters, digits, blanks, _ . and -",
            )
        return mark


def _derived(name: str) -> str:
    """The boolean of a list that names none, as ByProperty says. Raises DefinitionError where nothing is left of it."""
    parts = unicodedata.normalize("NFKD", name.casefold())
    words = re.findall("[a-z0-9]+", "".join(letter for letter in parts if not unicodedata.combining(letter)))
    if not words:
        raise DefinitionError(
            f"no property can be called after {name!r}: it has no letter from a to z and no digit",
            do='write property = "in_…" in the sync\'s section',
        )
    return "_".join(["in", *words])


def _shared(name: str | None) -> DefinitionError:
    return DefinitionError(
        f"the property {name!r} is to say who is on the list, and is sent as a field, or names the user",
        do="write another name as `property` in the sync's section, or rename the field in send",
    )
