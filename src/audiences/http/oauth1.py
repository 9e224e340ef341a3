"""OAuth 1.0a: each attempt of a call is signed with the account's two secrets; nothing expires, nothing is renewed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Literal

import httpx
from oauthlib.common import generate_nonce
from oauthlib.oauth1 import Client

FORM = "application/x-www-form-urlencoded"
Sign = Callable[[bytes], Mapping[str, str]]


class OAuth1(httpx.Auth):
    """https://www.rfc-editor.org/rfc/rfc5849 (read 2026-11)

    now: seconds since 1970; nonce: text that no two attempts share
    """

    def __init__(
        self,
        *,
        client_key: str,
        client_secret: str,
        token: str,
        token_secret: str,
        method: Literal["HMAC-SHA1", "HMAC-SHA256"] = "HMAC-SHA1",
        now: Callable[[], float] = time.time,
        nonce: Callable[[], str] = generate_nonce,
    ):
        self.client_key, self.client_secret = client_key, client_secret
        self.token, self.token_secret = token, token_secret
        self.method, self.now, self.nonce = method, now, nonce

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Leave the signature to the last moment: a provider refuses an old time, and a nonce that it has seen."""
        # The request is not bound: it would hold itself, and so its body, until the next collection.
        kind, before = request.headers.get("content-type", ""), request.extensions.get("sign")
        request.extensions["sign"] = partial(self._signed, request.method, str(request.url), kind, before)
        yield request

    def _signed(self, verb: str, url: str, kind: str, before: Sign | None, body: bytes) -> Mapping[str, str]:
        """The headers of one attempt. Of a body only a form is signed, as the RFC says in 3.4.1.3.1."""
        form = kind.partition(";")[0].strip().lower() == FORM and body
        signer = Client(
            self.client_key,
            self.client_secret,
            self.token,
            self.token_secret,
            signature_method=self.method,
            nonce=self.nonce(),
            timestamp=str(int(self.now())),
        )
        _, headers, _ = signer.sign(
            url, verb, body.decode() if form else None, {"Content-Type": FORM} if form else None
        )
        return {**(before(body) if before else {}), "authorization": headers["Authorization"]}
