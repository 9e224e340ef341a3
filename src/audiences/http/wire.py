"""One attempt of one call: the right line, its time-outs, its bounds, and whether it was answered.

Transports around a transport, innermost first: Whole, Watched, Leased.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import httpx

from audiences.errors import Unanswered

CONNECT, READ, WRITE, TOTAL = 10.0, 30.0, 30.0, 35.0  # seconds of one attempt; a lease lasts 60
MOST = 10 * 2**20  # bytes of an answer, unpacked
PIECE = 64 * 2**10  # bytes of a request written between two looks at the clock
READS = frozenset({"GET", "HEAD"})  # methods of calls that change nothing
SIGN_IN = "audiences.sign_in"  # the extension of a call that asks for a token: it is no part of a batch

# Nothing of the request had left when these were raised.
NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
    UnicodeError,
)
# `Whole` hands on the answer's bytes unpacked and in one piece.
FRAMING = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})


def host(request: httpx.Request) -> str:
    """All of an address that may be shown: host and port. Paths and queries may hold an id or a token."""
    return request.url.netloc.decode("ascii", "replace")


def only_reads(request: httpx.Request) -> bool:
    """Whether a call changes nothing: by its method, or by its extension `reads` where the connector knows better."""
    return request.method in READS or bool(request.extensions.get("reads"))


def unsure(status: int) -> bool:
    """Whether an answer leaves open if the call was applied."""
    return status == httpx.codes.REQUEST_TIMEOUT or status >= httpx.codes.INTERNAL_SERVER_ERROR


@dataclass(slots=True)
class Trace:
    """What became of the attempts inside `watching`.

    unanswered: any of them may have been applied unseen, and was no mere look
    applied:    any of them was answered with success, and was none either
    """

    unanswered: bool = False
    applied: bool = False


_traces: ContextVar[tuple[Trace, ...]] = ContextVar("traces", default=())


@contextmanager
def watching() -> Iterator[Trace]:
    """Know whether any attempt of the calls made inside had no definite answer, even where a later one had."""
    trace = Trace()
    token = _traces.set((*_traces.get(), trace))
    try:
        yield trace
    finally:
        _traces.reset(token)


@contextmanager
def unwatched() -> Iterator[None]:
    """Keep the calls made inside from the traces: what becomes of them leaves no member in doubt."""
    token = _traces.set(())
    try:
        yield
    finally:
        _traces.reset(token)


class Around(httpx.BaseTransport):
    """A transport around a transport."""

    def __init__(self, inner: httpx.BaseTransport):
        self.inner = inner

    def close(self) -> None:
        self.inner.close()


class Leased(Around):
    """Ask before every attempt whether the lease lasts as long as the attempt may."""

    def __init__(self, inner: httpx.BaseTransport, lease: Callable[[float], None]):
        super().__init__(inner)
        self.lease = lease

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.lease(TOTAL)
        return self.inner.handle_request(request)


class Watched(Around):
    """Tell the traces of each attempt that was applied, and of each that may have been although no answer says so."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if only_reads(request):
            return self.inner.handle_request(request)
        try:
            answer = self.inner.handle_request(request)
        except NEVER_SENT:
            raise
        except BaseException:
            self._mark(unanswered=True)
            raise
        self._mark(unsure(answer.status_code), answer.is_success)
        return answer

    def _mark(self, unanswered: bool, applied: bool = False) -> None:
        for trace in _traces.get():
            trace.unanswered |= unanswered
            trace.applied |= applied


class Whole(Around):
    """Send all of a request and read all of its answer, within `TOTAL` seconds and `MOST` bytes.

    The request's extension `sign`, where there is one, gives the headers that belong to this attempt alone: it is
    called with the body right before each, since a signature names a moment, and an attempt may wait for long.

    What the total cannot bound, because httpx offers no hold on it: the look-up of a name, a host with several
    addresses that each use up CONNECT, an answer's head that drips in, and the one read or write under way when
    the time is up. A request is no longer being written by then, save for its last piece.
    """

    def __init__(self, inner: httpx.BaseTransport, clock: Callable[[], float]):
        super().__init__(inner)
        self.clock = clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        until = self.clock() + TOTAL
        timeout = {"connect": CONNECT, "read": READ, "write": WRITE, "pool": TOTAL}
        headers = httpx.Headers(request.headers)
        if sign := request.extensions.get("sign"):
            headers.update(sign(request.content))
        attempt = httpx.Request(
            request.method,
            request.url,
            headers=headers,
            stream=_Pieces(request.content, timeout, until, self.clock),
            extensions={**request.extensions, "timeout": timeout},
        )
        with closing(self.inner.handle_request(attempt)) as answer:
            answer.request = request
            content = self._read(answer, until)
        kept = [(name, value) for name, value in answer.headers.raw if name.lower() not in FRAMING]
        return httpx.Response(answer.status_code, headers=kept, content=content, extensions=answer.extensions)

    def _read(self, answer: httpx.Response, until: float) -> bytes:
        content = bytearray()
        for chunk in answer.iter_bytes():
            content += chunk
            if len(content) > MOST:
                raise Unanswered(
                    f"{host(answer.request)} answered {answer.status_code} with more than {MOST // 2**20} MiB",
                    do="check that the address in the settings is the provider's API; the next run looks again",
                )
            if self.clock() > until:
                raise httpx.ReadTimeout(f"no whole answer in {TOTAL:.0f} s")
        return bytes(content)


class _Pieces(httpx.SyncByteStream):
    """A request's body in pieces against the clock; then what is left of the time is what the answer may take."""

    def __init__(self, content: bytes, timeout: dict[str, float], until: float, clock: Callable[[], float]):
        self.content, self.timeout, self.until, self.clock = content, timeout, until, clock

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self.content), PIECE):
            self._left()
            yield self.content[at : at + PIECE]
        # httpcore looks into this very mapping again when it starts to read.
        self.timeout["read"] = min(READ, self._left())

    def _left(self) -> float:
        left = self.until - self.clock()
        if left <= 0:
            raise httpx.WriteTimeout(f"the request was not written in {TOTAL:.0f} s")
        return left
