"""The client that connectors speak through: paced, retried, bounded, and it raises for all that is not success.

It knows no list and no member. What it raises names a host and a status, never a path, a header or a body.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from ssl import SSLContext
from threading import Lock
from typing import Any

import httpx

from audiences.connector import Limits
from audiences.errors import (
    BatchRefused,
    CredentialsRefused,
    Deferred,
    DefinitionError,
    DeliveryError,
    TooLarge,
    Unanswered,
)
from audiences.http.apart import Apart
from audiences.http.breaker import Breaker
from audiences.http.pace import Pace, Paced, Patience
from audiences.http.retry import Patient
from audiences.http.route import Lines, Routed
from audiences.http.tally import Counted, Tally
from audiences.http.told import Judged, Meant, asked, passing
from audiences.http.wire import TOTAL, Leased, Trace, Watched, Whole, host, unsure, watching

__all__ = ["TOTAL", "Client", "Shared", "Trace", "client", "watching"]

CALLS = frozenset({"auth", "base_url", "cookies", "headers", "params"})  # what a reach may say of the calls
LINE = frozenset({"cert", "verify"})  # and of the line
AUTHORITIES = {"SSL_CERT_FILE", "SSL_CERT_DIR"}  # where httpx reads others, which may be exchanged
READING = Lock()  # the first calls of a run begin at once, and one of them reads for all
WORDS = 500  # characters of an answer that are kept as its reason


def _utc() -> datetime:
    return datetime.now(UTC)


def _as_http_says(answer: httpx.Response) -> None:
    """The word of a provider that adds nothing to what HTTP says."""


def _its_own(answer: httpx.Response) -> int:
    """The status of a provider who says by it what HTTP does."""
    return answer.status_code


def _held(seconds: float) -> None:
    """The lease of a client that needs none, and the pauses of one that tells nobody."""


class Shared:
    """What all clients of one account in this process have in common: one pace, what is known of its hosts, a tally.

    keep: hears the seconds of each pause that a host asks for, so that other processes heed it, too
    """

    def __init__(
        self, limits: Limits, clock: Callable[[], float] = time.monotonic, keep: Callable[[float], None] = _held
    ):
        self.pace, self.breaker, self.tally, self.keep = Pace(limits, clock), Breaker(), Tally(), keep


class Client(httpx.Client):
    """An httpx.Client that returns only 2xx, and what the request's `expect` names. It follows no redirect.

    largest: bytes of a body that the provider takes; a larger one is not sent
    """

    def __init__(self, *, now: Callable[[], datetime] = _utc, largest: float = math.inf, **options: Any):
        super().__init__(**options)
        self.now, self.largest = now, largest

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request, as httpx does.

        Raises Unanswered, Deferred, CredentialsRefused, DeliveryError, LeaseLost (AudienceErrors), or BatchRefused.
        """
        request.read()  # a body that can be sent once could not be tried again
        if (size := len(request.content)) > self.largest:
            raise TooLarge(f"it makes a body of {size:,} bytes, and the provider takes {self.largest:,}")
        answer = super().send(request, **{**options, "follow_redirects": False})
        answer.history.clear()  # httpx keeps the answer of a sign-in there, with its tokens
        if answer.is_closed:
            # httpx ties an answer to its stream in a circle, which would hold the request's body until it is collected.
            answer.stream = httpx.ByteStream(b"")
        if answer.is_success or answer.status_code in request.extensions.get("expect", ()):
            return answer
        raise _refusal(answer, asked(answer, self.now))


def client(
    reach: Mapping[str, Any],
    limits: Limits,
    *,
    repeatable: bool = True,
    passes_in: Callable[[httpx.Response], float | None] = _as_http_says,
    means: Callable[[httpx.Response], int] = _its_own,
    patience: float = 900.0,
    shared: Shared | None = None,
    lease: Callable[[float], None] = _held,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = _utc,
) -> Client:
    """A client for one account: reach is what the connector's `reach` gives, for httpx.Client.

    repeatable: whether a call that may have been applied can be sent again
    passes_in:  the provider's own word on when an answer that is no success may be another, as `Connector.passes_in`
    means:      the provider's own word on the status of an answer, as `Connector.means`
    patience:   seconds that one call may wait in all; what asks for more is Deferred
    shared:     what it has in common with the account's other clients; None: it has none
    lease:      called before every attempt with the seconds that it may take; raises LeaseLost where they are too many
    transport:  the far end instead of the network; sleep: may raise, to end a wait early

    Raises DefinitionError where the settings cannot make a client.
    """
    _check(reach)
    shared = shared or Shared(limits, clock)
    waits = Patience(patience, sleep, shared.tally)
    ends = [transport] * limits.concurrency if transport else _network(reach, limits.concurrency)
    lines = Judged(Lines([_attempts(end, clock, means, shared.tally, lease) for end in ends]), passes_in)
    paced = Paced(lines, shared.pace, waits, now, shared.keep)
    line = Apart(*(Patient(paced, waits, now, shared.breaker, repeatable=each) for each in (repeatable, True)))
    return _made({name: reach[name] for name in reach.keys() & CALLS}, line, now, limits.bytes or math.inf)


