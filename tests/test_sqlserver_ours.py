"""Our tables in T-SQL, untried on SQL Server: on a DuckDB in its place, by way of sqlglot."""

from __future__ import annotations

import pytest

from audiences.warehouse.sources.sqlserver import SQLServerSource
from kept import *  # noqa: F403
from mssqled import SQLServer
from padded import *  # noqa: F403
from scale import times
from sourced import asks
from test_composite_key import HUGE

HISTORIES = times(2, 500)
FURTHER = [HUGE]


@pytest.fixture(scope="module")
def engine():
    server = SQLServer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SQLServerSource, "connection", lambda self, **_options: server.connected(self.url))
        yield server


def test_a_query_may_start_with_its_steps(world):
    """
    T-SQL has no WITH inside of parentheses: it goes before the SELECT … INTO.
    """
    world.people((1, "a@x", 3), (2, "b@x", 9))
    asks(world, "with low as (select id, email, nps from people where nps < 5)\nselect id, email, nps from low -- all")

    assert world.sync().outcome == "delivered"
    assert world.listed() == {"a@x": 3}
