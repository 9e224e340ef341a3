"""Try again what may pass: connection errors, throttling, a host that is down for a moment. Nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import httpx
import structlog

from audiences.errors import DeliveryError, Unanswered
from audiences.http.breaker import Breaker
from audiences.http.pace import Patience
from audiences.http.told import asked, passing
from audiences.http.wire import NEVER_SENT, Around, host, only_reads, unsure

log = structlog.get_logger()

FIRST = 0.5  # seconds before the second try; doubled for each one after it
ONCE = ", like the calls before it, and so was tried once"  # said of a call that failed at a host that is down
SOONEST = 1.0  # seconds; a host that asks for less has not said when to come back
HOPELESS = (httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError)  # the call itself is misshapen


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt without an answer, as a value: an httpx exception holds the whole request.

    why:     for the log, the exception's class
    sent:    whether the host may have seen the request
    passing: whether trying again may help
    """

    why: str
    sent: bool
    passing: bool


class Patient(Around):
    """Try a few times, as the breaker says, waiting longer each time, and never less than the host asks for.

    A call that the host turned away unread, with a time to come back, has not failed: it comes back as often as there
    is patience for.

    repeatable: whether a call that may have been applied can be sent again
    """

    def __init__(
        self,
        inner: httpx.BaseTransport,
        patience: Patience,
        now: Callable[[], datetime],
        breaker: Breaker,
        *,
        repeatable: bool,
    ):
        super().__init__(inner)
        self.patience, self.now, self.breaker, self.repeatable = patience, now, breaker, repeatable

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = host(request)
        tries, tried = self.breaker.tries(name), 0
        while True:
            outcome = self._attempt(request)
            tried += not self._invited(outcome)
            if tried >= tries or not self._again(request, outcome):
                break
            self._wait(request, outcome, tried)
        self.breaker.ended(name, _down(outcome))
        return _answered(request, outcome, ONCE if tries == 1 else "")

    def _attempt(self, request: httpx.Request) -> httpx.Response | Failure:
        try:
            return self.inner.handle_request(request)
        except (httpx.RequestError, UnicodeError) as error:
            return _failure(error)

    def _invited(self, outcome: httpx.Response | Failure) -> bool:
        """Whether the host did nothing and said when to come back."""
        if isinstance(outcome, Failure) or unsure(outcome.status_code):
            return False
        return passing(outcome) and asked(outcome, self.now) >= SOONEST

    def _again(self, request: httpx.Request, outcome: httpx.Response | Failure) -> bool:
        if isinstance(outcome, Failure):
            again, applied = outcome.passing, outcome.sent
        else:
            status = outcome.status_code
            again = passing(outcome) and status not in request.extensions.get("expect", ())
            applied = unsure(status)
        repeatable = self.repeatable and not request.extensions.get("creates")
        return again and (repeatable or not applied or only_reads(request))

    def _wait(self, request: httpx.Request, outcome: httpx.Response | Failure, tried: int) -> None:
        wait = FIRST * 2 ** max(0, tried - 1) * random.uniform(1, 2)
        if isinstance(outcome, Failure):
            why = outcome.why
        else:
            why, wait = str(outcome.status_code), max(wait, asked(outcome, self.now))
        log.info("http.retry", host=host(request), why=why, attempt=tried, wait=round(wait, 2))
        self.patience.wait(request, wait)


def _failure(error: Exception) -> Failure:
    why = "CertificateError" if "CERTIFICATE_VERIFY_FAILED" in str(error) else type(error).__name__
    passing = why != "CertificateError" and not isinstance(error, HOPELESS)
    return Failure(why, sent=not isinstance(error, NEVER_SENT), passing=passing)


def _down(outcome: httpx.Response | Failure) -> bool:
    """Whether a call found its host out of order."""
    if isinstance(outcome, Failure):
        return outcome.passing
    return passing(outcome) and unsure(outcome.status_code)


def _answered(request: httpx.Request, outcome: httpx.Response | Failure, more: str) -> httpx.Response:
    """The answer, or the error that stands for none: raised outside any `except`, so no chain holds the request.

    more: what is to be said besides, where it is an error
    """
    if isinstance(outcome, httpx.Response):
        outcome.extensions["more"] = more
        return outcome
    if outcome.sent:
        raise Unanswered(
            f"{host(request)} did not answer ({outcome.why}{more}); what was sent may have been applied",
            do="run again: what is in doubt is settled first",
        )
    if outcome.why == "CertificateError":
        raise DeliveryError(
            f"the certificate of {host(request)} cannot be verified; nothing was sent",
            do="where the host has an authority of its own, export SSL_CERT_FILE=<its certificate>",
        )
    if not outcome.passing:
        raise DeliveryError(
            f"a call to {host(request)!r} cannot be made ({outcome.why}); nothing was sent",
            do="look in the account's settings for an address without https://, and for blanks and line breaks",
        )
    raise DeliveryError(
        f"{host(request)} cannot be reached ({outcome.why}{more}); nothing was sent",
        do="check the host in the account's settings, the network, and HTTPS_PROXY; then run again",
    )
