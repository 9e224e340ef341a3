"""A project, and a person who types commands in it: the real entry point, in this process or in one of its own."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import structlog
from sqlalchemy.engine import URL

import canary
from audiences import cli, connectors
from engines import DuckDB, PostgreSQL
from world import HEADER, SECRET, World

ODD = """from audiences import *
from audiences.connectors import find, shipped

class Odd(find("file", [shipped("connectors")])):
{body}
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def told(self) -> dict:
        """The one JSON document on stdout."""
        return json.loads(self.out)


class Project(World):
    """A project whose lists are files, its settings in .env; each audience has its own list."""

    def __init__(self, folder: Path, engine: DuckDB | PostgreSQL | None = None):
        super().__init__(folder, "file", engine)
        where = self.url.render_as_string(hide_password=False) if engine else "duckdb:///w.duckdb"
        with (folder / ".env").open("a") as file:
            file.write(f"AUDIENCES_WAREHOUSE_URL={where}\nAUDIENCES_STATE_URL=sqlite:///state/s.sqlite\n")

    @property
    def state_url(self) -> URL:
        """Where its state database is."""
        return URL.create("sqlite", database=str(self.state_file))

    def audience(self, name: str, section: str = "file", more: str = "") -> None:
        """One more audience over the same people, with a list of its own name."""
        lines = "".join(f"-- {line}\n" for line in more.splitlines())
        text = (
            HEADER.replace("[sync.webhook]", f"[sync.{section}]").replace('"L"', f'"{name}"').replace("{more}", lines)
        )
        (self.folder / "audiences" / f"{name}.sql").write_text(text)

    def odd(self, body: str) -> None:
        """Let the audience `odd` go to a connector of the project's own: that of files, but for this code."""
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        (self.folder / "connectors").mkdir(exist_ok=True)
        (self.folder / "connectors" / "odd.py").write_text(ODD.format(body=lines))
        with (self.folder / ".env").open("a") as file:
            file.write(f"ODD_FOLDER={self.folder / 'lists'}\n")
        self.audience("odd", "odd")

    def written(self, name: str = "L") -> list[str]:
        """The lines of a list's file, without its first."""
        return (self.folder / "lists" / f"{name}.csv").read_text().splitlines()[1:]

    def types(self, *words: str, answer: str = "", **environment: str) -> Ended:
        """Type a command in the project's folder; answer: what is typed when it asks."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err), _as_new():
            patch.setattr(sys, "argv", ["audiences", *words])
            patch.setattr(sys, "stdin", io.StringIO(answer))
            patch.chdir(self.folder)
            for name, value in {"AUDIENCES_LOG_LEVEL": "warning", **environment}.items():
                patch.setenv(name, value)
            try:
                cli.main()
            except SystemExit as end:
                code = int(end.code or 0)
        printed = [stream.buffer.getvalue().decode() for stream in (out, err)]
        canary.saw("".join(printed))
        return Ended(code, *printed)

    @contextmanager
    def started(self, *words: str, **environment: str) -> Iterator[subprocess.Popen]:
        """The same in a process of its own, which is gone when the block ends."""
        self.apart()
        where = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
        command = [sys.executable, "-m", "audiences", *words]
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, cwd=self.folder, env=where, **options) as process:
            try:
                yield process
            finally:
                process.kill()


@contextmanager
def _as_new() -> Iterator[None]:
    """What one process has once: its connectors, found anew, and its log, which went to a stream that is gone."""
    connectors._load.cache_clear()
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(False)
        structlog.reset_defaults()


@contextmanager
def answering(answer: Callable[[dict], tuple[int, dict]]) -> Iterator[dict[str, str]]:
    """A receiver of webhooks on loopback that answers as told (status, body); the settings that lead to it.

    It is asked with what came, and with the call's own `path` and `id` beside.
    """

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, body = answer({**told, "path": self.path, "id": self.headers["webhook-id"]})
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Nothing: a caller that was killed does not wait for its answer."""

    with Server(("127.0.0.1", 0), Endpoint) as server:
        Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()
        try:
            yield {"WEBHOOK_URL": f"http://127.0.0.1:{server.server_port}/", "WEBHOOK_SECRET": SECRET}
        finally:
            server.shutdown()
