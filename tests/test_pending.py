"""Batches that a provider takes in and judges later: until then neither delivered nor lost, and not overtaken."""

from __future__ import annotations

import sqlite3

import httpx
import pytest

import jobs
from audiences import control
from audiences.cli.forget import forget
from audiences.errors import DeliveryError, Unanswered
from audiences.ledger import Settlement
from audiences.verdicts import Found
from engines import either
from jobs import pending
from scale import times
from world import HEADER, Killed, Killer

engine = either


APART = times(45, 1, 9)  # of the steps at which a run is killed; `make thorough` tries every one
STEPS = {True: 95, False: 54}  # of the run that is killed, its jobs judged before it or not
ANNA, BEN, CLEO = (1, "anna@x", 7), (2, "ben@x", 8), (3, "cleo@x", 9)


@pytest.fixture
def world(tmp_path, engine):
    """Three people, and a provider that has taken them in."""
    made = jobs.world(tmp_path, engine)
    made.people(ANNA, BEN, CLEO)
    return made


@pytest.fixture
def listed(world):
    """The same, and its jobs are done and acknowledged."""
    world.sync()
    world.receiver.works()
    world.sync()
    return world


def test_taken_in_is_not_delivered(world):
    """
    Until its job is done a batch is neither delivered nor lost: it is counted as pending, is in no ledger, is not
    sent again, and the provider is asked for it in each run; a plan asks nobody.
    """
    first = world.sync()
    asked = list(world.receiver.asked)
    second = world.sync()
    planned = world.plan()

    assert (first.plan.added, first.delivered, first.pending, first.outcome) == (3, 0, 3, "accepted")
    assert (second.plan.changed, second.plan.pending, second.pending, second.outcome) == (0, 3, 3, "accepted")
    assert (asked, world.receiver.asked) == ([], ["job-1", "job-2"])
    assert (planned.changed, planned.pending) == (0, 3)
    assert world.receiver.sent == [("add", ["anna@x", "ben@x"]), ("add", ["cleo@x"])]
    assert world.ledger() == set()
    assert pending(world) == {("job-1", "upsert", 1), ("job-1", "upsert", 2), ("job-2", "upsert", 3)}


def test_a_job_that_succeeds(world):
    """
    Once it is done, its members are acknowledged as any others, and nothing waits any more.
    """
    world.sync()
    world.receiver.works()
    result = world.sync()

    assert (result.plan.changed, result.plan.listed, result.pending) == (0, 3, 0)
    assert (result.delivered, result.outcome) == (3, "delivered")
    assert world.ledger() == {(1, "anna@x", True), (2, "ben@x", True), (3, "cleo@x", True)}
    assert pending(world) == set()
    assert world.receiver.holds() == {"anna@x", "ben@x", "cleo@x"}


def test_a_job_that_fails_in_part(world):
    """
    Whom the job rejects is refused with its words, people masked, and counts as new; the others are acknowledged.
    """
    world.receiver.fails = {"ben@x": "ben@x has no consent"}
    world.sync()
    world.receiver.works()
    result = world.sync()

    assert (result.fresh, result.refused, result.plan.waiting) == (1, 1, 1)
    assert world.ledger() == {(1, "anna@x", True), (3, "cleo@x", True)}
    with sqlite3.connect(world.state_file) as state:
        assert state.execute("select reason from refusal").fetchall() == [("… has no consent",)]


def test_a_job_that_fails_late(listed):
    """
    Where the job of an update comes to nothing, hours later, the old claims stand as they were, and each is refused.
    """
    listed.people((1, "anna@x", 70), BEN, CLEO)
    listed.sync()
    listed.later(hours=5)
    listed.receiver.works(fails="the file could not be read")
    result = listed.sync()

    assert (result.fresh, result.pending, result.plan.waiting) == (1, 0, 1)
    assert listed.ledger() == {(1, "anna@x", True), (2, "ben@x", True), (3, "cleo@x", True)}
    assert listed.sql("select sent_nps from audience_sync.ledger_team__jobs where key = 1") == [(7,)]


