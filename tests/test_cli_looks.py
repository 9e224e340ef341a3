"""The commands that only look, `check`, `plan`, `status` and `show`, and `forget`: what they say of each sync."""

from __future__ import annotations

import pytest

from engines import ENGINES
from prompt import Project

PEOPLE = [(number, f"p{number}@x", number) for number in range(20)]
COLUMNS = {
    "duckdb": {"id": "BIGINT", "email": "VARCHAR", "nps": "INTEGER"},
    "postgresql": {"id": "bigint", "email": "character varying", "nps": "integer"},
}


@pytest.fixture
def project(tmp_path, either):
    found = Project(tmp_path, either)
    found.people(*PEOPLE)
    return found


def test_check_needs_no_warehouse(project):
    """
    `check` reads the definitions alone.
    """
    ended = project.types("check", AUDIENCES_WAREHOUSE_URL=project.engine.nowhere)

    assert (ended.code, ended.out, ended.err) == (0, "1 audience with 1 sync read; no mistakes.\n", "")


@pytest.mark.parametrize("either", ENGINES, indirect=True)
def test_check_asks_the_warehouse_for_columns(project):
    """
    `check --warehouse` shows each query's columns with their types, and names what the warehouse does not know.
    """
    project.audience("other")
    path = project.folder / "audiences" / "other.sql"
    path.write_text(path.read_text().replace("from people", "from nobody"))

    plain, machine = project.types("check", "--warehouse"), project.types("check", "--warehouse", "--json")

    assert plain.code == machine.told["exit"] == 2
    types = COLUMNS[project.engine.name]
    assert f"team: {', '.join(f'{name} {type_}' for name, type_ in types.items())}\n" in plain.out
    assert "error: other: the warehouse refuses a statement: " in plain.err
    assert machine.told["audiences"]["team"]["columns"] == types


def test_plan_counts_and_leaves_nothing_behind(project):
    """
    `plan` says what a sync would change and how to send it; no schema, no state, no list is made.
    """
    project.apart()

    ended = project.types("plan")

    assert ended.code == 0
    assert "team → file (L)\n  + 20 added   ~ 0 updated   − 0 removed   of 0 listed\n" in ended.out
    assert ended.out.endswith("Nothing was sent.\nTo send it: audiences sync --all\n")
    schemas = "select count(*) from information_schema.schemata where schema_name = 'audience_sync'"
    assert project.sql(schemas) == [(0,)]
    assert {path.name for path in project.folder.iterdir()} - {"w.duckdb"} == {".env", "audiences"}


def test_a_sample_is_masked(project):
    """
    `--sample N` shows N members of each kind of change, by key, with everything that names them masked.
    """
    ended = project.types("plan", "--sample", "2")

    assert [line for line in ended.out.splitlines() if line.startswith("    + ")] == [
        "    + 0  email=p…@…  nps=0",
        "    + 1  email=p…@…  nps=1",
    ]


def test_plan_tells_by_its_exit_code(project):
    """
    `plan --exit-code` ends with 10 where there are changes, with 3 where the guard would stop them, and then names no
    command that sends them; else with 0.
    """
    assert project.types("plan").code == 0
    assert project.types("plan", "--exit-code").code == 10

    project.types("sync", "--all")
    assert project.types("plan", "--exit-code").code == 0

    project.people(*PEOPLE[:5])
    ended = project.types("plan", "--exit-code")
    assert ended.code == 3
    assert "  its guard would stop it: team → file (L) would remove 15 of 20 members (75%)" in ended.out
    assert ended.out.endswith("Nothing was sent.\n")
    assert project.types("plan").code == 0
    assert project.types("plan", "--json").told["syncs"][0]["guard"]["do"].endswith("audiences sync team.file --force")


def test_a_plan_that_cannot_be_made_stops_no_other(project):
    """
    A query that the warehouse refuses is told, the others are counted, and the exit code is 1.
    """
    project.audience("other")
    path = project.folder / "audiences" / "other.sql"
    path.write_text(path.read_text().replace("from people", "from nobody"))

    plain, machine = project.types("plan"), project.types("plan", "--json")

    assert plain.code == machine.told["exit"] == 1
    assert "error: other.file cannot be planned: the warehouse refuses a statement" in plain.err
    assert "team → file (L)\n  + 20 added" in plain.out
    assert "the warehouse refuses" in machine.told["syncs"][0]["error"]["what"]
    assert machine.told["syncs"][1]["added"] == 20


