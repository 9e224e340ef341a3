"""How fast `audiences sync` delivers, and in how much memory: `make bench`, or `python benchmarks/bench.py [MEMBERS]`.

Each run is a process of its own on a fresh copy of the warehouse. This one stays small and imports nothing heavy:
a child's peak memory, as the system tells it, starts at that of its parent.
"""

from __future__ import annotations

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

HERE = Path(__file__).parent
ROUNDS = 5
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
    """Of one process. seconds: from its start to its end; memory: its peak, in bytes."""

    seconds: float
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
    return Cost(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


@dataclass(frozen=True, slots=True)
class Bench:
    """A project of `members` people in `folder`, and a sink on `port`."""

    folder: Path
    port: int
    members: int

    def make(self) -> None:
        (self.folder / "audiences").mkdir(parents=True)
        ran(sys.executable, "people.py", str(self.folder / "made.duckdb"), str(self.members))

    def start(self, select: str = SELECT) -> None:
        """The project before its first sync."""
        for old in self.folder.glob("now*"):
            old.unlink()
        shutil.copy(self.folder / "made.duckdb", self.folder / "now.duckdb")
        (self.folder / "audiences" / "everyone.sql").write_text(AUDIENCE + select)
        self.send_to("/null")

    def send_to(self, path: str) -> None:
        (self.folder / ".env").write_text(
            "AUDIENCES_WAREHOUSE_URL=duckdb:///now.duckdb\nAUDIENCES_STATE_URL=sqlite:///now.sqlite\n"
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
        return ran(sys.executable, "bare.py", str(self.folder / "made.duckdb"), self.url("/null"), stdin=select)

    def change(self) -> dict[str, list[str]]:
        """Let 1 % change; verb -> the keys that the next sync must name."""
        change = [sys.executable, str(HERE / "people.py"), str(self.folder / "now.duckdb"), "--change"]
        found: dict[str, list[str]] = json.loads(subprocess.check_output(change))
        return found

    def named(self) -> dict[str, list[str]]:
        """Whom the sink was told of since it was last asked."""
        with urllib.request.urlopen(self.url("/count")) as answer:
            return {verb: sorted(keys) for verb, keys in json.load(answer).items()}


@contextmanager
def sink() -> Iterator[int]:
    """A receiver in a process of its own; its port."""
    command = [sys.executable, str(HERE / "sink.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


def first(bench: Bench, rounds: int) -> None:
    """The first sync against the bare loop, in turns; each with an empty query, too: that is its start-up."""
    runs = {"first sync": bench.anew, "bare loop": bench.bare}
    begins: dict[str, list[float]] = {name: [] for name in runs}
    costs: dict[str, list[Cost]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begins[name].append(run(f"{SELECT} where false").seconds)
            costs[name].append(run(SELECT))
    sync, bare = (told(name, bench.members, costs[name], begins[name]) for name in runs)
    print(f"{'of the bare loop':18} {sync / bare:9.2f}", flush=True)


def told(name: str, members: int, costs: Sequence[Cost], begins: Sequence[float]) -> float:
    """Print what runs cost, the median of time and the most of memory; members a second, start-up apart."""
    begin, whole = median(begins), median(cost.seconds for cost in costs)
    rate, memory = members / (whole - begin), max(cost.memory for cost in costs) / 2**20
    print(f"{name:18} {rate:9,.0f} members/s; {whole:5.2f} s with {begin:.2f} s of start-up; {memory:4.0f} MiB")
    return rate


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
    members = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder, sink() as port:
        for size, rounds in ((members // 10, 1), (members, ROUNDS)):
            print(f"{size:,} members, {rounds} round{'s' if rounds > 1 else ''}")
            bench = Bench(Path(folder) / str(size), port, size)
            bench.make()
            first(bench, rounds)
            second(bench)


if __name__ == "__main__":
    main()
