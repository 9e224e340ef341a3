"""`audiences sync` as typed: what it says of each sync, and the exit code, whatever goes wrong at the far end."""

from __future__ import annotations

import itertools
import sqlite3

import pytest

from audiences.cli.session import FIRST, Chosen
from audiences.demo.receiver import receiving
from audiences.errors import DefinitionError
from audiences.http import retry
from engines import each, either, on
from prompt import Project, answering
from world import SECRET

engine = either


PEOPLE = [(number, f"p{number}@x", number) for number in range(20)]


@pytest.fixture
def project(tmp_path, engine):
    found = Project(tmp_path, engine)
    found.people(*PEOPLE)
    return found


def test_the_order_of_exit_codes():
    """
    Of several exit codes the first that holds is given: 2, 1, 3, 5, 4, 0.
    """
    codes = [2, 1, 3, 5, 4, 0]

    assert [code for code in FIRST if code in codes] == codes
    assert [Chosen((), ()).worst(pair) for pair in itertools.combinations(codes, 2)] == [
        first for first, _ in itertools.combinations(codes, 2)
    ]
    assert Chosen((), (DefinitionError("a", do="b"),)).worst([1, 3]) == 2
    assert Chosen((), ()).worst([]) == 0


def test_all_is_delivered(project):
    """
    0: what has changed is delivered over real HTTP, each sync is told, and the sum comes last; a quiet run says so.
    """
    project.audience("hooked", "webhook")
    with receiving(SECRET) as inbox:
        first = project.types("sync", "--all", WEBHOOK_URL=inbox.url)
        second = project.types("sync", "--all", WEBHOOK_URL=inbox.url)

    assert (first.code, second.code) == (0, 0)
    assert (
        "hooked → webhook (hooked)\n  + 20 added   ~ 0 updated   − 0 removed   of 0 listed\n  delivered\n" in first.out
    )
    assert first.out.endswith("\n40 changes delivered. Syncs: 2 delivered.\n")
    assert second.out.endswith("  nothing to deliver\n\n0 changes delivered. Syncs: 2 unchanged.\n")
    assert len(inbox.lists["hooked"]) == len(project.written()) == 20


def test_json_tells_the_same(project):
    """
    With --json stdout is one document: each sync with its outcome and its numbers, and the exit code.
    """
    ended = project.types("sync", "team", "--json")

    [sync] = ended.told["syncs"]
    assert (sync["sync"], sync["outcome"], sync["added"], sync["delivered"]) == ("team.file", "delivered", 20, 20)
    assert ended.told["exit"] == ended.code == 0


@on("duckdb")
def test_only_those_that_are_named(project):
    """
    A name or a pattern of audiences or syncs chooses what runs.
    """
    project.audience("tea")
    project.audience("other")

    assert project.types("sync", "te*").out.endswith("Syncs: 2 delivered.\n")
    assert project.types("sync", "*.webhook").code == 2
    assert project.types("sync", "other.file").out.endswith("Syncs: 1 delivered.\n")


def test_a_dry_run_is_a_plan(project):
    """
    `sync --dry-run` prints what `plan` prints, and sends nothing; with --force, as the guard would then see it.
    """
    assert project.types("sync", "--dry-run", "--sample", "1") == project.types("plan", "--sample", "1")
    project.types("sync", "--all")
    project.people(*PEOPLE[:5])

    assert "its guard would stop it" in project.types("sync", "--dry-run", "team").out
    assert "its guard would stop it" not in project.types("sync", "--dry-run", "team", "--force").out
    assert len(project.written()) == 20


def test_a_guard_stops_a_sync_until_it_is_forced(project):
    """
    3: a change over the guard is not sent, both numbers and the way out are told, and --force sends it.
    """
    project.types("sync", "--all")
    project.people(*PEOPLE[:5])

    plain, machine = project.types("sync", "--all"), project.types("sync", "--all", "--json")
    assert plain.code == machine.told["exit"] == 3
    assert plain.err == (
        "error: team.file is stopped by its guard: team → file (L) would remove 15 of 20 members (75%);"
        " its guard allows 20%\n  do: look: audiences plan team.file; if it is right:"
        " audiences sync team.file --force\n"
    )
    assert machine.told["syncs"][0]["outcome"] == "guarded"
    assert len(project.written()) == 20

    assert project.types("sync", "team.file", "--force").code == 0
    assert len(project.written()) == 5


