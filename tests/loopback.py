"""A server on this machine, at the far end of a vendor's own client."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple


class Asked(NamedTuple):
    """One request. path: with what follows `?`; header names in lower case"""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Answer = tuple[int, Mapping[str, str], bytes]  # status, headers, body


@contextmanager
def answering(answer: Callable[[Asked], Answer]) -> Iterator[int]:
    """Have each request answered by this; the server's port."""

    class Endpoint(BaseHTTPRequestHandler):
        protocol_version, wbufsize = "HTTP/1.1", 1 << 16  # in one piece: the second would wait for an acknowledgement

        def do_GET(self) -> None:
            self._answered()

        def do_POST(self) -> None:
            self._answered()

        def do_DELETE(self) -> None:
            self._answered()

        def _answered(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more, said = answer(Asked(self.command, self.path, headers, body))
            self.send_response(status)
            for name, value in {**more, "content-length": str(len(said))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Endpoint) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
