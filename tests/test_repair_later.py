"""A list made anew at a provider that judges later: whoever else is on it goes once every ticket is judged."""

from __future__ import annotations

from datetime import datetime

import httpx
import pytest

import jobs
from audiences.errors import Deferred, DeliveryError, Unanswered
from engines import either, on
from world import Killed

engine = either


CLEARS = """
    def replaced(self, list_id, began):
        self.http.post("/clear", json={"list": list_id, "before": began.isoformat()})
"""
PEOPLE = [(number, f"p{number}@x", number) for number in range(5)]
NAMES = {name for _, name, _ in PEOPLE}
STRANGER = {"email": "stranger@x", "nps": 0}


class Clearing(jobs.Provider):
    """A provider of jobs that can take off whoever was last added before a moment. now: the time, as it tells it"""

    def __init__(self, now):
        super().__init__()
        self.now, self.times, self.since, self.cleared, self.says = now, {}, {}, [], None

    def __call__(self, request):
        if request.url.path != "/clear":
            return super().__call__(request)
        if self.says:
            return self.says
        self.cleared.append(request)
        before = datetime.fromisoformat(httpx.Response(200, content=request.content).json()["before"])
        for name in [name for name, at in self.since.items() if at < before]:
            self.lists["L"].pop(name, None)
        return httpx.Response(200, json={})

    def _posted(self, told):
        answer = super()._posted(told)
        self.times[answer["job"]] = self.now()
        return answer

    def _apply(self, job, fails):
        super()._apply(job, fails)
        at = next(self.times[name] for name, each in self.jobs.items() if each is job)
        self.since |= {row["email"]: at for row in job["rows"] if row["email"] in self.lists["L"]}


@pytest.fixture
def slow(tmp_path, engine):
    """Three people on the list of a provider that judges later, and a stranger among them; an hour ago."""
    made = jobs.world(tmp_path, engine)
    made.receiver = Clearing(lambda: made.moment)
    (tmp_path / "connectors" / "jobs.py").write_text(jobs.CONNECTOR + CLEARS)
    made.people(*PEOPLE[:3])
    for _ in range(2):
        made.sync()
        made.receiver.works()
    made.receiver.lists["L"]["stranger@x"] = STRANGER
    made.receiver.since["stranger@x"] = made.moment
    made.later(hours=1)
    return made


def test_with_tickets_it_ends_once_all_are_judged(slow):
    """
    Nobody is taken off before every job is done; the run that hears the last verdict ends it, once, and others go on
    meanwhile.
    """
    slow.people(*PEOPLE[1:3])
    begun = slow.sync(replace=True)
    slow.people(*PEOPLE[1:4])
    slow.later(hours=1)
    waiting = slow.sync()
    before = slow.receiver.holds()
    slow.receiver.works()
    last = slow.sync(force=True)
    slow.receiver.works()
    after = slow.sync()

    assert (begun.outcome, begun.pending, begun.plan.removed, waiting.error, last.error) == (
        "accepted",
        2,
        1,
        None,
        None,
    )
    assert (before, len(slow.receiver.cleared)) == ({"p0@x", "p1@x", "p2@x", "stranger@x"}, 1)
    assert slow.receiver.holds() == {"p1@x", "p2@x", "p3@x"}
    assert (after.plan.changed, slow.ledger()) == (0, {(n, f"p{n}@x", True) for n in (1, 2, 3)})


@on("duckdb")
def test_a_lost_ticket_ends_it(slow):
    """
    Where what became of someone is lost, nobody is taken off, the run says so, and the next ones go on.
    """
    slow.sync(replace=True)
    slow.sql(
        "update audience_sync.ledger_team__jobs set sure = false, outbox = 3 where key = 1",
        "delete from audience_sync.pending_team__jobs where key = 1",
    )
    slow.receiver.works()
    told, after = slow.sync(), slow.sync()

    assert "the list was not made anew" in str(told.error)
    assert (after.error, slow.receiver.cleared) == (None, [])
    assert "stranger@x" in slow.receiver.holds()


@on("duckdb")
def test_a_lost_answer_ends_it(slow):
    """
    Whoever was sent by a call without an answer may have no job: nobody is taken off, and the run says so.
    """
    calls = []

    def after(request):
        calls.append(request)
        if len(calls) == 1:
            raise httpx.ReadTimeout("gone")

    slow.receiver.after = after
    told = slow.sync(replace=True)
    for _ in range(2):
        slow.receiver.works()
        slow.later(hours=7)
        assert slow.sync().error is None

    assert "some were sent without an answer" in told.error.what
    assert (slow.receiver.cleared, len(slow.ledger())) == ([], 3)


@on("duckdb")
@pytest.mark.parametrize(
    ("says", "kind", "times"),
    [(httpx.Response(422, text="no"), DeliveryError, 0), (httpx.Response(500), Unanswered, 1)],
)
def test_the_end_fails(slow, says, kind, times):
    """
    What is refused is given up, and said; what has no answer is asked again by the next run. Both leave the ledger.
    """
    slow.sync(replace=True)
    slow.receiver.works()
    slow.receiver.says = says
    failed = slow.sync()
    slow.receiver.says = None
    after = slow.sync()

    assert type(failed.error) is kind
    assert (after.error, len(slow.receiver.cleared), len(slow.ledger())) == (None, times, 3)


@on("duckdb")
def test_a_list_with_open_jobs_is_not_made_anew(slow):
    """
    An open job could undo it, so it is put off, and said.
    """
    slow.people(*PEOPLE[:4])
    slow.sync()

    assert isinstance(slow.sync(replace=True).error, Deferred)


@on("duckdb")
def test_killed_before_the_last_ticket_is_written_down(slow):
    """
    A run that is cut off while it sends never takes anybody off, whatever its jobs come to.
    """
    slow.people(*PEOPLE[:5])

    def after(request):
        if len(slow.receiver.jobs) == 4:
            raise Killed

    slow.receiver.after = after
    with pytest.raises(Killed):
        slow.sync(replace=True)
    slow.forget_lease()
    slow.receiver.after = lambda request: None
    for _ in range(3):
        slow.receiver.works()
        slow.later(hours=7)
        assert slow.sync(force=True).error is None

    assert slow.receiver.cleared == []
    assert slow.receiver.holds() == {*NAMES, "stranger@x"}
