"""What dlt does to send a DuckDB file's people: `python send_dlt.py FILE URL < QUERY`, in the folder
where it keeps its state."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import dlt
import duckdb
import httpx
import orjson

FILE, URL = sys.argv[1:]
QUERY = sys.stdin.read()
client = httpx.Client()


@dlt.resource(name="people", primary_key="id")
def people() -> Iterator[list[dict[str, Any]]]:
    with duckdb.connect(FILE, read_only=True) as connection:
        rows = connection.execute(QUERY)
        names = [column[0] for column in rows.description]
        while batch := rows.fetchmany(1000):
            yield [dict(zip(names, row, strict=True)) for row in batch]


@dlt.destination(batch_size=1000, name="sink", skip_dlt_columns_and_tables=True)
def sink(items: list[dict[str, Any]], table: Any) -> None:
    members = [{"key": str(item.pop("id")), "fields": item} for item in items]
    body = orjson.dumps({"verb": "upsert", "list": "Everyone", "members": members})
    client.post(URL, content=body, headers={"content-type": "application/json"}).raise_for_status()


dlt.pipeline("bench", destination=sink, pipelines_dir=".").run(people())
