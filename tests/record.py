"""Record a connector's cassette: one story (add, change, remove) through the whole client and a real socket.

    make record CONNECTOR=hubspot                    with your own account, from the variables that the connector names
    make record CONNECTOR=hubspot AGAINST=sandbox    with its sandbox, served on this machine

An account of the provider's is written to: a list of the sandbox's name is made there, with people at example.com on it
for a moment. Options that a sync must have are written as JSON: OPTIONS='{"audience_id": "a1b2c3d4e5"}'. What is kept
has the sandbox's account in the place of yours, no header but the media type, and no address outside example.com; read
it before you commit it.
"""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import cache, partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any
from unittest.mock import patch

import httpx
import trustme
import vcr
from pydantic import SecretStr

import story
from audiences import Connector
from audiences.errors import AudienceError, DefinitionError
from test_every_connector import FILES, Clock, sandbox_of

MATCHED = ("method", "path", "query", "body")  # the host tells an account's region, and is whosever it was
ADDRESS = re.compile(r"[\w.+'-]+(?:@|%40)(?!example\.com\b)[\w-]+(?:\.[\w-]+)+")
SIGNED = re.compile(rb"\bassertion=[\w.-]+")  # by a key, as of its moment: no two are the same
KEPT = {"content-type", "retry-after", "x-restli-id"}  # headers; the last is the id of what was made


def record(name: str, options: Mapping[str, Any], live: bool, folder: Path | None = None) -> Path:
    """Tell the story and keep what was said, in this folder, or else in tests/cassettes beside the connector's own.

    Raises AudienceError where the account cannot be used; what was kept before is then kept still.
    """
    path = _named(name)
    module = sandbox_of(path)
    shown = first(module)
    sandbox = story.sandbox_with(module, shown)
    with TemporaryDirectory() as made, nullcontext() if live else served(sandbox):
        where = Path.cwd() if live else story.account(sandbox, Path(made))
        told = story.remote(path, shown | dict(options), sandbox, where, **({} if live else _hurried()))
        with taped(Path(made) / "tape.yaml") as tape:
            story.Story(told, sandbox).short()
        text = (Path(made) / "tape.yaml").read_text("utf-8")
    for real, ours in _ours(name, told, sandbox, shown).items():
        text = text.replace(real, ours)
    whom = " and ".join(sorted({each.host for each in tape.requests})) if live else f"tests/sandboxes/{name}.py"
    head = f"# Recorded {datetime.now(UTC):%Y-%m-%d} against {whom}{' (live)' if live else ', served on loopback'}.\n"
    file = (folder or cassettes(path)) / f"{name}.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(head + ADDRESS.sub("someone@example.com", text), "utf-8")
    return file


def _hurried() -> dict[str, Any]:
    """A sandbox is not waited for: the pace goes by a clock that is driven."""
    clock = Clock()
    return {"sleep": clock.sleep, "clock": clock}


def _named(name: str) -> Path:
    spoken = {each.stem: each for each in FILES if (made := sandbox_of(each)) and callable(made.Sandbox())}
    if name not in spoken:
        ways = f"write CONNECTOR=, one of: {', '.join(sorted(spoken))}"
        raise DefinitionError(f"no connector {name!r} makes calls to a sandbox", do=ways)
    return spoken[name]


def cassettes(path: Path) -> Path:
    """Where the cassette of a connector's file is kept."""
    return path.parents[1] / "tests" / "cassettes"


def first(module: Any) -> dict[str, Any]:
    """The options of a sync that the story is told with: the first that the sandbox names."""
    return dict(getattr(module, "options", ({},))[0])


def taped(file: Path, mode: str = "once") -> Any:
    """vcrpy's cassette in this file, with all but the bodies cut down to what a replay needs."""
    tape = vcr.VCR(match_on=MATCHED, before_record_request=_bare, before_record_response=_plain)
    return tape.use_cassette(str(file), record_mode=mode)


@contextmanager
def served(sandbox: Any) -> Iterator[None]:
    """Every host is this machine for a while, and the sandbox answers there, by TLS with a certificate of any name."""
    authority = trustme.CA()

    class Provider(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("content-length", 0)))
            url = f"https://{self.headers['host']}{self.path}"
            answer = sandbox(httpx.Request(self.command, url, headers=self.headers.items(), content=content))
            self.send_response(answer.status_code)
            for header, value in answer.headers.items():
                self.send_header(header, value)
            if "content-length" not in answer.headers:
                self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 (http.server's names)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with (
        ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server,
        TemporaryDirectory() as folder,
        patch.object(socket, "getaddrinfo", partial(_here, server.server_port)),
        patch.dict(os.environ, {"SSL_CERT_FILE": str(Path(folder) / "authority.pem"), "no_proxy": "*"}),
    ):
        authority.cert_pem.write_to_path(Path(folder) / "authority.pem")
        server.socket = _secured(authority).wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()
        try:
            yield
        finally:
            server.shutdown()


def _secured(authority: trustme.CA) -> ssl.SSLContext:
    """TLS as whichever host is asked for."""

    @cache
    def of(name: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(context)
        return context

    def chosen(connection: ssl.SSLObject, name: str, _: ssl.SSLContext) -> None:
        connection.context = of(name)

    context = of("localhost")
    context.sni_callback = chosen
    return context


def _here(port: int, *_: object, **__: object) -> list[Any]:
    return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))]


def _ours(name: str, told: Connector, sandbox: Any, shown: Mapping[str, Any]) -> dict[str, str]:
    """What tells of the real account -> what the sandbox's has there. Short words, as regions, and words are kept."""
    invented = {f"{variable[len(name) + 1 :]}".lower(): value for variable, value in sandbox.settings.items()}
    account = {_shown(value): str(invented.get(field, "not-a-real-value")) for field, value in told.settings}
    chosen = {str(getattr(told.options, option)): str(value) for option, value in shown.items()}
    ids = {real: ours for real, ours in chosen.items() if any(letter.isdigit() for letter in ours)}
    return {real: ours for real, ours in (account | ids).items() if len(real) > 4}


def _shown(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _bare(request: Any) -> Any:
    request.headers = {name: value for name, value in request.headers.items() if name.lower() in KEPT}
    if request.body and b"assertion=" in request.body:
        request.body = SIGNED.sub(b"assertion=signed", request.body)
    return request


def _plain(answer: dict[str, Any]) -> dict[str, Any]:
    answer["headers"] = {name: value for name, value in answer["headers"].items() if name.lower() in KEPT}
    return answer


def main(name: str, against: str = "live", options: str = "{}") -> None:
    """What `make record` calls."""
    try:
        sys.stdout.write(f"{record(name, json.loads(options or '{}'), against == 'live')}\n")
    except AudienceError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main(*sys.argv[1:])
