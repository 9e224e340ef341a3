"""How fast `audiences sync` delivers, and in how much memory: `make bench`, or `make bench WAREHOUSE=postgresql`.

    python benchmarks/bench.py [--members N] [--rounds N] [--warehouse duckdb|postgresql|URL]

Each run is a process of its own on a fresh copy of the warehouse. This one stays small and imports nothing heavy:
a child's peak memory, as the system tells it, starts at that of its parent.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Protocol
from urllib.parse import urlsplit

HERE = Path(__file__).parent
SELECT = "select id, email, first_name, plan, score from people"
AUDIENCE = """-- /// audience
-- about = "Everyone"
-- owner = "benchmarks@example.com"
-- key = "id"
-- schedule = "@daily"
--
-- [sync.webhook]
-- list = "Everyone"
-- send = ["email", "first_name", "plan", "score"]
-- ///
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process. seconds: from its start to its end; busy: those of a core; memory: its peak, in bytes."""

    seconds: float
    busy: float
    memory: int


def ran(*command: str, stdin: str = "", cwd: Path = HERE) -> Cost:
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out, cwd=cwd, text=True)
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(stdin)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        out.seek(0)
        if process.returncode:
            sys.exit(f"{command} ended with {process.returncode}:\n{out.read()}")
    memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Cost(seconds, usage.ru_utime + usage.ru_stime, memory)


class Warehouse(Protocol):
    """Holds the people as they were `made`, as they are `now`, and as they are kept by other names."""

    def url(self, name: str) -> str: ...

    def clear(self) -> None:
        """Let there be room for `made`."""

    def copy(self, source: str = "made", to: str = "now") -> None:
        """Let `now`, or another, be as `made` is, or another."""


@dataclass(frozen=True, slots=True)
class Files:
    """DuckDB files in a folder."""

    folder: Path

    def url(self, name: str) -> str:
        return f"duckdb:///{self.folder / name}.duckdb"

    def clear(self) -> None:
        for old in self.folder.glob("*.duckdb*"):
            old.unlink()

    def copy(self, source: str = "made", to: str = "now") -> None:
        for old in self.folder.glob(f"{to}.duckdb*"):
            old.unlink()
        shutil.copy(self.folder / f"{source}.duckdb", self.folder / f"{to}.duckdb")


@dataclass(frozen=True, slots=True)
class Databases:
    """Databases of a PostgreSQL server."""

    server: str

    def url(self, name: str) -> str:
        return urlsplit(self.server)._replace(path=f"/audiences_bench_{name}").geturl()

    def clear(self) -> None:
        ran(sys.executable, "databases.py", self.server, "made")

    def copy(self, source: str = "made", to: str = "now") -> None:
        ran(sys.executable, "databases.py", self.server, to, source)


@dataclass(frozen=True, slots=True)
class Bench:
    """A project of `members` people in `folder`, and a sink on `port`."""

    folder: Path
    port: int
    members: int
    warehouse: Warehouse

    def make(self) -> None:
        (self.folder / "audiences").mkdir(parents=True)
        self.warehouse.clear()
        ran(sys.executable, "people.py", self.warehouse.url("made"), str(self.members))

    def start(self, select: str = SELECT) -> None:
        """The project before its first sync."""
        for old in self.folder.glob("now.sqlite*"):
            old.unlink()
        self.warehouse.copy()
        self.write(select)
        self.send_to("/null")

    def write(self, select: str) -> None:
        """The audience's file."""
        (self.folder / "audiences" / "everyone.sql").write_text(AUDIENCE + select)

    def send_to(self, path: str) -> None:
        (self.folder / ".env").write_text(
            f"AUDIENCES_WAREHOUSE_URL={self.warehouse.url('now')}\nAUDIENCES_STATE_URL=sqlite:///now.sqlite\n"
            f"WEBHOOK_URL={self.url(path)}\nWEBHOOK_SECRET=whsec_{'0' * 32}\n"
        )

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def anew(self, select: str = SELECT) -> Cost:
        """A first sync."""
        self.start(select)
        return self.sync()

    def sync(self) -> Cost:
        return ran(sys.executable, "-m", "audiences", "-C", str(self.folder), "sync", "everyone")

    def bare(self, select: str = SELECT) -> Cost:
        return ran(sys.executable, "bare.py", self.warehouse.url("made"), self.url("/null"), stdin=select)

    def least(self, select: str = SELECT) -> Cost:
        """The same by the least account, which reads DuckDB alone."""
        self.start(select)
        (self.folder / "least.sqlite").unlink(missing_ok=True)
        state = str(self.folder / "least.sqlite")
        return ran(sys.executable, "least.py", self.warehouse.url("now"), state, self.url("/null"), stdin=select)

    def change(self) -> dict[str, list[str]]:
        """Let 1 % change; verb -> the keys that the next sync must name."""
        change = [sys.executable, str(HERE / "people.py"), self.warehouse.url("now"), "--change"]
        found: dict[str, list[str]] = json.loads(subprocess.check_output(change))
        return found

    def named(self) -> dict[str, list[str]]:
        """Whom the sink was told of since it was last asked."""
        with urllib.request.urlopen(self.url("/count")) as answer:
            return {verb: sorted(keys) for verb, keys in json.load(answer).items()}


