"""What Trino's words say of rows, types, keys, errors and time, without a server."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.engine import make_url
from trino.exceptions import TrinoConnectionError, TrinoUserError

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse.engines import spoken
from audiences.warehouse.opened import opened
from audiences.warehouse.sources.trino import TrinoSource
from audiences.warehouse.trino import Trino, _kind
from audiences.warehouse.trinoed import Connection, Missing, Unreached
from audiences.warehouse.words import Cancelled, Conflict
from behind import Behind
from loopback import answering
from test_trino import Coordinator

URL = make_url("trino://worker@trino.example.com/lake/shop")
WORDS = Trino(URL, "audience_sync", "scratch_20261123_0123abcd_")
HERE = '"audience_sync"."scratch_20261123_0123abcd_staged_1"'


def test_rows_are_written_down_as_they_are_kept():
    """
    The query stands as it is, a comment at its end included; each value has a type that both connectors keep.
    """
    types = {"Id": "BIGINT", "n": "DECIMAL(10,2)", "vip": "BOOLEAN"}

    assert WORDS.landed('"staged_1"', "select Id, n, vip from people -- all", types) == (
        f"drop table if exists {HERE}",
        f'create table {HERE} as select cast(q."Id" as bigint) as "_x49_d", cast(q."n" as decimal(10,2)) as "n",'
        ' cast(q."vip" as boolean) as "vip" from (\nselect Id, n, vip from people -- all\n) as q',
    )


def test_a_moment_is_written_down_as_it_travels():
    """
    Which type a text comes of, only the server knows; what it is cast to has a zone, so that no hour is told twice.
    """
    [_, made] = WORDS.landed('"staged_1"', "select 1", {"at": "VARCHAR"})

    assert made.startswith(f"create table {HERE} as select case when typeof(q.\"at\") like 'timestamp%' then replace(")
    assert "cast(q.\"at\" as timestamp(6) with time zone) at time zone 'UTC'" in made
    assert 'else cast(q."at" as varchar) end as "at"' in made


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("tinyint", "BIGINT"),
        ("varchar(3)", "VARCHAR"),
        ("unknown", "VARCHAR"),
        ("timestamp(3)", "VARCHAR"),
        ("timestamp(12) with time zone", "VARCHAR"),
        ("decimal(38, 0)", "DECIMAL(38,0)"),
        ("real", "REAL"),
        ("date", "DATE"),
    ],
)
def test_a_type_is_kept_as_one_of_ours(type_, kind):
    """
    A moment of an audience is text.
    """
    assert _kind(type_) == kind


@pytest.mark.parametrize(
    ("type_", "help_"),
    [
        ("array(integer)", "json_format(cast(tags as json)) as tags"),
        ("map(varchar, bigint)", "json_format(cast(tags as json)) as tags"),
        ("row(a integer)", "json_format(cast(tags as json)) as tags"),
        ("json", "json_format(tags) as tags"),
        ("varbinary", "to_hex(tags) as tags"),
        ("uuid", "cast(tags as varchar) as tags"),
        ("ipaddress", "cast(tags as varchar) as tags"),
        ("time(3)", "cast(tags as varchar) as tags"),
        ("interval day to second", "cast(tags as varchar) as tags"),
        ("char(3)", "cast(tags as varchar) as tags"),
        ("number", "cast(tags as varchar) as tags"),
    ],
)
def test_what_has_no_type_of_ours_is_refused(type_, help_):
    """
    With what makes text of it.
    """
    with pytest.raises(DefinitionError, match="'tags' is of the type") as refused:
        WORDS.landed('"staged_1"', "select 1", {"tags": _kind(type_)})

    assert refused.value.do == f"make text of it in the query: {help_}"


@pytest.mark.parametrize("kind", ["REAL", "DOUBLE"])
def test_a_float_is_no_key(kind):
    """
    Its text is another than on every other engine. Nor is it a part of a key.
    """
    with pytest.raises(DefinitionError, match="of which Trino makes the text") as refused:
        WORDS.key(["score"], {"score": kind})
    assert "cast(score as decimal(38, 10)) as score" in refused.value.do
    with pytest.raises(DefinitionError, match="'score' is of the type"):
        WORDS.key(["id", "score"], {"id": "BIGINT", "score": kind})
    assert WORDS.key(["id"], {"id": "BIGINT"}) == ('q."id"', "BIGINT")


@pytest.mark.parametrize(
    ("name", "message", "kind"),
    [
        ("TABLE_NOT_FOUND", "line 1:15: Table 'lake.audience_sync.ledger_x' does not exist", Conflict),
        ("TABLE_NOT_FOUND", "line 1:15: Table 'lake.shop.peeple' does not exist", WarehouseError),
        ("TABLE_ALREADY_EXISTS", "Destination table 'lake.audience_sync.v1_0_0_ledger_x' already exists", Conflict),
        ("ICEBERG_COMMIT_ERROR", "Failed to commit the transaction", Conflict),
        ("TRANSACTION_CONFLICT", "Conflicting concurrent writes found", Conflict),
        ("EXCEEDED_TIME_LIMIT", "Query exceeded the maximum run time limit of 1.00m", Cancelled),
        ("DIVISION_BY_ZERO", "Division by zero", WarehouseError),
    ],
)
def test_what_an_error_means(name, message, kind):
    """
    Two sessions that met, and what took too long, are no fault of the audience's.
    """
    found = WORDS.refusal(TrinoUserError({"errorName": name, "message": message}))

    assert type(found) is kind


@pytest.mark.parametrize(
    ("cause", "kind"),
    [("Conflicting concurrent writes found.", Conflict), ("s3://lake: Access Denied", WarehouseError)],
)
def test_an_entry_of_a_log_that_was_not_written(cause, kind):
    """
    Delta Lake says why in the cause: another session was quicker, or the store has refused it.
    """
    told = {"message": "Failed to write Delta Lake transaction log entry", "cause": {"message": cause}}
    error = {"errorName": "DELTA_LAKE_BAD_WRITE", "message": told["message"], "failureInfo": told}

    assert type(WORDS.refusal(TrinoUserError(error))) is kind


def test_who_cannot_be_reached():
    """
    Is told so, as where Trino is only read.
    """
    assert "cannot be reached: failed to execute" in str(WORDS.refusal(TrinoConnectionError("failed to execute")))
    assert "create schema lake.audience_sync" in WORDS.refusal(Missing("audience_sync")).do


def test_a_right_that_is_missing_is_named():
    """
    With the statement that gives it, and the way without it.
    """
    message = "Access Denied: Cannot create table audience_sync.control_x"
    refused = WORDS.refusal(TrinoUserError({"errorName": "PERMISSION_DENIED", "message": message}))

    assert message in refused.what
    assert 'alter schema lake.audience_sync set authorization user "worker"; or let it only read' in refused.do


def test_its_time_out():
    """
    Afterwards that of the URL counts again, where it has one.
    """
    given = URL.update_query_dict({"session_properties": '{"query_max_run_time": "2h"}'})
    for url, after in ((URL, "reset session query_max_run_time"), (given, "set session query_max_run_time = '2h'")):
        assert Trino(url, "s").bounding(timedelta(seconds=90)) == (
            "set session query_max_run_time = '90000ms'",
            after,
        )


def test_its_own_driver(tmp_path):
    """
    Before a server that is false: rows and their types come, errors by name, and what was temporary is dropped.
    """
    engine = Behind("trino", make_url("trino://worker@127.0.0.1/memory/main"))
    engine.new(tmp_path)
    coordinator, asked = Coordinator(engine), []
    with answering(lambda each: asked.append(each) or coordinator(each)) as port:
        connection = Connection(TrinoSource(engine.at.set(port=port)), "main")
        cursor = connection.cursor()
        cursor.execute(f'create table "main"."{WORDS.session}step_a" as select 1 as x, \'é\' as y')
        cursor.execute(f'select * from "main"."{WORDS.session}step_a"')
        assert (cursor.fetchall(), [each[:2] for each in cursor.description]) == (
            [(1, "é")],
            [("x", "integer"), ("y", "varchar")],
        )
        with pytest.raises(TrinoUserError) as missing:
            cursor.execute("select * from nowhere")
        assert missing.value.error_name == "TABLE_NOT_FOUND"
        connection.close()

    assert engine.heard[-1] == f'DROP TABLE IF EXISTS "main"."{WORDS.session}step_a"'
    assert {each.headers["x-trino-session"] for each in asked if each.method == "POST"} == {"retry_policy=NONE"}


def test_a_server_that_lets_nobody_in():
    """
    Is told so; nothing is dropped that was never made.
    """
    with answering(lambda asked: (401, {}, b"Access Denied")) as port:
        connection = Connection(TrinoSource(URL.set(host="127.0.0.1", port=port)), "main")
        with pytest.raises(Unreached, match="error 401") as out:
            connection.cursor().execute("select 1")
        connection.close()

    assert "cannot be reached: error 401" in str(WORDS.refusal(out.value))


def test_each_session_has_names_of_its_own():
    """
    Two that begin at once make nothing in common.
    """
    assert Trino(URL, "s").session != Trino(URL, "s").session


def test_without_its_driver(monkeypatch):
    """
    What brings it is named.
    """
    monkeypatch.setattr("audiences.warehouse.trino.find_spec", lambda name: None)
    with pytest.raises(DefinitionError) as missing:
        opened(URL, "audience_sync")

    assert missing.value.do == "pip install 'audiences[trino]'"
    assert spoken(URL) is Trino
