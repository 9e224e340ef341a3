"""The pace of an account: what it declares, what its host's headers tell, who shares it, and a host that is down."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise

import httpx
import pytest

from audiences import http
from audiences.connector import Limits
from audiences.errors import Deferred
from audiences.http.pace import Pace
from audiences.http.told import Left, Window
from audiences.http.wire import SIGN_IN
from driven import HOST, ONE, Driven, client
from scale import times
from world import World

Said = Callable[["Counting"], dict[str, str]]
Late = Callable[[], tuple[float, float]]


class Counting:
    """A host that takes `most` calls in any `seconds`, or in each `seconds` of its clock, and answers after a while.

    late:  seconds from a call's start until the host counts it, and from then until its answer arrives
    says:  the headers of each answer
    fixed: it counts from zero again at each full `seconds`
    """

    def __init__(
        self, clock, most=100, seconds=10.0, late=lambda: (0.1, 0.1), says: Said = lambda host: {}, fixed=False
    ):
        self.clock, self.most, self.seconds, self.late, self.says, self.fixed = clock, most, seconds, late, says, fixed
        self.lock = threading.Lock()
        self.begun: list[float] = []
        self.counted: list[float] = []
        self.refused = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.begun.append(self.clock())
        there, back = self.late()
        self.clock.sleep(there)
        with self.lock:
            refused = self.left() < 1
            self.refused += refused
            if not refused:
                self.counted.append(self.clock())
            headers = self.says(self)
        self.clock.sleep(back)
        return httpx.Response(429 if refused else 200, headers=headers, json={})

    def left(self) -> int:
        now = self.clock()
        since = now - now % self.seconds if self.fixed else now - self.seconds
        return self.most - sum(call >= since if self.fixed else call > since for call in self.counted[-self.most :])

    @property
    def rate(self) -> float:
        """Calls in `seconds`, from the first to the last; the first window's rush is not counted in."""
        steady = self.counted[self.most :]
        return (len(steady) - 1) / (steady[-1] - steady[0]) * self.seconds


def crowd(clock, line, threads: int, calls: int) -> None:
    """Many calls from several threads, each making the next one as soon as it has its answer, until all are made."""
    left = iter(range(calls))
    clock.run(*[lambda: [line.post("/members") for _ in left]] * threads)


def even() -> Late:
    return lambda: (0.1, 0.1)


def jittering() -> Late:
    """The same for each test: dice that several share would fall as their order has it."""
    dice = random.Random(7)
    return lambda: (dice.uniform(0.01, 0.3), dice.uniform(0.01, 0.09))


def by_minute(host: Counting) -> dict[str, str]:
    """The headers that most hosts send: what is left, and in how many seconds, rounded up, all is there again."""
    return {"x-ratelimit-remaining": str(host.left()), "x-ratelimit-reset": str(-int(-(10 - host.clock() % 10)))}


def of_hubspot(host: Counting) -> dict[str, str]:
    name = "x-hubspot-ratelimit-"
    return {
        name + "max": str(host.most),
        name + "remaining": str(host.left()),
        name + "interval-milliseconds": "10000",
    }


@pytest.mark.parametrize("threads", [3, 10])
@pytest.mark.parametrize("late", [even, jittering])
@pytest.mark.parametrize(
    "host",
    [{}, {"fixed": True}, {"says": of_hubspot}, {"says": by_minute, "fixed": True}],
    ids=["rolling", "fixed", "hubspot", "counted"],
)
def test_a_declared_window_is_filled_and_never_overrun(threads, late, host):
    """
    At 100 calls in 10 s and about 200 ms a call, at least 95 % of that rate is reached and no call is turned away,
    whatever the network does to the calls on their way, and whatever the host tells of its windows besides.
    """
    clock = Driven()
    far = Counting(clock, late=late(), **host)
    line = client(clock, far, Limits(1, concurrency=threads, windows=((100, 10),)))

    crowd(clock, line, threads, times(500, 1000, 1000))

    assert far.refused == 0
    assert far.rate >= 95