def test_who_is_turned_away_at_once_does_not_wait(world):
    """
    An answer may reject some at once and take the others in.
    """
    world.receiver.turns_away = {"ben@x": "no such address"}
    result = world.sync()

    assert (result.refused, result.pending) == (1, 2)
    assert {key for _, _, key in pending(world)} == {1, 3}


def test_nothing_overtakes_an_open_job(world):
    """
    Who leaves, moves or changes while a job is open is sent nothing until it is judged; then all of it is made good.
    """
    world.sync()
    world.people((2, "benno@x", 8), (3, "cleo@x", 90))
    waiting = world.sync()
    before = list(world.receiver.sent)
    world.receiver.works()
    world.sync(force=True)
    world.receiver.works()
    world.sync(force=True)

    assert (waiting.plan.changed, before) == (0, [("add", ["anna@x", "ben@x"]), ("add", ["cleo@x"])])
    assert world.receiver.holds() == {"benno@x", "cleo@x"}
    assert world.ledger() == {(2, "benno@x", True), (3, "cleo@x", True)}


def test_another_key_with_the_address_waits_too(listed):
    """
    An address whose removal is open is not added for another member before that is judged.
    """
    listed.people(BEN, CLEO)
    listed.sync(force=True)
    listed.people(BEN, CLEO, (4, "Anna@x", 1))
    waiting = listed.sync()
    listed.receiver.works()
    listed.sync(force=True)
    listed.receiver.works()
    listed.sync()

    assert waiting.plan.changed == 0
    assert listed.receiver.holds() == {"ben@x", "cleo@x", "Anna@x"}


def test_a_removal_that_fails_is_planned_anew(listed):
    """
    A removal whose job fails changes nothing, marks nobody refused, is counted, and comes again.
    """
    listed.people(BEN, CLEO)
    listed.sync(force=True)
    listed.receiver.works(fails="try later")
    result = listed.sync(force=True)
    listed.receiver.works()
    listed.sync()

    assert (result.plan.removed, result.refused, result.fresh, result.stayed) == (1, 0, 0, 1)
    assert [verb for verb, rows in listed.receiver.sent if rows == ["anna@x"]] == ["drop", "drop"]
    assert listed.ledger() == {(2, "ben@x", True), (3, "cleo@x", True)}


def test_a_new_address_follows_an_old_one_that_was_taken_in(listed):
    """
    Once the removal of the old address is taken in, the new one may be sent: in one run, in this order.
    """
    listed.people((1, "ann@x", 7), BEN, CLEO)
    result = listed.sync()
    listed.receiver.works()
    last = listed.sync()

    assert (result.plan.updated, result.pending) == (1, 1)
    assert last.delivered == 1
    assert listed.receiver.sent[2:] == [("drop", ["anna@x"]), ("add", ["ann@x"])]
    assert listed.ledger() == {(1, "ann@x", True), (2, "ben@x", True), (3, "cleo@x", True)}


def test_a_ticket_outlives_the_state(world):
    """
    With the state database lost, the warehouse still knows which jobs are open.
    """
    world.sync()
    world.state_file.unlink()
    world.receiver.works()
    result = world.sync()

    assert (result.plan.changed, result.pending) == (0, 0)
    assert world.ledger() == {(1, "anna@x", True), (2, "ben@x", True), (3, "cleo@x", True)}


def test_a_lost_ticket_is_waited_for_as_long_as_a_job_lasts(world):
    """
    A batch whose answer was lost may have been taken in: it is sent again when no job of it can be open any more.
    """
    world.receiver.after = lose_first()
    with pytest.raises(Killed):
        world.sync()
    world.forget_lease()
    world.receiver.after = lambda told: None
    early = world.sync()
    world.later(hours=7)
    late = world.sync()

    assert {1, 2} <= {key for key, _, sure in world.ledger() if not sure}
    assert early.plan.pending >= 2
    assert [rows for _, rows in world.receiver.sent].count(["anna@x", "ben@x"]) == 2
    assert late.pending == 3


