"""MySQL 8 and MariaDB 10.11 or newer, read row by row in one transaction that only reads.

https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html,
https://mariadb.com/docs/server/reference/error-codes/mariadb-error-code-reference,
https://dev.mysql.com/doc/refman/8.4/en/server-system-variables.html#sysvar_max_execution_time,
https://mariadb.com/kb/en/aborting-statements/ (read 2026-11)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from audiences import mask
from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse.source import Driven, matched
from audiences.warehouse.words import Cancelled, literal

# What decides how a text is read, whatever the server's own mode is: the audience's SQL was checked as read so.
MODE = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"

# DECIMAL has up to 65 digits, and dates may be no days of the calendar; whatever else is not named here is text.
KINDS = dict.fromkeys(("tiny", "short", "int24", "long", "year"), "BIGINT") | {
    "longlong": "HUGEINT",  # it may be unsigned
    "float": "DOUBLE",
    "double": "DOUBLE",
    "decimal": "VARIANT",
    "newdecimal": "VARIANT",
}

DENIED = {1044, 1142, 1143, 1227, 1370}  # of a database, a table, a column, an administrator's right, a routine
NAMING = {1046, 1049, 1051, 1052, 1054, 1055, 1060, 1064, 1109, 1146, 1248, 1305, 4078}
CANCELLED = {1317, 1969, 3024}  # by a person, by max_statement_time, by max_execution_time
READ_ONLY = {1290, 1792, 1836}
GONE = {2006, 2013, 1053, 1927, 4031}


@dataclass(frozen=True, slots=True)
class MySQLSource(Driven):
    """MySQL or MariaDB, of which a user with SELECT alone is enough."""

    dialect = "mysql"

    def engine(self, **more: Any) -> Engine:
        """PyMySQL, which `audiences[mysql]` brings."""
        if find_spec("pymysql") is None:
            raise DefinitionError("MySQL and MariaDB need a driver", do="pip install 'audiences[mysql]'")
        first = f"set sql_mode = {literal(MODE)}, time_zone = '+00:00'"  # before anything asks how names are quoted
        options = {"charset": "utf8mb4", "connect_timeout": 10, "init_command": first}
        return create_engine(self.url.set(drivername="mysql+pymysql"), poolclass=NullPool, connect_args=options, **more)

    def greet(self, connection: Connection) -> None:
        """All of it is of one moment, and whatever would write is an error of the server's."""
        connection.exec_driver_sql("set session transaction isolation level repeatable read, read only")
        if self.most is not None:
            dialect: Any = connection.dialect
            connection.exec_driver_sql(bounding(self.most, dialect.is_mariadb))
        connection.rollback()  # what was set holds from the next transaction on

    def types(self, connection: Connection, select: str) -> dict[str, str]:
        """From the answer to a query for no row, which the server does not run."""
        from pymysql.constants import FIELD_TYPE

        known = {**vars(FIELD_TYPE)}
        del known["CHAR"], known["INTERVAL"]  # second names of TINY and ENUM
        names = {code: name.lower() for name, code in known.items() if isinstance(code, int)}
        nothing = connection.execution_options(no_parameters=True).exec_driver_sql(
            f"select * from (\n{select}\n) as q limit 0"
        )
        found: Any = nothing.cursor.description
        return {column: names.get(code, "") for column, code, *_ in found}

    def kind(self, type_: str) -> str:
        """By its name in the protocol."""
        return matched(type_, KINDS, "VARCHAR")

    def refusal(self, error: Any) -> Exception:
        """By its number. What names things is shown, what may quote a row is not."""
        number, shown = error.args[0], mask.text(str(error.args[-1]))
        if number in DENIED:
            user = literal(self.url.username or "the worker's user")
            return WarehouseError(f"the warehouse refuses: {shown}", do=f"grant select on what it names to {user}")
        if number in CANCELLED:
            return Cancelled(
                "the warehouse has cancelled a statement",
                do="give its user more time, or make the audience's query faster",
            )
        if number in READ_ONLY:
            return WarehouseError("the warehouse is read-only", do="leave what writes out of the audience's SQL")
        if number in GONE:
            return WarehouseError(
                "the connection to the warehouse broke", do="run it again: it goes on from what was acknowledged"
            )
        if number in NAMING:
            return WarehouseError(f"the warehouse refuses a statement: {shown}", do="mend the audience's SQL")
        return WarehouseError(
            f"the warehouse fails with error {number}; its words may hold data and are not shown",
            do="run the audience's SQL in a console of the warehouse to see them",
        )

    def shut(self, error: Any) -> Exception:
        """Sign-in, network, database. The driver's words name hosts, databases and users; never a password."""
        return WarehouseError(
            f"the warehouse cannot be reached: {mask.text(str(error.args[-1]))}",
            do="see that its server runs and that AUDIENCES_WAREHOUSE_URL names host, database, user and password",
        )


def bounding(most: timedelta, mariadb: bool) -> str:
    """The statement after which the server breaks off what takes longer. MySQL does so with a SELECT alone."""
    if mariadb:
        return f"set max_statement_time = {most.total_seconds():f}"
    return f"set max_execution_time = {most // timedelta(milliseconds=1)}"
