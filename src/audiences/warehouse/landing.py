"""A source's rows into a table of the ledger's engine: each value as it will travel, in batches of columns.

A batch crosses as one JSON text with an array a column. DuckDB reads 400,000 such rows a second, which no source is
faster than; Arrow would bring 170 MB of its own, and its types for what is JSON at the end.

A column is kept in one of these types:
    BIGINT, HUGEINT, BOOLEAN, DOUBLE   what the source promises to be such
    VARCHAR                            text; dates, times, UUIDs, bytes and the like in the form in which they travel
    VARIANT                            what may be several: decimals, arrays, structs, and columns without a type
    VARCHAR[]                          what is made of an array on the way
A column that the source says to be an array is called VARIANT[] until then; it is kept as a VARIANT.
A value that cannot travel is infinity there: it comes as far as its member's batch, and is refused with that member.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from audiences import portable
from audiences.warehouse.words import literal, quoted

ARRAY = "VARIANT[]"
AS_THEY_ARE: Mapping[str, set[type]] = {"VARCHAR": {str}, "BIGINT": {int}, "BOOLEAN": {bool}, "VARCHAR[]": {list}}
CANNOT_TRAVEL = orjson.Fragment(b"1e999")  # JSON has no infinity; a number beyond its range is read as one


class Made(NamedTuple):
    """A column that is made on the way.

    column: of the source, of whose values it is made
    kind:   in which it is kept; its values are of that kind
    """

    column: str
    kind: str
    of: Callable[[Any], object]


def whole(precision: int | None, scale: int | None) -> str:
    """The kind of a decimal of an engine whose decimals hold no NaN: one without decimals is a whole number."""
    return "HUGEINT" if scale == 0 and precision is not None and precision <= 38 else "VARIANT"


def stored(types: Mapping[str, str]) -> dict[str, str]:
    """Column -> the type in which it is kept, of columns and their kinds."""
    return {column: "VARIANT" if kind == ARRAY else kind for column, kind in types.items()}


def insert(table: str, kinds: Mapping[str, str]) -> str:
    """The statement that takes in one document, its only parameter. table: quoted; kinds: column -> its kind."""
    shape = {f"c{i}": ["JSON" if kind == "VARIANT" else "VARCHAR"] for i, kind in enumerate(kinds.values())}
    cast = ", ".join(f"cast(unnest(j.c{i}) as {kind})" for i, kind in enumerate(kinds.values()))
    document = f"from_json(?, {literal(orjson.dumps(shape).decode())})"
    return f"insert into {table} ({', '.join(map(quoted, kinds))}) select {cast} from (select {document} as j)"


def document(rows: Iterable[Sequence[Any]], kinds: Sequence[str], made: Sequence[Callable[[Any], Any]] = ()) -> str:
    """A batch of rows as one JSON text: an array a column, c0, c1 …; made: how those of the last columns are made."""
    columns: list[Sequence[Any]] = [*zip(*rows, strict=True)]
    for place, make in enumerate(made, len(columns) - len(made)):
        columns[place] = [make(value) for value in columns[place]]
    written = {f"c{i}": _column(values, kind) for i, (values, kind) in enumerate(zip(columns, kinds, strict=True))}
    return orjson.dumps(written).decode()


def _column(values: Sequence[Any], kind: str) -> Sequence[Any]:
    if kind == "VARIANT":
        return [_any(value) for value in values]
    seen = {*map(type, values)} - {type(None)}
    if seen <= AS_THEY_ARE.get(kind, set()):
        return values
    write = repr if seen == {float} else _text
    return [None if value is None else write(value) for value in values]


def _any(value: object) -> object:
    try:
        return portable.of(value)
    except ValueError:
        return CANNOT_TRAVEL


def _text(value: object) -> str:
    try:
        found = portable.of(value)
    except ValueError:
        return str(value)
    return found if isinstance(found, str) else orjson.dumps(found).decode()
