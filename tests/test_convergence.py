"""Whatever happens to a sync, two quiet runs later list, ledger and audience say the same."""

from __future__ import annotations

import random
from collections import defaultdict

import httpx
import pytest

from engines import each
from scale import times
from world import HEADER, Killed, Killer, World

STRANGER = "stranger@x"
NAMES = [f"{letter}@x" for letter in "abcdefgh"]
GUARD = "[guard]\nempty = true"
POISON = 13  # a score that the receiver refuses, with whoever has it


class History:
    """A world to which things happen at random; `told` is what happened, for whoever must understand a failure."""

    def __init__(self, world, seed):
        self.world, self.dice, self.told = world, random.Random(seed), []
        self.team: dict[int, tuple[str | None, int]] = {}
        self.owners: dict[str, set[int]] = defaultdict(set)
        self.list, self.days = "L", []
        world.small(batch=self.dice.choice([2, 3]), concurrency=self.dice.choice([1, 1, 3]))
        world.receiver.lists |= {name: {STRANGER: {"email": STRANGER}} for name in "LM"}
        self.named = self.dice.random() < 0.5  # whether the receiver names whom it refuses, or refuses the batch

    def change(self):
        """A day: members come, change, move, share, swap, hand over and leave; now and then the list is another."""
        self.days.append(dict(self.team))
        if self.dice.random() < 0.3:  # what was half done must be undone
            self.team = dict(self.dice.choice(self.days))
        for _ in range(self.dice.randint(0, 4)):
            key, other = self.dice.sample(range(1, 8), 2)
            kind = self.dice.choice(
                ["come", "come", "score", "score", "poison", "share", "swap", "hand over", "leave", "no name"]
            )
            if kind == "come" or key not in self.team:
                self.team[key] = (self.dice.choice([*NAMES, "bad@x"]), self.dice.randint(1, 3))
            elif kind in ("score", "poison"):
                self.team[key] = (self.team[key][0], POISON if kind == "poison" else self.dice.randint(1, 3))
            elif kind == "leave":
                del self.team[key]
            elif kind == "no name":
                self.team[key] = (None, self.team[key][1])
            elif kind == "share" and other in self.team:
                self.team[key] = (self.team[other][0], self.team[key][1])
            elif kind == "swap" and other in self.team:
                self.team[key], self.team[other] = self.team[other], self.team[key]
            elif kind == "hand over":
                self.team[other] = self.team.pop(key)
        if self.dice.random() < 0.15:
            self.list = self.dice.choice("LM")
        self.world.define(GUARD, HEADER.replace('list = "L"', f'list = "{self.list}"'))
        twice = [(key, "twice@x", 1) for key in self.team if self.dice.random() < 0.05]
        self.told.append(("people", self.list, dict(self.team), twice))
        self.people(*twice)

    def people(self, *more):
        for key, (email, _) in self.team.items():
            self.owners[email].add(key)
        self.world.people(*((key, *member) for key, member in self.team.items()), *more)

    def run(self):
        """A run in bad weather; perhaps it is killed, perhaps the state is lost after it."""
        killer = Killer(self.dice.randint(1, 60) if self.dice.random() < 0.6 else 0)
        badness = self.dice.choice([0.0, 0.1, 0.4])
        self.told.append(("run", "killed at", killer.at, "badness", badness))
        try:
            self.world.results(killer=Weather(self, killer, badness), force=True)
        except Killed:
            self.told.append(("dead after", killer.steps))
        self.world.forget_lease()
        if self.dice.random() < (0.5 if killer.dead else 0.1):
            self.told.append(("state lost",))
            for path in self.world.state_file.parent.glob("s.sqlite*"):
                path.unlink()

    def quiet(self):
        """Two quiet runs; only the poisonous are refused."""
        self.world.receiver.before, self.world.receiver.after = self.judge, lambda told: None
        self.people()
        self.world.later(days=8)
        return [self.world.sync(force=True) for _ in range(2)]

    def poisonous(self, member):
        email, nps = member["fields"]["email"], member["fields"]["nps"]
        return "bad" in email or nps == POISON

    def judge(self, told):
        """Refuse the poisonous, and apply the others; None where nobody is."""
        bad = [member for member in told["members"] if told["verb"] == "upsert" and self.poisonous(member)]
        if not bad:
            return None
        if not self.named:
            return httpx.Response(422, text="this one is refused")
        self.world.receiver.apply({**told, "members": [member for member in told["members"] if member not in bad]})
        return httpx.Response(200, json={"rejected": {member["key"]: "refused" for member in bad}})


