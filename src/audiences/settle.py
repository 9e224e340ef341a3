"""Settle an outbox and close it: this run's at its end, and the one that an interrupted run left open."""

from __future__ import annotations

from functools import partial

import structlog

from audiences import control, outbox, runs, verdicts
from audiences.control import Fence
from audiences.history import Story
from audiences.lease import Lease
from audiences.ledger import Settlement
from audiences.reader import Reader
from audiences.verdicts import Found

log = structlog.get_logger()


def open_outbox(held: Lease, fence: Fence, now: str) -> None:
    """Bring the ledger up to what is known of an open outbox. It is never delivered on: its rows are of another day."""
    known = control.read(fence.warehouse, fence.table)
    if known is None or known.outbox is None:
        return
    reader = Reader(fence, known.outbox, ())
    found = verdicts.read(held, known.outbox, min(known.mark, reader.total()))
    log.info("sync.recovered", outbox=known.outbox, doubts=sum(hi - lo + 1 for lo, hi in found.doubts))
    _settle(held, Settlement(fence, known.outbox, reader.columns(), now), found)


def close(held: Lease, settlement: Settlement, total: int) -> Found:
    """Settle this run's outbox of `total` rows, close it, and drop it."""
    found = verdicts.read(held, settlement.outbox, total)
    _settle(held, settlement, found)
    return found


def _settle(held: Lease, settlement: Settlement, found: Found) -> None:
    """The history first, while the outbox is open, for closing it is the last step of the ledger's."""
    fence, number = settlement.fence, settlement.outbox
    story = Story(fence, number, runs.of(held.state, held.sync, number), settlement.now)
    story.write(found, partial(verdicts.reasons, held))
    settlement.whole(found)
    verdicts.forget(held)
    outbox.drop(fence, number)
