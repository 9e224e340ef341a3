"""`audiences run`: one run in full."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from audiences import runs
from audiences.cli import history, output
from audiences.cli.session import Session
from audiences.cli.status import utc
from audiences.runs import Run


@click.command("run", cls=output.Speaking)
@click.argument("id_", metavar="ID")
@output.as_json
@click.pass_obj
def command(folder: Path, id_: str, as_json: bool) -> None:
    """One run: what it planned, what became of it, and why; the commit and the SQL that ran. Changes nothing.

    ID, or its first letters, as `audiences history` and the log tell it.
    """
    with Session(folder).past() as state:
        run = history.one(runs.found(state, id_) if state else [], id_)
        sql = runs.sql(state, run.fingerprint) if state else None
    if as_json:
        output.document({**history.data(run), "sql": sql, "exit": 0})
    else:
        output.say(*words(run), *(["", sql] if sql else []))


def words(run: Run) -> Iterator[str]:
    """A run, for people."""
    yield f"{run.sync}, run {run.id}: {history.went(run)}"
    yield f"  began {utc(run.started):%Y-%m-%d %H:%M:%S} UTC"
    yield f"  definition: commit {run.revision or 'unknown'}, sha256 {run.fingerprint}"
    yield f"  planned: {history.change(run)} listed"
    found = ("delivered", "refused", "newly_refused", "unnamed", "not_removed", "set_aside", "pending", "unknown")
    words = {"unnamed": "refused unnamed"}
    yield "  found: " + ", ".join(f"{getattr(run, each):,} {words.get(each, each.replace('_', ' '))}" for each in found)
    if run.note:
        yield f"  why: {run.note}"
    if run.remedy:
        yield f"  do: {run.remedy}"
