"""Redshift as a source, untried: its protocol from a PostgreSQL that stands in for it, its sign-in from a false AWS."""

from __future__ import annotations

import json

import pytest
from sqlalchemy.engine import make_url

from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse import sources
from audiences.warehouse.sources.redshift import RedshiftSource
from engines import Onlooker, ReadOnly
from loopback import answering
from sourced import failed, travelled, two_syncs
from world import World

CLUSTER = "shop.abc123xyz789.eu-central-1.redshift.amazonaws.com"
WORKGROUP = "shop.111122223333.eu-central-1.redshift-serverless.amazonaws.com"
GIVEN = """<GetClusterCredentialsResponse xmlns="http://redshift.amazonaws.com/doc/2012-12-01/">
<GetClusterCredentialsResult><DbUser>IAM:reader</DbUser><DbPassword>not-a-real-password</DbPassword>
<Expiration>2026-11-22T12:00:00Z</Expiration></GetClusterCredentialsResult></GetClusterCredentialsResponse>"""

# A value as Redshift and PostgreSQL write it -> what travels.
VALUES = {
    "null": None,
    "'😀'::varchar": "😀",
    "true": True,
    "7::smallint": 7,
    "0.1::float8": 0.1,
    "1.50::numeric(10, 2)": 1.5,
    "date '2026-02-28'": "2026-02-28",
    "date '0044-03-15 BC'": "0044-03-15 BC",
    "timestamp '2026-02-28 23:59:59.5'": "2026-02-28T23:59:59.500000",
    "timestamptz '2026-02-28 23:59:59+05:30'": "2026-02-28T18:29:59+00:00",
    "cast(timestamptz '2026-02-28 23:59:59+05:30' as varchar)": "2026-02-28 18:29:59+00",
}


class Near(RedshiftSource):
    """The same, whose server lets everyone in."""

    def signature(self):
        return self.url.username, ""


class Redshift(Onlooker):
    """A PostgreSQL in its place."""

    name, dialect = "redshift, only read", "redshift"

    def new(self, folder):
        return super().new(folder).set(drivername="redshift").update_query_dict({"port": "5432"})


@pytest.fixture(autouse=True)
def near(monkeypatch):
    monkeypatch.setattr("audiences.warehouse.sources.redshift.RedshiftSource", Near)


@pytest.fixture
def world(tmp_path, databases):
    return World(tmp_path, engine=ReadOnly(Redshift(databases)))


@pytest.fixture
def aws(monkeypatch):
    """A false AWS: what it was asked, and for whom."""
    heard = []

    def answer(asked):
        heard.append((*asked.headers["authorization"].split("/")[2:4], asked.body.decode()))
        serverless = {"dbUser": "IAMR:worker", "dbPassword": "not-a-real-password", "expiration": 1795348800}
        return 200, {}, json.dumps(serverless).encode() if "json" in asked.headers["content-type"] else GIVEN.encode()

    for variable, value in {"ACCESS_KEY_ID": "worker", "SECRET_ACCESS_KEY": "not-a-real-key"}.items():
        monkeypatch.setenv(f"AWS_{variable}", value)
    with answering(answer) as port:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        yield heard


def test_two_syncs(world):
    """
    A first sync; then one with an addition, an update, a move and a removal; then nothing is left to do.
    """
    two_syncs(world)


def test_what_travels(world, monkeypatch):
    """
    A value of each type, as the rule of all engines says; more rows than one FETCH takes arrive too.
    """
    monkeypatch.setattr("audiences.warehouse.sources.redshift.ROWS", 2)
    many = "union all select 'k' || i, 'p' || i || '@x', " + ", ".join(VALUES) + " from generate_series(1, 4) g(i)"

    assert travelled(world, VALUES, "'k'", many) == [*VALUES.values()]
    assert len(world.receiver.lists["L"]) == 5


def test_what_is_said(world):
    """
    Names and rights are shown, with the way out; what may quote a row is not.
    """
    world.people((1, "ada@example.com"))

    assert 'relation "peeple" does not exist' in failed(world, "select id, email, nps from peeple")
    assert "ada" not in failed(world, "select id, email, email::int as nps from people")
    world.sql("revoke select on people from onlooker")
    assert 'grant select on people to "onlooker"' in failed(world, "select id, email, nps from people")


def test_it_only_reads(world):
    """
    What would write is an error of the server's, also for a user who may write.
    """
    world.people((1, "a@x"))
    owner = sources.of(world.url.set(username="tester"))

    with pytest.raises(WarehouseError, match="the warehouse is read-only"):
        owner.asked("delete from people")


@pytest.mark.parametrize(
    ("host", "user", "service", "wanted"),
    [
        (CLUSTER, "IAM:reader", "redshift", "ClusterIdentifier=shop&DbUser=reader"),
        (WORKGROUP, "IAMR:worker", "redshift-serverless", '{"workgroupName": "shop"}'),
    ],
)
def test_without_a_password_aws_gives_one(aws, host, user, service, wanted):
    """
    For the cluster or workgroup that the host names, in its region, by the identity that this machine has.
    """
    found = RedshiftSource(make_url(f"redshift://reader@{host}/shop")).signature()
    [(*asked, body)] = aws

    assert found == (user, "not-a-real-password")
    assert asked == ["eu-central-1", service]
    assert wanted in body


def test_a_password_is_taken_as_it_is(aws):
    """
    Where the URL has one, AWS is not asked.
    """
    assert RedshiftSource(make_url(f"redshift://reader:secret@{CLUSTER}/shop")).signature() == ("reader", "secret")
    assert not aws


def test_what_signing_in_needs_is_named(aws, monkeypatch):
    """
    A host that names no cluster, and an AWS that refuses, are told with the way out.
    """
    with pytest.raises(DefinitionError, match="put the password into it"):
        RedshiftSource(make_url("redshift://reader@db.example.com/shop")).signature()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(WarehouseError, match="AWS gives no password for Redshift: Could not connect") as refused:
        RedshiftSource(make_url(f"redshift://reader@{CLUSTER}/shop")).signature()
    assert "GetClusterCredentials" in refused.value.do


def test_a_server_that_cannot_be_reached():
    """
    Why is said in words, without a password.
    """
    with pytest.raises(WarehouseError, match="cannot be reached") as refused:
        RedshiftSource(make_url("redshift://reader:not-a-real-password@127.0.0.1:9/shop")).described("select 1 as a")
    assert "not-a-real" not in str(refused.value)


def test_a_driver_that_is_missing(monkeypatch):
    """
    The extra that brings it is named.
    """
    monkeypatch.setattr("audiences.warehouse.sources.redshift.find_spec", lambda name: None)

    with pytest.raises(DefinitionError) as missing:
        sources.of(make_url("redshift://reader@db.example.com/x")).described("select 1")
    assert missing.value.do == "pip install 'audiences[redshift]'"
