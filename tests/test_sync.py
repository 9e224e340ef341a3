"""From a file to a list and its ledger: what a run delivers, and what it leaves alone."""

from __future__ import annotations

import httpx
import pytest

from audiences.changes import Changes
from audiences.errors import UnsafePlan
from engines import HOLDERS, on
from world import World

pytestmark = on(*HOLDERS)


@pytest.fixture
def world(tmp_path, engine):
    return World(tmp_path, engine=engine)


def listed(*names):
    return {f"{name}@x" for name in names}


def test_members_come_change_and_leave(world):
    """
    Only the changes are sent: an addition, an update and a removal, each once.
    """
    world.people((1, "a@x", 3), (2, "b@x", 4), (3, "c@x", 5))
    world.sync()
    world.people((1, "a@x", 3), (2, "b@x", 9), (4, "d@x", 6))
    world.receiver.calls.clear()

    result = world.sync(force=True)

    assert world.receiver.holds() == listed("a", "b", "d")
    assert [m["key"] for m in world.receiver.sent("upsert")] == ["2", "4"]
    assert [m["key"] for m in world.receiver.sent("remove")] == ["3"]
    assert (result.plan.added, result.plan.updated, result.plan.removed) == (1, 1, 1)
    assert world.plan().changed == 0


def test_a_quiet_day_sends_nothing(world):
    """
    A run over an unchanged audience makes no call.
    """
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()
    world.receiver.calls.clear()

    assert world.sync().outcome == "unchanged"
    assert world.receiver.calls == []


def test_a_changed_address_is_a_move(world):
    """
    The old address is removed before the new one is added, and the member counts once, as updated.
    """
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()
    world.receiver.calls.clear()
    world.people((1, "new@x"), (2, "b@x"))

    result = world.sync()

    assert world.receiver.holds() == listed("new", "b")
    assert [told["verb"] for told in world.receiver.calls] == ["remove", "upsert"]
    assert (result.plan.added, result.plan.updated, result.plan.removed) == (0, 1, 0)


def test_case_and_blanks_are_no_move(world):
    """
    An address that differs in case or blanks alone is updated, and removed from nowhere.
    """
    world.people((1, "a@x"))
    world.sync()
    world.people((1, " A@X "))
    world.receiver.calls.clear()

    world.sync()

    assert world.receiver.sent("remove") == []
    assert world.receiver.holds() == listed("a")


def test_a_member_without_a_key_is_set_aside(world):
    """
    A null key is neither added nor removed, and counted.
    """
    world.people((1, "a@x"), (None, "b@x"))

    result = world.sync()

    assert world.receiver.holds() == listed("a")
    assert result.plan.keyless == 1


def test_repeated_keys_are_neither_added_nor_removed(world):
    """
    A query that returns each key twice removes nobody and sends nobody: whoever is listed stays as they are.
    """
    world.people((1, "a@x"), (2, "b@x"), (3, "c@x"))
    world.sync()
    world.people((1, "a@x"), (1, "z@x"), (2, "b@x"), (2, "b@x"), (3, "c@x"), (3, "c@x"), (4, "d@x"), (4, "d@x"))
    world.receiver.calls.clear()

    result = world.sync()

    assert world.receiver.calls == []
    assert (result.plan.repeated, result.plan.changed, result.aside) == (4, 0, 4)
    assert world.receiver.holds() == listed("a", "b", "c")


def test_repeated_keys_are_set_aside_in_a_first_sync(world):
    """
    Also where there is no ledger yet, a key that comes twice is left out and the others are added.
    """
    world.people((1, "a@x"), (1, "a@x"), (2, "b@x"))

    result = world.sync()

    assert world.receiver.holds() == listed("b")
    assert result.plan.repeated == 1


def test_a_repeated_key_still_holds_its_address(world):
    """
    An address that only a repeated key carries now is not removed when another member leaves it.
    """
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()
    world.people((1, "z@x"), (2, "b@x"), (3, "a@x"), (3, "a@x"))

    world.sync()

    assert "a@x" in world.receiver.holds()