def test_a_doubt_that_is_sent_again_is_young_again(world):
    """
    Where the answer of the next try is lost as well, the batch waits once more for as long as a job lasts.
    """
    for _ in range(2):
        world.receiver.after = lose_first()
        with pytest.raises(Killed):
            world.sync()
        world.forget_lease()
        world.receiver.after = lambda told: None
        early = world.sync()

        assert (early.plan.updated, early.plan.pending) == (0, 3)
        world.later(hours=7)


def test_a_ticket_after_an_answer_that_was_lost(world):
    """
    The call whose answer was lost may have begun a job that nobody can ask for: the ticket of the next try is not
    enough, the batch is in doubt for as long as a job lasts.
    """
    calls = []

    def after(request):
        calls.append(request)
        if len(calls) == 1:
            raise httpx.ReadTimeout("gone")

    world.receiver.after = after
    first = world.sync()
    early = world.sync()
    world.later(hours=7)
    late = world.sync()

    assert [verb for verb, rows in world.receiver.sent if rows == ["anna@x", "ben@x"]] == ["add"] * 3
    assert (first.pending, early.plan.changed) == (1, 0)
    assert {key for ticket, _, key in pending(world)} >= {1, 2}
    assert late.plan.updated + late.plan.added == 2


def lose_first():
    """Kill the run when the first answer is on its way."""

    def after(request):
        raise Killed

    return after


def test_an_outcome_that_leaves_someone_out_is_none(world):
    """
    Silence is not success: nothing is settled by it, and the sync stops with the way out.
    """
    wrong = jobs.CONNECTOR.replace("return Receipt.of(members, {key", "return Receipt.of(members[:1], {key")
    (world.folder / "connectors" / "jobs.py").write_text(wrong)
    world.sync()
    world.receiver.works()
    result = world.sync()

    assert isinstance(result.error, Unanswered)
    assert world.ledger() == set()
    assert len(pending(world)) == 3


@pytest.mark.parametrize("ticket", ["7", '" "'], ids=["a number", "a blank"])
def test_a_ticket_that_is_no_name(world, ticket):
    """
    A ticket has to be text that the provider can be asked for: another leaves the batch in doubt, in words.
    """
    wrong = jobs.CONNECTOR.replace('ticket=said["job"]', f"ticket={ticket}")
    (world.folder / "connectors" / "jobs.py").write_text(wrong)
    result = world.sync()

    assert "a ticket is text" in result.error.what
    assert pending(world) == set()


def test_some_taken_in_is_no_fault_of_set_up(tmp_path):
    """
    A batch of which a part is taken in is not stopped as one that nobody of is accepted.
    """
    made = jobs.world(tmp_path)
    wide = jobs.CONNECTOR.replace("batch=2", "batch=16")
    stops = '        if "16" in {each.key for each in members}:\n            raise BatchRefused("no")\n'
    refuses = wide.replace("        rows = [", stops + "        rows = [")
    refuses = refuses.replace("import Connector", "import BatchRefused, Connector")
    (made.folder / "connectors" / "jobs.py").write_text(refuses)
    made.people(*((n, f"p{n}@x") for n in range(1, 17)))
    result = made.sync()

    assert result.error is None
    assert (result.pending, result.refused) == (15, 1)


def test_a_lost_state_after_a_checkpoint(world):
    """
    Rows that were copied beside the ledger are there once, however often, and are no doubts where the state is gone.
    """
    world.sync()
    with world.worker() as worker:
        seen = control.read(worker.warehouse, "team__jobs")
        fence = control.take(worker.warehouse, "team.jobs", "team__jobs", seen.epoch, seen.epoch + 1, "worker")
        outbox = f"{worker.warehouse.table('outbox_team__jobs_1')}"
        columns = '"key", ident, list, "sent_email", "sent_nps"'
        worker.warehouse.run(
            f"create table {outbox} as select seq, verb, {columns} from {worker.warehouse.table('pending_team__jobs')}"
        )
        fence.update("outbox = 1, mark = 99")
        settlement = Settlement(fence, 1, ['"sent_email"', '"sent_nps"'], "timestamp '2026-03-01'")
        settlement.acknowledged(Found(99, {}, {"job-1": [(0, 1)], "job-2": [(2, 2)]}))
        settlement.whole(Found(3))

    assert len(world.sql("select * from audience_sync.pending_team__jobs")) == 3
    assert world.ledger() == set()


