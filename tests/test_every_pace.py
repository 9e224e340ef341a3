"""Every connector uses what its provider allows, and no more: a whole sync of single members, to its sandbox behind a
gate that counts calls as the provider documents it, and takes 200 ms for each.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque

import httpx
import pytest

from audiences import connectors
from audiences.http.wire import SIGN_IN
from driven import Driven
from engines import DuckDB
from scale import THOROUGH
from test_every_connector import FILES, cases, sandbox_of
from test_every_connector_converges import Sandboxed
from world import World

LATENCY = 0.2  # seconds
FEWEST = 60  # calls that are measured at least
TURN = 100  # calls of a window; one of many more is tried as a shorter one of the same rate
ONE_BY_ONE = """from dataclasses import replace
from pathlib import Path
from audiences.connectors import find

class OneByOne(find("{name}", [Path("{folder}")])):
    limits = replace(find("{name}", [Path("{folder}")]).limits, batch=1, windows={windows})
"""

# A connector that cannot reach its provider's rate -> why that is as it should be. It is shown in docs/connectors.md.
SLOWER = {
    "onesignal": "how many of 1,000 calls a second may be under way at once is not documented; it makes up to 40",
}


def shorter(calls, seconds):
    scale = max(1, calls // TURN)
    return calls // scale, seconds / scale


class Gate:
    """The way to a sandbox. When the first call of a sync arrives, another program has just used up its rate."""

    def __init__(self, sandbox, clock, sleep):
        self.sandbox, self.clock, self.sleep = sandbox, clock, sleep
        self.calls, self.seconds = shorter(*getattr(sandbox, "rate", (0, 0)))
        self.at_once = getattr(sandbox, "at_once", math.inf)
        self.lock, self.under_way, self.turned_away = threading.Lock(), 0, 0
        self.last, self.counted = deque[float](maxlen=self.calls), []

    def __call__(self, request):
        if SIGN_IN in request.extensions:  # another host's
            return self.sandbox(request)
        with self.lock:
            self.under_way += 1
        self.sleep(LATENCY / 2)
        with self.lock:
            answer = self.answer(request)
        self.sleep(LATENCY / 2)
        with self.lock:
            self.under_way -= 1
        return answer

    def answer(self, request):
        if not self.last:
            self.last.extend([self.clock()] * self.calls)
        wait = self.wait()
        if wait > 0 or self.under_way > self.at_once:
            self.turned_away += 1
            return self.sandbox.throttled(max(1, math.ceil(wait)))
        self.last.append(self.clock())
        self.counted.append(self.clock())
        return self.sandbox(request)

    def wait(self):
        """Seconds until one more call is let in."""
        return self.last[0] + self.seconds - self.clock() - 1e-6 if self.calls else 0.0

    @property
    def most(self):
        """Calls a second that may be had."""
        return min(self.calls / self.seconds if self.calls else math.inf, self.at_once / LATENCY)

    @property
    def turn(self):
        """Calls that may be had before one has to wait."""
        return self.calls or self.at_once

    @property
    def enough(self):
        return max(2 * self.turn, FEWEST) + self.turn

    @property
    def reached(self):
        """Calls a second over whole turns, without the first one's rush and what is still under way at the end."""
        last = self.enough // self.turn * self.turn
        return (last - self.turn) / (self.counted[last] - self.counted[self.turn])


class Alone(Driven):
    """Time passes also where the sync itself calls: then nothing else is under way."""

    def __init__(self):
        super().__init__(lambda: None)
        self.sync = threading.current_thread()

    def sleep(self, seconds):
        if threading.current_thread() is self.sync:
            self.seconds += seconds
        else:
            super().sleep(seconds)


def each_once(*hooks):
    """(file, sandbox's module, options) of those whose sandbox has one of these: each in the first of its ways."""
    found = {case.values[0][0]: case for hook in hooks for case in reversed(cases(hook))}
    return list(found.values())


def quickest(many):
    """Those whose documented rate is measured soonest."""
    able = [each for each in each_once("rate") if each.values[0][0].stem not in SLOWER]
    gates = [(Gate(each.values[0][1].Sandbox(), time.monotonic, time.sleep), each) for each in able]
    return [case for _, case in sorted(gates, key=lambda found: found[0].enough / found[0].most)][:many]


def synced(case, folder, clock, sleep):
    """A sync of members enough to measure, one a batch, in one run; its result and the gate."""
    path, module, options = case
    gate = Gate(sandbox := module.Sandbox(), clock, sleep)
    engine = DuckDB()
    history = Sandboxed(world := World(folder, path.stem, engine), path, sandbox, options)
    windows = tuple(shorter(*each) for each in history.cls.limits.windows)
    text = ONE_BY_ONE.format(name=path.stem, folder=path.parent, windows=windows)
    (folder / "connectors" / path.name).write_text(text)
    rows = [(n, *sandbox.member(n).values()) for n in range(gate.enough + 1)]
    world.engine.fill(world.url, "crowd", rows)
    way = {"transport": httpx.MockTransport(gate), "sleep": sleep, "clock": clock}
    result = world.sync(**way, stop=lambda: len(gate.counted) > gate.enough)
    engine.close(history.world.url)
    return result, gate


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_limits_and_sandbox_tell_the_same(path):
    """
    What a connector declares, its sandbox counts, and the other way round.
    """
    limits, told = connectors.find(path.stem, [path.parent]).limits, vars(sandbox_of(path).Sandbox)
    declared = bool(limits.windows) or limits.per_second < math.inf
    file = f"tests/sandboxes/{path.name}"

    assert declared <= ("rate" in told), f"limits have a rate: write rate = (calls, seconds) in {file}"
    assert ("rate" in told) <= declared, f"{file} has a rate: write it into limits, as windows or per_second"
    assert limits.concurrency <= told.get("at_once", math.inf), "limits allow more calls at once than the sandbox"
    assert "throttled" in told or not {"rate", "at_once"} & told.keys(), f"write throttled(self, seconds) in {file}"


@pytest.mark.parametrize("case", each_once("rate", "at_once"))
def test_a_sync_has_all_that_its_provider_allows(tmp_path, monkeypatch, case):
    """
    At least 95 % of the documented rate. Turned away at the start, where another program has used the rate up, a sync
    waits as long as it has to, and is not turned away again. Whoever is excused from the rate does not reach it.
    """
    clock = Alone()
    clock.drives(monkeypatch)

    result, gate = synced(case, tmp_path, clock, clock.sleep)

    assert result.error is None, result.error
    assert gate.turned_away == bool(gate.calls)
    assert len(gate.counted) > gate.enough
    assert (gate.reached >= 0.95 * gate.most) is (case[0].stem not in SLOWER)


@pytest.mark.skipif(not THOROUGH, reason="minutes of real time; `make thorough` takes them")
@pytest.mark.parametrize("case", quickest(3))
def test_it_does_so_on_the_real_clock(tmp_path, case):
    """
    The same with the clock on the wall, for three that have a rate.
    """
    result, gate = synced(case, tmp_path, time.monotonic, time.sleep)

    assert result.error is None, result.error
    assert gate.turned_away == bool(gate.calls)
    assert gate.reached >= 0.95 * gate.most
