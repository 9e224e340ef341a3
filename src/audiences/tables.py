"""A sync's tables of claims: made, and brought up to the columns that are sent now."""

from __future__ import annotations

from collections.abc import Mapping

from audiences.terms import SENT, Terms, fields, sent
from audiences.warehouse import Warehouse


def create(warehouse: Warehouse, terms: Terms, types: Mapping[str, str]) -> None:
    """Make a sync's ledger and refused tables, or bring their columns up to what is sent now.

    A ledger only gains columns; a column whose type changed is cast, and what cannot be cast is sent again.
    Done before a run's own transactions: DuckDB refuses it beside them.
    """
    own = {"ledger": "sure boolean, outbox bigint", "refused": "attempts bigint, retry_at timestamp, outbox bigint"}
    _, key = warehouse.words.key(terms.key, types)
    for kind, columns in own.items():
        name = f"{kind}_{terms.table}"
        if not (known := warehouse.columns(name)):
            columns = f'"key" {key}, ident varchar, list varchar, {columns}, "at" timestamp'
            warehouse.run(f"create table {warehouse.table(name)} ({columns})")
            if kind == "refused":  # the ledger's index is made once it holds someone
                warehouse.index(warehouse.table(name), '"key"')
            known = warehouse.columns(name)
        if known["key"] != key:
            change = f'alter column "key" type {key} using cast("key" as {key})'
            warehouse.run(f"alter table {warehouse.table(name)} {change}")
        for field, column in terms.send.items():
            fit(warehouse, name, field, types[column], known.get(SENT + field))


def fit(warehouse: Warehouse, table: str, field: str, wanted: str, known: str | None) -> None:
    """Let one of our tables have the column of a sent field, of the type `wanted`; known: the type that it has now."""
    name, column = warehouse.table(table), sent(field)
    if known is None:
        warehouse.run(f"alter table {name} add column {column} {wanted}")
    elif known != wanted:
        fitted = warehouse.words.fitted(column, wanted)
        warehouse.run(f"alter table {name} alter column {column} type {wanted} using {fitted}")


def beside(warehouse: Warehouse, kind: str, table: str, own: str) -> None:
    """Make a table that keeps rows of outboxes beside a sync's ledger, or bring its columns up to the ledger's.

    own: the columns that only this kind has, as SQL
    """
    claims, name = warehouse.columns(f"ledger_{table}"), f"{kind}_{table}"
    warehouse.run(
        f"create table if not exists {warehouse.table(name)} ({own}, outbox bigint, seq bigint, verb varchar,"
        f' "key" {claims["key"]}, ident varchar, list varchar, "at" timestamp)'
    )
    known = warehouse.columns(name)
    for field in fields(claims):
        fit(warehouse, name, field, claims[SENT + field], known.get(SENT + field))
