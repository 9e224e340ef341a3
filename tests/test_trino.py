"""Trino as a source, untried: its own driver before a server that is false, and answers from DuckDB."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from datetime import timedelta

import duckdb
import pytest
from sqlalchemy.engine import make_url

from audiences.errors import Deferred, DefinitionError, WarehouseError
from audiences.warehouse import sources
from audiences.warehouse.sources.trino import TrinoSource
from behind import Behind, pages
from engines import ReadOnly
from loopback import answering
from sourced import failed, several, travelled, two_syncs
from world import World

# https://trino.io/docs/current/develop/client-protocol.html: a value as Trino writes it -> what travels.
VALUES = {
    "null": None,
    "'😀'": "😀",
    "''": "",
    "true": True,
    "cast(7 as smallint)": 7,
    "cast(0.1 as double)": 0.1,
    "cast(1.50 as decimal(10, 2))": 1.5,
    "cast('12345678901234567.5' as decimal(20, 2))": "12345678901234567.50",
    "cast('12345678901234567890' as decimal(38, 0))": 12345678901234567890,
    "date '2026-02-28'": "2026-02-28",
    "timestamp '2026-02-28 23:59:59.5'": "2026-02-28T23:59:59.500000",
    "cast('2026-02-28 23:59:59+05:30' as timestamp with time zone)": "2026-02-28T18:29:59+00:00",
    "from_hex('00ff')": "AP8=",
    "array[1, null, 3]": [1, None, 3],
}
TYPES = {
    "VARCHAR": "varchar",
    "TIMESTAMP": "timestamp(6)",
    "TIMESTAMP_MS": "timestamp(6)",
    "TIMESTAMP WITH TIME ZONE": "timestamp(6) with time zone",
    "BLOB": "varbinary",
    "INTEGER[]": "array(integer)",
    "VARCHAR[]": "array(varchar)",
}


def signature(type_):
    """A type in parts, as the protocol has it."""
    name, _, inside = type_.partition("(")
    inside, _, after = inside.partition(")")
    if name == "array":
        return {"rawType": name, "arguments": [{"kind": "TYPE", "value": signature(inside)}]}
    parts = [int(part) for part in inside.split(",") if part] or [2**31 - 1] * (name == "varchar")
    given = [{"kind": "LONG", "value": part} for part in parts]
    return {"rawType": name + after, "arguments": given}


def written(value):
    """A value as the protocol has it."""
    if isinstance(value, dt.datetime):
        zone = "" if value.tzinfo is None else " UTC"
        return f"{value.astimezone(dt.UTC) if zone else value:%Y-%m-%d %H:%M:%S.%f}{zone}"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if isinstance(value, int | float | str | list | None) else str(value)


class Coordinator:
    """The part of the protocol that a query needs: it is queued first, then come pages of two rows."""

    def __init__(self, engine):
        self.engine, self.pages, self.columns, self.users = engine, [], [], set()
        self.error, self.cancelled = None, 0

    def __call__(self, asked):
        self.users.add(asked.headers.get("x-trino-user"))
        if asked.method == "DELETE":
            self.cancelled += 1
            return 204, {}, b""
        if asked.method == "POST":
            self.begin(asked.body.decode())
        return 200, {"content-type": "application/json"}, json.dumps(self.state(asked)).encode()

    def begin(self, sql):
        self.error, self.columns, self.pages = None, [], []
        try:
            found, rows = self.engine.answer(sql)
        except duckdb.Error as error:
            name = "TABLE_NOT_FOUND" if "does not exist" in str(error) else "INVALID_CAST_ARGUMENT"
            self.error = {"message": str(error), "errorCode": 1, "errorName": name, "errorType": "USER_ERROR"}
            return
        types = [TYPES.get(type_, type_.lower()) for _, type_ in found]
        self.columns = [
            {"name": name, "type": type_, "typeSignature": signature(type_)}
            for (name, _), type_ in zip(found, types, strict=True)
        ]
        self.pages = pages([[written(value) for value in row] for row in rows], 2)

    def state(self, asked):
        here = f"http://{asked.headers['host']}/v1/statement"
        told = {"id": "q", "infoUri": here, "stats": {"state": "RUNNING"}}
        if asked.method == "POST":
            return told | {"nextUri": here + "/executing/0"}
        if self.error:
            return told | {"error": self.error}
        page = int(asked.path.rpartition("/")[2])
        more = {"nextUri": f"{here}/executing/{page + 1}"} if page + 1 < len(self.pages) else {}
        return told | more | {"columns": self.columns, "data": self.pages[page]}


@pytest.fixture
def coordinator():
    engine = Behind("trino", make_url("trino://reader@127.0.0.1/memory/shop"))
    found = Coordinator(engine)
    with answering(found) as port:
        engine.at = engine.at.set(port=port)
        yield found


@pytest.fixture
def world(tmp_path, coordinator):
    return World(tmp_path, engine=ReadOnly(coordinator.engine))


def test_two_syncs(world, coordinator):
    """
    A first sync; then one with an addition, an update, a move and a removal; then nothing is left to do. Each question
    bears its label.
    """
    two_syncs(world)

    assert coordinator.users == {"reader"}
    assert any("/* audiences: team */ select id, email, nps" in sql for sql in coordinator.engine.heard)


def test_what_travels(world):
    """
    A value of each type, as the rule of all engines says.
    """
    assert travelled(world, VALUES) == [*VALUES.values()]


def test_several_of_a_member(tmp_path, coordinator):
    """
    Each value of an array is an identifier.
    """
    several(tmp_path, ReadOnly(coordinator.engine))


def test_who_stops_reading_says_so(world, coordinator, monkeypatch):
    """
    A stream that is left half read is cancelled at the server, which would keep the rest for a while.
    """
    monkeypatch.setattr("audiences.warehouse.sources.trino.ROWS", 3)
    world.people(*((key, f"p{key}@x") for key in range(9)))
    stream = sources.of(coordinator.engine.at).batches("select id, email, nps from people", ["id"])
    next(stream)
    stream.close()

    assert coordinator.cancelled == 1


def test_what_is_said(world):
    """
    Names are shown; what may quote a row is told by its name alone.
    """
    world.people((1, "ada@example.com"))

    assert "refuses a statement: Catalog Error: Table with name peeple" in failed(
        world, "select id, email, nps from peeple"
    )
    said = failed(world, "select id, email, cast(email as integer) as nps from people")
    assert "fails with INVALID_CAST_ARGUMENT" in said
    assert "ada" not in said


@pytest.mark.parametrize(
    ("name", "error", "shown"),
    [
        ("PERMISSION_DENIED", WarehouseError, True),
        ("MISSING_CATALOG_NAME", WarehouseError, True),
        ("EXCEEDED_TIME_LIMIT", Deferred, False),
        ("DIVISION_BY_ZERO", WarehouseError, False),
    ],
)
def test_an_error_is_known_by_its_name(name, error, shown):
    """
    Of a missing right or name the words are shown, of values they are not.
    """
    from trino.exceptions import TrinoUserError

    found = sources.of(make_url("trino://reader@trino.example.com/a/b")).refusal(
        TrinoUserError({"errorName": name, "message": "the words"})
    )

    assert isinstance(found, error)
    assert ("the words" in str(found)) is shown


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("decimal(38,0)", "HUGEINT"),
        ("decimal(10,2)", "VARIANT"),
        ("timestamp(3) with time zone", "VARCHAR"),
        ("row(a integer)", "VARIANT"),
        ("array(row(a integer))", "VARIANT[]"),
        ("interval year to month", "VARIANT"),
        ("real", "DOUBLE"),
    ],
)
def test_a_type_is_kept_as_what_it_holds(type_, kind):
    """
    A decimal without decimals is a whole number; what is not named is text.
    """
    assert TrinoSource(make_url("trino://reader@trino.example.com/a/b")).kind(type_) == kind


@pytest.mark.parametrize(
    ("url", "scheme"),
    [
        ("trino://reader@trino.example.com:8080/a", "http"),
        ("trino://reader@trino.example.com:8443/a", "https"),
        ("trino://reader:not-a-real-password@trino.example.com:9000/a", "https"),
        ("trino://reader@trino.example.com/a?access_token=not-a-real-token", "https"),
    ],
)
def test_a_secret_travels_over_tls_alone(url, scheme):
    """
    Whatever the port.
    """
    assert TrinoSource(make_url(url)).options()["http_scheme"] == scheme


def test_why_it_cannot_be_reached(caplog):
    """
    A sign-in that is refused, and a server that is not there, are told without a password, and once: the driver's log
    of each try says nothing.
    """
    from trino.exceptions import TrinoConnectionError

    with answering(lambda asked: (401, {}, b"Access Denied")) as port:
        source = sources.of(make_url(f"trino://reader@127.0.0.1:{port}/a"))
        with pytest.raises(WarehouseError, match="cannot be reached: error 401"):
            source.described("select 1 as a")
    assert "cannot be reached: failed" in str(source.refusal(TrinoConnectionError("failed to execute")))
    with caplog.at_level("INFO"), pytest.raises(WarehouseError, match="cannot be reached: failed to execute"):
        sources.of(make_url("trino://reader@127.0.0.1:9/a")).described("select 1 as a")
    assert [each for each in caplog.records if each.name.startswith("trino")] == []


def test_a_query_is_held_to_its_time():
    """
    By a property of the session, beside those that the URL has.
    """
    url = make_url("trino://reader@trino.example.com/a?session_properties=%7B%22writer_min_size%22%3A%20%221MB%22%7D")
    found = TrinoSource(url).bounded(timedelta(minutes=10), None).options()["session_properties"]

    assert found == {"writer_min_size": "1MB", "query_max_run_time": "600000ms"}


def test_a_driver_that_is_missing(monkeypatch):
    """
    The extra that brings it is named.
    """
    monkeypatch.setattr("audiences.warehouse.sources.trino.find_spec", lambda name: None)

    with pytest.raises(DefinitionError) as missing:
        sources.of(make_url("trino://trino.example.com/x")).described("select 1")
    assert re.fullmatch(r"pip install 'audiences\[trino\]'", missing.value.do)
