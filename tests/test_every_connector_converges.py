"""Whatever happens to a sync of any connector, two quiet runs later its provider's list holds who belongs."""

from __future__ import annotations

import itertools
import random

import httpx
import pytest

from audiences import Hashed, Limits, Member, Proof, connectors, http
from audiences.identity import SEPARATOR
from history import FATES, KEYS, Dropped, History
from scale import THOROUGH, times
from test_every_connector import cases
from world import World

pytestmark = pytest.mark.no_cover  # all of its code is run by others, too, and to watch it costs half as long again
STEPS = times(15, 10_000, 50)  # events for each connector, at least; those who try many share them among its ways
HISTORY = times(13, 48, 48)  # events of one history, before its quiet end
HEADER = """-- /// audience
-- about = "A test"
-- owner = "tests@example.com"
-- key = "id"
-- schedule = "@daily"
-- [sync.{connector}]
-- list = "{list}"
-- send = {{ {send} }}
-- {options}
-- [guard]
-- empty = true
-- ///
select * from crowd
"""
SMALL = """from pathlib import Path
from audiences import Limits
from audiences.connectors import find

class Small(find("{name}", [Path("{folder}")])):
    limits = Limits(batch=2, concurrency={at_once})
"""
KINDS = ("come", "come", "move", "score", "score", "share", "swap", "hand over", "leave", "leave", "as before")


class Sandboxed(History):
    """A history whose far end is a connector's sandbox. Its members are the sandbox's, by their number."""

    def __init__(self, world, path, sandbox, options):
        self.path, self.sandbox, self.options = path, sandbox, options
        self.fields = list(sandbox.member(1))
        self.cls = connectors.find(path.stem, [path.parent])
        super().__init__(world)

    def begin(self):
        self.world.receiver = self.sandbox
        (self.world.folder / ".env").write_text(
            "".join(f"{name}='{value}'\n" for name, value in self.sandbox.settings.items())
        )
        (self.world.folder / "connectors").mkdir()
        (self.world.folder / "connectors" / self.path.name).write_text(
            SMALL.format(
                name=self.path.stem,
                folder=self.path.parent,
                at_once=min(2, self.cls.limits.concurrency),  # one at a time where a provider, or a file, wants it so
            )
        )
        columns = ", ".join(f"f{n} {self.kind(name)}" for n, name in enumerate(self.fields))
        self.world.sql(f"create table crowd (id bigint, {columns})")

    def kind(self, name):
        return "bigint" if isinstance(self.sandbox.member(1)[name], int) else "varchar"

    def other_list(self, name):
        self.list = name
        send = ", ".join(f'"{field}" = "f{n}"' for n, field in enumerate(self.fields))
        lines = [f'{name} = "{value}"' for name, value in self.options.items()]
        lines += ["experimental = true"] if self.cls.proof is Proof.EXPERIMENTAL else []
        options = "\n-- ".join(lines)
        text = HEADER.format(connector=self.path.stem, list=self.sandbox.list, send=send, options=options)
        self.world.define(text=text)

    def member(self, name, score):
        """Fields of the person whose address this is, with a value that says the score."""
        fields = self.sandbox.member(NUMBERS[name])
        free = [each for each in fields if each not in self.identity and "@" not in str(fields[each])]
        if free:
            kind = type(fields[free[0]])
            fields[free[0]] = kind(score) if kind is int else f"Ada {score}"
        return fields

    @property
    def identity(self):
        return self.cls.identify(self.cls.Options(**self.options), self.fields)

    def ident(self, fields):
        return self.cls.ident(self.remote(), Member("", fields))

    def remote(self):
        account = connectors.settings(self.path.stem, self.cls, self.world.folder)
        unpaced, far = Limits(self.cls.limits.batch), httpx.MockTransport(self.sandbox)
        line = http.client(self.cls.reach(account), unpaced, transport=far)
        return self.cls(account, self.cls.Options(**self.options), line, send=self.fields, outbox="read-back")

    def publish(self, twice=()):
        rows = [(key, *self.member(*each).values()) for key, each in self.team.items()]
        for key, (name, _) in self.team.items():
            self.owners[name].add(key)
        self.world.engine.fill(self.world.url, "crowd", rows)

    def jobs_end(self):
        """Every job that is open at the provider is done, and the clock goes past the longest."""
        self.events += 1
        self.sandbox.works()
        self.world.later(seconds=self.cls.judged_within.total_seconds())

    def settle(self):
        """Quiet runs. Where the provider judges later, jobs end before each, and what they change is for the next."""
        if not self.cls.judges_later():
            super().settle()
            return
        self.publish()
        self.world.later(**self.patience)
        for _ in range(2 * self.quiet_runs):
            self.jobs_end()
            self.events += 1
            result = self.world.sync(force=True)
            assert result.error is None, result.error
        self.in_step()
        assert not self.world.sql(f"select key from audience_sync.pending_team__{self.world.connector}")

    def listed(self, name):
        """Identifiers of who is on the list, as the sandbox tells them, or else as the connector reads them back."""
        if hasattr(self.sandbox, "listed"):
            return dict.fromkeys(self.sandbox.listed())
        control = self.world.sql(f"select list_id from audience_sync.control_team__{self.world.connector}")
        found = self.remote().members(str(control[0][0])) if control and control[0][0] else ()
        return dict.fromkeys(self.ident(fields) for fields in found)

    def held(self, ident):
        """An identifier as the sandbox tells it: an ads platform holds what it was sent, which is a hash of it."""
        if not issubclass(self.cls, Hashed):
            return ident
        parts = ident.split(SEPARATOR)
        [found], _ = self.remote().identified([Member("", dict(zip(parts[::2], parts[1::2], strict=False)))])
        return found.values[0]

    def remembered(self):
        return {self.held(ident) for ident in super().remembered()}

    def there(self):
        made = f"control_team__{self.world.connector}" in self.tables()
        return set(self.listed("")) if made else set()

    def on_lists(self):
        """Everybody on the list but those whom it has to begin with, and who are taken out again by the next run."""
        return self.there() - getattr(self.sandbox, "begins_with", set())

    def in_step(self):
        """List, ledger and audience are equal; an address that only one ever had has the values of that one."""
        idents = {key: self.ident(self.member(*each)) for key, each in self.team.items()}
        table = f"team__{self.world.connector}"

        assert self.there() == {self.held(ident) for ident in idents.values()}
        assert {(int(key), *more) for key, *more in self.world.ledger()} == {
            (key, ident, True) for key, ident in idents.items()
        }
        assert not self.world.sql(f"select * from audience_sync.refused_{table}")
        assert b"person" not in self.world.state_file.read_bytes(), "the state knows someone's address"
        assert self.world.sql(f"select outbox from audience_sync.control_{table}") == [(None,)]
        for key, each in self.team.items():
            if self.owners[each[0]] == {key}:
                assert self.sandbox.holds(self.member(*each)), "the list holds other values"


