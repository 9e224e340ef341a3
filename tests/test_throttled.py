"""Syncs that may not do all at once: a host that turns calls away, and one that takes small bodies only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime

import httpx
import pytest

from driven import START, Driven
from scale import times
from states import rows
from world import World


class Turning:
    """A receiver that turns the first so many calls away, each with a time to come back, and tells who came early."""

    def __init__(self, world: World, clock: Callable[[], float], away: int, seconds: float, date: bool = False):
        self.world, self.clock, self.away, self.seconds, self.date = world, clock, away, seconds, date
        self.lock, self.until, self.early, self.calls = threading.Lock(), 0.0, 0, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            self.calls += 1
            self.early += self.clock() < self.until
            if self.away < 1:
                return self.world.receiver(request)
            self.away -= 1
            self.until = self.clock() + self.seconds
            return httpx.Response(429, headers=self.headers())

    def headers(self) -> dict[str, str]:
        if not self.date:
            return {"retry-after": f"{self.seconds:.0f}"}
        moment = START + timedelta(seconds=self.clock())
        return {
            "date": format_datetime(moment, usegmt=True),
            "retry-after": format_datetime(moment + timedelta(seconds=self.seconds), usegmt=True),
        }


@pytest.fixture
def crowded(tmp_path):
    """A world of six batches."""
    world = World(tmp_path)
    world.people(*((n, f"p{n}@x") for n in range(12)))
    world.small()
    return world


TURNED = [(40, 2, False, 1), (40, 30, False, 2), (40, 30, True, 2), (4, 400, False, 2), (2, 901, True, 3)]


@pytest.mark.parametrize(("away", "seconds", "date", "runs"), TURNED)
def test_forty_times_429(crowded, away, seconds, date, runs):
    """
    A host that turns many calls away is never called earlier than it allows. What it wants to wait for longer than
    there is patience is deferred; runs that come when the pause is over deliver it.
    """
    clock = Driven()
    far, outcomes = Turning(crowded, clock, away, seconds, date), []

    while not outcomes or outcomes[-1] == "deferred":
        result = crowded.sync(transport=httpx.MockTransport(far), sleep=clock.sleep, clock=clock)
        outcomes.append(result.outcome)
        pause = max(0.0, far.until - clock.seconds)
        clock.seconds += pause
        rows(f"sqlite:///{crowded.state_file}", f"update lease set until = until - {pause}")

    assert outcomes == ["deferred"] * (runs - 1) + ["delivered"]
    assert (far.early, far.calls) == (0, away + 6)
    assert crowded.receiver.holds() == {f"p{n}@x" for n in range(12)}


def test_forty_times_429_on_the_real_clock(crowded):
    """
    With Retry-After 1 and the clock on the wall, no call is earlier than allowed, and all is delivered in one run.
    """
    away = times(3, 40)
    far = Turning(crowded, time.monotonic, away, 1)

    result = crowded.sync(transport=httpx.MockTransport(far), sleep=time.sleep)

    assert (result.outcome, far.early, far.calls) == ("delivered", 0, away + 6)
    assert crowded.receiver.holds() == {f"p{n}@x" for n in range(12)}


def sized(world: World, largest: int, batch: int = 64) -> None:
    world.limits(f"batch={batch}, bytes={largest}")


@pytest.mark.parametrize("largest", [250, 1500, 10**6])
def test_a_batch_that_makes_too_large_a_body_is_cut(tmp_path, largest):
    """
    No body is larger than the provider takes, however many times a batch has to be halved; everyone is delivered, and
    once.
    """
    world, sizes = World(tmp_path), []
    sized(world, largest)
    world.people(*((n, f"p{n}@x") for n in range(200)))

    def far(request: httpx.Request) -> httpx.Response:
        sizes.append(len(request.content))
        return world.receiver(request)

    result = world.sync(transport=httpx.MockTransport(far))

    assert (result.outcome, result.delivered, result.refused) == ("delivered", 200, 0)
    assert max(sizes) <= largest
    assert len(world.receiver.sent("upsert")) == 200


def test_a_refusal_among_parts_of_a_large_batch_is_no_fault_of_set_up(tmp_path):
    """
    However often a batch had to be cut for its size, a member who is refused then spoils only itself.
    """
    world = World(tmp_path)
    sized(world, 250)
    world.people(*((n, f"p{n}@x") for n in range(64)))
    world.receiver.before = lambda told: httpx.Response(422) if told["members"][0]["key"] == "0" else None

    result = world.sync()

    assert (result.outcome, result.delivered, result.refused) == ("delivered", 63, 1)


def test_a_member_too_large_alone_is_refused_alone(tmp_path):
    """
    Whose own record is larger than a call may be is refused, with both numbers; the others of the batch are delivered.
    """
    world = World(tmp_path)
    sized(world, 1000)
    world.people(*((n, f"p{n}@x") for n in range(63)), (63, "p" * 2000 + "@x"))

    result = world.sync()

    assert (result.delivered, result.refused) == (63, 1)
    assert "body of 2," in str(world_reasons(world))
    assert max(len(each["fields"]["email"]) for each in world.receiver.sent("upsert")) < 100


def world_reasons(world: World) -> list[str]:
    return [reason for (reason,) in rows(f"sqlite:///{world.state_file}", "select reason from refusal")]
