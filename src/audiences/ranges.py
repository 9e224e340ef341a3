"""Ranges of places in an outbox, both ends included: how an acknowledgement is written down and read back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

Range = tuple[int, int]
ROWS = 245_760  # rows that one statement settles: two row groups of DuckDB, one a thread; they bound its memory


def joined(ranges: Iterable[Range]) -> list[Range]:
    """The same places as the fewest ranges, in order. Neighbours are joined."""
    out: list[Range] = []
    for lo, hi in sorted(ranges):
        if out and lo <= out[-1][1] + 1:
            out[-1] = (out[-1][0], max(hi, out[-1][1]))
        else:
            out.append((lo, hi))
    return out


def of(places: Iterable[int]) -> list[Range]:
    """Single places as the fewest ranges; most batches are one, and know it."""
    if isinstance(places, range) and places.step == 1:
        return [(places[0], places[-1])] if places else []
    found = sorted(set(places))
    if found and found[-1] - found[0] == len(found) - 1:
        return [(found[0], found[-1])]
    return joined((place, place) for place in found)


def missing(ranges: Iterable[Range], below: int) -> list[Range]:
    """The places from 0 up to, without, `below` that none of these ranges holds."""
    out, start = [], 0
    for lo, hi in joined(ranges):
        if lo >= below:
            break
        if lo > start:
            out.append((start, lo - 1))
        start = max(start, hi + 1)
    return [*out, (start, below - 1)] if start < below else out


def without(ranges: Iterable[Range], others: Sequence[Range]) -> list[Range]:
    """The places of these ranges that none of the others holds."""
    return [(max(lo, start), min(hi, end)) for lo, hi in ranges for start, end in missing(others, hi + 1) if end >= lo]


def chunks(ranges: Iterable[Range], size: int = 500, rows: int = ROWS) -> Iterator[list[Range]]:
    """As many as one statement carries, in order: at most `size` ranges and `rows` places. A longer range is cut.

    500 ranges inlined cost 1.3 times what one does.
    """
    chunk: list[Range] = []
    room = rows
    for lo, hi in ranges:
        while lo <= hi:
            end = min(hi, lo + room - 1)
            chunk.append((lo, end))
            room, lo = room - (end - lo + 1), end + 1
            if not room or len(chunk) == size:
                yield chunk
                chunk, room = [], rows
    if chunk:
        yield chunk


def common(some: Iterable[Range], others: Sequence[Range]) -> int:
    """How many places are in both."""
    return sum(max(0, min(hi, up) - max(lo, down) + 1) for lo, hi in some for down, up in others)
