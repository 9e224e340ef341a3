"""`audiences sync --after-dbt`: what reads a model that dbt has rebuilt, and that passed, is run, and nothing else."""

from __future__ import annotations

import json

import pytest

from audiences import dbt, query
from audiences.errors import DefinitionError
from prompt import Project
from states import rows

PEOPLE = [(number, f"p{number}@x", number) for number in range(3)]
MODELS = {"people": "main", "orders": "main", "staging": "raw"}
TESTS = {"test.shop.unique_people_id": ["model.shop.people"], "unit_test.shop.people.ages": ["model.shop.people"]}


def artifacts(folder, statuses, which="build", version=12, **more):
    """Write what a dbt run leaves: node -> its status; the path of run_results.json."""
    nodes = {
        f"model.shop.{name}": {
            "database": "w", "schema": schema, "name": name, "alias": name, "resource_type": "model",
            "depends_on": {"macros": [], "nodes": []}, "checksum": {"name": "sha256", "checksum": ""},
        }
        for name, schema in MODELS.items()
    }  # fmt: skip
    checks = {
        name: {"database": "w", "schema": "tests", "name": name.split(".")[2], "depends_on": {"nodes": depends}}
        for name, depends in TESTS.items()
    }
    unit = {name: checks.pop(name) for name in list(checks) if name.startswith("unit_test.")}
    schema = f"https://schemas.getdbt.com/dbt/manifest/v{version}.json"
    manifest = {"metadata": {"dbt_schema_version": schema}, "nodes": nodes | checks, "unit_tests": unit, "sources": {}}
    results = {
        "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json"},
        "args": {"which": which},
        "elapsed_time": 1.5,
        "results": [{"unique_id": name, "status": said, "timing": []} for name, said in statuses.items()],
    }
    (folder / "target").mkdir(exist_ok=True)
    (folder / "target" / "manifest.json").write_text(json.dumps(manifest | more))
    (folder / "target" / "run_results.json").write_text(json.dumps(results))
    return folder / "target" / "run_results.json"


@pytest.fixture
def project(tmp_path):
    """An audience of people, one of orders, and one of a table that dbt does not know."""
    made = Project(tmp_path)
    made.people(*PEOPLE)
    made.sql("create table orders as select * from people", "create table others as select * from people")
    for name in ("orders", "others"):
        made.audience(name)
        path = made.folder / "audiences" / f"{name}.sql"
        path.write_text(path.read_text().replace("from people", f"from {name}"))
    return made


def synced(project, *words):
    return project.types("sync", "--after-dbt", "target/run_results.json", *words)


def outcomes(ended):
    return {each["sync"]: each["outcome"] for each in ended.told["syncs"]}


def test_what_dbt_has_rebuilt_is_run(project):
    """
    0: an audience whose model was rebuilt and passed is run; those that read something else are left alone.
    """
    artifacts(project.folder, {"model.shop.people": "success", "test.shop.unique_people_id": "pass"})
    plain, machine = synced(project), synced(project, "--json")

    assert (plain.code, machine.code) == (0, 0)
    assert plain.out.startswith("1 of 3 audiences read what dbt was to rebuild\n\nteam → file (L)\n")
    assert plain.out.endswith("3 changes delivered. Syncs: 1 delivered.\n")
    assert outcomes(machine) == {"team.file": "unchanged"}


def test_what_did_not_pass_keeps_its_audiences_from_running(project):
    """
    5: a model that failed defers what reads it, and says so; its history tells. Others are run.
    """
    artifacts(project.folder, {"model.shop.people": "error", "model.shop.orders": "success"})
    ended, why = synced(project), "people ended with 'error' in dbt"

    assert ended.code == 5
    assert f"error: team.file is deferred: {why}\n  do: mend it, run dbt again, and then this command" in ended.err
    assert "Syncs: 1 delivered, 1 deferred." in ended.out
    assert rows(project.state_url, "select result, note from run where sync = 'team.file'") == [("deferred", why)]
    assert not (project.folder / "lists" / "L.csv").exists()