def test_a_member_without_an_address_is_set_aside_and_removed(world):
    """
    A member whose address became NULL or empty is set aside, and the old address removed.
    """
    world.people((1, "a@x"), (2, "b@x"), (3, "c@x"))
    world.sync()
    world.people((1, None), (2, " "), (3, "c@x"))

    result = world.sync(force=True)

    assert world.receiver.holds() == listed("c")
    assert (result.plan.nameless, result.plan.removed) == (2, 2)


def test_an_emptied_query_is_refused(world):
    """
    A query that suddenly returns nobody empties no list, also with --force.
    """
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()
    world.people()

    for force in (False, True):
        result = world.sync(force=force)

        assert isinstance(result.error, UnsafePlan)
        assert "returns nobody, and 2 members" in result.error.what
    assert world.receiver.holds() == listed("a", "b")


def test_an_emptied_query_may_empty_the_list_where_the_guard_says_so(world):
    """
    With empty = true under [guard], an empty result removes everyone.
    """
    world.define("[guard]\nempty = true")
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()
    world.people()
    world.sync()

    assert world.receiver.holds() == set()


def test_most_of_the_members_gone_is_stopped(world):
    """
    A query that has lost 60 % of its members removes nobody; both numbers and the way out are in the error.
    """
    world.people(*((n, f"p{n}@x") for n in range(20)))
    world.sync()
    world.people(*((n, f"p{n}@x") for n in range(8)))
    world.receiver.calls.clear()

    result = world.sync()

    assert isinstance(result.error, UnsafePlan)
    assert "remove 12 of 20 members (60%); its guard allows 20%" in str(result.error)
    assert "audiences sync team.webhook --force" in str(result.error)
    assert world.receiver.calls == []
    assert world.sync(force=True).error is None
    assert len(world.receiver.holds()) == 8


def test_a_short_list_is_not_guarded_by_shares(world):
    """
    Below guard.floor members, shares do not count.
    """
    world.people(*((n, f"p{n}@x") for n in range(9)))
    world.sync()
    world.people((1, "p1@x"))

    assert world.sync().error is None
    assert world.receiver.holds() == {"p1@x"}


def test_the_guard_holds_for_additions_and_updates(world):
    """
    A list that would double, or be rewritten, is stopped as well.
    """
    world.people(*((n, f"p{n}@x", 1) for n in range(10)))
    world.sync()

    world.people(*((n, f"p{n}@x", 1) for n in range(16)))
    assert "add 6 to 10" in world.sync().error.what

    world.people(*((n, f"p{n}@x", 2 if n < 6 else 1) for n in range(10)))
    assert "update 6 of 10" in world.sync().error.what


def test_most_holds_also_with_force(world):
    """
    guard.most bounds what one run may change, from the first run on, and --force does not pass it.
    """
    world.define("[guard]\nmost = 2")
    world.people((1, "a@x"), (2, "b@x"), (3, "c@x"))

    assert "3 members; its guard allows 2" in world.sync(force=True).error.what
    assert world.receiver.calls == []


def test_the_guard_names_a_field_that_was_added(world):
    """
    Where a column was added to send, everyone would be updated, and the refusal says why.
    """
    world.define(text=open_header('send = ["email"]'))
    world.people(*((n, f"p{n}@x", 1) for n in range(10)))
    world.sync()
    world.define()

    assert "(nps was added to send, or had no value before)" in world.sync().error.what


def test_the_guard_names_a_column_that_became_null(world):
    """
    Where every value of a column became NULL, the refusal says which.
    """
    world.people(*((n, f"p{n}@x", 1) for n in range(10)))
    world.sync()
    world.people(*((n, f"p{n}@x", None) for n in range(10)))

    assert "(every value of nps became NULL)" in world.sync().error.what


