"""Trino, over HTTP, a page of its results at a time: the URL is that of its own dialect.

https://trino.io/docs/current/develop/client-protocol.html (read 2026-11)
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from importlib.util import find_spec
from typing import Any

from audiences import mask
from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse.landing import ARRAY
from audiences.warehouse.source import ROWS, Source, matched, measured, picked
from audiences.warehouse.words import Cancelled, quoted

# Whatever is not named here is text.
KINDS = (
    dict.fromkeys(("tinyint", "smallint", "integer", "bigint"), "BIGINT")
    | dict.fromkeys(("real", "double"), "DOUBLE")
    | dict.fromkeys(("map", "row", "number", "interval year to month"), "VARIANT")
    | {"boolean": "BOOLEAN", "array": ARRAY}
)

# https://github.com/trinodb/trino/blob/master/core/trino-spi/src/main/java/io/trino/spi/StandardErrorCode.java
NAMING = ("*_NOT_FOUND", "MISSING_*", "AMBIGUOUS_*", "DUPLICATE_*", "SYNTAX_ERROR", "TYPE_MISMATCH", "EXPRESSION_NOT_*")
CANCELLED = {"USER_CANCELED", "ADMINISTRATIVELY_KILLED", "ADMINISTRATIVELY_PREEMPTED", "EXCEEDED_TIME_LIMIT"}


@dataclass(frozen=True, slots=True)
class TrinoSource(Source):
    """Trino, of which a user with SELECT alone is enough. Nothing but its rights keeps it from writing."""

    dialect = "trino"

    def named(self, select: str) -> dict[str, str]:
        """From the answer to a query for no row, of which the server makes no work."""
        with self._open() as cursor:
            cursor.execute(f"select * from (\n{select}\n) as q limit 0")
            return {column: type_ for column, type_, *_ in cursor.description}

    def kind(self, type_: str) -> str:
        """By its name."""
        return measured(type_) if type_.startswith("decimal") else matched(type_, KINDS, "VARCHAR")

    def asked(self, select: str) -> Sequence[Sequence[Any]]:
        """Over a connection of its own."""
        with self._open() as cursor:
            return list(cursor.execute(select).fetchall())

    def batches(self, select: str, columns: Sequence[str]) -> Generator[Sequence[Sequence[Any]]]:
        """A few of the server's pages at a time."""
        with self._open() as cursor:
            cursor.execute(picked(select, map(quoted, columns)))
            while rows := cursor.fetchmany(ROWS):
                yield rows

    def options(self) -> Mapping[str, object]:
        """What the URL says, as its dialect reads it. A password or token travels over TLS alone."""
        from trino.sqlalchemy.dialect import TrinoDialect

        logging.getLogger("trino").setLevel(logging.WARNING)  # it tells of each call that it tries again
        given = dict(TrinoDialect().create_connect_args(self.url)[1])
        secure = "auth" in given or self.url.port in (443, 8443)
        if self.most is not None:
            longest = f"{self.most // timedelta(milliseconds=1)}ms"
            given["session_properties"] = {**given.get("session_properties", {}), "query_max_run_time": longest}
        return {**given, "http_scheme": "https" if secure else "http", "source": "audiences", "timezone": "UTC"}

    @contextmanager
    def _open(self) -> Iterator[Any]:
        """The driver's own cursor: SQLAlchemy would log what goes wrong as it closes one, with the server's words."""
        if find_spec("trino") is None:
            raise DefinitionError("Trino needs a driver", do="pip install 'audiences[trino]'")
        from trino.dbapi import connect
        from trino.exceptions import Error, HttpError

        with closing(connect(**self.options())) as connection:
            cursor = connection.cursor()
            try:
                yield cursor
            except (Error, HttpError) as error:
                raise self.refusal(error) from None
            finally:
                with suppress(Error, HttpError):
                    cursor.cancel()

    def refusal(self, error: Any) -> Exception:
        """By its name. What names things is shown, what may quote a row is not."""
        name = getattr(error, "error_name", None) or type(error).__name__
        said = mask.text(str(getattr(error, "message", "")))
        if name in ("HttpError", "TrinoConnectionError", "TrinoAuthError"):
            return self.shut(error)
        if name == "PERMISSION_DENIED":
            return WarehouseError(
                f"the warehouse refuses: {said}", do="let the worker's user select from what it names"
            )
        if name in CANCELLED:
            return Cancelled("the warehouse has cancelled a statement", do="give its user more time, or ask for less")
        if any(fnmatchcase(name, pattern) for pattern in NAMING):
            return WarehouseError(f"the warehouse refuses a statement: {said}", do="mend the audience's SQL")
        return WarehouseError(
            f"the warehouse fails with {name}; its words may hold data and are not shown",
            do="run the audience's SQL in a console of the warehouse to see them; cast to text what may be a date"
            " beyond the years 1 to 9999",
        )

    def shut(self, error: Any) -> Exception:
        """Sign-in and network; the driver's words name hosts and users, never a password."""
        return WarehouseError(
            f"the warehouse cannot be reached: {mask.text(str(error).splitlines()[0])}",
            do="see that its coordinator runs and that AUDIENCES_WAREHOUSE_URL names user, password, host, port,"
            " catalog and schema (trino://…/catalog/schema)",
        )
