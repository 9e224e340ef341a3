"""The connector `meta_ads` makes an audience anew: one session, and what becomes of it where it is cut off."""

from __future__ import annotations

import hashlib

import httpx
import pytest

from audiences import DeliveryError
from dialogue import ADA, ZOE, Dialogue, told
from driven import START
from engines import DuckDB
from test_every_connector import ROOTS, sandbox_of
from test_every_connector_converges import Sandboxed
from world import World

FILE = ROOTS[0] / "connectors" / "meta_ads.py"
failed = sandbox_of(FILE).failed
SMALL = """from dataclasses import replace
from pathlib import Path
from audiences.connectors import find

class Small(find("{name}", [Path("{folder}")])):
    limits = replace(find("{name}", [Path("{folder}")]).limits, batch=2)
"""


@pytest.fixture
def meta(tmp_path):
    return Dialogue("meta_ads", tmp_path)


def sha(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_list_made_anew_is_one_session(meta):
    """
    Until its end nobody is added and nobody gone; then those who were sent, and no others, are the audience.
    """
    meta.far.list = "Detractors"
    remote = meta.speak(outbox="project-sync-2")
    where = remote.prepare("Detractors")
    remote.upsert(where, told("gone@example.com"))

    remote.replacing(where, START)
    remote.upsert(where, told(ADA))
    remote.upsert(where, told(ZOE, "nowhere"))
    before = meta.far.listed()
    remote.replaced(where, START)

    sessions = [body["session"] for body in meta.sent("POST", f"/v26.0/{where}/usersreplace")]
    assert before == [sha("gone@example.com")]
    assert sorted(meta.far.listed()) == sorted([sha(ADA), sha(ZOE)])
    assert [(each["batch_seq"], each["last_batch_flag"]) for each in sessions] == [(1, False), (2, False), (3, True)]
    assert len({each["session_id"] for each in sessions}) == 1


@pytest.fixture
def changed(tmp_path):
    """A whole worker's audience of five, two a call, that somebody has changed by hand since."""
    engine, sandbox = DuckDB(), sandbox_of(FILE).Sandbox()
    world = Sandboxed(World(tmp_path, "meta_ads", engine), FILE, sandbox, {}).world
    (tmp_path / "connectors" / "meta_ads.py").write_text(SMALL.format(name="meta_ads", folder=FILE.parent))
    engine.fill(world.url, "crowd", [(n, *sandbox.member(n).values()) for n in range(5)])
    world.sync()
    sandbox.rows()[(("EMAIL", sha("stranger@example.com")),)] = None
    del sandbox.rows()[(("EMAIL", sha("person3@example.com")),)]
    return world


def equal(sandbox):
    return sorted(sandbox.listed()) == sorted(sha(sandbox.member(n)["email"]) for n in range(5))


def test_a_repair_takes_a_stranger_off(changed):
    """
    On the whole worker: --replace makes the audience what the query says, whatever somebody made of it.
    """
    result = changed.sync(replace=True)

    assert result.error is None
    assert equal(changed.receiver)


def test_a_repair_that_is_cut_off_is_mended_by_runs(changed):
    """
    Meta makes what was sent until then the audience. Nobody is sure to be listed from the first call on, nobody is sent
    before Meta is done, and everyone by the run after.
    """
    sandbox, calls = changed.receiver, []

    def far(request):
        calls.append(request.url.path.endswith("/usersreplace"))
        return failed(2650, "Failed to update") if calls[-1] and sum(calls) == 2 else sandbox(request)

    cut, early = (changed.sync(replace=replaces, transport=httpx.MockTransport(far)) for replaces in (True, False))
    sandbox.expire()
    part, claims = len(sandbox.listed()), changed.ledger()
    late = changed.sync()

    assert "takes no change" in cut.error.what
    assert "is replacing" in early.error.what
    assert {sure for *_, sure in claims} == {False}
    assert (part, late.error) == (2, None)
    assert equal(sandbox)


def test_sessions_of_two_runs_are_two(meta):
    """
    Meta wants a number that no other session of the account has.
    """
    remotes = [meta.speak(outbox=f"project-sync-{n}") for n in (1, 2)]
    for remote in remotes:
        remote.replacing("23850000000001", START)

    assert len({remote.session["session_id"] for remote in remotes}) == 2


def test_nobody_is_added_while_an_audience_is_replaced(meta):
    """
    A session that was cut off is waited for: it might take away again whoever is added before Meta has ended it.
    """
    remote = meta.speak(outbox="project-sync-2")
    where = remote.prepare(meta.far.list)
    remote.replacing(where, START)
    remote.upsert(where, told(ADA))
    later = meta.speak()

    for verb in (later.upsert, later.remove):
        with pytest.raises(DeliveryError, match=f"replacing the audience {where}\n  do: run again"):
            verb(where, told(ZOE))
    meta.far.expire()

    assert later.upsert(where, told(ZOE)).accepted == {ZOE}


def test_a_list_is_not_made_anew_of_nobody(meta):
    """
    Where everyone was refused there is no call that could end a session, and the audience stays as it is.
    """
    remote = meta.speak()
    where = remote.prepare(meta.far.list)
    remote.upsert(where, told(ADA))

    remote.replacing(where, START)
    remote.upsert(where, told("nowhere"))
    with pytest.raises(DeliveryError, match="leave out --replace"):
        remote.replaced(where, START)

    assert meta.far.listed() == [sha(ADA)]
