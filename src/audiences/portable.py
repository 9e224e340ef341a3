"""From a warehouse's value to one that JSON carries, by one rule for all destinations.

text, booleans, whole numbers of 64 bits, finite floats and NULL travel as they are; decimals as numbers where 15
digits hold them, else as text; dates and times as ISO 8601, in UTC where they have a zone; bytes as base64;
lists and structs part by part; UUIDs, intervals and larger numbers as text. NaN and infinity cannot travel.
"""

from __future__ import annotations

import base64
import datetime as dt
import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

PLAIN = frozenset({str, bool, type(None)})
WHOLE = range(-(2**63), 2**64)


def plain(rows: Iterable[Mapping[str, object]]) -> bool:
    """Whether every value of these fields travels as it is: one look at whole columns, enough for most batches."""
    try:
        return all(map(_plain, zip(*(fields.values() for fields in rows), strict=True)))
    except ValueError:  # a removal may have fewer fields than its neighbour
        return False


def _plain(column: Sequence[Any]) -> bool:
    kinds = set(map(type, column)) - {type(None)}
    if kinds <= PLAIN:
        return True
    values = [value for value in column if value is not None]
    if kinds == {int}:
        return min(values) in WHOLE and max(values) in WHOLE
    return kinds == {float} and all(map(math.isfinite, values))


def fields(values: Mapping[str, object]) -> Mapping[str, object]:
    """The same fields, each fit to travel. Raises ValueError naming the field that is not, without its value."""
    return {name: value if type(value) in PLAIN else _field(name, value) for name, value in values.items()}


def _field(name: str, value: object) -> object:
    try:
        return of(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def of(value: Any) -> object:
    """One value. Raises ValueError for what cannot travel."""
    kind = type(value)
    if kind is int:
        return value if value in WHOLE else str(value)
    if kind in PLAIN:
        return value
    if kind is float:
        return _finite(value)
    if kind is Decimal:
        return _decimal(value)
    if isinstance(value, dt.datetime):
        return _moment(value)
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta | uuid.UUID):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, list | tuple):
        return [of(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): of(each) for name, each in value.items()}
    raise ValueError(f"holds a value of a kind that cannot travel ({kind.__name__})")


def _moment(value: dt.datetime) -> str:
    try:
        return value.isoformat() if value.tzinfo is None else value.astimezone(dt.UTC).isoformat()
    except OverflowError:
        raise ValueError("holds a moment beyond the years 1 to 9999") from None


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("holds NaN or infinity, which JSON does not carry")
    return value


def _decimal(value: Decimal) -> object:
    if not value.is_finite():
        raise ValueError("holds NaN or infinity, which JSON does not carry")
    if len(value.as_tuple().digits) > 15:
        return str(value)
    return of(int(value)) if value == value.to_integral_value() else float(value)
