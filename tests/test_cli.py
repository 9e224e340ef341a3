"""The command line as a whole: help, mistakes, settings, and what cannot be read or opened."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from audiences.cli import COMMANDS
from prompt import Project

PEOPLE = [(number, f"p{number}@x", number) for number in range(20)]


@pytest.fixture
def project(tmp_path):
    found = Project(tmp_path)
    found.people(*PEOPLE)
    return found


@pytest.fixture
def broken(project):
    """A project with one file that cannot be read, and one that can."""
    project.audience("wrong")
    path = project.folder / "audiences" / "wrong.sql"
    path.write_text(path.read_text().replace("-- key ", "-- kye "))
    return project


def test_help_names_every_command_and_every_exit_code(project):
    """
    `--help` says what each command does, and what each exit code means.
    """
    ended = project.types("--help")

    assert ended.code == 0
    assert all(f"  {name} " in ended.out and line in ended.out for name, line in COMMANDS.items())
    assert [line.split()[0] for line in ended.out.splitlines()[-8:]] == ["2", "1", "3", "5", "4", "0", "130", "143"]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help(project, name):
    """
    Each command tells its own usage.
    """
    ended = project.types(name, "--help")

    assert ended.code == 0
    assert ended.out.startswith(f"Usage: audiences {name}")


def test_help_loads_nothing_heavy(project):
    """
    `audiences --help` loads no database, no SQL parser, no HTTP client and no models: it answers at once.
    """
    code = "import sys; from audiences import cli; sys.argv[1:] = ['--help']\ntry: cli.main()\n" + (
        "except SystemExit: print('loaded', *{'sqlalchemy', 'duckdb', 'sqlglot', 'httpx', 'pydantic'} & {*sys.modules})"
    )
    where = {"PYTHONPATH": ":".join(sys.path)}

    out = subprocess.run([sys.executable, "-c", code], env=where, capture_output=True, text=True, check=True).stdout

    assert "Exit codes" in out
    assert out.splitlines()[-1] == "loaded"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plan", "temas"), "no audience or sync is named 'temas'\n  do: did you mean team?"),
        (("plan", "x*"), "no audience or sync is named 'x*'"),
        (("show",), "Missing argument 'NAME'"),
        (("frobnicate",), "No such command 'frobnicate'"),
        (("plan", "--sample", "0"), "0 is not in the range"),
        (("sync",), "name an audience, or say --all"),
        (("sync", "--all", "team"), "not both"),
        (("sync", "--all", "--force"), "--force needs the name"),
        (("sync", "t*", "--force"), "--force needs the name"),
        (("sync", "team", "--sample", "3"), "--sample goes with --dry-run"),
        (("forget", "team.file"), "the warehouse remembers no sync 'team.file'"),
        (("-C", "nowhere", "check"), "there is no audiences/ in nowhere\n  do: go to a project's folder"),
    ],
)
def test_a_mistake_in_a_command_ends_with_2(project, words, said):
    """
    A command that cannot be meant is answered on stderr, with what to do; stdout stays empty.
    """
    ended = project.types(*words)

    assert ended.code == 2
    assert said in ended.err
    assert ended.out == ""


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("AUDIENCES_WAREHOUSE_URL", "", "no warehouse is set\n  do: export AUDIENCES_WAREHOUSE_URL"),
        ("AUDIENCES_WAREHOUSE_URL", "nonsense", "AUDIENCES_WAREHOUSE_URL is no database URL"),
        ("AUDIENCES_WAREHOUSE_URL", "duckdb:///none.duckdb", "there is no warehouse file 'none.duckdb'"),
        ("AUDIENCES_WAREHOUSE_URL", "oracle://u:not-a-real-password@h/d", "the kind 'oracle' cannot hold our tables"),
        ("AUDIENCES_STATE_URL", "foo://u:not-a-real-password@h/d", "no driver for a state database of the kind 'foo'"),
        ("AUDIENCES_PATIENCE", "soon", "AUDIENCES_PATIENCE cannot be read"),
        ("AUDIENCES_LOG_LEVEL", "loud", "AUDIENCES_LOG_LEVEL cannot be read"),
        ("AUDIENCES_SCHEMA", "Bad Name", "AUDIENCES_SCHEMA cannot be read"),
    ],
)
def test_a_setting_that_cannot_be_read_ends_with_2(project, variable, value, said):
    """
    A wrong setting is named as it must be exported, and its value is not shown.
    """
    ended = project.types("status", **{variable: value})

    assert ended.code == 2
    assert ended.err.startswith("error: ")
    assert said in ended.err


def test_the_environment_wins_over_the_env_file(project):
    """
    The project's .env is read; what is exported counts more.
    """
    project.apart()
    (project.folder / "w.duckdb").rename(project.folder / "other.duckdb")

    assert project.types("plan").code == 2
    assert project.types("plan", AUDIENCES_WAREHOUSE_URL="duckdb:///other.duckdb").code == 0


def test_an_env_file_that_is_no_text_ends_with_2(project):
    """
    A .env that cannot be read is named.
    """
    (project.folder / ".env").write_bytes(b"A=\xff\n")

    ended = project.types("plan")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("error: .env cannot be read")


@pytest.mark.parametrize("text", ["no database", None])
def test_a_warehouse_that_cannot_be_opened_ends_with_1(project, text):
    """
    A file that is no warehouse, or a folder, is told in the engine's words, which can hold no row yet.
    """
    strange = project.folder / "strange"
    strange.write_text(text) if text else strange.mkdir()

    ended = project.types("plan", AUDIENCES_WAREHOUSE_URL="duckdb:///strange")

    assert ended.code == 1
    assert ended.err.startswith("error: the warehouse cannot be opened: ")
    assert "strange" in ended.err


def test_a_state_that_cannot_be_written_ends_with_1(project):
    """
    A folder for the state database that cannot be made is told, with the variables that lead elsewhere.
    """
    ended = project.types("sync", "--all", AUDIENCES_STATE_URL="sqlite:////dev/null/s.sqlite")

    assert ended.code == 1
    assert "of the state database cannot be made" in ended.err
    assert "AUDIENCES_STATE_URL" in ended.err


def test_whatever_ends_a_command_is_json_too(project):
    """
    With --json stdout holds one document, also where the command could not begin.
    """
    ended = project.types("plan", "--json", AUDIENCES_WAREHOUSE_URL="duckdb:///none.duckdb")

    assert ended.told["exit"] == ended.code == 2
    assert "none.duckdb" in ended.told["errors"][0]["what"]


def test_a_defect_shows_no_words_of_its_own(project):
    """
    An exception that nobody foresaw is its class and the places it came through: its words could hold a person.
    """
    (project.folder / "audiences" / "team.sql").write_text("")
    project.odd("Options = None")

    ended = project.types("check")

    assert ended.code == 1
    assert ended.err.startswith("error: audiences has a defect:\nAttributeError\n")
    assert "Traceback" not in ended.err


def test_a_terminal_without_arrows_still_gets_the_words(project):
    """
    What a terminal's encoding cannot show is replaced, and the command goes on.
    """
    with project.started("plan", PYTHONIOENCODING="latin-1") as process:
        out, _ = process.communicate(timeout=60)

    assert process.returncode == 0
    assert out.startswith("team ? file (L)\n")


@pytest.mark.parametrize("words", [("check",), ("plan",), ("status",), ("refused",), ("sync", "--all")])
def test_a_broken_file_hides_no_other(broken, words):
    """
    2: a file that cannot be read is told with file, line and remedy, in words and in JSON; the others are read.
    """
    plain, machine = broken.types(*words), broken.types(*words, "--json")

    assert plain.code == machine.code == machine.told["exit"] == 2
    assert plain.err.startswith("error: audiences/wrong.sql:4 has an unknown key: kye\n  do: did you mean key?")
    assert [error["what"] for error in machine.told["errors"]] == ["audiences/wrong.sql:4 has an unknown key: kye"]
    assert plain.out


def test_a_broken_file_is_no_concern_of_another(broken):
    """
    Who names an audience hears only of files that the name means.
    """
    assert broken.types("plan", "team").code == 0
    assert broken.types("plan", "te*").code == 0
    assert broken.types("plan", "w*").code == 2
    assert broken.types("plan", "wrong", "team").code == 2
    assert "team → file" in broken.types("plan", "wrong", "team").out
    assert broken.types("plan", "wrong").out == ""


def test_no_file_at_all_is_said(project):
    """
    A project without a file is told so, and is no success: its files may not have been mounted.
    """
    (project.folder / "audiences" / "team.sql").unlink()

    for command in ("plan", "check", "sync --all"):
        ended = project.types(*command.split())
        assert ended.code == 2
        assert "there is no .sql file in audiences" in ended.err


def test_a_warehouse_that_another_process_holds_is_said(project):
    """
    DuckDB lets one process in at a time: the command ends with 5 and says so.
    """
    project.apart()
    held = (
        f"import duckdb, sys; c = duckdb.connect({str(project.warehouse_file)!r}); print('held', flush=True); input()"
    )
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", held], **options) as other:
        assert other.stdout.readline() == "held\n"

        for words in (("plan",), ("sync", "--all"), ("status",)):
            ended = project.types(*words)
            assert ended.code == 5
            assert "the warehouse file is held by another process" in ended.err
        other.communicate("\n")

    assert project.types("plan").code == 0


def test_a_warehouse_that_may_only_be_read_is_said(project):
    """
    `plan` works on a warehouse that may only be read; `sync` says what it needs.
    """
    project.apart()
    address = "duckdb:///w.duckdb?access_mode=read_only"

    assert project.types("plan", AUDIENCES_WAREHOUSE_URL=address).code == 0
    ended = project.types("sync", "--all", AUDIENCES_WAREHOUSE_URL=address)
    assert ended.code == 1
    assert "the warehouse is read-only\n  do: let the worker write its schema" in ended.err


def test_a_warehouse_is_let_go(tmp_path, engine):
    """
    No command keeps the warehouse once it has ended, well or not: another process may open the file, and no session is
    left at the server.
    """
    project = Project(tmp_path, engine)
    project.apart()
    for state in ("sqlite:///state/s.sqlite", "sqlite:////dev/null/s.sqlite"):
        project.types("sync", "--all", AUDIENCES_STATE_URL=state)

        assert let_go(project)


def let_go(project):
    """Whether nobody has the warehouse open any more; a server takes its moment to see a session end."""
    if project.engine.name == "duckdb":
        opens = f"import duckdb; duckdb.connect({str(project.warehouse_file)!r})"
        return subprocess.run([sys.executable, "-c", opens], capture_output=True).returncode == 0
    others = "select * from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    end = time.monotonic() + 5
    while (found := project.sql(others)) and time.monotonic() < end:
        time.sleep(0.01)
    return not found


def test_init_makes_a_project_that_works_at_once(project):
    """
    In a new project every command works as it stands; nothing that is there is overwritten.
    """
    folder = project.folder / "a new one"
    made = project.types("-C", str(project.folder), "init", "a new one")

    assert made.code == 0
    assert f"  cd '{folder}'\n" in made.out
    assert project.types("-C", str(folder), "check").code == 0
    assert project.types("-C", str(folder), "sync", "--all").code == 0
    assert len(list((folder / "lists").glob("*.csv"))) == 2
    again = project.types("init", "a new one")
    assert again.code == 2
    assert "exists already\n  do: choose a new folder; nothing was written" in again.err


def test_schema_describes_the_header(project):
    """
    `schema` prints the JSON Schema of a header, with the connectors that this project has.
    """
    project.odd("pass")

    told = json.loads(project.types("schema").out)

    assert {"file", "webhook", "odd"} <= told["properties"]["sync"]["properties"].keys()
