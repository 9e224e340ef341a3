"""One audience on five destinations at once: for e-mail, for sales, in an app, for analytics and for ads."""

from __future__ import annotations

import httpx
import pytest

import story
from test_every_connector import FILES, sandbox_of
from test_every_host import HOSTS
from world import World

FIVE = ("mailchimp", "hubspot", "intercom", "mixpanel", "meta_ads")
HEADER = """-- /// audience
-- about = "Everyone, everywhere"
-- owner = "tests@example.com"
-- key = "id"
-- schedule = "@daily"
--
{syncs}
-- [guard]
-- empty = true
-- ///
select * from crowd
"""
SYNC = """-- [sync.{name}]
-- list = "{list}"
-- send = {{ {send} }}{options}"""
BAD = 13  # the number of someone whom the CRM refuses


class Place:
    """One destination: its sandbox, its columns, and whether it can be reached."""

    def __init__(self, name):
        module = sandbox_of(next(path for path in FILES if path.stem == name))
        self.name, self.options = name, dict(getattr(module, "options", ({},))[0])
        self.sandbox, self.down = story.sandbox_with(module, self.options), False
        self.columns = {field: f"{name}_{n}" for n, field in enumerate(self.sandbox.member(1))}

    def fields(self, number, score):
        """What it is sent of a person: the score is in a field that says nothing of who they are, where it has one."""
        if number == BAD and self.name == "hubspot":
            return self.sandbox.unwelcome()
        fields = self.sandbox.member(number)
        free = [name for name, value in fields.items() if value == "Ada"]
        return {**fields, **dict.fromkeys(free[:1], f"Ada {score}")}

    def sync(self):
        send = ", ".join(f'"{field}" = "{column}"' for field, column in self.columns.items())
        options = "".join(f'\n-- {name} = "{value}"' for name, value in self.options.items())
        return SYNC.format(name=self.name, list=self.sandbox.list, send=send, options=options)

    def typed(self):
        """Its columns with their types; text where a value that is refused is no number."""
        kinds = {field: isinstance(value, int) for field, value in self.fields(BAD, 1).items()}
        return ", ".join(f"{self.columns[field]} {'bigint' if whole else 'varchar'}" for field, whole in kinds.items())

    def holding(self, people):
        """Of these, those who are on its list just as it is sent them, by what it is sent."""
        told = [self.fields(*each) for each in people]
        return {tuple(fields.values()) for fields in told if self.sandbox.holds(fields)}

    def wanted(self, team):
        """Who belongs on its list, by what it is sent: the CRM refuses one."""
        people = [each for each in team.values() if self.name != "hubspot" or each[0] != BAD]
        return {tuple(self.fields(*each).values()) for each in people}


class Everywhere(World):
    """A world of one audience: key -> (number of the person, score)."""

    def __init__(self, folder):
        self.places = {name: Place(name) for name in FIVE}
        super().__init__(folder)
        accounts = {name: value for each in self.places.values() for name, value in each.sandbox.settings.items()}
        (folder / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in accounts.items()))
        self.define(text=HEADER.replace("{syncs}", "\n".join(each.sync() for each in self.places.values())))
        columns = ", ".join(each.typed() for each in self.places.values())
        self.sql(f"create table crowd (id bigint, {columns})")
        self.receiver, self.seen = self.far, set()

    def far(self, request):
        name = next(name for name in FIVE if request.url.host in HOSTS[name])
        if self.places[name].down:
            raise httpx.ConnectError("no connection")
        return self.places[name].sandbox(request)

    def run(self, team):
        """What became of each destination's sync once the audience is this."""
        self.seen |= set(team.values())
        rows = []
        for key, each in team.items():
            rows.append((key, *(value for place in self.places.values() for value in place.fields(*each).values())))
        self.engine.fill(self.url, "crowd", rows)
        return {each.binding.sync.section: each for each in self.results(force=True)}

    def equal(self, team):
        """Of each destination, whether its list is this audience: of all who were ever wanted, these and no others."""
        return {name: place.holding(self.seen) == place.wanted(team) for name, place in self.places.items()}


@pytest.fixture
def world(tmp_path):
    return Everywhere(tmp_path)


def test_five_destinations_hold_one_audience(world):
    """
    Members come, change, move, share an address and leave. One destination is down for two runs and is right after the
    next; another refuses one member, and nobody else misses anything. After each run every list that could be reached
    equals the query, less its refused.
    """
    come = {1: (1, 1), 2: (2, 1), 3: (3, 1), 4: (4, 1), 5: (BAD, 1)}
    change_and_move = {**come, 2: (2, 2), 3: (6, 1)}
    share = {**change_and_move, 7: (4, 1)}
    leave = {key: share[key] for key in (2, 3, 5, 7)}
    back = {**leave, 1: (1, 3)}

    for number, team in enumerate((come, change_and_move, share, leave, back)):
        world.places["intercom"].down = number in (1, 2)
        found = world.run(team)

        assert world.equal(team) == {name: name != "intercom" or number not in (1, 2) for name in FIVE}
        assert {name for name, each in found.items() if each.error} == ({"intercom"} if number in (1, 2) else set())
        assert {name: each.refused for name, each in found.items() if each.refused} == {"hubspot": 1}
