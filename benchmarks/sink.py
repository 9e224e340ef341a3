"""A receiver in a process of its own. It prints its port, and ends when its standard input does.

POST /null   reads the request and answers 200: the least that a receiver can cost
POST /count  also remembers whom the request names
GET  /count  verb -> keys, as JSON, and forgets them
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from socketserver import StreamRequestHandler, ThreadingTCPServer

import orjson

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
named: dict[str, list[str]] = defaultdict(list)


class Sink(StreamRequestHandler):
    rbufsize = 1 << 18

    def handle(self) -> None:
        """One connection, kept alive until the sender closes it."""
        while line := self.rfile.readline():
            body = self.rfile.read(self._length())
            said = self._counted(line.split()[0], body) if b"/count" in line else b"{}"
            self.wfile.write(ANSWER % (len(said), said))

    def _length(self) -> int:
        """Read the headers; the bytes that follow them."""
        length = 0
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return length

    def _counted(self, method: bytes, body: bytes) -> bytes:
        if method == b"GET":
            said = orjson.dumps(named)
            named.clear()
            return said
        told = orjson.loads(body)
        named[told["verb"]].extend(member["key"] for member in told["members"])
        return b"{}"


class Server(ThreadingTCPServer):
    daemon_threads = True


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), Sink) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_address[1], flush=True)
        sys.stdin.read()
        server.shutdown()
