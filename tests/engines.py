"""The engines that the tests of a warehouse run on: where each keeps one, and how a test speaks to it past our code."""

from __future__ import annotations

import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import psycopg
import pytest
from sqlalchemy.engine import URL, make_url

from audiences.warehouse import Warehouse, made, sources
from audiences.warehouse.duckdb import DuckDB as Words
from audiences.warehouse.swapped import Swapped
from mariadb import WritableMariaDB
from scale import LONGER, THOROUGH


@cache
def empty() -> bytes:
    """A warehouse file with nothing in it: to have DuckDB write one takes as long as to open it."""
    with tempfile.TemporaryDirectory() as folder:
        duckdb.connect(f"{folder}/w.duckdb").close()
        return Path(folder, "w.duckdb").read_bytes()


class DuckDB:
    """A file in the test's folder. It stays open until the test ends, for to open one costs more than most statements.

    Whoever lets another process in closes it before. It spends little thought on tables of a few rows.
    """

    name, dialect, nowhere = "duckdb", "duckdb", "duckdb:///none.duckdb"
    kept: ClassVar[dict[URL, Warehouse]] = {}
    listing = "select table_name from information_schema.tables where table_schema = 'audience_sync'"
    costly = "join_order,statistics_propagation,filter_pullup,common_subexpressions"

    def __init__(self, databases: Callable[..., URL] | None = None):
        """Needs no server."""

    def new(self, folder: Path) -> URL:
        (folder / "w.duckdb").write_bytes(empty())
        return self.keep(make_url(f"duckdb:///{folder / 'w.duckdb'}"))

    def keep(self, url: URL) -> URL:
        self.kept[url] = Warehouse(url, "audience_sync")
        self.kept[url].run("set global threads = 1")
        self.kept[url].run(f"set global disabled_optimizers = '{self.costly}'")
        return url

    def copy(self, url: URL, folder: Path) -> URL:
        shutil.copy(str(url.database), folder / "w.duckdb")
        return self.keep(make_url(f"duckdb:///{folder / 'w.duckdb'}"))

    @classmethod
    def close(cls, url: URL) -> None:
        """Let go of it, where it is still open."""
        if url in cls.kept:
            cls.kept.pop(url).close()

    def alone(self) -> URL:
        """A warehouse that is opened once."""
        return make_url("duckdb:///:memory:")

    @contextmanager
    def open(self, url: URL) -> Iterator[Any]:
        if kept := self.kept.get(url):
            with kept.connection.connection.driver_connection.duplicate() as connection:
                yield connection
        else:
            with duckdb.connect(str(url.database)) as connection:
                yield connection

    def ours(self, url: URL) -> Any:
        """What reaches our tables."""
        return self.open(url)

    def warehouse(self, url: URL) -> Warehouse:
        return Warehouse(url, "audience_sync")

    def fill(self, url: URL, table: str, rows: Sequence[tuple]) -> None:
        """Let a table hold exactly these rows."""
        with self.open(url) as connection:
            connection.execute(f"begin; delete from {table}")
            if rows:  # in one statement: each takes its time
                row = f"({', '.join('?' * len(rows[0]))})"
                values = [value for each in rows for value in each]
                connection.execute(f"insert into {table} values {', '.join([row] * len(rows))}", values)
            connection.execute("commit")


KEPT = 4  # connections to a PostgreSQL, which takes a hundred


