"""A false BigQuery in this process, behind Google's own client: datasets, jobs and sessions are told by DuckDB.

What BigQuery would refuse of our statements it refuses, as far as its documentation and its errors say it: `amiss`.
"""

from __future__ import annotations

import base64
import datetime as dt
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import duckdb
from sqlalchemy.engine import URL, make_url
from sqlglot import exp, parse_one

from audiences.warehouse import Warehouse
from audiences.warehouse.opened import opened
from audiences.warehouse.sources.bigquery import BigQuerySource
from engines import Read

NUMBERS = itertools.count(1)
TYPES = {
    "BIGINT": "INTEGER",
    "INTEGER": "INTEGER",
    "VARCHAR": "STRING",
    "DOUBLE": "FLOAT",
    "TIMESTAMP": "DATETIME",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "BLOB": "BYTES",
    '"NULL"': "INTEGER",
    "HUGEINT": "INTEGER",
}
LISTED = re.compile(r"`(\w+)`\.INFORMATION_SCHEMA\.TABLES")


class Refused(Exception):
    """An error, by its status, its reason and its words."""


def field(name: str, type_: str) -> dict[str, str]:
    """A column as the API has it."""
    plain = type_.removesuffix("[]")
    kind = "NUMERIC" if plain.startswith("DECIMAL") else TYPES.get(plain, plain.partition("(")[0])
    return {"name": name, "type": kind, "mode": "REPEATED" if type_.endswith("[]") else "NULLABLE"}


def cell(value: Any) -> Any:
    """A value as the API has it."""
    if isinstance(value, list):
        return {"v": [cell(each) for each in value]}
    if isinstance(value, dt.datetime):
        value = value.isoformat() if value.tzinfo is None else round(value.timestamp() * 1_000_000)
    if isinstance(value, bytes):
        value = base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        value = f"{value:f}"
    return {"v": value if value is None else str(value).lower() if isinstance(value, bool) else str(value)}


