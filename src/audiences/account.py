"""An account's sign-in while the worker uses it: one token for all its syncs, and what must outlive the process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from audiences import lease
from audiences.errors import Deferred, LeaseLost, WarehouseError
from audiences.http.signin import Desk, SignIn
from audiences.lease import Lease
from audiences.state import State, tokens

TRIES = 60  # seconds, about, that one worker waits while another signs in, or for a state database that is away


def known(
    reach: Mapping[str, Any],
    section: str,
    state: Callable[[], State],
    desks: MutableMapping[str, Desk],
    sleep: Callable[[float], None] = time.sleep,
) -> Mapping[str, Any]:
    """The same reach, its sign-in tied to what is known of the account. Where it gives none that expires: as it is.

    state: the state database, opened when a refresh token asks for it
    desks: of all accounts that this process has signed in to, by their credentials
    """
    auth = reach.get("auth")
    if isinstance(auth, SignIn):
        desk = desks.setdefault(auth.account, Desk())
        auth.kept(section, desk, Stored(state, section, sleep, auth.lineage))
    return reach


@dataclass(frozen=True, slots=True)
class Stored:
    """The store of one account, in the state database. Several workers may share it: one at a time renews.

    lineage: what is kept belongs to the setting that it descends from, in whichever sections that stands: two of them
             may name one account, and none may use a token that the other has exchanged
    """

    state: Callable[[], State]
    section: str
    sleep: Callable[[float], None]
    lineage: str

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the account's right to renew. Raises Deferred where another worker keeps it for long."""
        held = self._taken()
        try:
            with held.kept():
                yield
        finally:
            with suppress(LeaseLost):
                held.release()

    def load(self) -> Mapping[str, str]:
        return tokens.load(self.state(), self.lineage)

    def save(self, values: Mapping[str, str]) -> None:
        # The provider has ended what came before: nobody else will ever know these.
        for _ in range(TRIES):
            with suppress(WarehouseError):
                tokens.save(self.state(), self.lineage, values)
                return
            self.sleep(1.0)
        tokens.save(self.state(), self.lineage, values)

    def _taken(self) -> Lease:
        for _ in range(TRIES):
            with suppress(Deferred):
                return lease.take(self.state(), f"token:{self.lineage}", 0)
            self.sleep(1.0)
        raise Deferred(
            f"another worker is signing in to {self.section}",
            do="nothing is lost: the next run goes on from here",
        )
