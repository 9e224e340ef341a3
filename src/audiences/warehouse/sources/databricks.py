"""Databricks SQL, through its connector: databricks://token:…@host?http_path=…&catalog=…&schema=…

Whatever is not text, a whole number, a float or a boolean is asked for as text, and read here: what the connector makes
of it depends on whether pyarrow is there, and a moment may come without its zone.

https://docs.databricks.com/aws/en/dev-tools/python-sql-connector,
…/aws/en/sql/language-manual/sql-ref-syntax-aux-describe-query, …/parameters/statement_timeout,
…/aws/en/error-messages/sqlstates (read 2026-11)
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.util import find_spec
from typing import Any

import orjson

from audiences import mask
from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse.landing import ARRAY
from audiences.warehouse.source import ROWS, Source, matched, measured
from audiences.warehouse.words import Cancelled

PLAIN = {
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint"), "BIGINT"),
    **dict.fromkeys(("float", "double"), "DOUBLE"),
    "boolean": "BOOLEAN",
    "string": "VARCHAR",
}
PARTS = {"array": ARRAY, **dict.fromkeys(("map", "struct", "variant"), "VARIANT")}
WANTED = ("http_path", "catalog", "schema")  # of the URL's query
CANCELLED = re.compile(r"57|HY008")  # operator intervention, operation cancelled; which a time-out is, is unconfirmed
BUFFER = 16 * 1024 * 1024  # bytes that the connector may hold at a time


@dataclass(frozen=True, slots=True)
class DatabricksSource(Source):
    """Databricks, of which USE CATALOG, USE SCHEMA and SELECT are enough. Nothing but those rights keeps it from
    writing.
    """

    dialect = "databricks"

    def named(self, select: str) -> dict[str, str]:
        """From the server's description of the query, which it does not run."""
        with self._open() as cursor:
            return _described(cursor, select)

    def kind(self, type_: str) -> str:
        """By its name."""
        if type_.startswith("decimal"):
            return measured(type_)
        return matched(type_.partition("<")[0], PLAIN | PARTS, "VARCHAR")

    def asked(self, select: str) -> Sequence[Sequence[Any]]:
        """Over a connection of its own."""
        with self._open() as cursor:
            cursor.execute(select)
            return [tuple(row) for row in cursor.fetchall()]

    def batches(self, select: str, columns: Sequence[str]) -> Generator[Sequence[Sequence[Any]]]:
        """A few thousand rows at a time, each value as its type is read."""
        with self._open() as cursor:
            types = _described(cursor, select)
            ways = [_way(types[column]) for column in columns]
            taken = ", ".join(way.format(_quoted(column)) for (way, _), column in zip(ways, columns, strict=True))
            cursor.execute(f"select {taken} from (\n{select}\n) as q")
            while rows := cursor.fetchmany(ROWS):
                yield [[read(value) for (_, read), value in zip(ways, row, strict=True)] for row in rows]

    def options(self) -> Mapping[str, Any]:
        """What the URL says; a token travels over TLS alone. Raises DefinitionError for what it lacks.

        The connector reports home what fails, in the server's words, unless it is told not to.
        """
        given = {
            "host": self.url.host,
            "token": self.url.password,
            **{name: self.url.query.get(name) for name in WANTED},
        }
        if missing := [name for name, value in given.items() if not value]:
            raise DefinitionError(
                f"AUDIENCES_WAREHOUSE_URL lacks {', '.join(missing)}",
                do="write databricks://token:…@host?http_path=/sql/1.0/warehouses/…&catalog=…&schema=…",
            )
        longest = {"STATEMENT_TIMEOUT": str(-(-self.most // timedelta(seconds=1)))} if self.most else {}
        return {
            "server_hostname": self.url.host,
            **{name: given[name] for name in WANTED},
            "access_token": self.url.password,
            "session_configuration": {"TIMEZONE": "UTC", **longest},
            "user_agent_entry": "audiences",
            "enable_telemetry": False,
        }

    def quiet(self) -> None:
        """Let the connector log nothing that may hold a value."""
        logging.getLogger("databricks").setLevel(logging.ERROR)  # it warns that there is no pyarrow, which is meant so
        logging.getLogger("databricks.sql.unsafe").disabled = True  # it quotes rows, whatever level anyone asks for

    @contextmanager
    def _open(self) -> Iterator[Any]:
        if find_spec("databricks") is None or find_spec("databricks.sql") is None:
            raise DefinitionError("Databricks needs a driver", do="pip install 'audiences[databricks]'")
        self.quiet()
        from databricks import sql
        from databricks.sql.exc import Error

        options = self.options()
        try:
            connection = sql.connect(**options)
        except Error as error:
            raise self.shut(error) from None
        try:
            with connection, closing(connection.cursor(arraysize=ROWS, buffer_size_bytes=BUFFER)) as cursor:
                yield cursor
        except Error as error:
            raise self.refusal(error) from None

    def refusal(self, error: Any) -> Exception:
        """By the SQLSTATE that its words end with. What names things is shown, what may quote a row is not."""
        said = " ".join(str(error).split())
        found = re.search(r"SQLSTATE: (\w{5})", said)
        state = found[1] if found else ""
        if not found and not type(error).__name__.startswith("Server"):
            return self.shut(error)
        if state == "42501":
            return WarehouseError(
                f"the warehouse refuses: {mask.text(said)}",
                do="grant use catalog, use schema and select on what it names to the token's user",
            )
        if CANCELLED.match(state):
            return Cancelled(
                "the warehouse has cancelled a statement",
                do="give it more time (STATEMENT_TIMEOUT), or make the audience's query faster",
            )
        if state.startswith("42"):
            return WarehouseError(
                f"the warehouse refuses a statement: {mask.text(said)}",
                do="mend the audience's SQL; or, if there is such a table, grant use catalog, use schema and select on"
                " it to the token's user",
            )
        return WarehouseError(
            f"the warehouse fails with SQLSTATE {state or 'unknown'}; its words may hold data and are not shown",
            do="run the audience's SQL in a console of the warehouse to see them",
        )

    def shut(self, error: Any) -> Exception:
        """Host, path, token; the driver's words name them, never the token."""
        return WarehouseError(
            f"the warehouse cannot be reached: {mask.text(' '.join(str(error).split()))}",
            do="see that the SQL warehouse runs and that AUDIENCES_WAREHOUSE_URL names its host, token, http_path,"
            " catalog and schema (databricks://token:…@host?http_path=…&catalog=…&schema=…)",
        )


def _described(cursor: Any, select: str) -> dict[str, str]:
    cursor.execute(f"describe query select * from (\n{select}\n) as q")
    return {name: type_ for name, type_, *_ in cursor.fetchall()}


def _way(type_: str) -> tuple[str, Callable[[Any], Any]]:
    """How a column of a type is asked for, as SQL, and its value read."""
    name = type_.lower().partition("<")[0].partition("(")[0].strip()
    if name in PLAIN:
        return "q.{}", lambda value: value
    wanted, read = READ.get(name, ("cast(q.{} as string)", str))
    return wanted, lambda value: None if value is None else read(value)


def _moment(text: str) -> datetime | str:
    """What Python's calendar holds as such, else as text."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return text


def _in_utc(text: str) -> datetime | str:
    """The session's zone is UTC."""
    found = _moment(text)
    return found.replace(tzinfo=UTC) if isinstance(found, datetime) else found


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


# base64() breaks lines, and to_json() writes what has parts.
READ: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    **dict.fromkeys(PARTS, ("to_json(q.{})", orjson.loads)),
    "binary": ("hex(q.{})", bytes.fromhex),
    "decimal": ("cast(q.{} as string)", Decimal),
    "timestamp": ("cast(q.{} as string)", _in_utc),
    "timestamp_ntz": ("cast(q.{} as string)", _moment),
}
