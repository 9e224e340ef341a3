"""MySQL's words on a real MariaDB, untried on MySQL: what only MySQL has is said in MariaDB's words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import URL

from audiences.warehouse import Warehouse
from audiences.warehouse.opened import opened
from audiences.warehouse.sources.mysql import MySQLSource
from engines import Read
from mariadb import WritableMariaDB

READ = re.compile(r"(?i)(?:from|join|,)\s+`((?:<|staged_)[^`]+)`")


class Near(MySQLSource):
    """The same way in, to a MariaDB."""

    def engine(self, **more: Any) -> Engine:
        made = super().engine(**more)
        event.listen(made, "before_cursor_execute", _instead, retval=True)
        return made


def _instead(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> tuple[str, Any]:
    """Raises AssertionError where MySQL would say that it cannot reopen a table."""
    assert max(Counter(READ.findall(statement)).values(), default=1) == 1, statement
    if statement == "select version()":
        return "select '8.4.7'", values
    return statement.replace("utf8mb4_0900_bin", "utf8mb4_nopad_bin"), values


class WritableMySQL(WritableMariaDB):
    """A database of that server, in the place of MySQL's."""

    name, dialect = "mysql", "mysql"

    def new(self, folder: Path) -> URL:
        return super().new(folder).set(drivername="mysql")

    @contextmanager
    def ours(self, url: URL) -> Iterator[Read]:
        """What reaches our tables, whichever are meant."""
        with self.warehouse(url) as warehouse:
            yield Read(warehouse)

    def warehouse(self, url: URL) -> Warehouse:
        return opened(url, f"{url.database}_sync")
