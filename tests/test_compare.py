"""What a sync is compared with where its definition has changed since the ledger was written."""

from __future__ import annotations

import pytest

from world import HEADER, World

ONLY_EMAIL = HEADER.replace('send = ["email", "nps"]', 'send = ["email"]')
ON_M = HEADER.replace('list = "L"', 'list = "M"')


@pytest.fixture
def world(tmp_path, either):
    return World(tmp_path, engine=either)


def test_a_dry_run_after_a_field_was_added_to_send(world):
    """
    A field that is new in send is counted before any run has made its column, also where someone is refused.
    """
    world.define(text=ONLY_EMAIL)
    world.people((1, "a@x", 1), (2, "b@x", None))
    world.receiver.rejects("b@x")
    world.sync()
    world.define()

    plan = world.plan()

    assert (plan.added, plan.updated, plan.waiting) == (0, 1, 1)


def test_a_dry_run_after_a_type_has_changed(world):
    """
    A column and a key of another type are counted as the next run will count them.
    """
    world.people((1, "a@x", 1), (2, "b@x", 2), (3, "c@x", 3))
    world.receiver.rejects("c@x")
    world.sync()
    world.sql(
        "alter table people alter column nps type varchar",
        "alter table people alter column id type varchar",
        "update people set nps = 'two' where id = '2'",
        "insert into people values ('four', 'd@x', 'x')",
    )

    plan = world.plan()

    assert (plan.added, plan.updated, plan.removed, plan.waiting) == (1, 1, 0, 1)
    assert world.sync().plan == plan


def test_a_dry_run_after_a_first_run_was_killed_between_its_tables(world):
    """
    A missing table of ours is an empty one.
    """
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()
    world.sql("drop table audience_sync.refused_team__webhook")

    assert world.plan().changed == 0

    world.sql("drop table audience_sync.ledger_team__webhook")

    assert world.plan().added == 2


def test_a_list_that_changes_there_and_back(world):
    """
    Where a change of list came only half the way and is taken back, everyone is on the old list again.
    """
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()
    world.define(text=ON_M)
    world.receiver.rejects("b@x")
    world.sync()
    world.define()
    world.receiver.rejects()
    world.sync()
    world.sync()

    assert world.receiver.holds("L") == {"a@x", "b@x"}
    assert world.receiver.holds("M") == set()


def test_a_repeated_key_follows_to_another_list_once_it_is_single(world):
    """
    Whose key comes twice while the list changes stays on the old one; once the key is single, its member moves, too.
    """
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()
    world.define(text=ON_M)
    world.people((1, "a@x"), (2, "b@x"), (2, "b@x"))
    world.sync()

    assert (world.receiver.holds("L"), world.receiver.holds("M")) == ({"b@x"}, {"a@x"})

    world.people((1, "a@x"), (2, "b@x"))
    world.sync()

    assert (world.receiver.holds("L"), world.receiver.holds("M")) == (set(), {"a@x", "b@x"})
    assert world.sync().outcome == "unchanged"


def test_who_comes_back_after_the_list_has_changed_is_added_there(world):
    """
    In mode upsert, who left stays on the old list; coming back, they are added to the new one.
    """
    world.define('mode = "upsert"')
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()
    world.define('mode = "upsert"', text=ON_M)
    world.people((1, "a@x"))
    world.sync()
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()

    assert world.receiver.holds("M") == {"a@x", "b@x"}


def test_a_refusal_of_another_list_does_not_count(world):
    """
    Whom one list refused is tried on the next one at once.
    """
    world.people((1, "a@x"), (2, "b@x"))
    world.receiver.rejects("b@x")
    world.sync()
    world.define(text=ON_M)
    world.receiver.rejects()
    world.sync()

    assert world.receiver.holds("M") == {"a@x", "b@x"}


def test_a_column_that_the_query_does_not_return(world):
    """
    The nearest one is named, and all that there are; case alone is no mistake.
    """
    world.people((1, "a@x"))
    world.define(text=HEADER.replace('"email", "nps"', '"EMAIL", "npz"').replace("id, email, nps", "*"))
    error = world.sync().error

    assert (
        "audiences/team.sql:9 uses the column 'npz', which the query does not return (it returns 'nps')" in error.what
    )
    assert error.do == "select it, or name one of: id, email, nps"


def test_members_known_by_their_key(world):
    """
    Where nothing that is sent identifies a member, the key does; sending an address from then on moves everyone to it.
    """
    world.define(text=HEADER.replace('"email", "nps"', '"nps"'))
    world.people((1, "a@x", 1), (2, "b@x", 2))
    world.sync()

    assert {(key, ident) for key, ident, _ in world.ledger()} == {(1, "1"), (2, "2")}

    world.define()
    world.sync()

    assert {(key, ident) for key, ident, _ in world.ledger()} == {(1, "a@x"), (2, "b@x")}
    assert world.receiver.holds() == {"a@x", "b@x"}


def test_a_key_of_another_type_is_another_text(world):
    """
    Whose key reads otherwise in the type that it has now is known by that from the next run on; a dry run says so.
    """
    world.define(text=HEADER.replace('"email", "nps"', '"nps"'))
    world.sql(
        "alter table people alter column id type varchar",
        "insert into people values ('007', 'a@x', 1), ('12', 'b@x', 2)",
    )
    world.sync()
    world.sql("alter table people alter column id type bigint using cast(id as bigint)")
    plan = world.plan()

    assert (plan.added, plan.updated, plan.removed) == (0, 1, 0)
    assert world.sync().plan == plan
    assert {ident for _, ident, _ in world.ledger()} == {"7", "12"} <= world.receiver.holds()


def test_two_names_of_one_list(world):
    """
    A list's name and its id, given to two syncs of one account, prove to be one: the second sends nothing.
    """
    world.people((1, "a@x"))
    world.sync()
    world.define(text=HEADER.replace('list = "L"', 'list_id = "L"'), name="twin")
    first, second = world.results()

    assert first.error is None
    assert "twin.webhook and team.webhook keep one and the same list" in second.error.what


def test_two_accounts_may_each_have_a_list_of_one_id(world):
    """
    The list of another connector is another list, whatever its id.
    """
    world.people((1, "a@x"))
    world.define(text=HEADER.replace('list = "L"', 'list_id = "L.csv"'))
    world.define(text=HEADER.replace("[sync.webhook]", "[sync.file]"), name="twin")

    assert [(each.error, each.outcome) for each in world.results()] == [(None, "delivered")] * 2
