"""SQL Server and Azure SQL, row by row, in T-SQL: mssql://user:password@host:1433/database.

https://learn.microsoft.com/en-us/sql/relational-databases/system-stored-procedures/sp-describe-first-result-set-transact-sql
https://learn.microsoft.com/en-us/sql/relational-databases/errors-events/database-engine-events-and-errors
https://learn.microsoft.com/en-us/sql/t-sql/language-elements/sql-server-utilities-statements-backslash
https://support.microsoft.com/en-us/kb/164291
https://pymssql.readthedocs.io/en/stable/ref/pymssql.html#pymssql.connect (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

from audiences import mask
from audiences.errors import Deferred, DefinitionError, WarehouseError
from audiences.warehouse.source import ROWS, Source, matched, measured, picked
from audiences.warehouse.words import Cancelled, literal

# money has four decimals, and sql_variant may hold any type; whatever else is not named here is text.
KINDS = (
    dict.fromkeys(("tinyint", "smallint", "int", "bigint"), "BIGINT")
    | dict.fromkeys(("float", "real"), "DOUBLE")
    | dict.fromkeys(("money", "smallmoney", "sql_variant"), "VARIANT")
    | {"bit": "BOOLEAN"}
)

DENIED, READ_ONLY = {229, 230, 297, 300, 916}, {3906}
NAMING = {102, 105, 156, 170, 174, 195, 207, 208, 209, 1033, 4104, 4121, 8120, 8155, 8156}
UNNAMED = {11501, 11502}  # why a query could not be compiled stands in an error before it, that the driver may drop
PUT_OFF, CANCELLED = {1205, 1222, 3960}, {20003}  # a deadlock, a lock, a snapshot that is gone; by `timeout`
GONE = {20002, 20004, 20006, 20009, 20047}
CONTINUED = re.compile(r"\\(\r?\n)")  # a backslash at the end of a line
UNLIMITED = timedelta(days=24)  # beyond what [limits] takes, in what the driver counts: milliseconds, in 31 bits


@dataclass(frozen=True, slots=True)
class SQLServerSource(Source):
    """SQL Server, of which a user with SELECT alone is enough. Nothing but its rights keeps it from writing."""

    dialect = "tsql"

    def named(self, select: str) -> dict[str, str]:
        """Compiled by the server and not run."""
        with self._open() as cursor:
            cursor.execute(compiled(select))
            place = {name: at for at, (name, *_) in enumerate(cursor.description)}
            return {row[place["name"]] or "": row[place["system_type_name"]] or "" for row in cursor.fetchall()}

    def kind(self, type_: str) -> str:
        """By its name."""
        return measured(type_) if type_.startswith(("decimal", "numeric")) else matched(type_, KINDS, "VARCHAR")

    def asked(self, select: str) -> Sequence[Sequence[Any]]:
        """Over a connection of its own."""
        with self._open() as cursor:
            cursor.execute(select)
            return list(cursor.fetchall())

    def batches(self, select: str, columns: Sequence[str]) -> Generator[Sequence[Sequence[Any]]]:
        """As they come: the driver keeps no more than it is asked for."""
        head, body = parted(select)
        quoted = ("[" + column.replace("]", "]]") + "]" for column in columns)
        with self._open() as cursor:
            cursor.execute(f"{head}{picked(body, quoted)}")
            while rows := cursor.fetchmany(ROWS):
                yield rows

    def connection(self, **options: Any) -> Any:
        """Over TLS; the driver does not ask who the server is."""
        from pymssql import connect

        return connect(**self.options(), **options)

    def options(self) -> Mapping[str, Any]:
        """How to connect.

        timeout: seconds that an answer may take; also its next part, by what the driver is built on (not tried before a
                 server). One time is for the whole process, and to say none leaves that of the connection before: so
                 each says its own
        """
        return {
            "server": self.url.host or "localhost",
            "port": str(self.url.port or 1433),
            "user": self.url.username,
            "password": self.url.password,
            "database": self.url.database or "",
            "timeout": -(-(self.most or UNLIMITED) // timedelta(seconds=1)),
            "login_timeout": 10,
            "charset": "UTF-8",
            "appname": "audiences",
            "encryption": "require",
            "use_datetime2": True,
        }

    @contextmanager
    def _open(self) -> Iterator[Any]:
        if find_spec("pymssql") is None:
            raise DefinitionError("SQL Server needs a driver", do="pip install 'audiences[sqlserver]'")
        from pymssql import Error

        try:
            connection = self.connection()
        except Error as error:
            raise self.shut(error) from None
        with closing(connection), closing(connection.cursor()) as cursor:
            try:
                yield cursor
            except Error as error:
                raise self.refusal(error) from None

    def refusal(self, error: Any) -> Exception:
        """By its number. What names things is shown, what may quote a row is not."""
        number, said = told(error)
        if number in DENIED:
            return WarehouseError(
                f"the warehouse refuses: {said}", do="grant select on what it names to the worker's user"
            )
        if number in READ_ONLY:
            return WarehouseError("the warehouse is read-only", do="leave what writes out of the audience's SQL")
        if number in PUT_OFF:
            return Deferred("the warehouse has cancelled a statement", do="nothing: run it again in a minute")
        if number in CANCELLED:
            return Cancelled("the warehouse did not answer in time", do="nothing: run it again in a minute")
        if number in GONE:
            return WarehouseError(
                "the connection to the warehouse broke", do="run it again: it goes on from what was acknowledged"
            )
        if number in NAMING:
            return WarehouseError(f"the warehouse refuses a statement: {said}", do="mend the audience's SQL")
        if number in UNNAMED:
            return WarehouseError(
                f"the warehouse refuses a statement: {said}",
                do="mend the audience's SQL, or grant select on what it names to the worker's user",
            )
        return WarehouseError(
            f"the warehouse fails with error {number}; its words may hold data and are not shown",
            do="run the audience's SQL in a console of the warehouse to see them",
        )

    def shut(self, error: Any) -> Exception:
        """Sign-in, network, database; the server's words name hosts, users and databases, never a password."""
        return WarehouseError(
            f"the warehouse cannot be reached: {told(error)[1]}",
            do="see that its server runs and that AUDIENCES_WAREHOUSE_URL names host, database, user and password",
        )


def national(text: str) -> str:
    """Text of every plane as a literal. A backslash at the end of a line, and that end, are left out of one: so each is
    there twice.
    """
    return "N" + literal(CONTINUED.sub(r"\\\\\1\1", text))


def compiled(select: str) -> str:
    """What tells a query's columns."""
    return f"exec sp_describe_first_result_set @tsql = {national(select)}"


def parted(select: str) -> tuple[str, str]:
    """A query's WITH, and what follows it: T-SQL has none inside of parentheses."""
    import sqlglot
    from sqlglot.tokenizer_core import TokenType

    depth = 0
    for word in sqlglot.tokenize(select, read="tsql"):
        depth += (word.token_type is TokenType.L_PAREN) - (word.token_type is TokenType.R_PAREN)
        if depth == 0 and word.token_type is TokenType.SELECT:
            return select[: word.start], select[word.start :]
    return "", select


def told(error: Any) -> tuple[int, str]:
    """An error's number, and the server's words without those of the driver."""
    given: Sequence[Any] = error.args[0] if isinstance(error.args[0], tuple) else error.args
    words = given[-1].decode(errors="replace") if isinstance(given[-1], bytes) else str(given[-1])
    servers, *drivers = words.split("DB-Lib error message")
    shown = servers or drivers[0].partition("\n")[2]  # where there are several, each says the same
    return given[0] if isinstance(given[0], int) else 0, mask.text(shown)
