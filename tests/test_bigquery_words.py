"""BigQuery as a source: its own client and sign-in before a server that is false, and answers from DuckDB."""

from __future__ import annotations

import base64
import datetime as dt
import json
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import duckdb
import pytest
from sqlalchemy.engine import make_url

from audiences.errors import Deferred, DefinitionError, WarehouseError
from audiences.warehouse import Warehouse, sources
from behind import Behind, pages
from engines import ReadOnly
from loopback import answering
from pem import private_key
from sourced import failed, travelled, two_syncs
from world import HEADER, World

# https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/list: as BigQuery writes it -> what travels.
VALUES = {
    "null": None,
    "'😀'": "😀",
    "''": "",
    "true": True,
    "7": 7,
    "0.1": 0.1,
    "numeric '1.50'": 1.5,
    "date '2026-02-28'": "2026-02-28",
    "datetime '2026-02-28 23:59:59.5'": "2026-02-28T23:59:59.500000",
    "timestamp '2026-02-28 23:59:59+05:30'": "2026-02-28T18:29:59+00:00",
    "from_hex('00ff')": "AP8=",
    "[1, 2, 3]": [1, 2, 3],
}
BOUNDARY = "google.auth._regional_access_boundary_utils"
TYPES = {
    "BIGINT": "INTEGER",
    "VARCHAR": "STRING",
    "DOUBLE": "FLOAT",
    "DECIMAL(2,1)": "FLOAT",
    "TIMESTAMP": "DATETIME",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "BLOB": "BYTES",
    "DECIMAL(18,3)": "NUMERIC",
    '"NULL"': "INTEGER",
}


def cell(value):
    """A value as the API has it."""
    if isinstance(value, list):
        return {"v": [cell(each) for each in value]}
    if isinstance(value, dt.datetime):
        value = value.isoformat() if value.tzinfo is None else round(value.timestamp()) * 1_000_000
    if isinstance(value, bytes):
        value = base64.b64encode(value).decode()
    return {"v": value if value is None else str(value).lower() if isinstance(value, bool) else str(value)}


def field(name, type_):
    kind = TYPES.get(type_.removesuffix("[]"), type_.removesuffix("[]").partition("(")[0])
    return {"name": name, "type": kind, "mode": "REPEATED" if type_.endswith("[]") else "NULLABLE"}


class Refused(Exception):
    """An error, by its reason."""


class Google:
    """The part of Google that a query needs: a token for a service account, jobs, and their results in pages of two."""

    def __init__(self, engine):
        self.engine, self.jobs, self.results, self.heard = engine, {}, {}, []

    def __call__(self, asked):
        path = urlsplit(asked.path).path.rpartition("/v2/projects/shop/")[2]
        try:
            if asked.path == "/boundary":
                told = {"locations": [], "encodedLocations": "0x0"}
            elif asked.path == "/token":
                told = {"access_token": "not-a-real-token", "expires_in": 3600, "token_type": "Bearer"}
            elif asked.method == "POST":
                told = self.begun(json.loads(asked.body), asked.headers["authorization"])
            elif path.startswith("jobs/"):
                told = self.jobs[path.removeprefix("jobs/")]
            else:
                told = self.result(path.removeprefix("queries/"), dict(parse_qsl(urlsplit(asked.path).query)))
        except Refused as error:
            reason, said = error.args
            told = {"error": {"code": 400, "message": said, "errors": [{"reason": reason, "message": said}]}}
            return 400, {"content-type": "application/json"}, json.dumps(told).encode()
        return 200, {"content-type": "application/json"}, json.dumps(told).encode()

    def begun(self, body, token):
        assert token == "Bearer not-a-real-token"
        config, name = body["configuration"], body["jobReference"]["jobId"]
        self.heard.append(config)
        if int(config["query"].get("maximumBytesBilled", 100)) < 100 and not config.get("dryRun"):
            raise Refused(
                "bytesBilledLimitExceeded", "Query exceeded limit for bytes billed: 99. 100 or higher required."
            )
        try:
            columns, rows = self.engine.answer(config["query"]["query"])
        except duckdb.Error as error:
            if config.get("dryRun") and not isinstance(error, duckdb.CatalogException):
                columns, rows = [("id", "BIGINT"), ("email", "VARCHAR"), ("nps", "BIGINT")], []
            else:
                raise Refused("invalidQuery", str(error)) from None
        schema = {"fields": [field(*column) for column in columns]}
        self.results[name] = schema, pages([{"f": [cell(value) for value in row]} for row in rows], 2), len(rows)
        stats = {"query": {"schema": schema}} if config.get("dryRun") else {"query": {}}
        told = {"configuration": config, "status": {"state": "DONE"}, "statistics": stats}
        self.jobs[name] = told | {"jobReference": {**body["jobReference"], "location": "EU"}}
        return self.jobs[name]

    def result(self, name, wanted):
        schema, found, total = self.results[name]
        told = {"jobReference": self.jobs[name]["jobReference"], "jobComplete": True, "schema": schema}
        if wanted.get("maxResults") == "0":
            return told | {"totalRows": str(total)}
        page = int(wanted.get("pageToken", 0))
        more = {"pageToken": str(page + 1)} if page + 1 < len(found) else {}
        return told | more | {"totalRows": str(total), "rows": found[page]}