BROKEN = {
    "nobody": ([], 3, "the query returns nobody, and 20 members are listed; nothing is sent"),
    "60 % gone": (PEOPLE[:8], 3, "would remove 12 of 20 members (60%); its guard allows 20%"),
    "each key twice": (PEOPLE * 2, 4, "set aside: 20 with a key that the query returns more than once"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_query_removes_nobody(project, how):
    """
    3, or 4 where keys are repeated: a query that returns nobody, that has lost 60 % of its members, or that returns
    each key twice sends nothing, and both lists stay as they are.
    """
    rows, code, said = BROKEN[how]
    project.audience("hooked", "webhook")
    with receiving(SECRET) as inbox:
        project.types("sync", "--all", WEBHOOK_URL=inbox.url)
        before = project.written(), dict(inbox.lists["hooked"])
        project.people(*rows)
        ended = project.types("sync", "--all", WEBHOOK_URL=inbox.url)

    assert ended.code == code
    assert (ended.out + ended.err).count(said) == 2
    assert "\n0 changes delivered." in ended.out
    assert (project.written(), inbox.lists["hooked"]) == before


def test_the_state_is_lost_between_two_runs(project):
    """
    The state database is deleted between two runs: only what has changed is sent, and who was put on the list by others
    stays.
    """
    project.audience("hooked", "webhook")
    with receiving(SECRET) as inbox:
        project.types("sync", "hooked", WEBHOOK_URL=inbox.url)
        inbox.lists["hooked"]["stranger@x"] = {}
        project.state_file.unlink()
        project.people(*PEOPLE[1:], (20, "p20@x", 20))
        ended = project.types("sync", "hooked", WEBHOOK_URL=inbox.url)

    assert ended.code == 0
    assert "+ 1 added   ~ 0 updated   − 1 removed   of 20 listed" in ended.out
    assert inbox.lists["hooked"].keys() == {"stranger@x", *(f"p{number}@x" for number in range(1, 21))}


def test_an_empty_result_is_never_forced(project):
    """
    3: a query that returns nobody empties no list, with --force neither.
    """
    project.types("sync", "--all")
    project.people()

    ended = project.types("sync", "team", "--force")

    assert ended.code == 3
    assert "the query returns nobody, and 20 members are listed; nothing is sent" in ended.err
    assert len(project.written()) == 20


@on("duckdb")
def test_a_missing_setting_stops_its_sync_alone(project):
    """
    2: the variables of an account that is not set up are named as they must be exported; the other syncs run.
    """
    project.audience("hooked", "webhook_eu", 'connector = "webhook"')

    ended = project.types("sync", "--all")

    assert ended.code == 2
    assert "webhook_eu is not set up: WEBHOOK_EU_SECRET is missing; WEBHOOK_EU_URL is missing" in ended.err
    assert "  do: export WEBHOOK_EU_SECRET, WEBHOOK_EU_URL" in ended.err
    assert "Syncs: 1 delivered, 1 failed." in ended.out


REFUSALS = {
    401: (1, "it refuses the account's credentials"),
    404: (1, "answered 404"),
    400: (1, "accepts nobody of a batch of 20"),
    307: (1, "a redirect, which is not followed"),
    503: (1, "may have been applied"),
    429: (5, "again and again"),
}


@pytest.mark.parametrize(("engine", "status"), each([503], REFUSALS), indirect=["engine"])
def test_what_a_host_refuses_stops_its_sync_alone(project, monkeypatch, status):
    """
    1: credentials, an address or a list that the host refuses are told; 5: it asks to wait. The other syncs run.
    """
    code, said = REFUSALS[status]
    monkeypatch.setattr(retry, "FIRST", 0.001)
    project.audience("hooked", "webhook")
    with answering(lambda told: (status, {})) as where:
        ended = project.types("sync", "--all", **where)

    assert ended.code == code
    assert said in ended.err
    assert "team → file (L)" in ended.out
    assert len(project.written()) == 20


def test_a_host_that_is_down_stops_its_sync_alone(project, monkeypatch):
    """
    1: where nobody listens, nothing was sent, and the next run delivers.
    """
    monkeypatch.setattr(retry, "FIRST", 0.001)
    project.audience("hooked", "webhook")

    ended = project.types("sync", "--all")

    assert ended.code == 1
    assert "hooked.webhook failed: 127.0.0.1:9 cannot be reached" in ended.err
    assert "Syncs: 1 delivered, 1 failed." in ended.out
    with receiving(SECRET) as inbox:
        assert project.types("sync", "--all", WEBHOOK_URL=inbox.url).code == 0
    assert len(inbox.lists["hooked"]) == 20


@on("duckdb")
def test_a_host_that_asks_for_more_time_than_there_is(project):
    """
    5: a sync that would have to wait beyond AUDIENCES_PATIENCE is left for the next run.
    """
    project.audience("hooked", "webhook")

    ended = project.types("sync", "hooked", AUDIENCES_PATIENCE="0.1")

    assert ended.code == 5
    assert "error: hooked.webhook is deferred: " in ended.err
    assert "Syncs: 1 deferred." in ended.out


def test_a_sync_that_another_worker_runs(project):
    """
    5: a sync whose lease is held elsewhere is left to whoever holds it.
    """
    project.types("sync", "--all")
    with sqlite3.connect(project.state_file) as connection:
        connection.execute("update lease set holder = 'elsewhere|1||2|3', until = 9e9")

    ended = project.types("sync", "--all")

    assert ended.code == 5
    assert "error: team.file is deferred: team.file is being run by another worker" in ended.err


def test_a_refusal_is_reported_once(project):
    """
    4: whoever is newly refused ends the run with 4, once; with --strict each time. `refused` says who and why.
    """
    project.audience("hooked", "webhook")
    with answering(lambda told: (200, {"rejected": {"7": "p7@x has opted out"}})) as where:
        first = project.types("sync", "hooked", **where)
        again = project.types("sync", "hooked", **where)
        strict = project.types("sync", "hooked", "--strict", **where)

    assert (first.code, again.code, strict.code) == (4, 0, 4)
    assert "  delivered; 1 refused, and why: audiences refused hooked.webhook\n" in first.out
    assert "19 changes delivered." in first.out
    plain, machine = project.types("refused"), project.types("refused", "hooked", "--json")
    assert plain.out.startswith("hooked.webhook  7  … has opted out  (tried 1×, again after 20")
    assert "\n1 member refused.\n" in plain.out
    assert machine.told["refused"][0]["key"] == "7"
    assert "1 refused (audiences refused hooked.webhook)" in project.types("status").out

    project.state_file.unlink()
    assert "the reason was lost with the state database" in project.types("refused").out


def test_who_cannot_be_removed_is_told_each_time(project):
    """
    4: whom a destination refuses to remove is on the list still, so each run says so, until one removes them.
    """
    project.audience("hooked", "webhook")
    said = {}
    with answering(lambda told: (200, said if told["verb"] == "remove" else {})) as where:
        project.types("sync", "hooked", **where)
        project.people(*PEOPLE[1:])
        said["rejected"] = {"0": "not now"}
        first = project.types("sync", "hooked", **where)
        again = project.types("sync", "hooked", "--json", **where)
        said.clear()
        last = project.types("sync", "hooked", **where)

    assert (first.code, again.code, last.code) == (4, 4, 0)
    assert "; 1 still on the list, since it refuses to remove them (not now)\n" in first.out
    told = again.told["syncs"][0]
    assert (told["not_removed"], told["not_removed_because"]) == (1, "not now")
    assert "1 change delivered." in last.out


def test_who_is_set_aside_is_reported_once(project):
    """
    4: more members set aside than the last time end the run with 4; as many do not, but with --strict.
    """
    project.people(*PEOPLE, (None, "a@x"), (7, "b@x"))

    first, again, strict = (project.types("sync", *words, "team") for words in ((), (), ("--strict",)))

    assert (first.code, again.code, strict.code) == (4, 0, 4)
    assert "  set aside: 1 without a key, 1 with a key that the query returns more than once\n" in first.out
    assert first.out.endswith("19 changes delivered. Syncs: 1 delivered.\n")
