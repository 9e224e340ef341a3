"""Alerts by e-mail, through a server that speaks SMTP with TLS."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from typing import Literal

import structlog

from audiences.alerts.alert import Alert
from audiences.errors import DeliveryError

log = structlog.get_logger()
Tls = Literal["tls", "starttls", "none"]
PATIENCE = 20.0  # seconds that one answer of the server may take


@dataclass(frozen=True, slots=True)
class Server:
    """tls: from the first word, by STARTTLS, or none, which is for this machine alone; user: empty for no sign-in"""

    host: str
    port: int
    tls: Tls
    user: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class Mail:
    """A way to tell by e-mail: one message to all recipients."""

    server: Server
    sender: str
    recipients: Sequence[str]
    variable: str
    name: str = "email"
    most: int = 50

    def tell(self, alerts: Sequence[Alert]) -> str:
        """Send one message with all of these; what the far end said. Raises DeliveryError where it was not taken."""
        message = self._message(alerts)
        try:
            with self._opened() as line:
                refused = line.send_message(message, self.sender, list(self.recipients))
        except smtplib.SMTPRecipientsRefused:
            why = "refuses every recipient"
        except smtplib.SMTPAuthenticationError as error:
            why = f"refuses the sign-in ({error.smtp_code})"
        except smtplib.SMTPNotSupportedError:
            why = "offers no STARTTLS, or no sign-in"
        except smtplib.SMTPResponseException as error:
            why = f"answered {error.smtp_code}"
        except (OSError, smtplib.SMTPException) as error:
            why = f"cannot be spoken to ({type(error).__name__})"
        else:
            return f"{self.server.host} took it for {self._taken(len(refused))}"
        # Raised here, where no chain holds the server's words: they quote addresses.
        raise DeliveryError(f"{self.server.host}:{self.server.port} {why}", do=f"check {self.variable}")

    def _taken(self, refused: int) -> str:
        whole = len(self.recipients)
        if refused:
            log.warning("alert.recipients_refused", way=self.name, refused=refused)
        return f"{whole - refused} of {whole} recipients"

    def _opened(self) -> smtplib.SMTP:
        """A line to the server, signed in."""
        server, verified = self.server, ssl.create_default_context()
        if server.tls == "tls":
            line: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=PATIENCE, context=verified)
        else:
            line = smtplib.SMTP(server.host, server.port, timeout=PATIENCE)
        try:
            if server.tls == "starttls":
                line.starttls(context=verified)
            if server.user:
                line.login(server.user, server.password)
        except BaseException:
            with suppress(OSError, smtplib.SMTPException):
                line.close()
            raise
        return line

    def _message(self, alerts: Sequence[Alert]) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["From"], message["To"] = self.sender, ", ".join(self.recipients)
        message["Subject"] = "[audiences] " + (alerts[0].title if len(alerts) == 1 else f"{len(alerts)} alerts")
        message["Date"], message["Message-ID"] = formatdate(usegmt=True), make_msgid(domain=self._domain)
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday note answers it
        message.set_content("\n\n".join(f"{each.title}\n{each.text}" for each in alerts) + "\n")
        return message

    @property
    def _domain(self) -> str:
        return self.sender.rpartition("@")[2]
