"""A list made anew: whoever else is on it goes, who is wanted is never off it, and the ledger is the list."""

from __future__ import annotations

import httpx
import pytest

from audiences.errors import DefinitionError, DeliveryError, UnsafePlan
from engines import either, on
from prompt import Project
from scale import times
from world import Killed, Receiver, World

engine = either


SESSIONS = """
from audiences import Limits, Member
from audiences.connectors import find, shipped

class Sessions(find("webhook", [shipped("connectors")])):
    limits = Limits(batch=2)
    session = False

    def upsert(self, list_id, members):
        return self._post("part" if self.session else "upsert", list_id, members)

    def replacing(self, list_id, began):
        self.session = True
        self._post("begin", list_id, [Member("", {}, -1)])

    def replaced(self, list_id, began):
        self._post("end", list_id, [Member("", {}, -2)])
"""
PEOPLE = [(number, f"p{number}@x", number) for number in range(5)]
NAMES = {name for _, name, _ in PEOPLE}
STRANGER = {"email": "stranger@x", "nps": 0}


class Sessions(Receiver):
    """A receiver that can be told a list in parts: they are the list once it is told that they are all.

    fewest: how many there were of ours on the list after any call
    """

    def __init__(self):
        super().__init__()
        self.parts, self.fewest = Receiver(), len(PEOPLE)

    def apply(self, told):
        if told["verb"] == "begin":
            self.parts = Receiver()
        elif told["verb"] == "part":
            self.parts.apply({**told, "verb": "upsert"})
        elif told["verb"] == "end":
            self.lists[told["list"]] = self.parts.lists[told["list"]]
        else:
            super().apply(told)
        self.fewest = min(self.fewest, len(self.holds() & NAMES))


@pytest.fixture
def world(tmp_path, engine):
    """Five people on a list; somebody has put a stranger there since, and taken one of them off."""
    made = World(tmp_path, engine=engine)
    made.small()
    (tmp_path / "connectors" / "webhook.py").write_text(SESSIONS)
    made.receiver = Sessions()
    made.people(*PEOPLE)
    made.sync()
    made.receiver.lists["L"]["stranger@x"] = STRANGER
    del made.receiver.lists["L"]["p3@x"]
    made.receiver.fewest = 4
    made.later(hours=1)
    return made


def refuse(world, name):
    """From now on, let the receiver refuse whoever has this address."""

    def before(told):
        bad = [each["key"] for each in told["members"] if each["fields"].get("email") == name]
        if not bad:
            return None
        world.receiver.apply({**told, "members": [each for each in told["members"] if each["key"] not in bad]})
        return httpx.Response(200, json={"rejected": dict.fromkeys(bad, "no")})

    world.receiver.before = before


def test_the_list_is_what_is_wanted(world):
    """
    Who was taken off is on it again, who came is, who left and the stranger are not; it was never smaller meanwhile.
    The ledger is the list, and the next run has nothing to do.
    """
    world.people(*PEOPLE[1:], (7, "p7@x", 7))
    result = world.sync(replace=True)
    after = world.sync()

    assert world.receiver.holds() == {"p1@x", "p2@x", "p3@x", "p4@x", "p7@x"}
    assert world.receiver.fewest >= 3
    assert (result.plan.added, result.plan.removed, result.plan.refreshed, result.plan.anew) == (1, 1, 4, 5)
    assert (result.error, result.delivered, result.size, after.plan.changed) == (None, 5, 5, 0)
    assert {ident for _, ident, _ in world.ledger()} == world.receiver.holds()
    told = world.sql("select key, verb from audience_sync.history_team__webhook where outbox > 1")
    assert set(told) == {*((str(n), "refresh") for n in range(1, 5)), ("7", "add"), ("0", "remove")}


def test_an_address_that_is_left(world):
    """
    The old address of a member who moved goes with the old list, and one that passes to another key stays.
    """
    world.people((1, "p0@x", 1), *PEOPLE[2:])
    result = world.sync(replace=True)

    assert (result.error, world.sync().plan.changed) == (None, 0)
    assert world.receiver.holds() == {"p0@x", "p2@x", "p3@x", "p4@x"}
    assert world.ledger() == {(1, "p0@x", True), *((n, f"p{n}@x", True) for n in (2, 3, 4))}


