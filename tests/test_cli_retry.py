"""Refused members: one among many, all of them, when they are tried again, and `audiences retry`, which does so now."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from audiences import lease
from prompt import Project, answering
from scale import times
from world import World

MANY = times(10_000, 100_000, 100_000)
BATCH = 1000  # of `webhook`


@pytest.fixture
def project(tmp_path, either):
    """Twenty people, and `hooked`, a list at a receiver of ours."""
    made = Project(tmp_path, either)
    (made.folder / "audiences" / "team.sql").unlink()
    made.audience("hooked", "webhook")
    made.people(*((number, f"p{number}@x", number) for number in range(20)))
    return made


def many(project):
    """Let the audience be MANY."""
    rows = f"select n, 'p' || n || '@x', n from generate_series(20, {MANY - 1}) as t(n)"
    project.sql(f"insert into people {rows}")


class Receiver:
    """Rejects by name the keys that it is told to, and keeps whom it was sent."""

    def __init__(self, *keys):
        self.keys, self.told = set(keys), []

    def __call__(self, told):
        sent = [member["key"] for member in told["members"]]
        self.told += sent
        return 200, {"rejected": {key: "has opted out" for key in sent if key in self.keys}}

    def taken(self):
        sent, self.told = self.told, []
        return sent


def test_retry_sends_them_now(project):
    """
    Whoever is refused is left alone by the next sync, and sent by `retry` at once: alone, and with 4 while still
    refused, later again than before; with 0 once accepted.
    """
    receiver = Receiver("7")
    with answering(receiver) as where:
        first, sent = project.types("sync", "hooked", **where), receiver.taken()
        quiet, left = project.types("sync", "hooked", **where), receiver.taken()
        again, once = project.types("retry", "hooked.webhook", **where), receiver.taken()
        [row] = project.types("refused", "--json").told["refused"]
        receiver.keys.clear()
        healed, last = project.types("retry", "hooked.webhook", **where), receiver.taken()

    assert [each.code for each in (first, quiet, again, healed)] == [4, 0, 4, 0]
    assert (len(sent), left, once, last) == (20, [], ["7"], ["7"])
    wait = datetime.strptime(row["again"], "%Y-%m-%d %H:%MZ").replace(tzinfo=UTC) - datetime.now(UTC)
    assert (row["attempts"], round(wait.total_seconds() / 3600)) == (2, 4)
    assert "1 refused, and why: audiences refused hooked.webhook" in again.out
    assert healed.out.endswith("\n1 change delivered. Syncs: 1 delivered.\n")
    assert project.types("refused").out == "0 members refused.\n"


def test_some_alone(project):
    """
    --key sends one or a few. A key that is not refused is a mistake, and nothing is sent.
    """
    receiver = Receiver("7", "8", "9")
    with answering(receiver) as where:
        project.types("sync", "hooked", **where)
        receiver.taken()
        some = project.types("retry", "hooked.webhook", "--key", "7", "--key", "9", "--json", **where)
        sent = receiver.taken()
        strange = project.types("retry", "hooked.webhook", "--key", "7", "--key", "5", **where)

    assert (some.told["exit"], some.told["syncs"][0]["refused"], sorted(sent)) == (4, 3, ["7", "9"])
    assert (strange.code, receiver.told) == (2, [])
    assert (
        "nobody with the key 5 is refused by hooked.webhook\n  do: see: audiences refused hooked.webhook" in strange.err
    )


def test_refused_names_the_way_out(project):
    """
    `refused` says with which command they are sent before their time.
    """
    with answering(Receiver("7")) as where:
        project.types("sync", "hooked", **where)

    assert project.types("refused").out.endswith(
        "1 member refused.\nTo send them now: audiences retry hooked.webhook\n"
    )


def test_nobody_to_retry(project):
    """
    0: where nobody is refused, that is said and nothing is sent, whether it ever ran or not.
    """
    before = project.types("retry", "hooked.webhook")
    with answering(Receiver()) as where:
        project.types("sync", "hooked", **where)
    after = project.types("retry", "hooked.webhook", "--json")

    assert (before.code, before.out) == (0, "Nobody is refused by hooked.webhook.\n")
    assert (after.code, after.told) == (0, {"syncs": [], "errors": [], "exit": 0})


@pytest.mark.parametrize("name", ["hooked", "hooked.file", "*.webhook"])
def test_retry_wants_one_sync(project, name):
    """
    2: it is one sync whose refused are sent.
    """
    ended = project.types("retry", name)

    assert (ended.code, ended.out) == (2, "")
    assert "hooked.webhook" in ended.err or "audience.section" in ended.err


def test_not_while_a_run_is_on(project):
    """
    5: while a run holds the sync, nobody's time is changed.
    """
    with answering(Receiver("7")) as where:
        project.types("sync", "hooked", **where)
        with project.worker() as worker:
            held = lease.take(worker.state, "hooked.webhook", 0)
            worker.warehouse.close()
            ended = project.types("retry", "hooked.webhook", **where)
            held.release()

    assert ended.code == 5
    assert project.types("plan").out.count("waiting: 1 refused before and unchanged") == 1


def test_one_poison_member_among_many(project):
    """
    4: the others are all delivered, one is refused, in one run, in at most 2·⌈log2(batch)⌉ calls more than batches.
    """
    many(project)
    poison, calls, held = str(MANY * 2 // 3), [], set()

    def answer(told):
        keys = {member["key"] for member in told["members"]}
        calls.append(len(keys))
        if poison in keys:
            return 422, {"error": "one of these is no member"}
        held.update(keys)
        return 200, {}

    with answering(answer) as where:
        ended = project.types("sync", "hooked", "--json", **where)

    [sync] = ended.told["syncs"]
    assert (ended.code, sync["delivered"], sync["refused"]) == (4, MANY - 1, 1)
    assert held == {str(number) for number in range(MANY)} - {poison}
    assert len(calls) <= MANY // BATCH + 2 * math.ceil(math.log2(BATCH))
    [row] = project.types("refused", "--json").told["refused"]
    assert (row["key"], row["reason"]) == (poison, '{"error": "one of these is no member"}')


def test_everyone_is_refused(project):
    """
    1: a field of a wrong name, say: at most 2·⌈log2(batch)⌉ calls are made, nobody is marked refused, and once it is
    mended everyone is delivered.
    """
    many(project)
    calls = []

    def answer(told):
        calls.append(len(told["members"]))
        return 422, {"error": "no field has the name nps"}

    with answering(answer) as where:
        ended = project.types("sync", "hooked", **where)
    refused = project.types("refused").out
    with answering(lambda told: (200, {})) as where:
        mended = project.types("sync", "hooked", **where)

    assert ended.code == 1
    assert "accepts nobody of a batch of 1,000" in ended.err
    assert "no field has the name nps" in ended.err
    assert len(calls) <= 2 * math.ceil(math.log2(BATCH))
    assert refused == "0 members refused.\n"
    assert (mended.code, f"\n{MANY:,} changes delivered." in mended.out) == (0, True)


def test_they_are_tried_again_at_a_growing_distance(tmp_path, engine):
    """
    Whoever is refused again and again is sent after 1, 4, 16 and 64 hours, and then once a week.
    """
    world = World(tmp_path, engine=engine)
    world.people((1, "a@x", 1), (2, "bad@x", 1))
    world.receiver.rejects("bad@x")
    found = []
    for hours in (0, 1, 4, 16, 64, 168):
        world.later(hours=hours, minutes=-1)
        early = world.plan().added
        world.later(minutes=2)
        world.receiver.calls.clear()
        world.sync()
        found.append((early, [member["key"] for member in world.receiver.sent("upsert")]))

    assert found == [(2, ["1", "2"]), *[(0, ["2"])] * 5]


def test_changed_data_are_tried_at_once(tmp_path, engine):
    """
    Whoever was refused and has other data is sent by the next run, and the count of attempts begins anew.
    """
    world = World(tmp_path, engine=engine)
    world.people((1, "a@x", 1), (2, "bad@x", 1))
    world.receiver.rejects("bad@x")
    world.sync()
    world.later(hours=2)
    world.sync()
    tried = [world.sql("select key, attempts from audience_sync.refused_team__webhook")]
    world.receiver.calls.clear()
    world.people((1, "a@x", 1), (2, "bad@x", 2))
    result = world.sync()
    tried.append(world.sql("select key, attempts from audience_sync.refused_team__webhook"))

    assert tried == [[(2, 2)], [(2, 1)]]
    assert [member["fields"]["nps"] for member in world.receiver.sent("upsert")] == [2]
    assert (result.fresh, result.refused) == (1, 1)
