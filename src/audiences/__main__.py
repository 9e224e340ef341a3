"""`audiences`, and `python -m audiences`: the command line, in a process of its own."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress

from audiences.cli import main


def run() -> None:
    """The entry point. What others have registered for the end is done before ours, which came first."""
    codes: list[int] = []
    atexit.register(_leave, codes)
    try:
        main()
    except SystemExit as end:
        codes.append(int(end.code or 0))
        raise


def _leave(codes: list[int]) -> None:
    """End the process as it is: to take apart all that was loaded costs a fifth of what a small sync does."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # there is none, it was closed, or nobody reads it any more
            stream.flush()
    if codes:
        os._exit(codes[0])


if __name__ == "__main__":
    run()
