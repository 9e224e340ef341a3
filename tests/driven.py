"""A clock for several senders: time passes only while all of them sleep, and then to the moment the first one wakes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from audiences import http
from audiences.batch import Sent
from audiences.connector import Limits
from audiences.deliver import Delivery

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

    def first(self, delivery: Delivery) -> Future[Sent]:
        """What a delivery waits with: while it waits for the first of its calls in flight, they are the senders."""
        self.senders = lambda: len(delivery.flying) if delivery.ended.empty() else None
        self.look()
        try:
            return delivery.ended.get()
        finally:
            self.senders = lambda: None

    def drives(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let deliveries wait by this clock."""
        monkeypatch.setattr(Delivery, "_first", lambda delivery: self.first(delivery))


def client(clock, host, limits=ONE, **options) -> http.Client:
    """A client whose host and waits live by this clock."""
    wire = httpx.MockTransport(host)
    return http.client(
        {"base_url": HOST}, limits, transport=wire, sleep=clock.sleep, clock=clock, now=clock.now, **options
    )
