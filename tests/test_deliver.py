"""An outbox on its way: phases, batches, flights, and what is written down before and after each."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

import httpx
import pytest
import structlog

from audiences import Connector, Limits, Member, Receipt
from audiences.batch import Phase, Rows, Verdict
from audiences.deliver import Delivery
from audiences.errors import CredentialsRefused, LeaseLost, Unanswered
from audiences.send import FEWEST


@dataclass
class Notes:
    """A book on paper: an outbox in a list, and one line for all that happens, in order."""

    outbox: list[tuple[str, str]]  # verb, identifier
    lines: list[tuple] = field(default_factory=list)
    when: set[int] = field(default_factory=set)  # how many intents were written when a checkpoint is due
    again: bool = False

    def phases(self):
        verbs = list(dict.fromkeys(verb for verb, _ in self.outbox))
        spans = [[seq for seq, (other, _) in enumerate(self.outbox) if other == verb] for verb in verbs]
        return [Phase(verb, self.again, span[0], span[-1]) for verb, span in zip(verbs, spans, strict=True)]

    def windows(self, phase, size, failed):
        step = max(size, 4000)
        for lo in range(phase.lo, phase.hi + 1, step):
            yield self.rows(phase, lo, min(lo + step - 1, phase.hi), failed)

    def rows(self, phase, lo, hi, failed):
        self.lines.append(("read", phase.verb, lo, hi, tuple(failed)))
        held = [seq for seq in range(lo, hi + 1) if self.outbox[seq][1] == "held"]
        seqs = [seq for seq in range(lo, hi + 1) if seq not in held]
        members = [Member(f"k{seq}", {"n": seq}, seq) for seq in seqs]
        return Rows(members, [self.outbox[seq][1] for seq in seqs], ["L"] * len(seqs), held)

    def intend(self, end, done):
        self.record(done)
        self.lines.append(("intend", end))

    def record(self, done):
        self.lines += [
            ("record", verdict, *span) for sent in done for verdict, found in sent.found.items() for span in found
        ]

    def due(self):
        return sum(line[0] == "intend" for line in self.lines) in self.when

    def checkpoint(self):
        self.lines.append(("checkpoint",))

    def recorded(self, verdict=Verdict.OK):
        return sorted(n for line in self.lines if line[:2] == ("record", verdict) for n in range(line[2], line[3] + 1))


def book(*verbs, **more):
    """An outbox with these verbs; a verb may name its identifier: `upsert:a`."""
    rows = []
    for seq, each in enumerate(verbs):
        verb, _, name = each.partition(":")
        rows.append((verb, name or f"p{seq}"))
    return Notes(rows, **more)


def connector(notes, answer=lambda verb, members: None, batch=2, concurrency=1):
    """A connector that notes each call, and answers with `answer`'s receipt or else accepts everyone."""

    class Noting(Connector):
        limits = Limits(batch, concurrency)

        @classmethod
        def reach(cls, settings):
            return {}

        def upsert(self, list_id, members):
            return self._told("upsert", members)

        def remove(self, list_id, members):
            return self._told("remove", members)

        def _told(self, verb, members):
            notes.lines.append(("call", verb, members[0].seq, members[-1].seq))
            receipt = answer(verb, members)
            notes.lines.append(("answer", verb, members[0].seq, members[-1].seq))
            return receipt or Receipt.of(members)

    return Noting(None, None, httpx.Client())


def delivered(notes, answer=lambda verb, members: None, batch=2, concurrency=1, **more):
    found = Delivery(notes, connector(notes, answer, batch, concurrency), **more)
    found.run()
    return found


def test_each_phase_ends_before_the_next():
    """
    Releases need no call; moves are answered and written down before the first upsert, those before removals.
    """
    notes = book("release", "move", "move", "move", "upsert", "upsert", "upsert", "remove")
    delivered(notes, concurrency=4)

    calls = [line for line in notes.lines if line[0] in ("call", "answer")]
    verbs = ["remove"] * 4 + ["upsert"] * 4 + ["remove"] * 2
    assert [line[1] for line in calls] == verbs
    first_upsert = notes.lines.index(("call", "upsert", 4, 5))
    written = [line[2:] for line in notes.lines[:first_upsert] if line[0] == "record"]
    assert sorted(n for lo, hi in written for n in range(lo, hi + 1)) == [0, 1, 2, 3]
    assert notes.recorded() == list(range(8))


def test_a_batch_is_intended_before_it_is_sent():
    """
    How far a batch goes is written down before its call, and never further than the batches in flight.
    """
    notes = book(*["upsert"] * 5)
    delivered(notes)

    told = [line for line in notes.lines if line[0] in ("intend", "call", "record")]
    assert told == [
        ("intend", 2),
        ("call", "upsert", 0, 1),
        ("record", Verdict.OK, 0, 1),
        ("intend", 4),
        ("call", "upsert", 2, 3),
        ("record", Verdict.OK, 2, 3),
        ("intend", 5),
        ("call", "upsert", 4, 4),
        ("record", Verdict.OK, 4, 4),
    ]


