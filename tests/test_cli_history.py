"""`audiences history` and `audiences run`: what ran, when, of which commit, and what became of it."""

from __future__ import annotations

import hashlib
import subprocess

import httpx
import pytest
from sqlalchemy.engine import make_url

from prompt import Project
from states import layout_1, rows
from test_revision import AS
from world import World

PEOPLE = [(number, f"p{number}@x", number) for number in range(20)]


@pytest.fixture
def project(tmp_path):
    found = Project(tmp_path)
    found.people(*PEOPLE)
    return found


def committed(project):
    """Put the project under git; the commit."""
    for words in (("init", "-q"), ("add", "audiences"), ("commit", "-q", "-m", "x")):
        subprocess.run(["git", *AS, "-c", "commit.gpgsign=false", *words], cwd=project.folder, check=True)
    said = subprocess.run(["git", "rev-parse", "HEAD"], cwd=project.folder, capture_output=True, text=True, check=True)
    return said.stdout.strip()


def test_history_tells_each_run(project):
    """
    The newest first: how each run ended, its numbers, and the commit of the definition that ran.
    """
    commit = committed(project)
    project.types("sync", "--all")
    project.people(*PEOPLE[:5])
    project.types("sync", "--all")
    path = project.folder / "audiences" / "team.sql"
    path.write_text(path.read_text() + "-- more\n")
    project.types("sync", "team", "--force")

    lines = project.types("history", "team").out.splitlines()
    newest, guarded, oldest = project.types("history", "team.file", "--json").told["runs"]

    assert ["delivered in" in lines[0], "guarded in" in lines[1], "delivered in" in lines[2]] == [True] * 3
    assert f"+ 0  ~ 0  − 15  of 20  {commit[:10]}-dirty" in lines[0]
    assert f"+ 20  ~ 0  − 0  of 0   {commit[:10]}" in lines[2]
    assert (newest["removed"], newest["delivered"], newest["revision"]) == (15, 15, f"{commit}-dirty")
    assert (guarded["removed"], guarded["delivered"], guarded["revision"]) == (15, 0, commit)
    assert oldest["fingerprint"] == hashlib.sha256(path.read_text().removesuffix("-- more\n").encode()).hexdigest()
    assert len(project.types("history", "team", "--last", "2").out.splitlines()) == 2


def test_a_run_is_told_in_full(project):
    """
    `run ID` says what ran, what was planned, what became of it, and why it was stopped; the first letters are enough.
    """
    project.types("sync", "--all")
    project.people(*PEOPLE[:5])
    project.types("sync", "--all")
    guarded, first = project.types("history", "team", "--json").told["runs"]

    told = project.types("run", guarded["id"][:8])
    assert told.out.startswith(f"team.file, run {guarded['id']}: guarded in ")
    assert "  definition: commit unknown, sha256 " in told.out
    assert "  planned: + 0  ~ 0  − 15  of 20 listed\n" in told.out
    assert "  why: team → file (L) would remove 15 of 20 members (75%); its guard allows 20%\n" in told.out
    found = (
        "20 delivered, 0 refused, 0 newly refused, 0 refused unnamed, 0 not removed, 0 set aside, 0 pending, 0 unknown"
    )
    assert f"  found: {found}\n" in project.types("run", first["id"]).out
    assert told.out.endswith("\n\nselect id, email, nps from people\n")
    sql = "select id, email, nps from people"
    assert project.types("run", first["id"], "--json").told == {**first, "sql": sql, "exit": 0}


def test_the_sql_is_told_as_it_ran(project):
    """
    A run tells the SQL of its own time, after its file has changed; it is kept once for each file as it was.
    """
    for _ in range(2):
        project.types("sync", "--all")
    path = project.folder / "audiences" / "team.sql"
    path.write_text(path.read_text() + "where id > 0")
    project.types("sync", "--all")
    newest, _, oldest = project.types("history", "team", "--json").told["runs"]

    assert [project.types("run", run["id"], "--json").told["sql"] for run in (newest, oldest)] == [
        *("select id, email, nps from people\nwhere id > 0", "select id, email, nps from people")
    ]
    assert rows(project.state_url, "select count(*) from definition") == [(2,)]


