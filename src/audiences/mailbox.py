"""What stands before the @ of an e-mail address, where a platform takes out more than case: in Python and in SQL."""

from __future__ import annotations

from dataclasses import dataclass

from audiences.phone import Without


@dataclass(frozen=True, slots=True)
class Bare:
    """A mailbox without these characters, none of them an @, and without a plus sign and what follows."""

    characters: str

    def of(self, text: str) -> str:
        mailbox, at, host = text.partition("@")
        return f"{Without(self.characters).of(mailbox.partition('+')[0])}{at}{host}" if at else text

    def sql(self, text: str) -> str:
        host, mailbox = f"substr({text}, position('@' in {text}))", f"split_part({text}, '@', 1)"
        bare = Without(self.characters).sql(f"split_part({mailbox}, '+', 1)")
        return f"case when position('@' in {text}) > 0 then {bare} || {host} else {text} end"
