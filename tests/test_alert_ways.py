"""The ways by which alerts are told: what travels, what a far end that refuses it leads to, and their settings."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import re
import ssl
import textwrap
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import httpx
import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult
from pydantic import SecretStr

import canary
from alerted import posting
from audiences.alerts.alert import Alert
from audiences.alerts.mail import Mail, Server
from audiences.alerts.post import Hook, Slack
from audiences.alerts.ways import ways
from audiences.errors import DefinitionError, DeliveryError
from audiences.settings import Settings
from world import SECRET

KEY = base64.b64decode(SECRET.removeprefix("whsec_"))
MAIL = "smtp://mail.example.com?from=audiences@example.com&to=crm@example.com"
FAILED = Alert(
    "team.webhook", "run", "failed", "R&D's <host> is away", "look", "NPS 0 to 6 → us", "crm@example.com", 1.7e9
)
LATE = Alert("team.webhook", "run", "late", "no run has ended well", "look", "", "", 1.7e9)


class Box:
    """A mail server on this machine, and what it took: envelope and message. refuses: a word of SMTP -> its answer"""

    def __init__(self):
        self.taken, self.refuses = [], {}

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 (aiosmtpd's name)
        if address in self.refuses:
            return self.refuses[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 (likewise)
        if "data" in self.refuses:
            return self.refuses["data"]
        message = message_from_bytes(envelope.content, policy=default)
        canary.saw(message.get_content())
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, message))
        return "250 OK"


@pytest.fixture
def box():
    return Box()


@contextmanager
def serving(box, context=None, **options):
    """The port where a mail server answers; context: with which it speaks TLS from the first word."""
    loop = asyncio.new_event_loop()
    made = loop.create_server(lambda: SMTP(box, loop=loop, **options), "127.0.0.1", 0, ssl=context)
    server = loop.run_until_complete(made)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def mail(port, tls="none", to=("crm@example.com", "sales@example.com"), **sign_in):
    return Mail(Server("localhost", port, tls, **sign_in), "audiences@example.com", to, "AUDIENCES_ALERT_EMAIL")


@pytest.fixture
def secured(monkeypatch, tmp_path):
    """A server's certificate for localhost, from an authority that is trusted here."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return context


def test_slack_gets_one_text():
    """
    All alerts of a message are one text, titles in bold; what Slack would take for a link or a mention is plain.
    """
    seen = []
    way = posting(
        "slack", "https://hooks.example.com/T/1", Slack(), lambda request: seen.append(request) or answer("ok")
    )

    assert way.tell([FAILED, LATE]) == "hooks.example.com answered 200"
    [request] = seen
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {
        "text": "*team.webhook failed*\nR&amp;D's &lt;host&gt; is away\ndo: look\n"
        "NPS 0 to 6 → us; owner crm@example.com; since 2023-11-14 22:13 UTC\n\n"
        "*team.webhook is late*\nno run has ended well\ndo: look\nsince 2023-11-14 22:13 UTC"
    }


@pytest.mark.parametrize("key", [KEY, b""])
def test_a_webhook_gets_one_alert_by_field(key):
    """
    Any receiver gets an alert as Standard Webhooks lays it out: signed where there is a secret, and the same id when it
    comes twice.
    """
    seen = []
    way = posting("webhook", "https://in.example.com/a", Hook(key), lambda request: seen.append(request) or answer())
    for alert in (FAILED, FAILED, LATE):
        way.tell([alert])
    first = seen[0]
    ids = [request.headers["webhook-id"] for request in seen]
    signed = f"{ids[0]}.{first.headers['webhook-timestamp']}.".encode() + first.content
    mac = base64.b64encode(hmac.digest(KEY, signed, "sha256")).decode()

    assert json.loads(first.content) == {
        "type": "alert.failed",
        "timestamp": "2023-11-14T22:13:20+00:00",
        "data": {
            "subject": "team.webhook",
            "concern": "run",
            "state": "failed",
            "raised": True,
            "what": "R&D's <host> is away",
            "do": "look",
            "about": "NPS 0 to 6 → us",
            "owner": "crm@example.com",
        },
    }
    assert ids[0] == ids[1] != ids[2]
    assert first.headers.get("webhook-signature") == (f"v1,{mac}" if key else None)


