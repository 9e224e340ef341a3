"""What a definition says, as frozen values. Nothing here reads a file or knows a database."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Literal

Mode = Literal["mirror", "upsert", "add"]
TABLE_LENGTH = 45  # PostgreSQL cuts names at 63 bytes, and our tables have a prefix and a number


@dataclass(frozen=True, slots=True)
class Guard:
    """The most that one run may change of a list unasked.

    added, updated, removed: shares of the members listed, 0.0 to 1.0
    floor: members; while the list has fewer, shares do not count
    most:  members that one run may change at all; None for no limit
    empty: whether an empty result may empty the list
    """

    added: float = 0.50
    updated: float = 0.50
    removed: float = 0.20
    floor: int = 10
    most: int | None = None
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Fresh:
    """How new a source must be for an audience to run.

    table, column: names as written, quoted where the engine needs it; the column says when a row came
    within: the most that its newest row may be old
    """

    table: str
    column: str
    within: timedelta

    @property
    def select(self) -> str:
        """What is asked: one row with one value, NULL where there is none."""
        return f"select max({self.column}) as newest from {self.table}"


@dataclass(frozen=True, slots=True)
class Sync:
    """One audience bound to one list of one account of a connector.

    section: the header's `[sync.<section>]`: the account, whose settings are <SECTION>_… in the environment
    list, list_id: a name or an id; exactly one is set
    send:    destination field -> column of the query
    options: the connector's own options, as written
    line:    where the section starts in its file, for errors
    """

    audience: str
    section: str
    connector: str
    send: Mapping[str, str]
    list: str | None = None
    list_id: str | None = None
    mode: Mode = "mirror"
    paused: bool = False
    experimental: bool = False
    renamed_from: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    line: int = 0

    @property
    def name(self) -> str:
        """`audience.section`, as people write it."""
        return f"{self.audience}.{self.section}"

    @property
    def table(self) -> str:
        """`audience__section`, as tables write it."""
        return table_name(self.name)

    @property
    def shown_list(self) -> str:
        return self.list or self.list_id or ""


@dataclass(frozen=True, slots=True)
class Audience:
    """One file under audiences/: who belongs, and where they are kept in step.

    key:      the columns that name a member; mostly one
    schedule: five cron fields, or @daily and its like; timezone: an IANA name
    select:   the SQL below the header, as written, without a closing semicolon
    fingerprint: sha256 of the file's text, as hex
    timeout:  the most that the warehouse may take to read the source, the query or the comparison; None: as it likes
    bytes:    the most that the query may read, on BigQuery; None: as much as it likes
    """

    name: str
    path: Path
    about: str
    owner: str
    key: tuple[str, ...]
    schedule: str
    timezone: str
    paused: bool
    select: str
    syncs: tuple[Sync, ...]
    guard: Guard
    fingerprint: str
    fresh: Fresh | None = None
    timeout: timedelta | None = None
    bytes: int | None = None

    @property
    def key_columns(self) -> str:
        """The key as a header writes it, but for the quotes around a single column."""
        return self.key[0] if len(self.key) == 1 else json.dumps(self.key)


def table_name(sync: str) -> str:
    """`audience.section` as tables write it. A long name is cut, and told from its like by a hash of the whole.

    Neither name has two underscores in a row, so three are in no name that was not cut.
    """
    written = sync.replace(".", "__")
    if len(written) <= TABLE_LENGTH:
        return written
    mark = sha256(sync.encode()).hexdigest()[:12]
    return f"{written[: TABLE_LENGTH - len(mark) - 3].rstrip('_')}___{mark}"
