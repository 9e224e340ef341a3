"""Bringing the ledger up to what became of an outbox: each rule, and each statement twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from sqlalchemy import event

from audiences import control, outbox, ranges, tables
from audiences.batch import Verdict
from audiences.compare import moment
from audiences.errors import WarehouseError
from audiences.identity import Form
from audiences.ledger import Settlement
from audiences.terms import Terms
from audiences.verdicts import Found
from engines import HOLDERS

NAME, TABLE = "team.webhook", "team__webhook"
TERMS = Terms(TABLE, ("id",), {"email": "email", "nps": "nps"}, {"email": Form.CASELESS}, "L")
MARCH = datetime(2026, 3, 1, tzinfo=UTC).replace(tzinfo=None)


def types(warehouse, row="1 as id, 'a@x' as email, 1 as nps"):
    """The types of such a row, as the engine names them."""
    return warehouse.described(f"select {row}")


class Books:
    """A sync's tables in a warehouse of their own, and one outbox after the other to settle."""

    def __init__(self, warehouse):
        self.warehouse, self.fence, self.hour = warehouse, None, 0
        control.create(warehouse, NAME, TABLE)
        tables.create(warehouse, TERMS, types(warehouse))

    def holds(self, *claims):
        """Let the ledger hold these: (key, address, score, sure), on the list L unless a fifth value says otherwise."""
        for key, email, nps, sure, *elsewhere in claims:
            self.warehouse.run(
                f"insert into {self.table('ledger')}"
                f" values ({key}, '{email}', '{(*elsewhere, 'L')[0]}', {sure}, 0, '2026-01-01', '{email}', {nps})"
            )

    def outbox(self, *rows):
        """Publish the next outbox: (verb, key, address, score) each."""
        epoch = (self.fence.epoch if self.fence else 0) + 1
        self.fence = control.take(self.warehouse, NAME, TABLE, epoch - 1, epoch, "worker")
        values = ", ".join(
            f"({n}, '{verb}', {key}, '{email}', '{(*elsewhere, 'L')[0]}', true, false, '{email}', {nps})"
            for n, (verb, key, email, nps, *elsewhere) in enumerate(rows)
        )
        made, held = outbox.table(self.fence, epoch), self.warehouse.columns(f"ledger_{TABLE}")
        self.warehouse.run(
            f'create table {made} (seq bigint, verb varchar, "key" {held["key"]}, ident varchar, list varchar,'
            f" had boolean, again boolean, sent_email {held['sent_email']}, sent_nps {held['sent_nps']})"
        )
        self.warehouse.run(f"insert into {made} values {values}")
        self.fence.update("outbox = :outbox, mark = 0", outbox=epoch)

    def settlement(self, outbox=None, judged=""):
        now = moment(MARCH + timedelta(hours=self.hour))
        return Settlement(self.fence, outbox or self.fence.epoch, ['"sent_email"', '"sent_nps"'], now, judged)

    def keeps(self, kind, own):
        """Let rows wait beside the ledger: `unknown` what became of them, or `pending` a verdict."""
        tables.beside(self.warehouse, kind, TABLE, own)

    def said(self, outbox, *places, delivered):
        """Someone says what became of these rows in doubt."""
        rows = f"(select * from {self.table('unknown')} where outbox = {outbox})"
        self.settlement(outbox, rows).resolved(places, delivered)

    def waiting(self, kind):
        """The rows that wait: number of the outbox, and place."""
        rows = self.warehouse.run(f"select outbox, seq from {self.table(kind)}")
        assert len(set(rows)) == len(rows)
        return set(rows)

    def settled(self, mark=99, **verdicts):
        """Acknowledge twice, as a run that repeats itself does, and settle the whole; verdicts: ok=[(0, 3)]."""
        found = Found(mark, {Verdict(name): tuple(spans) for name, spans in verdicts.items()})
        self.settlement().acknowledged(found)
        once = self.claims(), self.refused()
        self.settlement().acknowledged(found)
        assert (self.claims(), self.refused()) == once
        self.settlement().whole(found)

    def table(self, kind):
        return self.warehouse.table(f"{kind}_{TABLE}")

    def doubted(self):
        """The claims in doubt, and since when."""
        return set(self.warehouse.run(f'select "key", "at" from {self.table("ledger")} where not sure'))

    def claims(self):
        rows = self.warehouse.run(f'select "key", ident, sent_nps, sure from {self.table("ledger")}')
        assert len(set(rows)) == len(rows)
        return {(int(key), ident, nps, bool(sure)) for key, ident, nps, sure in rows}

    def refused(self):
        """key -> attempts, and in how many hours it is tried again."""
        rows = self.warehouse.run(f'select "key", attempts, retry_at, "at" from {self.table("refused")}')
        assert len({row[0] for row in rows}) == len(rows)
        return {int(key): (attempts, (due - at) / timedelta(hours=1)) for key, attempts, due, at in rows}


