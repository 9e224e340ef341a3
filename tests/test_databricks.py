"""Databricks as a source, untried: its own connector before a Thrift server that is false, and answers from DuckDB."""

from __future__ import annotations

import re
from datetime import timedelta

import duckdb
import pytest
from databricks.sql.thrift_api.TCLIService import TCLIService
from databricks.sql.thrift_api.TCLIService import ttypes as t
from sqlalchemy.engine import make_url
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TTransport import TMemoryBuffer

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse import sources
from audiences.warehouse.sources.databricks import DatabricksSource
from audiences.warehouse.words import Cancelled
from behind import Behind, pages
from engines import ReadOnly
from loopback import answering
from sourced import failed, travelled, two_syncs
from world import World

URL = make_url(
    "databricks://token:not-a-real-token@dbc.example.com?http_path=/sql/1.0/warehouses/a1&catalog=main&schema=shop"
)
# A value as Databricks writes it -> what travels.
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
    "cast('2026-02-28 23:59:59.5' as timestamp_ntz)": "2026-02-28T23:59:59.500000",
    "cast('2026-02-28 23:59:59+05:30' as timestamp)": "2026-02-28T18:29:59+00:00",
    "cast(null as timestamp)": None,
    "unhex('00ff')": "AP8=",
    "array(1, null, 3)": [1, None, 3],
}
# As DuckDB calls a type -> as DESCRIBE QUERY does, its place in the protocol, and its field there.
TYPES = {
    "BOOLEAN": ("boolean", t.TTypeId.BOOLEAN_TYPE, "boolVal"),
    "INTEGER": ("int", t.TTypeId.INT_TYPE, "i32Val"),
    "BIGINT": ("bigint", t.TTypeId.BIGINT_TYPE, "i64Val"),
    "SMALLINT": ("smallint", t.TTypeId.SMALLINT_TYPE, "i16Val"),
    "DOUBLE": ("double", t.TTypeId.DOUBLE_TYPE, "doubleVal"),
    "DATE": ("date", t.TTypeId.DATE_TYPE, "stringVal"),
    "TIMESTAMP": ("timestamp_ntz", t.TTypeId.TIMESTAMP_TYPE, "stringVal"),
    "TIMESTAMP WITH TIME ZONE": ("timestamp", t.TTypeId.TIMESTAMP_TYPE, "stringVal"),
    "BLOB": ("binary", t.TTypeId.BINARY_TYPE, "binaryVal"),
    "INTEGER[]": ("array<int>", t.TTypeId.ARRAY_TYPE, "stringVal"),
}
TEXT = ("string", t.TTypeId.STRING_TYPE, "stringVal")
WELL = t.TStatus(statusCode=t.TStatusCode.SUCCESS_STATUS)


