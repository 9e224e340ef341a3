"""Each statement of a run says whose it is, so that its cost is found among all that a warehouse does."""

from __future__ import annotations

import re

from sqlalchemy import Engine, event

from audiences import runs
from audiences.warehouse import Warehouse
from engines import Onlooker, ReadOnly, on
from world import World

COMMIT = "0123456789abcdef"


class Listener:
    """Takes down what a run says to its warehouse."""

    def __init__(self):
        self.said: list[str] = []

    def watch(self, worker, receiver):
        event.listen(worker.warehouse.engine, "before_cursor_execute", lambda _, __, sql, *___: self.said.append(sql))


def test_every_statement_of_a_run_names_it(tmp_path, engine):
    """
    Audience or sync, the run as `audiences run` takes it, and the commit: in a comment, which comes first.
    """
    world, listener = World(tmp_path, engine=engine), Listener()
    world.people((1, "a@x"))
    world.sync(killer=listener, commit=COMMIT)
    with world.worker() as worker:
        [run] = runs.history(worker.state, "team", 2)

    labels = [re.match(r"/\* audiences: (.*?) \*/ \S", sql) for sql in listener.said]
    assert all(labels), [sql for sql, label in zip(listener.said, labels, strict=True) if not label]
    assert {label[1] for label in labels} == {f"team commit {COMMIT}", f"team.webhook run {run.id} commit {COMMIT}"}
    assert sum("run" in label[1] for label in labels) > 20


@on("postgresql")
def test_the_server_shows_it(tmp_path, engine):
    """
    pg_stat_activity, which cuts a long statement off, has the label; after the block there is none.
    """
    mine = "select query from pg_stat_activity where pid = pg_backend_pid()"
    with Warehouse(engine.new(tmp_path), "audience_sync") as warehouse:
        with warehouse.labelled("team"):
            [(said,)] = warehouse.run(mine + " or false" * 500)

        assert said.startswith(f"/* audiences: team */ {mine}")
        assert warehouse.run(mine) == [(mine,)]


def test_a_query_that_is_only_read_bears_it_too(tmp_path, databases):
    """
    Where the ledger is on the worker's own disk, what the warehouse is asked for an audience's rows has its label.
    """
    world, said = World(tmp_path, engine=ReadOnly(Onlooker(databases))), []
    world.people((1, "a@x"))

    def heard(_connection, _cursor, sql, *_):
        said.append(sql)

    event.listen(Engine, "before_cursor_execute", heard)
    try:
        world.sync(commit=COMMIT)
    finally:
        event.remove(Engine, "before_cursor_execute", heard)

    asked = [sql for sql in said if "from people" in sql and not sql.startswith("/*")]
    assert asked
    assert all(f"/* audiences: team commit {COMMIT} */ select id" in sql for sql in asked)