@pytest.mark.parametrize("concurrency", [4, 5])
def test_as_many_calls_in_flight_as_the_provider_allows(concurrency):
    """
    So many calls wait for each other at the far end: they are there together, and never one more.
    """
    together, now, most = threading.Barrier(concurrency, timeout=10), Counter(), []

    def answer(verb, members):
        now["here"] += 1
        most.append(now["here"])
        together.wait()
        now["here"] -= 1

    notes = book(*["upsert"] * 8 * concurrency)
    delivered(notes, answer, concurrency=concurrency)

    assert max(most) == concurrency
    assert notes.recorded() == list(range(8 * concurrency))


def test_a_call_that_ends_is_followed_at_once():
    """
    Of four calls under way one is answered: the next one begins while the other three are still waiting.
    """
    fifth, waited = threading.Event(), []

    def answer(verb, members):
        if members[0].seq in (2, 4, 6):
            waited.append(fifth.wait(10))
        if members[0].seq == 8:
            fifth.set()

    delivered(book(*["upsert"] * 12), answer, concurrency=4)

    assert waited == [True, True, True]


def test_a_slow_call_holds_nobody_up():
    """
    While one call has no answer yet, all that does not depend on it is sent.
    """
    last, waited = threading.Event(), []

    def answer(verb, members):
        if members[0].seq == 0:
            waited.append(last.wait(10))
        if members[0].seq == 10:
            last.set()

    delivered(book(*["upsert"] * 12), answer, concurrency=2)

    assert waited == [True]


def test_no_two_batches_in_flight_name_one_identifier():
    """
    A batch that names someone who is in flight waits for that call.
    """
    names = ["a", "b", "c", "d", "b", "e", "f", "a"]
    notes = book(*(f"upsert:{name}" for name in names))
    aloft, clashes = [], []

    def answer(verb, members):
        mine = {names[member.seq] for member in members}
        clashes.extend(each for each in aloft if each & mine)
        aloft.append(mine)
        threading.Event().wait(0.02)
        aloft.remove(mine)

    delivered(notes, answer, concurrency=4)

    assert clashes == []
    assert notes.recorded() == list(range(8))


def test_a_stop_between_two_batches():
    """
    Asked to stop, the worker begins no new batch, waits for what is in flight, and writes it down.
    """
    notes = book(*["upsert"] * 10)
    asked = iter([False, True])
    found = delivered(notes, concurrency=2, stop=lambda: next(asked, True))

    assert (found.stopped, found.error) == (True, None)
    assert notes.recorded() == [0, 1, 2, 3]
    assert [line for line in notes.lines if line[0] == "call"] == [("call", "upsert", 0, 1), ("call", "upsert", 2, 3)]


def test_an_error_ends_the_delivery():
    """
    Refused credentials: what was accepted and what was not applied is written down, and no further batch is sent.
    """

    def answer(verb, members):
        if members[0].seq == 2:
            raise CredentialsRefused("401", do="mend them")

    notes = book(*["upsert"] * 8, "remove")
    found = delivered(notes, answer)

    assert isinstance(found.error, CredentialsRefused)
    assert (notes.recorded(), notes.recorded(Verdict.NO)) == ([0, 1], [2, 3])
    assert sum(line[0] == "call" for line in notes.lines) == 2


def test_a_delivery_that_breaks_off_reads_no_further():
    """
    What it reads from is let go at once, not when the collector comes: a connection hangs on it.
    """
    ended = []

    class Reading(Notes):
        def windows(self, phase, size, failed):
            try:
                yield from super().windows(phase, size, failed)
            finally:
                ended.append(phase.verb)

        def intend(self, end, done):
            raise LeaseLost("taken over", do="nothing")

    notes = Reading([("upsert", f"p{n}") for n in range(9)])
    with pytest.raises(LeaseLost) as error:
        delivered(notes)

    assert ended == ["upsert"]
    assert error  # which holds on to all that it came through


def test_nothing_is_read_after_an_error():
    """
    What would not be sent is not fetched from the warehouse either.
    """

    def answer(verb, members):
        raise CredentialsRefused("401", do="mend them")

    notes = book(*["upsert"] * 9000, "remove")
    delivered(notes, answer, batch=5000)

    assert [line[1:4] for line in notes.lines if line[0] == "read"] == [("upsert", 0, 4999)]


def test_an_error_that_comes_to_light_at_a_checkpoint_ends_the_delivery():
    """
    Where the calls waited for before a checkpoint bring an error, nothing is sent after them.
    """
    held = threading.Event()

    def answer(verb, members):
        if members[0].seq == 0:
            held.wait(0.05)
            raise Unanswered("gone", do="run again")

    notes = book(*["upsert"] * 16, when={1})
    found = delivered(notes, answer, concurrency=4)

    assert isinstance(found.error, Unanswered)
    assert sorted(line[2:] for line in notes.lines if line[0] == "call") == [(0, 1), (2, 3), (4, 5), (6, 7)]


