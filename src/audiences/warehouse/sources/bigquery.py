"""BigQuery, by its own client: a query is a job, whose result is read a page at a time.

bigquery://project/dataset?location=EU: the dataset in which a table without one is looked up, and where jobs run. Who
signs in is found as by all of Google's tools: GOOGLE_APPLICATION_CREDENTIALS names a service account's file; without
it, the account of `gcloud auth application-default login` or of the machine.

https://cloud.google.com/bigquery/docs/reference/rest/v2/Job, https://cloud.google.com/bigquery/docs/error-messages,
https://cloud.google.com/docs/authentication/application-default-credentials (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

from audiences import mask
from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse.landing import ARRAY
from audiences.warehouse.source import Source, matched, picked
from audiences.warehouse.words import Cancelled

# Whatever is not named here is text. INTERVAL and RANGE arrive as what cannot travel: such a member is refused.
KINDS = (
    dict.fromkeys(("integer", "int64"), "BIGINT")
    | dict.fromkeys(("float", "float64"), "DOUBLE")
    | dict.fromkeys(("boolean", "bool"), "BOOLEAN")
    | dict.fromkeys(("numeric", "bignumeric", "record", "struct", "interval", "range"), "VARIANT")
    | {"array": ARRAY}
)
LABEL = re.compile(
    r"/\* audiences: (?P<audience>[a-z0-9_]+)(?:\.(?P<sync>[a-z0-9_]+))?(?: run (?P<run>[a-z0-9]+))?"
    r"(?: commit (?P<commit>[0-9a-f]+))? \*/"
)

DENIED, NAMING = {"accessDenied"}, {"invalidQuery", "notFound", "invalid"}
CANCELLED = {"stopped", "timeout", "cancelled"}


@dataclass(frozen=True, slots=True)
class BigQuerySource(Source):
    """BigQuery, of which a role with bigquery.jobs.create and the right to read the tables is enough.

    size: bytes that a query may be billed for; None: as many as it likes
    """

    size: int | None = None

    dialect = "bigquery"

    def bounded(self, most: timedelta | None, size: int | None) -> Source:
        """Both are limits of a job."""
        return replace(self, most=most, size=size)

    def named(self, select: str) -> dict[str, str]:
        """By a dry run, which costs nothing."""
        with self._open(reads=False) as client:
            job = client.query(select, job_config=self.options(select, dry_run=True, use_query_cache=False))
            return {field.name: "array" if field.mode == "REPEATED" else field.field_type for field in job.schema}

    def kind(self, type_: str) -> str:
        """By its name, of the older and the newer kind."""
        return matched(type_, KINDS, "VARCHAR")

    def asked(self, select: str) -> Sequence[Sequence[Any]]:
        """A job of its own."""
        with self._open() as client:
            return [row.values() for row in client.query(select, job_config=self.options(select)).result()]

    def batches(self, select: str, columns: Sequence[str]) -> Generator[Sequence[Sequence[Any]]]:
        """A page at a time, of 10 MB at most; the result waits at Google for a day."""
        wanted = picked(select, (f"`{column}`" for column in columns))
        with self._open() as client:
            for page in client.query(wanted, job_config=self.options(wanted)).result().pages:
                if rows := [row.values() for row in page]:  # that of an empty result has none
                    yield rows

    def client(self) -> Any:
        """A client that has found who it is. Raises WarehouseError where nobody is signed in."""
        from google.auth.exceptions import GoogleAuthError
        from google.cloud import bigquery

        location = str(self.url.query["location"]) if "location" in self.url.query else None
        try:
            return bigquery.Client(project=self.url.host, location=location)
        except (GoogleAuthError, OSError, ValueError) as error:
            raise self.shut(error) from None

    def options(self, sql: str, **more: Any) -> Any:
        """How a job runs: its limits, and the labels by which its cost is found in bills and INFORMATION_SCHEMA."""
        from google.cloud.bigquery import QueryJobConfig

        found = LABEL.search(sql)
        told = {name: value for name, value in (found.groupdict() if found else {}).items() if value}
        if self.url.database:
            more["default_dataset"] = f"{self.url.host}.{self.url.database}"
        if self.size is not None:
            more["maximum_bytes_billed"] = self.size
        if self.most is not None:
            more["job_timeout_ms"] = self.most // timedelta(milliseconds=1)
        return QueryJobConfig(labels={"tool": "audiences", **told}, **more)

    @contextmanager
    def _open(self, reads: bool = True) -> Iterator[Any]:
        """reads: whether what fails may be about values, and not about names alone"""
        if find_spec("google.cloud.bigquery") is None:
            raise DefinitionError("BigQuery needs a driver", do="pip install 'audiences[bigquery]'")
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError

        with closing(self.client()) as client:
            try:
                yield client
            except GoogleAPIError as error:
                raise self.refusal(error, reads) from None
            except (GoogleAuthError, OSError) as error:
                raise self.shut(error) from None

    def refusal(self, error: Any, reads: bool = True) -> Exception:
        """By its reason. It is one for a wrong name and for a wrong value: what fails as it runs is not shown."""
        told = (getattr(error, "errors", None) or [{}])[0]
        reason, said = str(told.get("reason", "")), mask.text(str(told.get("message", "")))
        if reason in DENIED:
            return WarehouseError(
                f"the warehouse refuses: {said}",
                do="grant the worker's account roles/bigquery.jobUser on the project, and roles/bigquery.dataViewer on"
                " the dataset",
            )
        if reason == "bytesBilledLimitExceeded":
            most = "" if self.size is None else f"{self.size:,} "
            return WarehouseError(
                f"the audience's query reads more than the {most}bytes that [limits] allows; it did not run",
                do="let it read fewer partitions or columns, or raise bytes under [limits]",
            )
        if reason in CANCELLED:
            return Cancelled("the warehouse has cancelled a statement", do="nothing: run it again")
        if reason in NAMING and not reads:
            return WarehouseError(f"the warehouse refuses a statement: {said}", do="mend the audience's SQL")
        return WarehouseError(
            f"the warehouse fails with {reason or type(error).__name__}; its words may hold data and are not shown",
            do="run the audience's SQL in a console of the warehouse to see them",
        )

    def shut(self, error: Any) -> Exception:
        """Sign-in and network; the client's words name files, accounts and projects, never a key."""
        return WarehouseError(
            f"the warehouse cannot be reached: {mask.text(str(error))}",
            do="let AUDIENCES_WAREHOUSE_URL be bigquery://project/dataset, and GOOGLE_APPLICATION_CREDENTIALS name a"
            " service account's file; or sign in by gcloud auth application-default login",
        )
