"""What holds of engines to which `k` and `k ` are one text, told of one by importing it."""

from __future__ import annotations

import pytest

from oracle import Case
from sourced import asks

__all__ = ["test_blanks_at_the_end_make_no_other_member", "written"]


def _landed(case):
    """A world as it is once written down: no text ends in a blank."""
    kept = {
        kind: [row._replace(email=row.email and row.email.rstrip(" ")) for row in getattr(case, kind)]
        for kind in ("people", "claims", "refusals")
    }
    return Case(**kept, mode=case.mode, repeatable=case.repeatable, mortal=case.mortal)


@pytest.fixture(scope="module")
def written():
    """A world of the oracle's, as it is once written down."""
    return _landed


def test_blanks_at_the_end_make_no_other_member(world):
    """
    `k` and `k ` are one key, which comes twice: nobody is added or removed by it.
    """
    ask = "select 'k' as id, 'a@x ' as email, 1 as nps union all select {}, 2"
    asks(world, ask.format("'m', 'b@x'"))
    assert world.sync().error is None
    assert world.listed() == {"a@x": 1, "b@x": 2}

    asks(world, ask.format("'k  ', 'c@x'"))
    result = world.sync(force=True)

    assert result.plan.repeated == 1
    assert world.listed() == {"a@x": 1}
