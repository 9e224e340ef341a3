"""A bar on stderr where a person watches long work; nothing where nobody does."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar  # click gives it no public name

PATIENCE = 2.0  # seconds; shorter work needs no bar


@dataclass
class Progress:
    """The bar of the sync that is under way."""

    clock: Callable[[], float] = time.monotonic
    sync: str = ""
    began: float = 0.0
    bar: ProgressBar[int] | None = None
    shown: bool = False
    watched: bool = field(default_factory=lambda: sys.stderr.isatty())

    def told(self, sync: str, rows: int, total: int) -> None:
        """So many more rows of a sync are done."""
        if not self.watched:
            return
        if self.bar is None or sync != self.sync:
            self.clear()
            self.sync, self.began = sync, self.clock()
            self.bar = click.progressbar(length=total, label=sync, show_pos=True, file=sys.stderr)
        self.bar.make_step(rows)
        if self.clock() - self.began >= PATIENCE:
            self.bar.render_progress()
            self.shown = True

    def clear(self) -> None:
        """End the bar: what is printed next begins a line of its own."""
        if self.bar and self.shown:
            self.bar.render_finish()
        self.bar, self.shown = None, False
