"""An ads platform's list: it knows no people but identifiers, each by itself, most of them hashed.

The warehouse makes a row for each identifier of a member, so every claim is of exactly one. What a connector gets is in
the form in which the warehouse compared it; here it becomes what the platform wants, or a reason why it cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

from pydantic import Field

from audiences.connector import Category, Connector
from audiences.errors import DefinitionError
from audiences.identity import Form
from audiences.member import Member
from audiences.normal import HEX, MARK, Rule

NOTHING = (None, "")
UNFIT = "unfit:"  # of a value that was to be hashed on its way here and cannot be


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of identifier by which a platform matches people.

    fields:   the destination fields that it is made of: ("email",), or ("first_name", "last_name", "country")
    rules:    one for each field
    optional: fields that may be missing, from `send` or of a member; all others are needed
    """

    fields: tuple[str, ...]
    rules: tuple[Rule, ...]
    optional: frozenset[str] = frozenset()

    @property
    def needed(self) -> tuple[str, ...]:
        """The fields without which there is no such identifier."""
        return tuple(name for name in self.fields if name not in self.optional)


class Identified(NamedTuple):
    """One identifier of a member, as the platform wants it.

    kind:   the name in `kinds`
    values: one for each field of the kind, hashed or plain; '' for an optional one that the member has not
    """

    member: Member
    kind: str
    values: tuple[str, ...]


class Hashed(Connector):
    """A list of identifiers. `identified` turns a batch into what is sent; the verbs are written over that.

    consents: what everyone who is sent must have given. A sync either sends a field of that name, whose column holds
              true or "granted" for who has, or says it once for all by an option of that name, `Literal["granted"]`
    carries:  what else may be sent of a member; any other field is a mistake, for nothing would become of it
    """

    kinds: ClassVar[Mapping[str, Kind]]
    consents: ClassVar[frozenset[str]] = frozenset()
    carries: ClassVar[frozenset[str]] = frozenset()
    category = Category.ADS

    class Options(Connector.Options):
        region: str | None = Field(
            None, description="the country of telephone numbers that are written without its code", examples=["DE"]
        )
        hashed: tuple[str, ...] = Field(
            (), description="identifying fields whose column holds the platform's SHA-256 already", examples=[["email"]]
        )

    def __init__(self, settings: Any, options: Any, http: Any, send: Iterable[str] = (), outbox: str = ""):
        super().__init__(settings, options, http, send, outbox)
        # Also those that are sent no more, for they may have to leave.
        self.sorts = {name: _ruled(kind, options, ()) for name, kind in self.kinds.items()}

    def __init_subclass__(cls, **more: Any):
        super().__init_subclass__(**more)
        if "kinds" in vars(cls):
            cls.identified_by = frozenset(name for kind in cls.kinds.values() for name in kind.fields)

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        """The identifying fields that are sent. The warehouse gives them in normal form: they compare as they are."""
        fields = dict.fromkeys(name for kind in cls.kinds.values() for name in kind.fields)
        known = [*fields, *sorted(cls.consents), *sorted(cls.carries)]
        if strange := [name for name in send if name not in known]:
            do = f"take it out of send, or name it as one of: {', '.join(known)}"
            raise DefinitionError(f"{cls.__name__} knows nothing called {strange[0]!r}", do=do)
        cls.consented(options, send)
        found = cls.sent_kinds(options, send)
        return {name: Form("exact", label=name) for name in sorted(rules_of(found).keys() & {*send})}

    @classmethod
    def consented(cls, options: Any, send: Sequence[str]) -> tuple[str, ...]:
        """The consents that columns say. DefinitionError for one that nothing says, or both a column and an option."""
        for name in sorted(cls.consents):
            given = getattr(options, name, None)
            if (name in send) == (given is not None):
                raise DefinitionError(
                    f"{name} is said twice" if given else f"nothing says who has given the consent {name}",
                    do=f'send a column as {name}, true or "granted" for who has; or, where everyone has,'
                    f' write {name} = "granted" in the section',
                )
        return tuple(sorted(cls.consents & {*send}))

    @classmethod
    def sent_kinds(cls, options: Any, send: Sequence[str]) -> Mapping[str, Kind]:
        """The kinds of which all that is needed is sent, with the rules of this sync. DefinitionError where none is."""
        found = {name: kind for name, kind in cls.kinds.items() if {*kind.fields} - kind.optional <= {*send}}
        if not found:
            raise DefinitionError(
                "nothing that is sent identifies a member to this connector", do=_add(cls.kinds.values())
            )
        rules = rules_of(found)
        if alone := sorted(cls.identified_by & {*send} - rules.keys()):
            with_it = [kind for kind in cls.kinds.values() if alone[0] in kind.fields]
            raise DefinitionError(f"{alone[0]} alone identifies nobody", do=_add(with_it))
        fit = sorted(name for name, rule in rules.items() if rule.hashed and name in send)
        if unfit := [name for name in options.hashed if name not in fit]:
            raise DefinitionError(
                f"hashed names {unfit[0]!r}, which is not sent, or not as a hash", do=f"name some of: {', '.join(fit)}"
            )
        return {name: _ruled(kind, options, options.hashed) for name, kind in found.items()}

    def identified(self, members: Sequence[Member]) -> tuple[list[Identified], dict[str, str]]:
        """The identifiers of a batch, in its order; and key -> reason for each member who has none that can be sent."""
        found, rejected = list[Identified](), dict[str, str]()
        kinds = [(name, kind, kind.needed) for name, kind in self.sorts.items()]
        for member in members:
            try:
                found += _told(member, kinds, self.options.hashed)
            except ValueError as error:
                rejected[member.key] = str(error)
        return found, rejected


