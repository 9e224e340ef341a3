"""When a call may start: a provider's limits, what its answers say of them, and how long one call may wait in all."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import httpx
import structlog

from audiences.connector import Limits
from audiences.errors import Deferred
from audiences.http.tally import Tally
from audiences.http.told import Left, Window, asked, passing, quotas
from audiences.http.wire import SIGN_IN, Around, host

log = structlog.get_logger()
SLACK = 0.04  # seconds by which the calls of a second may arrive closer together than they left; 95 % can still be had
LATE = 0.01  # seconds by which a call may start late, as its thread wakes, without delaying all that come after it


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one call may wait in all, in seconds, and how it waits; the tally counts that."""

    seconds: float
    sleep: Callable[[float], None]
    tally: Tally

    def wait(self, request: httpx.Request, seconds: float) -> None:
        """Wait, unless the waits of this request add up to more than there is patience for: then Deferred."""
        waited = float(request.extensions.get("waited", 0.0)) + seconds
        if waited > self.seconds:
            raise Deferred(
                f"{host(request)} makes a call wait {waited:.0f} s in all; this run waits {self.seconds:.0f} s at most",
                do="nothing is lost: the next run goes on from here; to wait longer, export AUDIENCES_PATIENCE",
            )
        request.extensions["waited"] = waited
        self.tally.waited(request, seconds)
        self.sleep(seconds)


@dataclass(slots=True)
class Rest:
    """Calls that may still start until a moment."""

    calls: int
    until: float


class Pace:
    """The pace of one account, for all its syncs in this process and all their threads.

    A window counts a call from its start until so many seconds after its end. The host counted it somewhere in between,
    so it never sees more than it allows, however the network hurries or delays; the price is one call's time a window.
    Calls a second have a smaller price: they leave evenly, and a little further apart than allowed, since they arrive
    less evenly at a host that counts those of a second.
    What a host's headers say may slow this down and never quickens it.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic):
        self.limits, self.clock = limits, clock
        self.turn = threading.Condition()
        self.due, self.apart = float("-inf"), 1 / limits.per_second + SLACK / max(1, limits.per_second)  # seconds
        self.flying = 0
        self.ended: deque[float] = deque()  # when calls ended, the last one last: as many as the largest window counts
        self.told: dict[
            float, tuple[int, float]
        ] = {}  # seconds of a window by the headers -> calls, until when it holds
        self.rests: list[Rest] = []

    def start(self) -> float:
        """Seconds until the next attempt may start; 0.0 where this one may: then it is under way until its `end`."""
        with self.turn:
            self.turn.wait_for(lambda: self.flying < self._lines())
            now = self.clock()
            self.rests = [rest for rest in self.rests if rest.until > now]
            due = max([self.due, *self._frees(), *(rest.until for rest in self.rests if rest.calls < 1)])
            if now < due:
                return due - now
            self.due = (self.due if now < self.due + LATE else now) + self.apart
            self.flying += 1
            for rest in self.rests:
                rest.calls -= 1
            return 0.0

    def end(self, began: float, told: Iterable[Left | Window] = ()) -> None:
        """An attempt is over, and this is what its answer told."""
        with self.turn:
            self.flying -= 1
            self.ended.append(self.clock())
            for quota in told:
                if isinstance(quota, Left):
                    self._leave(quota)
                else:
                    self._narrow(quota, began)
            most = max(self._windows().values(), default=0)
            while len(self.ended) > most:
                self.ended.popleft()
            self.turn.notify_all()

    def hold(self, seconds: float) -> None:
        """Let nothing start for so long."""
        with self.turn:
            self.due = max(self.due, self.clock() + seconds)

    def _lines(self) -> int:
        """How many calls may be under way at once: as many as fit into the narrowest window, too."""
        return min([self.limits.concurrency, *self._windows().values()])

    def _windows(self) -> dict[float, int]:
        """seconds -> calls, as declared and as told, whichever is less."""
        now, found = self.clock(), dict[float, int]()
        told = [(most, seconds) for seconds, (most, until) in self.told.items() if now < until]
        for most, seconds in (*self.limits.windows, *told):
            found[seconds] = min(most, found.get(seconds, most))
        return found

    def _frees(self) -> Iterable[float]:
        """For each window, when it has room for one more call."""
        for seconds, most in self._windows().items():
            if len(self.ended) >= most - self.flying:
                yield self.ended[self.flying - most] + seconds

    def _leave(self, quota: Left) -> None:
        """Calls under way may have been counted by the host, or not yet: they are taken as not yet counted."""
        rest = Rest(quota.calls - self.flying, self.clock() + quota.seconds)
        if not any(each.calls <= rest.calls and each.until >= rest.until for each in self.rests):
            self.rests = [each for each in self.rests if each.calls < rest.calls or each.until > rest.until]
            self.rests.append(rest)

    def _narrow(self, quota: Window, began: float) -> None:
        """Keep a window for as long as it is; calls that the host counted and this process did not make are as ours."""
        now, seconds = self.clock(), quota.seconds
        known, until = self.told.get(seconds, (quota.most, 0.0))
        if quota.most <= known or until <= now:
            self.told[seconds] = (quota.most, now + seconds)
        if quota.left is not None:
            ours = self.flying + sum(end > began - seconds for end in self.ended)
            self.ended.extend([now] * (self._windows()[seconds] - ours - quota.left))


class Paced(Around):
    """Start each attempt in its turn, and none while a host asks to wait."""

    def __init__(
        self,
        inner: httpx.BaseTransport,
        pace: Pace,
        patience: Patience,
        now: Callable[[], datetime],
        keep: Callable[[float], None],
    ):
        super().__init__(inner)
        self.pace, self.patience, self.now, self.keep = pace, patience, now, keep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        while (wait := self.pace.start()) > 0:
            if wait >= 1:
                log.info("http.wait", host=host(request), wait=round(wait, 2))
            self.patience.wait(request, wait)
        began, told = self.pace.clock(), list[Left | Window]()
        try:
            answer = self.inner.handle_request(request)
            if SIGN_IN not in request.extensions:  # another host's
                told += quotas(answer, self.now)
            if passing(answer) and (seconds := asked(answer, self.now)):
                self.pace.hold(seconds)
                self.keep(seconds)
            return answer
        finally:
            self.pace.end(began, told)
