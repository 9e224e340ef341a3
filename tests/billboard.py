"""An ads platform that takes hashed identifiers and keeps them by kind, and its connector: only tests have it."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from hashlib import sha256

import httpx

from world import World

CONNECTOR = """
from typing import Literal
from audiences import Hashed, Kind, Limits, Receipt
from audiences.normal import COUNTRY_META, GMAIL_EMAIL, NAME_META, PHONE_DIGITS

class Billboard(Hashed):
    limits = Limits(batch=3)
    consents = frozenset({consents})
    carries = frozenset({{"score"}})
    kinds = {{
        "email": Kind(("email",), (GMAIL_EMAIL,)),
        "phone": Kind(("phone",), (PHONE_DIGITS,)),
        "name": Kind(("first_name", "country"), (NAME_META, COUNTRY_META)),
    }}

    class Options(Hashed.Options):
        ads: Literal["granted"] | None = None

    @classmethod
    def reach(cls, settings):
        return {{"base_url": "https://billboard.example.com"}}

    def upsert(self, list_id, members):
        return self._told("add", list_id, members)

    def remove(self, list_id, members):
        return self._told("drop", list_id, members)

    def _told(self, verb, list_id, members):
        found, rejected = self.identified(members)
        rows = [[each.kind, *each.values] for each in found]
        if rows:
            self.http.post("/" + verb, json={{"list": list_id, "rows": rows}})
        return Receipt.of(members, rejected)
"""


class Provider:
    """What it holds: (kind, hash …). It refuses what is no hash."""

    def __init__(self):
        self.held: set[tuple[str, ...]] = set()
        self.asked: list[tuple[str, tuple[str, ...]]] = []  # verb, row
        self.wire: list[bytes] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.wire.append(request.content)
        verb, rows = request.url.path[1:], [tuple(row) for row in json.loads(request.content)["rows"]]
        assert all(re.fullmatch("[0-9a-f]{64}", value) for _, *values in rows for value in values)
        self.asked += [(verb, row) for row in rows]
        self.held = self.held | {*rows} if verb == "add" else self.held - {*rows}
        return httpx.Response(200, json={})


HEADER = """-- /// audience
-- about = "A test"
-- owner = "tests@example.com"
-- key = "id"
-- schedule = "@daily"
--
-- [sync.billboard]
-- list = "L"
{more}-- ///
select * from customers
"""


def hashed(kind: str, *values: str) -> tuple[str, ...]:
    """An identifier as the platform holds it, of values in its normal form."""
    return (kind, *(sha256(value.encode()).hexdigest() for value in values))


class Ads(World):
    """A project that sends the table customers to the platform. consents: that its connector asks for."""

    def __init__(self, folder, columns: str, more: str, engine=None, consents: tuple[str, ...] = ()):
        (folder / "connectors").mkdir(parents=True)
        (folder / "connectors" / "billboard.py").write_text(CONNECTOR.format(consents={*consents} or "()"))
        super().__init__(folder, connector="billboard", engine=engine)
        self.receiver = Provider()
        self.sql(f"create table customers ({columns})")
        self.define(more)

    def define(self, more: str = "", text: str = HEADER, name: str = "team") -> None:
        super().define(more, text, name)

    def customers(self, *rows: tuple) -> None:
        """Let the table hold exactly these."""
        self.engine.fill(self.url, "customers", rows)

    def reasons(self) -> set[str]:
        """Why someone is refused."""
        with closing(sqlite3.connect(self.state_file)) as state:
            return {reason for (reason,) in state.execute("select reason from refusal")}

    def asked(self, verb: str) -> set[tuple[str, ...]]:
        """What was added or dropped since it was asked last."""
        found = {row for each, row in self.receiver.asked if each == verb}
        self.receiver.asked = [(each, row) for each, row in self.receiver.asked if each != verb]
        return found
