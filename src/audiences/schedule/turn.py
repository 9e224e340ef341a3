"""One audience's turn: it is run if it is due and no other worker has it, and is served then up to that moment.

Any number of workers with one state database take turns. One that is killed leaves a lease that ends by itself, and an
audience that is still due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime

from audiences import lease, run
from audiences.audience import Audience
from audiences.errors import AudienceError, Deferred, Held, LeaseLost
from audiences.project import Binding
from audiences.schedule import timetable
from audiences.state import State
from audiences.worker import Result, Worker


@dataclass(frozen=True, slots=True)
class Turns:
    """What turns are taken with.

    hired: a worker with a warehouse of its own, for one turn
    stop:  whether no turn may begin any more
    now:   the moment, in UTC
    commit: of the definitions, where git does not tell
    """

    state: State
    hired: Callable[[], AbstractContextManager[Worker]]
    stop: Callable[[], bool]
    now: Callable[[], datetime]
    commit: str | None = None

    def due(self, audience: Audience) -> bool:
        """Whether a moment of an audience's line has come that is not served yet."""
        return timetable.due(self.state, audience) <= self.now()

    def take(self, audience: Audience, bindings: Sequence[Binding]) -> Sequence[Result]:
        """Run an audience that is due; nothing where it is not. Raises Held while another worker has it."""
        if self.stop() or not self.due(audience):
            return ()
        if (sync := lease.busy(self.state, [each.sync.name for each in bindings])) is not None:
            raise Held(f"{sync} is being run by another worker", do="nothing to do: its turn comes after that")
        held = lease.take(self.state, f"schedule:{audience.name}", 0)
        try:
            with held.kept():
                return self._run(audience, bindings)
        finally:
            with suppress(LeaseLost):
                held.release()

    def _run(self, audience: Audience, bindings: Sequence[Binding]) -> Sequence[Result]:
        began = self.now()
        if not self.due(audience):  # another worker was quicker
            return ()
        results = self._results(audience, bindings)
        # A sync that a signal kept from beginning has no result.
        if len(results) == len(bindings) and not any(self._unfinished(each) for each in results):
            timetable.serve(self.state, audience.name, began)
        return results

    def _results(self, audience: Audience, bindings: Sequence[Binding]) -> Sequence[Result]:
        try:
            with self.hired() as worker:
                return run.audience(worker, audience, bindings)
        except Held:
            raise
        except AudienceError as error:
            return run.failed(self.state, audience, bindings, error, self.commit)

    def _unfinished(self, result: Result) -> bool:
        """Whether a sync was kept from its work, by a signal or by another worker. One that failed has had its turn."""
        error = result.error
        return result.stopped or isinstance(error, Held | LeaseLost) or (self.stop() and isinstance(error, Deferred))