@pytest.fixture
def books(holder):
    with holder.warehouse(holder.alone()) as warehouse:
        yield Books(warehouse)


def test_what_is_acknowledged(books):
    """
    Upserts become sure claims, also over an older one; removals and moves take every claim of their identifier off,
    whoever holds it; a release takes one.
    """
    books.holds(
        *((1, "a@x", 1, True), (2, "m@x", 1, True), (3, "m@x", 1, False), (4, "r@x", 1, True), (5, "r@x", 1, True)),
        *((7, "l@x", 1, True), (8, "l@x", 1, False)),
    )
    books.outbox(
        *(("release", 4, "r@x", 1), ("move", 2, "m@x", 1), ("upsert", 1, "a@x", 9), ("upsert", 6, "n@x", 1)),
        ("remove", 7, "l@x", 1),
    )
    books.settled(mark=5, ok=[(0, 4)])

    assert books.claims() == {(1, "a@x", 9, True), (5, "r@x", 1, True), (6, "n@x", 1, True)}


def test_one_settlement_applies_a_row_once(books):
    """
    At each checkpoint it is told of all that is acknowledged so far, and takes what has come since the last.
    """
    books.outbox(*(("upsert", key, f"p{key}@x", key) for key in range(4)))
    settlement = books.settlement()
    settlement.acknowledged(Found(4, {Verdict.OK: ((0, 0), (2, 2))}))
    books.warehouse.run(f"update {books.table('ledger')} set sent_nps = 9")
    settlement.acknowledged(Found(4, {Verdict.OK: ((0, 3),)}))

    assert {(key, nps) for key, _, nps, _ in books.claims()} == {(0, 9), (1, 1), (2, 9), (3, 3)}


def test_a_first_load_looks_for_nothing_to_replace(books):
    """
    It writes claims where there were none, a chunk after the other; to look through those that it has just written
    takes as long as to write them.
    """
    said = []
    event.listen(books.warehouse.engine, "before_cursor_execute", lambda *words: said.append(words[2]))
    books.outbox(*(("upsert", key, f"p{key}@x", key) for key in range(4)))
    first = replace(books.settlement(), leaves=False, first=True)
    first.acknowledged(Found(2, {Verdict.OK: ((0, 1),)}))
    first.whole(Found(4, {Verdict.OK: ((0, 3),)}))

    assert {key for key, *_ in books.claims()} == {0, 1, 2, 3}
    assert not [each for each in said if "delete" in each.lower() and f"ledger_{TABLE}" in each]


@pytest.mark.parametrize("ok", [[(0, 0)], [(0, 1)]])
def test_a_removal_that_is_refused_keeps_its_claim_whatever_its_key(books, ok, monkeypatch):
    """
    Of a member who changes list the old claim goes when its removal is acknowledged, and not with the new one; the new
    one stays, also where the removal is settled by a later transaction.
    """
    monkeypatch.setattr(ranges, "chunks", partial(ranges.chunks, rows=1))
    books.holds((1, "a@x", 1, True, "M"))
    books.outbox(("upsert", 1, "a@x", 2), ("remove", 1, "a@x", 1, "M"))
    replace(books.settlement(), keyed=2).whole(Found(2, {Verdict.OK: tuple(ok)}))

    assert {nps for _, _, nps, _ in books.claims()} == ({2} if ok == [(0, 1)] else {1, 2})


def test_an_identifier_of_another_list_is_another(books):
    """
    What happens on one list changes no claim on another.
    """
    books.holds((1, "a@x", 1, True, "M"), (2, "b@x", 2, True, "M"))
    books.outbox(("remove", 1, "a@x", 1), ("upsert", 2, "b@x", 9))
    books.settled(mark=2, ok=[(0, 1)])

    assert books.claims() == {(1, "a@x", 1, True), (2, "b@x", 2, True), (2, "b@x", 9, True)}


