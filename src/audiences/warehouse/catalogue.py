"""The columns of our tables: asked of the engine each time, or once while nobody else changes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event

CHANGES = re.compile(r"\s*(create|drop|alter)\b", re.IGNORECASE)


class Catalogue:
    """What is remembered of our tables. It hears each statement, and forgets the tables that one may change."""

    def __init__(self, engine: Engine):
        self.known: dict[str, dict[str, str]] | None = None
        event.listen(engine, "before_cursor_execute", self._heard)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Remember what is asked in this block. For a run that has put up its fence: the tables are its own."""
        self.known = {}
        try:
            yield
        finally:
            self.known = None

    def columns(self, table: str, ask: Callable[[], dict[str, str]]) -> dict[str, str]:
        """Column -> type of a table; empty where there is none."""
        if self.known is None:
            return ask()
        if table not in self.known:
            self.known[table] = ask()
        return self.known[table]

    def _heard(self, _connection: object, _cursor: object, sql: str, *_: object) -> None:
        if self.known and sql == "rollback":  # what was made since the beginning is gone
            self.known.clear()
        elif self.known and CHANGES.match(sql):
            self.known = {table: columns for table, columns in self.known.items() if table not in sql}