class Server:
    """The part of the protocol that a query needs: each comes in pages of two rows."""

    def __init__(self, engine):
        self.engine, self.sessions, self.closed, self.rows = engine, [], 0, []
        self.processor = TCLIService.Processor(self)

    def __call__(self, asked):
        if "authorization" in asked.headers:
            assert asked.headers["authorization"] == "Bearer not-a-real-token"
        out = TMemoryBuffer()
        self.processor.process(TBinaryProtocol(TMemoryBuffer(asked.body)), TBinaryProtocol(out))
        return 200, {"content-type": "application/x-thrift"}, out.getvalue()

    def OpenSession(self, asked):  # noqa: N802 (the protocol's name; so below)
        self.sessions.append(asked)
        handle = t.TSessionHandle(t.THandleIdentifier(b"s" * 16, b"s" * 16))
        version = t.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V6
        return t.TOpenSessionResp(WELL, version, handle, canUseMultipleCatalogs=True)

    def CloseSession(self, asked):  # noqa: N802
        self.closed += 1
        return t.TCloseSessionResp(WELL)

    def ExecuteStatement(self, asked):  # noqa: N802
        handle = t.TOperationHandle(t.THandleIdentifier(b"o" * 16, b"o" * 16), 0, True)
        state = t.TGetOperationStatusResp(WELL, t.TOperationState.FINISHED_STATE)
        try:
            found, rows = self.answer(asked.statement)
        except duckdb.Error as error:
            known = "does not exist" in str(error)
            said = f"[{'TABLE_OR_VIEW_NOT_FOUND' if known else 'CAST_INVALID_INPUT'}] {error}"
            state.operationState = t.TOperationState.ERROR_STATE
            state.displayMessage = f"{said} SQLSTATE: {'42P01' if known else '22018'}"
            return t.TExecuteStatementResp(WELL, handle, t.TSparkDirectResults(state))
        self.columns, self.pages = found, pages(rows, 2)
        return t.TExecuteStatementResp(WELL, handle, t.TSparkDirectResults(state, self.GetResultSetMetadata(None)))

    def answer(self, sql):
        if not (query := sql.partition("describe query ")[2]):
            return self.engine.answer(sql)
        found, _ = self.engine.answer(f"{query} limit 0")
        return [("col_name", "VARCHAR"), ("data_type", "VARCHAR")], [(name, told(type_)[0]) for name, type_ in found]

    def GetResultSetMetadata(self, asked):  # noqa: N802
        kinds = [t.TTypeDesc([t.TTypeEntry(t.TPrimitiveTypeEntry(told(type_)[1]))]) for _, type_ in self.columns]
        named = [
            t.TColumnDesc(name, kind, place)
            for place, ((name, _), kind) in enumerate(zip(self.columns, kinds, strict=True))
        ]
        schema = t.TTableSchema(named)
        return t.TGetResultSetMetadataResp(WELL, schema, t.TSparkRowSetType.COLUMN_BASED_SET)

    def FetchResults(self, asked):  # noqa: N802
        rows = self.pages.pop(0)
        columns = [column(type_, [row[n] for row in rows]) for n, (_, type_) in enumerate(self.columns)]
        return t.TFetchResultsResp(WELL, bool(self.pages), t.TRowSet(0, [], columns), self.GetResultSetMetadata(None))

    def CloseOperation(self, asked):  # noqa: N802
        return t.TCloseOperationResp(WELL)


def told(type_):
    """What the server says of a type of DuckDB's."""
    return (type_.lower(), TEXT[1], TEXT[2]) if type_.startswith("DECIMAL") else TYPES.get(type_, TEXT)