@on("duckdb", "postgresql")
def test_who_came_shortly_before_and_left_is_removed_by_the_next_run(world):
    """
    A provider that goes by time is told an earlier one than the run's, for its clock: whoever was added in between may
    still be there, and is no more forgotten than taken for gone.
    """
    world.people(*PEOPLE, (7, "p7@x", 7))
    world.sync()
    world.people(*PEOPLE)
    world.sync(replace=True)
    doubted = world.ledger()
    world.receiver.lists["L"]["p7@x"] = {"email": "p7@x", "nps": 7}  # as such a provider would have left it
    world.sync(force=True)

    assert (7, "p7@x", False) in doubted
    assert world.receiver.holds() == {ident for _, ident, _ in world.ledger()} == NAMES


@on("duckdb")
def test_a_guard_stops_it_as_any_run(world):
    """
    Who would leave with the old list counts as always; nothing is sent, and --force passes the share.
    """
    world.define("[guard]\nfloor = 0")
    world.people(*PEOPLE[:2])
    calls = len(world.receiver.calls)
    stopped = world.sync(replace=True)
    sent = len(world.receiver.calls) - calls
    forced = world.sync(replace=True, force=True)

    assert isinstance(stopped.error, UnsafePlan)
    assert (sent, forced.error) == (0, None)
    assert world.receiver.holds() == {"p0@x", "p1@x"}


@on("duckdb")
def test_who_is_refused_is_not_on_it(world):
    """
    The claim of a member who is refused now goes with the old list; the refusal is told, and the others are listed. A
    list made anew once more tries them, too.
    """

    refuse(world, "p1@x")
    result = world.sync(replace=True)

    assert (result.error, result.fresh, result.refused) == (None, 1, 1)
    assert world.receiver.holds() == NAMES - {"p1@x"}
    assert {ident for _, ident, _ in world.ledger()} == NAMES - {"p1@x"}

    world.receiver.before = lambda told: None
    assert world.sync(replace=True).refused == 0
    assert world.receiver.holds() == NAMES


@on("duckdb")
@pytest.mark.parametrize("answer", [httpx.Response(422, text="not now"), httpx.Response(500)], ids=["refused", "lost"])
def test_a_list_that_is_not_ended(world, answer):
    """
    Where the last word is refused, or has no answer, the run fails and the ledger forgets nobody; the next run, under
    the strictest guard, sends who was to be added; asked for again, the list is made anew.
    """
    world.define("[guard]\nfloor = 0\nadded = 0.2\nmost = 1")
    world.people(*PEOPLE, (7, "p7@x", 7))
    world.receiver.before = lambda told: answer if told["verb"] == "end" else None
    failed = world.sync(replace=True)
    claims = world.ledger()
    world.receiver.before = lambda told: None
    after = world.sync()
    last = world.sync(replace=True)

    assert isinstance(failed.error, DeliveryError)
    assert claims == {*((n, f"p{n}@x", True) for n in range(5)), (7, "p7@x", False)}
    assert (after.error, after.plan.updated, last.error) == (None, 1, None)
    assert world.receiver.holds() == {*NAMES, "p7@x"}


@on("duckdb")
def test_a_list_that_is_not_begun(world):
    """
    Where the first word is refused, nobody was sent, and nobody is in doubt; the next run is as any.
    """
    world.people(*PEOPLE, (7, "p7@x", 7))
    world.receiver.before = lambda told: httpx.Response(422, text="no") if told["verb"] == "begin" else None
    failed = world.sync(replace=True)
    claims = world.ledger()
    world.receiver.before = lambda told: None

    assert "no" in failed.error.what
    assert claims == {(n, f"p{n}@x", True) for n in range(5)}
    assert (world.sync().plan.added, "p7@x" in world.receiver.holds()) == (1, True)


