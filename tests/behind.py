"""A DuckDB file behind a false server of another engine: its SQL is translated, its protocol is the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlglot
from sqlalchemy.engine import URL

from engines import Closed


class Behind(Closed):
    """What a false server asks. at: the URL by which the source under test is reached"""

    def __init__(self, dialect: str, at: URL):
        self.name, self.dialect, self.at = f"{dialect}, only read", dialect, at
        self.heard: list[str] = []

    def new(self, folder: Path) -> URL:
        self.file = super().new(folder)
        return self.at

    def open(self, url: URL) -> Any:
        return super().open(self.file)

    def close(self, url: URL) -> None:
        """Nothing of it is held."""

    def answer(self, sql: str) -> tuple[list[tuple[str, str]], list[tuple]]:
        """(name, type) of each column, as DuckDB has them, and the rows. Raises duckdb.Error."""
        self.heard.append(sql)
        with self.open(self.at) as connection:
            [translated] = sqlglot.transpile(sql, read=self.dialect, write="duckdb")
            found = connection.execute(translated)
            return [(name, str(type_)) for name, type_, *_ in found.description], found.fetchall()


def pages(rows: list[tuple], size: int) -> list[list[tuple]]:
    """The rows in pages, of which there is at least one."""
    return [rows[at : at + size] for at in range(0, len(rows), size)] or [[]]