def test_a_whole_sync_reaches_its_hosts_rate(tmp_path, monkeypatch):
    """
    A sync of 600 batches to a host that takes 100 calls in 10 s and needs 200 ms for each: at least 95 % of that rate,
    and nobody is turned away.
    """
    world = World(tmp_path)
    world.limits("batch=1, concurrency=8, windows=((100, 10),)")
    world.people(*((n, f"p{n}@x") for n in range(600)))
    clock = Driven(lambda: None)
    clock.drives(monkeypatch)
    far = Counting(clock)

    result = world.sync(transport=httpx.MockTransport(far), sleep=clock.sleep, clock=clock)

    assert (result.outcome, result.delivered, far.refused) == ("delivered", 600, 0)
    assert far.rate >= 95


def test_several_windows_hold_together():
    """
    Five calls a second and eight in four seconds: neither is overrun.
    """
    clock = Driven()
    far = Counting(clock, most=10**6)
    crowd(clock, client(clock, far, Limits(1, concurrency=4, windows=((5, 1), (8, 4)))), 4, 40)

    assert all(later - first > 1 for first, later in zip(far.counted, far.counted[5:], strict=False))
    assert all(later - first > 4 for first, later in zip(far.counted, far.counted[8:], strict=False))


def test_a_window_narrower_than_the_lines_keeps_them_waiting():
    """
    Where a window takes fewer calls than may be under way at once, the others wait without a busy loop.
    """
    clock = Driven()
    far = Counting(clock, most=1, seconds=3)
    line = client(clock, far, Limits(1, concurrency=2, windows=((1, 3),)))

    for _ in range(4):
        line.post("/members")

    assert [round(call, 1) for call in far.begun] == [0, 3.2, 6.4, 9.6]