def test_a_guard_says_of_nobody_that_his_values_are_gone(world):
    """
    Where an empty result may empty the list and the guard stops it for its size, no column became NULL.
    """
    world.people(*((n, f"p{n}@x", 1) for n in range(10)))
    world.sync()
    world.people()
    world.define("[guard]\nempty = true\nremoved = 0.5\nfloor = 1")
    stopped = world.sync().error

    assert isinstance(stopped, UnsafePlan)
    assert "would remove 10 of 10" in stopped.what
    assert "became NULL" not in stopped.what


def test_a_guard_whose_reason_cannot_be_told(world, monkeypatch):
    """
    Where the audience cannot be asked again, such as for its time-out, the plan is stopped without word of why.
    """
    world.people(*((n, f"p{n}@x", 1) for n in range(10)))
    world.sync()
    world.people(*((n, f"p{n}@x", None) for n in range(10)))
    monkeypatch.setattr(Changes, "filled", lambda changes: "select nothing from nowhere")
    stopped = world.sync().error

    assert isinstance(stopped, UnsafePlan)
    assert "became NULL" not in stopped.what


def test_a_field_no_longer_sent_sends_nothing(world):
    """
    A column taken out of send changes nobody.
    """
    world.people((1, "a@x", 1), (2, "b@x", 2))
    world.sync()
    world.define(text=open_header('send = ["email"]'))

    assert world.sync().outcome == "unchanged"


def test_a_column_that_nobody_sends_never_causes_an_update(world):
    """
    Only the columns in send leave the warehouse, and only they are compared.
    """
    world.define(text=open_header('send = ["email"]'))
    world.people((1, "a@x", 1))
    world.sync()
    world.people((1, "a@x", 2))

    assert world.sync().outcome == "unchanged"
    assert "nps" not in world.receiver.calls[0]["members"][0]["fields"]


def test_null_is_a_value_like_any_other(world):
    """
    From NULL to a value and back are updates; NULL to NULL is none.
    """
    world.people((1, "a@x", None))
    world.sync()
    assert world.sync().outcome == "unchanged"

    world.people((1, "a@x", 5))
    assert world.sync().plan.updated == 1
    world.people((1, "a@x", None))
    assert world.sync().plan.updated == 1
    assert world.receiver.lists["L"]["a@x"]["nps"] is None


def test_a_changed_list_is_filled_before_the_old_one_is_drained(world):
    """
    Another list is filled first, then the old one is emptied of whom we added; members count once, as updated.
    """
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()
    world.receiver.calls.clear()
    world.define(text=open_header('send = ["email", "nps"]').replace('"L"', '"M"'))

    result = world.sync()

    assert world.receiver.holds("M") == listed("a", "b")
    assert world.receiver.holds("L") == set()
    assert [(told["list"], told["verb"]) for told in world.receiver.calls] == [("M", "upsert"), ("L", "remove")]
    assert (result.plan.added, result.plan.updated, result.plan.removed) == (0, 2, 0)
    assert world.sync().outcome == "unchanged"


def test_another_identifying_field_moves_everyone(world):
    """
    Where `identify` changes, the same people are known by another identifier: the old ones go, the new ones come.
    """
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()
    world.define('identify = ["nps"]')
    world.people((1, "a@x", 11), (2, "b@x", 12))

    world.sync()

    assert {ident for _, ident, _ in world.ledger()} == {"11", "12"}
    assert world.sync().outcome == "unchanged"


def test_who_was_refused_and_leaves_is_forgotten(world):
    """
    Someone who was refused, never got on the list, and leaves the query, is no longer among the refused.
    """
    world.receiver.after = lambda told: httpx.Response(200, json={"rejected": {"2": "no mailbox"}})
    world.people((1, "a@x"), (2, "b@x"))
    assert world.sync().refused == 1

    world.receiver.after = lambda told: None
    world.people((1, "a@x"))
    result = world.sync()

    assert (result.refused, result.outcome) == (0, "unchanged")


