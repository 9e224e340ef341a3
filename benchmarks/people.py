"""The warehouse that is synced: `python people.py FILE MEMBERS`, and `python people.py FILE --change` for the next day.

It prints, as JSON, verb -> the keys that a sync must now name, where 1 % of the members have changed.
"""

from __future__ import annotations

import json
import sys

import duckdb

MAKE = """create table people as select i as id, 'member' || i || '@example.com' as email,
  ['Ada', 'Ben', 'Chloe', 'Dmitri', 'Esra', 'Femi', 'Grete', 'Hiro', 'Inés', 'Jan'][1 + i % 10] as first_name,
  ['free', 'plus', 'pro'][1 + i * 7 % 3] as plan, i * 7919 % 1000 / 10 as score
  from range(1, {members} + 1) t(i)"""

# A quarter of one percent each: spread over the table, and no member twice.
CHANGE = (
    "insert into people select id + (select max(id) from people), 'new' || email, first_name, plan, score"
    " from people where id % 400 = 0",
    "update people set score = score + 0.1 where id % 400 = 1",
    "update people set email = 'moved' || email where id % 400 = 2",
    "delete from people where id % 400 = 3",
)
KEYS = "select id from people where id <= {most} and id % 400 in ({days})"


def change(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
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
    with duckdb.connect(sys.argv[1]) as connection:
        if sys.argv[2] == "--change":
            print(json.dumps(change(connection)))
        else:
            connection.execute(MAKE.format(members=int(sys.argv[2])))
