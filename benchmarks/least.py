"""The least that an account costs: `python least.py WAREHOUSE STATE URL < QUERY`, from a DuckDB file.

Beside the bare loop it keeps the tables of a sync (outbox, ledger, history), by one statement each, and a mark on disk
for every two batches; it sends four at a time. The engine makes the JSON, so that Python touches no member. It compares
nothing, guards nothing, judges no answer and mends nothing that broke off.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import duckdb
import httpx
from bare import BATCH, FILE, headers

WINDOW = 8 * BATCH  # rows that one statement makes JSON of, while those before are sent
OUTBOX = """create table least_outbox as select row_number() over () - 1 as seq, 'upsert' as verb, id as key,
  lower(trim(email, ' ')) as ident, 'Everyone' as list, email, first_name, plan, score from ({select}) as q"""
LEDGER = """create table least_ledger as
  select key, ident, list, true as sure, 1 as outbox, current_timestamp as at, email, first_name, plan, score
  from least_outbox"""
HISTORY = """create table least_history as select 1 as outbox, seq, cast(key as varchar) as key, 'add' as verb,
  'run' as run, current_timestamp as at, 'accepted' as answer from least_outbox"""
MEMBERS = """select string_agg(cast(to_json(struct_pack(key := cast(key as varchar), fields := struct_pack(
    email := email, first_name := first_name, plan := plan, score := score))) as varchar), ',' order by seq)
  from least_outbox where seq >= {first} and seq < {end} group by seq // {batch} order by seq // {batch}"""


def batches(connection: Any, total: int) -> Iterator[str]:
    """The members of each batch as JSON; the next window is made while this one is sent."""
    cursor = connection.cursor()

    def made(first: int) -> Sequence[tuple[str]]:
        statement = MEMBERS.format(first=first, end=first + WINDOW, batch=BATCH)
        found: Sequence[tuple[str]] = cursor.execute(statement).fetchall()
        return found

    with ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(made, 0)
        for first in range(WINDOW, total + WINDOW, WINDOW):
            rows, coming = coming.result(), ahead.submit(made, first)
            yield from (members for (members,) in rows)


def deliver(connection: Any, state: sqlite3.Connection, url: str, select: str) -> None:
    connection.execute(OUTBOX.format(select=select))
    [(total,)] = connection.execute("select count(*) from least_outbox").fetchall()

    def post(number: int, members: str) -> None:
        body = f'{{"verb":"upsert","list":"Everyone","members":[{members}]}}'.encode()
        client.post(url, content=body, headers=headers(number, body)).raise_for_status()

    with httpx.Client() as client, ThreadPoolExecutor(4) as pool:
        sent: list[Future[None]] = []
        for number, members in enumerate(batches(connection, total)):
            if number % 2 == 0:
                state.execute("update mark set seq = ?", [(number + 2) * BATCH])
            if number >= 4:
                sent[number - 4].result()
            sent.append(pool.submit(post, number, members))
    for each in sent:
        each.result()
    connection.execute(LEDGER)
    connection.execute(HISTORY)


if __name__ == "__main__":
    warehouse, file, url = sys.argv[1:]
    with duckdb.connect(warehouse.removeprefix(FILE)) as connection:
        state = sqlite3.connect(file, isolation_level=None)
        for statement in ("pragma journal_mode = wal", "pragma synchronous = full", "create table mark (seq integer)"):
            state.execute(statement)
        state.execute("insert into mark values (0)")
        deliver(connection, state, url, sys.stdin.read())
