"""Alerts to an address that takes JSON: Slack's incoming webhooks, and any receiver of yours."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx
import orjson

from audiences import http, mask, signature
from audiences.alerts.alert import Alert
from audiences.connector import Limits
from audiences.errors import AudienceError, BatchRefused, DeliveryError
from audiences.http import Shared

PATIENCE = 20.0  # seconds that one message may wait in all for a host that is throttled or down


class Form(Protocol):
    """What a message looks like to its receiver. most: alerts in one; limits: calls that the receiver takes."""

    most: int
    limits: Limits

    def body(self, alerts: Sequence[Alert]) -> Mapping[str, object]:
        """The message."""

    def headers(self, alerts: Sequence[Alert], body: bytes) -> Mapping[str, str]:
        """What goes with one attempt to send it."""


@dataclass
class Post:
    """A way to tell by POST. variable: where its address is set, for errors; it may hold a token."""

    name: str
    variable: str
    url: str
    form: Form
    transport: httpx.BaseTransport | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    shared: Shared = field(init=False)

    def __post_init__(self) -> None:
        self.most, self.shared = self.form.most, Shared(self.form.limits, self.clock)

    def tell(self, alerts: Sequence[Alert]) -> str:
        """Send one message with all of these; what the far end said. Raises AudienceError where it was not taken."""
        body = orjson.dumps(self.form.body(alerts))
        more = {"sign": lambda content: self.form.headers(alerts, content)}
        with http.client(
            {"headers": {"content-type": "application/json"}},
            self.form.limits,
            patience=PATIENCE,
            shared=self.shared,
            transport=self.transport,
            sleep=self.sleep,
            clock=self.clock,
        ) as line:
            answer = self._sent(line, body, more)
        return f"{answer.url.host} answered {answer.status_code}"

    def _sent(self, line: httpx.Client, body: bytes, more: Mapping[str, Any]) -> httpx.Response:
        try:
            return line.post(self.url, content=body, extensions=dict(more))
        except BatchRefused as refusal:
            what = f"{httpx.URL(self.url).host} refuses the message: {mask.text(refusal.reason)}"
        except AudienceError as error:
            what = error.what
        raise DeliveryError(what, do=f"check the address in {self.variable}")


class Slack:
    """An incoming webhook: {"text": …}, one message a second.

    https://api.slack.com/incoming-webhooks and https://docs.slack.dev/apis/web-api/rate-limits (read 2026-11)
    """

    most = 20
    limits = Limits(batch=1, per_second=1)

    def body(self, alerts: Sequence[Alert]) -> Mapping[str, object]:
        """One text, each alert with its title in bold."""
        return {"text": "\n\n".join(f"*{_escaped(each.title)}*\n{_escaped(each.text)}" for each in alerts)}

    def headers(self, alerts: Sequence[Alert], body: bytes) -> Mapping[str, str]:
        """None of its own."""
        return {}


class Hook:
    """One alert a call, in the form and signed as Standard Webhooks says, with a key; unsigned without one.

    https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md (1.0.0, read 2026-11)
    """

    most = 1
    limits = Limits(batch=1)

    def __init__(self, key: bytes = b""):
        self.key = key

    def body(self, alerts: Sequence[Alert]) -> Mapping[str, object]:
        """The alert, with the names that its fields have here."""
        [alert] = alerts
        told = {name: getattr(alert, name) for name in ("subject", "concern", "state", "what", "do", "about", "owner")}
        moment = datetime.fromtimestamp(alert.at, UTC).isoformat()
        return {"type": f"alert.{alert.state}", "timestamp": moment, "data": {**told, "raised": alert.raised}}

    def headers(self, alerts: Sequence[Alert], body: bytes) -> Mapping[str, str]:
        """Its id, by which a receiver drops what comes twice, and the signature of this attempt."""
        [alert] = alerts
        whole = f"{alert.subject} {alert.concern} {alert.state} {alert.at}"
        name = f"msg_{hashlib.sha256(whole.encode()).hexdigest()[:24]}"
        unsigned = {"webhook-timestamp": str(int(time.time()))}
        return {"webhook-id": name, **(signature.signed(self.key, name, body) if self.key else unsigned)}


def _escaped(text: str) -> str:
    """What Slack takes for a link or a mention as plain text.

    https://api.slack.com/docs/attachments (read 2026-11)
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
