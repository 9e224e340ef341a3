"""What a PostgreSQL error means to a person, by its SQLSTATE. Its words are shown only where they cannot hold a value.

https://www.postgresql.org/docs/current/errcodes-appendix.html (read 2026-11)
"""

from __future__ import annotations

import re
from typing import Any

from audiences import mask
from audiences.errors import WarehouseError
from audiences.warehouse.words import APART, Cancelled, Conflict, literal, quoted

# Two writers met, or made the same thing at once: serialization_failure, deadlock_detected, lock_not_available;
# unique_violation (of the catalogue: our tables have no constraint), duplicate_table, duplicate_schema, and
# duplicate_object: a table's row type.
MET = {"40001", "40P01", "55P03", "23505", "42P07", "42P06", "42710"}
DENIED, READ_ONLY, CANCELLED, UNKNOWN_TABLE = "42501", "25006", "57014", "42P01"
GONE = ("08", "57P", "25P")  # connection exceptions, shutdowns, sessions ended for standing still

_REFUSED = re.compile(r"permission denied for ([a-z ]+?) (\S+)$")
_OWNED = re.compile(r"must be owner of (?:table|relation|schema) (\S+)$")
_TEMPORARY = re.compile(r'permission denied to create temporary tables in database "(.+)"$')


def shut(error: Any) -> Exception:
    """Why no connection was made. The driver's words name hosts, databases and roles; never a password."""
    lines = [line for line in str(error).splitlines() if line.strip()] or ["no reason was given"]
    said = next((line for line in lines if "FATAL:" in line), lines[0]).rpartition("FATAL:")[2].strip()
    return WarehouseError(
        f"the warehouse cannot be reached: {mask.text(said)}",
        do="see that its server runs and that AUDIENCES_WAREHOUSE_URL names host, database, role and password",
    )


def refusal(error: Any, schema: str, role: str) -> Exception:
    """An error of a statement, in words."""
    state = str(getattr(error, "sqlstate", None) or "08000")
    if state in MET:
        return Conflict()
    if state == DENIED:
        return denied(str(error.diag.message_primary), schema, role)
    if state == READ_ONLY:
        return WarehouseError("the warehouse is read-only", do=f"let the worker write its schema; or {APART}")
    if state == CANCELLED:
        return Cancelled(
            "the warehouse has cancelled a statement",
            do=f"give the role {role} more time (its statement_timeout), or make the audience's query faster",
        )
    if state.startswith(GONE):
        return WarehouseError(
            "the connection to the warehouse broke", do="run it again: it goes on from what was acknowledged"
        )
    if state.startswith("42"):  # names and grammar
        said, hidden = mask.text(str(error.diag.message_primary)), ""
        if state == UNKNOWN_TABLE:  # also what a table is called that the role's search path leads past
            hidden = f"; or, if there is such a table, grant usage on its schema to {quoted(role)}"
        return WarehouseError(f"the warehouse refuses a statement: {said}", do=f"mend the audience's SQL{hidden}")
    return WarehouseError(
        f"the warehouse fails with {type(error).__name__}; its words may hold data and are not shown",
        do="run the audience's SQL in a console of the warehouse to see them",
    )


def denied(said: str, schema: str, role: str) -> WarehouseError:
    """A right that is missing, and the statement that gives it. schema: of our tables; empty: they are elsewhere."""
    return WarehouseError(f"the warehouse refuses: {mask.text(said)}", do=_grant(said, schema, quoted(role)))


def _grant(said: str, schema: str, role: str) -> str:
    if found := _TEMPORARY.search(said):
        return f"grant temporary on database {quoted(found[1])} to {role}"
    if found := _OWNED.search(said):
        return f"alter table {schema}.{found[1]} owner to {role}"
    kind, name = found.groups() if (found := _REFUSED.search(said)) else ("", "")
    if kind == "database":
        return f"create schema {schema} authorization {role}; or grant create on database {name} to {role}; or {APART}"
    if kind == "schema":
        ours = name == schema
        return f"grant usage{', create' * ours} on schema {name} to {role}{f'; or {APART}' * ours}"
    if kind in ("table", "view", "materialized view", "foreign table", "relation"):
        return f"grant select on {name} to {role}{f'; tables of the schema {schema} must be its own' * bool(schema)}"
    writes = f" and writes the schema {schema}" * bool(schema)
    return f"see what the role {literal(role)} may do: it reads the sources{writes}"
