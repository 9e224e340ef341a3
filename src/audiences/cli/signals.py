"""A clean stop: the first signal lets what is in flight finish; a second one, or the end of the grace, ends all."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from types import FrameType, TracebackType

from audiences.errors import Deferred

STOPS = (signal.SIGTERM, signal.SIGINT)
HEARD = (
    b"stopping: what is in flight is finished first; a second signal leaves at once, and nothing is lost either way\n"
)


class Signals:
    """While this is entered, SIGTERM and Ctrl-C stop the worker; nothing is lost whichever way it leaves.

    grace: seconds from the first signal until the process is gone
    """

    def __init__(self, grace: float):
        self.grace, self.asked = grace, threading.Event()
        self.last: threading.Timer | None = None

    def __enter__(self) -> Signals:
        self.before = {each: signal.signal(each, self._heard) for each in STOPS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each, handler in self.before.items():
            signal.signal(each, handler)
        if self.last:
            self.last.cancel()

    def stopped(self) -> bool:
        """Whether a signal came."""
        return self.asked.is_set()

    def sleep(self, seconds: float) -> None:
        """Wait, but not beyond a signal. Raises Deferred where there was one: what waits is left for the next run."""
        if self.asked.wait(seconds):
            raise Deferred("a signal ended the wait for a host", do="nothing is lost: the next run goes on from here")

    def _heard(self, number: int, _: FrameType | None) -> None:
        if self.asked.is_set():
            os._exit(128 + number)
        self.asked.set()
        with suppress(OSError):
            os.write(2, HEARD)  # not through sys.stderr, which may be in the middle of a line
        self.last = threading.Timer(self.grace, os._exit, (128 + number,))
        self.last.daemon = True
        self.last.start()