def answer(text="", status=200):
    return httpx.Response(status, text=text)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "hooks.example.com refuses the message: invalid_payload"),
        (403, "answered 403"),
        (404, "hooks.example.com answered 404"),
        (302, "a redirect"),
        (500, "answered 500"),
    ],
)
def test_a_far_end_that_refuses_is_named(status, words):
    """
    What comes of it names host, answer and variable, and nothing of the address, which may hold a token.
    """
    far = posting(
        "slack",
        "https://hooks.example.com/not-a-real-token",
        Slack(),
        lambda request: answer("invalid_payload", status),
    )

    with pytest.raises(DeliveryError, match=words) as caught:
        far.tell([FAILED])
    assert "do: check the address in AUDIENCES_ALERT_SLACK" in str(caught.value)


def test_the_manual_shows_what_is_sent():
    """
    The notices and the call that docs/alerts.md shows are what such an alert makes.
    """
    page = (Path(__file__).parent.parent / "docs" / "alerts.md").read_text()
    [shown] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    of, at = ("Latest NPS answer was 0 to 6", "cx@example.com"), datetime(2026, 11, 22, 8, 15, tzinfo=UTC).timestamp()
    what = "api.hubapi.com answered 401: it refuses the account's credentials, or what they may do"
    do = "check the account's settings, and the rights of its key at the provider; nothing is lost"
    failed = Alert("detractors.hubspot", "run", "failed", what, do, *of, at)
    what = "detractors → hubspot (NPS detractors) would remove 9,120 of 18,361 members (50%); its guard allows 20%"
    do = "look: audiences plan detractors.hubspot; if it is right: audiences sync detractors.hubspot --force"
    guarded = Alert("detractors.hubspot", "run", "guarded", what, do, *of, at)

    assert json.loads(shown) == Hook().body([failed])
    assert textwrap.indent(f"{guarded.title}\n{guarded.text}\n", "    ") in page


def test_a_mail_says_all(box):
    """
    One message to all recipients, from the address that is set, which no holiday note answers.
    """
    with serving(box) as port:
        said = mail(port).tell([FAILED])
        mail(port).tell([FAILED, LATE])
    sender, recipients, message = box.taken[0]

    assert said == "localhost took it for 2 of 2 recipients"
    assert (sender, recipients) == ("audiences@example.com", ["crm@example.com", "sales@example.com"])
    assert message["subject"] == "[audiences] team.webhook failed"
    assert (message["from"], message["to"]) == ("audiences@example.com", "crm@example.com, sales@example.com")
    assert message["auto-submitted"] == "auto-generated"
    assert message["message-id"].endswith("@example.com>")
    assert message.get_content().splitlines() == ["team.webhook failed", *FAILED.text.splitlines()]
    assert box.taken[1][2]["subject"] == "[audiences] 2 alerts"


@pytest.mark.parametrize("tls", ["tls", "starttls"])
def test_a_mail_travels_by_tls_and_signs_in(box, secured, tls):
    """
    By STARTTLS and from the first word: the certificate is verified, and the password goes by TLS alone.
    """
    logins = []

    def known(server, session, envelope, mechanism, sign_in):
        logins.append(sign_in.login)
        return AuthResult(success=sign_in.password == b"not-a-real-password", handled=False)

    how = {"context": secured} if tls == "tls" else {"tls_context": secured, "require_starttls": True}
    with serving(box, authenticator=known, auth_require_tls=tls != "tls", **how) as port:
        mail(port, tls, user="u", password="not-a-real-password").tell([FAILED])
        with pytest.raises(DeliveryError, match=r"refuses the sign-in \(535\)\n  do: check AUDIENCES_ALERT_EMAIL"):
            mail(port, tls, user="u", password="not-a-real-other").tell([FAILED])

    assert len(box.taken) == 1
    assert {*logins} == {b"u"}


