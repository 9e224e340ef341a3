"""The right to run one sync: a row in the state database, renewed while it is held, with a number that only grows."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from sqlalchemy import Connection, bindparam, text

from audiences.errors import AudienceError, Held, LeaseLost
from audiences.state import State, said

log = structlog.get_logger()
TTL = 60.0  # seconds
RENEW = 20.0  # seconds
MARGIN = 2.0  # seconds between the last moment of a call and the end of the lease


def boottime() -> float:
    """Seconds on a clock that also runs while the machine sleeps: a woken worker sees that its lease is gone."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.time()


@dataclass
class Lease:
    """A lease that is held. Shared by the threads of one run: `deadline` only moves under `guard`."""

    state: State
    sync: str
    epoch: int
    holder: str
    deadline: float
    clock: Callable[[], float] = boottime
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A state transaction that renews this lease first. Raises LeaseLost where another worker has it."""
        asked = self.clock()
        with self.state.begin() as connection:
            renewed = said(
                connection,
                f"update lease set until = {self.state.now()} + :ttl where sync = :s and epoch = :e and holder = :h",
                {"ttl": TTL, "s": self.sync, "e": self.epoch, "h": self.holder},
            )
            if renewed.rowcount != 1:
                raise lost(self.sync)
            yield connection
        with self.lock:
            self.deadline = max(self.deadline, asked + TTL)

    def lasts(self, seconds: float) -> None:
        """Raise LeaseLost unless the lease outlives a call of so many seconds. Asked right before each call."""
        with self.lock:
            left = self.deadline - self.clock()
        if left < seconds + MARGIN:
            with self.begin():
                left = TTL
        if left < seconds + MARGIN:
            raise lost(self.sync)

    def release(self) -> None:
        """Give the lease back. Raises LeaseLost where it is gone already."""
        with self.begin() as connection:
            connection.execute(
                text("update lease set holder = null where sync = :s and epoch = :e"), {"s": self.sync, "e": self.epoch}
            )

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Renew every RENEW seconds while the block runs, also while it waits for a host or a long query."""
        done = threading.Event()
        beat = threading.Thread(target=self._beat, args=(done,), name="lease", daemon=True)
        beat.start()
        try:
            yield
        finally:
            done.set()
            beat.join()

    def _beat(self, done: threading.Event) -> None:
        while not done.wait(RENEW):
            try:
                with self.begin():
                    pass
            except LeaseLost:
                return  # whoever asks `lasts` next learns it
            except AudienceError as error:
                log.warning("lease.not_renewed", why=error.what)


def take(state: State, sync: str, seen: int, clock: Callable[[], float] = boottime) -> Lease:
    """Take the lease. Its epoch is above both the state's and `seen`, the warehouse's. Held where it is held."""
    holder, asked, now = identity(), clock(), state.now()
    with state.begin() as connection:
        connection.execute(
            text("insert into lease (sync, epoch, holder, until) values (:s, 0, null, 0) on conflict do nothing"),
            {"s": sync},
        )
        row = connection.execute(
            text(f"select holder, until, until - {now} as left from lease where sync = :s"), {"s": sync}
        ).one()
        free = row.holder is None or row.left < 0 or dead(row.holder)
        epoch = connection.execute(
            text(
                f"update lease set epoch = case when epoch > :seen then epoch else :seen end + 1, holder = :h,"
                f" until = {now} + :ttl where sync = :s"
                " and (holder is null or (holder = :was and until = :until)) returning epoch"
            ),
            {"seen": seen, "h": holder, "s": sync, "ttl": TTL, "was": row.holder if free else None, "until": row.until},
        ).scalar()
    if epoch is None:
        raise Held(
            f"{sync} is being run by another worker",
            do=f"nothing to do: it is free again in {row.left:.0f} s at the latest",
        )
    return Lease(state, sync, epoch, holder, asked + TTL, clock)


def awaited(state: State, sync: str, seconds: float, sleep: Callable[[float], None]) -> Lease:
    """Take a lease, waiting so long for whoever has it. Held where that was not long enough."""
    for _ in range(int(seconds)):
        with suppress(Held):
            return take(state, sync, 0)
        sleep(1.0)
    return take(state, sync, 0)


def busy(state: State, syncs: Collection[str]) -> str | None:
    """One of these syncs whose lease somebody has, if there is one. To look takes nothing."""
    found = text(
        f"select sync, holder from lease where sync in :syncs and holder is not null and until > {state.now()}"
    )
    with state.begin() as connection:
        rows = connection.execute(found.bindparams(bindparam("syncs", list(syncs), expanding=True))).all()
    return next((row.sync for row in rows if not dead(row.holder)), None)


def lost(sync: str) -> LeaseLost:
    """What a run hears that no longer holds its lease."""
    return LeaseLost(
        f"{sync} was taken over by another worker", do="nothing: that worker goes on from what was acknowledged"
    )


def identity() -> str:
    """Who holds a lease: host, boot, process namespace, process and its start, so that a dead one can be told."""
    return "|".join((platform.node(), *_machine(), str(os.getpid()), _started(os.getpid())))


def dead(holder: str) -> bool:
    """Whether the holder is a process of this very machine that is no more. Elsewhere only time tells."""
    *place, pid, started = holder.split("|")
    here = place == [platform.node(), *_machine()] and all(place)
    return here and _started(int(pid)) != started


def _machine() -> tuple[str, str]:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip(), str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return "", ""


def _started(pid: int) -> str:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]
