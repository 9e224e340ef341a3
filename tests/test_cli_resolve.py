"""`audiences resolve` as typed: who is of unknown outcome, and what someone, or the list, says of them."""

from __future__ import annotations

import pytest

from audiences import lease
from prompt import Project

BREAKS = """repeatable = False
def upsert(self, list_id, members):
    how = self.settings.folder / "breaks"
    said = how.read_text() if how.exists() else ""
    if said != "before":
        receipt = super().upsert(list_id, members)
    if said:
        raise Unanswered("no answer", do="wait")
    return receipt
{more}"""
PEOPLE = [(number, f"p{number}@example.com", number) for number in range(12)]


@pytest.fixture
def project(tmp_path, either):
    """A list in a file, of a connector that can read it back and whose additions cannot be repeated."""
    made = Project(tmp_path, either)
    (made.folder / "audiences" / "team.sql").unlink()
    made.odd(BREAKS.format(more=""))
    made.people(*PEOPLE)
    return made


def breaks(project, how):
    """From now on additions have no answer, `before` or `after` they are applied; `` heals that."""
    (project.folder / "lists").mkdir(exist_ok=True)
    (project.folder / "lists" / "breaks").write_text(how)


def doubtful(project, how, *words):
    """A sync whose calls have no answer."""
    breaks(project, how)
    ended = project.types("sync", "odd", *words)
    breaks(project, "")
    return ended


def test_each_command_names_the_way_out(project):
    """
    The sync that had no answer, later ones, `plan` and `status` say how many are of unknown outcome, and the command.
    """
    first = doubtful(project, "after")
    second, machine = project.types("sync", "odd"), project.types("sync", "odd", "--json")

    assert (first.code, second.code, machine.code) == (1, 5, 5)
    assert "error: odd.odd: 12 members sent without an answer, and not sent again" in first.err
    assert "  do: look at the provider, then: audiences resolve odd.odd\n" in first.err
    assert "  unknown: 12 sent without an answer" in second.out
    assert machine.told["syncs"][0]["unknown"] == 12
    assert "(audiences resolve odd.odd)" in second.out
    assert "(audiences resolve odd.odd)" in project.types("plan").out
    assert "; 12 of unknown outcome (audiences resolve odd.odd)" in project.types("status").out
    assert project.types("status", "--json").told["exit"] == 0


def test_whom_it_is_about_is_shown_first(project):
    """
    Without a verdict all are shown, masked, and nothing is changed. With one it shows the first of them and asks; who
    says no has settled nothing.
    """
    doubtful(project, "after")

    looked, no = project.types("resolve", "odd.odd"), project.types("resolve", "odd.odd", "--delivered", answer="n\n")

    assert looked.code == 0
    assert looked.out.startswith(
        "odd.odd has sent 12 changes without an answer: 12 to add\n    + 0  email=p…@e….com  nps=0\n"
    )
    assert looked.out.count("\n    + ") == 12
    assert "audiences resolve odd.odd --delivered, --not-delivered or --read-back" in looked.out
    assert no.code == 1
    assert no.out.count("\n    + ") == 10
    assert "    … and 2 more; all of them: audiences resolve odd.odd\n" in no.out
    assert "Settle 12 changes as delivered? [y/N]:" in no.out
    assert no.out.endswith("Nothing was settled.\n")
    assert project.types("sync", "odd").code == 5


@pytest.mark.parametrize(
    ("how", "verdict", "said"),
    [
        ("after", "--delivered", "12 changes as delivered"),
        ("before", "--not-delivered", "12 changes as not delivered"),
        ("after", "--read-back", "12 changes as delivered"),
        ("before", "--read-back", "12 changes as not delivered"),
    ],
)
def test_what_is_said_is_settled(project, how, verdict, said):
    """
    0: after a word, or a look at the list, the next sync delivers what is missing, and nothing twice.
    """
    doubtful(project, how)

    ended = project.types("resolve", "odd.odd", verdict, answer="y\n")
    after = project.types("sync", "odd")

    assert (ended.code, after.code) == (0, 0)
    assert ended.out.endswith(f"Settled: {said}. The next sync goes on from there.\n")
    assert after.out.endswith("0 changes delivered. Syncs: 1 unchanged.\n" if how == "after" else "1 delivered.\n")
    assert len(project.written("odd")) == 12
    assert project.types("resolve", "odd.odd", verdict).out == "odd.odd has nobody of unknown outcome.\n"


