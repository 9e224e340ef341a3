"""A real MariaDB for the tests, where its server is on the path, as Debian's package brings it: one a worker of them.

.ci/mariadb prints where that is.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy.engine import URL

from audiences.warehouse import Warehouse

# Nothing here outlives its test, so nothing is written for a power cut.
RUNS = ["--skip-networking", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M"]
RUNS += ["--innodb-log-file-size=4M", "--innodb-fast-shutdown=2", "--character-set-server=utf8mb4"]


class Server:
    """A running server, on a socket in a folder of its own."""

    def __init__(self, program: str):
        self.folder = Path(tempfile.mkdtemp(prefix="my", dir="/tmp"))
        self.socket, data = str(self.folder / "s"), self.folder / "data"
        data.mkdir()
        share = Path(program).parent.parent / "share" / "mysql"
        self.words = [program, "--no-defaults", f"--datadir={data}", f"--lc-messages-dir={share}", *RUNS]
        self.words += [f"--tmpdir={self.folder}"]  # a server that starts clears what others left in theirs
        self.words += ["--user=root"] if os.geteuid() == 0 else []  # unasked it refuses to run as root
        self._bootstrap(share)
        self.log = (self.folder / "log").open("wb")
        self.process = subprocess.Popen(
            [*self.words, f"--socket={self.socket}"], stdout=self.log, stderr=self.log, cwd=self.folder
        )
        self._answers()
        self.numbers = itertools.count(1)

    def _bootstrap(self, share: Path) -> None:
        """The system's own tables, and a user of the tests who may do anything."""
        scripts = ("mysql_system_tables.sql", "mysql_system_tables_data.sql")
        sql = "create database mysql;\nuse mysql;\n" + "".join((share / name).read_text() for name in scripts)
        sql += "flush privileges;\ncreate user tester@localhost;\n"
        sql += "grant all on *.* to tester@localhost with grant option;\n"
        made = subprocess.run([*self.words, "--bootstrap"], input=sql, text=True, capture_output=True, cwd=self.folder)
        assert made.returncode == 0, made.stderr[-2000:]

    def _answers(self) -> None:
        end = time.monotonic() + 30
        while True:
            try:
                with self.connected("tester"):
                    return
            except pymysql.OperationalError:
                late = self.process.poll() is not None or time.monotonic() > end
                assert not late, (self.folder / "log").read_text()
                time.sleep(0.05)

    @contextmanager
    def connected(self, user: str, database: str | None = None) -> Iterator[Any]:
        connection = pymysql.connect(unix_socket=self.socket, user=user, database=database, autocommit=True)
        try:
            yield connection
        finally:
            connection.close()

    def database(self) -> URL:
        """A new database, of which the user `onlooker` may read the tables."""
        name = f"t{next(self.numbers)}"
        with self.connected("tester") as connection, connection.cursor() as cursor:
            cursor.execute(f"create database {name}")
            cursor.execute("create user if not exists onlooker@localhost")
            cursor.execute(f"grant select on {name}.* to onlooker@localhost")
        query = {"unix_socket": self.socket}
        return URL.create("mariadb", username="onlooker", database=name, query=query)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.log.close()
        shutil.rmtree(self.folder)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[Server]:
    """A MariaDB server; started where the first test asks for it. Without the program those tests are skipped."""
    program = shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        pytest.skip("there is no mariadbd: its tests are left out (.ci/mariadb fetches one where root may)")
    running = Server(program)
    yield running
    running.stop()


class Told:
    """A connection of PyMySQL's, spoken to as the other drivers' are. Text needs a length there."""

    def __init__(self, connection: Any):
        self.connection = connection

    def execute(self, statement: str, values: Any = None) -> Any:
        cursor = self.connection.cursor()
        cursor.execute(re.sub(r"varchar(?!\()", "varchar(100)", statement), values)
        return cursor


class MariaDB:
    """A database of that server, by a user who may read and do nothing else."""

    name, dialect = "mariadb, only read", "mysql"

    def __init__(self, server: Server):
        self.server = server

    def new(self, folder: Path) -> URL:
        return self.server.database()

    @contextmanager
    def open(self, url: URL) -> Iterator[Told]:
        with self.server.connected("tester", url.database) as connection:
            yield Told(connection)

    def fill(self, url: URL, table: str, rows: list[tuple]) -> None:
        with self.open(url) as connection:
            connection.execute(f"delete from {table}")
            for row in rows:
                connection.execute(f"insert into {table} values ({', '.join(['%s'] * len(row))})", row)

    def close(self, url: URL) -> None:
        """Nothing of it is held."""


class Answered:
    """A cursor whose rows are a list, as those of the other drivers are."""

    def __init__(self, cursor: Any):
        self.cursor, self.description = cursor, cursor.description

    def fetchall(self) -> list[tuple]:
        return list(self.cursor.fetchall())


class Ours(Told):
    """The same where tests say `audience_sync`: a schema is a database of the server's, so each test has its own."""

    def execute(self, statement: str, values: Any = None) -> Any:
        database = self.connection.db.decode()
        named = re.sub(r"(?<!`)\bkey\b(?!`)", "`key`", statement.replace('"', "`"))
        return Answered(super().execute(named.replace("audience_sync", f"{database}_sync"), values))


class WritableMariaDB(MariaDB):
    """A database of that server, by a user who has just the rights that docs/warehouses.md names."""

    name, nowhere = "mariadb", "mariadb://127.0.0.1:9/none"
    listing = "select table_name from information_schema.tables where table_schema = 'audience_sync'"

    def new(self, folder: Path) -> URL:
        url = self.server.database().set(username="worker")
        with self.server.connected("tester") as connection, connection.cursor() as cursor:
            cursor.execute("create user if not exists worker@localhost")
            cursor.execute(f"grant select, create temporary tables on {url.database}.* to worker@localhost")
            cursor.execute(f"grant all on {url.database}_sync.* to worker@localhost")
        return url

    def alone(self) -> URL:
        """A warehouse that is opened once, and in which a test makes tables through it."""
        return self.new(Path()).set(username="tester")

    def copy(self, url: URL, folder: Path) -> URL:
        other = self.new(folder)
        with self.server.connected("tester") as connection, connection.cursor() as cursor:
            cursor.execute(f"create database {other.database}_sync collate utf8mb4_nopad_bin")
            for end in ("", "_sync"):
                cursor.execute(f"show tables in {url.database}{end}")
                for (name,) in cursor.fetchall():
                    cursor.execute(f"create table {other.database}{end}.{name} like {url.database}{end}.{name}")
                    cursor.execute(f"insert into {other.database}{end}.{name} select * from {url.database}{end}.{name}")
        return other

    @contextmanager
    def open(self, url: URL) -> Iterator[Told]:
        with self.server.connected("tester", url.database) as connection:
            yield Ours(connection)

    def ours(self, url: URL) -> Any:
        """What reaches our tables."""
        return self.open(url)

    def warehouse(self, url: URL) -> Warehouse:
        return Warehouse(url, f"{url.database}_sync")
