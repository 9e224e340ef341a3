"""What became of the calls to each host, and how long they waited: two numbers a host for whoever watches."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict

import httpx

from audiences.http.wire import Around, host


class Tally:
    """Counts that only grow.

    calls: (host, answer) -> attempts; the answer is a status, or `none`
    waits: host -> seconds that calls waited, for their pace or because the host asked
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls: Counter[tuple[str, str]] = Counter()
        self.waits: dict[str, float] = defaultdict(float)

    def called(self, request: httpx.Request, answer: str) -> None:
        """One attempt more."""
        with self.lock:
            self.calls[host(request), answer] += 1

    def waited(self, request: httpx.Request, seconds: float) -> None:
        """So many seconds more."""
        with self.lock:
            self.waits[host(request)] += seconds

    def now(self) -> tuple[dict[tuple[str, str], int], dict[str, float]]:
        """Calls and waits so far."""
        with self.lock:
            return dict(self.calls), dict(self.waits)


class Counted(Around):
    """Count each attempt by its answer."""

    def __init__(self, inner: httpx.BaseTransport, tally: Tally):
        super().__init__(inner)
        self.tally = tally

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        said = "none"
        try:
            answer = self.inner.handle_request(request)
            said = str(answer.status_code)
            return answer
        finally:
            self.tally.called(request, said)