def _told(
    member: Member, kinds: Sequence[tuple[str, Kind, tuple[str, ...]]], hashed: Sequence[str]
) -> list[Identified]:
    """The identifiers of one member. A million rows pass: plain loops, for generators cost as much as the hashes."""
    fields, found = member.fields, list[Identified]()
    for name, kind, needed in kinds:
        for field in needed:
            if fields.get(field) in NOTHING:
                break
        else:
            found.append(Identified(member, name, _values(kind, fields, hashed)))
    if not found:
        raise ValueError("has no identifier")
    return found


def _values(kind: Kind, fields: Mapping[str, object], hashed: Sequence[str]) -> tuple[str, ...]:
    values = []
    for field, rule in zip(kind.fields, kind.rules, strict=True):
        value = fields.get(field)
        try:
            values.append("" if value in NOTHING else _sent(rule, str(value), field in hashed))
        except ValueError as error:
            raise ValueError(f"{field} {error}") from None
    return tuple(values)


def _sent(rule: Rule, text: str, hashed: bool) -> str:
    if reason := why(text):
        raise ValueError(reason)
    # What leaves may have been sent before the sync said otherwise of the column: only the mark is sure.
    if rule.hashed and (text.startswith(MARK) or (hashed and len(text) == 64)):
        return HEX.sent(text)
    return rule.sent(text if text.isascii() else _lowered(text, rule))


def _lowered(text: str, rule: Rule) -> str:
    """The same text. Raises ValueError where the warehouse holds É and é apart, for the rule does not: the hash of both
    would be removed where one of them leaves.
    """
    capital = any(letter != letter.lower() for letter in text if not letter.isascii())
    if capital and rule.form.of(text) != text:
        raise ValueError("has capital letters that the warehouse does not lower; write them small")
    return text


def _ruled(kind: Kind, options: Any, hashed: Sequence[str]) -> Kind:
    """A kind by the rules of this sync: of its country, and of its columns that are hashed already."""
    try:
        here = [rule.within(options.region) for rule in kind.rules]
    except ValueError as error:
        raise DefinitionError(f"region: {error}", do='write two capital letters, as in region = "DE"') from None
    pairs = zip(kind.fields, here, strict=True)
    return replace(kind, rules=tuple(HEX if name in hashed else rule for name, rule in pairs))


def rules_of(kinds: Mapping[str, Kind]) -> dict[str, Rule]:
    """Field -> its rule."""
    return {field: rule for kind in kinds.values() for field, rule in zip(kind.fields, kind.rules, strict=True)}


def _add(kinds: Iterable[Kind]) -> str:
    return f"add to send: {'; or '.join(', '.join(kind.needed) for kind in kinds)}"


def unfit(reason: str) -> str:
    """What is kept for such a value. In hex: as a value of the member's the reason would be masked where it is told."""
    return f"{UNFIT}{reason.encode().hex()}"


def why(text: str) -> str:
    """The reason in what is kept for such a value; '' for any other."""
    return bytes.fromhex(text.removeprefix(UNFIT)).decode() if text.startswith(UNFIT) else ""
