"""A new user and HubSpot: what the manual says is enough, from an empty folder to a list that was deleted.

The real command line and real sockets; at the end of the wire the sandbox, under HubSpot's own name.
"""

from __future__ import annotations

import textwrap

import pytest
from sqlalchemy.engine import make_url

from dialogue import Dialogue
from prompt import Project
from record import served
from test_hubspot import UNPACED

HEADER = """/// audience
about = "Latest NPS answer was 0 to 6"
owner = "cx@example.com"
key = "customer_id"
schedule = "@daily"
"""
QUERY = "select customer_id, email, nps_score from nps where nps_score <= 6"
TOKEN = "not-a-real-token"


class Newcomer(Project):
    """Someone in an empty folder, who makes a project there, over a warehouse of either kind."""

    def __init__(self, folder, engine):
        self.folder, self.engine, self.printed = folder, engine, []

    def types(self, *words, **environment):
        ended = super().types(*words, XDG_STATE_HOME=str(self.folder.parent / "state"), **environment)
        self.printed.append(ended.out + ended.err)
        return ended

    def begins(self):
        """Make a project with one audience, whose section is the one that the manual shows."""
        self.types("init", "lists")
        self.folder = self.folder / "lists"
        for file in (self.folder / "audiences").iterdir():
            file.unlink()
        self.has_a_warehouse()
        told = self.types("connectors", "hubspot").out.partition("    [sync.hubspot]")
        self.writes(HEADER + textwrap.dedent(told[1] + told[2].partition("\n\n")[0]))
        (self.folder / "connectors" / "hubspot.py").write_text(UNPACED)  # of the pace other tests speak
        self.sql("create table nps (customer_id varchar, email varchar, nps_score integer)")

    def has_a_warehouse(self):
        """The one that `init` has made; or one's own, whose address is written over that in .env."""
        env, made = self.folder / ".env", "duckdb:///warehouse.duckdb"
        self.url = make_url(f"duckdb:///{self.folder / 'warehouse.duckdb'}")
        if self.engine.name != "duckdb":
            self.url = self.engine.new(self.folder)
            assert made in env.read_text()
            env.write_text(env.read_text().replace(made, self.url.render_as_string(hide_password=False)))

    def writes(self, header):
        self.header = header
        lines = "".join(f"-- {line}\n" for line in [*header.splitlines(), "///"])
        (self.folder / "audiences" / "detractors.sql").write_text(lines + QUERY)

    def sets(self, token):
        """Write the token into .env, in the place of the one before."""
        env = self.folder / ".env"
        kept = [line for line in env.read_text().splitlines() if "HUBSPOT" not in line]
        env.write_text("\n".join([*kept, f"HUBSPOT_ACCESS_TOKEN={token}", ""]))


@pytest.fixture
def sandbox(tmp_path):
    with served(found := Dialogue("hubspot", tmp_path).far):
        yield found


@pytest.fixture
def user(tmp_path, engine):
    (tmp_path / "desk").mkdir()
    return Newcomer(tmp_path / "desk", engine)


def test_a_new_user_of_hubspot_is_told_what_to_do(user, sandbox):
    """
    From the manual alone a list is filled, kept up and emptied; each mistake on the way is said with its remedy.
    """
    user.begins()
    user.sql("insert into nps select i, 'p' || i || '@example.com', i % 7 from generate_series(0, 11) t(i)")

    no_token = user.types("check", "--connectors")
    user.sets("not-the-token")
    wrong_token = user.types("check", "--connectors")
    user.sets(TOKEN)
    right_token, planned = user.types("check", "--connectors"), user.types("plan")
    no_property = user.types("sync", "--all")

    assert (no_token.code, wrong_token.code, right_token.code, planned.code, no_property.code) == (2, 1, 0, 0, 1)
    assert "do: export HUBSPOT_ACCESS_TOKEN, or write it in the project's .env" in no_token.err
    assert "hubspot: api.hubapi.com answered 401" in wrong_token.err
    assert right_token.out == "hubspot  ok\n1 audience with 1 sync read; no mistakes.\n"
    assert "+ 12 added" in planned.out
    assert 'accepts nobody of a batch of 12: Property "nps_last_score" does not exist' in no_property.err
    assert (user.types("refused").out, sandbox.records["0-1"]) == ("0 members refused.\n", {})

    user.writes(user.header.replace("nps_last_score", "nps_score"))
    sampled, filled = user.types("plan", "--sample", "1"), user.types("sync", "--all")

    assert sampled.out.splitlines()[2] == "    + 0  email=p…@e….com  nps_score=0"
    assert (filled.code, len(sandbox.lists["1"]["members"])) == (0, 12)
    assert filled.out.endswith("12 changes delivered. Syncs: 1 delivered.\n")

    user.sql(
        "update nps set nps_score = 0 where customer_id = '3'", "update nps set nps_score = 9 where email ~ 'p4@.*'"
    )
    user.sql("insert into nps values ('new', 'Fresh+Tag@Example.com', 1), ('odd', 'nowhere', 2)")
    changed, refused, again = user.types("sync", "--all"), user.types("refused"), user.types("sync", "--all")

    assert (changed.code, again.code) == (4, 0)
    assert "+ 2 added   ~ 1 updated   − 1 removed   of 12 listed" in changed.out
    assert "detractors.hubspot  odd  Email address … is invalid" in refused.out
    records = {each["email"]: (ref, each["nps_score"]) for ref, each in sandbox.records["0-1"].items()}
    assert (records["p3@example.com"][1], records["p4@example.com"][1]) == ("0", "4")
    assert sandbox.lists["1"]["members"] == {ref for ref, _ in records.values()} - {records["p4@example.com"][0]}

    user.sql("insert into nps select i, 'r' || i || '@example.com', 1 from generate_series(100, 103) t(i)")
    sandbox.daily = 3  # look, find, create
    deferred, sandbox.daily = user.types("sync", "--all"), 250_000
    resumed = user.types("sync", "--all")

    assert (deferred.code, resumed.code) == (5, 0)
    assert "answered 429: a quota is used up" in deferred.err
    assert "do: nothing is lost: the next run goes on from here" in deferred.err
    assert len(sandbox.lists["1"]["members"]) == 16

    sandbox.lists.clear()
    user.sql("delete from nps where customer_id = '5'")
    gone = user.types("sync", "--all")
    forgotten, anew = user.types("forget", "detractors.hubspot", "--yes"), user.types("sync", "--all")

    assert (gone.code, forgotten.code, anew.code) == (1, 0, 4)
    assert "the HubSpot list 1 is gone\n  do: restore it in HubSpot, within 90 days" in gone.err
    assert len(sandbox.lists["1"]["members"]) == 15
    assert not [text for text in user.printed if "example.com" in text.replace("cx@example.com", "") or "not-a" in text]