@pytest.mark.parametrize("concurrency", [1, 2, 4, 5])
def test_no_more_batches_are_in_doubt_than_may_be_in_flight(concurrency):
    """
    At no moment more batches are begun and without a verdict than the provider allows calls, also where one commit
    writes down as many.
    """
    notes = book(*["upsert"] * 40)
    delivered(notes, concurrency=concurrency)

    begun, done, most, together = 0, 0, 0, []
    for line in notes.lines:
        if line[0] == "intend":
            together.append(line[1] - begun)
            begun = line[1]
        done += line[3] - line[2] + 1 if line[0] == "record" else 0
        most = max(most, begun - done)
    assert done == 40
    assert most <= 2 * concurrency
    assert max(together) == 2 * concurrency


def test_calls_that_end_during_one_commit_are_followed_in_one():
    """
    Where calls are quicker than a commit, two commits speak of as many batches as may be in flight, or of more.
    """

    class Slow(Notes):
        def intend(self, end, done):
            super().intend(end, done)
            while delivery.ended.qsize() < len(delivery.flying):
                threading.Event().wait(0.001)

    notes = Slow([("upsert", f"p{n}") for n in range(40)])
    delivery = Delivery(notes, connector(notes, concurrency=4))
    delivery.run()

    ends = [0, *(line[1] for line in notes.lines if line[0] == "intend")]
    assert ends[-1] == 40
    assert all(later - earlier >= 8 for earlier, later in zip(ends, ends[2:-1], strict=False))


@pytest.mark.parametrize(
    ("batch", "again", "intents"),
    [(FEWEST, False, [10, 50]), (FEWEST - 1, False, [36, 50]), (FEWEST, True, [40, 50])],
)
def test_the_first_batch_of_a_phase_goes_alone(batch, again, intents):
    """
    It could bring a fault of set-up to light; but not a small one, nor one of members who were refused before.
    """
    notes = book(*["upsert"] * 50, again=again)
    delivered(notes, batch=batch, concurrency=4)

    assert [line[1] for line in notes.lines if line[0] == "intend"] == intents


def test_the_first_batch_is_answered_before_another_is_begun():
    """
    Where every member is refused, no more calls are spent than this one batch needs to tell.
    """
    notes = book(*["upsert"] * 50)
    delivered(notes, lambda verb, members: threading.Event().wait(0.02) and None, batch=10, concurrency=4)

    assert [line[:3] for line in notes.lines[1:4]] == [("intend", 10), ("call", "upsert", 0), ("answer", "upsert", 0)]


def test_the_log_says_what_became_of_a_batch():
    """
    One event a batch: its verb, how many members and calls, and how many rows have which verdict.
    """
    notes = book(*["upsert"] * 6)
    with structlog.testing.capture_logs() as events:
        delivered(notes, lambda verb, members: Receipt.of(members, {"k1": "no", "k2": "no"}), batch=6)

    same = {"event": "batch.sent", "log_level": "info", "verb": "upsert", "members": 6, "calls": 1}
    assert events == [{**same, "ok": 4, "refused": 2}]


def test_the_log_does_not_tell_every_batch_that_all_is_well_with():
    """
    Each hundredth is told at the usual level, so that one sees it go on, and each that not everyone was accepted of.
    """
    notes = book(*["upsert"] * 250)
    with structlog.testing.capture_logs() as events:
        delivered(
            notes, lambda verb, members: Receipt.of(members, {"k7": "no"} if members[0].key == "k7" else {}), batch=1
        )

    told = [number for number, event in enumerate(events) if event["log_level"] == "info"]
    assert told == [0, 7, 100, 200]
    assert {event["log_level"] for event in events} == {"info", "debug"}


def test_a_batch_that_waits_for_another_is_not_sent_after_its_error():
    """
    Two batches of one commit name the same identifier; the first goes unanswered: the second was not sent, and that
    is written down.
    """

    def answer(verb, members):
        raise Unanswered("gone", do="run again")

    notes = book("upsert:a", "upsert:a")
    found = delivered(notes, answer, batch=1, concurrency=4)

    assert isinstance(found.error, Unanswered)
    assert [line[2:] for line in notes.lines if line[0] == "call"] == [(0, 0)]
    assert notes.recorded(Verdict.NO) == [1]


def test_a_checkpoint_finds_nothing_in_flight():
    """
    At a checkpoint every call has been answered and written down.
    """
    notes = book(*["upsert"] * 40, when={2, 4})
    delivered(notes, concurrency=3)

    at = [number for number, line in enumerate(notes.lines) if line == ("checkpoint",)]
    assert len(at) == 2
    for number in at:
        before = Counter(line[0] for line in notes.lines[:number])
        assert before["call"] == before["answer"] == before["record"]


def test_upserts_learn_which_moves_failed():
    """
    A move that is refused, or in doubt, is named to whoever reads the upserts; who is held is written down as not sent.
    """

    def answer(verb, members):
        return Receipt.of(members, {"k1": "no"}) if verb == "remove" else None

    notes = book("move", "move", "upsert", "upsert:held", "upsert")
    delivered(notes, answer)

    assert [line[4] for line in notes.lines if line[0] == "read"] == [(), ((1, 1),)]
    assert notes.recorded(Verdict.NO) == [3]
    assert [line for line in notes.lines if line[0] == "call"][1:] == [("call", "upsert", 2, 4)]
