"""What each way has told last, in the state database: so that a change of state is told once, by whichever worker.

Whoever tells holds the way's lease meanwhile. One that dies after it told and before it wrote that down is the one case
in which a notice comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Protocol

import structlog
from sqlalchemy import Row, select, text

from audiences import lease
from audiences.alerts.alert import CALM, Alert
from audiences.alerts.judge import Sight
from audiences.errors import LeaseLost
from audiences.lease import Lease
from audiences.state import State
from audiences.state.tables import told

log = structlog.get_logger()


class Way(Protocol):
    """A way to tell people."""

    @property
    def name(self) -> str:
        """slack, email or webhook."""

    @property
    def most(self) -> int:
        """Alerts in one message."""

    def tell(self, alerts: Sequence[Alert]) -> str:
        """Send one message with all of these; what the far end said. Raises AudienceError where it was not taken."""


def tell(state: State, way: Way, sight: Sight) -> None:
    """Tell what a way has not told yet. Raises Held while another worker does so."""
    if not news(state, way.name, sight):
        return
    held = lease.take(state, f"alert:{way.name}", 0)
    try:
        with held.kept():
            for some in _parted(news(state, way.name, sight), way.most):  # another worker may have been quicker
                said = way.tell(some)
                record(held, way.name, some)
                log.info("alert.told", way=way.name, alerts=len(some), said=said)
    finally:
        with suppress(LeaseLost):
            held.release()


def news(state: State, way: str, sight: Sight) -> list[Alert]:
    """What has changed since a way told of it, the oldest first; what is as it should be is no news at first."""
    with state.begin() as connection:
        known = {(row.subject, row.concern): row for row in connection.execute(select(told).where(told.c.way == way))}
    gone = [sight.over(*key) for key in known.keys() - sight.alerts.keys()]
    found = [*sight.alerts.values(), *(each for each in gone if each)]
    return sorted((each for each in found if _new(each, known.get((each.subject, each.concern)))), key=_age)


def _new(alert: Alert, row: Row[tuple[object, ...]] | None) -> bool:
    """Whether a state differs from what was told, and is no older: a worker may look with yesterday's files."""
    if row is None:
        return alert.raised
    return alert.state != row.state and alert.at >= row.at and (alert.raised or row.state not in CALM)


def _age(alert: Alert) -> tuple[float, str]:
    return alert.at, alert.subject


def _parted(alerts: Sequence[Alert], most: int) -> Iterator[Sequence[Alert]]:
    yield from (alerts[start : start + most] for start in range(0, len(alerts), most))


def record(held: Lease, way: str, alerts: Sequence[Alert]) -> None:
    """Write down what a way has told."""
    with held.begin() as connection:
        connection.execute(
            text(
                "insert into told (way, subject, concern, state, at) values (:way, :subject, :concern, :state, :at)"
                " on conflict (way, subject, concern) do update set state = excluded.state, at = excluded.at"
            ),
            [
                {"way": way, "subject": each.subject, "concern": each.concern, "state": each.state, "at": each.at}
                for each in alerts
            ],
        )