class Google:
    """What the client speaks to in place of HTTP. jobs: all that ran, as it was told"""

    is_mtls = False

    def __init__(self) -> None:
        self._auth_request = SimpleNamespace(session=self)
        self.engine = duckdb.connect()
        self.engine.execute("set timezone = 'UTC'")
        self.datasets = dict[str, dict[str, Any]]()
        self.sessions = dict[str, Any]()
        self.jobs = list[dict[str, Any]]()
        self.done = dict[str, dict[str, Any]]()
        self.found = dict[str, tuple[Any, list[tuple], int | None]]()

    def close(self) -> None:
        """It stays."""

    def make(self, name: str, **more: Any) -> None:
        self.datasets[name] = {"location": "EU", **more}
        self.engine.execute(f'create schema if not exists "{name}"')

    def request(self, method: str, url: str, data: Any = None, **_: Any) -> Any:
        path, asked = urlsplit(url).path.partition("/projects/shop/")[2], dict(parse_qsl(urlsplit(url).query))
        try:
            status, told = 200, self.answer(method, path, asked, json.loads(data) if data else {})
        except Refused as error:
            status, reason, said = error.args
            told = {"error": {"code": status, "message": said, "errors": [{"reason": reason, "message": said}]}}
        text, request = json.dumps(told), SimpleNamespace(method=method, url=url)
        more = {"content": text.encode(), "text": text, "json": lambda: told, "request": request}
        return SimpleNamespace(status_code=status, headers={}, **more)

    def answer(self, method: str, path: str, asked: Mapping[str, str], body: Any) -> Any:
        kind, _, name = path.partition("/")
        if kind == "datasets":
            if name not in self.datasets:
                raise Refused(404, "notFound", f"Not found: Dataset shop:{name}")
            return {"datasetReference": {"projectId": "shop", "datasetId": name}, **self.datasets[name]}
        if method == "POST":
            return self.begun(body)
        return self.done[name] if kind == "jobs" else self.results(name, asked)

    def begun(self, body: Any) -> Any:
        config, name = body["configuration"], body["jobReference"]["jobId"]
        self.jobs.append(config)
        query, statistics = config["query"], {"query": {}}
        if query.get("createSession"):
            session = f"session-{next(NUMBERS)}"
            self.sessions[session] = self.engine.cursor()
            statistics["sessionInfo"] = {"sessionId": session}
        found = fields, _, changed = self.ran(query, config.get("dryRun", False))
        if config.get("dryRun"):
            statistics["query"]["schema"] = {"fields": fields}
        if changed is not None:
            statistics["query"]["numDmlAffectedRows"] = str(changed)
        self.found[name] = found
        reference = {**body["jobReference"], "location": body["jobReference"].get("location", "US")}
        told = {"configuration": config, "status": {"state": "DONE"}, "statistics": statistics}
        self.done[name] = told | {"jobReference": reference}
        return self.done[name]

    def results(self, name: str, asked: Mapping[str, str]) -> Any:
        fields, rows, changed = self.found[name]
        told = {"jobReference": self.done[name]["jobReference"], "jobComplete": True}
        if changed is not None:
            return told | {"numDmlAffectedRows": str(changed)}
        if fields is None:
            return told
        told |= {"schema": {"fields": fields}, "totalRows": str(len(rows))}
        if asked.get("maxResults") == "0":
            return told
        at = int(asked.get("pageToken", 0))
        more = {"pageToken": str(at + 100)} if at + 100 < len(rows) else {}
        return told | more | {"rows": [{"f": [cell(value) for value in row]} for row in rows[at : at + 100]]}

    def ran(self, query: Any, dry: bool) -> tuple[Any, list[tuple], int | None]:
        sql, session = query["query"], self._session(query)
        if "ABORT_SESSION" in sql:
            self.sessions.pop(session).close()
            return None, [], None
        cursor = self.sessions[session] if session else self.engine.cursor()
        tree = parse_one(LISTED.sub(r"`listed_\1`", sql), read="bigquery")
        if said := amiss(tree, session):
            raise Refused(400, "invalidQuery", said)
        if int(query.get("maximumBytesBilled", 100)) < 100 and not dry:
            raise Refused(400, "bytesBilledLimitExceeded", "Query exceeded limit for bytes billed: 99.")
        try:
            cursor.execute(f"set schema = '\"{query['defaultDataset']['datasetId']}\"'")
            cursor.execute(f"select * from ({translated(tree)}) limit 0" if dry else translated(tree))
        except duckdb.CatalogException as error:
            raise self._missing(error, sql) from None
        except duckdb.Error as error:
            raise Refused(400, "invalidQuery", str(error)) from None
        fields = [field(name, str(type_)) for name, type_, *_ in cursor.description]
        if isinstance(tree, exp.Query):
            return fields, [] if dry else cursor.fetchall(), None
        changes = isinstance(tree, exp.Insert | exp.Update | exp.Delete)
        return None, [], int(cursor.fetchall()[0][0]) if changes else None

    def _session(self, query: Any) -> str:
        properties = query.get("connectionProperties", [])
        session = next((each["value"] for each in properties if each["key"] == "session_id"), "")
        if session and session not in self.sessions:
            raise Refused(400, "invalid", f"Session {session} is gone")
        return session

    def _missing(self, error: Exception, sql: str) -> Refused:
        table = re.search(r"`(\w+)`\.`(\w+)`", sql)
        named = f"Table shop:{table[1]}.{table[2]}" if table else "Table shop:nowhere"
        if "already exists" in str(error):
            return Refused(409, "duplicate", f"Already Exists: {named}")
        return Refused(404, "notFound", f"Not found: {named} was not found in location EU. {error}")


def translated(tree: exp.Expr) -> str:
    """A statement as DuckDB says it."""
    tree = tree.copy()
    for table in tree.find_all(exp.Table):
        if table.db == "_SESSION":
            table.set("db", None)
        elif table.name.startswith("listed_"):
            schema = table.name.removeprefix("listed_")
            rows = f"select table_name from information_schema.tables where table_schema = '{schema}'"
            table.replace(parse_one(rows).subquery("t"))
    for kept in [*tree.find_all(exp.ClusterProperty)]:
        kept.pop()
    for plain in [*tree.find_all(exp.DataType)]:
        if plain.this == exp.DType.DECIMAL:
            plain.replace(exp.DataType.build("decimal(38, 9)"))
    return tree.sql(dialect="duckdb")


def amiss(tree: exp.Expr, session: str) -> str:
    """What BigQuery would say against a statement; empty where we know of nothing."""
    if not session and any(table.db == "_SESSION" for table in tree.find_all(exp.Table)):
        return "there is no session"
    if isinstance(tree, exp.Update | exp.Delete) and not tree.args.get("where"):
        return "UPDATE/DELETE must have a WHERE clause"
    for select in tree.find_all(exp.Select):
        if select.args.get("where") and not select.args.get("from_"):
            return "Query without FROM clause cannot have a WHERE clause"
    for join in tree.find_all(exp.Join):
        if (join.side or join.kind == "FULL") and not any(_joins(each) for each in _all(join.args.get("on"))):
            return "OUTER JOIN cannot be used without a condition that is an equality of fields from both sides"
    for test in tree.find_all(exp.Exists):
        if asks(test) and not (stands(test) and any(_joins(each) for each in conditions(test))):
            return (
                "Correlated subqueries that reference other tables are not supported unless they can be de-correlated"
            )
    return ""


