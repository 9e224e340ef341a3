"""What Redshift's words say of rows, types, keys, errors and time, without a server."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.engine import make_url

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse.engines import spoken
from audiences.warehouse.opened import opened
from audiences.warehouse.redshift import Redshift, _kind
from audiences.warehouse.words import Cancelled, Conflict
from test_snowflake_words import Said

URL = make_url("redshift://worker@shop.abc.eu-central-1.redshift.amazonaws.com/shop")
WORDS = Redshift(URL, "audience_sync")


def test_rows_are_written_down_as_they_are_kept():
    """
    The query stands as it is, a comment at its end included; texts lose the blanks at their end, for they do not count.
    """
    assert WORDS.landed('"staged"', "select id -- all", {"id": "BIGINT", "x": "VARCHAR", "n": "DECIMAL(10,2)"}) == (
        'drop table if exists "staged"',
        'create temp table "staged" ("id" BIGINT, "x" VARCHAR(65535), "n" DECIMAL(10, 2))',
        'insert into "staged" select q."id", rtrim(q."x", \' \'), q."n" from (\nselect id -- all\n) as q',
    )


@pytest.mark.parametrize(
    ("type_", "help_"),
    [("super", "json_serialize(tags)"), ("varbyte", "to_hex(tags)"), ("geometry", "st_astext(tags)"), ("", "varchar")],
)
def test_what_has_no_type_of_ours_is_refused(type_, help_):
    """
    With the function that makes text of it.
    """
    with pytest.raises(DefinitionError, match="'tags' is of the type") as refused:
        WORDS.landed('"staged"', "select 1", {"tags": _kind(type_, -1)})

    assert help_ in refused.value.do


def test_a_boolean_is_no_key():
    """
    Redshift makes no text of it; what does is named. Nor is it a part of a key.
    """
    with pytest.raises(DefinitionError, match="the key 'vip' is of the type BOOLEAN") as refused:
        WORDS.key(["vip"], {"vip": "BOOLEAN"})
    assert "case when vip then 'true' else 'false' end as vip" in refused.value.do
    with pytest.raises(DefinitionError, match="'vip' is of the type BOOLEAN"):
        WORDS.key(["id", "vip"], {"id": "BIGINT", "vip": "BOOLEAN"})
    assert WORDS.key(["id"], {"id": "BIGINT"}) == ('q."id"', "BIGINT")


class Words(Said):
    """An error with words of its own."""

    def __init__(self, sqlstate, words):
        super().__init__(sqlstate)
        self.args, self.diag = (words,), type("Diagnostic", (), {"message_primary": words})


@pytest.mark.parametrize(
    ("state", "words", "kind"),
    [
        ("XX000", "1023\nDETAIL: Serializable isolation violation on table - 100167", Conflict),
        ("XX000", "could not complete because of conflict with concurrent transaction", Conflict),
        ("XX000", "could not open relation with OID 100167", Conflict),
        ("42P07", 'Relation "control_x" already exists', Conflict),
        ("57014", "Query (150) cancelled on user's request", Cancelled),
        ("XX000", "Divide by zero", WarehouseError),
        ("22001", "value too long for type character varying(65535)", WarehouseError),
    ],
)
def test_what_an_error_means(state, words, kind):
    """
    Two sessions that met, and what took too long, are no fault of the audience's.
    """
    assert type(WORDS.refusal(Words(state, words))) is kind


def test_a_right_that_is_missing_is_named():
    """
    With the statement that gives it, and the way without it.
    """
    refused = WORDS.refusal(Words("42501", "permission denied for schema audience_sync"))

    assert refused.do.startswith('grant usage, create on schema audience_sync to "worker"; or let it only read')
    assert WORDS.refusal(Words("42501", "permission denied for relation people")).do.startswith(
        "grant select on people"
    )


def test_its_time_out():
    """
    In milliseconds; afterwards the user's own counts again.
    """
    assert WORDS.bounding(timedelta(seconds=90)) == ("set statement_timeout to 90000", "reset statement_timeout")


def test_without_its_driver(monkeypatch):
    """
    What brings it is named.
    """
    monkeypatch.setattr("audiences.warehouse.redshift.find_spec", lambda name: None)
    with pytest.raises(DefinitionError) as missing:
        opened(URL, "audience_sync")

    assert missing.value.do == "pip install 'audiences[redshift]'"
    assert spoken(URL) is Redshift
