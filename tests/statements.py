"""Our own statements, as a few runs without transactions say them: what a translation has to have words for."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from audiences import outbox
from audiences.reader import Phase, Reader
from engines import Beside, Plain, Swapping
from oracle import Case, Claim, Person, Refusal
from sourced import two_syncs
from test_changes import empty, planned
from test_control import STEPS, begun, opened
from world import World

PEOPLE = [Person(1, "a@x", 1), Person(1, "b@x", 1), Person(2, "c@x", None), Person(None, "d@x", 1)]
CLAIMS = [Claim(1, "a@x", "M", "a@x", 1, True, True), Claim(3, "c@x", "L", "c@x", 1, False, False)]
REFUSALS = [Refusal(2, "c@x", "L", "c@x", 1, True)]


@cache
def statements() -> frozenset[str]:
    """All that two syncs say, comparisons of each mode, each step of settling, and a look at the next rows."""
    told = set[str]()
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(Plain, "said", lambda self, statement: told.add(statement) or (statement,), raising=False)
        two_syncs(World(Path(folder), engine=Swapping()))
        _plans()
        for step in STEPS.values():
            with _begun() as warehouse:
                step(opened(warehouse))
        with _begun() as warehouse:
            fence = opened(warehouse)
            Reader(fence, fence.epoch, ["email"]).rows(Phase("upsert", False, 0, 1, "L"), 0, 1, [(0, 0)])
    return frozenset(told)


def _alone() -> Beside:
    return Beside(make_url("duckdb:///:memory:"), "audience_sync")


def _begun() -> Beside:
    warehouse = _alone()
    warehouse.run("create table people (id bigint, email varchar)")
    begun(warehouse)
    return warehouse


def _plans() -> None:
    """Comparisons of each mode, with doubts, refusals and claims that grow old, of this rule and of another."""
    with _alone() as warehouse:
        fence = empty(warehouse)
        for mode, repeatable, mortal in (("mirror", True, True), ("mirror", False, False), ("add", True, False)):
            case = Case(PEOPLE, CLAIMS, REFUSALS, mode=mode, repeatable=repeatable, mortal=mortal)
            _, _, changes = planned(fence, case, "another" if mortal else None)
            outbox.outlive(fence, changes)
            planned(fence, replace(case, claims=[], refusals=[]), None)
