"""What a command loads, opens and reads at its start: only what it needs, each once."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from sqlalchemy import create_engine, make_url

from audiences import http
from audiences.connector import Limits
from audiences.warehouse import Warehouse
from audiences.warehouse.engines import ENGINES, spoken
from audiences.warehouse.sources import SOURCES, of
from engines import empty
from prompt import Project

# Runs a command, and prints which of our modules it has loaded, and how often DuckDB was opened.
WATCHED = """import json, sys
import duckdb
opened, connect, cursor = [], duckdb.connect, duckdb.cursor
duckdb.connect = lambda *args, **options: opened.append(args or options["database"]) or connect(*args, **options)
duckdb.cursor = lambda *args: opened.append("cursor") or cursor(*args)
from audiences import cli
try:
    cli.main()
except SystemExit as ended:
    ours = sorted(name for name in sys.modules if name.startswith("audiences.warehouse."))
    print(json.dumps([ended.code, ours, len(opened)]))
"""

# Runs a command, in which something registers what it does at the end.
LATE = """import atexit
from audiences import __main__
main = __main__.main
__main__.main = lambda: (atexit.register(print, "sent"), main())
__main__.run()
"""


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """What is seen of a plan from a DuckDB file."""
    out = begun(made(tmp_path_factory.mktemp("start")), "-c", WATCHED).stdout
    code, *seen = json.loads(out.splitlines()[-1])
    assert code == 0, out
    return seen


def made(folder):
    """A project of one sync."""
    project = Project(folder)
    project.people((1, "p1@x", 1))
    project.audience("team")
    project.apart()
    return project


def begun(project, *way, command="plan"):
    """A command in a process of its own, begun in this way."""
    where = {"PYTHONPATH": ":".join(sys.path), "HOME": str(project.folder)}
    words = [sys.executable, *way, "-C", str(project.folder), command]
    return subprocess.run(words, env=where, capture_output=True, text=True, check=False)


def test_a_plan_loads_the_words_of_its_own_engine_alone(started):
    """
    No other engine's words are loaded, and no file that reads another.
    """
    loaded, _ = started

    others = {f"audiences.warehouse.{room}" for room, _ in ENGINES.values() if room != "duckdb"}
    assert "audiences.warehouse.duckdb" in loaded
    assert not others & {*loaded}
    assert not [name for name in loaded if name.startswith("audiences.warehouse.sources.")]


def test_a_plan_opens_one_duckdb(started):
    """
    The warehouse's file is opened once, and no database in memory beside it.
    """
    _, opened = started

    assert opened == 1


@pytest.mark.parametrize("command", ["plan", "status"])
def test_a_command_says_its_own_words_alone(tmp_path, command):
    """
    No library has a last word when the process ends.
    """
    ended = begun(made(tmp_path), "-m", "audiences", command=command)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout


def test_a_mistake_has_its_exit_code(tmp_path):
    """
    However the process ends, its code is the command's.
    """
    assert begun(made(tmp_path), "-m", "audiences", command="sinc").returncode == 2


def test_what_a_library_does_at_the_end_is_done(tmp_path):
    """
    A library may send what it holds at the end of the process, such as that of a connector.
    """
    assert begun(made(tmp_path), "-c", LATE).stdout.endswith("\nsent\n")


@pytest.mark.parametrize("kind", ENGINES)
def test_each_engine_has_its_words(kind):
    """
    The file and the class that are named for an engine are there.
    """
    assert spoken(make_url(f"{kind}://host/database")).dialect


@pytest.mark.parametrize("kind", SOURCES)
def test_each_engine_that_is_read_has_its_source(kind):
    """
    The file and the class that are named for an engine are there.
    """
    assert of(make_url(f"{kind}://host/database")).dialect


@pytest.mark.parametrize("query", ["", "?memory_limit=300MB"])
def test_a_connector_may_write_the_file_that_is_the_warehouse(tmp_path, query):
    """
    DuckDB opens a file a second time only with the settings of the first; a connector's SQLAlchemy has the library's.
    """
    (tmp_path / "w.duckdb").write_bytes(empty())
    url = make_url(f"duckdb:///{tmp_path / 'w.duckdb'}{query}")

    with Warehouse(url, "audience_sync") as warehouse, create_engine(url).connect() as other:
        other.exec_driver_sql("create table list (id integer)")
        other.commit()

        assert warehouse.run("select count(*) from list") == [(0,)]


@pytest.fixture
def read(monkeypatch):
    """How often the usual authorities were read; to read them takes a moment."""
    times, make = list[float](), httpx.create_ssl_context
    for name in http.AUTHORITIES:
        monkeypatch.delenv(name, raising=False)

    def slowly(*args, **options):
        if not (args or options):
            times.append(time.monotonic())
            time.sleep(0.05)
        return make(*args, **options)

    monkeypatch.setattr(httpx, "create_ssl_context", slowly)
    http._authorities.cache_clear()
    return times


def test_who_sends_nothing_reads_no_authorities(read):
    """
    A client that makes no call has no use for them.
    """
    http.client({"base_url": "https://example.com"}, Limits(batch=1, concurrency=4)).close()

    assert not read


def test_lines_that_begin_at_once_read_the_authorities_once(read):
    """
    The first call of each thread needs them, and one thread reads them for all.
    """
    with ThreadPoolExecutor(4) as four:
        made = [*four.map(lambda line: line.verified(), http._network({}, 4))]

    assert len({*made}) == 1
    assert len(read) == 1