@pytest.fixture
def google(tmp_path, monkeypatch):
    """A false one, and a service account's file that GOOGLE_APPLICATION_CREDENTIALS names."""
    found = Google(Behind("bigquery", make_url("bigquery://shop/crm?location=EU")))
    with answering(found) as port:
        here = f"http://127.0.0.1:{port}"
        account = {"type": "service_account", "client_email": "worker@shop", "token_uri": f"{here}/token"}
        account |= {"project_id": "shop", "private_key": private_key().replace("\\n", "\n")}
        (tmp_path / "account.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", here)
        # Beside each request the library asks, in a thread of its own, where the account may be used.
        monkeypatch.setattr(f"{BOUNDARY}.get_service_account_rab_endpoint", lambda account: f"{here}/boundary")
        yield found


@pytest.fixture
def world(tmp_path, google):
    return World(tmp_path, engine=ReadOnly(google.engine))


def test_two_syncs(world, google):
    """
    A first sync; then one with an addition, an update, a move and a removal; then nothing is left to do. What has no
    dataset is looked up in that of the URL, and each job bears the labels by which its cost is found.
    """
    two_syncs(world)

    assert all(
        config["query"]["defaultDataset"] == {"projectId": "shop", "datasetId": "crm"} for config in google.heard
    )
    assert {config["labels"].get("audience") for config in google.heard if not config.get("dryRun")} == {"team"}


def test_what_travels(world):
    """
    A value of each type, as the rule of all engines says.
    """
    assert travelled(world, VALUES) == [*VALUES.values()]


def test_a_query_is_held_to_its_bytes(world, google):
    """
    `bytes` under [limits] is what the job may be billed for, and `timeout` how long it may run; over it nothing is read
    and nothing is sent, and the way out is said.
    """
    world.people((1, "a@x"))
    world.define(text=HEADER.replace("{more}", '--\n-- [limits]\n-- bytes = 100\n-- timeout = "1 minute"\n'))
    assert world.sync().outcome == "delivered"
    config = google.heard[-1]
    world.define(text=HEADER.replace("{more}", "--\n-- [limits]\n-- bytes = 99\n"))
    said = world.sync().error

    assert (config["query"]["maximumBytesBilled"], config["jobTimeoutMs"]) == ("100", "60000")
    assert "reads more than the 99 bytes that [limits] allows; it did not run" in str(said)
    assert "raise bytes under [limits]" in said.do


def test_nobody_is_a_result_too(world):
    """
    An audience that finds nobody any more comes as a page without rows.
    """
    world.people((1, "a@x"))
    world.sync()
    world.people()
    world.define(text=HEADER.replace("{more}", "--\n-- [guard]\n-- empty = true\n"))

    assert world.sync(force=True).plan.removed == 1
    assert world.listed() == {}


def test_what_is_said(world):
    """
    Names are shown, for a dry run reads no row; what fails as it runs may quote one, and is not.
    """
    world.people((1, "ada@example.com"))

    assert "refuses a statement: Catalog Error: Table with name peeple" in failed(
        world, "select id, email, nps from peeple"
    )
    said = failed(world, "select id, email, cast(email as int64) as nps from people")
    assert "fails with invalidQuery" in said
    assert "ada" not in said


SOURCE = sources.of(make_url("bigquery://shop/crm"))


class Said(Exception):
    """An error as the client raises it."""

    def __init__(self, reason):
        self.errors = [{"reason": reason, "message": "the words"}]


@pytest.mark.parametrize(
    ("reason", "reads", "error", "shown"),
    [
        ("accessDenied", True, WarehouseError, True),
        ("notFound", False, WarehouseError, True),
        ("notFound", True, WarehouseError, False),
        ("stopped", True, Deferred, False),
        ("backendError", True, WarehouseError, False),
    ],
)
def test_an_error_is_known_by_its_reason(reason, reads, error, shown):
    """
    Of a missing right the words are shown; of the others where no row was read.
    """
    found = SOURCE.refusal(Said(reason), reads)

    assert isinstance(found, error)
    assert ("the words" in str(found)) is shown


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("INT64", "BIGINT"),
        ("BIGNUMERIC", "VARIANT"),
        ("RECORD", "VARIANT"),
        ("array", "VARIANT[]"),
        ("JSON", "VARCHAR"),
        ("INTERVAL", "VARIANT"),
    ],
)
def test_a_type_is_kept_as_what_it_holds(type_, kind):
    """
    What is not named is text.
    """
    assert SOURCE.kind(type_) == kind


def test_a_job_over_its_time_is_blamed_on_the_limit(tmp_path):
    """
    A job that Google stops after its time is the audience's own limit; one that somebody stopped before is not.
    """
    with Warehouse(make_url(f"duckdb:///{tmp_path / 'l.duckdb'}"), "audience_sync", SOURCE) as warehouse:
        with pytest.raises(WarehouseError, match="allows, and was stopped"), warehouse.bounded(timedelta(0), None):
            raise SOURCE.refusal(Said("stopped"))
        with pytest.raises(Deferred), warehouse.bounded(timedelta(days=1), None):
            raise SOURCE.refusal(Said("stopped"))
        assert warehouse.source is SOURCE


@pytest.mark.parametrize("file", ["", "{}"])
def test_who_is_nobody_is_told_how_to_sign_in(tmp_path, monkeypatch, file):
    """
    A file that is missing, or is no account's: the variable is named.
    """
    if file:
        (tmp_path / "account.json").write_text(file)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))

    with pytest.raises(WarehouseError, match="cannot be reached") as refused:
        SOURCE.described("select 1 as a")
    assert "GOOGLE_APPLICATION_CREDENTIALS" in refused.value.do


def test_a_driver_that_is_missing(monkeypatch):
    """
    The extra that brings it is named.
    """
    monkeypatch.setattr("audiences.warehouse.sources.bigquery.find_spec", lambda name: None)

    with pytest.raises(DefinitionError) as missing:
        SOURCE.described("select 1 as a")
    assert missing.value.do == "pip install 'audiences[bigquery]'"
