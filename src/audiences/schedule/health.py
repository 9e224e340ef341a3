"""Three addresses for whoever watches: /healthz, /readyz and /metrics."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from audiences.errors import AudienceError, DefinitionError

FRESH = 10.0  # seconds that the outcome of a check holds, however often it is asked for
Check = Callable[[], None]


class Health:
    """A WSGI application.

    alive:  whether jobs are woken; where not, only a new process helps
    checks: what the work needs -> a check that raises AudienceError where it is not there
    """

    def __init__(
        self,
        alive: Callable[[], bool],
        checks: Mapping[str, Check],
        registry: CollectorRegistry,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.alive, self.checks, self.clock = alive, checks, clock
        self.metrics = make_wsgi_app(registry)
        self.lock = threading.Lock()
        self.asked, self.found = float("-inf"), dict[str, str]()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return list(self.metrics(environ, start))
        if path == "/healthz":
            alive = self.alive()
            return _said(start, 200 if alive else 503, ["ok" if alive else "no job is woken any more"])
        if path == "/readyz":
            found = self._checked()
            lines = [f"{name}: {said or 'ok'}" for name, said in found.items()]
            return _said(start, 503 if any(found.values()) else 200, lines)
        return _said(start, 404, ["there are /healthz, /readyz and /metrics"])

    def _checked(self) -> dict[str, str]:
        """Each check, and what is wrong by it; one probe at a time, and not too often."""
        with self.lock:
            if self.clock() - self.asked >= FRESH:
                self.found = {name: _wrong(check) for name, check in self.checks.items()}
                self.asked = self.clock()
            return self.found


@contextmanager
def listening(app: Health, port: int) -> Iterator[int]:
    """Answer on a port of all addresses, 0 for any that is free; the port."""
    try:
        server = make_server("", port, app, Threads, Quiet)
    except OSError as error:
        raise DefinitionError(
            f"port {port} cannot be listened on: {error.strerror}", do="choose another: --port, or AUDIENCES_PORT"
        ) from None
    with server:
        threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


class Threads(ThreadingMixIn, WSGIServer):
    """A thread a request: a probe does not wait for a slow reader."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    """No line for each probe; and who hangs is left."""

    timeout = 10

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _wrong(check: Check) -> str:
    try:
        check()
    except AudienceError as error:
        return error.what
    return ""


def _said(start: Callable[..., Any], status: int, lines: Iterable[str]) -> Iterable[bytes]:
    words = {200: "200 OK", 404: "404 Not Found", 503: "503 Service Unavailable"}
    start(words[status], [("content-type", "text/plain; charset=utf-8")])
    return ["".join(f"{line}\n" for line in lines).encode()]
