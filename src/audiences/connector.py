"""What a connector is: one provider's lists, in two verbs. It knows its provider's words and nothing else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from audiences import identity
from audiences.errors import BatchRefused, DefinitionError
from audiences.identity import Form
from audiences.member import Member, Receipt, seqs
from audiences.verbs import Verbs

T = TypeVar("T")

# The option `null` of every connector whose provider can tell the two apart.
Null = Annotated[
    Literal["clear", "keep"],
    Field(description="what NULL does to a property: unset it, or leave it", examples=["keep"]),
]


@dataclass(frozen=True, slots=True)
class Limits:
    """What the provider documents, of one account: they hold for all its syncs together.

    batch:       members a batch, which is a call where the provider takes several at once
    concurrency: calls in flight at once
    per_second:  calls a second, evenly spread
    windows:     calls in any so many seconds, as fast as they go: ((100, 10), (150, 60)) is 100 in 10 s, 150 a minute
    bytes:       of a call's body; a batch that makes a larger one is halved before it is sent
    """

    batch: int
    concurrency: int = 1
    per_second: float = float("inf")
    windows: tuple[tuple[int, float], ...] = ()
    bytes: int | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for a limit that would let nothing through."""
        windows = [number for window in self.windows for number in window]
        if min(self.batch, self.concurrency, self.per_second, self.bytes or 1, *windows) <= 0:
            raise ValueError("a limit is a number above zero")


class Category(StrEnum):
    """The kind of destination; ANY where it is whatever its owner makes of it."""

    EMAIL = "email"
    ADS = "ads"
    CRM = "CRM"
    IN_APP = "in-app"
    ANALYTICS = "analytics"
    ANY = "any"


class Proof(StrEnum):
    """What the calls of a connector were held against, the strongest first.

    SPECIFICATION: a test holds every request against the vendor's own published specification
    SDK:           a test holds every request against the one that the vendor's own client library sends
    DOCUMENTATION: the pages that its docstring names
    UNSTATED:      its author says nothing
    EXPERIMENTAL:  none of these is enough to rely on; a sync has to ask for it
    """

    SPECIFICATION = "specification"
    SDK = "sdk"
    DOCUMENTATION = "documentation"
    UNSTATED = "unstated"
    EXPERIMENTAL = "experimental"


