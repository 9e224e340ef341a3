"""A destination without an identifier of its own, of which the sync says what identifies a member."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from audiences.connector import Connector
from audiences.errors import DefinitionError
from audiences.identity import Form


class Chosen(Connector):
    """A destination that has no identifier of its own: the sync's option `identify` chooses one.

    By default `email` where it is sent, else the member's key.
    """

    class Options(Connector.Options):
        identify: tuple[str, ...] = ()

    @classmethod
    def identify(cls, options: Any, send: Sequence[str]) -> Mapping[str, Form]:
        names = options.identify or (("email",) if "email" in send else ())
        if missing := [name for name in names if name not in send]:
            raise DefinitionError(
                f"identify names {missing[0]!r}, which is not sent",
                do=f"add it to send, or choose from: {', '.join(send)}",
            )
        return cls.formed(names)
