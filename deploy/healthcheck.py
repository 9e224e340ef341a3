"""The container's own health check: whether the `serve` that it was started for still wakes its jobs.

Exit code 0: yes, or the container was started for another command, which has no port and needs no watch.
https://docs.docker.com/reference/dockerfile/#healthcheck (read 2026-11)
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.request import urlopen

TIMEOUT = 4.0  # seconds, a little less than Docker waits


def port(command: str, environment: Mapping[str, str]) -> str | None:
    """Where the container's first process answers; None where it is no `serve` that stays, or has no port."""
    words = command.split()
    if "serve" not in words or "--once" in words:
        return None
    typed = re.search(r"--port[ =](\d+)", command)
    return typed[1] if typed else environment.get("AUDIENCES_PORT")


def main(command: str, environment: Mapping[str, str]) -> int:
    """The exit code."""
    if found := port(command, environment):
        try:
            urlopen(f"http://127.0.0.1:{found}/healthz", timeout=TIMEOUT).close()
        except OSError as error:  # no answer, or a status that is no success
            print(f"/healthz on port {found}: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path("/proc/1/cmdline").read_text().replace("\0", " "), os.environ))