NUMBERS = {f"{letter}@x": n for n, letter in enumerate("abcdefgh", 1)}


def tried():
    """(case, events) of every connector: in the first of its ways, and in each of them where very many are told."""
    ways = {path: list(found) for path, found in itertools.groupby(cases(), key=lambda case: case.values[0][0])}
    return [
        pytest.param(each.values[0], STEPS // len(found) if THOROUGH else STEPS, id=each.id)
        for found in ways.values()
        for each in (found if THOROUGH else found[:1])
    ]


@pytest.mark.parametrize(("case", "steps"), tried())
def test_any_history_of_a_connector_ends_in_step(tmp_path, postgres_server, case, steps):
    """
    Members come, change, move, share, swap, hand over and leave; calls fail before and after they are applied; runs are
    killed and the state is lost; jobs end late. Two quiet runs later list, ledger and audience are equal; four where
    the provider judges later.
    """
    path, module, options = case
    events = 0
    for seed in itertools.count():
        folder, engine = tmp_path / str(seed), Dropped(postgres_server)
        folder.mkdir()
        history = told(random.Random(seed), World(folder, path.stem, engine), path, module, options)
        engine.close(history.world.url)
        events += history.events
        if events >= steps:
            return


def told(dice, world, path, module, options):
    """One history, and its quiet end."""
    sandbox = module.Sandbox()
    sandbox.options = dict(options)
    history = Sandboxed(world, path, sandbox, options)
    while history.events < HISTORY:
        history.day([changed(dice) for _ in range(dice.randint(2, 7))])
        history.run(dice.choices(FATES, k=dice.randint(0, 5)), dice.choice([None, None, dice.randint(1, 60)]))
        if history.cls.judges_later() and dice.random() < 0.5:
            history.jobs_end()
        if dice.random() < 0.2:
            history.lose_state()
    history.settle()
    return history


def changed(dice):
    key, other = dice.sample(KEYS, 2)
    return dice.choice(KINDS), key, other, dice.choice(list(NUMBERS)), dice.randint(1, 3)
