"""Our tables in MySQL's words, untried there: on a real MariaDB in its place, as far as both know them."""

from __future__ import annotations

import pytest

from kept import *  # noqa: F403
from killed import *  # noqa: F403
from mysqled import Near, WritableMySQL
from scale import times
from test_composite_key import HUGE

HISTORIES = times(6, 1_000)
FURTHER = [HUGE]


@pytest.fixture(scope="module")
def engine(mariadb_server):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audiences.warehouse.mariadb.MySQLSource", Near)
        yield WritableMySQL(mariadb_server)
