"""The benchmark's databases on a PostgreSQL.

python databases.py                   start a server, print where it is, and end when standard input does
python databases.py SERVER NAME       make a database anew, empty
python databases.py SERVER NAME LIKE  make it anew, with all that another holds
python databases.py SERVER --drop     leave none behind

The server is the tests' own, which does not write for a power cut (fsync = off), with the memory of a small warehouse:
PostgreSQL's manual has shared_buffers begin at a quarter of the machine's
(https://www.postgresql.org/docs/current/runtime-config-resource.html).
"""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg

PREFIX = "audiences_bench_"
SETTINGS = ("shared_buffers=2GB", "max_wal_size=4GB")


def serve() -> None:
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from postgres import Server

    server = Server(*SETTINGS)
    try:
        print(server.url("postgres").set(drivername="postgresql").render_as_string(), flush=True)
        sys.stdin.read()
    finally:
        server.stop()


def drop(connection: psycopg.Connection, name: str) -> None:
    connection.execute(f'drop database if exists "{PREFIX}{name}" with (force)')


def main(server: str, name: str, like: str = "") -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        if name == "--drop":
            for kept in ("now", "made", "few", "same", "changed"):
                drop(connection, kept)
            return
        drop(connection, name)
        template = f'"{PREFIX}{like}"' if like else "template0"
        connection.execute(f'create database "{PREFIX}{name}" template {template} strategy file_copy')


if __name__ == "__main__":
    main(*sys.argv[1:]) if sys.argv[1:] else serve()
