"""Two syncs by `audiences`, by drt-core and by dlt, of the same people to the same sink: `make peers`.

    python benchmarks/peers.py [--members N] [--rounds N]

Each run is a process of its own, and the three take turns. Start-up is the same run with ten people, and is taken off.
Before the second sync 1 % of the people change. The two others are set up as their pages say for a table without a
column that tells when a row was changed.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from string import Template

from bench import HERE, SELECT, Bench, Cost, Files, beside, ran

FEW = f"{SELECT} limit 10"
ENVIRONMENTS = HERE.parent / ".venv-peers"


@dataclass(frozen=True, slots=True)
class Peers:
    """The three of them in one folder, on one warehouse."""

    bench: Bench
    warehouse: Path

    @property
    def folder(self) -> Path:
        return self.bench.folder

    def ours(self, select: str, path: str) -> Cost:
        self.bench.write(select)
        self.bench.send_to(path)
        return self.bench.sync()

    def drt(self, select: str, path: str) -> Cost:
        for name in ("drt/syncs", "drt/.drt"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        home, drt = self.folder / "drt", Template((HERE / "peers" / "drt.yml").read_text())
        (home / ".drt" / "profiles.yml").write_text(f"bench: {{type: duckdb, database: {self.warehouse}}}\n")
        (home / "drt_project.yml").write_text('name: bench\nversion: "0.1"\nprofile: bench\n')
        (home / "syncs" / "everyone.yml").write_text(drt.substitute(select=select, url=self.bench.url(path)))
        tool = str(ENVIRONMENTS / "drt" / "bin" / "drt")
        return ran("env", f"HOME={home}", "DO_NOT_TRACK=1", tool, "run", cwd=home)

    def dlt(self, select: str, path: str) -> Cost:
        home = self.folder / "dlt"
        home.mkdir(exist_ok=True)
        python, script = str(ENVIRONMENTS / "dlt" / "bin" / "python"), str(HERE / "peers" / "send_dlt.py")
        arguments = (script, str(self.warehouse), self.bench.url(path))
        quiet = (f"HOME={home}", "RUNTIME__DLTHUB_TELEMETRY=false")
        return ran("env", *quiet, python, *arguments, stdin=select, cwd=home)

    def clear(self) -> None:
        """Nobody has sent anything yet."""
        self.bench.start()
        for name in ("drt", "dlt"):
            shutil.rmtree(self.folder / name, ignore_errors=True)


def measured(peers: Peers, rounds: int) -> Mapping[str, Mapping[str, list[Cost]]]:
    """Who -> what -> what each round cost; prints what was sent."""
    runs: dict[str, Callable[[str, str], Cost]] = {"audiences": peers.ours, "drt-core": peers.drt, "dlt": peers.dlt}
    costs: dict[str, dict[str, list[Cost]]] = {who: {"start": [], "first": [], "second": []} for who in runs}
    for number in range(rounds):
        for who, run in runs.items():
            peers.clear()
            costs[who]["start"].append(run(FEW, "/null"))
            peers.clear()
            costs[who]["first"].append(run(SELECT, "/null"))
            due = peers.bench.change()
            costs[who]["second"].append(run(SELECT, "/count"))
            named = peers.bench.named()
            if number == 0:
                for verb in ("upsert", "remove"):
                    print(f"{who:10} {len(named.get(verb, ())):9,} {verb} sent, of {len(due[verb]):,} due", flush=True)
    return costs


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, beside("sink.py") as port:
        folder = Path(name)
        bench = Bench(folder / "project", int(port), asked.members, Files(folder))
        bench.make()
        costs = measured(Peers(bench, folder / "now.duckdb"), asked.rounds)
    for what in ("first", "second"):
        took = {}
        for who, seen in costs.items():
            seconds, busy = (
                median(getattr(cost, unit) for cost in seen[what])
                - median(getattr(cost, unit) for cost in seen["start"])
                for unit in ("seconds", "busy")
            )
            took[who] = seconds, busy
            memory = max(cost.memory for cost in seen[what]) >> 20
            times = ", ".join(f"{theirs / ours:.1f}" for theirs, ours in zip(took[who], took["audiences"], strict=True))
            print(f"{what:7} {who:10} {seconds:7.2f} s {busy:7.2f} s of a core {memory:5} MiB; times ours: {times}")


if __name__ == "__main__":
    main()
