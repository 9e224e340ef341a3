"""The audience as its syncs read it: the query itself, or a table: where several syncs share one evaluation, where
the warehouse is only read, so that its rows come to the ledger, and where our statements are translated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from audiences.audience import Audience
from audiences.digests import digests, named
from audiences.project import Binding
from audiences.warehouse import Made, Warehouse, quoted

LOOKED = '"<looked>"'  # no table that an audience reads has such a name


@contextmanager
def staged(
    warehouse: Warehouse, audience: Audience, readers: Sequence[Binding], run: str, types: Mapping[str, str]
) -> Iterator[str]:
    """The SQL that gives the audience's rows to these syncs of one run; none: nobody will read it.

    types: column of its query -> type

    Writing an audience down costs more than comparing it, so one reader gets the query. The table is a temporary one:
    it goes with the connection, also where this process is killed.
    """
    if len(readers) < (1 if warehouse.lands else 2):
        yield audience.select
        return
    name = quoted(f"staged_{run}")
    _land(warehouse, name, audience, readers, types)
    yield f"select * from {name}"
    warehouse.run(f"drop table {name}")  # not where the block raised: it goes with the connection


def looked(warehouse: Warehouse, audience: Audience, binding: Binding, types: Mapping[str, str]) -> str:
    """The SQL that gives the audience's rows to a command that only looks at a sync, until it looks again."""
    if not warehouse.lands:
        return audience.select
    _land(warehouse, LOOKED, audience, [binding], types)
    return f"select * from {LOOKED}"


def _land(
    warehouse: Warehouse, table: str, audience: Audience, readers: Sequence[Binding], types: Mapping[str, str]
) -> None:
    """Write down the columns of the key and of what these syncs send, in the query's own spelling.

    One that the query does not return is named by the sync that wants it.
    """
    made = digests(readers, types) if warehouse.source else {}
    columns = {*audience.key}
    for sync in (each.sync for each in readers):
        columns |= {column for field, column in sync.send.items() if named(sync, field) not in made}
    wanted = {column.casefold() for column in columns}
    found = {column: kind for column, kind in types.items() if column.casefold() in wanted}
    on_the_way = {name: Made(each.column, each.kind, each.of) for name, each in made.items()}
    warehouse.land(table, audience.select, found, on_the_way)
