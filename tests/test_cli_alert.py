"""Alerts as they are set up and tried by commands, and told by `sync`, `serve` and `serve --once`."""

from __future__ import annotations

import json
import sqlite3

import pytest

from prompt import Project, answering


class Hook:
    """A receiver of alerts: subject and state of each that came; status: what it answers."""

    def __init__(self):
        self.came, self.status = [], 200

    def __call__(self, told):
        if self.status == 200:
            self.came.append((told["data"]["subject"], told["data"]["state"]))
        return self.status, {}


@pytest.fixture
def project(tmp_path):
    found = Project(tmp_path)
    found.people((1, "a@x"), (2, "b@x"))
    return found


@pytest.fixture
def hook():
    return Hook()


@pytest.fixture
def where(hook):
    """The settings that let alerts come to the hook."""
    with answering(hook) as found:
        yield {
            f"AUDIENCES_ALERT_{name}": value for name, value in ((k.replace("_URL", ""), v) for k, v in found.items())
        }


def test_a_test_tries_each_way(project, hook, where):
    """
    0: each way that is set gets one notice, and says so; 1 where one does not take it, which hides no other.
    """
    well = project.types("alert", "--test", **where)
    dead = "smtp://127.0.0.1:9?from=tests@example.com&to=crm@example.com"
    ill = project.types("alert", "--test", AUDIENCES_ALERT_EMAIL=dead, **where)

    assert (well.code, well.out) == (0, "webhook: 127.0.0.1 answered 200\n")
    assert (ill.code, ill.out) == (1, well.out)
    assert ill.err.startswith("error: email: 127.0.0.1:9 cannot be spoken to (ConnectionRefusedError)\n  do: check AUD")
    assert hook.came == [("audiences", "test")] * 2


def test_without_a_way_there_is_nothing_to_test(project):
    """
    2: no way that is set, and `alert` alone, are mistakes; both say what to do.
    """
    none, bare = project.types("alert", "--test"), project.types("alert")

    assert (none.code, bare.code) == (2, 2)
    assert "no way to tell alerts is set up\n  do: export AUDIENCES_ALERT_SLACK" in none.err
    assert "say --test" in bare.err


@pytest.mark.parametrize("words", [("check",), ("sync", "--all"), ("serve", "--once"), ("alert", "--test")])
def test_a_way_that_cannot_be_used_is_a_mistake(project, words):
    """
    2: said by `check`, and before anything is run or sent.
    """
    ended = project.types(*words, AUDIENCES_ALERT_SLACK="hooks.example.com/not-a-real-token")

    assert ended.code == 2
    assert "AUDIENCES_ALERT_SLACK is no address to POST to" in ended.err
    assert not (project.folder / "lists").exists()


def test_check_tells_it_for_machines(project):
    """
    2: it stands among the errors of the document, and in the sum of the words.
    """
    wrong = {"AUDIENCES_ALERT_WEBHOOK_SECRET": "short"}
    document = json.loads(project.types("check", "--json", **wrong).out)

    assert document["exit"] == 2
    assert document["errors"][0]["what"].startswith("AUDIENCES_ALERT_WEBHOOK_SECRET is not")
    assert project.types("check", **wrong).out.endswith("; 1 mistake.\n")


def test_sync_tells_at_its_end(project, hook, where):
    """
    `sync` tells what it found, orphans and broken files among it, once; its exit code is as it was.
    """
    project.audience("gone")
    first = project.types("sync", "--all", **where)
    (project.folder / "audiences" / "gone.sql").unlink()
    (project.folder / "audiences" / "broken.sql").write_text("select 1")
    project.sql("drop table people")
    codes = [project.types("sync", "team", **where).code for _ in range(2)]

    assert (first.code, codes) == (0, [1, 1])
    assert sorted(hook.came) == [("broken", "broken"), ("gone.file", "orphan"), ("team.file", "failed")]


def test_a_warehouse_that_is_away_is_told(project, hook, where):
    """
    Where no sync can begin, each has failed: that is told, and in the history.
    """
    away = {"AUDIENCES_WAREHOUSE_URL": "postgresql+psycopg://127.0.0.1:1/away", **where}
    ended = project.types("sync", "--all", **away)

    assert ended.code == 1
    assert hook.came == [("team.file", "failed")]
    assert "  failed in " in project.types("history", "team").out


def test_a_dead_way_changes_nothing_for_sync(project, hook, where):
    """
    Where nobody takes the alert, `sync` prints and ends as without; the next one tells it.
    """
    project.sql("drop table people")
    hook.status = 404
    dead = project.types("sync", "--all", **where)
    hook.status = 200
    bare = project.types("sync", "--all", **where)

    assert (dead.code, dead.out) == (bare.code, bare.out)
    assert '"event": "alert.failed"' in dead.err
    assert '"event": "alert.failed"' not in bare.err
    assert hook.came == [("team.file", "failed")]


def test_once_tells_what_is_late(project, hook, where):
    """
    `serve --once` tells what has not run for longer than its line allows, here for want of a lease; and orphans.
    """
    project.audience("gone")
    project.types("sync", "gone")
    (project.folder / "audiences" / "gone.sql").unlink()
    project.types("serve", "--once", **where)
    with sqlite3.connect(project.state_file) as state:
        state.execute("update timetable set since = since - 200000")
        state.execute("insert into lease values ('team.file', 1, 'elsewhere|1||2|3', 9e9)")
    held = project.types("serve", "--once", **where)
    with sqlite3.connect(project.state_file) as state:
        state.execute("update lease set holder = null")
    project.types("serve", "--once", **where)

    assert held.code == 5
    assert hook.came[0] == ("team.file", "late")
    assert sorted(hook.came[1:]) == [("gone.file", "orphan"), ("team.file", "well")]
