"""Any receiver of yours: members are POSTed to WEBHOOK_URL as JSON, signed as Standard Webhooks says.

Set-up: WEBHOOK_URL (https; http only on this machine), WEBHOOK_SECRET (`whsec_` and 24 to 64 random bytes in base64:
`echo whsec_$(openssl rand -base64 32)`), known to the receiver too.

    POST {"verb": "upsert" | "remove", "list": "…", "members": [{"key": "…", "fields": {…}}]}

Any 2xx accepts all; with the body {"rejected": {"<key>": "<reason>"}} it accepts the others. 400, 413 or 422 refuses
the whole batch, which comes again in halves. Another attempt at a call has the same `webhook-id`: drop what was seen.
A removal has the fields that were last sent. `identify` names the fields that make up who a member is to the receiver,
by default `email` where it is sent, else the key.
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (1.0.0, read 2026-11)
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Annotated, Any

import httpx
import orjson
from pydantic import AfterValidator, SecretStr

from audiences import BatchRefused, Chosen, Limits, Member, Proof, Receipt, Unanswered, signed, signing_key, written


def _url(value: SecretStr) -> SecretStr:
    """An address that is safe to send people to. It may hold a token, so it is kept as a secret."""
    try:
        url = httpx.URL(value.get_secret_value().strip())
    except (httpx.InvalidURL, ValueError):
        raise ValueError("it is not a URL") from None
    if url.userinfo:
        raise ValueError("it holds a user name or password; the signature is what proves the sender")
    if not url.host or url.scheme not in ("http", "https"):
        raise ValueError("it must start with https:// and a host")
    if url.scheme == "http" and not _loopback(url.host):
        raise ValueError("it must be https, except to this machine (127.0.0.1, ::1, localhost)")
    return SecretStr(str(url))


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _secret(value: SecretStr) -> SecretStr:
    signing_key(value.get_secret_value())
    return value


class Webhook(Chosen):
    limits = Limits(batch=1000, concurrency=4)
    proof = Proof.DOCUMENTATION

    class Settings(Chosen.Settings):
        url: Annotated[SecretStr, AfterValidator(_url)]
        secret: Annotated[SecretStr, AfterValidator(_secret)]

    @classmethod
    def reach(cls, settings: Any) -> Mapping[str, Any]:
        return {"headers": {"content-type": "application/json"}}

    def upsert(self, list_id: str, members: Sequence[Member]) -> Receipt:
        return self._post("upsert", list_id, members)

    def remove(self, list_id: str, members: Sequence[Member]) -> Receipt:
        return self._post("remove", list_id, members)

    def _post(self, verb: str, list_id: str, members: Sequence[Member]) -> Receipt:
        try:
            body = orjson.dumps({"verb": verb, "list": list_id, "members": written(members)})
        except orjson.JSONEncodeError:
            raise BatchRefused("a value that JSON cannot hold, such as an integer of more than 64 bits") from None
        name = self.delivery(members)
        headers, sign = {"webhook-id": name, "idempotency-key": name}, partial(self._signed, name)
        answer = self.http.post(self._address, content=body, headers=headers, extensions={"sign": sign})
        return _receipt(answer, members)

    @cached_property
    def _address(self) -> httpx.URL:
        return httpx.URL(self.settings.url.get_secret_value())

    def _signed(self, name: str, body: bytes) -> Mapping[str, str]:
        return signed(signing_key(self.settings.secret.get_secret_value()), name, body)


def _receipt(answer: httpx.Response, members: Sequence[Member]) -> Receipt:
    """What the receiver says. Raises Unanswered where it cannot be understood: the batch may have been applied."""
    try:
        said = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return Receipt.of(members)  # "ok", or nothing at all
    try:
        # null and [] are what some languages write for an empty object
        rejected = said.get("rejected") or {}
        return Receipt.of(members, {key: str(reason or "no reason given") for key, reason in rejected.items()})
    except (AttributeError, ValueError):
        raise Unanswered(
            f"the receiver answered {answer.status_code}, and not which keys of the batch it rejects",
            do='let it answer with no body, or with {"rejected": {"<key>": "<reason>"}}, keys as they were sent',
        ) from None