def test_what_had_no_answer(books):
    """
    Below the mark and without a verdict: claims are no longer sure, an upsert without a claim gets one in doubt; a
    release changes nothing, and what is above the mark was never sent.
    """
    books.holds((1, "a@x", 1, True), (2, "b@x", 2, True), (4, "r@x", 1, True), (6, "m@x", 6, True))
    books.outbox(
        *(("release", 4, "r@x", 1), ("move", 6, "m@x", 6), ("upsert", 1, "a@x", 9), ("upsert", 3, "n@x", 1)),
        *(("remove", 2, "b@x", 2), ("upsert", 5, "later@x", 1)),
    )
    books.settled(mark=5)

    sure = {claim for claim in books.claims() if claim[-1]}
    assert sure == {(4, "r@x", 1, True)}
    assert books.claims() - sure == {
        (1, "a@x", 1, False),
        (2, "b@x", 2, False),
        (3, "n@x", 1, False),
        (6, "m@x", 6, False),
    }


def test_a_doubt_is_nothing_new_where_the_ledger_holds_the_very_same(books):
    """
    After a lost state, what had been settled before is not put in doubt again, NULL or not.
    """
    books.outbox(("upsert", 1, "a@x", 1), ("upsert", 3, "c@x", "null"), ("upsert", 2, "b@x", 2))
    books.settlement().acknowledged(Found(2, {Verdict.OK: ((0, 1),)}))
    books.settlement().whole(Found(3))

    assert books.claims() == {(1, "a@x", 1, True), (3, "c@x", None, True), (2, "b@x", 2, False)}


@pytest.mark.parametrize("settle", ["acknowledged", "_doubted"])
def test_every_statement_again(books, settle):
    """
    Settling again, later, changes nothing: no claim and since when it is in doubt, no attempt, nothing that waits.
    """
    books.keeps("unknown", "had boolean")
    books.holds((1, "a@x", 1, True), (2, "b@x", 2, True))
    books.outbox(("move", 2, "b@x", 2), ("upsert", 1, "a@x", 9), ("upsert", 3, "c@x", 3), ("upsert", 4, "d@x", 4))
    found = Found(4, {Verdict.OK: ((0, 1),), Verdict.REFUSED: ((2, 2),)})
    results = []
    for books.hour in range(3):
        settlement = books.settlement()
        if settle == "acknowledged":
            settlement.acknowledged(found)
        else:
            settlement._doubted(settlement._rows([(0, 3)]))
        results.append((books.claims(), books.doubted(), books.refused(), books.waiting("unknown")))

    assert results[0] == results[1] == results[2]


def test_a_settlement_over_many_ranges(books):
    """
    More ranges than one statement carries are all settled.
    """
    books.outbox(*(("upsert", n, f"p{n}@x", n) for n in range(1020)))
    odd = tuple((n, n) for n in range(1, 1020, 2))
    books.settled(mark=1020, ok=odd)

    assert {key for key, *_, sure in books.claims() if sure} == set(range(1, 1020, 2))
    assert {key for key, *_, sure in books.claims() if not sure} == set(range(0, 1020, 2))


def test_a_refused_update_keeps_its_claim(books):
    """
    Whoever was on the list before a refusal still is, and the ledger knows it.
    """
    books.holds((1, "a@x", 1, True))
    books.outbox(("upsert", 1, "a@x", 9), ("upsert", 2, "b@x", 2))
    books.settled(mark=2, refused=[(0, 1)])

    assert books.claims() == {(1, "a@x", 1, True)}
    assert books.refused() == {1: (1, 1), 2: (1, 1)}


def test_a_refusal_in_doubt_is_both(books):
    """
    Refused after an attempt without an answer: a claim in doubt, and a refusal.
    """
    books.outbox(("upsert", 1, "a@x", 9))
    books.settled(mark=1, doubt=[(0, 0)])

    assert books.claims() == {(1, "a@x", 9, False)}
    assert books.refused() == {1: (1, 1)}


def test_a_refused_removal_is_no_refused_member(books):
    """
    Whom the provider keeps stays listed; the next comparison plans the removal again.
    """
    books.holds((1, "a@x", 1, True))
    books.outbox(("remove", 1, "a@x", 1))
    books.settled(mark=1, refused=[(0, 0)])

    assert (books.claims(), books.refused()) == ({(1, "a@x", 1, True)}, {})


