"""What Databricks' words say where it holds our tables, without a workspace: statements, types, values, errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest
from sqlalchemy.engine import make_url
from sqlglot import exp, parse_one

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse.databricks import Databricks, _kind
from audiences.warehouse.databricksed import Connection
from audiences.warehouse.dialects.databricks import NAMES, stepped
from audiences.warehouse.engines import spoken
from audiences.warehouse.opened import opened
from audiences.warehouse.words import Cancelled, Conflict
from statements import statements

URL = make_url("databricks://token:not-a-real-token@localhost?http_path=p&catalog=main&schema=shop")
WORDS = Databricks(URL, "audience_sync")


@pytest.fixture(scope="module")
def said():
    """All that a few runs say of our tables, in our own SQL -> its steps as Databricks is told them."""
    return {statement: stepped(statement) for statement in statements()}


def test_every_statement_is_one_of_databricks(said):
    """
    Each step parses as Databricks' SQL, and each name in it is quoted.
    """
    trees = {step: parse_one(step, dialect="databricks") for steps in said.values() for step in steps}

    assert len(trees) > 60
    assert [sql for sql, tree in trees.items() if not all(each.quoted for each in tree.find_all(exp.Identifier))] == []


def test_a_part_of_a_with_is_a_temporary_table(said):
    """
    No WITH is left, of which Spark would make a part anew wherever it is mentioned. A temporary table is no view, and
    its name is plain and of one part.
    """
    steps = [step for steps in said.values() for step in steps]
    temporary = [step for step in steps if step.startswith("CREATE") and " TEMPORARY TABLE " in step]

    assert not any(parse_one(step, dialect="databricks").find(exp.With) for step in steps)
    assert len(temporary) > 5
    assert all(step.startswith("CREATE OR REPLACE TEMPORARY TABLE `audiences_") for step in temporary)
    assert not any("<" in step.partition(" AS ")[0] for step in temporary)


def test_no_table_of_the_users_is_dropped(said):
    """
    DROP TABLE with a name of one part is never said: it would mean a table in the schema of the audiences.
    """
    dropped = [step for steps in said.values() for step in steps if step.startswith("DROP TABLE")]

    assert len(dropped) > 3
    assert [step for step in dropped if "`.`" not in step] == []
    assert WORDS.said('drop table "staged_7"') == ["DROP TEMPORARY TABLE `staged_7`"]


def test_a_table_of_ours_takes_any_name_of_a_field(said):
    """
    A column `sent_First Name` needs that its table maps names.
    """
    made = [step for steps in said.values() for step in steps if step.startswith("CREATE TABLE")]

    assert len(made) > 5
    assert [step for step in made if NAMES not in step] == []


def test_a_number_of_rows_has_an_order(said):
    """
    Spark asks for one.
    """
    trees = [parse_one(step, dialect="databricks") for steps in said.values() for step in steps]
    windows = [window for tree in trees for window in tree.find_all(exp.Window)]

    assert windows
    assert all(window.args.get("order") for window in windows)


def test_its_types_are_ours():
    """
    Moments of an audience are kept as they travel; what has no form of its own keeps its name.
    """
    told = {
        "bigint": "BIGINT",
        "string": "VARCHAR",
        "string collate UNICODE_CI": "VARCHAR",
        "varchar(20)": "VARCHAR",
        "decimal(10,2)": "DECIMAL(10,2)",
        "timestamp": "VARCHAR",
        "timestamp_ntz": "VARCHAR",
        "date": "DATE",
        "array<string>": "array<string>",
        "binary": "binary",
    }

    assert {type_: _kind(type_) for type_ in told} == told


@pytest.mark.parametrize("type_", ["array<string>", "map<string,int>", "binary", "variant", "interval day"])
def test_what_has_no_type_of_ours_is_refused(type_):
    """
    With the cast that helps.
    """
    with pytest.raises(DefinitionError, match="'tags' is of the type") as refused:
        WORDS.landed('"staged"', "select 1", {"tags": _kind(type_)})

    assert "to_json(tags) as tags" in refused.value.do


def test_rows_are_written_down_as_they_are_kept():
    """
    The query stands as it is, a comment at its end included; text loses its collation.
    """
    [made] = WORDS.landed('"staged_7"', "select id -- all", {"id": "BIGINT", "name": "VARCHAR"})
    table, _, picked = made.partition(" as ")

    assert table == "create or replace temporary table `staged_7`"
    assert picked.startswith("select cast(q.`id` as bigint) as `id`, (case typeof(")
    assert made.endswith("collate utf8_binary as `name` from (\nselect id -- all\n) as q")


def test_its_time_out():
    """
    In whole seconds, never fewer than were asked for.
    """
    assert WORDS.bounding(timedelta(seconds=90.5)) == ("set STATEMENT_TIMEOUT = 91", "reset STATEMENT_TIMEOUT")


class ServerOperationError(Exception):
    """As the connector names what the server says."""


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("[TABLE_OR_VIEW_NOT_FOUND] `main`.`audience_sync`.`v1_2_0_ledger_x` SQLSTATE: 42P01", Conflict),
        ("[TABLE_OR_VIEW_NOT_FOUND] `main`.`shop`.`peeple` SQLSTATE: 42P01", WarehouseError),
        ("[TABLE_OR_VIEW_ALREADY_EXISTS] `audience_sync`.`control_x` SQLSTATE: 42P07", Conflict),
        ("[DELTA_CONCURRENT_APPEND] files were added SQLSTATE: 2D521", Conflict),
        ("[CANCELED] cancelled SQLSTATE: 57014", Cancelled),
    ],
)
def test_what_an_error_means(said, kind):
    """
    A table of ours that is gone, or there already, was another worker's doing.
    """
    assert type(WORDS.refusal(ServerOperationError(said))) is kind


def test_a_right_that_is_missing_is_named():
    """
    With what our tables need, and the way without them.
    """
    refused = WORDS.refusal(ServerOperationError("[INSUFFICIENT_PERMISSIONS] no CREATE TABLE SQLSTATE: 42501"))

    assert "grant use schema, create table, select, modify on schema `audience_sync`" in refused.do
    assert "AUDIENCES_LEDGER_URL" in refused.do


def test_what_comes_back():
    """
    A moment of ours is in UTC, with a zone or without, whether the connector made one of it or not; a decimal is one.
    """
    moment = datetime.fromisoformat("2026-03-01 12:00:00")
    rows = [(1, moment.replace(tzinfo=UTC), "1.50", None), (2, "2026-03-01 12:00:00", Decimal("2"), moment)]
    kinds = ("bigint", "timestamp", "decimal", "timestamp_ntz")
    told = []
    cursor = Connection(
        SimpleNamespace(
            cursor=lambda: SimpleNamespace(
                execute=told.append, fetchall=lambda: rows, description=[(kind, kind) for kind in kinds]
            )
        )
    ).cursor()
    cursor.execute("select 1", {})

    assert told == ["select 1"]
    assert cursor.fetchall() == [(1, moment, Decimal("1.50"), None), (2, moment, Decimal("2"), moment)]


def test_without_its_driver(monkeypatch):
    """
    What brings it is named.
    """
    monkeypatch.setattr("audiences.warehouse.databricks.find_spec", lambda name: None)
    with pytest.raises(DefinitionError) as missing:
        opened(URL, "audience_sync")

    assert missing.value.do == "pip install 'audiences[databricks]'"
    assert spoken(URL) is Databricks


def test_the_connector_is_asked_for_a_connection(monkeypatch):
    """
    By what the URL says; what it cannot reach is told without the token.
    """
    from databricks import sql

    def refused(**options):
        assert options["server_hostname"] == "localhost"
        assert options["enable_telemetry"] is False
        raise sql.Error("nobody answers")

    monkeypatch.setattr(sql, "connect", refused)
    with pytest.raises(WarehouseError, match="cannot be reached: nobody answers") as shut:
        opened(URL, "audience_sync")

    assert "not-a-real" not in str(shut.value)
