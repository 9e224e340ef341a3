"""`audiences why`: how a member came onto a list or off it, by which run and commit, and how they stand now."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

import jobs
from engines import either, on
from prompt import Project
from states import rows
from test_cli_history import committed
from test_composite_key import SEATS
from test_unknown import repeats
from world import HEADER

engine = either


ANNA, BEN, CLEO = (1, "anna@x", 7), (2, "ben@x", 8), (3, "cleo@x", 9)


class Asked(Project):
    """A project whose lists go to the receiver of the tests, and a person who asks why."""

    def __init__(self, folder, engine=None, connector="webhook"):
        super().__init__(folder, engine)
        self.connector = connector
        self.define()

    def why(self, key, *words, **settings):
        return self.types("why", str(key), "--audience", "team", *words, **settings)

    def told(self, key, **settings):
        """The one sync of the JSON document."""
        ended = self.why(key, "--json", **settings)
        assert ended.code == 0, ended.err
        [sync] = ended.told["syncs"]
        return sync


@pytest.fixture
def world(tmp_path, engine):
    """Anna, Ben and Cleo were added by a first run; by a second Ben left, and Anna has another score."""
    made = Asked(tmp_path, engine)
    made.people(ANNA, BEN, CLEO)
    made.sync()
    made.later(days=1)
    made.people((1, "anna@x", 70), CLEO)
    made.sync(force=True)
    return made


def test_entries_and_exits_are_told(world):
    """
    Each change that was sent of a member, in order: when, what, the answer, the run; and how they stand now.
    """
    first, second = (run for (run,) in rows(world.state_url, "select id from run order by started"))
    anna, ben = world.why(1), world.why(2)

    assert (anna.code, anna.out.splitlines()) == (
        0,
        [
            "team.webhook: 1 was sent 2 times since 2026-03-01 12:00 UTC, where the history begins",
            f"  2026-03-01 12:00:00  add      accepted  run {first}",
            f"  2026-03-02 12:00:00  update   accepted  run {second}",
            "  now: listed; the query returns them",
        ],
    )
    assert ben.out.splitlines()[1:] == [
        f"  2026-03-01 12:00:00  add      accepted  run {first}",
        f"  2026-03-02 12:00:00  remove   accepted  run {second}",
        "  now: not listed; the query does not return them",
    ]
    assert world.told(2) == {
        "sync": "team.webhook",
        "key": "2",
        "events": [
            {"at": "2026-03-01T12:00:00Z", "verb": "add", "answer": "accepted", "run": first, "commit": None},
            {"at": "2026-03-02T12:00:00Z", "verb": "remove", "answer": "accepted", "run": second, "commit": None},
        ],
        "reaches": "2026-03-01T12:00:00Z",
        "listed": False,
        "doubtful": False,
        "refused": None,
        "pending": False,
        "returned": 0,
        "set_aside": False,
    }


def test_who_was_never_seen_is_told_so(world):
    """
    0: a key that was never sent, and is in no query, is told plainly, and how far back that holds.
    """
    ended = world.why("77")

    assert ended.code == 0
    assert ended.out == (
        "team.webhook: 77 was never sent since 2026-03-01 12:00 UTC, where the history begins\n"
        "  now: not listed; the query does not return them\n"
    )


@on("duckdb")
def test_the_commit_is_told(world):
    """
    The git commit of the definition that ran stands beside each change.
    """
    commit = committed(world)
    world.people(ANNA, BEN, CLEO)
    world.sync(force=True)

    assert [each["commit"] for each in world.told(2)["events"]] == [None, None, commit]
    assert world.why(2).out.splitlines()[3].endswith(f"  commit {commit[:10]}")


@on("duckdb")
def test_it_works_where_the_history_is_short(world):
    """
    What was forgotten is not made up: it says where its history begins, and how the member stands all the same; also
    where none is kept.
    """
    world.people((1, "anna@x", 71), CLEO)
    world.later(days=3)
    world.sync(keeps=timedelta(days=1))
    short, cleo = world.why(1).out, world.why(3).out
    world.sync(keeps=timedelta(0))

    assert short.startswith("team.webhook: 1 was sent 1 time since 2026-03-05 12:00 UTC, where the history begins\n")
    assert cleo.startswith("team.webhook: 3 was never sent since 2026-03-05 12:00 UTC, where the history begins\n")
    assert cleo.endswith("  now: listed; the query returns them\n")
    assert world.why(1).out == (
        "team.webhook: 1 has no history here: none is kept, or nothing was sent since it is\n"
        "  now: listed; the query returns them\n"
    )


@on("duckdb")
def test_the_refused_are_told_with_the_words(world):
    """
    Who is refused is told with the destination's words, masked, how often it was tried and when it is again; another
    member is not.
    """
    world.receiver.rejects("dora@x")
    world.people(*([ANNA, CLEO, (4, "dora@x", 1)]))
    world.sync(force=True)

    dora = world.told(4)
    assert [each["answer"] for each in dora["events"]] == ["refused: no such person"]
    assert dora["refused"] == {"attempts": 1, "again": "2026-03-02 13:00Z", "reason": "no such person"}
    assert "refused (1×, again after 2026-03-02 13:00Z): no such person; the query returns them" in world.why(4).out
    assert world.told(1)["refused"] is None


@on("duckdb")
def test_the_set_aside_are_told(world):
    """
    A member whom the query returns twice, or without an address, is set aside, and told so.
    """
    world.people(ANNA, (1, "other@x", 1), (3, None, 9))

    assert (world.told(1)["returned"], world.told(1)["set_aside"]) == (2, True)
    assert world.told(3)["set_aside"]
    assert world.why(1).out.endswith("  now: listed; the query returns them 2 times: set aside\n")
    assert world.why(3).out.endswith("  now: listed; the query returns them without an identifier: set aside\n")


def test_the_pending_are_told(tmp_path):
    """
    Who waits for a provider's verdict is told so.
    """
    world = Asked(tmp_path, connector="jobs")
    (tmp_path / "connectors").mkdir()
    (tmp_path / "connectors" / "jobs.py").write_text(jobs.CONNECTOR)
    world.receiver = jobs.Provider()
    world.people(ANNA)
    world.sync()

    assert world.told(1)["pending"]
    assert world.why(1).out.splitlines()[1].split()[2:4] == ["add", "pending"]
    assert "now: not listed; taken in, to be judged by the provider; the query returns them" in world.why(1).out


def test_a_doubt_is_told(tmp_path):
    """
    Who was sent without an answer, by a connector that cannot repeat it, is listed in doubt.
    """
    world = Asked(tmp_path)
    repeats(world, False)
    world.people(ANNA)
    world.receiver.after = lambda told: httpx.Response(500)
    world.sync()

    assert (world.told(1)["listed"], world.told(1)["doubtful"]) == (True, True)
    assert "now: in doubt: what was sent last has no answer" in world.why(1).out


@on("duckdb")
def test_who_left_with_another_is_told_so(world):
    """
    Of two members with one address one removal is sent; it is told of the other that they went along.
    """
    world.people(ANNA, CLEO, (4, "cleo@x", 9))
    world.sync(force=True)
    world.people(ANNA)
    world.sync(force=True)
    with_one, other = world.why(3).out, world.why(4).out

    assert "went with another member" not in with_one
    assert "now: not listed; went with another member who had the same identifier" in other


@pytest.mark.parametrize("typed", ['["a",7]', '["a", 7]', ' [ "a" , 7 ] '])
def test_a_key_of_several_columns(tmp_path, engine, typed):
    """
    It is one JSON array, with blanks or without; another with the same second part is another member.
    """
    world = Asked(tmp_path, engine)
    world.sql("create table seats (account varchar, id bigint, email varchar, nps integer)")
    world.sql("insert into seats values ('a', 7, 'p7@x', 1), ('b', 7, 'p8@x', 1)")
    world.define(text=SEATS)
    world.sync()

    found = world.told(typed)
    assert (len(found["events"]), found["listed"], found["returned"]) == (1, True, 1)


@on("duckdb")
def test_an_audience_that_is_gone_is_told(world):
    """
    After its file is gone the history still answers; whether a query returns the member, nobody can say.
    """
    (world.folder / "audiences" / "team.sql").unlink()

    assert world.told(1)["returned"] is None
    assert world.why(1).out.splitlines()[-1] == "  now: listed"


@on("duckdb")
def test_a_name_that_nothing_has_is_a_mistake(world):
    """
    2: no audience and no sync of that name, which is named with the nearest; a sync's own name is understood.
    """
    wrong = world.types("why", "1", "--audience", "tea")

    assert (wrong.code, "did you mean team?" in wrong.err) == (2, True)
    assert world.types("why", "1", "--audience", "team.webhook").code == 0


@on("duckdb")
def test_a_query_that_fails_leaves_the_rest(world):
    """
    Where the query cannot be asked, that is said on stderr, and the history is told all the same.
    """
    world.sql("drop table people")
    ended = world.why(2)

    assert ended.code == 0
    assert ended.err.startswith("error: team.webhook: whether the query returns them now cannot be told: ")
    assert ended.out.splitlines()[-1] == "  now: not listed"


@on("duckdb")
def test_a_key_that_is_an_address_is_hidden(world):
    """
    What is shown of such a key is masked; two of them are still told apart.
    """
    text = HEADER.replace('key = "id"', 'key = "email"').replace('list = "L"', 'list = "M"')
    world.define(text=text, name="mail")
    world.people((1, "anna@x", 7), (2, "bea@x", 8))
    world.receiver.rejects("bea@x")
    world.results(names=["mail"])
    ended = world.types("why", "anna@x", "--audience", "mail", "--json")

    assert "anna@x" not in ended.out
    assert ended.told["syncs"][0]["refused"] is None
    assert ended.told["syncs"][0]["listed"]