def test_forgetting_a_sync_forgets_its_tickets(world):
    """
    `audiences forget` leaves none that a later sync of the name could ask for.
    """
    world.sync()
    with world.worker() as worker:
        forget(worker.warehouse, worker.state, "team.jobs", "team__jobs")

        assert worker.warehouse.tables("pending_") == []


def test_a_provider_that_does_not_know_its_job(world):
    """
    What a connector raises for a ticket stops its sync in words, and the members go on waiting.
    """
    wrong = jobs.CONNECTOR.replace('said["state"]', 'said["status"]')
    (world.folder / "connectors" / "jobs.py").write_text(wrong)
    world.sync()
    result = world.sync()

    assert isinstance(result.error, DeliveryError | Unanswered)
    assert "KeyError" in result.error.what
    assert len(pending(world)) == 3


def test_a_new_name_takes_its_tickets_along(world):
    """
    `renamed_from` keeps what waits for a verdict.
    """
    world.sync()
    (world.folder / "audiences" / "team.sql").unlink()
    world.define('renamed_from = "team.jobs"', name="crew")
    world.receiver.works()
    result = world.sync()

    assert (result.plan.changed, result.plan.listed, result.pending) == (0, 3, 0)


def test_a_field_that_is_no_longer_sent(world):
    """
    A ticket is settled also where `send` has changed since.
    """
    world.sync()
    world.define(text=HEADER.replace('send = ["email", "nps"]', 'send = ["email"]'))
    world.receiver.works()
    result = world.sync()

    assert (result.plan.changed, result.pending) == (0, 0)
    assert len(world.ledger()) == 3


def broken_off(folder, work, at=None):
    """A world where a run that follows an open job, or one that was judged meanwhile, is killed at this step."""
    made = jobs.world(folder)
    made.people(ANNA, BEN, CLEO)
    made.sync()
    if work:
        made.receiver.works()
    made.people((1, "ann@x", 7), CLEO, (4, "dora@x", 1))
    assert at is None or made.killed(at, force=True)
    return made


@pytest.mark.parametrize("work", [True, False], ids=["judged between", "judged after"])
def test_the_runs_have_no_more_steps_than_are_tried(tmp_path, work):
    """
    Every step has its test below, or in `make thorough`.
    """
    killer = Killer()
    broken_off(tmp_path, work).results(killer=killer, force=True)

    assert STEPS[work] - 5 < killer.steps < STEPS[work]


@pytest.mark.parametrize(
    ("work", "at"), [(work, at) for work, most in STEPS.items() for at in range(1, most - 5, APART)]
)
@pytest.mark.no_cover
def test_killed_at_any_step(tmp_path, work, at):
    """
    Wherever a run is killed, also while it settles verdicts: later runs bring the list to what the query says, nobody
    is lost, and nothing waits for ever.
    """
    made = broken_off(tmp_path, work, at)
    for _ in range(4):
        made.receiver.works()
        made.later(hours=7)
        made.sync(force=True)

    assert made.receiver.holds() == {"ann@x", "cleo@x", "dora@x"}
    assert made.ledger() == {(1, "ann@x", True), (3, "cleo@x", True), (4, "dora@x", True)}
    assert pending(made) == set()


def test_the_outcome_is_asked_of_members_as_they_were_sent(world):
    """
    What `outcome` is given has the values that travelled, not those of the warehouse: a date is text.
    """
    asks = '        said = self.http.get(f"/jobs/{ticket}").json()\n'
    tells = '        self.http.post("/jobs", json={"verb": "told", "list": members[0].fields["nps"], "rows": []})\n'
    (world.folder / "connectors" / "jobs.py").write_text(jobs.CONNECTOR.replace(asks, tells + asks))
    world.define(text=HEADER.replace("select id, email, nps", "select id, email, date '2000-01-02' as nps"))
    world.sync()
    world.sync()

    assert "2000-01-02" in {job["list"] for job in world.receiver.jobs.values() if job["verb"] == "told"}
