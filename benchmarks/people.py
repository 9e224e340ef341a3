"""The warehouse that is synced: `python people.py URL MEMBERS`, and `python people.py URL --change` for the next day.

It prints, as JSON, verb -> the keys that a sync must now name, where 1 % of the members have changed.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import duckdb

FILE = "duckdb:///"
NAMES = "'Ada', 'Ben', 'Chloe', 'Dmitri', 'Esra', 'Femi', 'Grete', 'Hiro', 'Inés', 'Jan'"
MAKE = f"""create table people as select i as id, 'member' || i || '@example.com' as email,
  (array[{NAMES}])[1 + i % 10] as first_name, (array['free', 'plus', 'pro'])[1 + i * 7 % 3] as plan,
  cast(i * 7919 % 1000 as float8) / 10 as score from generate_series(cast(1 as bigint), {{members}}) t(i)"""

# A quarter of one percent each: spread over the table, and no member twice.
CHANGE = (
    "insert into people select id + (select max(id) from people), 'new' || email, first_name, plan, score"
    " from people where id % 400 = 0",
    "update people set score = score + 0.1 where id % 400 = 1",
    "update people set email = 'moved' || email where id % 400 = 2",
    "delete from people where id % 400 = 3",
)
KEYS = "select id from people where id <= {most} and id % 400 in ({days})"


def connected(url: str) -> Any:
    """A connection to a DuckDB file, or to a PostgreSQL."""
    if url.startswith(FILE):
        return duckdb.connect(url.removeprefix(FILE))
    import psycopg

    return psycopg.connect(url, autocommit=True)


def change(connection: Any) -> dict[str, list[str]]:
    [(most,)] = connection.execute("select max(id) from people").fetchall()

    def keys(*days: int) -> list[str]:
        sql = KEYS.format(most=most, days=", ".join(map(str, days)))
        return [str(key) for (key,) in connection.execute(sql).fetchall()]

    removed = keys(2, 3)  # whoever moves leaves the old address
    upserted = keys(1, 2) + [str(int(key) + most) for key in keys(0)]
    for statement in CHANGE:
        connection.execute(statement)
    return {"upsert": sorted(upserted), "remove": sorted(removed)}


if __name__ == "__main__":
    with connected(sys.argv[1]) as connection:
        if sys.argv[2] == "--change":
            print(json.dumps(change(connection)))
        else:
            connection.execute(MAKE.format(members=int(sys.argv[2])))
            connection.execute("analyze people")
