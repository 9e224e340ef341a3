"""What `audiences serve` costs while nothing is due: `python benchmarks/serve.py [--files N] [--rounds N]`.

Ready is the line that says so, from the process's start. Idle is measured over half a minute after it, by the
processor's own account (/proc, so on Linux).
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import duckdb

AUDIENCE = """-- /// audience
-- about = "Everyone"
-- owner = "benchmarks@example.com"
-- key = "id"
-- schedule = "@yearly"
--
-- [sync.file]
-- list = "list {number}"
-- send = ["email"]
-- ///
select id, email from people where id % 200 = {number}
"""
IDLE = 30.0  # seconds
TICKS = os.sysconf("SC_CLK_TCK")  # a second


@dataclass(frozen=True, slots=True)
class Seen:
    """ready, busy: seconds on the clock and of a core until it serves; idle: share of a core; memory: MB"""

    ready: float
    busy: float
    idle: float
    memory: float


def made(folder: Path, files: int) -> None:
    (folder / "audiences").mkdir()
    for number in range(files):
        (folder / "audiences" / f"audience_{number}.sql").write_text(AUDIENCE.format(number=number))
    with duckdb.connect(str(folder / "w.duckdb")) as warehouse:
        warehouse.execute(
            "create table people as select range as id, range || '@example.com' as email from range(1000)"
        )
    (folder / ".env").write_text("AUDIENCES_WAREHOUSE_URL=duckdb:///w.duckdb\nAUDIENCES_STATE_URL=sqlite:///s.sqlite\n")


def served(folder: Path, files: int) -> Seen:
    began = time.monotonic()
    command = [sys.executable, "-m", "audiences", "-C", str(folder), "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        if not said.startswith(f"serving {files} "):
            sys.exit(f"it does not serve: {said}")
        ready, busy = time.monotonic() - began, used(process.pid)
        time.sleep(IDLE)
        idle, memory = (used(process.pid) - busy) / IDLE, resident(process.pid)
        process.send_signal(signal.SIGTERM)
    return Seen(ready, busy, idle, memory)


def used(pid: int) -> float:
    """Seconds of a core that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        made(Path(folder), asked.files)
        seen = [served(Path(folder), asked.files) for _ in range(asked.rounds)]
    print(f"{asked.files} files, medians of {asked.rounds}")
    print(
        f"ready    {median(each.ready for each in seen):6.2f} s, {median(each.busy for each in seen):.2f} s of a core"
    )
    print(f"idle     {median(each.idle for each in seen):6.2%} of a core")
    print(f"memory   {max(each.memory for each in seen):6.0f} MB at the most")


if __name__ == "__main__":
    main()
