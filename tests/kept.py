"""What holds of every engine that keeps our tables, told of one by importing it.

A test file has a fixture `engine` of its own, for the whole file, and says:

HISTORIES: how many are told
FURTHER:   rows of two columns of which a key is made there, beside those of every engine
TABLE:     how a table of people is made, where that is said otherwise
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiences import control
from audiences.errors import LeaseLost
from scale import THOROUGH, times
from sourced import two_syncs
from test_changes import agrees, by_any_rule, by_this_rule, cases, empty, often, people, unique_people
from test_composite_key import ROWS, same_bytes
from test_control import STEPS, begun, everything, opened
from test_convergence import Told, ToldOfJobs, told
from test_forms import writes_one_form
from test_normal import RULES
from world import World

__all__ = [
    "fence",
    "test_after_a_takeover_no_step_changes_anything",
    "test_any_history_ends_in_step",
    "test_sql_and_python_write_one_form",
    "test_the_plan_after_a_change_of_list_or_identifier",
    "test_the_plan_is_what_the_rules_say",
    "test_the_same_bytes_of_a_key",
    "test_two_syncs_that_it_keeps",
    "world",
    "written",
]
USUAL = "create table people (id bigint, email varchar)"


@pytest.fixture
def world(tmp_path, engine):
    return World(tmp_path, engine=engine)


@pytest.fixture(scope="module")
def fence(engine):
    """An empty warehouse that has run the sync once."""
    with engine.warehouse(engine.alone()) as warehouse:
        yield empty(warehouse)


@pytest.fixture(scope="module")
def written():
    """A world of the oracle's, as it is once written down."""
    return lambda case: case


def test_two_syncs_that_it_keeps(world):
    """
    A first sync; then one with an addition, an update, a move and a removal; then nothing is left to do.
    """
    two_syncs(world)


@pytest.mark.no_cover
@pytest.mark.parametrize("machine", [Told, ToldOfJobs] if THOROUGH else [Told])
def test_any_history_ends_in_step(engine, machine, request):
    """
    The histories of test_convergence: killed runs, also between two statements that settle, a lost state, late jobs.
    """
    told(machine, engine, request.module.HISTORIES, each=times(2, 3))


@pytest.mark.no_cover
@settings(max_examples=times(4, 300), **often)
@given(case=st.one_of(cases(unique_people, by_this_rule), cases(people, by_this_rule)))
def test_the_plan_is_what_the_rules_say(fence, written, case):
    """
    Rows and counts of a comparison equal those of the rules in plain Python, as test_changes tells them.
    """
    agrees(fence, written(case))


@pytest.mark.no_cover
@settings(max_examples=times(4, 300), **often)
@given(case=st.one_of(cases(unique_people, by_any_rule), cases(people, by_any_rule)))
def test_the_plan_after_a_change_of_list_or_identifier(fence, written, case):
    """
    The same where claims may be of another list, or known by another identifier than today's.
    """
    agrees(fence, written(case), rule="another")


@pytest.mark.no_cover
@pytest.mark.parametrize("name", RULES)
def test_sql_and_python_write_one_form(fence, name):
    """
    Of any text the statement makes the form that the worker makes.
    """
    writes_one_form(fence.warehouse, name)


def test_the_same_bytes_of_a_key(engine, request):
    """
    A key of several columns is what every engine makes of it.
    """
    same_bytes(engine, [*ROWS, *request.module.FURTHER])


@pytest.mark.no_cover
@pytest.mark.parametrize("step", STEPS)
def test_after_a_takeover_no_step_changes_anything(engine, step, request):
    """
    Another worker has put up its fence: whatever the old one tries, it changes nothing, and raises LeaseLost.
    """
    url = engine.alone()
    with engine.open(url) as connection:
        connection.execute(getattr(request.module, "TABLE", USUAL))
    with engine.warehouse(url) as first, engine.warehouse(url) as second:
        begun(first)
        old = opened(first)
        control.take(second, old.sync, old.table, 1, 2, "another")
        before = everything(second)

        with pytest.raises(LeaseLost):
            STEPS[step](old)
        assert everything(second) == before