@pytest.mark.parametrize(
    ("model", "test", "why"),
    [
        ("success", "pass", ""),
        ("success", "warn", ""),
        ("skipped", "skipped", "people ended with 'skipped' in dbt"),
        ("partial success", "pass", "people ended with 'partial success' in dbt"),
        ("success", "fail", "unique_people_id, a test in dbt, ended with 'fail'"),
        ("success", "skipped", "unique_people_id, a test in dbt, ended with 'skipped'"),
    ],
)
def test_a_model_passes_with_its_tests(tmp_path, model, test, why):
    """
    A model that was skipped or built in part did not pass, nor one of which a test failed or was skipped; a warning is
    no failure.
    """
    statuses = {"model.shop.people": model, "test.shop.unique_people_id": test, "unit_test.shop.people.ages": "pass"}

    assert dbt.read(artifacts(tmp_path, statuses)).relations == {("w", "main", "people"): why}


def test_names_narrow_it(project):
    """
    Of the audiences named those that dbt has rebuilt are run.
    """
    artifacts(project.folder, {"model.shop.people": "success", "model.shop.orders": "success"})

    assert outcomes(synced(project, "orders", "others", "--json")) == {"orders.file": "delivered"}


@pytest.mark.parametrize(
    ("sql", "concerned"),
    [
        ("select * from people", True),
        ("select * from PEOPLE p", True),
        ("select * from main.people", True),
        ("select * from w.people", True),
        ('select * from "w"."main"."people"', True),
        ("with people as (select * from people) select * from people", True),
        ("select * from others where id in (select id from main.people)", True),
        ("with people as (select * from others) select * from people", False),
        ("select * from archive.people", False),
        ("select * from w.archive.people", False),
        ("select * from people_of_old", False),
    ],
)
def test_a_model_is_known_by_its_name(tmp_path, sql, concerned):
    """
    Where a query leaves database or schema open, the model is meant; a name of the query's own is none.
    """
    rebuilt = dbt.read(artifacts(tmp_path, {"model.shop.people": "success"}))

    assert bool(rebuilt.named(query.tables(sql, "duckdb"))) == concerned


@pytest.mark.parametrize("which", ["compile", "generate", "test", "show"])
def test_what_rebuilds_nothing_is_refused(tmp_path, which):
    """
    `dbt compile` and its like call every model a success that they have not built.
    """
    path = artifacts(tmp_path, {"model.shop.people": "success"}, which)

    with pytest.raises(DefinitionError, match=f"is of `dbt {which}`, which rebuilds nothing\n  do: name the one that"):
        dbt.read(path)


def test_older_and_newer_artifacts_are_read(tmp_path):
    """
    What is not read may be missing, or be new: arguments, unit tests, keys that nobody knows yet.
    """
    path = artifacts(tmp_path, {"model.shop.people": "success", "operation.shop.hook": "success"}, version=20, new=[1])
    results = json.loads(path.read_text())
    del results["args"]
    path.write_text(json.dumps(results))
    manifest = json.loads(path.with_name("manifest.json").read_text())
    del manifest["unit_tests"]
    path.with_name("manifest.json").write_text(json.dumps(manifest))

    assert dbt.read(path).relations == {("w", "main", "people"): ""}


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: path.unlink(), "run_results.json cannot be read: No such file"),
        (lambda path: path.with_name("manifest.json").unlink(), "manifest.json cannot be read: No such file"),
        (lambda path: path.write_text("{"), "run_results.json is not what dbt writes as run_results.json"),
        (lambda path: path.write_text(path.with_name("manifest.json").read_text()), "is not what dbt writes as run_r"),
        (lambda path: path.with_name("manifest.json").write_text('{"nodes": {}}'), "tells of model.shop.people, which"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, write, said):
    """
    What is no run_results.json, or has not its own manifest.json beside it, is refused with the way out.
    """
    path = artifacts(tmp_path, {"model.shop.people": "success"})
    write(path)

    with pytest.raises(DefinitionError, match=said):
        dbt.read(path)


def test_it_delivers(project):
    """
    2: with --dry-run it would show what it does not choose.
    """
    assert project.types("sync", "--dry-run", "--after-dbt", "x.json").code == 2
