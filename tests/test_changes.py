"""The one SELECT that says what must change, against the same rules in plain Python, on random worlds."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event
from sqlalchemy.engine import make_url

from audiences import compare, control, outbox, ranges, tables
from audiences.audience import Sync
from audiences.batch import Verdict
from audiences.control import Control, Fence
from audiences.identity import Form
from audiences.ledger import Settlement
from audiences.reader import Reader
from audiences.terms import Terms
from audiences.verdicts import Found
from audiences.warehouse import Warehouse
from engines import EVERY, started
from oracle import Case, Claim, Person, Refusal, ident, plan
from scale import times
from world import whole

NOW = datetime(2026, 3, 1, tzinfo=UTC).replace(tzinfo=None)
QUERY = "select id, email, nps from people -- all"
SEND = {"email": "email", "nps": "nps"}
SYNC = Sync("team", "webhook", "webhook", SEND, list="L")
TERMS = Terms(SYNC.table, ("id",), SEND, {"email": Form.CASELESS}, "L")
COLUMNS = "phase, verb, key, ident, list, email, nps"

keys = st.integers(1, 4)
emails = st.sampled_from(["a@x", "b@x", "A@X ", " b@x", "c@x", "", "  ", None])
named = st.sampled_from(["a@x", "b@x", "A@X ", "c@x"])
scores = st.sampled_from([1, None])
people = st.lists(st.builds(Person, st.one_of(keys, keys, keys, st.none()), emails, scores), max_size=6)
unique_people = st.lists(st.builds(Person, keys, emails, scores), max_size=4, unique_by=lambda person: person.key)


def claims(lists, names):
    """Ledgers that a rule may have left: unique by key, identifier and list."""
    return st.lists(
        st.builds(
            lambda key, email, nps, sure, old, list_id, name: Claim(
                key, name or ident(email), list_id, email, nps, sure, old
            ),
            *(keys, named, scores, st.sampled_from([True, True, False]), st.booleans(), lists, names),
        ),
        max_size=6,
        unique_by=lambda claim: claim[:3],
    )


refusals = st.lists(
    st.builds(
        lambda key, email, nps, due, list_id: Refusal(key, ident(email), list_id, email, nps, due),
        *(keys, named, scores, st.booleans(), st.sampled_from(["L", "L", "L", "M"])),
    ),
    max_size=3,
    unique_by=lambda refusal: refusal.key,
)
by_this_rule = claims(st.just("L"), st.none())
by_any_rule = claims(st.sampled_from(["L", "L", "M"]), st.sampled_from([None, None, "a@x", "1", "2"]))
once, by_any_once = (
    found.map(lambda claims: list({claim.key: claim for claim in claims}.values()))
    for found in (by_this_rule, by_any_rule)
)
modes = st.sampled_from(["mirror", "mirror", "mirror", "upsert", "add"])
repeatables = st.sampled_from([True, True, False])


def cases(people, claims, refusals=refusals, most=8):
    """Up to eight worlds side by side, with keys and addresses of their own: one statement judges them all."""
    worlds = st.lists(st.builds(Case, people, claims, refusals), min_size=1, max_size=most)
    return st.builds(side_by_side, worlds, modes, repeatables, st.sampled_from([True, False, False]))


def side_by_side(worlds, mode, repeatable, mortal):
    return Case(
        [apart(n, person) for n, world in enumerate(worlds) for person in world.people],
        [apart(n, claim) for n, world in enumerate(worlds) for claim in world.claims],
        [apart(n, refusal) for n, world in enumerate(worlds) for refusal in world.refusals],
        mode=mode,
        repeatable=repeatable,
        mortal=mortal,
    )


def apart(n, row):
    key = None if row.key is None else 10 * n + row.key
    email = row.email.replace("@", f"{n}@") if row.email else row.email
    moved = row._replace(key=key, email=email)
    return (
        moved._replace(ident=row.ident.replace("@", f"{n}@") + ("" if "@" in row.ident else f".{n}"))
        if len(row) > 3
        else moved
    )


@pytest.fixture(scope="module", params=list(EVERY))
def fence(request):
    """An empty warehouse that has run the sync once."""
    engine = started(request, request.param)
    with engine.warehouse(engine.alone()) as warehouse:
        yield empty(warehouse)


def empty(warehouse):
    warehouse.run("create table people (id bigint, email varchar, nps integer)")
    control.create(warehouse, SYNC.name, SYNC.table)
    tables.create(warehouse, TERMS, warehouse.described(QUERY))
    warehouse.run(f"update {warehouse.table('control_' + SYNC.table)} set epoch = 7, outbox = 7")
    return Fence(warehouse, SYNC.name, SYNC.table, 7)


def written(fence, table, rows):
    fence.warehouse.run(f"delete from {table} where true")
    if rows:
        values = ", ".join("(" + ", ".join(value(each) for each in row) + ")" for row in rows)
        fence.warehouse.run(f"insert into {table} values {values}")


def value(each):
    if isinstance(each, str):
        return f"'{each}'"
    return "null" if each is None else str(each)


def planned(fence, case, rule):
    """What the warehouse says of a case: the outbox's rows in order, and the plan's counts."""
    written(fence, "people", case.people)
    at = {True: (NOW - timedelta(days=250)).isoformat(), False: NOW.isoformat()}
    rows = [(*c[:3], c.sure, 1, at[c.old], *c[3:5]) for c in case.claims]
    written(fence, fence.warehouse.table("ledger_team__webhook"), rows)
    due = {True: "2026-02-28", False: "2026-03-02"}
    written(
        fence,
        fence.warehouse.table("refused_team__webhook"),
        [(*r[:3], 1, due[r.due], 1, at[False], *r[3:5]) for r in case.refusals],
    )
    terms = replace(TERMS, list_id=case.list, mode=case.mode, repeatable=case.repeatable)
    if case.mortal:  # runs so far apart that one takes whoever is older than half of it
        terms = replace(terms, lifetime=timedelta(days=400), apart=timedelta(days=100))
    known = Control(rule=rule or terms.rule)
    changes = compare.changes(fence.warehouse, terms, QUERY, fence.warehouse.described(QUERY), known, NOW)
    filled = outbox.fill(fence, changes, SYNC)
    rows = fence.warehouse.run(
        "select seq, case verb when 'release' then 1 when 'move' then 2 when 'remove' then 5"
        " else case verb when 'refresh' then 6 else 3 end + again::int end,"
        f' verb, "key", ident, list, sent_email, sent_nps, had from {fence.rows(7)} o'
        " where seq >= 0 order by seq"
    )
    return [(*row[:3], whole(row[3]), *row[4:]) for row in rows], filled, changes


def settled(fence, keyed, total, rows):
    """The ledger once all of the outbox is acknowledged, so many rows in a transaction."""
    settlement = Settlement(fence, 7, ['"sent_email"', '"sent_nps"'], compare.moment(NOW), keyed=keyed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "chunks", partial(ranges.chunks, rows=rows))
        settlement.acknowledged(Found(total, {Verdict.OK: ((0, total - 1),)}))
    return sorted(read(fence, "ledger"), key=str)


def read(fence, kind):
    columns = '"key", ident, list, sure, outbox, cast("at" as varchar), sent_email, sent_nps'
    return fence.warehouse.run(f"select {columns} from {fence.warehouse.table(f'{kind}_team__webhook')}")


def agrees(fence, case, rule=None):
    """The warehouse plans what the oracle plans, and counts it alike."""
    rows, counts, _ = planned(fence, case, rule)
    changes, expected = plan(case)
    listed = {claim.key for claim in case.claims}

    assert {row[1:-1] for row in rows} == changes
    assert len(rows) == len(changes)
    assert [row[0] for row in rows] == list(range(len(rows)))
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)
    assert all(row[-1] == (row[3] in listed) for row in rows)
    assert {name: getattr(counts, name) for name in expected} == expected


@pytest.mark.parametrize("unkept", [False, True])
def test_one_comparison_is_enough_while_no_key_comes_twice(fence, unkept):
    """
    The outbox is made once, also with a row without a key, and keys of which there are several claims: one as it is
    wanted, all in doubt, or none wanted any more.
    """
    made = []

    def watched(_connection, _cursor, statement, *_):
        made.extend([statement] if "create table" in statement.lower() and "outbox_" in statement else [])

    case = Case(
        [Person(None, "z@x", 1), Person(1, "a@x", 1), Person(2, "c@x", None), Person(3, "e@x", 1), Person(5, "g@x", 1)],
        [
            *(Claim(1, name, "L", name, 1, sure) for name, sure in (("a@x", True), ("b@x", True), ("b2@x", False))),
            *(Claim(2, name, "L", name, None, False) for name in ("c@x", "d@x")),
            *(Claim(4, name, "L", name, 1, True) for name in ("f@x", "f2@x")),
            Claim(3, "e@x", "L", "e@x", 1, sure=not unkept),
        ],
    )
    event.listen(fence.warehouse.engine, "before_cursor_execute", watched)
    try:
        agrees(fence, case)
    finally:
        event.remove(fence.warehouse.engine, "before_cursor_execute", watched)

    assert len(made) == 1


often = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=times(12, 3_000, 15), **often)
@given(case=st.one_of(cases(unique_people, by_this_rule), cases(people, by_this_rule)))
def test_the_plan_is_what_the_rules_say(fence, case):
    """
    Rows and counts of a comparison equal those of the rules in plain Python: also with shared, swapped and handed-over
    addresses, repeated and null keys, keys with two claims, doubts, refusals, claims old enough to be sent again, in
    each mode.
    """
    agrees(fence, case)


@settings(max_examples=times(12, 3_000, 15), **often)
@given(case=st.one_of(cases(unique_people, by_any_rule), cases(people, by_any_rule)))
def test_the_plan_after_a_change_of_list_or_identifier(fence, case):
    """
    The same where claims may be of another list, or known by another identifier than today's.
    """
    agrees(fence, case, rule="another")


@settings(max_examples=times(25, 3_000, 40), **often)
@given(case=cases(unique_people, st.one_of(once, by_any_once, by_any_rule), st.just([]), 1), rows=st.integers(1, 6))
def test_a_ledger_that_is_settled_by_key(fence, case, rows):
    """
    Where a plan says that keys are enough, and all of it is acknowledged, the ledger is what identifiers make of it,
    in however many transactions.
    """
    _, counts, _ = planned(fence, case, "another")
    total = Reader(fence, 7, ()).total()
    before = read(fence, "ledger")
    by_identifier = settled(fence, 0, total, rows)
    written(fence, fence.warehouse.table("ledger_team__webhook"), before)

    assert settled(fence, total if counts.keyed else 0, total, rows) == by_identifier


@pytest.mark.parametrize(
    ("people", "claims", "enough"),
    [
        ([(1, "new@x")], [(1, "old@x", True), (2, "gone@x", True)], True),
        ([(1, "a@x")], [(1, "a@x", True), (1, "old@x", True)], False),  # a member with two claims
        ([(1, "new@x")], [(1, "old@x", True), (2, "old@x", True)], False),  # one removal for two claims
        ([(1, "new@x"), (2, "old@x")], [(1, "old@x", False)], False),  # handed over, and not known to be there
    ],
)
def test_when_keys_are_enough(fence, people, claims, enough):
    """
    A ledger is settled by key alone where each member has one claim, and none goes or stays for another's sake.
    """
    case = Case([Person(*each, 1) for each in people], [Claim(key, n, "L", n, 1, sure) for key, n, sure in claims])

    assert planned(fence, case, None)[1].keyed == enough


@settings(max_examples=times(6, 1_000, 7), **often)
@given(case=cases(people, st.just([]), st.just([])))
def test_the_first_plan_of_a_sync(fence, case):
    """
    The same where the ledger holds nobody, for which there is a shorter statement.
    """
    agrees(fence, case)


@settings(max_examples=times(4, 500, 5), **often)
@given(case=cases(people, by_any_rule))
def test_a_dry_run_counts_what_a_run_would_do(fence, case):
    """
    The plan that is only counted is the plan that is made.
    """
    _, filled, changes = planned(fence, case, "another")

    assert outbox.count(fence.warehouse, changes, SYNC) == filled


def test_a_claim_that_is_not_known_by_what_was_sent(fence):
    """
    Where a claim that must change is known by something else than its rule makes of what was sent, as after an engine
    reads letters in another way, all are compared by what the ledger says: who changed, moved, left, or stays.
    """
    claims = [Claim(key, f"old{key}", "L", f"p{key}@x", 1, True) for key in (1, 2)]
    for first in ([Person(1, "p1@x", 2)], [Person(1, "q@x", 1)], []):
        agrees(fence, Case([*first, Person(2, "p2@x", 1)], claims))


def test_duckdb_keeps_no_row_that_is_as_it_was():
    """
    The joined rows are grouped and counted as they come; to keep them would take as much memory as the whole list.
    """
    with Warehouse(make_url("duckdb:///:memory:"), "audience_sync") as warehouse:
        made = empty(warehouse)
        written(
            made, made.warehouse.table("ledger_team__webhook"), [(1, "a@x", "L", True, 1, NOW.isoformat(), "a@x", 1)]
        )
        known = Control(rule=TERMS.rule)
        changes = compare.changes(warehouse, TERMS, QUERY, warehouse.described(QUERY), known, NOW)
        [(_, told)] = warehouse.run(f"explain (analyze, format json) {changes.select()}")

    [k] = [each for each in operators(json.loads(told)) if each["extra_info"].get("CTE Name") == "k"]
    assert k["extra_info"]["Execution Mode"] == "STREAMING_FANOUT"


def operators(told):
    """All that a statement did, as the engine tells it."""
    for each in [*told.get("operator", []), *told.get("children", [])]:
        yield each
        yield from operators(each)