class Weather:
    """A killer, and at the far end answers that go wrong: before a call is applied, and after."""

    def __init__(self, history, killer, badness):
        self.history, self.killer, self.badness = history, killer, badness

    def watch(self, worker, receiver):
        self.killer.watch(worker, receiver)
        receiver.before, receiver.after = self.before, self.after

    def before(self, told):
        self.killer.step()
        return self._storm("before") or self.history.judge(told)

    def after(self, told):
        self.killer.step()
        return self._storm("after")

    def _storm(self, when):
        dice = self.history.dice
        if dice.random() >= self.badness:
            return None
        kind = dice.choice(["time-out", "cut", 500, 503] if when == "after" else ["time-out", 429, 500, 401])
        kind = "garbage" if when == "after" and dice.random() < 0.2 else kind
        self.history.told.append((when, kind))
        if kind == "time-out":
            raise httpx.ReadTimeout("no answer")
        if kind == "cut":
            raise httpx.RemoteProtocolError("cut")
        if kind == "garbage":
            return httpx.Response(200, json={"rejected": {"nobody we know": "…"}})
        return httpx.Response(kind)


@pytest.mark.parametrize(("engine", "seed"), each(range(times(14, 1_000)), range(times(2, 100))), indirect=["engine"])
def test_any_history_ends_in_step(tmp_path, engine, seed):
    """
    Members come, change, move, share, swap, hand over and leave; calls fail before and after they are applied; runs are
    killed and the state is lost. Two quiet runs later the list holds who belongs and nobody else, every claim is sure,
    whoever is refused is remembered as refused, and the stranger is where they were.
    """
    history = History(World(tmp_path, engine=engine), seed)
    for _ in range(history.dice.randint(2, 5)):
        history.change()
        history.run()
    first, second = history.quiet()

    assert (first.error, second.error) == (None, None)
    in_step(history)


def in_step(history):
    world, there = history.world, history.world.receiver.lists
    list_, other = there[history.list], there["LM".replace(history.list, "")]
    wanted = {key: member for key, member in history.team.items() if member[0]}
    bad = {key for key, (email, nps) in wanted.items() if "bad" in email or nps == POISON}
    carried = {email for email, _ in wanted.values()}
    disputed = {wanted[key][0] for key in bad}
    good = {(key, email, True) for key, (email, _) in wanted.items() if key not in bad}
    ledger = world.ledger()

    assert list_.pop(STRANGER) == {"email": STRANGER}
    assert other == {STRANGER: {"email": STRANGER}}
    assert {email for _, email, _ in good} <= set(list_) <= carried
    assert set(list_) <= {ident for _, ident, _ in ledger} <= carried
    assert good <= ledger
    assert {ident for _, ident, _ in ledger - good} <= disputed
    refused = {key for (key,) in world.sql("select key from audience_sync.refused_team__webhook")}
    nameless, claiming = history.team.keys() - wanted.keys(), {key for key, _, _ in ledger - good}
    assert bad <= refused <= bad | nameless | claiming
    for key, (email, nps) in wanted.items():
        if key not in bad and history.owners[email] == {key}:
            assert list_[email]["nps"] == nps
    assert STRANGER not in str(world.receiver.sent("remove"))
