"""The outbox as a run makes, shows, reads and leaves it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.engine import make_url

from audiences import compare, control, outbox, preview, project, state, tables
from audiences.batch import Phase
from audiences.control import Control
from audiences.errors import UnsafePlan
from audiences.identity import Form
from audiences.reader import Reader
from audiences.terms import Terms
from audiences.warehouse import Warehouse
from world import HEADER, World, bare

NAME, TABLE = "team.webhook", "team__webhook"
TERMS = Terms(TABLE, ("id",), {"email": "email", "nps": "nps"}, {"email": Form.CASELESS}, "L")
NOW = datetime(2026, 3, 1, tzinfo=UTC).replace(tzinfo=None)
QUERY = "select 1 as id, 'a@x' as email, 1 as nps"
ONLY_EMAIL = HEADER.replace('send = ["email", "nps"]', 'send = ["email"]')
MIXED = [  # in the order of their places: two releases, two moves, two upserts, one of those refused before, a removal
    *((0, "release", 1, "a@x", "K", 1), (1, "release", 2, "b@x", "M", 1)),
    *((2, "move", 3, "c@x", "L", 1), (3, "move", 4, "d@x", "L", "null")),
    *((4, "upsert", 3, "new@x", "L", 1), (5, "upsert", 4, "d2@x", "L", 2), (6, "upsert", 5, "e@x", "L", 3, True)),
    (7, "remove", 6, "f@x", "M", 1),
]


class Outbox:
    """An outbox of run 7 that holds just what a test says, beside an empty ledger."""

    def __init__(self, warehouse):
        self.warehouse = warehouse
        control.create(warehouse, NAME, TABLE)
        tables.create(warehouse, TERMS, warehouse.described(QUERY))
        self.fence = control.take(warehouse, NAME, TABLE, 0, 7, "worker")
        held = warehouse.columns(f"ledger_{TABLE}")
        warehouse.run(
            f'create table {outbox.table(self.fence, 7)} (seq bigint, verb varchar, "key" {held["key"]}, ident varchar,'
            f" list varchar, had boolean, again boolean, sent_email {held['sent_email']}, sent_nps {held['sent_nps']})"
        )

    def holds(self, *rows):
        """(place, verb, key, address, list, score, whether refused before) each; the table has them the wrong way."""
        self.warehouse.run(
            f"insert into {outbox.table(self.fence, 7)} (seq, verb, ident) values (-1, 'census', '1,2,3')"
        )
        for seq, verb, key, email, list_id, nps, *again in reversed(rows):
            self.warehouse.run(
                f"insert into {outbox.table(self.fence, 7)} values ({seq}, '{verb}', {key}, '{email}', '{list_id}',"
                f" true, {bool(again)}, '{email}', {nps})"
            )

    def claims(self, *claims):
        """What is acknowledged: (key, address, list)."""
        for key, email, list_id in claims:
            self.warehouse.run(
                f"insert into {self.warehouse.table(f'ledger_{TABLE}')}"
                f" values ({key}, '{email}', '{list_id}', true, 1, '2026-01-01', '{email}', 1)"
            )

    def refuses(self, times):
        """Who is refused, and when they are tried again."""
        for key, moment in times.items():
            self.warehouse.run(
                f"insert into {self.warehouse.table(f'refused_{TABLE}')}"
                f" values ({key}, 'p{key}@x', 'L', 1, {compare.moment(moment)}, 1, '2026-01-01', 'p{key}@x', 1)"
            )

    def refused(self):
        rows = self.warehouse.run(f'select "key" from {self.warehouse.table(f"refused_{TABLE}")}')
        return {int(key) for (key,) in rows}

    def changes(self, **more):
        """A comparison with what the ledger holds."""
        known = Control(rule=TERMS.rule)
        found = compare.changes(self.warehouse, TERMS, QUERY, self.warehouse.described(QUERY), known, NOW)
        return replace(found, **more)

    def reader(self, *send):
        return Reader(self.fence, 7, send or ("email", "nps"))


@pytest.fixture
def made(holder):
    with holder.warehouse(holder.alone()) as warehouse:
        yield Outbox(warehouse)


@pytest.fixture
def world(tmp_path, holder):
    return World(tmp_path, engine=holder)


def left(world):
    """The outboxes that there are in the warehouse, and how many rows the state database keeps of them."""
    with world.worker() as worker, worker.state.engine.connect() as connection:
        kept = sum(connection.scalar(select(func.count()).select_from(each)) for each in (state.opened, state.verdict))
        return worker.warehouse.tables("outbox_"), kept


def sampled(world, most):
    """What a plan shows of each kind of change."""
    found = project.load(world.folder, world.engine.dialect)
    [audience] = found.audiences
    with world.engine.warehouse(world.url) as warehouse:
        _, changes = preview.preview(warehouse, audience, found.bindings[audience.syncs[0].name], world.moment)
        return outbox.sample(warehouse, changes, most)


def test_phases_stand_in_the_order_of_their_places(made):
    """
    Each phase has its first and last place, and its list where all its rows are of one; the census is in none.
    """
    made.holds(*MIXED)

    assert made.reader().phases() == [
        Phase("release", False, 0, 1, None),
        Phase("move", False, 2, 3, "L"),
        Phase("upsert", False, 4, 5, "L"),
        Phase("upsert", True, 6, 6, "L"),
        Phase("remove", False, 7, 7, "M"),
    ]
    assert (made.reader().total(), made.reader().lists()) == (8, ["K", "L", "M"])


def test_an_outbox_that_changes_nothing(made):
    """
    With the census alone, or without a row at all, there is nothing to deliver.
    """
    assert made.reader().total() == 0

    made.holds()

    assert (made.reader().total(), made.reader().lists(), made.reader().phases()) == (0, [], [])


def test_rows_are_read_in_the_order_of_their_places(made):
    """
    From the first to the last, both included, however the table keeps them, each with its identifier and its list.
    """
    made.holds(*MIXED)
    one, several = made.reader().phases()[2], made.reader().phases()[0]
    found, both = made.reader().rows(one, 4, 5), made.reader().rows(several, 0, 1)

    assert [(member.key, member.fields, member.seq) for member in found.members] == [
        ("3", {"email": "new@x", "nps": 1}, 4),
        ("4", {"email": "d2@x", "nps": 2}, 5),
    ]
    assert (list(found.idents), list(found.lists), list(found.held)) == (["new@x", "d2@x"], ["L", "L"], [])
    assert (list(both.idents), list(both.lists)) == (["a@x", "b@x"], ["K", "M"])


def test_a_field_that_is_no_longer_sent_travels_with_a_removal_alone(made):
    """
    A removal is told what its member was once known by, where there is such a value; an upsert is not.
    """
    made.holds(*MIXED)
    reader = made.reader("email")
    *_, moves, upserts, _, _ = reader.phases()
    fields = [[member.fields for member in reader.rows(each, each.lo, each.hi).members] for each in (moves, upserts)]

    assert fields == [
        [{"email": "c@x", "nps": 1}, {"email": "d@x"}],
        [{"email": "new@x"}, {"email": "d2@x"}],
    ]


def test_a_field_without_a_value_travels_while_it_is_sent(made):
    """
    What has become NULL is told, also to a removal.
    """
    made.holds(*MIXED)
    [found] = made.reader().rows(made.reader().phases()[1], 3, 3).members

    assert found.fields == {"email": "d@x", "nps": None}


HELD = {  # the moves that failed -> the upserts that wait for them, of 4, 5 and 6
    "none": ([], []),
    "one": ([(0, 0)], [4]),
    "both": ([(0, 0), (1, 1)], [4, 5]),
    "of another member": ([(2, 2)], []),
    "no move": ([(3, 3)], []),
    "all": ([(0, 3)], [4, 5]),
}


@pytest.mark.parametrize("case", HELD)
def test_who_is_held_back_by_a_move_that_failed(made, case):
    """
    An upsert waits where its own member holds, under another identifier or on another list, a claim that a failed move
    was to take off; nobody else waits, and neither does a member whose move was done.
    """
    failed, waiting = HELD[case]
    made.claims((1, "a@x", "L"), (2, "b@x", "M"), (3, "c@x", "L"), (3, "d@x", "L"), (9, "z@x", "L"))
    made.holds(
        *((0, "move", 1, "a@x", "L", 1), (1, "move", 2, "b@x", "M", 1), (2, "move", 9, "z@x", "L", 1)),
        *((3, "release", 3, "d@x", "L", 1), (4, "upsert", 1, "new@x", "L", 1)),
        *((5, "upsert", 2, "b@x", "L", 1), (6, "upsert", 3, "c@x", "L", 1)),
    )
    found = made.reader().rows(Phase("upsert", False, 4, 6, "L"), 4, 6, failed)

    assert list(found.held) == waiting
    assert [member.seq for member in found.members] == [seq for seq in (4, 5, 6) if seq not in waiting]
    assert len(found.idents) == len(found.lists) == 3 - len(waiting)


def test_whose_claim_is_the_very_one_that_a_move_takes_does_not_wait(made):
    """
    Two share an address that one of them leaves by a move that failed: who keeps it does not wait, nor does one whose
    address is on another list.
    """
    made.claims((1, "a@x", "L"), (2, "a@x", "L"), (3, "a@x", "M"))
    made.holds(
        *((0, "move", 1, "a@x", "L", 1), (1, "upsert", 2, "a@x", "L", 1)),
        (2, "upsert", 3, "c@x", "L", 1),
    )

    assert list(made.reader().rows(Phase("upsert", False, 1, 2, "L"), 1, 2, [(0, 0)]).held) == []


def test_all_of_a_range_may_wait(made):
    """
    Where everyone of a range is held back, it has no rows, and all their places are told.
    """
    made.claims((1, "a@x", "L"))
    made.holds((0, "move", 1, "a@x", "L", 1), (1, "upsert", 1, "b@x", "L", 1))
    found = made.reader().rows(Phase("upsert", False, 1, 1, "L"), 1, 1, [(0, 0)])

    assert (list(found.members), list(found.held)) == ([], [1])


def test_what_earlier_runs_left_is_swept_away(made):
    """
    Outboxes of earlier runs of the sync go; its own, those of later runs and of other syncs, and what is none stay.
    """
    stays = [f"outbox_{TABLE}_{name}" for name in ("7", "8", "old")] + ["outbox_other__webhook_3"]
    for name in (*stays[1:], f"outbox_{TABLE}_3", f"outbox_{TABLE}_6"):
        made.warehouse.run(f"create table {made.warehouse.table(name)} (seq bigint)")
    outbox.sweep(made.fence)

    assert sorted(made.warehouse.tables("outbox_")) == sorted(stays)


def test_dropped_is_dropped(made):
    """
    The table of an outbox goes, and only that one; to drop it once more is no mistake.
    """
    made.warehouse.run(f"create table {outbox.table(made.fence, 6)} (seq bigint)")
    for _ in range(2):
        outbox.drop(made.fence, 7)

    assert made.warehouse.tables("outbox_") == [f"outbox_{TABLE}_6"]


@pytest.mark.parametrize("taken_over", [False, True])
def test_a_refusal_whose_data_are_gone_is_forgotten(made, taken_over):
    """
    Whose time to be tried has come, and whose acknowledged claim needs no change, is refused no more. Others are: whose
    time is later (2), who is in the outbox (3), has no claim (4), waits for a verdict (5), or has a claim in doubt (6).
    A run that was taken over forgets nobody.
    """
    made.claims(*((key, f"p{key}@x", "L") for key in (1, 2, 3, 5, 6)))
    made.warehouse.run(f'update {made.warehouse.table(f"ledger_{TABLE}")} set sure = false where "key" = 6')
    made.holds((0, "upsert", 3, "p3@x", "L", 2))
    made.refuses({1: NOW, 2: NOW + timedelta(seconds=1), 3: NOW, 4: NOW, 5: NOW, 6: NOW})
    if taken_over:
        control.take(made.warehouse, NAME, TABLE, 7, 8, "another")
    outbox.outlive(made.fence, made.changes(frozen="select 5 as \"key\", 'p5@x' as ident"))

    assert made.refused() == ({1, 2, 3, 4, 5, 6} if taken_over else {2, 3, 4, 5, 6})

    outbox.outlive(made.fence, made.changes())
    assert made.refused() == ({1, 2, 3, 4, 5, 6} if taken_over else {2, 3, 4, 6})


def test_no_outbox_outlives_its_run(world):
    """
    Nothing is left of it, in the warehouse or in the state, after a run that delivered, or had nothing to do, or was
    stopped by the guard; nor of an interrupted one after the next.
    """
    world.small(batch=2)
    world.people(*((n, f"p{n}@x") for n in range(6)))
    for _ in range(2):
        world.sync()

        assert left(world) == ([], 0)
    world.people(*((n, f"q{n}@x") for n in range(6)))
    world.killed_in_call(len(world.receiver.calls) + 2, force=True)
    interrupted = left(world)
    world.people()
    stopped = world.sync()

    assert isinstance(stopped.error, UnsafePlan)
    assert (len(interrupted[0]), interrupted[1] > 1) == (1, True)
    assert left(world) == ([], 0)


def test_repeated_keys_are_found_wherever_there_are_some(world):
    """
    Among those who are new, and among those who are known while others leave: counted, left out, and counted alike by
    who only looks.
    """
    found = []
    for people in ([(1, "a@x"), (2, "b@x"), (2, "b2@x")], [(1, "a@x"), (2, "b@x")], [(1, "a@x")] * 3):
        world.people(*people)
        looked = world.plan()
        made = world.sync(force=True).plan
        found.append((made.added, made.removed, made.repeated))

        assert looked == made
    assert found == [(1, 0, 1), (1, 0, 0), (0, 1, 1)]
    assert world.receiver.holds() == {"a@x"}


class Newcomer:
    """Comes into the audience once a run has made its outbox."""

    def __init__(self, world):
        self.world = world

    def watch(self, worker, receiver):
        def made(_connection, _cursor, statement, *_):
            if bare(statement).startswith("create table") and "outbox_" in statement:
                self.world.sql("insert into people values (9, 'late@x', 0)")

        event.listen(worker.warehouse.engine, "after_cursor_execute", made)


class Deletions:
    """What a run deletes from its ledger by."""

    def __init__(self):
        self.said = []

    def watch(self, worker, receiver):
        def made(_connection, _cursor, statement, *_):
            # Each engine says it in its own way; what else is deleted names those who are refused.
            said = bare(statement).lower()
            if said.startswith(("delete", "create table")) and "ledger_" in said and "refused_" not in said:
                self.said.append("ident" if "ident" in said else "key")

        event.listen(worker.warehouse.engine, "before_cursor_execute", made)


@pytest.mark.parametrize(("refuses", "by"), [(False, "key"), (True, "ident")])
def test_a_ledger_is_settled_by_key_where_that_is_enough(world, refuses, by):
    """
    Someone is new, moves, and leaves: all of it acknowledged, no identifier of the ledger is read; with one refusal
    identifiers decide.
    """
    world.people(*((n, f"p{n}@x") for n in range(12)))
    world.sync()
    world.people(*((n, f"p{n}@x") for n in range(2, 12)), (1, "moved@x"), (20, "new@x"))
    if refuses:
        world.receiver.rejects("new@x")
    seen = Deletions()
    world.results(killer=seen)

    assert set(seen.said) == {by}


@pytest.mark.parametrize("holder", ["postgresql"], indirect=True)
def test_a_first_outbox_is_of_one_moment(world):
    """
    Who comes while it is made is in none of its rows and in none of its counts, also where it is made twice because
    someone cannot be sent.
    """
    world.people((1, "a@x"), (2, None))
    [result] = world.results(killer=Newcomer(world))

    assert (result.plan.rows, result.plan.added, result.plan.nameless, result.delivered) == (2, 1, 1, 1)
    assert world.receiver.holds() == {"a@x"}


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ('7 as "key"', (0, "upsert", False, False)),
        ("'remove' as verb, true as had, false as again", (0, "remove", True, False)),
        ("4 as seq, 'move' as verb, true as had, true as again", (4, "move", True, True)),
    ],
    ids=["a first one", "of a version before this", "any other"],
)
def test_what_an_outbox_lacks_is_said_where_it_is_read(columns, told):
    """
    The rows of a list's first outbox have their verb and their marks in common, and are numbered by their places.
    """
    with Warehouse(make_url("duckdb:///:memory:"), "audience_sync") as warehouse:
        warehouse.prepare()
        warehouse.run(f"create table audience_sync.outbox_team_1 as select {columns}")

        assert warehouse.run(f"select seq, verb, had, again from {control.rows(warehouse, 'team', 1)}") == [told]


@pytest.mark.parametrize("holder", ["postgresql"], indirect=True)
@pytest.mark.parametrize("source", ["from people where counted()", "from counting"], ids=["itself", "its view"])
def test_what_calls_a_volatile_function_is_run_once(world, source):
    """
    It may tell something else the second time. Here it counts, and PostgreSQL counts for each row.
    """
    world.sql("create sequence calls")
    world.sql("create function counted() returns boolean language sql volatile as 'select nextval(''calls'') > 0'")
    world.sql("create view counting as select * from people where counted()")
    world.define(text=HEADER.replace("from people", source))
    world.people((1, "a@x"), (2, "b@x"))
    world.sync()
    [(first,)] = world.sql("select last_value from calls")
    world.people((1, "a@x"), (2, "moved@x"), (3, "new@x"))
    [result] = world.results()

    assert (result.plan.rows, result.plan.added, result.plan.updated) == (3, 1, 1)
    assert world.sql(f"select last_value - {first} from calls") == [(3,)]


@pytest.mark.parametrize("holder", ["postgresql"], indirect=True)
def test_tables_that_are_read_by_ranges_are_indexed(world):
    """
    PostgreSQL would read the whole of a table for each batch, and for each chunk that is settled. Ledger and history
    get their index with their first rows, whichever run writes those, and never a second one.
    """
    world.people((1, "a@x"), (2, "b@x"))
    world.killed_in_call(1)
    kept = [(f"history_{TABLE}", "(outbox, seq)"), (f"ledger_{TABLE}", "(key)"), (f"refused_{TABLE}", "(key)")]

    assert indexes(world) == [(f"outbox_{TABLE}_1", "(seq)"), kept[-1]]
    for people in ((1, "a@x"), (2, "b@x")), ((1, "a@x"),):
        world.people(*people)
        world.results(force=True)
        assert indexes(world) == kept


@pytest.mark.parametrize("holder", ["postgresql"], indirect=True)
def test_a_first_sync_leaves_its_tables_indexed(world):
    """
    Also where nothing broke it off: the next one finds them so.
    """
    world.people((1, "a@x"), (2, "b@x"))
    world.results()

    assert [table for table, _ in indexes(world)] == [f"history_{TABLE}", f"ledger_{TABLE}", f"refused_{TABLE}"]


def indexes(world):
    """The indexes of our tables: the table, and its columns."""
    found = world.sql("select tablename, indexdef from pg_indexes where schemaname = 'audience_sync' order by 1")
    return [(table, words[words.rindex("(") :]) for table, words in found]


def test_a_sample_shows_each_kind_of_change(world):
    """
    So many of those to be added, updated and removed, in the order of the outbox, with what travels: also what is sent
    no longer, where a removal goes by it.
    """
    world.people((1, "a@x", 1), (2, "b@x", None), (3, "c@x", 3), (4, "d@x", 4), (5, "e@x", 5))

    first = {"+": [("1", {"email": "a@x", "nps": 1}), ("2", {"email": "b@x", "nps": None})], "~": [], "−": []}
    assert sampled(world, 2) == first

    world.sync()
    world.define(text=ONLY_EMAIL)
    world.people((2, "new@x", 2), (3, "c@x", 3), (4, "d2@x", 4), (6, "f@x", 6))

    assert sampled(world, 9) == {
        "+": [("6", {"email": "f@x"})],
        "~": [("2", {"email": "new@x"}), ("4", {"email": "d2@x"})],
        "−": [
            *(("2", {"email": "b@x"}), ("4", {"email": "d@x", "nps": 4})),
            *(("1", {"email": "a@x", "nps": 1}), ("5", {"email": "e@x", "nps": 5})),
        ],
    }
