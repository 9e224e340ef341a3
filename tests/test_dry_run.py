"""A dry run looks, and leaves everything as it was."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from audiences import cli
from engines import either
from world import World

engine = either


@pytest.fixture
def world(tmp_path, engine):
    world = World(tmp_path, engine=engine)
    with (tmp_path / ".env").open("a") as env:
        env.write(f"AUDIENCES_WAREHOUSE_URL={world.url}\nAUDIENCES_STATE_URL=sqlite:///state/s.sqlite\n")
    world.people((1, "a@x"), (2, "b@x"), (3, None))
    return world


def asked(world, *words):
    answer = CliRunner().invoke(cli.root, ["-C", str(world.folder), *words])
    assert "Traceback" not in answer.output
    return answer


def files(world):
    return sorted(
        str(path.relative_to(world.folder)) for path in world.folder.rglob("*") if "__pycache__" not in str(path)
    )


def tables(world):
    """Every table and how many rows it has."""
    found = world.sql(
        "select table_schema, table_name from information_schema.tables"
        " where table_schema not in ('pg_catalog', 'information_schema') order by 1, 2"
    )
    return [(*name, *world.sql(f'select count(*) from "{name[0]}"."{name[1]}"')) for name in found]


@pytest.mark.parametrize("words", [("plan",), ("sync", "team", "--dry-run")])
def test_a_dry_run_before_the_first_run(world, words):
    """
    Whoever would be added is counted; no schema, no table and no state database is made, and no call.
    """
    before = files(world), tables(world)
    answer = asked(world, *words)

    assert answer.exit_code == 0
    assert "+ 2 added" in answer.output
    assert (files(world), tables(world)) == before
    schemas = "select count(*) from information_schema.schemata where schema_name = 'audience_sync'"
    assert world.sql(schemas) == [(0,)]


def test_a_dry_run_between_two_runs(world):
    """
    What would change is counted; every table is as it was, and the state database was not even opened.
    """
    world.sync()
    world.people((1, "new@x"), (2, "b@x", 9), (4, "d@x"))
    for path in world.state_file.parent.glob("*"):
        path.unlink()
    before = files(world), tables(world), world.ledger()
    answer = asked(world, "plan")

    assert "+ 1 added   ~ 2 updated" in answer.output
    assert (files(world), tables(world), world.ledger()) == before


def test_a_dry_run_tells_what_an_interrupted_run_left(world):
    """
    Rows of an open outbox that may have been sent and are not settled are counted apart; the outbox stays.
    """
    world.people(*((n, f"p{n}@x") for n in range(6)))
    world.small(batch=2)
    world.killed_in_call(2)
    before = tables(world)
    plan = world.plan()

    assert plan.unsettled > 0
    assert "an interrupted run left up to" in asked(world, "plan").output
    assert "no run has ended; interrupted; the next sync settles it first" in asked(world, "status").output
    assert tables(world) == before
    world.sync()
    assert world.plan().unsettled == 0
