"""What Snowflake's source says without a server: kinds of types, errors by SQLSTATE, and how it signs in."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.engine import make_url

from audiences.errors import Deferred, DefinitionError, WarehouseError
from audiences.warehouse import sources

SOURCE = sources.of(make_url("snowflake://reader@account/shop/public"))


class Said(Exception):
    """An error as the connector raises it."""

    def __init__(self, sqlstate):
        super().__init__("the words")
        self.sqlstate, self.errno, self.raw_msg = sqlstate, 1, "the words"


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("fixed(38,0)", "HUGEINT"),
        ("fixed(10,2)", "VARIANT"),
        ("real(None,None)", "DOUBLE"),
        ("boolean(None,None)", "BOOLEAN"),
        ("timestamp_tz(0,9)", "VARCHAR"),
        ("variant(None,None)", "VARCHAR"),
    ],
)
def test_a_type_is_kept_as_what_it_holds(type_, kind):
    """
    A decimal without decimals is a whole number; what is not a number or a boolean is text.
    """
    assert SOURCE.kind(type_) == kind


@pytest.mark.parametrize(
    ("state", "error", "shown"),
    [
        ("42S02", WarehouseError, True),
        ("42501", WarehouseError, True),
        ("57014", Deferred, False),
        ("22018", WarehouseError, False),
    ],
)
def test_an_error_is_known_by_its_state(state, error, shown):
    """
    Of what cannot be compiled, and of a missing right, the words are shown; of values they are not.
    """
    found = SOURCE.refusal(Said(state))

    assert isinstance(found, error)
    assert ("the words" in str(found)) is shown


def test_a_key_pair_signs_in(monkeypatch):
    """
    The file of the key and what opens it come from the environment, for a URL may not name files there.
    """
    assert "authenticator" not in SOURCE.options()
    monkeypatch.setenv("SNOWFLAKE_PRIVATE_KEY_FILE", "/run/secrets/key.p8")
    monkeypatch.setenv("SNOWFLAKE_PRIVATE_KEY_PASSPHRASE", "not-a-real-passphrase")

    assert SOURCE.options() == {
        "session_parameters": {"TIMEZONE": "UTC"},
        "authenticator": "SNOWFLAKE_JWT",
        "private_key_file": "/run/secrets/key.p8",
        "private_key_file_pwd": "not-a-real-passphrase",
    }


def test_a_query_is_held_to_its_time():
    """
    By a parameter of the session, in whole seconds: more rather than less.
    """
    found = SOURCE.bounded(timedelta(milliseconds=1500), None).options()

    assert found["session_parameters"] == {"TIMEZONE": "UTC", "STATEMENT_TIMEOUT_IN_SECONDS": 2}


def test_why_it_cannot_be_reached():
    """
    Each part that is needed is named.
    """
    assert "SNOWFLAKE_PRIVATE_KEY_FILE" in SOURCE.shut(Said("08001")).do


def test_a_driver_that_is_missing(monkeypatch):
    """
    The extra that brings it is named.
    """
    monkeypatch.setattr("audiences.warehouse.sources.snowflake.find_spec", lambda name: None)

    with pytest.raises(DefinitionError) as missing:
        SOURCE.described("select 1 as a")
    assert missing.value.do == "pip install 'audiences[snowflake]'"