def test_some_alone(project):
    """
    --key settles one or a few; the others stay as they are. A key that nobody has is a mistake.
    """
    doubtful(project, "after")

    ended = project.types("resolve", "odd.odd", "--delivered", "--key", "3", "--key", "7", "--yes")
    strange = project.types("resolve", "odd.odd", "--delivered", "--key", "3", "--yes")

    assert ended.out.endswith("Settled: 2 changes as delivered. The next sync goes on from there.\n")
    assert "  unknown: 10 sent" in project.types("sync", "odd").out
    assert strange.code == 2
    assert "nobody with the key 3 is of unknown outcome in odd.odd\n  do: see: audiences resolve odd.odd" in strange.err


def test_an_update_is_told_by_its_fields(project):
    """
    Who was on the list before is there either way: the list tells of an update only where it holds what was sent.
    What it cannot tell stays unknown, is said, and ends with 5.
    """
    project.types("sync", "odd")
    project.people((0, "p0@example.com", 70), *PEOPLE[1:])
    doubtful(project, "before")
    untold = project.types("resolve", "odd.odd", "--read-back", "--yes")
    project.types("resolve", "odd.odd", "--not-delivered", "--yes")
    doubtful(project, "after")
    told = project.types("resolve", "odd.odd", "--read-back", "--yes")

    assert untold.code == 5
    assert "The list does not tell of 1 change: say it with --key, and --delivered or --not-delivered.\n" in untold.out
    assert (told.code, "Settled: 1 change as delivered." in told.out) == (0, True)
    assert project.types("sync", "odd").code == 0


def test_a_removal_is_told_by_the_list(project):
    """
    Whoever is still on the list was not removed, and is by the next sync; whoever is not on it is forgotten.
    """
    project.odd(BREAKS.format(more="").replace("upsert", "remove"))
    project.types("sync", "odd")
    project.people(*PEOPLE[2:])
    for how in ("before", "after"):
        doubtful(project, how, "--force")
        ended = project.types("resolve", "odd.odd", "--read-back", "--yes")
        assert "2 to remove" in ended.out
        assert f"Settled: 2 changes as {'not ' if how == 'before' else ''}delivered." in ended.out

    assert project.types("sync", "odd").out.endswith("Syncs: 1 unchanged.\n")
    assert len(project.written("odd")) == 10


def test_a_list_that_cannot_be_read_back(project):
    """
    2: where the connector does not read lists, a person has to say it.
    """
    project.odd(BREAKS.format(more="members = Connector.members"))
    doubtful(project, "after")

    ended = project.types("resolve", "odd.odd", "--read-back")

    assert ended.code == 2
    assert "Odd cannot read back who is on a list" in ended.err
    assert "say what became of them: --delivered or --not-delivered" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("odd.odd", "--delivered", "--read-back"), "only one of them"),
        (("odd.od", "--delivered"), "the warehouse remembers no sync 'odd.od'\n  do: did you mean odd.odd?"),
    ],
)
def test_what_cannot_be_meant(project, words, said):
    """
    2: two verdicts, or a sync that never ran.
    """
    project.types("sync", "odd")

    ended = project.types("resolve", *words)

    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


def test_not_while_a_run_is_on(project):
    """
    5: while a run holds the sync, or one that was cut off is not settled, nothing can be said of it.
    """
    doubtful(project, "after")
    with project.worker() as worker:
        held = lease.take(worker.state, "odd.odd", 0)
        worker.warehouse.close()
        on = project.types("resolve", "odd.odd", "--delivered", "--yes")
        held.release()
    project.sql("update audience_sync.control_odd__odd set outbox = 99")
    cut = project.types("resolve", "odd.odd")
    project.sql("update audience_sync.control_odd__odd set outbox = null")

    assert (on.code, cut.code, cut.out) == (5, 5, "")
    assert "odd.odd is being run by another worker" in on.err
    assert "its last run was cut off and is not settled yet\n  do: let that run end, or" in cut.err
    assert project.types("sync", "odd", "--json").told["syncs"][0]["unknown"] == 12
