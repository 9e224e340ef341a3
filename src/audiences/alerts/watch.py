"""Look, and tell, beside the work and never in its way: each way in a thread of its own, none of them waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import structlog

from audiences import run
from audiences.alerts.judge import Sight
from audiences.alerts.told import Way, tell
from audiences.errors import AudienceError, Held
from audiences.state import State

log = structlog.get_logger()
EVERY = 60.0  # seconds between two looks
LAST = 15.0  # seconds that a command waits at its end for what is being told
FIRST, LONGEST = 60.0, 3600.0  # seconds until a way that failed is tried again; doubled up to the longest


class Watch:
    """The looks of one process.

    look:   what is to be seen now; asked for only where there is a way to tell it
    digest: tells the digest if it is due
    """

    def __init__(
        self,
        state: State,
        ways: Sequence[Way],
        look: Callable[[], Sight],
        clock: Callable[[], float] = time.monotonic,
        digest: Callable[[], None] | None = None,
    ):
        self.state, self.ways, self.look, self.clock, self.digest = state, ways, look, clock, digest
        self.telling: dict[str, threading.Thread] = {}
        self.failed: dict[str, tuple[float, float]] = {}  # way -> when it may be tried again, and how long that was

    def once(self) -> None:
        """Look, and let each way tell what it has not told. One that is still at it, or failed lately, is left."""
        if self.digest and self._ready("digest"):
            self._begin("digest", self.digest)
        ready = [way for way in self.ways if self._ready(way.name)]
        if not ready:
            return
        try:
            sight = self.look()
        except Exception as error:
            _failed("alerts.failed", error)
            return
        for way in ready:
            self._begin(way.name, partial(tell, self.state, way, sight))

    def wait(self, seconds: float) -> None:
        """Let what is being told come to its end, for so long at most; what does not is told again by whoever looks."""
        end = time.monotonic() + seconds
        for thread in self.telling.values():
            thread.join(max(0.0, end - time.monotonic()))

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Look every EVERY seconds while the block runs.

        Not at once: after a pause of all workers much is late, and made up for in the first minute. And once more at
        its end, so that the last minute of a worker that nobody follows is told, too.
        """
        done = threading.Event()
        beat = threading.Thread(target=self._beat, args=(done,), name="alerts", daemon=True)
        beat.start()
        try:
            yield
        finally:
            done.set()
            self.once()
            self.wait(LAST)

    def _beat(self, done: threading.Event) -> None:
        while not done.wait(EVERY):
            self.once()

    def _ready(self, way: str) -> bool:
        busy = way in self.telling and self.telling[way].is_alive()
        again, _ = self.failed.get(way, (0.0, 0.0))
        return not busy and self.clock() >= again

    def _begin(self, way: str, telling: Callable[[], None]) -> None:
        self.telling[way] = threading.Thread(target=self._tell, args=(way, telling), daemon=True)
        self.telling[way].start()

    def _tell(self, way: str, telling: Callable[[], None]) -> None:
        try:
            telling()
            self.failed.pop(way, None)
        except Held:  # another worker tells it at this moment
            return
        except Exception as error:
            _, before = self.failed.get(way, (0.0, FIRST / 2))
            self.failed[way] = self.clock() + min(LONGEST, 2 * before), min(LONGEST, 2 * before)
            _failed("alert.failed", error, way=way)


def _failed(event: str, error: Exception, **where: str) -> None:
    """Log what went wrong with a notice; nothing else may go wrong for it."""
    known = error if isinstance(error, AudienceError) else run.defect(error)
    log.warning(event, why=known.what, do=known.do, **where)