def column(type_, values):
    """Values as the protocol has them: a bit for each that is NULL."""
    nulls = bytearray(len(values) // 8 + 1)
    for n, value in enumerate(values):
        nulls[n // 8] |= (value is None) << n % 8
    field = told(type_)[2]
    blank = {"boolVal": False, "stringVal": "", "binaryVal": b"", "doubleVal": 0.0}.get(field, 0)
    held = [blank if value is None else written(value) if field == "stringVal" else value for value in values]
    kind = {"boolVal": "Bool", "stringVal": "String", "binaryVal": "Binary", "doubleVal": "Double"}.get(field)
    made = getattr(t, f"T{kind or field[:3].upper()}Column")
    return t.TColumn(**{field: made(held, bytes(nulls))})


def written(value):
    """A text; that of a moment names no zone, as Spark's does not."""
    return re.sub(r"(\d\d:\d\d:\d\d[.\d]*)\+00(:00)?$", r"\1", str(value))


@pytest.fixture
def server(monkeypatch):
    engine = Behind("databricks", URL)
    found, options = Server(engine), DatabricksSource.options
    with answering(found) as port:
        here = {"_connection_uri": f"http://127.0.0.1:{port}/", "_retry_stop_after_attempts_count": 1}
        monkeypatch.setattr(DatabricksSource, "options", lambda self: {**options(self), **here})
        yield found


@pytest.fixture
def world(tmp_path, server):
    return World(tmp_path, engine=ReadOnly(server.engine))


def test_two_syncs(world, server):
    """
    A first sync; then one with an addition, an update, a move and a removal; then nothing is left to do. Each question
    bears its label, in a session of UTC, which is closed.
    """
    two_syncs(world)

    assert any("/* audiences: team */ select id, email, nps" in sql for sql in server.engine.heard)
    assert {session.configuration["TIMEZONE"] for session in server.sessions} == {"UTC"}
    assert {session.initialNamespace.catalogName for session in server.sessions} == {"main"}
    assert server.closed == len(server.sessions)


def test_what_travels(world):
    """
    A value of each type, as the rule of all engines says.
    """
    assert travelled(world, VALUES) == [*VALUES.values()]


def test_what_is_said(world):
    """
    Names are shown; what may quote a row is told by its SQLSTATE alone.
    """
    world.people((1, "ada@example.com"))

    assert "refuses a statement: [TABLE_OR_VIEW_NOT_FOUND]" in failed(world, "select id, email, nps from peeple")
    said = failed(world, "select id, email, cast(email as int) as nps from people")
    assert "fails with SQLSTATE 22018" in said
    assert "ada" not in said


class ServerOperationError(Exception):
    """As the connector calls what the server says of a query."""


@pytest.mark.parametrize(
    ("state", "error", "shown"),
    [
        ("42501", WarehouseError, True),
        ("42703", WarehouseError, True),
        ("57KD0", Cancelled, False),
        ("HY008", Cancelled, False),
        ("22012", WarehouseError, False),
    ],
)
def test_an_error_is_known_by_its_state(state, error, shown):
    """
    Of a missing right or name the words are shown, of values they are not.
    """
    found = DatabricksSource(URL).refusal(ServerOperationError(f"[CLASS] the words. SQLSTATE: {state}"))

    assert isinstance(found, error)
    assert ("the words" in str(found)) is shown


def test_why_it_cannot_be_reached(server, monkeypatch):
    """
    A sign-in that is refused is told without a token.
    """
    monkeypatch.setattr(Server, "__call__", lambda self, asked: (403, {}, b"no"))
    with pytest.raises(WarehouseError, match="cannot be reached") as shut:
        sources.of(URL).described("select 1 as a")
    assert "not-a-real-token" not in str(shut.value)


def test_what_the_url_must_name():
    """
    Each part that it lacks is named.
    """
    with pytest.raises(DefinitionError, match=r"lacks token, http_path, schema"):
        sources.of(make_url("databricks://dbc.example.com?catalog=main")).described("select 1")


def test_nothing_is_reported_home():
    """
    The connector would report failures in the server's words, which may quote a row.
    """
    assert DatabricksSource(URL).options()["enable_telemetry"] is False


def test_a_query_is_held_to_its_time():
    """
    By a parameter of the session, in whole seconds: more rather than less.
    """
    found = DatabricksSource(URL).bounded(timedelta(milliseconds=1500), None).options()

    assert found["session_configuration"] == {"TIMEZONE": "UTC", "STATEMENT_TIMEOUT": "2"}


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("decimal(38,0)", "HUGEINT"),
        ("decimal(10,2)", "VARIANT"),
        ("timestamp_ntz", "VARCHAR"),
        ("struct<a:int>", "VARIANT"),
        ("array<string>", "VARIANT[]"),
        ("interval year to month", "VARCHAR"),
        ("float", "DOUBLE"),
    ],
)
def test_a_type_is_kept_as_what_it_holds(type_, kind):
    """
    A decimal without decimals is a whole number; what is not named is text.
    """
    assert DatabricksSource(URL).kind(type_) == kind


def test_a_driver_that_is_missing(monkeypatch):
    """
    The extra that brings it is named.
    """
    monkeypatch.setattr("audiences.warehouse.sources.databricks.find_spec", lambda name: None)

    with pytest.raises(DefinitionError) as missing:
        sources.of(URL).described("select 1")
    assert re.fullmatch(r"pip install 'audiences\[databricks\]'", missing.value.do)
