"""`audiences history`: the runs of a sync, or of all syncs of an audience."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import click

from audiences import runs
from audiences.cli import output
from audiences.cli.session import Session
from audiences.cli.status import utc
from audiences.errors import DefinitionError
from audiences.runs import Run

COMMIT = 10  # letters of a commit that people need


@click.command("history", cls=output.Speaking)
@click.argument("name")
@click.option("--last", "most", type=click.IntRange(1), default=20, metavar="N", help="So many runs (20).")
@output.as_json
@click.pass_obj
def command(folder: Path, name: str, most: int, as_json: bool) -> None:
    """The runs of a sync, or of all syncs of an audience, the newest first. Changes nothing.

    Each with its numbers, and the git commit of the definition that ran. One in full: audiences run ID
    """
    session = Session(folder)
    with session.past() as state:
        found = runs.history(state, name, most) if state else []
    if not found and not session.project.broken:
        session.project.select([name])  # a name that nothing has is a mistake, also where nothing ran
    if as_json:
        output.document({"runs": [data(each) for each in found], "exit": 0})
    else:
        output.say(*(table(found) if found else ["no run is remembered"]))


def table(found: Sequence[Run]) -> Iterator[str]:
    """A line a run, in columns."""
    rows = [(each.id, each.sync, f"{utc(each.started):%Y-%m-%d %H:%M:%S}", went(each), change(each)) for each in found]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for each, row in zip(found, rows, strict=True):
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        refused = f"{each.refused:,} refused" if each.refused else ""
        unnamed = f"{each.unnamed:,} refused unnamed" if each.unnamed else ""
        yield "  ".join(cell for cell in (*cells, shown(each.revision), refused, unnamed) if cell).rstrip()


def went(run: Run) -> str:
    """How a run ended, and after how long."""
    if run.ended is None or run.result is None:
        return "is under way, or was killed"
    return f"{run.result} in {run.ended - run.started:.1f} s"


def change(run: Run) -> str:
    """What a run planned."""
    again = f"  ↻ {run.refreshed:,}" if run.refreshed else ""
    return f"+ {run.added:,}  ~ {run.updated:,}  − {run.removed:,}{again}  of {run.listed:,}"


def shown(commit: str | None) -> str:
    """A commit as people name it."""
    name, _, dirty = (commit or "").partition("-")
    return name[:COMMIT] + ("-dirty" if dirty else "")


def data(run: Run) -> dict[str, object]:
    """A run, as JSON holds it."""
    ended = None if run.ended is None else utc(run.ended).isoformat()
    return asdict(run) | {"started": utc(run.started).isoformat(), "ended": ended}


def one(found: Sequence[Run], id_: str) -> Run:
    """The run that was meant. Raises DefinitionError where that is none, or several."""
    if len(found) == 1:
        return found[0]
    if found:
        raise DefinitionError(f"several runs begin with {id_!r}", do="write more of its id")
    raise DefinitionError(f"no run {id_!r} is remembered", do="look for it: audiences history NAME")
