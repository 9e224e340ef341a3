"""What a token endpoint answers: an access token, or a refusal told in words of our own.

Nothing of an answer is ever shown but its status and those error codes that RFC 6749 names: it may hold a token.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from audiences.errors import AudienceError, CredentialsRefused, Deferred, DeliveryError
from audiences.http.wire import host, unsure

# https://www.rfc-editor.org/rfc/rfc6749#section-5.2 (read 2026-11)
CLIENT = frozenset({"invalid_client", "unauthorized_client"})
GRANT = frozenset({"invalid_grant"})
ASKED = frozenset({"invalid_request", "invalid_scope", "unsupported_grant_type"})


@dataclass(frozen=True, slots=True)
class Granted:
    """What a token endpoint gave. seconds: how long it lasts, infinite where it does not say; refresh: "" for none."""

    access: str = field(repr=False)
    seconds: float
    refresh: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Proofs:
    """The settings that a sign-in rests on, as they are exported. client: who the worker is; grant: what it may do."""

    client: str
    grant: str


def granted(answer: httpx.Response, proofs: Proofs) -> Granted:
    """The access token of an answer. Raises CredentialsRefused, Deferred or DeliveryError where it holds none.

    https://www.rfc-editor.org/rfc/rfc6749#section-5.1 (read 2026-11)
    """
    said = _read(answer)
    access = said.get("access_token")
    # What cannot stand in a header is no token: httpx's own error about it would hold it.
    if not (answer.is_success and isinstance(access, str) and access and access.isascii() and access.isprintable()):
        raise _refusal(answer, said.get("error"), proofs)
    refresh = said.get("refresh_token")
    return Granted(access, _seconds(said.get("expires_in")), refresh if isinstance(refresh, str) else "")


def unreached(name: str) -> AudienceError:
    """What to raise where a token endpoint gave no answer."""
    return Deferred(
        f"{name} does not answer the sign-in; nothing of the batch was sent",
        do="nothing is lost: the next run goes on from here",
    )


def _read(answer: httpx.Response) -> dict[str, Any]:
    try:
        said = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}


def _seconds(lasts: object) -> float:
    """RFC 6749 only recommends to say it, as a number; some write it as text."""
    try:
        seconds = float(str(lasts))
    except ValueError:
        return float("inf")
    return max(0.0, seconds)


def _refusal(answer: httpx.Response, code: object, proofs: Proofs) -> AudienceError:
    status, said = answer.status_code, f"{host(answer.request)} answered {answer.status_code} to the sign-in"
    if status in (425, 429) or unsure(status):
        return Deferred(
            f"{said}, again and again; nothing of the batch was sent",
            do="nothing is lost: the next run goes on from here",
        )
    if code in GRANT:
        return CredentialsRefused(
            f"{said} ({code}); nothing of the batch was sent",
            do=f"get it anew at the provider and export {proofs.grant}: it was revoked, has run out or is another's",
        )
    if code in CLIENT or (status == 401 and code not in ASKED):
        return CredentialsRefused(
            f"{said}" + (f" ({code})" if code in CLIENT else "") + "; nothing of the batch was sent",
            do=f"look these up at the provider and export {proofs.client}",
        )
    if code in ASKED or code is None:
        return DeliveryError(
            f"{said}" + (f" ({code})" if code else ", without an access token") + "; nothing of the batch was sent",
            do="check the address of the token endpoint, and what the account's settings ask of it",
        )
    return CredentialsRefused(
        f"{said}, and refuses it in words of its own; nothing of the batch was sent",
        do=f"look at {proofs.client} and {proofs.grant}, and renew what the provider no longer accepts",
    )
