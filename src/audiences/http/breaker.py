"""Which hosts are down, as far as the calls of one account have shown."""

from __future__ import annotations

import threading
from collections import Counter

import structlog

log = structlog.get_logger()

TRIES = 5
FAILED = 3  # calls in a row, each to the last of its tries


class Breaker:
    """How often a call is tried, by what became of the account's last calls to the same host.

    After `FAILED` calls in a row without an answer, or with 5xx to the end, a host is taken to be down: each call after
    them is tried once, and neither waits nor comes again. So a sync on that host costs one attempt for each batch that
    it sends at once, and fails with the same words and exit code as before, only sooner. The first answer of another
    kind ends this, in this run or the next.

    Calls are not refused unsent: what breaks a host may be one list's own data, and then a list that comes later in
    every run would never have its turn.
    """

    def __init__(self) -> None:
        self.lock, self.failed = threading.Lock(), Counter[str]()

    def tries(self, name: str) -> int:
        """How often a call to this host is tried."""
        return 1 if self.failed[name] >= FAILED else TRIES

    def ended(self, name: str, down: bool) -> None:
        """A call to this host came to an end; `down` says that the host never gave an answer of its own to it."""
        with self.lock:
            self.failed[name] = self.failed[name] + 1 if down else 0
            if self.failed[name] == FAILED:
                log.warning("http.down", host=name, calls=FAILED)
