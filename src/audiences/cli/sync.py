"""`audiences sync`: deliver what has changed."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path

import click

from audiences import control, project, run, trace
from audiences.cli import after, output, went
from audiences.cli import plan as planning
from audiences.cli.notices import Notices
from audiences.cli.plan import Wish
from audiences.cli.progress import Progress
from audiences.cli.session import Chosen, Session
from audiences.cli.signals import Signals
from audiences.cli.went import Went
from audiences.errors import WarehouseError
from audiences.state import State
from audiences.warehouse import Warehouse
from audiences.worker import Result, Worker


@click.command("sync", cls=output.Speaking)
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every audience.")
@click.option("--dry-run", is_flag=True, help="As `audiences plan`: count, and send nothing.")
@click.option("--force", is_flag=True, help="Pass the guard's shares, for the audiences named.")
@click.option(
    "--replace",
    is_flag=True,
    help="A repair: make the list anew of the audience named; whoever else is on it goes, also who is not ours.",
)
@click.option("--strict", is_flag=True, help="End with 4 where anyone is refused or set aside, reported before or not.")
@click.option(
    "--after-dbt",
    "dbt_results",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Only what reads a model that dbt has rebuilt and that passed: FILE is dbt's target/run_results.json.",
)
@click.option("--sample", type=click.IntRange(1, 100), metavar="N", help="With --dry-run: as in `audiences plan`.")
@output.as_json
@click.pass_obj
def command(
    folder: Path,
    names: tuple[str, ...],
    everything: bool,
    dry_run: bool,
    force: bool,
    replace: bool,
    strict: bool,
    dbt_results: Path | None,
    sample: int | None,
    as_json: bool,
) -> int:
    """Deliver what has changed to each destination.

    NAMES are audiences or syncs (detractors, detractors.webhook), or patterns (power_*).

    With --after-dbt, audiences (NAMES, or all) whose SQL names a model of dbt's run are run; one that names a model
    which failed, was skipped or failed a test is deferred, and ends with 5. The others are left alone.

    The first SIGTERM or Ctrl-C lets what is in flight finish and begins nothing more; the command ends within
    AUDIENCES_GRACE seconds, with 5 where work is left. A second one leaves at once, with 143 or 130. Nothing is lost.
    """
    if everything and names:
        raise click.UsageError("name audiences, or say --all, but not both")
    if not (everything or names or dry_run or dbt_results):
        raise click.UsageError("name an audience, or say --all")
    for option, given in {"--force": force, "--replace": replace}.items():
        if given and (not names or any(set(name) & set("*?[") for name in names)):
            raise click.UsageError(f"{option} needs the name of an audience or a sync: no --all, and no pattern")
    if sample and not dry_run:
        raise click.UsageError("--sample goes with --dry-run, or with `audiences plan`")
    if dbt_results and dry_run:
        raise click.UsageError("--after-dbt delivers; without it, --dry-run shows what any audience would send")
    wish = Wish(names, sample or 0, force, replace, as_json=as_json)
    return planning.show(Session(folder), wish) if dry_run else deliver(Session(folder), wish, strict, dbt_results)


def deliver(session: Session, wish: Wish, strict: bool, dbt_results: Path | None = None) -> int:
    """Run each sync and print how it went; the exit code. What changed with that is told at the end.

    dbt_results: where only what reads a model of that dbt run is to be run
    """
    chosen, notices = session.chosen(wish.names), Notices(session)
    if dbt_results:
        every, chosen = len(chosen.audiences), after.concerned(session, chosen, dbt_results)
        if not wish.as_json:
            output.say(f"{len(chosen.audiences)} of {output.count(every, 'audience')} read what dbt was to rebuild\n")
    try:
        results, notices.orphans = delivered(session, chosen, wish)
    except WarehouseError:
        notices.tell()
        raise
    code = went.close(Went(chosen, results, notices.orphans, strict), wish.as_json)
    notices.tell()
    return code


def delivered(session: Session, chosen: Chosen, wish: Wish) -> tuple[list[Result], dict[str, int]]:
    """How each sync went, told as it ends; and the orphans."""
    results, progress = list[Result](), Progress()
    # Members are millions of small objects, each gone in a moment: the collector need not look at them all the time.
    gc.set_threshold(100_000, 10, 100)
    with Signals(session.settings.grace) as signals, ExitStack() as stack:
        warehouse, state = opened(session, chosen, stack)
        stage = stack.enter_context(trace.exported(os.environ))
        worker = Worker(
            warehouse,
            state,
            session.folder,
            session.settings.patience,
            wish.force,
            wish.replace,
            keeps=timedelta(session.settings.history_days),
            commit=session.settings.commit,
            stop=signals.stopped,
            told=progress.told,
            sleep=signals.sleep,
            stage=stage,
        )
        try:
            for result in ran(worker, chosen):
                progress.clear()
                results.append(result)
                if not wish.as_json:
                    went.tell(result)
        finally:
            progress.clear()
        return results, session.orphans(warehouse)


def opened(session: Session, chosen: Chosen, stack: ExitStack) -> tuple[Warehouse, State]:
    """Warehouse and state database. Where one cannot be reached no sync can begin, and each is noted as failed."""
    try:
        warehouse = stack.enter_context(session.warehouse(makes=True))
        state = stack.enter_context(session.state())
        control.adopt(warehouse, state)
    except WarehouseError as error:
        with suppress(WarehouseError), session.state() as known:
            for audience, bindings in chosen.audiences:
                run.failed(known, audience, project.awake(audience, bindings), error, session.settings.commit)
        raise
    return warehouse, state


def ran(worker: Worker, chosen: Chosen) -> Iterator[Result]:
    """Run the syncs that are not paused, nor kept from running, until the worker is to stop."""
    for audience, bindings in chosen.audiences:
        if not (awake := project.awake(audience, bindings)) or worker.stop():
            continue
        if error := chosen.spoilt.get(audience.name):
            yield from run.failed(worker.state, audience, awake, error, worker.commit)
        else:
            yield from run.audience(worker, audience, awake)