@contextmanager
def beside(script: str) -> Iterator[str]:
    """A server in a process of its own, which ends with the block; the line that it prints says where it is."""
    command = [sys.executable, str(HERE / script)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()


@contextmanager
def warehouse(kind: str, folder: Path) -> Iterator[Warehouse]:
    """kind: duckdb, postgresql (a server is started), or the URL of a server, on which nothing is left."""
    if kind == "duckdb":
        yield Files(folder)
    elif kind == "postgresql":
        with beside("databases.py") as server:
            yield Databases(server)
    else:
        try:
            yield Databases(kind)
        finally:
            ran(sys.executable, "databases.py", kind, "--drop")


def first(bench: Bench, rounds: int) -> None:
    """The first sync against the bare loop, in turns; each with an empty query, too: that is its start-up."""
    runs = {"bare loop": bench.bare, "first sync": bench.anew}
    if isinstance(bench.warehouse, Files):
        runs["least account"] = bench.least
    begins: dict[str, list[Cost]] = {name: [] for name in runs}
    costs: dict[str, list[Cost]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begins[name].append(run(f"{SELECT} where false"))
            costs[name].append(run(SELECT))
    found = {name: told(name, bench.members, costs[name], begins[name]) for name in runs}
    bare, bare_busy = found.pop("bare loop")
    for name, (seconds, busy) in found.items():
        said = f"{bare / seconds:.2f} of the bare loop; {bare_busy / busy:.2f} by seconds of a core"
        print(f"{name:18} {said}", flush=True)


def told(name: str, members: int, costs: Sequence[Cost], begins: Sequence[Cost]) -> tuple[float, float]:
    """Print what runs cost, the median of time and the most of memory; seconds and those of a core, start-up apart."""
    begin, whole = median(cost.seconds for cost in begins), median(cost.seconds for cost in costs)
    busy = median(cost.busy for cost in costs) - median(cost.busy for cost in begins)
    rate, memory = members / (whole - begin), max(cost.memory for cost in costs) / 2**20
    print(
        f"{name:18} {rate:9,.0f} members/s; {whole:5.2f} s with {begin:.2f} s of start-up;"
        f" {busy:5.2f} s of a core; {memory:4.0f} MiB"
    )
    return whole - begin, busy


def second(bench: Bench) -> None:
    """The sync after 1 % has changed names exactly those, each once."""
    bench.anew()
    due = bench.change()
    bench.send_to("/count")
    cost, named = bench.sync(), bench.named()
    sent = ", ".join(f"{len(keys):,} {verb}" for verb, keys in named.items())
    print(f"{'after 1 % changed':18} {sent}; {cost.seconds:5.2f} s with its start-up; {cost.memory / 2**20:4.0f} MiB\n")
    if named != due:
        sys.exit("it did not send exactly the changes")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--warehouse", default="duckdb", help="duckdb, postgresql, or the URL of a PostgreSQL")
    asked = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        beside("sink.py") as port,
        warehouse(asked.warehouse, Path(folder)) as held,
    ):
        for size, rounds in ((asked.members // 10, 1), (asked.members, asked.rounds)):
            print(f"{size:,} members, {rounds} round{'s' if rounds > 1 else ''}")
            bench = Bench(Path(folder) / str(size), int(port), size, held)
            bench.make()
            first(bench, rounds)
            second(bench)


if __name__ == "__main__":
    main()
