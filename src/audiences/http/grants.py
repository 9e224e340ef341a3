"""Three ways to an access token: the worker's own name and secret, a refresh token, a service account's key."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import quote_plus

import httpx
import orjson

from audiences.errors import DefinitionError
from audiences.http.granted import Proofs
from audiences.http.signin import SignIn, Steps, hashed

ASSERTION = 180  # seconds that a service account's assertion holds: it is used at once


class _Client(SignIn):
    """A worker that the provider knows by `client_id` and `client_secret`.

    client_auth: whether these travel in the Authorization header or in the body; a client without a secret only names
                 itself. https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1 (read 2026-11)
    scope:       the words of the scope, separated by blanks
    extra:       further fields of the form that a provider asks for
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        client_secret: str = "",
        client_auth: Literal["basic", "body"] = "basic",
        scope: str = "",
        extra: Mapping[str, str] | None = None,
        scheme: str = "Bearer",
        clock: Callable[[], float] = time.monotonic,
    ):
        super().__init__(url, scheme=scheme, clock=clock)
        self.client_id, self.client_secret = client_id, client_secret
        self.client_auth = client_auth if client_secret else "body"
        self.more = {**(extra or {}), **({"scope": scope} if scope else {})}

    def _form(self) -> dict[str, str]:
        if self.client_auth == "basic":
            return dict(self.more)
        secret = {"client_secret": self.client_secret} if self.client_secret else {}
        return {**self.more, "client_id": self.client_id, **secret}

    def _headers(self) -> dict[str, str]:
        if self.client_auth != "basic":
            return {}
        pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
        return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

    def _credentials(self) -> tuple[str, ...]:
        return self.client_id, self.client_secret, *(word for pair in sorted(self.more.items()) for word in pair)

    def _proofs(self) -> Proofs:
        client = f"{self._variable('client_id')} and {self._variable('client_secret')}"
        return Proofs(client, client)


class ClientCredentials(_Client):
    """The worker signs in as itself. https://www.rfc-editor.org/rfc/rfc6749#section-4.4 (read 2026-11)"""

    def _form(self) -> dict[str, str]:
        return {"grant_type": "client_credentials", **super()._form()}


class RefreshToken(_Client):
    """The worker acts for whoever allowed it once. https://www.rfc-editor.org/rfc/rfc6749#section-6 (read 2026-11)

    A provider may exchange the refresh token at each renewal and end the old one. The new one is kept in the state
    database before the access token that came with it is used. It counts as long as the setting is the one from which
    it descends: a new setting wins. Where the provider's answer never arrives, or the worker is killed before the new
    token is kept, only the old one is left; if the provider has ended it, someone must sign in there again. Sections of
    one project may share a refresh token; projects may not, since neither knows what the other was given.
    """

    def __init__(self, url: str, *, refresh_token: str, **client: Any):
        super().__init__(url, **client)
        self.refresh_token = refresh_token

    def _renewed(self, request: httpx.Request) -> Steps:
        with self.store.alone():
            used = self._newest()
            got, access = yield from self._asked(request, {"refresh_token": used})
            if got.refresh not in ("", used):
                self.store.save({"refresh_token": got.refresh, "descends_from": self.lineage})
        return access

    def _newest(self) -> str:
        kept = self.store.load()
        return kept["refresh_token"] if kept.get("descends_from") == self.lineage else self.refresh_token

    @property
    def lineage(self) -> str:
        return hashed(self.client_id, self.refresh_token)

    def _form(self) -> dict[str, str]:
        return {"grant_type": "refresh_token", **super()._form()}

    def _credentials(self) -> tuple[str, ...]:
        return *super()._credentials(), self.refresh_token

    def _proofs(self) -> Proofs:
        return Proofs(super()._proofs().client, self._variable("refresh_token"))


class ServiceAccount(SignIn):
    """A key of the worker's own signs a short assertion. https://www.rfc-editor.org/rfc/rfc7523 (read 2026-11)

    issuer, subject: who signs, and for whom it acts (none: the provider wants no subject); audience: by default the
    token endpoint; private_key: PEM of an RSA key, for RS256; now: seconds since 1970
    """

    def __init__(
        self,
        url: str,
        *,
        issuer: str,
        private_key: str,
        key_id: str = "",
        subject: str = "",
        audience: str = "",
        scope: str = "",
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ):
        super().__init__(url, clock=clock)
        self.claims = {"iss": issuer, "aud": audience or url.strip()}
        self.claims |= {name: value for name, value in (("sub", subject), ("scope", scope)) if value}
        self.header = {"kid": key_id} if key_id else {}
        self.private_key, self.now = private_key.replace("\\n", "\n"), now  # one line, as a .env file holds it
        self._signed()

    @classmethod
    def google(cls, key: str, *, scope: str, subject: str = "", **times: Any) -> ServiceAccount:
        """From the JSON text of a key file of Google's.

        https://developers.google.com/identity/protocols/oauth2/service-account (read 2026-11)
        """
        try:
            read = orjson.loads(key)
            found = {name: str(read[name]) for name in ("token_uri", "client_email", "private_key", "private_key_id")}
        except (orjson.JSONDecodeError, TypeError, KeyError):
            found = {}
        if not found:
            raise DefinitionError(
                "the service account's key is not the JSON of a key file with client_email, private_key, token_uri",
                do="give the text of the file as it was downloaded, on one line",
            )
        return cls(
            found["token_uri"],
            issuer=found["client_email"],
            private_key=found["private_key"],
            key_id=found["private_key_id"],
            scope=scope,
            subject=subject,
            **times,
        )

    def _form(self) -> dict[str, str]:
        return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": self._signed()}

    def _signed(self) -> str:
        """The assertion. Raises DefinitionError where the key is none; what the library says of it is not shown."""
        import jwt  # with its cryptography a tenth of a second that no other account needs

        issued = int(self.now())
        claims = {**self.claims, "iat": issued, "exp": issued + ASSERTION}
        try:
            signed = jwt.encode(claims, _key(self.private_key), algorithm="RS256", headers=self.header)
        except (jwt.PyJWTError, ValueError, TypeError):
            signed = ""
        if signed:
            return signed
        raise DefinitionError(
            "the service account's private key is no RSA key in PEM",
            do="give the whole of it, from -----BEGIN PRIVATE KEY----- to -----END PRIVATE KEY-----",
        )

    def _credentials(self) -> tuple[str, ...]:
        return *self.claims.values(), self.private_key

    def _proofs(self) -> Proofs:
        key = self._variable("private_key") if self.section else "the service account's key"
        return Proofs(key, key)


@lru_cache(maxsize=8)
def _key(pem: str) -> Any:
    """An RSA key as the library has it, read once: that takes thirty times as long as to sign with it."""
    from jwt.algorithms import RSAAlgorithm

    return RSAAlgorithm(RSAAlgorithm.SHA256).prepare_key(pem)
