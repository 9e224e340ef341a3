"""How long a sync takes to begin, beside the same libraries imported bare: `python benchmarks/startup.py [--rounds N]`.

The sync is of ten people in a DuckDB file, none of whom changes. Bare is a Python that imports every module which that
sync has imported, but for our own, and does nothing. They take turns, each in a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from bench import SELECT, Bench, Cost, Files, beside, ran

ASK = """import json, sys
from audiences.cli import main
try:
    main()
finally:
    print(json.dumps([name for name in sys.modules if name.partition(".")[0] not in ("audiences", "__main__")]))
"""
IMPORT = """import importlib, json, sys
for name in json.load(sys.stdin):
    try:
        importlib.import_module(name)
    except ImportError:  # a connector's file, or a name that its library made itself
        pass
"""


def libraries(folder: Path) -> str:
    """The modules that a sync imports, in their order, as JSON."""
    command = [sys.executable, "-c", ASK, "-C", str(folder), "sync", "everyone"]
    return subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).splitlines()[-1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name, beside("sink.py") as port:
        folder = Path(name)
        bench = Bench(folder / "project", int(port), 10, Files(folder))
        bench.make()
        bench.anew(SELECT)
        names = libraries(bench.folder)
        runs = {"sync": bench.sync, "bare": lambda: ran(sys.executable, "-c", IMPORT, stdin=names)}
        costs: dict[str, list[Cost]] = {name: [] for name in runs}
        for _ in range(rounds):
            for name, run in runs.items():
                costs[name].append(run())
    for name, seen in costs.items():
        seconds, busy = (median(getattr(cost, what) for cost in seen) for what in ("seconds", "busy"))
        print(f"{name}  {seconds:6.2f} s  {busy:6.2f} s of a core  {max(cost.memory for cost in seen) >> 20:4} MiB")
    for what in ("seconds", "busy"):
        ours, bare = (median(getattr(cost, what) for cost in costs[name]) for name in runs)
        print(f"{ours / bare:.2f} times as many {what}")


if __name__ == "__main__":
    main()
