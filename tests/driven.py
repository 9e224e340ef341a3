"""A clock for several senders: time passes only while all of them sleep, and then to the moment the first one wakes."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Collection
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta

import httpx

from audiences import http
from audiences.connector import Limits

START = datetime(2026, 1, 1, tzinfo=UTC)
HOST = "https://api.example.com"
ONE = Limits(1)


class Driven:
    """senders: how many could act now; None while someone who does not sleep has yet to act."""

    def __init__(self, senders: Callable[[], int | None] = lambda: 1):
        self.seconds, self.senders = 0.0, senders
        self.asleep: list[float] = []
        self.changed = threading.Condition()

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def sleep(self, seconds: float) -> None:
        with self.changed:
            until = self.seconds + seconds
            self.asleep.append(until)
            self.look()
            while until in self.asleep:
                self.changed.wait()

    def look(self) -> None:
        """Let time pass if nobody is awake. Called by whoever falls asleep or leaves."""
        with self.changed:
            if self.asleep and len(self.asleep) == self.senders():
                self.seconds = min(self.asleep)
                self.asleep = [until for until in self.asleep if until > self.seconds]
                self.changed.notify_all()

    def run(self, *work: Callable[[], object]) -> None:
        """Run each in a thread of its own, to its end. Raises what one of them raised."""
        left, errors = len(work), []
        self.senders = lambda: left

        def one(each: Callable[[], object]) -> None:
            nonlocal left
            try:
                each()
            except Exception as error:
                errors.append(error)
            finally:
                with self.changed:
                    left -= 1
                    self.look()

        threads = [threading.Thread(target=one, args=(each,)) for each in work]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]

    def wait(self, flying: Collection[Future], return_when: str) -> object:
        """What delivery waits with: its calls in flight are the senders, as long as it waits for the first of them."""
        self.senders = lambda: None if any(each.done() for each in flying) else len(flying)
        self.look()
        try:
            return concurrent.futures.wait(flying, return_when=return_when)
        finally:
            self.senders = lambda: None


def client(clock, host, limits=ONE, **options) -> http.Client:
    """A client whose host and waits live by this clock."""
    wire = httpx.MockTransport(host)
    return http.client(
        {"base_url": HOST}, limits, transport=wire, sleep=clock.sleep, clock=clock, now=clock.now, **options
    )
