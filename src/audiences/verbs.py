"""What a connector may do beside its two verbs. What it does not write, its provider cannot do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from audiences.member import Member, Receipt


class Verbs:
    """The optional verbs."""

    def check(self) -> None:
        """Make one call that needs the account's credentials and changes nothing; it raises as every call does.

        Raises NotImplementedError where there is none, or none with these settings.
        """
        raise NotImplementedError

    def prepare(self, name: str) -> str:
        """The id of the list with this name, found or created. By default a list's name is its id."""
        return name

    def flush(self, list_id: str) -> None:
        """Make everything accepted so far visible. Called at checkpoints and at the end of a run."""

    def outcome(self, ticket: str, members: Sequence[Member]) -> Receipt | None:
        """What became of a batch that was taken in with this ticket; None is "not yet". May be asked again and again.

        members: those that the ticket speaks of, as they were sent; the receipt speaks of each of them
        """
        raise NotImplementedError

    def members(self, list_id: str) -> Iterable[Mapping[str, object]]:
        """Read back who is on the list: the fields of each."""
        raise NotImplementedError

    def replacing(self, list_id: str, began: datetime) -> None:
        """From here on `upsert` is called with everyone who is to be on the list: whoever else is there is to go.

        Called before the first of them, where there is `replaced`. began: the moment (UTC, by the worker's clock)
        Nobody may be off the list for it meanwhile, and nothing that is accepted now has to last unless `replaced` is
        called: where a run ends before that, it never is, and the next one sends all of them as it always does.
        """

    def replaced(self, list_id: str, began: datetime) -> None:
        """Take off the list whoever was not sent since `began`. Everyone else was sent, and accepted or refused.

        For a repair, `audiences sync NAME --replace`: removals need none. Without tickets it is called on the connector
        that `replacing` was called on. With them it is called once all are judged, by a later run, on one that knows
        nothing but its arguments; and again where that run is cut off, so it has to be safe to repeat. A worker's
        clock may be wrong by minutes: where `began` is told to the provider, leave room for that.
        """
        raise NotImplementedError
