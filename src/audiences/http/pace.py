"""When a call may start: a provider's rate, the pause that a host asks for, and how long one call may wait in all."""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import structlog

from audiences.errors import Deferred
from audiences.http.wire import SIGN_IN, Around, host

log = structlog.get_logger()

PASSING = frozenset({408, 425, 429}) | frozenset(range(500, 600)) - {501, 505}  # statuses that may pass by waiting
_SECONDS = re.compile(r"\s*\d+(\.\d+)?\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one call may wait in all, in seconds, and how it waits."""

    seconds: float
    sleep: Callable[[float], None]

    def wait(self, request: httpx.Request, seconds: float) -> None:
        """Wait, unless the waits of this request add up to more than there is patience for: then Deferred."""
        waited = float(request.extensions.get("waited", 0.0)) + seconds
        if waited > self.seconds:
            raise Deferred(
                f"{host(request)} makes a call wait {waited:.0f} s in all; this run waits {self.seconds:.0f} s at most",
                do="nothing is lost: the next run goes on from here; to wait longer, export AUDIENCES_PATIENCE",
            )
        request.extensions["waited"] = waited
        self.sleep(seconds)


def asked(answer: httpx.Response, now: Callable[[], datetime]) -> float:
    """The seconds that an answer asks to wait, by its Retry-After or the provider's own word, whichever is longer."""
    said = answer.extensions.get("passes_in") or 0.0
    return max(_after(answer, now), said if said < math.inf else 0.0)


def _after(answer: httpx.Response, now: Callable[[], datetime]) -> float:
    """The seconds that an answer's Retry-After asks for; 0.0 where it asks for none, or for what nobody can read.

    A date is taken by the host's own clock where the answer tells it, so that a wrong clock here undercuts nothing.
    https://www.rfc-editor.org/rfc/rfc9110#name-retry-after
    """
    words = answer.headers.get("retry-after", "")
    if _SECONDS.fullmatch(words):
        return float(words)
    until = _date(words)
    if until is None:
        return 0.0
    return max(0.0, (until - (_date(answer.headers.get("date", "")) or now())).total_seconds())


def _date(words: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(words)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def passing(answer: httpx.Response) -> bool:
    """Whether waiting may change this answer: by the provider's own word, or else by what HTTP says of its status."""
    said = answer.extensions.get("passes_in")
    return answer.status_code in PASSING if said is None else said < math.inf


class Judged(Around):
    """Keep with each answer that is no success the provider's word on when it may be another."""

    def __init__(self, inner: httpx.BaseTransport, passes_in: Callable[[httpx.Response], float | None]):
        super().__init__(inner)
        self.passes_in = passes_in

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.inner.handle_request(request)
        if not (answer.is_success or SIGN_IN in request.extensions):
            answer.extensions["passes_in"] = self.passes_in(answer)
        return answer


class Paced(Around):
    """Let at most `per_second` attempts start in a second, on all threads together; none while a host asks to wait."""

    def __init__(
        self,
        inner: httpx.BaseTransport,
        per_second: float,
        patience: Patience,
        clock: Callable[[], float],
        now: Callable[[], datetime],
    ):
        super().__init__(inner)
        self.gap, self.patience, self.clock, self.now = 1 / per_second, patience, clock, now
        self.lock, self.due = threading.Lock(), float("-inf")

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        while (wait := self._turn()) > 0:
            if wait >= 1:
                log.info("http.wait", host=host(request), wait=round(wait, 2))
            self.patience.wait(request, wait)
        answer = self.inner.handle_request(request)
        if passing(answer):
            self._hold(asked(answer, self.now))
        return answer

    def _turn(self) -> float:
        """Seconds until the next attempt may start; 0.0 where this one may, and then the turn is taken."""
        with self.lock:
            now = self.clock()
            if now < self.due:
                return self.due - now
            self.due = now + self.gap
            return 0.0

    def _hold(self, seconds: float) -> None:
        with self.lock:
            self.due = max(self.due, self.clock() + seconds)
