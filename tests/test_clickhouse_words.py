"""What ClickHouse's source says without an engine: kinds of types, and errors by their number."""

from __future__ import annotations

import pytest
from sqlalchemy.engine import make_url

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse import sources
from audiences.warehouse.words import Cancelled

SOURCE = sources.of(make_url("clickhouse://reader:not-a-real-password@127.0.0.1:9/shop"))


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("LowCardinality(Nullable(String))", "VARCHAR"),
        ("Nullable(Int64)", "BIGINT"),
        ("UInt64", "HUGEINT"),
        ("DateTime64(3, 'UTC')", "VARCHAR"),
        ("Decimal(18, 2)", "VARIANT"),
        ("Array(String)", "VARIANT[]"),
        ("Nothing", "VARIANT"),
    ],
)
def test_a_type_is_kept_as_what_it_holds(type_, kind):
    """
    Whether it may be NULL, or how it is stored, does not matter.
    """
    assert SOURCE.kind(type_) == kind


@pytest.mark.parametrize(
    ("number", "error", "shown"),
    [(60, WarehouseError, True), (497, WarehouseError, True), (159, Cancelled, False), (395, WarehouseError, False)],
)
def test_an_error_is_known_by_its_number(number, error, shown):
    """
    Of a name that is not there and of a missing right the words are shown, of values they are not.
    """
    found = SOURCE.refusal(Exception(f"Code: {number}. DB::Exception: the words. (NAME)"))

    assert type(found) is error
    assert ("the words" in str(found)) is shown


def test_a_server_that_cannot_be_reached():
    """
    Why is said in words, without a password.
    """
    with pytest.raises(WarehouseError, match="cannot be reached") as refused:
        SOURCE.described("select 1 as a")
    assert "not-a-real" not in str(refused.value)


def test_a_user_whose_time_cannot_be_set():
    """
    Of one who may set nothing the driver says so, and the way out is told.
    """
    from clickhouse_connect.driver.exceptions import ProgrammingError

    found = SOURCE.shut(ProgrammingError("Setting max_execution_time is readonly"))

    assert "may not set max_execution_time, which timeout under [limits] needs" in found.what
    assert "readonly = 2" in found.do


def test_a_driver_that_is_missing(monkeypatch):
    """
    The extra that brings it is named.
    """
    monkeypatch.setattr("audiences.warehouse.sources.clickhouse.find_spec", lambda name: None)

    with pytest.raises(DefinitionError) as missing:
        SOURCE.described("select 1 as a")
    assert missing.value.do == "pip install 'audiences[clickhouse]'"
