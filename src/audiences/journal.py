"""Writing that outlasts a kill and a power cut, for a connector that gathers what is accepted before it delivers it."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import orjson

from audiences.errors import BatchRefused
from audiences.store import publish


class Journal:
    """A file of JSON lines that only grows, until it is dropped. Its errors are OSErrors."""

    def __init__(self, path: Path):
        self.path = path

    def append(self, entries: Iterable[Mapping[str, object]]) -> None:
        """Write entries behind the others, and come back once the disk has them.

        Each gets a `place`, greater than that of every entry before it. Raises BatchRefused for what JSON cannot hold.
        """
        self.path.touch(0o600)  # it holds people, and no one but the worker reads it
        with self.path.open("a+b") as file:
            end = _mended(file)
            # A line is longer than one byte, so the places of the next entries start beyond those of these.
            file.write(_lines({"place": place, **entry} for place, entry in enumerate(entries, end)))
            file.flush()
            os.fsync(file)
            if not end:
                _sync(self.path.parent)  # the name of a new file is to last as well

    def mend(self) -> bool:
        """Cut off a last line that a kill left half written: it was promised to nobody. True where lines are left."""
        if not self.path.exists():
            return False
        with self.path.open("r+b") as file:
            return _mended(file) > 0

    def drop(self) -> None:
        """Forget every line."""
        self.path.unlink(missing_ok=True)


def supplant(new: Path, old: Path, copied: str | None = None) -> None:
    """Let a finished file take the place of another at once: whoever looks sees the one or the other, whole.

    copied: the URL of an object store that has it, too, when this returns; raises as `publish` does
    """
    _sync(new)
    new.replace(old)
    _sync(old.parent)
    if copied:
        publish(old, copied)


def _lines(entries: Iterable[Mapping[str, object]]) -> bytes:
    try:
        return b"".join(orjson.dumps(entry, default=dict, option=orjson.OPT_APPEND_NEWLINE) for entry in entries)
    except orjson.JSONEncodeError:
        raise BatchRefused("a value that JSON cannot hold, such as an integer of more than 64 bits") from None


def _mended(file: BinaryIO) -> int:
    """Cut off what follows the last whole line; the bytes that are left."""
    end = file.seek(0, os.SEEK_END)
    if end:
        with mmap.mmap(file.fileno(), end, access=mmap.ACCESS_READ) as lines:
            end = lines.rfind(b"\n") + 1
    file.truncate(end)
    return end


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