def test_without_tls_nothing_is_sent(box):
    """
    A server that offers no STARTTLS, or a certificate that nobody vouches for, gets neither password nor message.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with serving(box) as port, pytest.raises(DeliveryError, match="offers no STARTTLS"):
        mail(port, "starttls", user="u", password="not-a-real-password").tell([FAILED])
    with (
        serving(box, tls_context=context) as port,
        pytest.raises(DeliveryError, match=r"cannot be spoken to \(SSLCertVerificationError\)"),
    ):
        mail(port, "starttls").tell([FAILED])

    assert box.taken == []


@pytest.mark.parametrize(
    ("refuses", "words"),
    [
        ({"crm@example.com": "550 no crm@example.com", "sales@example.com": "550 no"}, "refuses every recipient"),
        ({"data": "554 not from audiences@example.com"}, "answered 554"),
    ],
)
def test_a_mail_server_that_refuses_is_named(box, refuses, words):
    """
    What comes of it names host, port and code, without the server's words: they quote addresses.
    """
    box.refuses = refuses
    with serving(box) as port, pytest.raises(DeliveryError, match=f"localhost:{port} {words}") as caught:
        mail(port).tell([FAILED])

    assert caught.value.__context__ is None


def test_a_recipient_who_is_refused_keeps_it_from_nobody(box):
    """
    Who is taken is told, once: the others are counted.
    """
    box.refuses = {"sales@example.com": "550 no such box"}
    with serving(box) as port:
        said = mail(port).tell([FAILED])

    assert said == "localhost took it for 1 of 2 recipients"
    assert box.taken[0][1] == ["crm@example.com"]


def test_a_mail_server_that_is_away_is_named(box):
    """
    One that does not answer is named, with what to look at.
    """
    with serving(box) as port:
        pass
    with pytest.raises(DeliveryError, match=r"cannot be spoken to \(ConnectionRefusedError\)"):
        mail(port).tell([FAILED])


def settings(**alerts):
    return Settings(_env_file=None, **{f"alert_{name}": SecretStr(value) for name, value in alerts.items()})


def test_every_way_that_is_set_is_there():
    """
    Slack, e-mail and a webhook, each by one URL; none where none is set.
    """
    found = ways(settings(slack="https://hooks.example.com/1", email=MAIL, webhook="http://127.0.0.1:9/"))

    assert [way.name for way in found] == ["slack", "email", "webhook"]
    assert ways(settings()) == ways(settings(slack=" ", email="")) == []


@pytest.mark.parametrize(
    ("url", "server"),
    [
        (MAIL, Server("mail.example.com", 587, "starttls")),
        (MAIL.replace("smtp:", "smtps:"), Server("mail.example.com", 465, "tls")),
        (MAIL.replace("mail.", "u%40x:p%2Fw@mail."), Server("mail.example.com", 587, "starttls", "u@x", "p/w")),
        (MAIL.replace("mail.example.com", "127.0.0.1:25"), Server("127.0.0.1", 25, "none")),
    ],
)
def test_a_mail_server_is_read_from_a_url(url, server):
    """
    smtp means STARTTLS, but on this machine; smtps TLS from the first word; each with its own port.
    """
    [way] = ways(settings(email=url))

    assert way.server == server
    assert (way.sender, way.recipients) == ("audiences@example.com", ["crm@example.com"])


def test_recipients_are_several():
    """
    By commas, and by more than one to=; a plus in an address stays one.
    """
    [way] = ways(settings(email=f"{MAIL},cx+nps@example.com&to=sales%2Bnps@example.com"))

    assert way.recipients == ["crm@example.com", "cx+nps@example.com", "sales+nps@example.com"]


@pytest.mark.parametrize(
    ("alerts", "words"),
    [
        ({"slack": "hooks.example.com/not-a-real-token"}, "AUDIENCES_ALERT_SLACK is no address to POST to"),
        ({"slack": "https://u:not-a-real-word@in.example.com"}, "AUDIENCES_ALERT_SLACK is no address to POST to"),
        ({"webhook": "http://in.example.com/not-a-real-token"}, "AUDIENCES_ALERT_WEBHOOK is not encrypted"),
        ({"webhook": "https://[::1"}, "AUDIENCES_ALERT_WEBHOOK is no URL"),
        (
            {"webhook": "https://in.example.com", "webhook_secret": "short"},
            "AUDIENCES_ALERT_WEBHOOK_SECRET is not whsec_",
        ),
        ({"webhook_secret": SECRET}, "AUDIENCES_ALERT_WEBHOOK_SECRET is set, and AUDIENCES_ALERT_WEBHOOK is not"),
        ({"email": "mail.example.com"}, "AUDIENCES_ALERT_EMAIL names no mail server"),
        ({"email": MAIL.partition("&")[0]}, "AUDIENCES_ALERT_EMAIL needs one from= and a to="),
        ({"email": f"{MAIL}&from=x@example.com"}, "AUDIENCES_ALERT_EMAIL needs one from= and a to="),
        (
            {"email": MAIL.replace("crm@", "crm")},
            "AUDIENCES_ALERT_EMAIL: what stands behind from= or to= is no address",
        ),
        ({"email": f"{MAIL}%0d%0aBcc:x@example.com"}, "is no address"),
        ({"email": MAIL.replace("mail.example.com", "mail.example.com:x")}, "AUDIENCES_ALERT_EMAIL is no URL"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(alerts, words):
    """
    The variable is named with the remedy, and never its value.
    """
    with pytest.raises(DefinitionError, match=words) as caught:
        ways(settings(**alerts))

    assert caught.value.__context__ is None
