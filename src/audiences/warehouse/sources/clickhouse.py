"""ClickHouse, over HTTP: in blocks of columns, by queries that only read.

https://clickhouse.com/docs/integrations/language-clients/python/advanced-querying#streaming-queries,
https://clickhouse.com/docs/reference/settings/session-settings/max-execution (read 2026-11)
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from audiences import mask
from audiences.errors import DefinitionError, WarehouseError
from audiences.warehouse.landing import ARRAY
from audiences.warehouse.source import Source, matched, picked
from audiences.warehouse.words import Cancelled

SIZES = ("8", "16", "32", "64")
KINDS = (
    {f"{sign}int{size}": "BIGINT" for sign in ("", "u") for size in SIZES}
    | dict.fromkeys(("uint64", "int128"), "HUGEINT")
    | dict.fromkeys(("float32", "float64", "bfloat16"), "DOUBLE")
    | dict.fromkeys(("string", "fixedstring", "uuid", "date", "date32", "datetime", "datetime64"), "VARCHAR")
    | dict.fromkeys(("ipv4", "ipv6", "enum8", "enum16", "time", "time64"), "VARCHAR")
    | {"bool": "BOOLEAN", "array": ARRAY}
)
HOUR = 3600  # seconds; no session may last longer unless the server says so (max_session_timeout)
AROUND = re.compile(r"^(?:Nullable|LowCardinality)\((.*)\)$")

# https://clickhouse.com/docs/reference/errors: of names and grammar, of rights, of time
NAMING = {36, 42, 43, 46, 47, 60, 62, 81, 179, 207, 352, 386}
DENIED, READ_ONLY, CANCELLED = {497}, {164}, {159, 160, 394}
CODE = re.compile(r"Code: (\d+)\. DB::Exception: (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ClickHouseSource(Source):
    """ClickHouse, of which a user with SELECT alone is enough."""

    dialect = "clickhouse"

    def named(self, select: str) -> dict[str, str]:
        """Asked of its analyser."""
        with self._open() as client:
            rows = client.query(f"describe (\n{select}\n)").result_rows
        return {row[0]: row[1] for row in rows}

    def kind(self, type_: str) -> str:
        """By its name, without what only says that it may be NULL or how it is stored."""
        while found := AROUND.match(type_):
            type_ = found[1]
        return matched(type_, KINDS, "VARIANT")

    def asked(self, select: str) -> Sequence[Sequence[Any]]:
        """Over a client of its own."""
        with self._open() as client:
            return list(client.query(select).result_rows)

    def batches(self, select: str, columns: Sequence[str]) -> Generator[Sequence[Sequence[Any]]]:
        """A block of the server's at a time."""
        quoted = ("`" + column.replace("\\", "\\\\").replace("`", "\\`") + "`" for column in columns)
        with self._open() as client, client.query_row_block_stream(picked(select, quoted)) as blocks:
            yield from blocks

    def client(self, writes: bool = False) -> Any:
        """A client of the server, by its HTTP port; moments with their zone.

        writes: for our tables, whose temporary ones live as long as the session is spoken to: in each hour once
        """
        from clickhouse_connect import get_client

        url = self.url
        secure = url.query.get("secure", "") in ("1", "true") or url.port in (443, 8443)
        return get_client(
            host=url.host or "localhost",
            port=url.port or (8443 if secure else 8123),
            secure=secure,
            username=url.username,
            password=url.password or "",
            database=url.database or "default",
            connect_timeout=10,
            send_receive_timeout=HOUR if writes else 300,
            settings={"session_timeout": str(HOUR)} if writes else self.settings(),
            tz_mode="aware",
        )

    def settings(self) -> dict[str, str]:
        """Of each query. Its time is by the clock: unasked the server goes by what it guesses after ten seconds.

        `readonly` is the last: after it none can be made.
        """
        if self.most is None:
            return {"readonly": "1"}
        longest = f"{self.most.total_seconds():f}"
        return {"max_execution_time": longest, "timeout_before_checking_execution_speed": "0", "readonly": "1"}

    @contextmanager
    def _open(self) -> Iterator[Any]:
        if find_spec("clickhouse_connect") is None:
            raise DefinitionError("ClickHouse needs a driver", do="pip install 'audiences[clickhouse]'")
        from clickhouse_connect.driver.exceptions import Error

        try:
            client = self.client()
        except Error as error:
            raise self.shut(error) from None
        try:
            yield client
        except Error as error:
            raise self.refusal(error) from None
        finally:
            client.close()

    def refusal(self, error: BaseException) -> Exception:
        """By its number. What names things is shown, what may quote a row is not."""
        found = CODE.search(str(error))
        number, said = (int(found[1]), mask.text(found[2].splitlines()[0])) if found else (0, "")
        if number in DENIED:
            return WarehouseError(f"the warehouse refuses: {said}", do="grant what it names to the worker's user")
        if number in READ_ONLY:
            return WarehouseError("the warehouse is read-only", do="leave what writes out of the audience's SQL")
        if number in CANCELLED:
            return Cancelled("the warehouse has cancelled a statement", do="give its user more time, or ask for less")
        if number in NAMING:
            return WarehouseError(f"the warehouse refuses a statement: {said}", do="mend the audience's SQL")
        return WarehouseError(
            f"the warehouse fails with error {number}; its words may hold data and are not shown",
            do="run the audience's SQL in a console of the warehouse to see them",
        )

    def shut(self, error: BaseException) -> Exception:
        """Sign-in, network, database; the driver's words name hosts and users, never a password.

        Of a user who is readonly = 1 already no other setting can be made; the driver says so before it asks anything.
        """
        if str(error) == "Setting max_execution_time is readonly":
            return WarehouseError(
                "the warehouse's user may not set max_execution_time, which timeout under [limits] needs",
                do="let its profile have readonly = 2; or leave timeout out, and let the profile set that time",
            )
        return WarehouseError(
            f"the warehouse cannot be reached: {mask.text(str(error).splitlines()[0])}",
            do="see that its server runs and that AUDIENCES_WAREHOUSE_URL names host, HTTP port, database, user and"
            " password",
        )