def test_a_window_narrower_than_the_lines_keeps_threads_waiting():
    """
    The same with threads: whoever finds the window taken up by calls under way waits for one of them to end.
    """
    begun: list[float] = []

    def far(request: httpx.Request) -> httpx.Response:
        begun.append(time.monotonic())
        time.sleep(0.02)
        return httpx.Response(200)

    limits = Limits(1, concurrency=3, windows=((1, 0.05),))
    line = http.client({"base_url": HOST}, limits, transport=httpx.MockTransport(far))
    threads = [threading.Thread(target=line.get, args=("/",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(begun) == 3
    assert all(later - first >= 0.07 for first, later in pairwise(begun))


def test_two_syncs_of_one_account_share_its_pace(tmp_path):
    """
    Two audiences to one account, one after the other in one process, together stay below its rate; a second account
    has a rate of its own.
    """
    world, clock = World(tmp_path), Driven()
    world.limits("batch=1, windows=((4, 10),)")
    (world.folder / ".env").open("a").write((world.folder / ".env").read_text().replace("WEBHOOK_", "OTHER_"))
    team = (world.folder / "audiences" / "team.sql").read_text()
    other = team.replace("[sync.webhook]", '[sync.other]\n-- connector = "webhook"').replace('"L"', '"N"')
    for name, text in {"crew": team.replace('"L"', '"M"'), "dozen": other}.items():
        (world.folder / "audiences" / f"{name}.sql").write_text(text)
    world.people((1, "p1@x"), (2, "p2@x"), (3, "p3@x"))
    begun: dict[str, list[float]] = {}

    def far(request: httpx.Request) -> httpx.Response:
        clock.sleep(0.2)
        answer = world.receiver(request)
        begun.setdefault(world.receiver.calls[-1]["list"], []).append(round(clock(), 1))
        return answer

    world.results(transport=httpx.MockTransport(far), sleep=clock.sleep, clock=clock)

    assert begun == {"M": [0.2, 0.4, 0.6], "N": [0.8, 1, 1.2], "L": [1.4, 10.4, 10.6]}


def test_calls_at_once_are_of_the_account():
    """
    Two clients of one account never have more calls under way than it allows, both together.
    """
    limits = Limits(1, concurrency=2)
    shared, under_way, most = http.Shared(limits), 0, []
    lock = threading.Lock()

    def far(request: httpx.Request) -> httpx.Response:
        nonlocal under_way
        with lock:
            under_way += 1
            most.append(under_way)
        time.sleep(0.002)
        with lock:
            under_way -= 1
        return httpx.Response(200)

    lines = [http.client({"base_url": HOST}, limits, transport=httpx.MockTransport(far), shared=shared) for _ in "ab"]
    threads = [threading.Thread(target=lambda line=line: [line.get("/") for _ in range(9)]) for line in lines * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(most), max(most)) == (36, 2)


@pytest.mark.parametrize("says", [by_minute, of_hubspot], ids=["counted", "hubspot"])
def test_a_rate_that_only_the_headers_tell_is_kept(says):
    """
    A connector that declares no rate keeps the one that its host's answers tell; no more is turned away than was under
    way at the start.
    """
    clock = Driven()
    far = Counting(clock, most=20, says=says, fixed=says is by_minute)

    crowd(clock, client(clock, far, Limits(1, concurrency=4)), 4, 200)

    assert far.refused == 0


@pytest.mark.parametrize(("says", "fixed"), [(by_minute, True), (of_hubspot, False)], ids=["counted", "hubspot"])
def test_calls_that_others_make_are_left_room_for(says, fixed):
    """
    Where another program uses up half of what the account may do, the headers tell: far fewer calls are turned away
    than without them, and hardly more time is needed.
    """

    def beside_another(says: Said) -> tuple[int, float]:
        clock = Driven()
        far = Counting(clock, says=says, fixed=fixed)
        line = client(clock, far, Limits(1, concurrency=4, windows=((100, 10),)))

        def other() -> None:
            for _ in range(250):
                clock.sleep(0.2)
                if far.left():
                    far.counted.append(clock())

        def ours() -> None:
            for _ in range(60):
                with suppress(Deferred):
                    line.post("/members")

        clock.run(other, *[ours] * 4)
        return far.refused, clock()

    (blind, _), (told, until) = beside_another(lambda host: {}), beside_another(says)

    assert told <= blind / 2
    assert until <= 60


@pytest.mark.parametrize("fixed", [False, True], ids=["rolling", "fixed"])
def test_calls_a_second_may_arrive_unevenly(fixed):
    """
    At ten a second, calls that a thread begins 2 to 9 ms late and that reach the host after 100 to 125 ms: none is
    turned away, and 95 % of the rate is had.
    """
    dice = random.Random(7)
    clock = Driven()
    far = Counting(clock, most=10, seconds=1.0, late=lambda: (dice.uniform(0.1, 0.125), 0.1), fixed=fixed)
    waking = http.client(
        {"base_url": HOST},
        Limits(1, concurrency=4, per_second=10),
        transport=httpx.MockTransport(far),
        sleep=lambda seconds: clock.sleep(seconds + dice.uniform(0.002, 0.009)),
        clock=clock,
    )

    crowd(clock, waking, 4, 160)

    assert far.refused == 0
    assert 100 / (far.counted[110] - far.counted[10]) >= 9.5


def test_a_header_never_makes_calls_faster_than_declared():
    """
    A host that tells of a million calls left does not quicken a pace of ten a second.
    """
    clock = Driven()

    def generous(host: Counting) -> dict[str, str]:
        names = (
            "x-ratelimit-remaining",
            "ratelimit-remaining",
            "x-hubspot-ratelimit-max",
            "x-hubspot-ratelimit-remaining",
        )
        more = {"x-ratelimit-reset": "1", "ratelimit-reset": "1", "x-hubspot-ratelimit-interval-milliseconds": "1000"}
        return {**dict.fromkeys(names, "1000000"), **more, "ratelimit-policy": '"a";q=1000000;w=1'}

    far = Counting(clock, most=10**7, late=lambda: (0, 0), says=generous)
    line = client(clock, far, Limits(1, per_second=10, windows=((10, 1),)))

    for _ in range(30):
        line.post("/members")

    assert all(later - first >= 0.1 - 1e-9 for first, later in pairwise(far.begun))


def paced(limits: Limits) -> tuple[Driven, Pace]:
    clock = Driven()
    return clock, Pace(limits, clock)


def may_start(pace: Pace, most: int = 99) -> int:
    """How many calls may start now, one after the other, each ended at once and told nothing."""
    for count in range(most):
        if pace.start():
            return count
        pace.end(pace.clock())
    return most


def test_what_is_left_counts_for_calls_under_way():
    """
    Of three calls left, one is kept for the call that was under way when the host told so: it may not have counted it.
    """
    clock, pace = paced(Limits(1, concurrency=9))
    pace.start()
    pace.start()
    pace.end(0, [Left(3, 10)])

    assert may_start(pace) == 2
    clock.seconds = 10
    assert may_start(pace) == 99


def test_what_is_told_first_holds_beside_what_is_told_later():
    """
    That nothing is left for five seconds stays true, whatever another answer tells of the next minute; and what many
    answers tell is kept short.
    """
    clock, pace = paced(ONE)
    pace.start()
    pace.end(0, [Left(0, 5), Left(5, 60), *(Left(1000 - n, 60) for n in range(500))])

    assert (may_start(pace), pace.start(), len(pace.rests)) == (0, 5, 2)
    clock.seconds = 5
    assert may_start(pace) == 5


def test_a_window_that_headers_tell_holds_as_long_as_it_is():
    """
    The narrowest one told counts, until nobody has told it for its own length; then a wider one, or none.
    """
    clock, pace = paced(ONE)
    pace.start()
    pace.end(0, [Window(3, 10), Window(8, 10)])
    narrow = may_start(pace)
    clock.seconds = 10
    none = may_start(pace)
    pace.start()
    pace.end(10, [Window(8, 10)])
    clock.seconds = 19.9

    assert (narrow, none, may_start(pace)) == (2, 99, 7)


def test_a_wider_window_in_the_headers_changes_nothing():
    """
    Of a declared window and a wider one of the same length that the headers tell, the declared one counts.
    """
    _, pace = paced(Limits(1, windows=((3, 10),)))
    pace.start()
    pace.end(0, [Window(50, 10, 49)])

    assert may_start(pace) == 2


def test_a_sign_in_hosts_headers_are_its_own():
    """
    What the host of a token endpoint tells of its calls says nothing of the API's.
    """
    clock = Driven()
    line = client(clock, lambda _: httpx.Response(200, headers={"ratelimit-remaining": "0", "ratelimit-reset": "60"}))

    line.post("https://login.example.com/token", extensions={SIGN_IN: True})
    line.post("/members")

    assert clock() == 0


def test_a_quota_that_is_gone_for_long_defers():
    """
    Where the headers say that nothing is left until tomorrow, the next call is deferred at once, unsent.
    """
    clock = Driven()
    far = Counting(clock, says=lambda host: {"ratelimit-remaining": "0", "ratelimit-reset": "80000"})
    line = client(clock, far)
    line.post("/members")

    with pytest.raises(Deferred, match="80000 s in all"):
        line.post("/members")

    assert len(far.begun) == 1


@pytest.mark.parametrize(
    "limits",
    [
        {"batch": 0},
        {"concurrency": 0},
        {"per_second": 0},
        {"windows": ((0, 10),)},
        {"windows": ((10, -1),)},
        {"bytes": -1},
    ],
)
def test_a_limit_that_lets_nothing_through_is_refused(limits):
    """
    A limit of zero or less is a mistake in a connector, told when it is read.
    """
    with pytest.raises(ValueError, match="above zero"):
        Limits(**{"batch": 1, **limits})
