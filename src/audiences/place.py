"""Where a mistake stands, and what was probably meant: the words that all definition errors share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, counted from 1 and written as editors read it: `audiences/detractors.sql:5`."""

    path: Path
    line: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"

    def below(self, lines: int) -> Place:
        return Place(self.path, self.line + lines)


def meant(name: str, known: Iterable[str]) -> str:
    """A remedy for a name that is not known: the nearest one first, then all of them."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name.lower(), names, n=1)
    question = f"did you mean {near[0]}? " if near else ""
    return f"{question}known: {', '.join(names) or 'none'}"
