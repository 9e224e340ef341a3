"""The client on a real line: sockets that break, drip, flood, redirect, compress, and proxies from the environment."""

from __future__ import annotations

import gzip
import itertools
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import trustme

from audiences import http
from audiences.connector import Limits
from audiences.errors import BatchRefused, DefinitionError, DeliveryError, Unanswered

LIMITS = Limits(batch=100)
SECRET = "not-a-real-token"
Script = Callable[[socket.socket], None]
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


def says(status: str, body: bytes = b"", *headers: str, length: int | None = None) -> Script:
    """Answer once with these words; the connection stays open."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body) if length is None else length}", *headers, "", ""]
    return lambda line: line.sendall("\r\n".join(lines).encode() + body)


def resets(line: socket.socket) -> None:
    """Break the connection off as a host that dies does."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


def hangs_up(line: socket.socket) -> None:
    line.shutdown(socket.SHUT_RDWR)


class Far:
    """The far end, on loopback: runs its scripts in turn, one a request, the last one for ever."""

    def __init__(self, *scripts: Script, context: ssl.SSLContext | None = None):
        self.scripts, self.context = list(scripts), context
        self.heads: list[str] = []
        self.bodies: list[bytes] = []
        self.connections = self.open = 0
        self.ended = threading.Event()  # no connection is open any more
        self.ear = socket.create_server(("0.0.0.0", 0))
        self.port = self.ear.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Far:
        return self

    def __exit__(self, *_: object) -> None:
        self.ear.close()

    def url(self, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}"

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self.ear.accept()
                self.connections += 1
                self.open += 1
                self.ended.clear()
                threading.Thread(target=self._talk, args=(line,), daemon=True).start()

    def _talk(self, line: socket.socket) -> None:
        with suppress(OSError), line:
            if self.context:
                line = self.context.wrap_socket(line, server_side=True)
            while request := self._request(line):
                self.heads.append(request[0])
                self.bodies.append(request[1])
                script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
                script(line)
        self.open -= 1
        if not self.open:
            self.ended.set()

    def _request(self, line: socket.socket) -> tuple[str, bytes] | None:
        got = b""
        while b"\r\n\r\n" not in got:
            if not (piece := line.recv(65536)):
                return None
            got += piece
        head, _, body = got.partition(b"\r\n\r\n")
        lengths = [int(row[15:]) for row in head.lower().split(b"\r\n") if row.startswith(b"content-length:")]
        while len(body) < sum(lengths):
            body += line.recv(65536)
        return head.decode(), body