@pytest.mark.parametrize("nps", [9, "null"])
def test_who_is_refused_again_waits_longer(books, nps):
    """
    1, 4, 16, 64 hours, then once a week; an attempt counts once an outbox, and NULL is the same as NULL.
    """
    waits = []
    for _ in range(7):
        books.hour += 1
        books.outbox(("upsert", 1, "a@x", nps))
        books.settled(mark=1, refused=[(0, 0)])
        waits.append(books.refused()[1])

    assert waits == [(1, 1), (2, 4), (3, 16), (4, 64), (5, 168), (6, 168), (7, 168)]


@pytest.mark.parametrize(
    "changed",
    [("upsert", 1, "a@x", 8), ("upsert", 1, "new@x", 9), ("upsert", 1, "a@x", 9, "M"), ("upsert", 1, "a@x", "null")],
)
def test_other_data_start_anew(books, changed):
    """
    A member refused with other data, another address or on another list counts from one.
    """
    for row in (("upsert", 1, "a@x", 9), ("upsert", 1, "a@x", 9), changed):
        books.outbox(row)
        books.settled(mark=1, refused=[(0, 0)])

    assert books.refused() == {1: (1, 1)}


def test_who_is_accepted_is_refused_no_longer(books):
    """
    An acknowledged upsert forgets the refusal, whatever the data were.
    """
    books.outbox(("upsert", 1, "a@x", 9), ("upsert", 2, "b@x", 9))
    books.settled(mark=2, refused=[(0, 1)])
    books.outbox(("upsert", 1, "new@x", 1))
    books.settled(mark=1, ok=[(0, 0)])

    assert books.refused() == {2: (1, 1)}


def test_who_is_released_is_refused_no_longer(books):
    """
    A release forgets the refusal of this identifier on this list, and no other.
    """
    books.outbox(("upsert", 1, "a@x", 9), ("upsert", 2, "a@x", 9), ("upsert", 3, "c@x", 9), ("upsert", 4, "d@x", 9))
    books.settled(mark=4, refused=[(0, 3)])
    books.outbox(("release", 1, "a@x", 9), ("release", 3, "c2@x", 9), ("release", 4, "d@x", 9, "M"))
    books.settled(mark=3, ok=[(0, 2)])

    assert set(books.refused()) == {2, 3, 4}


def test_what_is_said_of_one_doubt_is_said_of_no_other(books):
    """
    Of two outboxes with two doubts each, one row of each is settled: three stay in doubt, then two, with their claims.
    """
    books.keeps("unknown", "had boolean")
    for first in (1, 3):
        books.outbox(("upsert", first, f"p{first}@x", 1), ("upsert", first + 1, f"p{first + 1}@x", 1))
        books.settled(mark=2)
    books.said(1, 0, delivered=True)

    assert books.waiting("unknown") == {(1, 1), (2, 0), (2, 1)}
    assert {key for key, *_, sure in books.claims() if sure} == {1}

    books.said(2, 1, delivered=False)
    assert books.waiting("unknown") == {(1, 1), (2, 0)}
    assert {(key, sure) for key, *_, sure in books.claims()} == {(1, True), (2, False), (3, False)}


def test_what_was_not_delivered_is_as_it_was_before(books):
    """
    A removal gives its identifier back to all who claimed it, an upsert to its own member; what another row, another
    outbox or another list put in doubt stays in doubt, and a claim that was acknowledged since stays.
    """
    books.keeps("unknown", "had boolean")
    books.holds((1, "a@x", 1, True), (2, "a@x", 1, True), (3, "b@x", 1, True), (4, "b@x", 1, True))
    books.holds((5, "a@x", 1, False), (6, "a@x", 1, False, "M"), (7, "b@x", 1, False))
    books.outbox(("remove", 1, "a@x", 1), ("upsert", 3, "b@x", 9), ("upsert", 4, "b@x", 9), ("upsert", 8, "n@x", 9))
    books.settled(mark=4)
    before = books.claims()
    books.said(1, 0, 1, delivered=False)

    assert {key for key, *_, sure in before if not sure} == {1, 2, 3, 4, 5, 6, 7, 8}
    assert books.claims() == {(*claim[:3], claim[0] < 4) for claim in before}