def dying(world):
    """Make the list anew in a run that dies as the provider has made it, and does not know."""

    def after(told):
        if told["verb"] == "end":
            raise Killed

    world.receiver.after = after
    with pytest.raises(Killed):
        world.sync(replace=True)
    world.forget_lease()
    world.receiver.before = world.receiver.after = lambda told: None


def back_in_step(world):
    """The five are wanted as they once were, and an ordinary run lists them."""
    world.people(*PEOPLE)
    world.sync()

    assert world.receiver.holds() == NAMES
    assert world.ledger() == {(n, f"p{n}@x", True) for n in range(5)}


def test_cut_off_as_it_was_made_anew(world):
    """
    Whoever left with that, and comes back, is sent again.
    """
    world.people(*PEOPLE[1:])
    dying(world)

    assert "p0@x" not in world.receiver.holds()
    back_in_step(world)


def test_cut_off_with_someone_who_was_refused(world):
    """
    So is whoever was refused with it, as soon as their data are what was once accepted.
    """
    world.people(PEOPLE[0], (1, "p1@x", 99), *PEOPLE[2:])
    refuse(world, "p1@x")
    dying(world)

    assert "p1@x" not in world.receiver.holds()
    back_in_step(world)


@on("duckdb")
@pytest.mark.parametrize("at", range(14, 60, times(15, 3, 9)))
def test_cut_off_anywhere(world, at):
    """
    Wherever a run is killed: the list was never emptied, an ordinary run after it brings it in step but for the
    strangers, and the same command once more makes it anew.
    """
    world.people(*PEOPLE[1:], (7, "p7@x", 7))
    taken, apply = [], world.receiver.apply
    world.receiver.apply = lambda told: (apply(told), taken.append(told["verb"]))
    world.killed(at, replace=True)
    after = world.sync()
    between = world.receiver.holds()
    last = world.sync(replace=True)

    assert (after.error, last.error) == (None, None)
    assert world.receiver.fewest >= 3
    assert between - {"stranger@x", "p3@x"} == {"p1@x", "p2@x", "p4@x", "p7@x"}
    assert world.receiver.holds() == {"p1@x", "p2@x", "p3@x", "p4@x", "p7@x"}
    assert world.ledger() == {(n, f"p{n}@x", True) for n in (1, 2, 3, 4, 7)}


@on("duckdb")
@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda world: world.define('mode = "add"'), DefinitionError, "which removes nobody"),
        (lambda world: world.people(*PEOPLE, (1, "q@x", 1)), UnsafePlan, "1 keys come more than once"),
        (lambda world: world.people((1, None, 1)), UnsafePlan, "there is nobody to make the list of"),
    ],
    ids=["mode", "repeated", "nobody"],
)
def test_what_cannot_be_made_anew(world, change, kind, words):
    """
    Where someone would go who is to stay, nothing is sent, in words.
    """
    change(world)
    calls = len(world.receiver.calls)
    result = world.sync(replace=True, force=True)

    assert isinstance(result.error, kind)
    assert words in result.error.what
    assert (len(world.receiver.calls) - calls, len(world.ledger())) == (0, 5)


def test_the_command_wants_a_name_and_says_what_it_would_do(tmp_path):
    """
    No --all and no pattern; with --dry-run the plan says of how many the list would be made, and nothing is sent.
    """
    project = Project(tmp_path)
    project.people(*PEOPLE)
    project.odd("def replaced(self, list_id, began): pass")
    project.types("sync", "odd")
    every, some = project.types("sync", "--all", "--replace"), project.types("sync", "o*", "--replace")
    dry, done = project.types("sync", "odd", "--replace", "--dry-run"), project.types("sync", "odd", "--replace")
    cannot = [project.types("sync", "team", "--replace", *more) for more in (("--dry-run",), ())]

    assert [each.code for each in (every, some, *cannot)] == [2, 2, 2, 2]
    assert "--replace needs the name of an audience" in every.err
    assert "\n  the list is made anew of 5; whoever else is on it goes\n" in dry.out
    assert (dry.code, done.code) == (0, 0)
    assert "5 changes delivered." in done.out
    assert all("file cannot make a list anew" in each.err for each in cannot)
