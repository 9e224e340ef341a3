"""The cheapest statements by hand for what a sync does in its warehouse: the query compared with the ledger directly,
the changes merged. `python hand.py WAREHOUSE SYNC… < QUERY`; of no sync it only connects.

It asks for nothing that a sync promises: no key may come twice, no two members share an address, nobody was refused,
and what fails half-way is not mended. Several syncs share one evaluation.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from people import FILE, connected

SEND = ("email", "first_name", "plan", "score")
IDENT = "lower(trim(s.email, ' '))"
DIFFERS = " or ".join(f"s.{name} is distinct from l.sent_{name}" for name in SEND)


def statements(select: str, syncs: Sequence[str]) -> Iterator[str]:
    """What there is to do, in order. syncs: as tables write them"""
    source = f"({select})"
    if len(syncs) > 1:
        yield f"create temp table staged as {select}"
        source = "staged"
    for sync in syncs:
        ledger, changes = f"audience_sync.ledger_{sync}", f"changes_{sync}"
        yield f"""create table {changes} as select l.key as had, s.id, {IDENT} as ident,
            {", ".join(f"s.{name}" for name in SEND)}
            from {source} s full join {ledger} l on s.id = l.key where s.id is null or l.key is null or {DIFFERS}"""
        yield "begin"
        yield f"delete from {ledger} l using {changes} c where l.key = c.had"
        yield f"""insert into {ledger} (key, ident, list, sure, outbox, "at", {", ".join(f"sent_{n}" for n in SEND)})
            select id, ident, 'Everyone', true, 2, current_timestamp, {", ".join(SEND)} from {changes}
            where id is not null"""
        yield "commit"


def run(connection: Any, select: str, syncs: Sequence[str]) -> None:
    for statement in statements(select, syncs):
        connection.execute(statement)


if __name__ == "__main__":
    with connected(sys.argv[1]) as connection:
        connection.execute("set " + ("enable_progress_bar = false" if sys.argv[1].startswith(FILE) else "jit = off"))
        run(connection, sys.stdin.read(), sys.argv[2:])
