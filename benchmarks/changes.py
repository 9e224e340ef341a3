"""What a sync costs that changes 1 % of a list, or nothing, beside the cheapest statements by hand.

    python benchmarks/changes.py [--members N …] [--rounds N] [--destinations N] [--warehouse duckdb|postgresql|URL]

The first sync is measured once a size. Then `sync` and hand.py take turns, each in a process of its own, on copies of
the warehouse as that sync left it. Start-up is taken off: of `sync` the same with ten people, none of whom changes; of
hand.py its connecting. `of a core` is the process's own account: what a PostgreSQL does is not in it.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench import AUDIENCE, SELECT, Bench, Cost, beside, ran, warehouse

FEW = f"{SELECT} limit 10"
DAYS = {"few": FEW, "same": SELECT, "changed": SELECT}  # a warehouse that is kept -> the query
NAMES = {"same": "no change", "changed": "1 % changed"}


@dataclass(frozen=True, slots=True)
class Changes(Bench):
    """A project whose audience has several destinations, which are all of one sink."""

    destinations: int = field(default=1, kw_only=True)

    @property
    def sections(self) -> list[str]:
        return [f"webhook_{number}" for number in range(1, self.destinations + 1)]

    def write(self, select: str) -> None:
        head, sync = AUDIENCE.removesuffix("-- ///\n").split("--\n")
        syncs = (sync.replace("webhook]", f'{name}]\n-- connector = "webhook"') for name in self.sections)
        text = "".join([head, *(f"--\n{each}" for each in syncs), "-- ///\n", select])
        (self.folder / "audiences" / "everyone.sql").write_text(text)

    def send_to(self, path: str) -> None:
        Bench.send_to(self, path)
        with (self.folder / ".env").open("a") as env:
            for name in self.sections:
                env.write(f"{name.upper()}_URL={self.url(path)}\n{name.upper()}_SECRET=whsec_{'0' * 32}\n")

    def keep(self, day: str) -> None:
        """Keep what is now as a day."""
        self.warehouse.copy("now", day)
        shutil.copy(self.folder / "now.sqlite", self.folder / f"{day}.sqlite")

    def back(self, day: str) -> None:
        """Let a day be now."""
        self.warehouse.copy(day, "now")
        shutil.copy(self.folder / f"{day}.sqlite", self.folder / "now.sqlite")
        self.write(DAYS[day])

    def days(self) -> Cost:
        """Make the days; what the first sync costs."""
        self.make()
        self.anew(FEW)
        self.keep("few")
        cost = self.anew()
        self.keep("same")
        self.change()
        self.keep("changed")
        return cost

    def hand(self, day: str) -> Cost:
        """By hand; on the day of the few nothing but what comes before it."""
        syncs = [] if day == "few" else [f"everyone__{name}" for name in self.sections]
        return ran(sys.executable, "hand.py", self.warehouse.url("now"), *syncs, stdin=SELECT)


def measured(bench: Changes, rounds: int) -> Mapping[tuple[str, str], Sequence[Cost]]:
    """(day, who) -> what each round cost."""
    costs: dict[tuple[str, str], list[Cost]] = {(day, who): [] for day in DAYS for who in ("sync", "by hand")}
    for _ in range(rounds):
        for (day, who), seen in costs.items():
            bench.back(day)
            seen.append(bench.sync() if who == "sync" else bench.hand(day))
    return costs


def told(costs: Mapping[tuple[str, str], Sequence[Cost]]) -> None:
    """Print what each day cost without start-up, and the ratio to what it costs by hand."""
    for day, name in NAMES.items():
        found = {}
        for who in ("sync", "by hand"):
            few, seen = costs["few", who], costs[day, who]
            start, begin = median(cost.seconds for cost in few), median(cost.busy for cost in few)
            spans = sorted(cost.seconds - start for cost in seen)
            found[who] = median(spans), median(cost.busy for cost in seen) - begin
            print(line(f"{name}, {who}", spans, found[who][1], max(cost.memory for cost in seen)))
        seconds, busy = (ours / theirs for ours, theirs in zip(found["sync"], found["by hand"], strict=True))
        print(f"{'':22} {seconds:8.2f} times  {'':15} {busy:8.2f} times", flush=True)


def line(name: str, spans: Sequence[float], busy: float, memory: int) -> str:
    seconds = f"{median(spans):8.2f} s ({spans[0]:.2f}–{spans[-1]:.2f})"
    return f"{name:22} {seconds} {busy:8.2f} s of a core {memory >> 20:6} MiB"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--destinations", type=int, default=1)
    parser.add_argument("--warehouse", default="duckdb", help="duckdb, postgresql, or the URL of a PostgreSQL")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        beside("sink.py") as port,
        warehouse(asked.warehouse, Path(folder)) as held,
    ):
        for size in asked.members:
            bench = Changes(Path(folder) / str(size), int(port), size, held, destinations=asked.destinations)
            first = bench.days()
            costs = measured(bench, asked.rounds)
            start = costs["few", "sync"]
            print(f"\n{size:,} members, destinations: {asked.destinations}, rounds: {asked.rounds}")
            begins = sorted(cost.seconds for cost in start)
            print(line("start-up", begins, median(cost.busy for cost in start), max(cost.memory for cost in start)))
            print(
                line(
                    "first sync",
                    [first.seconds - median(begins)],
                    first.busy - median(cost.busy for cost in start),
                    first.memory,
                )
            )
            told(costs)


if __name__ == "__main__":
    main()
