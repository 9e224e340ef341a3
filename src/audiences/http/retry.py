"""Try again what may pass: connection errors, throttling, a host that is down for a moment. Nothing else."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import httpx
import structlog

from audiences.errors import DeliveryError, Unanswered
from audiences.http.pace import Patience, asked, passing
from audiences.http.wire import NEVER_SENT, Around, host, only_reads, unsure

log = structlog.get_logger()

TRIES = 5
FIRST = 0.5  # seconds before the second try; doubled for each one after it
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
    """Try at most `TRIES` times, waiting longer each time, and never less than the host asks for.

    repeatable: whether a call that may have been applied can be sent again
    """

    def __init__(
        self, inner: httpx.BaseTransport, patience: Patience, now: Callable[[], datetime], *, repeatable: bool
    ):
        super().__init__(inner)
        self.patience, self.now, self.repeatable = patience, now, repeatable

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for attempt in range(1, TRIES):
            outcome = self._attempt(request)
            if not self._again(request, outcome):
                return _answered(request, outcome)
            self._wait(request, outcome, attempt)
        return _answered(request, self._attempt(request))

    def _attempt(self, request: httpx.Request) -> httpx.Response | Failure:
        try:
            return self.inner.handle_request(request)
        except (httpx.RequestError, UnicodeError) as error:
            return _failure(error)

    def _again(self, request: httpx.Request, outcome: httpx.Response | Failure) -> bool:
        if isinstance(outcome, Failure):
            again, applied = outcome.passing, outcome.sent
        else:
            status = outcome.status_code
            again = passing(outcome) and status not in request.extensions.get("expect", ())
            applied = unsure(status)
        return again and (self.repeatable or not applied or only_reads(request))

    def _wait(self, request: httpx.Request, outcome: httpx.Response | Failure, attempt: int) -> None:
        wait = FIRST * 2 ** (attempt - 1) * random.uniform(1, 2)
        if isinstance(outcome, Failure):
            why = outcome.why
        else:
            why, wait = str(outcome.status_code), max(wait, asked(outcome, self.now))
        log.info("http.retry", host=host(request), why=why, attempt=attempt, wait=round(wait, 2))
        self.patience.wait(request, wait)


def _failure(error: Exception) -> Failure:
    why = "CertificateError" if "CERTIFICATE_VERIFY_FAILED" in str(error) else type(error).__name__
    passing = why != "CertificateError" and not isinstance(error, HOPELESS)
    return Failure(why, sent=not isinstance(error, NEVER_SENT), passing=passing)


def _answered(request: httpx.Request, outcome: httpx.Response | Failure) -> httpx.Response:
    """The answer, or the error that stands for none: raised outside any `except`, so no chain holds the request."""
    if isinstance(outcome, httpx.Response):
        return outcome
    if outcome.sent:
        raise Unanswered(
            f"{host(request)} did not answer ({outcome.why}); what was sent may have been applied",
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
        f"{host(request)} cannot be reached ({outcome.why}); nothing was sent",
        do="check the host in the account's settings, the network, and HTTPS_PROXY; then run again",
    )