@pytest.fixture(autouse=True)
def no_proxy_of_ours(monkeypatch):
    """The proxies of whoever runs the tests are no part of them."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def line() -> Iterator[Callable[..., http.Client]]:
    """Makes clients on the real transport, which wait for nothing, and closes them."""
    made: list[http.Client] = []

    def make(url: str, limits: Limits = LIMITS, sleep: Callable[[float], None] = lambda _: None, **options):
        made.append(http.client({"base_url": url}, limits, sleep=sleep, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_batch_goes_out_and_its_answer_comes_back(line):
    """
    A body of many pieces arrives whole, and so does the answer.
    """
    body = json.dumps(["x" * 100] * 5000).encode()
    with Far(says("200 OK", body)) as far:
        answer = line(far.url()).post("/members", content=body)

    assert far.bodies == [body]
    assert answer.json() == json.loads(body)


def test_connections_are_kept_and_bounded(line):
    """
    Calls after one another share a connection; threads share as many as the provider takes calls at once, and none is
    lost to another's closing. A closed client leaves no connection behind.
    """
    with Far(says("200 OK")) as far:
        client = line(far.url(), Limits(1, concurrency=2))
        for _ in range(3):
            client.post("/")
        alone = far.connections
        threads = [threading.Thread(target=lambda: [client.post("/") for _ in range(50)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.close()
        far.ended.wait(5)

    assert alone == 1
    assert (far.connections, far.open) == (2, 0)
    assert len(far.heads) == 403


@pytest.mark.parametrize(
    "breaks",
    [
        resets,
        hangs_up,
        lambda line: (line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"), resets(line)),
        lambda line: (line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"), hangs_up(line)),
        lambda line: (line.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: lots\r\n\r\nhalf"), hangs_up(line)),
        lambda line: (line.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n"), hangs_up(line)),
        lambda line: (line.sendall(b"good day\r\n\r\n"), hangs_up(line)),
        lambda line: (says("200 OK", b"not packed at all", "content-encoding: gzip")(line), hangs_up(line)),
    ],
    ids=["reset", "closed", "reset-in-body", "short-body", "no-length", "bad-chunk", "no-http", "bad-gzip"],
)
def test_an_answer_that_breaks_off_is_no_answer(line, breaks):
    """
    Whatever the status said, an answer that cannot be read whole is none: tried again, and in doubt.
    """
    with Far(breaks, says("204 No Content")) as far, http.watching() as trace:
        answer = line(far.url()).post("/", content=b"x")
        with Far(breaks) as broken, pytest.raises(Unanswered, match=str(broken.port)):
            line(broken.url()).post("/", content=b"x")

    assert answer.status_code == 204
    assert (len(far.heads), len(broken.heads)) == (2, 5)
    assert trace.unanswered


def test_a_date_is_waited_for_by_the_real_clock(line):
    """
    Without a Date of the host's own, a Retry-After date is read by this machine's clock.
    """
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    waits: list[float] = []
    with Far(says("429 Slow", b"", f"retry-after: {later}"), says("200 OK")) as far:
        line(far.url(), sleep=waits.append, clock=lambda: sum(waits)).post("/", content=b"x")

    assert 90 <= sum(waits) <= 100


def test_a_host_that_is_not_there(line):
    """
    A refused connection is tried again and is then a DeliveryError without a doubt.
    """
    with socket.create_server(("127.0.0.1", 0)) as ear:
        port = ear.getsockname()[1]
    waits: list[float] = []

    with http.watching() as trace, pytest.raises(DeliveryError, match=f"127.0.0.1:{port} cannot be reached") as caught:
        line(f"http://127.0.0.1:{port}", sleep=waits.append).post(f"/{SECRET}", content=b"x")

    assert not isinstance(caught.value, Unanswered)
    assert (len(waits), trace.unanswered) == (4, False)


@pytest.mark.parametrize("host", ["a..example.com", "x" * 64 + ".example.com"])
def test_a_host_that_no_name_can_be(line, host):
    """
    A misspelt host is told in words and is not tried five times.
    """
    waits: list[float] = []

    with pytest.raises(DeliveryError, match="cannot be made"):
        line(f"https://{host}", sleep=waits.append).post("/", content=b"x")

    assert waits == []


def test_a_line_break_in_a_key_is_told_without_the_key():
    """
    A header that cannot be written is the settings' fault; the error does not quote it.
    """
    with Far(says("200 OK")) as far, pytest.raises(DeliveryError, match="line breaks") as caught:
        http.client({"base_url": far.url(), "headers": {"authorization": f"{SECRET}\n"}}, Limits(1)).get("/")

    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_silent_host_times_out(line):
    """
    A host that takes a request and never answers is left when the time is up; the call is in doubt.
    """
    now = [0.0]

    def sign(body: bytes) -> dict[str, str]:  # called when the attempt's time has begun to run
        now[0] = http.TOTAL - 0.1
        return {}

    with Far(lambda line: None) as far, http.watching() as trace, pytest.raises(Unanswered, match="ReadTimeout"):
        line(far.url(), repeatable=False, clock=lambda: now[0]).post("/", content=b"", extensions={"sign": sign})

    assert trace.unanswered


def test_a_dripping_answer_is_left_when_the_minute_is_over(line):
    """
    Bytes that keep coming do not keep the worker: the total counts, not the pause between two of them.
    """
    clock = itertools.count(0, 5)

    def drips(line: socket.socket) -> None:
        line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        with suppress(OSError):
            while True:
                line.sendall(b"x" * 1000)

    with Far(drips) as far, pytest.raises(Unanswered, match="ReadTimeout"):
        line(far.url(), repeatable=False, clock=lambda: next(clock)).post("/", content=b"x")

    assert next(clock) < 120


@pytest.mark.parametrize(
    "floods",
    [says("200 OK", b"x" * 11 * 2**20), says("200 OK", gzip.compress(bytes(11 * 2**20)), "content-encoding: gzip")],
    ids=["plain", "packed"],
)
def test_a_flood_is_dammed(line, floods):
    """
    Of an answer at most 10 MiB are taken in, unpacked; more is an error that trying again would not mend.
    """
    with Far(floods) as far, http.watching() as trace, pytest.raises(Unanswered, match="more than 10 MiB"):
        line(far.url()).post("/", content=b"x")

    assert len(far.heads) == 1
    assert trace.unanswered


def test_packed_answers_are_unpacked(line):
    """
    gzip is asked for and read, in refusals too.
    """
    packed = gzip.compress(b'{"said": "no such list"}')
    with Far(says("200 OK", packed, "content-encoding: gzip"), says("422 No", packed, "content-encoding: gzip")) as far:
        client = line(far.url())
        answer = client.post("/")
        with pytest.raises(BatchRefused) as caught:
            client.post("/")

    assert answer.json() == {"said": "no such list"}
    assert caught.value.reason == '{"said": "no such list"}'
    assert "accept-encoding: gzip" in far.heads[0].lower()


def test_a_redirect_leads_nowhere(line):
    """
    A redirect is an error, and the host it names is never called.
    """
    with Far(says("200 OK")) as other:
        leads_there = says("307 Moved", b"", f"location: {other.url()}/{SECRET}")
        with Far(leads_there) as far, pytest.raises(DeliveryError, match="redirect"):
            line(far.url()).post("/", content=b"x")

    assert other.connections == 0


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_found_in_the_environment(line, monkeypatch, variable):
    """
    Where the environment names a proxy, calls go by it, and its failures are tried again like others.
    """
    with Far(says("503 Busy"), says("200 OK", b"by proxy")) as proxy:
        monkeypatch.setenv(variable, proxy.url())

        answer = line("http://lists.example.com").post("/members", content=b"x")

    assert answer.text == "by proxy"
    assert [head.split()[1] for head in proxy.heads] == ["http://lists.example.com/members"] * 2


def test_a_proxy_without_a_scheme(line, monkeypatch):
    """
    `proxy:3128` is read as it is everywhere.
    """
    with Far(says("200 OK")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"127.0.0.1:{proxy.port}")

        line("http://lists.example.com").get("/")

    assert len(proxy.heads) == 1


def test_a_proxy_that_lets_nobody_through(line, monkeypatch):
    """
    Where the proxy refuses the tunnel, the call never left, and no password of the proxy is told.
    """
    with Far(says("407 Who")) as proxy, http.watching() as trace:
        monkeypatch.setenv("HTTPS_PROXY", f"http://worker:{SECRET}@127.0.0.1:{proxy.port}")
        with pytest.raises(DeliveryError, match=r"cannot be reached \(ProxyError\)") as caught:
            line("https://lists.example.com").post("/", content=b"x")

    assert "CONNECT lists.example.com:443" in proxy.heads[0]
    assert SECRET not in str(caught.value)
    assert not trace.unanswered


def test_no_proxy_is_honoured(line, monkeypatch):
    """
    A host in NO_PROXY is called directly; 0.0.0.0 stands for a host that is not loopback.
    """
    with Far(says("200 OK", b"by proxy")) as proxy, Far(says("200 OK", b"direct")) as far:
        monkeypatch.setenv("HTTP_PROXY", proxy.url())
        by_proxy = line(far.url("0.0.0.0")).get("/").text
        monkeypatch.setenv("NO_PROXY", "other.example.com,0.0.0.0")
        direct = line(far.url("0.0.0.0")).get("/").text

    assert (by_proxy, direct) == ("by proxy", "direct")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "audiences.localhost"])
def test_loopback_is_never_proxied(line, monkeypatch, host):
    """
    A receiver on this machine is called directly, whatever proxy is set.
    """
    with Far(says("200 OK", b"by proxy")) as proxy, Far(says("200 OK", b"direct")) as far:
        monkeypatch.setenv("ALL_PROXY", proxy.url())
        with suppress(DeliveryError):  # not every resolver knows the names under localhost
            assert line(far.url(host)).get("/").text == "direct"

    assert proxy.connections == 0


@pytest.mark.parametrize(
    "proxy", ["socks5://worker:not-a-real-pass@127.0.0.1:1", "gopher://127.0.0.1", "http://a\x7fb"]
)
def test_a_proxy_that_cannot_be_used_is_told_by_its_variable(line, monkeypatch, proxy):
    """
    What the environment names and this worker cannot use is an error in words, without the address.
    """
    monkeypatch.setenv("ALL_PROXY", proxy)

    with pytest.raises(DefinitionError, match="ALL_PROXY") as caught:
        line("https://lists.example.com")

    assert "127.0.0.1" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.fixture(scope="module")
def authority():
    """An authority that nobody knows."""
    return trustme.CA()


def test_certificates_are_verified(line, monkeypatch, tmp_path, authority):
    """
    A host whose certificate nobody vouches for gets nothing; with SSL_CERT_FILE its own authority is trusted.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    with Far(says("200 OK", b"known"), context=context) as far:
        with pytest.raises(DeliveryError, match=f"certificate of localhost:{far.port} cannot be verified"):
            line(far.url("localhost", "https")).post("/", content=b"x")
        unknown = list(far.heads)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        known = line(far.url("localhost", "https")).post("/", content=b"x").text

    assert (unknown, known) == ([], "known")


def test_a_certificate_of_another_host_is_none(line, monkeypatch, tmp_path, authority):
    """
    A certificate that is vouched for, but for another name, opens no line: the host gets nothing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("other.example.com").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))

    with Far(says("200 OK"), context=context) as far, pytest.raises(DeliveryError, match="cannot be verified"):
        line(far.url("localhost", "https")).post("/", content=b"x")

    assert far.heads == []


def test_a_redirect_to_the_same_host_leads_nowhere_either(line):
    """
    A redirect is not followed on its own host: what was a POST would become another call.
    """
    with Far(says("302 Found", b"", "location: /elsewhere")) as far, pytest.raises(DeliveryError, match="redirect"):
        line(far.url()).post("/members", content=b"x")

    assert len(far.heads) == 1


def test_a_refusal_that_floods_is_dammed(line):
    """
    The body of a refusal is bounded as that of a success.
    """
    with Far(says("422 No", b"x" * 11 * 2**20)) as far, pytest.raises(Unanswered, match="more than 10 MiB"):
        line(far.url()).post("/", content=b"x")

    assert len(far.heads) == 1
