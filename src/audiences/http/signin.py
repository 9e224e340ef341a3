"""Sign-in that expires, as httpx `Auth`: what a connector's `reach` gives as `auth`.

An access token is kept in memory, renewed a little before it ends, and once more where a call is answered with 401. The
call for a token takes the account's own way: its lines, pace, retries and lease; `http.client` keeps its failures apart
from those of the batch. An account's settings are best named as the arguments here are: errors tell what to export.
"""

from __future__ import annotations

import hashlib
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import httpx

from audiences.errors import DefinitionError
from audiences.http.granted import Granted, Proofs, granted
from audiences.http.route import is_loopback
from audiences.http.wire import SIGN_IN

MARGIN = 60.0  # seconds before its end from which on a token is not used for a new call …
SHARE = 0.1  # … or, where that is less, this share of its life

Steps = Generator[httpx.Request, httpx.Response, "Access"]


@dataclass(frozen=True, slots=True)
class Access:
    """A token, and until when to use it, in seconds of the clock that was passed in."""

    token: str = field(repr=False)
    until: float


class Desk:
    """What all calls of one account share, whichever of its syncs makes them: the newest token, and one renewal."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.access: Access | None = None


class Store(Protocol):
    """Where what an account must not forget outlives the process."""

    def alone(self) -> AbstractContextManager[None]:
        """While the block runs, no other worker renews this account."""

    def load(self) -> Mapping[str, str]: ...

    def save(self, values: Mapping[str, str]) -> None:
        """Durable when it returns."""


class Forgetful:
    """A store that ends with the process: what a sign-in has until the worker gives it a better one."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    @contextmanager
    def alone(self) -> Iterator[None]:
        yield

    def load(self) -> Mapping[str, str]:
        return self.values

    def save(self, values: Mapping[str, str]) -> None:
        self.values.update(values)


class SignIn(httpx.Auth, ABC):
    """The part that all ways to a token have in common.

    url:    the token endpoint; https, except on this machine
    scheme: the first word of the Authorization header, where a provider wants another than Bearer
    """

    def __init__(self, url: str, *, scheme: str = "Bearer", clock: Callable[[], float] = time.monotonic):
        self.url, self.scheme, self.clock = _endpoint(url), scheme, clock
        self.section, self.desk = "", Desk()
        self.store: Store = Forgetful()

    @property
    def account(self) -> str:
        """A name for these very credentials, which shows nothing of them."""
        return hashed(type(self).__name__, str(self.url), *self._credentials())

    @property
    def lineage(self) -> str:
        """A name for what has to outlive the process: the same as long as that descends from the same setting."""
        return self.account

    def kept(self, section: str, desk: Desk, store: Store) -> None:
        """Where this account is known, and what it shares with its other syncs and with the runs to come."""
        self.section, self.desk, self.store = section, desk, store

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        access = yield from self._access(request)
        request.headers["authorization"] = f"{self.scheme} {access.token}"
        answer = yield request
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            access = yield from self._access(request, refused=access)
            request.headers["authorization"] = f"{self.scheme} {access.token}"
            yield request

    def _access(self, request: httpx.Request, refused: Access | None = None) -> Steps:
        """The token to use now. Whoever comes while another renews it waits, and takes what the other got."""
        with self.desk.lock:
            known = self.desk.access
            if known is None or known is refused or self.clock() >= known.until:
                self.desk.access = None  # also where no new one is got
                self.desk.access = known = yield from self._renewed(request)
            return known

    def _renewed(self, request: httpx.Request) -> Steps:
        _, access = yield from self._asked(request, {})
        return access

    def _asked(
        self, request: httpx.Request, more: Mapping[str, str]
    ) -> Generator[httpx.Request, httpx.Response, tuple[Granted, Access]]:
        """Ask the token endpoint. Raises CredentialsRefused, Deferred or DeliveryError; then nothing was sent."""
        began = self.clock()
        agent = request.headers.get("user-agent", "audiences")
        answer = yield httpx.Request(
            "POST",
            self.url,
            data={**self._form(), **more},
            headers={"accept": "application/json", "user-agent": agent, **self._headers()},
            extensions={SIGN_IN: True},
        )
        got = granted(answer, self._proofs())
        return got, Access(got.access, began + got.seconds - min(MARGIN, SHARE * got.seconds))

    @abstractmethod
    def _form(self) -> Mapping[str, str]:
        """What the token endpoint is told, beside what one call adds."""

    def _headers(self) -> Mapping[str, str]:
        return {}

    @abstractmethod
    def _credentials(self) -> tuple[str, ...]:
        """All that makes this account another than its neighbour."""

    @abstractmethod
    def _proofs(self) -> Proofs:
        """What to export anew where the endpoint refuses."""

    def _variable(self, name: str) -> str:
        return f"{self.section}_{name}".upper() if self.section else f"the setting {name}"


def hashed(*words: str) -> str:
    """A name for secrets that shows nothing of them."""
    return hashlib.sha256("\0".join(words).encode()).hexdigest()


def _endpoint(url: str) -> httpx.URL:
    """A token endpoint. Raises DefinitionError for one that would show the secrets to whoever listens."""
    problem = ""
    try:
        found = httpx.URL(url.strip())
        if not (found.scheme == "https" or (found.scheme == "http" and is_loopback(found.host))):
            problem = "is not https"
    except (httpx.InvalidURL, ValueError):
        problem = "is no URL"
    if problem or not found.host:
        raise DefinitionError(
            f"the address of the token endpoint {problem or 'names no host'}",
            do="write it in full, starting with https://",
        )
    return found