def test_a_run_tells_its_own_refusals(tmp_path):
    """
    Whom a run was the first to see refused is told beside all who are, and so are those it could not remove.
    """
    world = World(tmp_path)
    world.people((1, "a@x"), (2, "b@x"), (3, "c@x"))
    world.receiver.rejects("a@x")
    world.sync()
    world.people((1, "a@x"), (2, "b@x"), (4, "d@x"))
    world.receiver.before = lambda told: httpx.Response(
        200, json={"rejected": {each["key"]: "no" for each in told["members"]}}
    )
    world.sync(force=True)
    found = rows(
        make_url(f"sqlite:///{world.state_file}"),
        "select refused, newly_refused, not_removed from run order by started",
    )

    assert found == [(1, 1, 0), (2, 1, 1)]


@pytest.mark.parametrize("words", [("sync", "--all"), ("serve", "--once")], ids=" ".join)
def test_a_container_is_told_the_commit(project, words):
    """
    Where the files lie in no git folder, AUDIENCES_COMMIT says of which commit they are, also of what cannot begin; git
    is believed first; 2: what is no commit.
    """
    commit = "ab" * 20
    project.types("serve", "--once")
    for statement in (None, "drop table people"):
        rows(project.state_url, "update timetable set since = since - 100000")
        if statement:
            project.sql(statement)
        project.types(*words, AUDIENCES_COMMIT=commit)
    known = committed(project)
    rows(project.state_url, "update timetable set since = since - 100000")
    project.types(*words, AUDIENCES_COMMIT=commit)
    refused = project.types(*words, AUDIENCES_COMMIT="main")

    found = [run["revision"] for run in project.types("history", "team", "--json").told["runs"]]
    assert found == [known, commit, commit]
    assert (refused.code, "AUDIENCES_COMMIT" in refused.err) == (2, True)


def test_what_could_not_begin_is_a_run_too(project):
    """
    A query that the warehouse refuses has its place in the history, and says why.
    """
    project.sql("drop table people")
    project.types("sync", "--all")

    [run] = project.types("history", "team", "--json").told["runs"]
    assert run["result"] == "failed"
    assert run["note"].startswith("the warehouse refuses a statement: ")


def test_a_run_that_was_killed_is_told(project):
    """
    A run without an end is under way, or was killed.
    """
    project.types("sync", "--all")
    rows(project.state_url, "update run set ended = null, result = null")

    assert "is under way, or was killed" in project.types("history", "team").out


def test_what_is_not_there_is_said(project):
    """
    2: a name that nothing has, and an id that no run has or several have; a sync whose file is gone keeps its history.
    """
    none = project.types("history", "team")
    project.types("sync", "--all")
    rows(
        project.state_url,
        "insert into run (id, sync, fingerprint, started) values ('aa1', 'x', 'f', 0), ('aa2', 'x', 'f', 0)",
    )
    unknown, several, absent = (project.types(*words) for words in (("history", "tea"), ("run", "aa"), ("run", "zz")))
    (project.folder / "audiences" / "team.sql").unlink()

    assert (none.code, none.out) == (0, "no run is remembered\n")
    assert (unknown.code, several.code, absent.code) == (2, 2, 2)
    assert "did you mean team?" in unknown.err
    assert "several runs begin with 'aa'" in several.err
    assert "no run 'zz' is remembered" in absent.err
    assert "delivered in" in project.types("history", "team.file").out


def test_an_older_state_database_is_read_as_it_is(project):
    """
    The history that an earlier release left can be read without migrating it.
    """
    project.state_file.parent.mkdir()
    layout_1(project.state_url)

    [run] = project.types("history", "team.webhook", "--json").told["runs"]
    assert (run["id"], run["added"], run["revision"]) == ("r1", 20, None)
    assert rows(project.state_url, "select value from about where name = 'version'") == [("1",)]
