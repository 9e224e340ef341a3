"""Our tables in Redshift's words, untried there: on a PostgreSQL in its place, as far as both know them."""

from __future__ import annotations

import pytest

from kept import *  # noqa: F403
from padded import *  # noqa: F403
from redshifted import Dropped, Near
from scale import times
from sourced import failed
from test_composite_key import HUGE

HISTORIES = times(10, 1_000)
FURTHER = [HUGE]


@pytest.fixture(scope="module")
def engine(postgres_server):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audiences.warehouse.redshift.RedshiftSource", Near)
        yield Dropped(postgres_server)


def test_a_text_that_is_too_long(world):
    """
    It is an error, and no shorter text is sent.
    """
    world.people((1, "a@x"))
    select = "select id, email || repeat('x', 70000) as email, nps from people"

    assert "longer than the 65,535 bytes" in failed(world, select)
    assert not world.receiver.lists.get("L")
