"""What a warehouse's values become on their way into JSON."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiences import portable

EAST = dt.timezone(dt.timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    ("value", "travels_as"),
    [
        (None, None),
        ("Zürich", "Zürich"),
        (True, True),
        (0, 0),
        (-(2**63), -(2**63)),
        (2**64 - 1, 2**64 - 1),
        (2**64, str(2**64)),
        (-(2**63) - 1, str(-(2**63) - 1)),
        (1.5, 1.5),
        (Decimal("12.50"), 12.5),
        (Decimal("12.00"), 12),
        (Decimal("1E+3"), 1000),
        (Decimal("1E+20"), str(10**20)),
        (Decimal("123456789012345"), 123456789012345),
        (Decimal("1234567890123456"), "1234567890123456"),
        (Decimal("0.1234567890123456"), "0.1234567890123456"),
        (dt.date(2026, 3, 1), "2026-03-01"),
        (dt.time(7, 5), "07:05:00"),
        (dt.datetime.fromisoformat("2026-03-01T12:30"), "2026-03-01T12:30:00"),
        (dt.datetime(2026, 3, 1, 1, tzinfo=EAST), "2026-02-28T19:30:00+00:00"),
        (dt.timedelta(days=2, hours=1), "2 days, 1:00:00"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (b"\x00\xff", "AP8="),
        (bytearray(b"ab"), "YWI="),
        ([1, Decimal("2.5"), None], [1, 2.5, None]),
        ({"a": dt.date(2026, 3, 1), 2: [b"x"]}, {"a": "2026-03-01", "2": ["eA=="]}),
    ],
)
def test_values_by_their_rule(value, travels_as):
    """
    Each kind of value travels by one rule, whatever the destination.
    """
    found = portable.of(value)

    assert found == travels_as
    assert type(found) is type(travels_as)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity"), [float("nan")], {"a": float("inf")}]
)
def test_what_is_no_number_cannot_travel(value):
    """
    NaN and infinity are refused, also deep inside; the error names the field and shows no value.
    """
    with pytest.raises(ValueError, match=r"^score holds NaN or infinity, which JSON does not carry$"):
        portable.fields({"score": value})


def test_an_unknown_kind_cannot_travel():
    """
    A value of another kind is refused by the name of its kind.
    """
    with pytest.raises(ValueError, match=r"^where holds a value of a kind that cannot travel \(PosixPath\)$"):
        portable.fields({"where": Path("/home/ada")})


def test_a_moment_beyond_the_calendar_cannot_travel():
    """
    A moment that has no date in UTC, as `infinity` may have, is refused like NaN.
    """
    moment = dt.datetime.max.replace(tzinfo=dt.timezone(-dt.timedelta(hours=5)))

    with pytest.raises(ValueError, match=r"^seen holds a moment beyond the years 1 to 9999$"):
        portable.fields({"seen": moment})


def test_fields_keep_their_names_and_order():
    """
    Every field is there, NULL too.
    """
    assert list(portable.fields({"b": None, "a": Decimal(1), "c": "x"}).items()) == [("b", None), ("a", 1), ("c", "x")]


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
rich = (
    plain | st.decimals(allow_nan=False, allow_infinity=False) | st.dates() | st.datetimes() | st.binary() | st.uuids()
)


@given(st.recursive(rich, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8))
def test_whatever_travels_is_json(value):
    """
    What comes out is JSON, and comes out of JSON as it went in.
    """
    found = portable.of(value)

    assert json.loads(json.dumps(found)) == found


def test_every_type_of_the_warehouse():
    """
    A value of each type that DuckDB has travels; none needs a rule of its own.
    """
    with duckdb.connect() as connection:
        rows = connection.execute("select * from test_all_types()").fetchall()
    travelled = [portable.of(value) for row in rows for value in row if finite(value)]

    assert len(travelled) > 100
    assert json.loads(json.dumps(travelled)) == travelled


def finite(value):
    """Whether a value holds neither NaN nor infinity."""
    return not any(word in repr(value) for word in ("nan", "inf"))
