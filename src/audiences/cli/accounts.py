"""`audiences check --connectors`: whether each account that the project uses can be spoken to. No list is touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache

from audiences import account, connectors, http, mask
from audiences.cli import output
from audiences.cli.session import Session
from audiences.connector import Connector
from audiences.errors import AudienceError, BatchRefused, DeliveryError
from audiences.project import Binding
from audiences.state import pauses
from audiences.theirs import theirs

PATIENCE = 20.0  # seconds that one account may make us wait: someone sits at the terminal


@dataclass(frozen=True, slots=True)
class Account:
    """What was found of one account.

    asked: whether a call was answered well; without an error, the connector has none that changes nothing
    """

    section: str
    connector: str
    asked: bool
    error: AudienceError | None = None

    @property
    def words(self) -> str:
        """How it stands, for people."""
        if self.error:
            return "failed"
        why = f"with these settings, which fit, {self.connector} has no call that changes nothing"
        return "ok" if self.asked else f"not asked: {why}"


def look(session: Session, bindings: Sequence[Binding]) -> Iterator[Account]:
    """Each account that these syncs use, in order of its section's name; by the options of the first sync of it."""
    sections = {binding.sync.section: binding for binding in reversed(bindings)}
    for section, binding in sorted(sections.items()):
        try:
            yield Account(section, binding.sync.connector, _ask(session, binding))
        except AudienceError as error:
            yield Account(section, binding.sync.connector, False, error)


def complain(found: Account) -> None:
    """Say on stderr what is wrong with an account, naming its section."""
    if found.error:
        named = found.error.what.startswith(found.section)
        output.complain(found.error if named else f"{found.section}: {found.error}")


def words(accounts: Sequence[Account]) -> None:
    """A line an account, in columns, for people."""
    width = max((len(each.section) for each in accounts), default=0)
    output.say(*(f"{each.section:<{width}}  {each.words}" for each in accounts))


def data(found: Account) -> dict[str, object]:
    """An account as JSON holds it."""
    error = output.problem(found.error) if found.error else None
    return {"section": found.section, "connector": found.connector, "asked": found.asked, "error": error}


def _ask(session: Session, binding: Binding) -> bool:
    """Make a connector's harmless call; whether it has one. Raises AudienceError for what is wrong."""
    with speaking(session, binding) as connector, theirs(binding.connector):
        return _called(connector)


@contextmanager
def speaking(session: Session, binding: Binding) -> Iterator[Connector]:
    """A sync's connector, which can speak to its account. Raises AudienceError where its settings do not let it."""
    cls, sync = binding.connector, binding.sync
    settings = connectors.settings(sync.section, cls, session.folder)
    with theirs(cls):
        reach = cls.reach(settings)
    with ExitStack() as opened:
        state = cache(lambda: opened.enter_context(session.state()))
        signed = account.known(reach, sync.section, state, {})
        shared = http.Shared(cls.limits, keep=lambda seconds: pauses.keep(state(), sync.section, seconds))
        with session.past() as past:
            shared.pace.hold(pauses.left(past, sync.section) if past else 0.0)
        line = opened.enter_context(
            http.client(signed, cls.limits, passes_in=cls.passes_in, means=cls.means, patience=PATIENCE, shared=shared)
        )
        with theirs(cls):
            connector = cls(settings, binding.options, line, sync.send, "check")
        yield connector


def _called(connector: Connector) -> bool:
    try:
        connector.check()
    except NotImplementedError:
        return False
    except BatchRefused as refusal:
        raise DeliveryError(
            f"the provider refuses a call that changes nothing: {mask.text(refusal.reason)}",
            do="look in the account's settings and the sync's options for an id or a region of another account",
        ) from None
    return True
