"""The audience as its syncs read it: the query itself, or a table: where several syncs share one evaluation, and where
the warehouse is only read, so that its rows come to the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from audiences.audience import Audience
from audiences.warehouse import Warehouse, quoted


@contextmanager
def staged(warehouse: Warehouse, audience: Audience, readers: int, run: str, types: Mapping[str, str]) -> Iterator[str]:
    """The SQL that gives the audience's rows to `readers` syncs of one run; none: nobody will read it.

    types: column of its query -> type

    Writing an audience down costs more than comparing it, so one reader gets the query. The table is a temporary one:
    it goes with the connection, also where this process is killed.
    """
    if readers < (1 if warehouse.source else 2):
        yield audience.select
        return
    name = quoted(f"staged_{run}")
    warehouse.land(name, audience.select, needed(audience, types))
    yield f"select * from {name}"
    warehouse.run(f"drop table {name}")  # not where the block raised: it goes with the connection


def looked(warehouse: Warehouse, audience: Audience, types: Mapping[str, str]) -> str:
    """The SQL that gives these columns of the audience's rows to a command that only looks, until it looks again."""
    if warehouse.source is None:
        return audience.select
    warehouse.land("looked", audience.select, types)
    return "select * from looked"


def needed(audience: Audience, types: Mapping[str, str]) -> dict[str, str]:
    """The columns of the key and of the syncs that are not paused, in the query's own spelling.

    One that the query does not return is named by the sync that wants it.
    """
    columns = {*audience.key, *(column for sync in audience.syncs if not sync.paused for column in sync.send.values())}
    wanted = {column.casefold() for column in columns}
    return {column: kind for column, kind in types.items() if column.casefold() in wanted}
