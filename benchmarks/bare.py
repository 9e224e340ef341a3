"""The limit: fetch, encode, sign, POST, and keep no account. `python bare.py WAREHOUSE URL < QUERY`.

The same query and the same bytes as a sync, by the engine's own cursor (of a PostgreSQL, one on the server) and one
keep-alive client.
"""

from __future__ import annotations

import base64
import hmac
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import duckdb
import httpx
import orjson

BATCH = 1000
FILE = "duckdb:///"
SECRET = b"0" * 24


def headers(number: int, body: bytes) -> dict[str, str]:
    name, now = f"everyone__webhook-00000000-1-{number * BATCH}-{number * BATCH + BATCH - 1}", str(int(time.time()))
    mac = hmac.digest(SECRET, f"{name}.{now}.".encode() + body, "sha256")
    return {
        "content-type": "application/json",
        "webhook-id": name,
        "idempotency-key": name,
        "webhook-timestamp": now,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


@contextmanager
def fetched(warehouse: str, select: str) -> Iterator[Any]:
    """What has `fetchmany`."""
    if warehouse.startswith(FILE):
        with duckdb.connect(warehouse.removeprefix(FILE), read_only=True) as connection:
            yield connection.execute(select)
        return
    import psycopg

    with psycopg.connect(warehouse) as connection, connection.cursor("bare") as cursor:
        yield cursor.execute(select)


def deliver(warehouse: str, url: str, select: str) -> None:
    with fetched(warehouse, select) as rows, httpx.Client() as client:
        for number in count():
            if not (batch := rows.fetchmany(BATCH)):
                return
            members = [
                {"key": str(key), "fields": {"email": email, "first_name": first_name, "plan": plan, "score": score}}
                for key, email, first_name, plan, score in batch
            ]
            body = orjson.dumps({"verb": "upsert", "list": "Everyone", "members": members})
            client.post(url, content=body, headers=headers(number, body)).raise_for_status()


if __name__ == "__main__":
    deliver(sys.argv[1], sys.argv[2], sys.stdin.read())