def _made(calls: Mapping[str, Any], line: httpx.BaseTransport, now: Callable[[], datetime], largest: float) -> Client:
    # An exception met here may hold a header's value: nothing raised later may lead back to it.
    with suppress(httpx.InvalidURL, ValueError):
        return Client(now=now, largest=largest, transport=line, **calls)
    raise DefinitionError(
        "the account's settings make no address or header that can be sent",
        do="look in them for a misspelt address, and for quotes, blanks and letters outside ASCII",
    )


def _attempts(
    end: httpx.BaseTransport,
    clock: Callable[[], float],
    means: Callable[[httpx.Response], int],
    tally: Tally,
    lease: Callable[[float], None],
) -> httpx.BaseTransport:
    """A line whose calls are one attempt each."""
    return Leased(Counted(Watched(Meant(Whole(end, clock), means)), tally), lease)


def _check(reach: Mapping[str, Any]) -> None:
    """Refuse what would lead round the transports below: a proxy or mounts of one's own, unverified hosts."""
    if strange := sorted(reach.keys() - CALLS - LINE):
        raise DefinitionError(
            f"a connector's reach gives {strange[0]!r}, which the worker decides",
            do=f"give only: {', '.join(sorted(CALLS | LINE))}",
        )
    if reach.get("verify", True) is False:
        raise DefinitionError(
            "a connector's reach turns the check of certificates off",
            do="take verify=False out; for an authority of your own, export SSL_CERT_FILE=<its certificate>",
        )


def _network(reach: Mapping[str, Any], lines: int) -> Sequence[httpx.BaseTransport]:
    own = {name: reach[name] for name in reach.keys() & LINE}
    if own or os.environ.keys() & AUTHORITIES:
        verified = httpx.create_ssl_context(**own)
        return [Routed(lambda: verified) for _ in range(lines)]
    return [Routed(_usual) for _ in range(lines)]


def _usual() -> SSLContext:
    """What trusts the usual authorities, read once: to read them takes longer than most calls."""
    with READING:
        return _authorities()


@cache
def _authorities() -> SSLContext:
    return httpx.create_ssl_context()


def _refusal(answer: httpx.Response, wait: float) -> Exception:
    """What an answer that is no success means, as the error to raise."""
    status, said = answer.status_code, f"{host(answer.request)} answered {answer.status_code}"
    quota = answer.extensions.get("passes_in") == math.inf
    if status in (425, 429) or ((passing(answer) or quota) and not unsure(status)):
        how = " again and again" if passing(answer) else ": a quota is used up, for longer than a run waits"
        return Deferred(
            said + how + (f", and asks for {wait:.0f} s more" if wait else ""),
            do="nothing is lost: the next run goes on from here",
        )
    if unsure(status):
        return Unanswered(
            f"{said}{answer.extensions.get('more', '')}; what was sent may have been applied",
            do="run again: what is in doubt is settled first",
        )
    if status in (401, 403):
        return CredentialsRefused(
            f"{said}: it refuses the account's credentials, or what they may do",
            do="check the account's settings, and the rights of its key at the provider; nothing is lost",
        )
    if status in (400, 413, 422):
        return BatchRefused(_words(answer))
    if answer.is_redirect:
        return DeliveryError(
            f"{said}: a redirect, which is not followed", do="put the address it leads to into the account's settings"
        )
    return DeliveryError(
        f"{said} to {answer.request.method}", do="check the list, and the address in the account's settings"
    )


def _words(answer: httpx.Response) -> str:
    """The start of an answer's text on one line; people in it are masked by whoever keeps it."""
    text = "".join(letter if letter.isprintable() else " " for letter in answer.text[: 4 * WORDS])
    return " ".join(text.split())[:WORDS] or f"answered {answer.status_code} without a word"
