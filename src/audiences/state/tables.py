"""The tables of the newest layout. Who changes one adds a revision in `migrations` and counts VERSION up."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, MetaData, String, Table, Text

VERSION = 5
tables = MetaData()

about = Table("about", tables, Column("name", String, primary_key=True), Column("value", String, nullable=False))
lease = Table(
    "lease",
    tables,
    Column("sync", String, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("holder", String),
    Column("until", Float, nullable=False),  # seconds since 1970 by this database's clock
)
opened = Table(
    "opened",
    tables,
    Column("sync", String, primary_key=True),
    Column("outbox", Integer, nullable=False),
    Column("mark", Integer, nullable=False),  # rows below it may have been sent
)
verdict = Table(
    "verdict",
    tables,
    Column("sync", String, primary_key=True),
    Column("outbox", Integer, primary_key=True),
    Column("lo", Integer, primary_key=True),
    Column("hi", Integer, nullable=False),
    Column("verdict", String, nullable=False),
    Column("ticket", Text),  # the provider's name for the job that will judge these rows
)
refusal = Table(
    "refusal",
    tables,
    Column("sync", String, primary_key=True),
    Column("key_hash", String, primary_key=True),  # sha256 of the key, as hex
    Column("reason", Text, nullable=False),  # the provider's words, people masked
    Column("attempts", Integer, nullable=False),
)
run = Table(
    "run",
    tables,
    Column("id", String, primary_key=True),
    Column("sync", String, nullable=False),
    Column("outbox", Integer),
    Column("fingerprint", String, nullable=False),  # sha256 of the definition's file
    Column("started", Float, nullable=False),  # like `ended`: seconds since 1970 by this database's clock
    Column("ended", Float),
    Column("result", String),  # delivered, paused, guarded, deferred, failed …
    Column("note", Text),  # why it failed, or was stopped
    Column("remedy", Text),  # and what to do about that
    *(
        Column(name, Integer, nullable=False, server_default="0")
        for name in (
            *("listed", "added", "updated", "removed", "refused", "set_aside"),  # as planned, and as found
            *("delivered", "pending", "unknown"),  # changes that were acknowledged; members; claims
            "size",  # members listed after it
            *("newly_refused", "not_removed"),  # by this run: members; members, or old addresses of theirs
            "unnamed",  # by this run, too: members whom the provider refused without saying whom
            "refreshed",  # as planned
        )
    ),
    Column("revision", String),  # the git commit of the definition
    Index("ix_run_sync_started", "sync", "started"),  # the newest run of a sync is found among years of them
)
definition = Table(
    "definition",
    tables,
    Column("fingerprint", String, primary_key=True),
    Column("sql", Text, nullable=False),  # as it ran: the file without its header
)
timetable = Table(
    "timetable",
    tables,
    Column("audience", String, primary_key=True),
    Column("line", String, nullable=False),  # the schedule and zone that `since` belongs to; empty while paused
    Column("since", Float, nullable=False),  # every moment of the line up to here is served; by the worker's clock
)
told = Table(
    "told",
    tables,
    Column("way", String, primary_key=True),
    Column("subject", String, primary_key=True),  # a sync; or the audience whose file cannot be read
    Column("concern", String, primary_key=True),
    Column("state", String, nullable=False),  # what this way told last
    Column("at", Float, nullable=False),  # seconds since 1970: since when it was so
)
token = Table(
    "token",
    tables,
    Column("section", String, primary_key=True),  # the account: a hash of the setting from which the values descend
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),  # may be a secret
    Column("at", Float, nullable=False),
)