def test_a_paused_sync_is_named(project):
    """
    What is paused is named by every command and counted by none.
    """
    project.define("paused = true")
    project.audience("other")

    assert "team.file is paused\n" in project.types("plan").out
    assert "never ran; paused" in project.types("status").out
    assert "1 delivered, 1 paused." in project.types("sync", "--all").out
    assert project.types("sync", "--all", "--json").told["paused"] == ["team.file"]
    assert "paused" in project.types("show", "team").out


def test_an_orphan_is_named_until_it_is_forgotten(project):
    """
    A sync whose file is gone is named with its size and the way out, until it is forgotten; its list still stands.
    """
    project.types("sync", "--all")
    project.audience("other")
    (project.folder / "audiences" / "team.sql").unlink()

    for words in (("plan",), ("status",), ("sync", "--all")):
        assert "team.file lists 20 members, and no file defines it any more" in project.types(*words).out
        assert project.types(*words, "--json").told["orphans"] == {"team.file": 20}

    ended = project.types("forget", "team.file", answer="y\n")
    assert ended.code == 0
    assert "team.file is forgotten: 20 members it had listed stay where they are." in ended.out
    assert project.types("status", "--json").told["orphans"] == {}
    assert len(project.written()) == 20


def test_an_old_name_that_is_written_too_late_is_an_orphan(project):
    """
    Where the new name has run before renamed_from was written, the old sync cannot be followed any more, and is named.
    """
    project.types("sync", "--all")
    project.audience("other")
    (project.folder / "audiences" / "team.sql").unlink()
    project.types("sync", "--all")
    project.audience("other", more='renamed_from = "team.file"')

    assert project.types("status", "--json").told["orphans"] == {"team.file": 20}


def test_forget_asks_first(project):
    """
    Whoever says no, or nothing, has forgotten nothing.
    """
    project.types("sync", "--all")

    no, nothing = project.types("forget", "team.file", answer="n\n"), project.types("forget", "team.file")

    assert (no.code, nothing.code) == (1, 130)
    assert "Nothing was forgotten." in no.out
    assert "stopped; nothing more was done" in nothing.err
    assert len(project.ledger()) == 20
    assert project.types("forget", "team.file", "--yes").code == 0


def test_status_tells_the_last_run(project):
    """
    `status` shows each sync with its list, its size, and how its last run ended; it makes no state database.
    """
    before = project.types("status")
    assert before.out.startswith("team.file  → L  0 listed  never ran; next 20")
    assert not project.state_file.exists()

    project.types("sync", "--all")
    assert "team.file  → L  20 listed  delivered 20" in project.types("status").out
    assert "UTC (+ 20  ~ 0  − 0); next 20" in project.types("status").out
    told = project.types("status", "--json").told["syncs"][0]
    assert (told["listed"], told["last"]["result"], told["last"]["added"]) == (20, "delivered", 20)
    assert told["next"].endswith("T00:00:00+00:00")

    project.state_file.unlink()
    assert "20 listed  no run is remembered" in project.types("status").out


def test_show_tells_all_of_an_audience(project):
    """
    `show` prints what the header says, the SQL as it will run, the size now, and a masked sample.
    """
    project.define("[guard]\nmost = 1000")

    plain, machine = project.types("show", "team"), project.types("show", "team", "--json")

    assert plain.code == machine.code == 0
    assert "team: A test\n  owner tests@example.com, key id\n  schedule @daily (UTC)\n" in plain.out
    assert "removes 20%; never more than 1,000 members\n" in plain.out
    assert "team.file → file, list L, mirror, sends email, nps\n" in plain.out
    assert "\nselect id, email, nps from people\n" in plain.out
    assert "20 members now; 3 of them, masked:\n  id=0  email=p…@…  nps=0\n" in plain.out
    assert (machine.told["size"], machine.told["sql"]) == (20, "select id, email, nps from people")


def test_show_wants_one(project):
    """
    A pattern that means several audiences is answered with their names.
    """
    project.audience("other")

    ended = project.types("show", "*")

    assert ended.code == 2
    assert "'*' means 2 audiences\n  do: name one: other, team" in ended.err
