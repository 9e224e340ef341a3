"""Amazon Redshift, in PostgreSQL's protocol; what only reads does so in one transaction, through a cursor.

Where the URL has no password, AWS is asked for one that holds for minutes (IAM), with the credentials that its own
tools find on this machine; cluster and region are read from the host's name.

https://docs.aws.amazon.com/redshift/latest/dg/declare.html, …/dg/r_BEGIN.html,
https://docs.aws.amazon.com/redshift/latest/mgmt/generating-user-credentials.html (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

from audiences import mask
from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse import sqlstate
from audiences.warehouse.postgres import plainly
from audiences.warehouse.source import ROWS, Source, matched, picked
from audiences.warehouse.words import quoted

# numeric has up to 38 digits; whatever else is not named here is text: SUPER as JSON, VARBYTE in hexadecimal.
KINDS = dict.fromkeys(("int2", "int4", "int8"), "BIGINT") | {
    "bool": "BOOLEAN",
    "float4": "DOUBLE",
    "float8": "DOUBLE",
    "numeric": "VARIANT",
}
# Types that PostgreSQL has not, by their numbers in the protocol.
# https://github.com/aws/amazon-redshift-python-driver/blob/master/redshift_connector/utils/oids.py (read 2026-11)
OTHERS = {705: "unknown", 1188: "intervaly2m", 1190: "intervald2s", 3000: "geometry", 3001: "geography"}
OTHERS |= {3999: "geometry", 4000: "super", 6551: "varbyte"}
CLUSTER = re.compile(r"([^.]+)\.[^.]+\.([^.]+)\.redshift\.amazonaws\.com(?:\.cn)?")
WORKGROUP = re.compile(r"([^.]+)\.[^.]+\.([^.]+)\.redshift-serverless\.amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True, slots=True)
class RedshiftSource(Source):
    """Redshift, of which a user with USAGE and SELECT is enough."""

    dialect = "redshift"

    def named(self, select: str) -> dict[str, str]:
        """Parsed by the server and not run."""
        with self._open() as connection:
            return {name: type_ for name, type_, _ in described(connection, select)}

    def kind(self, type_: str) -> str:
        """By its name in the protocol."""
        return matched(type_, KINDS, "VARCHAR")

    def asked(self, select: str) -> Sequence[Sequence[Any]]:
        """Over a connection of its own."""
        with self._open() as connection:
            return list(connection.execute(select))

    def batches(self, select: str, columns: Sequence[str]) -> Generator[Sequence[Sequence[Any]]]:
        """By FETCH: a cursor keeps its result on the leader node, which sets how large it may be."""
        with self._open() as connection:
            connection.execute(f"declare audience cursor for {picked(select, map(quoted, columns))}")
            while rows := connection.execute(f"fetch forward {ROWS} from audience").fetchall():
                yield rows

    @contextmanager
    def _open(self) -> Iterator[Any]:
        import psycopg

        connection = self.connected()
        connection.read_only, user = True, connection.info.user
        try:
            with connection:
                connection.execute("set timezone to 'UTC'")
                if self.most is not None:
                    connection.execute(f"set statement_timeout to {self.most // timedelta(milliseconds=1)}")
                yield connection
        except psycopg.Error as error:
            raise sqlstate.refusal(error, "", user) from None

    def connected(self, **options: Any) -> Any:
        """A connection of psycopg's. Raises DefinitionError without it, WarehouseError where none is made."""
        if find_spec("psycopg") is None or find_spec("botocore") is None:
            raise DefinitionError("Redshift needs a driver", do="pip install 'audiences[redshift]'")
        import psycopg

        user, password = self.signature()
        usual: dict[str, Any] = {"host": self.url.host, "port": self.url.port or 5439, "sslmode": "require"}
        usual |= {"client_encoding": "utf8"}  # the driver does not know what Redshift calls it
        try:
            connection = psycopg.connect(
                dbname=self.url.database,
                user=user,
                password=password,
                prepare_threshold=None,
                **{**usual, "connect_timeout": 10, **self.url.query},
                **options,
            )
        except psycopg.Error as error:
            raise sqlstate.shut(error) from None
        plainly(connection)
        return connection

    def signature(self) -> tuple[str, str]:
        """User and password: those of the URL, or what AWS gives this machine's identity for some minutes."""
        host, name = self.url.host or "", self.url.username or ""
        if self.url.password:
            return name, self.url.password
        if found := WORKGROUP.fullmatch(host):
            given = _aws("redshift-serverless", found[2], "get_credentials", workgroupName=found[1])
            return given["dbUser"], given["dbPassword"]
        if found := CLUSTER.fullmatch(host):
            given = _aws("redshift", found[2], "get_cluster_credentials", ClusterIdentifier=found[1], DbUser=name)
            return given["DbUser"], given["DbPassword"]
        raise DefinitionError(
            "AUDIENCES_WAREHOUSE_URL has no password, and its host is no name that AWS gives a cluster or workgroup",
            do="put the password into it; or, to sign in by IAM, write the host as AWS shows it:"
            " name.….region.redshift.amazonaws.com",
        )


def described(connection: Any, select: str) -> list[tuple[str, str, int]]:
    """Name, type and what modifies it, of each column that a SELECT would return; it is parsed and not run."""
    from psycopg import errors, postgres
    from psycopg.pq import ExecStatus

    for answer in (
        connection.pgconn.prepare(b"", f"select * from (\n{select}\n) as q".encode()),
        found := connection.pgconn.describe_prepared(b""),
    ):
        if answer.status != ExecStatus.COMMAND_OK:
            raise errors.error_from_result(answer, "utf-8")
    types = [(found.ftype(i), postgres.types.get(found.ftype(i)), found.fmod(i)) for i in range(found.nfields)]
    names = [type_.name if type_ and type_.oid == oid else OTHERS.get(oid, "") for oid, type_, _ in types]
    return [((found.fname(i) or b"").decode(), name, types[i][2]) for i, name in enumerate(names)]


def _aws(service: str, region: str, call: str, **wanted: str) -> dict[str, str]:
    """What AWS answers. Its words name roles, users and clusters; never a secret."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.session import get_session

    try:
        answer: dict[str, str] = getattr(get_session().create_client(service, region), call)(**wanted)
    except (BotoCoreError, ClientError) as error:
        raise WarehouseError(
            f"AWS gives no password for Redshift: {mask.text(str(error))}",
            do="let the worker's identity have redshift:GetClusterCredentials (serverless:"
            " redshift-serverless:GetCredentials) and AWS_ACCESS_KEY_ID, AWS_PROFILE or a role; or put a password into"
            " AUDIENCES_WAREHOUSE_URL",
        ) from None
    return answer
