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

    A thread of its own hears them: a handler would run in the middle of whatever the main thread does, which may hold
    the very lock that it needs, or hear nothing for as long as a query takes.

    grace: seconds from the first signal until the process is gone
    """

    def __init__(self, grace: float):
        self.grace, self.asked = grace, threading.Event()
        self.last: threading.Timer | None = None

    def __enter__(self) -> Signals:
        numbers, self.told = os.pipe()
        os.set_blocking(self.told, False)
        threading.Thread(target=self._listen, args=(numbers,), daemon=True).start()
        self.before = {each: signal.signal(each, _noted) for each in STOPS}
        self.others = signal.set_wakeup_fd(self.told)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self.others)
        for each, handler in self.before.items():
            signal.signal(each, handler)
        os.close(self.told)
        if self.last:
            self.last.cancel()

    def stopped(self) -> bool:
        """Whether a signal came."""
        return self.asked.is_set()

    def sleep(self, seconds: float) -> None:
        """Wait, but not beyond a signal. Raises Deferred where there was one: what waits is left for the next run."""
        if self.asked.wait(seconds):
            raise Deferred("a signal ended the wait for a host", do="nothing is lost: the next run goes on from here")

    def _listen(self, numbers: int) -> None:
        while number := os.read(numbers, 1):
            if number[0] in STOPS:
                self._heard(number[0])
        os.close(numbers)

    def _heard(self, number: int) -> None:
        if self.asked.is_set():
            os._exit(128 + number)
        self.asked.set()
        with suppress(OSError):
            os.write(2, HEARD)  # not through sys.stderr, which may be in the middle of a line
        self.last = threading.Timer(self.grace, os._exit, (128 + number,))
        self.last.daemon = True
        self.last.start()


def _noted(number: int, _: FrameType | None) -> None:
    """With a handler in Python, a signal's number is written to where the thread reads it, and nothing else is done."""
