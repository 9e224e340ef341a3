"""A span of time as people write it: `90 seconds`, `2 hours`; and one in words."""

from __future__ import annotations

import re
from datetime import timedelta

SECONDS = {"week": 604_800, "day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
PATTERN = rf"([1-9]\d{{0,5}}) ({'|'.join(SECONDS)})s?"


def read(text: str) -> timedelta:
    """The span that `text` names. Raises ValueError for what is no number and unit."""
    found = re.fullmatch(PATTERN, text)
    if not found:
        raise ValueError(f"{text!r} is no span of time")
    return timedelta(seconds=int(found[1]) * SECONDS[found[2]])


def said(span: timedelta) -> str:
    """A span in its two largest units: `2 hours 50 minutes`."""
    left, words = int(span.total_seconds()), list[str]()
    for unit, seconds in SECONDS.items():
        number, left = divmod(left, seconds)
        if number:
            words.append(f"{number:,} {unit}{'' if number == 1 else 's'}")
    return " ".join(words[:2]) or "less than a second"
