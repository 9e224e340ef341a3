"""Our tables in Redshift's words, untried there: on a PostgreSQL in its place, as far as both know them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiences import control
from audiences.errors import LeaseLost
from oracle import Case
from redshifted import Dropped, Near, Redshift
from scale import times
from sourced import asks, failed, two_syncs
from test_changes import agrees, by_any_rule, by_this_rule, cases, empty, often, people, unique_people
from test_composite_key import HUGE, ROWS, same_bytes
from test_control import STEPS, begun, everything, opened
from test_convergence import Told, ToldOfJobs, told
from test_forms import writes_one_form
from test_normal import RULES
from world import World


@pytest.fixture(autouse=True, scope="module")
def near():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audiences.warehouse.redshift.RedshiftSource", Near)
        yield


@pytest.fixture
def engine(databases):
    return Redshift(databases)


@pytest.fixture
def world(tmp_path, engine):
    return World(tmp_path, engine=engine)


@pytest.fixture(scope="module")
def fence(postgres_server):
    """An empty warehouse that has run the sync once."""
    engine = Redshift(postgres_server.database)
    with engine.warehouse(engine.alone()) as warehouse:
        yield empty(warehouse)


def test_two_syncs(world):
    """
    A first sync; then one with an addition, an update, a move and a removal; then nothing is left to do.
    """
    two_syncs(world)


@pytest.mark.parametrize("machine", [Told, ToldOfJobs])
def test_any_history_ends_in_step(postgres_server, machine):
    """
    The histories of test_convergence: killed runs, also between two statements that settle, a lost state, late jobs.
    """
    told(machine, Dropped(postgres_server), times(10, 1_000, 20))


def landed(case):
    """A world as it is once written down: no text ends in a blank."""
    kept = {
        kind: [row._replace(email=row.email and row.email.rstrip(" ")) for row in getattr(case, kind)]
        for kind in ("people", "claims", "refusals")
    }
    return Case(**kept, mode=case.mode, repeatable=case.repeatable, mortal=case.mortal)


@settings(max_examples=times(6, 1_000, 12), **often)
@given(case=st.one_of(cases(unique_people, by_this_rule), cases(people, by_this_rule)))
def test_the_plan_is_what_the_rules_say(fence, case):
    """
    Rows and counts of a comparison equal those of the rules in plain Python, as test_changes tells them.
    """
    agrees(fence, landed(case))


@settings(max_examples=times(6, 1_000, 12), **often)
@given(case=st.one_of(cases(unique_people, by_any_rule), cases(people, by_any_rule)))
def test_the_plan_after_a_change_of_list_or_identifier(fence, case):
    """
    The same where claims may be of another list, or known by another identifier than today's.
    """
    agrees(fence, landed(case), rule="another")


@pytest.mark.parametrize("name", RULES)
def test_sql_and_python_write_one_form(fence, name):
    """
    Of any text the statement makes the form that the worker makes.
    """
    writes_one_form(fence.warehouse, name)


def test_the_same_bytes_of_a_key(engine):
    """
    A key of several columns is what every engine makes of it.
    """
    same_bytes(engine, [*ROWS, HUGE])


@pytest.mark.parametrize("step", STEPS)
def test_after_a_takeover_no_step_changes_anything(engine, step):
    """
    Another worker has put up its fence: whatever the old one tries, it changes nothing, and raises LeaseLost.
    """
    url = engine.alone()
    with engine.open(url) as connection:
        connection.execute("create table people (id bigint, email varchar)")
    with engine.warehouse(url) as first, engine.warehouse(url) as second:
        begun(first)
        old = opened(first)
        control.take(second, old.sync, old.table, 1, 2, "another")
        before = everything(second)

        with pytest.raises(LeaseLost):
            STEPS[step](old)
        assert everything(second) == before


def test_blanks_at_the_end_make_no_other_member(world):
    """
    To Redshift `k` and `k ` are one text, and so they are one key, which comes twice: nobody is added or removed by it.
    """
    ask = "select 'k' as id, 'a@x ' as email, 1 as nps union all select {}, 2"
    asks(world, ask.format("'m', 'b@x'"))
    assert world.sync().error is None
    assert world.listed() == {"a@x": 1, "b@x": 2}

    asks(world, ask.format("'k  ', 'c@x'"))
    result = world.sync(force=True)

    assert result.plan.repeated == 1
    assert world.listed() == {"a@x": 1}


def test_a_text_that_is_too_long(world):
    """
    It is an error, and no shorter text is sent.
    """
    world.people((1, "a@x"))
    select = "select id, email || repeat('x', 70000) as email, nps from people"

    assert "longer than the 65,535 bytes" in failed(world, select)
    assert not world.receiver.lists.get("L")