def test_a_new_claim_that_was_not_delivered_goes(books):
    """
    Only that one: not a claim of the same member elsewhere, and not one that was acknowledged since.
    """
    books.keeps("unknown", "had boolean")
    books.holds((1, "a@x", 1, False, "M"), (1, "old@x", 1, False))
    for row in (("upsert", 1, "a@x", 9), ("upsert", 2, "b@x", 9)):
        books.outbox(row)
        books.settled(mark=1)
    books.outbox(("upsert", 2, "b@x", 9))
    books.settled(mark=1, ok=[(0, 0)])
    books.said(1, 0, delivered=False)
    books.said(2, 0, delivered=False)

    assert books.claims() == {(1, "a@x", 1, False), (1, "old@x", 1, False), (2, "b@x", 9, True)}


def test_more_tickets_than_one_statement_carries(books):
    """
    Every row that was taken in waits once, however many tickets there are, and also when it is written down again.
    """
    books.keeps("pending", "ticket varchar")
    books.outbox(*(("upsert", n, f"p{n}@x", n) for n in range(520)))
    found = Found(520, {}, {f"job {n}": ((n, n),) for n in range(520)})
    for _ in range(2):
        books.settlement().acknowledged(found)

    rows = books.warehouse.run(f'select ticket, seq, "key" from {books.table("pending")}')
    found = sorted((seq, ticket, int(key)) for ticket, seq, key in rows)
    assert found == [(n, f"job {n}", n) for n in range(520)]
    assert books.claims() == set()


def test_a_doubt_that_has_a_ticket_waits_for_its_verdict(books):
    """
    What waits with a ticket of this outbox is not put in doubt; the same place of another outbox is.
    """
    books.keeps("pending", "ticket varchar")
    for first in (1, 3):
        books.outbox(("upsert", first, f"p{first}@x", 1), ("upsert", first + 1, f"p{first + 1}@x", 1))
        books.settlement().acknowledged(Found(2, {}, {"job": ((0, 0),)} if first == 1 else {}))
        books.settlement().whole(Found(2))

    assert books.waiting("pending") == {(1, 0)}
    assert {(key, sure) for key, *_, sure in books.claims()} == {(2, False), (3, False), (4, False)}


KEPT = {"sqlite": {"1": "7", "2": "b@x"}, "mariadb": {"1": None, "2": None}}  # any value fits; none is cast


def test_a_ledger_only_gains_columns(books, holder):
    """
    A new field gets a column, a field no longer sent keeps its own, a changed type is cast, and what cannot be is lost.
    """
    books.holds((1, "7", 1, True), (2, "b@x", 2, True))
    before = books.warehouse.columns(f"ledger_{TABLE}")
    changed = Terms(TABLE, ("id",), {"email": "email", "plan": "plan"}, {"email": Form.CASELESS}, "L")
    now = types(books.warehouse, "'a' as id, 1 as email, 'a' as plan")
    tables.create(books.warehouse, changed, now)
    sent = {"sent_email": now["email"], "sent_plan": now["plan"]}

    _, key = books.warehouse.words.key(("id",), now)
    assert books.warehouse.columns(f"ledger_{TABLE}") == {**before, "key": key, **sent}
    kept = {
        key: (email, plan)
        for key, email, plan in books.warehouse.run(f'select "key", sent_email, sent_plan from {books.table("ledger")}')
    }
    assert kept == {key: (email, None) for key, email in KEPT.get(holder.name, {"1": 7, "2": None}).items()}


@pytest.mark.parametrize("holder", [name for name in HOLDERS if name != "sqlite"], indirect=True)  # keys are text there
def test_a_key_that_cannot_be_read_as_its_new_type(books):
    """
    A ledger whose keys cannot be what they are to be now is left as it is, and the error shows none of them.
    """
    tables.create(books.warehouse, TERMS, types(books.warehouse, "'a' as id, 'a@x' as email, 1 as nps"))
    books.warehouse.run(f"insert into {books.table('ledger')} (\"key\") values ('ada')")

    with pytest.raises(WarehouseError) as refused:
        tables.create(books.warehouse, TERMS, types(books.warehouse))
    assert "ada" not in str(refused.value)
    assert [*books.warehouse.run(f'select "key" from {books.table("ledger")}')] == [("ada",)]