class PostgreSQL:
    """A database of the server that the tests have started.

    A test speaks to it through one connection, which is kept: each new one is a process of the server's.
    """

    name, dialect, nowhere = "postgresql", "postgres", "postgresql://127.0.0.1:9/none"
    kept: ClassVar[dict[URL, psycopg.Connection]] = {}
    listing = DuckDB.listing

    def __init__(self, databases: Callable[..., URL]):
        self.databases = databases

    def new(self, folder: Path) -> URL:
        return self.databases()

    def copy(self, url: URL, folder: Path) -> URL:
        PostgreSQL.close(url)
        return self.databases(like=url)

    @classmethod
    def close(cls, url: URL) -> None:
        """Let go of it, where it is still open."""
        if url in cls.kept:
            cls.kept.pop(url).close()

    def alone(self) -> URL:
        """A warehouse that is opened once."""
        return self.databases()

    @contextmanager
    def open(self, url: URL) -> Iterator[Any]:
        connection = self.kept.pop(url, None) or self._connected(url)
        try:
            yield connection
            connection.commit()
        except BaseException:
            connection.close()
            raise
        PostgreSQL.close(url)  # another one, which was opened meanwhile
        self.kept[url] = connection
        for old in [*self.kept][:-KEPT]:
            PostgreSQL.close(old)

    def _connected(self, url: URL) -> psycopg.Connection:
        where = {"host": str(url.query["host"]), "user": url.username, "dbname": url.database}
        # A plan that is kept would fail once a test makes its table anew.
        return psycopg.connect(**where, autocommit=True, prepare_threshold=None)

    def ours(self, url: URL) -> Any:
        """What reaches our tables."""
        return self.open(url)

    def warehouse(self, url: URL) -> Warehouse:
        return Warehouse(url, "audience_sync")

    def fill(self, url: URL, table: str, rows: Sequence[tuple]) -> None:
        """Let a table hold exactly these rows."""
        with self.open(url) as connection:
            connection.execute(f"delete from {table}")
            if rows:
                places = ", ".join(["%s"] * len(rows[0]))
                connection.cursor().executemany(f"insert into {table} values ({places})", rows)


class SQLite:
    """A SQLite file in the test's folder, and our schema in another beside it."""

    name, dialect, nowhere = "sqlite", "sqlite", "sqlite:///none.sqlite"
    listing = "select name from audience_sync.sqlite_master where type = 'table'"
    folders: ClassVar[list[tempfile.TemporaryDirectory]] = []

    def __init__(self, databases: Callable[..., URL] | None = None):
        """Needs no server."""

    def new(self, folder: Path) -> URL:
        sqlite3.connect(folder / "w.sqlite").close()
        return make_url(f"sqlite:///{folder / 'w.sqlite'}")

    def copy(self, url: URL, folder: Path) -> URL:
        for file in Path(str(url.database)).parent.glob("w.*"):
            shutil.copy(file, folder / file.name)
        return make_url(f"sqlite:///{folder / 'w.sqlite'}")

    def close(self, url: URL) -> None:
        """Nothing of it is held."""

    def alone(self) -> URL:
        """A warehouse that is opened once."""
        self.folders.append(tempfile.TemporaryDirectory())
        return self.new(Path(self.folders[-1].name))

    @contextmanager
    def open(self, url: URL) -> Iterator[Any]:
        with closing(sqlite3.connect(str(url.database), isolation_level=None)) as connection:
            yield connection

    @contextmanager
    def ours(self, url: URL) -> Iterator[Any]:
        """What reaches our tables."""
        file = Path(str(url.database)).with_suffix(".audience_sync.sqlite")
        with closing(sqlite3.connect(str(url.database), isolation_level=None, detect_types=1)) as connection:
            connection.execute(f"attach database '{file}' as audience_sync")
            yield connection

    def warehouse(self, url: URL) -> Warehouse:
        return Warehouse(url, "audience_sync")

    def fill(self, url: URL, table: str, rows: Sequence[tuple]) -> None:
        """Let a table hold exactly these rows."""
        with self.open(url) as connection:
            connection.execute(f"delete from {table}")
            if rows:
                connection.executemany(f"insert into {table} values ({', '.join('?' * len(rows[0]))})", rows)


class Onlooker(PostgreSQL):
    """PostgreSQL by a role that may read and do nothing else."""

    name = "postgresql, only read"

    def new(self, folder: Path) -> URL:
        url = super().new(folder)
        with super().open(url) as connection:
            [(there,)] = connection.execute("select count(*) from pg_roles where rolname = 'onlooker'")
            if not there:
                connection.execute("create role onlooker login")
            connection.execute("revoke temporary on database " + str(url.database) + " from public")
            connection.execute("alter default privileges grant select on tables to onlooker")
        return url.set(username="onlooker")

    @contextmanager
    def open(self, url: URL) -> Iterator[Any]:
        with super().open(url.set(username="tester")) as connection:
            yield connection


class Closed(DuckDB):
    """A DuckDB file that others open and close; read-only connections meet no other in one process."""

    name = "duckdb, only read"

    def keep(self, url: URL) -> URL:
        return url


class Seen(SQLite):
    """The same file, which is only read."""

    name = "sqlite, only read"