def conditions(test: exp.Exists) -> list[exp.Expr]:
    """Of the rows that a test asks for."""
    where = test.this.args.get("where")
    return _all(where.this) if where else []


def asks(test: exp.Exists) -> bool:
    """Whether a test asks about the row beside which it stands; `key = o.key` does, for one of both is without."""
    within = {part.alias_or_name for part in test.this.find_all(exp.Table, exp.Subquery)}
    tables = [{column.table for column in each.find_all(exp.Column)} for each in conditions(test)]
    return any(found - within - {""} or (found & within and "" in found) for found in tables)


def stands(test: exp.Exists) -> bool:
    """Whether it is one of the conditions of a WHERE that all must hold, or its contrary is."""
    at: Any = test
    while isinstance(at.parent, exp.Not | exp.Paren):
        at = at.parent
    while isinstance(at.parent, exp.And | exp.Paren):
        at = at.parent
    return isinstance(at.parent, exp.Where)


def _all(condition: Any) -> list[exp.Expr]:
    return [*condition.flatten()] if isinstance(condition, exp.And) else [condition]


def _joins(condition: Any) -> bool:
    """Whether it is an equation between two tables."""
    if not isinstance(condition, exp.EQ):
        return False
    sides = [{each.table for each in side.find_all(exp.Column)} for side in (condition.this, condition.expression)]
    return all(sides) and not sides[0] & sides[1]


@cache
def kept() -> Google:
    """The one that the tests of a process speak to."""
    return Google()


def client(google: Google) -> Any:
    """Google's client, whose wire ends here."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    return bigquery.Client("shop", credentials=AnonymousCredentials(), _http=google)


class InProcess(BigQuerySource):
    """The same client, whose wire ends in this process."""

    def client(self) -> Any:
        return client(kept())


class Spoken:
    """The false BigQuery past our code, spoken to as the other drivers' connections are."""

    def __init__(self, dataset: str):
        self.cursor = kept().engine.cursor()
        self.cursor.execute(f"set schema = '\"{dataset}\"'")
        self.description = True

    def execute(self, statement: str) -> Spoken:
        self.cursor.execute(statement)
        return self

    def fetchall(self) -> list[tuple]:
        return self.cursor.fetchall()


class WritableBigQuery:
    """A dataset beside which another holds our tables."""

    name, dialect, nowhere = "bigquery", "bigquery", "bigquery://shop/nowhere"

    def __init__(self, databases: object = None):
        """Needs no server."""

    def new(self, folder: Path) -> URL:
        dataset = f"t{next(NUMBERS)}"
        self.listing = f"select table_name from information_schema.tables where table_schema = '{dataset}_sync'"
        kept().make(dataset)
        kept().make(f"{dataset}_sync")
        return make_url(f"bigquery://shop/{dataset}")

    def alone(self) -> URL:
        """A warehouse that is opened once, and in which a test makes tables through it."""
        return self.new(Path())

    def copy(self, url: URL, folder: Path) -> URL:
        other, engine = self.new(folder), kept().engine
        tables = "select table_schema, table_name from information_schema.tables where starts_with(table_schema, ?)"
        for schema, name in engine.execute(tables, [str(url.database)]).fetchall():
            if schema in (url.database, f"{url.database}_sync"):
                made = schema.replace(str(url.database), str(other.database))
                engine.execute(f'create table "{made}"."{name}" as from "{schema}"."{name}"')
        return other

    @contextmanager
    def open(self, url: URL) -> Iterator[Spoken]:
        yield Spoken(str(url.database))

    def fill(self, url: URL, table: str, rows: list[tuple]) -> None:
        with self.open(url) as connection:
            connection.execute(f"delete from {table}")
            if rows:
                places = ", ".join("?" * len(rows[0]))
                connection.cursor.executemany(f"insert into {table} values ({places})", rows)

    @contextmanager
    def ours(self, url: URL) -> Iterator[Read]:
        """What reaches our tables."""
        with self.warehouse(url) as warehouse:
            yield Read(warehouse)

    def warehouse(self, url: URL) -> Warehouse:
        return opened(url, f"{url.database}_sync")

    def close(self, url: URL) -> None:
        """Nothing of it is held."""
