"""ClickHouse as the engine in this process tells it, behind the very client that speaks to a server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL, make_url

from audiences.warehouse import Warehouse
from audiences.warehouse.opened import opened
from audiences.warehouse.sources.clickhouse import ClickHouseSource
from engines import Read

NUMBERS = itertools.count(1)
PEOPLE = "create table people (id Nullable(Int64), email Nullable(String), nps Nullable(Int32)) engine = Memory"


class InProcess(ClickHouseSource):
    """The same client, whose engine is here instead of behind HTTP."""

    def client(self, writes: bool = False) -> Any:
        return connected(self.url.database, settings={} if writes else self.settings())


def connected(database: str | None, **more: Any) -> Any:
    pytest.importorskip("chdb", reason="chdb has an environment of its own: make apart")
    from clickhouse_connect import get_client

    return get_client(interface="chdb", database=database, tz_mode="aware", **more)


@cache
def kept() -> Any:
    """The client that keeps the engine: its data go with the last one."""
    return connected("default")


class Spoken:
    """A client, spoken to as the other drivers' connections are."""

    def __init__(self, client: Any):
        self.client, self.description, self.rows = client, False, list[tuple]()

    def execute(self, statement: str) -> Spoken:
        if statement.startswith(("select", "describe")):
            self.rows = [*self.client.query(statement).result_rows]
            self.description = True
        else:
            self.client.command(PEOPLE if statement.startswith("create table people") else statement)
        return self

    def fetchall(self) -> list[tuple]:
        return self.rows


class ClickHouse:
    """A database of the engine that this process has, which is only read."""

    name, dialect = "clickhouse, only read", "clickhouse"

    def new(self, folder: Path) -> URL:
        database = f"t{next(NUMBERS)}"
        kept().command(f"create database {database}")
        return make_url(f"clickhouse://tester@localhost/{database}")

    @contextmanager
    def open(self, url: URL) -> Iterator[Spoken]:
        yield Spoken(connected(url.database))

    def fill(self, url: URL, table: str, rows: list[tuple]) -> None:
        client = connected(url.database)
        client.command(f"truncate table {table}")
        if rows:
            client.insert(table, rows)

    def close(self, url: URL) -> None:
        kept().command(f"drop database {url.database}")


class WritableClickHouse(ClickHouse):
    """A database beside which another holds our tables."""

    name, nowhere = "clickhouse", "clickhouse://tester@localhost/nowhere"
    listing = "select name from system.tables where database = 'audience_sync'"

    def __init__(self, databases: object = None):
        """Needs no server."""

    def alone(self) -> URL:
        """A warehouse that is opened once, and in which a test makes tables through it."""
        return self.new(Path())

    def copy(self, url: URL, folder: Path) -> URL:
        other = self.new(folder)
        kept().command(f"create database {other.database}_sync")
        tables = f"select database, name from system.tables where startsWith(database, '{url.database}')"
        for database, name in kept().query(tables).result_rows:
            made = database.replace(str(url.database), str(other.database))
            kept().command(f"create table {made}.`{name}` as {database}.`{name}`")
            kept().command(f"insert into {made}.`{name}` select * from {database}.`{name}`")
        return other

    @contextmanager
    def ours(self, url: URL) -> Iterator[Read]:
        """What reaches our tables."""
        with self.warehouse(url) as warehouse:
            yield Read(warehouse)

    def warehouse(self, url: URL) -> Warehouse:
        return opened(url, f"{url.database}_sync")

    def close(self, url: URL) -> None:
        """Nothing of it is held."""
