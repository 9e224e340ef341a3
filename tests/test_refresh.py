"""Members whom a provider forgets unless they are sent again: they are, in time, and never as a change."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

import jobs
from audiences import cron
from engines import either, on
from prompt import Project
from scale import times
from world import Killed, World

engine = either


MORTAL = """from datetime import timedelta
from audiences import Limits
from audiences.connectors import find, shipped

class Mortal(find("webhook", [shipped("connectors")])):
    limits = Limits(batch=50)
    lifetime = timedelta(days=16)
"""
GUARD = "[guard]\nupdated = 0.0\nmost = 1"
AGES = 'update audience_sync.ledger_team__webhook set "at" = "at" -'
PEOPLE = [(number, f"p{number:02}@x", number) for number in range(20)]


class Mortal(World):
    """A world whose provider forgets a member 16 days after it was sent last; runs are a day apart."""

    def __init__(self, folder, engine=None):
        super().__init__(folder, engine=engine)
        (folder / "connectors").mkdir()
        (folder / "connectors" / "webhook.py").write_text(MORTAL)
        self.last, self.taken = {}, self.receiver.apply
        self.receiver.apply = self.applied

    def applied(self, told):
        self.taken(told)
        self.last |= {each["fields"]["email"]: self.moment for each in told["members"] if told["verb"] == "upsert"}

    def oldest(self):
        """How long ago the member was sent who was sent longest ago."""
        return self.moment - min(self.last.values())


@pytest.fixture
def world(tmp_path, engine):
    """Twenty people, sent in one day."""
    made = Mortal(tmp_path, engine)
    made.people(*PEOPLE)
    made.sync()
    made.define(GUARD)
    return made


def test_a_list_filled_in_one_day_comes_round_in_several(world):
    """
    From half of the lifetime on a quarter of the list is sent again in each daily run, so that nobody gets older than
    three quarters; no guard counts it, and nothing else is sent.
    """
    sent = []
    for _ in range(14):
        world.later(days=1)
        result = world.sync()
        sent.append(result.plan.refreshed)
        assert (result.plan.changed, result.delivered, result.error) == (0, result.plan.refreshed, None)
        assert world.oldest() <= timedelta(days=12)

    assert sent == [*[0] * 8, *[5] * 4, 0, 0]


def test_a_sync_that_was_paused_sends_the_oldest_first(world):
    """
    Whoever is older than three quarters of the lifetime is sent at once, whatever their number; of those between half
    and that, so many as else, the oldest first.
    """
    world.sql(f"{AGES} interval '5 days' where key < 12")
    world.sql(f"{AGES} interval '1 day' where key in (12, 13, 14)")
    world.receiver.calls.clear()
    world.later(days=9)
    first, second, third = world.sync(), world.sync(), world.sync()

    told = [sorted(int(each["key"]) for each in call["members"]) for call in world.receiver.calls]
    assert [each.plan.refreshed for each in (first, second, third)] == [12, 5, 3]
    assert told == [[*range(12)], [12, 13, 14, 15, 16], [17, 18, 19]]


@on("duckdb")
def test_a_change_is_no_refresh(world):
    """
    Who changes, moves or leaves on the day is counted as that, and not sent twice; the others are sent again.
    """
    world.define()
    world.later(days=13)
    world.people((0, "new@x", 0), (1, "p01@x", 7), *PEOPLE[3:])
    result = world.sync()

    assert (result.plan.updated, result.plan.removed, result.plan.refreshed) == (2, 1, 17)
    assert world.receiver.holds() == {"new@x", "p01@x"} | {name for _, name, _ in PEOPLE[3:]}
    assert len(world.receiver.sent("upsert")) == 20 + 19


@on("duckdb")
def test_a_refresh_that_is_refused(world):
    """
    Its claim stays as it is, it is refused with a reason, tried again later, and holds no place of another's.
    """
    world.receiver.rejects("p00@x")
    world.later(days=9)
    first, second = world.sync(), world.sync()
    world.later(days=1)
    third = world.sync()

    assert [each.plan.refreshed for each in (first, second, third)] == [5, 5, 5]
    assert (first.fresh, first.refused, second.fresh, second.plan.waiting) == (1, 1, 0, 1)
    assert (0, "p00@x", True) in world.ledger()
    assert {each["key"] for each in world.receiver.calls[-1]["members"]} == {"0"}


@on("duckdb")
@pytest.mark.parametrize("mode", ["upsert", "add"])
def test_in_each_mode_who_is_wanted_stays(world, mode):
    """
    Where nobody is removed, and where nobody is updated either, whoever is wanted is sent again, and nobody else.
    """
    world.define(GUARD.replace("[guard]", f'mode = "{mode}"\n\n[guard]'))
    world.people(*PEOPLE[:10])
    world.later(days=13)
    world.receiver.calls.clear()

    assert world.sync().plan.refreshed == 10
    assert len(world.receiver.sent("upsert")) == 10


@pytest.mark.parametrize("at", range(8, 44, 9))
def test_killed_on_the_way(tmp_path, at):
    """
    Wherever a run is killed and the state is lost besides, the next ones send again whoever needs it, and lose nobody.
    """
    world = Mortal(tmp_path)
    world.people(*PEOPLE)
    world.sync()
    world.later(days=13)
    world.killed(at)
    world.state_file.unlink()
    results = [world.sync(force=True) for _ in range(2)]

    assert [each.error for each in results] == [None, None]
    assert world.oldest() == timedelta(0)
    assert world.ledger() == {(key, name, True) for key, name, _ in PEOPLE}
    assert world.plan().refreshed == world.plan().changed == 0


@pytest.mark.parametrize("seed", range(times(1, 60, 3)))
@pytest.mark.no_cover
def test_whatever_happens_nobody_who_is_wanted_is_forgotten(tmp_path, engine, seed):
    """
    Members come, go, move and change; runs are killed, states are lost, days go by: as long as one run is whole in
    every four days, whoever is wanted was sent within the lifetime; in the end list, ledger and audience are one.
    """
    world, chance = Mortal(tmp_path, engine), random.Random(seed)
    wanted = {number: name for number, name, _ in PEOPLE}
    for _ in range(10):
        for number in chance.sample(range(25), 3):
            wanted[number] = chance.choice([None, f"p{number:02}@x", f"q{number:02}@x"])
        world.people(*((number, name, chance.randrange(3)) for number, name in wanted.items() if name))
        if chance.random() < 0.4:
            world.killed(chance.randrange(8, 50), force=True)
        if chance.random() < 0.2:
            world.state_file.unlink(missing_ok=True)
        world.later(hours=chance.randrange(1, 24))
        result = world.sync(force=True)
        assert result.error is None
        assert world.receiver.holds() == {name for name in wanted.values() if name}
        world.last = {name: at for name, at in world.last.items() if name in world.receiver.holds()}
        assert world.oldest() < timedelta(days=12)
        world.later(days=chance.randrange(0, 4))

    assert {(key, name) for key, name, sure in world.ledger() if sure} == {each for each in wanted.items() if each[1]}


@pytest.fixture
def slow(tmp_path, engine):
    """Three people on the list of a provider that judges later, and forgets; nine days ago."""
    made = jobs.world(tmp_path, engine)
    mortal = jobs.CONNECTOR.replace("    judged_within", "    lifetime = timedelta(days=16)\n    judged_within")
    (made.folder / "connectors" / "jobs.py").write_text(mortal)
    made.people(*PEOPLE[:3])
    for _ in range(2):
        made.sync()
        made.receiver.works()
    made.later(days=13)
    return made


@on("duckdb")
def test_with_a_ticket(slow):
    """
    Until it is judged the claim stands, and nothing overtakes it; then it is young again.
    """
    first, waiting = slow.sync(), slow.sync()
    stands = slow.ledger()
    slow.receiver.works()
    last = slow.sync()

    assert (first.plan.refreshed, first.pending, waiting.plan.refreshed, waiting.pending) == (3, 3, 0, 3)
    assert stands == slow.ledger() == {(key, name, True) for key, name, _ in PEOPLE[:3]}
    assert (last.delivered, last.plan.refreshed, last.pending) == (3, 0, 0)


@on("duckdb")
def test_a_lost_ticket_of_a_refresh_holds_a_removal(slow):
    """
    The job of a refresh whose answer was lost may put its member on the list again: the removal waits as long as it
    may last.
    """

    def after(request):
        raise Killed

    slow.receiver.after = after
    with pytest.raises(Killed):
        slow.sync()
    slow.forget_lease()
    slow.receiver.after = lambda request: None
    slow.people(*PEOPLE[1:3])
    early = slow.sync(force=True)
    slow.receiver.works()
    slow.later(hours=7)
    late = slow.sync(force=True)

    assert (early.plan.removed, early.plan.pending >= 1) == (0, True)
    assert late.plan.removed == 1


def test_people_see_it_as_what_it_is(tmp_path):
    """
    A line of its own in the plan, a number in JSON and in the history, `refresh` in `why`; no change for --exit-code.
    """
    project = Project(tmp_path)
    project.people(*PEOPLE)
    project.odd("from datetime import timedelta\nlifetime = timedelta(days=16)")
    project.types("sync", "odd")
    project.sql(AGES.replace("team__webhook", "odd__odd") + " interval '13 days'")
    plan, coded = project.types("plan", "odd"), project.types("plan", "odd", "--exit-code", "--json")
    project.types("sync", "odd")

    assert "\n  ↻ 20 sent again, before the destination forgets them\n" in plan.out
    assert plan.out.endswith("To send it: audiences sync odd\n")
    assert (coded.code, coded.told["syncs"][0]["refreshed"]) == (0, 20)
    assert "+ 0  ~ 0  − 0  ↻ 20  of 20" in project.types("history", "odd").out
    events = project.types("why", "7", "--audience", "odd", "--json").told["syncs"][0]["events"]
    assert [(each["verb"], each["answer"]) for each in events] == [("add", "accepted"), ("refresh", "accepted")]


@pytest.mark.parametrize(
    ("line", "hours"), [("*/15 * * * *", 0.25), ("0 9 * * 1-5", 33.6), ("@daily", 24), ("@monthly", 730.5)]
)
def test_how_far_apart_runs_are(line, hours):
    """
    The mean of ten moments of a line, to the hour or so: weekends and months count.
    """
    assert abs(cron.apart(line, "UTC") - timedelta(hours=hours)) <= timedelta(hours=hours / 10)
