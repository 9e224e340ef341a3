"""One file under audiences/, read into one frozen Audience: the only door for what people write there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from audiences import header, query
from audiences.audience import Audience, Fresh, Guard, Sync
from audiences.errors import DefinitionError
from audiences.header import Cut
from audiences.keys import NAME, NAME_RULE, FreshKeys, LimitsKeys, SyncKeys
from audiences.place import Place, meant


def load(path: Path, dialect: str) -> Audience:
    """Read `path`; `dialect` is sqlglot's name of the warehouse's SQL.

    Raises DefinitionError, naming file, line and remedy. What only the warehouse can tell is not checked here.
    """
    name = _name(path)
    file = header.cut(path)
    head = header.read(file)
    select = query.checked(file.sql, dialect, Place(path, file.sql_first))
    returned = query.output_names(select, dialect)
    for column in head.key:
        _returned(file.place("key"), "key", column, returned)
    return Audience(
        name=name,
        path=path,
        about=head.about,
        owner=head.owner,
        key=head.key,
        schedule=head.schedule,
        timezone=head.timezone,
        paused=head.paused,
        select=select,
        syncs=tuple(_sync(file, name, section, keys, returned) for section, keys in head.sync.items()),
        guard=Guard(**head.guard.model_dump()),
        fingerprint=sha256(file.text.encode()).hexdigest(),
        fresh=_fresh(file, head.fresh, dialect) if head.fresh else None,
        timeout=head.limits.timeout,
        bytes=_bytes(file, head.limits, dialect),
    )


def _name(path: Path) -> str:
    if not re.fullmatch(NAME, path.stem):
        raise DefinitionError(f"{path} names its audience {path.stem!r}", do=f"name the file with {NAME_RULE}.sql")
    return path.stem


def _fresh(file: Cut, keys: FreshKeys, dialect: str) -> Fresh:
    """What is asked of the source goes through the door by which the query goes."""
    found = Fresh(**keys.model_dump())
    query.checked(found.select, dialect, file.place("fresh", "table"))
    return found


def _bytes(file: Cut, keys: LimitsKeys, dialect: str) -> int | None:
    """What an engine cannot hold to is refused, not passed over."""
    if keys.bytes is not None and dialect != "bigquery":
        raise DefinitionError(
            f"{file.place('limits', 'bytes')} limits.bytes is for BigQuery, and this warehouse speaks {dialect}",
            do='leave it out; write timeout = "10 minutes"',
        )
    return keys.bytes


def _sync(file: Cut, audience: str, section: str, keys: SyncKeys, returned: Sequence[str] | None) -> Sync:
    place = file.place("sync", section)
    for field, column in keys.send.items():
        _returned(file.place("sync", section, "send", field), "send", column, returned)
    return Sync(
        audience=audience,
        section=section,
        connector=keys.connector or section,
        send=keys.send,
        list=keys.list,
        list_id=keys.list_id,
        mode=keys.mode,
        paused=keys.paused,
        experimental=keys.experimental,
        renamed_from=keys.renamed_from,
        options=keys.model_extra or {},
        line=place.line,
    )


def _returned(place: Place, key: str, column: str, returned: Sequence[str] | None) -> None:
    """Refuse a column that the query does not return, or twice; without word of what it returns, nothing."""
    if returned is None or returned.count(column) == 1:
        return
    if column in returned:
        raise DefinitionError(
            f"{place} {key} names {column!r}, which the query returns twice", do="rename one of them with AS"
        )
    raise DefinitionError(
        f"{place} {key} names {column!r}, which the query does not return",
        do=f"select it; {meant(column, returned)}",
    )
