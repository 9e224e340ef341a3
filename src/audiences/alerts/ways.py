"""The ways that are set up, read once: a setting that cannot be used is said before anything is run."""

from __future__ import annotations

from collections.abc import Iterator
from email.errors import MessageError
from email.headerregistry import Address
from urllib.parse import SplitResult, unquote, urlsplit

import httpx
from pydantic import SecretStr

from audiences import cron, signature
from audiences.alerts.mail import Mail, Server, Tls
from audiences.alerts.post import Hook, Post, Slack
from audiences.alerts.told import Way
from audiences.errors import DefinitionError
from audiences.http.route import is_loopback
from audiences.settings import Settings

SLACK, EMAIL, HOOK, SECRET = (f"AUDIENCES_ALERT_{name}" for name in ("SLACK", "EMAIL", "WEBHOOK", "WEBHOOK_SECRET"))
DIGEST = "AUDIENCES_ALERT_DIGEST"
SO = "write it so: smtps://smtp.example.com?from=ADDRESS&to=ADDRESS (docs/alerts.md)"


def ways(settings: Settings, transport: httpx.BaseTransport | None = None) -> list[Way]:
    """Each way that is set. Raises DefinitionError, naming the variable, where one cannot be used.

    transport: the far end of those that POST, instead of the network
    """
    digest(settings)
    return list(_ways(settings, transport))


def digest(settings: Settings) -> str:
    """The line of the digest; empty where there is none to send. Raises DefinitionError for what is no schedule."""
    line = settings.alert_digest.strip()
    try:
        if line:
            cron.fields(line)
    except ValueError as error:
        raise DefinitionError(
            f"{DIGEST} is no schedule: {error}", do=f"export {DIGEST}='0 8 * * 1-5': minute hour day month weekday"
        ) from None
    return line if _shown(settings.alert_slack) and settings.history_days else ""


def _ways(settings: Settings, transport: httpx.BaseTransport | None) -> Iterator[Way]:
    if url := _shown(settings.alert_slack):
        yield Post("slack", SLACK, _address(SLACK, url), Slack(), transport)
    if url := _shown(settings.alert_email):
        yield _mail(url)
    key = _key(_shown(settings.alert_webhook_secret))
    if url := _shown(settings.alert_webhook):
        yield Post("webhook", HOOK, _address(HOOK, url), Hook(key), transport)
    elif key:
        raise DefinitionError(f"{SECRET} is set, and {HOOK} is not", do=f"export {HOOK}=https://…, or unset {SECRET}")


def _shown(value: SecretStr | None) -> str:
    return value.get_secret_value().strip() if value else ""


def _address(variable: str, text: str) -> str:
    url = _parts(variable, text)
    if not url.hostname or url.scheme not in ("http", "https") or "@" in url.netloc:
        raise DefinitionError(
            f"{variable} is no address to POST to", do=f"export {variable}=https://…, without a user's name in it"
        )
    if url.scheme == "http" and not is_loopback(url.hostname):
        raise DefinitionError(f"{variable} is not encrypted", do="write https://; http:// is for this machine alone")
    return text


def _mail(text: str) -> Mail:
    url = _parts(EMAIL, text)
    if not url.hostname or url.scheme not in ("smtp", "smtps"):
        raise DefinitionError(f"{EMAIL} names no mail server", do=SO)
    said = [part.partition("=")[::2] for part in url.query.split("&")]
    senders, recipients = (
        [_addressed(each) for key, value in said if key == name for each in value.split(",")] for name in ("from", "to")
    )
    if len(senders) != 1 or not recipients:
        raise DefinitionError(f"{EMAIL} needs one from= and a to=", do=SO)
    tls: Tls = "tls" if url.scheme == "smtps" else "none" if is_loopback(url.hostname) else "starttls"
    port = url.port or (465 if tls == "tls" else 587)
    user, password = unquote(url.username or ""), unquote(url.password or "")
    return Mail(Server(url.hostname, port, tls, user, password), senders[0], recipients, EMAIL)


def _addressed(text: str) -> str:
    """An address as a URL writes it; a plus stays one."""
    try:
        return Address(addr_spec=unquote(text).strip()).addr_spec
    except (MessageError, ValueError, IndexError):
        pass
    raise DefinitionError(f"{EMAIL}: what stands behind from= or to= is no address", do=SO)


def _parts(variable: str, text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        pass
    else:
        return url
    raise DefinitionError(f"{variable} is no URL", do="write it as docs/alerts.md shows; %40 is an @ in a user's name")


def _key(secret: str) -> bytes:
    """The bytes that sign; none without a secret."""
    try:
        return signature.signing_key(secret) if secret else b""
    except ValueError:
        pass
    raise DefinitionError(
        f"{SECRET} is not {signature.SECRET_RULE}", do="make one: echo whsec_$(openssl rand -base64 32)"
    )