class Connector(Verbs, ABC):
    """Keep one provider's lists equal to what was asked. What it may do beside its two verbs stands in `verbs`.

    `self.http` is an httpx.Client that is already paced, retried and logged; it is closed by the worker.
    It raises for every answer that is not 2xx, so a verb only reads success. What is special about a call is said with
    it: `self.http.post(…, extensions={"expect": {404}})`:

    expect:  statuses of answers that a verb wants to read itself
    reads:   True for a POST that only looks
    creates: True for a POST that would make a second list: where its answer is lost it is not sent again; the run ends,
             and the next one finds the list
    sign:    a function of the body: headers that hold for one attempt only, such as a signature with its time

    Both verbs are safe to repeat, unless `repeatable` is False: then a batch without an answer is never sent
    again, but kept as unknown until someone says what became of it.
    """

    identified_by: ClassVar[frozenset[str]] = frozenset()
    forms: ClassVar[Mapping[str, Form]] = {"email": Form.CASELESS}  # of identifying fields; the others are EXACT
    limits: ClassVar[Limits]
    repeatable: ClassVar[bool] = True
    category: ClassVar[Category] = Category.ANY
    proof: ClassVar[Proof] = Proof.UNSTATED
    judged_within: ClassVar[timedelta] = timedelta(0)  # for tickets: the longest that a job of the provider's takes
    lifetime: ClassVar[timedelta | None] = None  # after which the provider forgets a member who is not sent again
    partial: ClassVar[bool] = False  # whether a replacement that is cut off leaves the list with a part of its members
    fewest: ClassVar[int] = 0  # members below which the provider does not use a list; a plan of fewer says so

    class Settings(BaseSettings):
        """The account: `api_key` of the section `hubspot_eu` is read from HUBSPOT_EU_API_KEY."""

        model_config = SettingsConfigDict(extra="ignore", frozen=True, dotenv_filtering="only_existing")

    class Options(BaseModel):
        """What a sync may write in its section, beside the keys that every sync has."""

        model_config = ConfigDict(extra="forbid", frozen=True)

    def __init__(self, settings: Any, options: Any, http: httpx.Client, send: Iterable[str] = (), outbox: str = ""):
        """send: the destination fields of the sync; outbox: a name for this run's deliveries, never used twice."""
        self.settings, self.options, self.http, self.outbox = settings, options, http, outbox
        self.identity = self.identify(options, tuple(send))
        self.checked: set[str] = set()  # ids of lists that a connector has looked at, and need not look at again

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        """The fields, of those sent, that make up a member's identifier; none: the member's key.

        Raises DefinitionError where nothing that is sent identifies anyone.
        """
        found = sorted(cls.identified_by & set(send))
        if cls.identified_by and not found:
            raise DefinitionError(
                "nothing that is sent identifies a member to this connector",
                do=f"add one of these to send: {', '.join(sorted(cls.identified_by))}",
            )
        return cls.formed(found)

    @classmethod
    def fits(cls, name: str) -> None:
        """Raise DefinitionError where no list can be called so; asked before anything is run. By default any may."""

    @classmethod
    def formed(cls, names: Iterable[str]) -> Mapping[str, Form]:
        """These fields, each with the form in which the provider compares it."""
        return {name: cls.forms.get(name, Form.EXACT) for name in names}

    def ident(self, member: Member) -> str:
        """The member's identifier in its normal form; the key where no field identifies it."""
        return (identity.ident(member.fields, self.identity) if self.identity else None) or member.key

    def delivery(self, members: Sequence[Member]) -> str:
        """A name for what is sent of these members: the same for each attempt at it, and never that of anything else.

        Not made of the content: whoever is added, removed and added again is three deliveries.
        """
        places = seqs(members)
        return f"{self.outbox}-{places[0]}-{places[-1]}"

    @staticmethod
    def parts(told: Sequence[T], size: int) -> Iterator[Sequence[T]]:
        """These in their order, at most `size` at a time: for a call that takes no more."""
        return (told[start : start + size] for start in range(0, len(told), size))

    def found_or_made(
        self, kind: str, name: str, find: Callable[[str], Sequence[object]], make: Callable[[str], object]
    ) -> str:
        """The id of the list with this name, for a `prepare` where nothing says that names are unique.

        kind: what a list is there, as "Brevo list"
        find: the ids of those with exactly this name, in an order that is everyone's; make: makes one, and gives its id
        Raises DefinitionError where there are several, or none can be made.
        """
        if len(found := find(name)) > 1:
            what = f"{name!r} is the name of several {kind}s: {', '.join(map(str, found))}"
            raise DefinitionError(what, do="rename all but one of them there, or write one as list_id")
        if not found:
            made, why = list[object](), ""
            try:
                made.append(make(name))
            except BatchRefused as refusal:
                why = refusal.reason
            # Another run may have made one too: all take the first.
            found = [*find(name), *made]
        if found:
            return str(found[0])
        raise DefinitionError(
            f"no {kind} {name!r} can be made: {why}", do="give the list another name, or make it there"
        )

    @classmethod
    @abstractmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        """base_url, and auth or headers, for the httpx.Client that the worker makes."""

    @abstractmethod
    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        """Make each member present with these fields."""

    @abstractmethod
    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        """Make each member absent. A member who is not there is accepted."""

    @classmethod
    def passes_in(cls, answer: httpx.Response) -> float | None:
        """Seconds after which a call that got this answer, no success, may be made again; None: what HTTP says of it.

        For what HTTP does not say: a status of the provider's own, a pause that is only documented, a quota that is
        used up until midnight (`math.inf`: the sync is deferred at once). A Retry-After is never undercut.
        """
        return None

    @classmethod
    def means(cls, answer: httpx.Response) -> int:
        """The status of an answer, where the provider says in its body what HTTP says by a status: 429 in a 200."""
        return answer.status_code

    @classmethod
    def lasts(cls, options: Any) -> timedelta | None:
        """How long a member stays who is not sent again; None: for ever. By default `lifetime`."""
        return cls.lifetime

    @classmethod
    def replaces(cls) -> bool:
        """Whether a list can be replaced."""
        return cls.replaced is not Verbs.replaced

    @classmethod
    def judges_later(cls) -> bool:
        """Whether the provider may answer with a ticket."""
        return cls.outcome is not Verbs.outcome
