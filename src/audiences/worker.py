"""What a run works with, and how a sync ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import httpx

from audiences.connector import Limits
from audiences.errors import AudienceError
from audiences.http import Shared
from audiences.http.signin import Desk
from audiences.plan import Plan
from audiences.project import Binding
from audiences.state import State, pauses
from audiences.trace import Stages, untold
from audiences.warehouse import Warehouse


def utc() -> datetime:
    """Now, in UTC, as the warehouse's own timestamps are: without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Worker:
    """What a run works with.

    patience:  seconds that one call may wait in all
    replace:   whether the lists are made anew
    queue:     seconds that a sync may wait for an account that another one uses
    keeps:     how far the history of what was sent reaches back; nothing: none is kept
    commit:    of the definitions, where git does not tell
    stop:      whether no new batch may begin
    told:      hears how many rows a sync has to deliver and has delivered
    transport: the far end of every connector instead of the network
    clock:     seconds, for pace and time-outs
    desks:     where the accounts that it has signed in to are kept, for its life
    accounts:  what the syncs of each share, for as long
    stage:     opens a stage of a run, as a trace tells it
    """

    warehouse: Warehouse
    state: State
    project: Path
    patience: float = 900.0
    force: bool = False
    replace: bool = False
    queue: float = 0.0
    keeps: timedelta = timedelta(days=90)
    commit: str | None = None
    stop: Callable[[], bool] = lambda: False
    told: Callable[[str, int, int], None] = lambda sync, rows, total: None
    transport: httpx.BaseTransport | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = utc
    desks: dict[str, Desk] = field(default_factory=dict)
    accounts: dict[tuple[str, str], Shared] = field(default_factory=dict)
    stage: Stages = untold

    def shared(self, section: str, limits: Limits) -> Shared:
        """What the clients of one account have in common; where its connector has new limits, they begin anew.

        A pause that its host has asked another process for holds from here on, too.
        """
        keep = partial(pauses.keep, self.state, section)
        found = self.accounts.setdefault((section, repr(limits)), Shared(limits, self.clock, keep))
        found.pace.hold(pauses.left(self.state, section))
        return found


@dataclass(frozen=True, slots=True)
class Result:
    """How one sync ended.

    delivered: rows that were acknowledged, those of earlier tickets among them
    size:      members listed after it; None where it ended before it could count
    refused:   members who are refused now; fresh: … by this run for the first time
    unnamed:   members whom the provider refused without saying whom: they count as delivered, for nobody is named
    stayed:    members, or old addresses of theirs, that are still on the list: the provider refused to remove them
    stays:     why it refused the first of them, people masked
    aside:     members set aside beyond those that the last run counted
    pending:   members whom the provider has taken in and not judged yet
    unknown:   claims in doubt that only read-back or a person can resolve
    stopped:   a signal ended it with work left
    """

    binding: Binding
    plan: Plan | None = None
    delivered: int = 0
    size: int | None = None
    fresh: int = 0
    refused: int = 0
    unnamed: int = 0
    stayed: int = 0
    stays: str = ""
    aside: int = 0
    pending: int = 0
    unknown: int = 0
    stopped: bool = False
    error: AudienceError | None = None

    @property
    def outcome(self) -> str:
        """One word: delivered, accepted, unchanged, guarded, deferred, stopped or failed."""
        if self.error:
            return {3: "guarded", 5: "deferred"}.get(self.error.exit_code, "failed")
        if self.stopped:
            return "stopped"
        return "delivered" if self.delivered else "accepted" if self.pending else "unchanged"
