"""A destination for the demo: takes what the webhook connector sends, on loopback, and shows its lists as they stand.

It reads the contract as any receiver would: it checks the signature (https://www.standardwebhooks.com), drops what was
delivered before, by `webhook-id`, and knows a member by the address. It knows nothing of the worker.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, cast

from audiences import mask

TOLERANCE = 300  # seconds that a delivery may be old, as the convention advises
SAMPLE = 3

Fields = Mapping[str, Any]


class Receiver(ThreadingHTTPServer):
    """lists: name of the list -> address -> fields; changes: members told of so far, each delivery once."""

    daemon_threads = True

    def __init__(self, secret: str, clock: Callable[[], float] = time.time):
        super().__init__(("127.0.0.1", 0), Endpoint)
        self.secret, self.clock = base64.b64decode(secret.removeprefix("whsec_")), clock
        self.lists: dict[str, dict[str, Fields]] = {}
        self.delivered: set[str] = set()
        self.changes = 0
        self.lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether one of the signatures is ours, over the id, the time and the body, and the time is near."""
        name, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not name or not sent_at.isdecimal() or abs(self.clock() - int(sent_at)) > TOLERANCE:
            return False
        digest = hmac.digest(self.secret, f"{name}.{sent_at}.".encode() + body, hashlib.sha256)
        ours = "v1," + base64.b64encode(digest).decode()
        return any(hmac.compare_digest(ours, theirs) for theirs in headers.get("webhook-signature", "").split(" "))

    def take(self, name: str, delivery: Mapping[str, Any]) -> None:
        """Apply one delivery, once, however often it comes."""
        with self.lock:
            if name in self.delivered:
                return
            self.delivered.add(name)
            self.changes += len(delivery["members"])
            members = self.lists.setdefault(delivery["list"], {})
            for member in delivery["members"]:
                address = member["fields"]["email"].strip().lower()
                if delivery["verb"] == "upsert":
                    members[address] = member["fields"]
                else:
                    members.pop(address, None)

    def shown(self) -> dict[str, dict[str, Any]]:
        """Each list with its size and a masked sample."""
        with self.lock:
            return {
                name: {
                    "members": len(members),
                    "sample": [_masked(members[address]) for address in sorted(members)[:SAMPLE]],
                }
                for name, members in sorted(self.lists.items())
            }


class Endpoint(BaseHTTPRequestHandler):
    """POST / takes a delivery; GET / is a page for people, GET /lists the same as JSON."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes; together they would wait for each other

    def do_POST(self) -> None:
        receiver = cast(Receiver, self.server)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if not receiver.signed(cast(Mapping[str, str], self.headers), body):
            self.answer(HTTPStatus.UNAUTHORIZED, b'{"error": "the signature is not ours"}')
        else:
            receiver.take(self.headers["webhook-id"], json.loads(body))
            self.answer(HTTPStatus.OK, b"{}")

    def do_GET(self) -> None:
        shown = cast(Receiver, self.server).shown()
        if self.path == "/lists":
            self.answer(HTTPStatus.OK, json.dumps(shown).encode())
        elif self.path == "/":
            self.answer(HTTPStatus.OK, page(shown).encode(), "text/html; charset=utf-8")
        else:
            self.answer(HTTPStatus.NOT_FOUND, b'{"error": "look at / or /lists"}')

    def answer(self, status: HTTPStatus, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the lists say it all."""


def page(shown: Mapping[str, Mapping[str, Any]]) -> str:
    """The lists as a small HTML page."""
    rows = "".join(
        f"<tr><td>{html.escape(name)}<td>{one['members']:,}<td>{html.escape(str(one['sample']))}"
        for name, one in shown.items()
    )
    return f"<!doctype html><title>Lists</title><table><tr><th>List<th>Members<th>Some, masked{rows}</table>\n"


@contextmanager
def receiving(secret: str) -> Iterator[Receiver]:
    """A receiver at work on a free port of loopback. secret: `whsec_` and base64, as WEBHOOK_SECRET."""
    with Receiver(secret) as receiver:
        Thread(target=receiver.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()
        try:
            yield receiver
        finally:
            receiver.shutdown()


def _masked(fields: Fields) -> dict[str, str]:
    return {name: mask.value(value) for name, value in fields.items()}
