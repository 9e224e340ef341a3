"""How long SQL Server's driver waits for an answer: its own time-out is one for all connections of a process.

So it is asked to call `wait` before each of its waits, in the thread that waits, with the connection's socket. What the
server still does then, the driver has it end before its next statement.

https://pymssql.readthedocs.io/en/stable/ref/pymssql.html#pymssql.set_wait_callback (read 2026-11)
"""

from __future__ import annotations

import selectors
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from audiences.warehouse.words import Cancelled

_THREAD = threading.local()


@contextmanager
def within(most: timedelta) -> Iterator[None]:
    """Raise Cancelled where an answer to this thread takes longer."""
    outer, _THREAD.most = _longest(), most
    try:
        yield
    finally:
        _THREAD.most = outer


def wait(descriptor: int) -> None:
    """Until an answer begins. descriptor: of the connection's socket"""
    if (most := _longest()) is None:
        return  # the driver waits by itself
    with selectors.DefaultSelector() as sockets:
        sockets.register(descriptor, selectors.EVENT_READ)
        if not sockets.select(most.total_seconds()):
            raise Cancelled("the warehouse did not answer in time", do="nothing: run it again in a minute")


def _longest() -> timedelta | None:
    return getattr(_THREAD, "most", None)
