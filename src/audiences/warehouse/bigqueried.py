"""Google's client, spoken to as the driver of a database is: each statement a job, by PEP 249 as far as we need it.

Temporary tables are of a session, which begins with the first of them, ends with the connection, and has one job at a
time. No job is answered from what an earlier one was told: a worker must read what another has written since.

https://docs.cloud.google.com/bigquery/docs/sessions, …/docs/cached-results, …/docs/reference/rest/v2/Job (read 2026-11)
Imported where a connection is opened alone, for the client is an extra.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from google.api_core.exceptions import GoogleAPIError as Error
from google.auth.exceptions import GoogleAuthError
from google.cloud.bigquery import ConnectionProperty

from audiences.warehouse.dialects.bigquery import SESSION
from audiences.warehouse.sources.bigquery import BigQuerySource

__all__ = ["Connection", "Error", "Unreached", "paramstyle"]

paramstyle = "named"
LANDS = f"CREATE OR REPLACE TEMP TABLE {SESSION}."  # as `landed` says it; our own statements say TEMPORARY


class Unreached(Error):
    """Nobody answers, or nobody is signed in."""


class Connection:
    """A client of its own.

    source:     how a job is told its limits and labels
    location:   where its jobs run; None: where the tables are that one names
    session:    by which its temporary tables are found, once there is one
    most:       what a statement may take now; None: what it needs
    size:       how many bytes one may be billed for now that writes an audience down; None: as many as it likes
    """

    def __init__(self, source: BigQuerySource):
        self.source, self.client = source, source.client()
        self.location: str | None = self.client.location
        self.session: str | None = None
        self.most: timedelta | None = None
        self.size: int | None = None

    def cursor(self) -> Cursor:
        return Cursor(self)

    def close(self) -> None:
        """With its session, and so with its temporary tables. One that stays ends by itself, after a day."""
        if self.session:
            with suppress(Error, GoogleAuthError, OSError):
                self.asked("CALL BQ.ABORT_SESSION()", self._within(self.session)).result()
        self.client.close()

    def dataset(self, name: str) -> Mapping[str, Any]:
        """What there is to know of a dataset."""
        with self._reaching():
            found: Mapping[str, Any] = self.client.get_dataset(f"{self.client.project}.{name}").to_api_repr()
        return found

    def schema(self, select: str) -> Sequence[Any]:
        """The columns that a SELECT would return, by a dry run: it costs nothing, and reads no row."""
        found: Sequence[Any] = self.asked(select, {"dry_run": True}).schema
        return found

    def begun(self, sql: str) -> Any:
        """A job that has begun; of the session where it speaks of a temporary table."""
        if f"{SESSION}." not in sql:
            return self.asked(sql, {})
        if self.session is None:
            first = self.asked("SELECT 1", {"create_session": True})
            first.result()
            self.session = first.session_info.session_id
        return self.asked(sql, self._within(self.session))

    def asked(self, sql: str, options: Mapping[str, Any]) -> Any:
        source = self.source.bounded(self.most, self.size if LANDS in sql else None)
        config = source.options(sql, use_query_cache=False, **options)  # type: ignore[attr-defined]
        with self._reaching():
            return self.client.query(sql, job_config=config, location=self.location)

    def _within(self, session: str) -> Mapping[str, Any]:
        return {"connection_properties": [ConnectionProperty("session_id", session)]}

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (GoogleAuthError, OSError) as error:
            raise Unreached(str(error)) from error


class Cursor:
    """One statement at a time, and all of its rows."""

    def __init__(self, connection: Connection):
        self.connection = connection
        self.description: Sequence[tuple[Any, ...]] | None = None
        self.rowcount = -1
        self.rows: list[tuple[Any, ...]] = []

    def execute(self, operation: str, parameters: object = None) -> None:
        """A statement as it stands: it never has parameters."""
        job = self.connection.begun(operation)
        with self.connection._reaching():
            found = job.result()
            self.rows = [row.values() for row in found]
        self.description = [(field.name, field.field_type, *[None] * 5) for field in found.schema or ()] or None
        changed = job.num_dml_affected_rows
        self.rowcount = len(self.rows) if changed is None else changed

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.rows

    def close(self) -> None:
        """Nothing of it is held."""