def test_mode_upsert_never_removes(world):
    """
    mode = "upsert" adds and updates; who leaves stays.
    """
    world.define('mode = "upsert"')
    world.people((1, "a@x", 1), (2, "b@x", 1))
    world.sync()
    world.people((1, "a@x", 2), (3, "c@x", 1))

    result = world.sync()

    assert world.receiver.holds() == listed("a", "b", "c")
    assert (result.plan.added, result.plan.updated, result.plan.removed) == (1, 1, 0)


def test_mode_add_only_adds(world):
    """
    mode = "add" sends new members, and nothing of those it has sent.
    """
    world.define('mode = "add"')
    world.people((1, "a@x", 1), (2, "b@x", 1))
    world.sync()
    world.people((1, "a@x", 2), (3, "c@x", 1))

    result = world.sync()

    assert world.receiver.holds() == listed("a", "b", "c")
    assert world.receiver.lists["L"]["a@x"]["nps"] == 1
    assert (result.plan.added, result.plan.updated, result.plan.removed) == (1, 0, 0)


def test_from_add_to_mirror_what_has_piled_up_is_removed(world):
    """
    Whoever left while the mode was "add" is removed once it is "mirror"; the guard judges that, and --force passes it.
    """
    world.define('mode = "add"')
    world.people(*((n, f"p{n}@x", 1) for n in range(12)))
    world.sync()
    world.people(*((n, f"p{n}@x", 1) for n in range(4)))
    added = world.sync()
    world.define()
    stopped = world.sync()
    held = world.receiver.holds()
    forced = world.sync(force=True)

    assert (added.plan.changed, stopped.plan.removed, stopped.outcome) == (0, 8, "guarded")
    assert len(held) == 12
    assert (forced.outcome, world.receiver.holds()) == ("delivered", {f"p{n}@x" for n in range(4)})


def test_two_syncs_of_one_audience_share_its_evaluation(world):
    """
    Two lists are filled from one evaluation, each with a ledger of its own.
    """
    world.define('[sync.second]\nconnector = "webhook"\nlist = "M"\nsend = ["email"]')
    (world.folder / ".env").write_text(
        (world.folder / ".env").read_text().replace("WEBHOOK_", "SECOND_") + (world.folder / ".env").read_text()
    )
    world.people((1, "a@x"), (2, "b@x"))

    results = world.results()

    assert [result.outcome for result in results] == ["delivered", "delivered"]
    assert world.receiver.holds("L") == world.receiver.holds("M") == listed("a", "b")


def test_a_renamed_file_takes_its_ledger_along(world):
    """
    With renamed_from, the new name goes on where the old one ended: nobody is sent or removed again.
    """
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()
    world.receiver.calls.clear()
    (world.folder / "audiences" / "team.sql").unlink()
    world.define('renamed_from = "team.webhook"', name="crew")

    result = world.sync()

    assert result.outcome == "unchanged"
    assert result.plan.listed == 2
    assert world.receiver.calls == []


def test_another_key_column_is_refused(world):
    """
    A ledger that was kept by another key cannot be compared; the error says the way out.
    """
    world.people((1, "a@x", 7))
    world.sync()
    world.define(text=open_header('send = ["email", "nps"]').replace('key = "id"', 'key = "nps"'))

    error = world.sync().error

    assert "now has the key nps; its ledger is kept by id" in error.what
    assert "audiences forget" in error.do


def test_a_changed_column_type_sends_only_what_differs(world):
    """
    A column that becomes another type is compared after a cast.
    """
    world.people((1, "a@x", 7), (2, "b@x", 8))
    world.sync()
    alter = {"sqlite": "analyze", "mariadb": "alter table people modify nps varchar"}  # values of SQLite have types
    world.sql(alter.get(world.engine.name, "alter table people alter column nps type varchar"))
    world.sql("update people set nps = 'eight' where id = 2")

    assert world.plan().updated == 1
    assert world.sync().plan.updated == 1
    assert world.sync().outcome == "unchanged"


def open_header(send):
    from world import HEADER

    return HEADER.replace('send = ["email", "nps"]', send)