class Read:
    """Our tables, whichever are meant, spoken to as a driver's connection is."""

    def __init__(self, warehouse: Warehouse):
        self.warehouse, self.description, self.rows = warehouse, True, []

    def execute(self, statement: str) -> Read:
        """Of our tables the statement may name one without quotes."""
        statement = re.sub(r"audience_sync\.(\w+)", r'"audience_sync"."\1"', statement)
        self.rows = self.warehouse.run(statement.replace("audience_sync", self.warehouse.schema))
        return self

    def fetchall(self) -> list[tuple]:
        return self.rows


class Plain(Words):
    """DuckDB, of which nothing is asked that other engines have not."""

    swaps = lands = True
    streams = numbers = apart = False

    def written(self, key: str, fields: object) -> None:
        """Rows are read."""


class Beside(Swapped):
    """A DuckDB that is asked for no transaction."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.words = Plain(self.url, self.schema)


class Swapping(DuckDB):
    """A DuckDB that is asked for no transaction: what changes one of our tables makes it anew."""

    name = "duckdb, swapped"

    @contextmanager
    def ours(self, url: URL) -> Iterator[Any]:
        """What reaches our tables, whichever are meant."""
        with self.warehouse(url) as warehouse:
            yield Read(warehouse)

    def warehouse(self, url: URL) -> Warehouse:
        return Beside(url, "audience_sync")


class ReadOnly:
    """A warehouse that is only read: our tables are in a file in the test's folder."""

    listing = DuckDB.listing

    def __init__(self, source: Any):
        self.source, self.name, self.dialect = source, source.name, source.dialect
        self.open, self.fill = source.open, source.fill

    def new(self, folder: Path) -> URL:
        self.ledger = make_url(f"duckdb:///{folder / 'ledger.duckdb'}")
        made(self.ledger)
        DuckDB().keep(self.ledger)
        return self.source.new(folder)

    def ours(self, url: URL) -> Any:
        return DuckDB().open(self.ledger)

    def warehouse(self, url: URL) -> Warehouse:
        return Warehouse(self.ledger, "audience_sync", sources.of(url))

    def close(self, url: URL) -> None:
        """Hold neither."""
        DuckDB.close(self.ledger)
        self.source.close(url)


ENGINES = {each.name: each for each in (DuckDB, PostgreSQL)}
FURTHER = {each.name: each for each in (SQLite, WritableMariaDB, Swapping)}


EVERY = ENGINES | FURTHER
# For tests that ask much of each: the further ones only where they go further, and that without transactions last, for
# what stands for seven engines is such a one.
HOLDERS = [name for name in EVERY if THOROUGH or name in ENGINES or (LONGER and name != Swapping.name)]


@pytest.fixture(params=list(ENGINES) if LONGER or THOROUGH else ["postgresql"])
def either(request: pytest.FixtureRequest) -> Any:
    """Each engine in CI; else the one that takes less: where each statement is tried on each by other tests.

    A file whose every test is told so says `engine = either`.
    """
    return started(request, request.param)


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest) -> Any:
    """Each engine in turn; those of FURTHER only where a test asks for them."""
    return started(request, request.param)


@pytest.fixture(params=HOLDERS)
def holder(request: pytest.FixtureRequest) -> Any:
    """Each engine that holds our tables, also the further ones."""
    return started(request, request.param)


def started(request: pytest.FixtureRequest, name: str) -> Any:
    """An engine by its name, with the server that it needs."""
    if name == "mariadb":
        return WritableMariaDB(request.getfixturevalue("mariadb_server"))
    if name != "postgresql":  # a file needs no server, which takes a second to start
        return EVERY[name]()
    wide = request.scope != "function"
    return PostgreSQL(
        request.getfixturevalue("postgres_server").database if wide else request.getfixturevalue("databases")
    )


def on(*names: str) -> pytest.MarkDecorator:
    """Only these engines, where what a test claims is not about the warehouse, or where one has it alone."""
    return pytest.mark.parametrize("engine", names, indirect=True)


def each(duckdb: Iterable[Any], postgresql: Iterable[Any]) -> list[tuple[str, Any]]:
    """Values to try on each engine, for `parametrize(…, indirect=[…])` with the engine first."""
    return [("duckdb", value) for value in duckdb] + [("postgresql", value) for value in postgresql]
