"""A member named by several columns: one text, the same on every engine, wherever a key is told or kept."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from audiences import cli, schema
from audiences.errors import DefinitionError
from audiences.warehouse import literal
from scale import times
from world import HEADER, World

SEATS = HEADER.replace('key = "id"', 'key = ["account", "id"]').replace(
    "select id, email, nps from people", "select account, id, email, nps from seats"
)


@pytest.fixture
def world(tmp_path, either):
    """An audience of seats: people in accounts."""
    world = World(tmp_path, engine=either)
    world.sql("create table seats (account varchar, id bigint, email varchar, nps integer)")
    world.define(text=SEATS)
    with (tmp_path / ".env").open("a") as env:
        env.write(f"AUDIENCES_WAREHOUSE_URL={world.url}\nAUDIENCES_STATE_URL=sqlite:///state/s.sqlite\n")
    return world


def seats(world, *rows):
    """Let the table hold exactly these (account, id, email, nps)."""
    world.engine.fill(world.url, "seats", rows)


def asked(world, *words):
    return CliRunner().invoke(cli.root, ["-C", str(world.folder), *words]).output


def test_members_come_change_and_leave(world):
    """
    Each pair of columns is a member of its own: added, updated, moved and removed by one text, a JSON array.
    """
    seats(world, ("a", 1, "a1@x", 1), ("a", 2, "a2@x", 1), ("b", 1, "b1@x", 1), ("b", 2, "b2@x", 1))
    world.sync()

    assert {key for key, *_ in world.ledger()} == {'["a",1]', '["a",2]', '["b",1]', '["b",2]'}

    world.receiver.calls.clear()
    seats(world, ("a", 1, "a1@x", 9), ("a", 2, "new@x", 1), ("b", 1, "b1@x", 1), ("c", 1, "c1@x", 1))
    plan = world.plan()
    world.sync()

    assert (plan.added, plan.updated, plan.removed) == (1, 2, 1)
    assert world.listed() == {"a1@x": 9, "new@x": 1, "b1@x": 1, "c1@x": 1}
    assert {member["key"] for member in world.receiver.sent("upsert")} == {'["a",1]', '["a",2]', '["c",1]'}
    assert [member["key"] for member in world.receiver.sent("remove")] == ['["a",2]', '["b",2]']
    assert world.sync().outcome == "unchanged"


def test_a_null_in_any_part_is_no_key(world):
    """
    Who has no account, or no id, is set aside and counted.
    """
    seats(world, (None, 1, "a@x", 1), ("a", None, "b@x", 1), (None, None, "c@x", 1), ("a", 1, "d@x", 1))
    result = world.sync()

    assert result.plan.keyless == 3
    assert world.receiver.holds() == {"d@x"}


def test_a_repeated_pair_is_set_aside(world):
    """
    The same pair twice is a repeated key; the same id in two accounts is none.
    """
    seats(world, ("a", 1, "a@x", 1), ("a", 1, "b@x", 1), ("a", 2, "c@x", 1), ("b", 2, "d@x", 1))
    result = world.sync()

    assert result.plan.repeated == 1
    assert world.receiver.holds() == {"c@x", "d@x"}


def test_members_known_by_their_pair(world):
    """
    Where nothing that is sent identifies a member, the pair does.
    """
    world.define(text=SEATS.replace('"email", "nps"', '"nps"'))
    seats(world, ("a", 1, None, 1), ("b", 1, None, 2))
    world.sync()

    assert {(key, ident) for key, ident, _ in world.ledger()} == {('["a",1]', '["a",1]'), ('["b",1]', '["b",1]')}


ROWS = [  # in the types that every engine has
    *(("a1", "7"), ("a1", 7), ("", " "), ("a,b", 'c","d'), ("é😀", "[1,2]")),
    *(('say "hi"', "it's"), ("back\\slash/slash", "%s :x"), ("line\nend\ttab", "\x01\x19\x7f")),
]
HUGE, TRUTH = (-1, 170141183460469231731), (True, False)
FURTHER = {"duckdb": [HUGE, TRUTH], "postgresql": [HUGE, TRUTH], "mariadb": [HUGE], "sqlite": []}
FURTHER["duckdb, swapped"] = [HUGE, TRUTH]


def test_the_same_bytes_on_every_engine(holder):
    """
    A key is its columns as JSON writes them, without blanks and without escapes that JSON does not ask for.
    """
    same_bytes(holder, ROWS + FURTHER[holder.name])


def same_bytes(engine, rows):
    with engine.warehouse(engine.alone()) as warehouse:
        for n, row in enumerate(rows):
            columns = ", ".join(f"{name} {kind(value)}" for name, value in zip("xy", row, strict=True))
            warehouse.run(f"create table pair{n} ({columns})")
            warehouse.run(f"insert into pair{n} values ({', '.join(map(said, row))})")
            key, _ = warehouse.words.key(["x", "y"], warehouse.described(f"select x, y from pair{n}"))
            [(found,)] = warehouse.run(f"select {key} from (select x, y from pair{n}) as q")

            assert found == json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def kind(value):
    if isinstance(value, int) and value > 2**63:
        return "numeric(38, 0)"
    return {str: "varchar", int: "bigint", bool: "boolean"}[type(value)]


def said(value):
    return literal(value) if isinstance(value, str) else str(value)


def test_dates_and_the_like_have_one_form(engine):
    """
    A day, a moment without a zone and a UUID are texts as SQL writes them.
    """
    query = (
        "select date '2026-03-01' as x, timestamp '2026-03-01 12:00:00.5' as y,"
        " cast('4BCF0AD2-71D4-4FD8-A1C6-D2BE74352ED7' as uuid) as z"
    )
    with engine.warehouse(engine.alone()) as warehouse:
        key, _ = warehouse.words.key(["x", "y", "z"], warehouse.described(query))

        assert warehouse.run(f"select {key} from ({query}) as q") == [
            ('["2026-03-01","2026-03-01 12:00:00.5","4bcf0ad2-71d4-4fd8-a1c6-d2be74352ed7"]',)
        ]


@pytest.mark.parametrize("part", ["0.5::float8", "1.50::numeric(4, 2)", "time '12:00'", "now()"])
def test_a_part_that_has_several_forms_is_refused(world, part):
    """
    1.5 and 1.50 would be two members: such a part is refused, with the way out, by a run and by `check`.
    """
    world.define(text=SEATS.replace("account, id,", f"{part} as account, id,"))
    seats(world, ("a", 1, "a@x", 1))
    error = world.sync().error

    assert isinstance(error, DefinitionError)
    assert "the key's column 'account' is of the type" in error.what
    assert "cast(account as varchar) as account" in error.do
    assert "the key's column 'account'" in asked(world, "check", "--warehouse")


@pytest.mark.parametrize("key", ['["account", "id"]', '"id"', '["id"]', '["id", "account"]'])
def test_a_key_of_other_columns_is_refused(world, key):
    """
    From one column to two, back, or in another order: the ledger is of another key, and the way out is told.
    """
    kept = '["account", "id"]' if key != '["account", "id"]' else '"id"'
    seats(world, ("a", 1, "a@x", 1))
    world.define(text=SEATS.replace('["account", "id"]', kept))
    world.sync()
    world.define(text=SEATS.replace('["account", "id"]', key))

    for error in (world.sync().error, asked(world, "plan")):
        assert f"its ledger is kept by {kept.strip(chr(34))}" in str(error)
        assert "audiences forget team" in str(error)


def test_one_column_in_brackets_is_that_column(world):
    """
    A list of one is the same key as the column alone.
    """
    seats(world, ("a", 1, "a@x", 1))
    world.define(text=SEATS.replace('["account", "id"]', '"id"'))
    world.sync()
    world.define(text=SEATS.replace('["account", "id"]', '["id"]'))

    assert world.sync().outcome == "unchanged"
    assert {key for key, *_ in world.ledger()} == {1}


def test_the_refused_are_told_by_their_pair(world):
    """
    `refused`, `plan --sample` and `show` write the key as the receiver saw it.
    """
    seats(world, ("a", 1, "a@x", 1), ("a", 2, "bad@x", 1))
    assert '["a",2]' in asked(world, "plan", "--sample", "3")

    world.receiver.rejects("bad@x")
    world.sync()

    assert 'team.webhook  ["a",2]' in asked(world, "refused")
    assert 'key ["account", "id"]' in asked(world, "show", "team")
    assert json.loads(asked(world, "show", "team", "--json"))["key"] == ["account", "id"]


def test_two_syncs_share_an_evaluation(world):
    """
    Both columns of the key are in what the syncs share.
    """
    world.define('[sync.second]\nconnector = "webhook"\nlist = "M"\nsend = ["email"]', text=SEATS)
    env = world.folder / ".env"
    env.write_text(env.read_text().replace("WEBHOOK_", "SECOND_") + env.read_text())
    seats(world, ("a", 1, "a@x", 1), ("b", 1, "b@x", 1))

    assert [result.error for result in world.results()] == [None, None]
    assert world.receiver.holds("L") == world.receiver.holds("M") == {"a@x", "b@x"}


@pytest.mark.parametrize("at", range(3, 70, times(24, 12, 12)))
@pytest.mark.no_cover
def test_killed_and_run_again(world, at):
    """
    Killed at a step and run again, list and ledger equal the audience.
    """
    world.small()
    seats(world, *(("a", n, f"p{n}@x", 1) for n in range(4)))
    world.sync()
    seats(world, *(("a", n, f"p{n + 1}@x", 2) for n in range(5)))
    world.killed(at, force=True)
    world.sync(force=True)
    world.sync(force=True)

    assert world.listed() == {f"p{n + 1}@x": 2 for n in range(5)}
    assert world.ledger() == {(f'["a",{n}]', f"p{n + 1}@x", True) for n in range(5)}


def test_check_knows_each_column(tmp_path):
    """
    A part of the key that the query does not return is named, with its line, before any warehouse is asked.
    """
    world = World(tmp_path)
    world.define(text=SEATS.replace("select account,", "select acount,"))

    assert "team.sql:4 key names 'account', which the query does not return" in asked(world, "check")
    assert "did you mean acount?" in asked(world, "check")


def test_the_schema_knows_both_ways():
    """
    The published schema allows a column, or a list of at least one.
    """
    key = schema.header({})["properties"]["key"]

    assert [kind["type"] for kind in key["anyOf"]] == ["string", "array"]
    assert key["anyOf"][1]["minItems"] == 1
