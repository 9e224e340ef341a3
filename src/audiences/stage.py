"""The audience as its syncs read it: the query itself, or a table where several syncs share one evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from audiences.audience import Audience
from audiences.warehouse import Warehouse, quoted


@contextmanager
def staged(warehouse: Warehouse, audience: Audience, readers: int, run: str) -> Iterator[str]:
    """The SQL that gives the audience's rows to `readers` syncs of one run.

    Writing an audience down costs more than comparing it, so one reader gets the query. The table is a temporary one:
    it goes with the connection, also where this process is killed.
    """
    if readers < 2:
        yield audience.select
        return
    name = quoted(f"staged_{run}")
    columns = {*audience.key, *(column for sync in audience.syncs if not sync.paused for column in sync.send.values())}
    wanted = {column.casefold() for column in columns}
    # In the query's own spelling. A column that it does not return is named by the sync that wants it.
    found = [column for column in warehouse.described(audience.select) if column.casefold() in wanted]
    picked = ", ".join(f"q.{quoted(column)}" for column in found)
    warehouse.run(f"create temp table {name} as select {picked} from (\n{audience.select}\n) as q")
    try:
        yield f"select * from {name}"
    finally:
        warehouse.run(f"drop table if exists {name}")
