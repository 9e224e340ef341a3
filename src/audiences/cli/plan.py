"""`audiences plan`: what a sync would change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from audiences import compare, fresh, mask, outbox, repair, runs
from audiences.audience import Audience
from audiences.changes import Changes
from audiences.cli import output
from audiences.cli.session import Chosen, Session, orphan
from audiences.errors import AudienceError, StaleSource, UnsafePlan
from audiences.fresh import Source
from audiences.plan import Plan
from audiences.preview import preview
from audiences.project import Binding
from audiences.state import State
from audiences.warehouse import Warehouse
from audiences.worker import utc

CHANGES = 10  # the exit code of --exit-code where there are any
COUNTS = (
    "rows",
    "listed",
    "added",
    "updated",
    "removed",
    "refreshed",
    "few",
    "keyless",
    "repeated",
    "nameless",
    "unconsented",
    "waiting",
    "unknown",
    "unsettled",
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for beside the names. sample: members of each kind of change; force: pass the guard's shares.

    replace: as if the lists were made anew
    """

    names: Sequence[str]
    sample: int = 0
    force: bool = False
    replace: bool = False
    exit_code: bool = False
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """One sync's plan, or why there is none; guard: what would stop it; source: how new that is."""

    sync: str
    paused: bool = False
    plan: Plan | None = None
    guard: UnsafePlan | StaleSource | None = None
    source: Source | None = None
    error: AudienceError | None = None
    sample: Sequence[str] = ()


@click.command("plan", cls=output.Speaking)
@click.argument("names", nargs=-1)
@click.option(
    "--sample", type=click.IntRange(1, 100), metavar="N", help="Also show N members of each kind of change, masked."
)
@click.option(
    "--exit-code", is_flag=True, help="End with 10 where there are changes, with 3 where a guard would stop them."
)
@output.as_json
@click.pass_obj
def command(folder: Path, names: tuple[str, ...], sample: int | None, exit_code: bool, as_json: bool) -> int:
    """Show what a sync would change. Nothing is sent, nothing is written.

    NAMES are audiences or syncs (detractors, detractors.webhook), or patterns (power_*); without any, all of them.
    """
    return show(Session(folder), Wish(names, sample or 0, exit_code=exit_code, as_json=as_json))


def show(session: Session, wish: Wish) -> int:
    """Count and print; the exit code."""
    chosen = session.chosen(wish.names)
    shown = []
    with session.warehouse() as warehouse, session.past() as state:
        for each in planned(warehouse, state, chosen, wish):
            shown.append(each)
            if not wish.as_json:
                tell(each)
        orphans = session.orphans(warehouse)
    code = chosen.worst([ends(each, wish.exit_code) for each in shown])
    if wish.as_json:
        syncs, errors = [data(each) for each in shown], output.problems(chosen.errors)
        output.document({"syncs": syncs, "orphans": orphans, "errors": errors, "exit": code})
    else:
        output.say(*(orphan(name, size) for name, size in orphans.items()), *close(shown, wish.names))
    return code


def planned(warehouse: Warehouse, state: State | None, chosen: Chosen, wish: Wish) -> Iterator[Shown]:
    """The plan of each sync that is meant."""
    for audience, bindings in chosen.audiences:
        for binding in bindings:
            if audience.paused or binding.sync.paused:
                yield Shown(binding.sync.name, paused=True)
            else:
                yield one(warehouse, state, audience, binding, wish)


def one(warehouse: Warehouse, state: State | None, audience: Audience, binding: Binding, wish: Wish) -> Shown:
    """One sync's plan, as its guard sees it."""
    name = binding.sync.name
    try:
        with warehouse.bounded(audience.timeout, audience.bytes):
            source = fresh.look(warehouse, audience.fresh, utc()) if audience.fresh else None
            plan, changes = preview(warehouse, audience, binding, utc())
            found = list(samples(warehouse, changes, wish.sample)) if wish.sample else []
        promised = runs.promised(state, name) if state else {}
    except AudienceError as error:
        return Shown(name, error=error)
    try:
        if source and source.stale:
            raise source.stale
        plan.check(audience.guard, wish.force, lambda: compare.explained(warehouse, changes, audience), promised)
        if wish.replace:
            repair.check(binding, plan)
            plan = repair.planned(plan, outbox.count(warehouse, repair.everyone(changes), binding.sync))
    except (StaleSource, UnsafePlan) as guard:
        return Shown(name, plan=plan, guard=guard, source=source, sample=found)
    except AudienceError as error:
        return Shown(name, error=error)
    return Shown(name, plan=plan, source=source, sample=found)


def samples(warehouse: Warehouse, changes: Changes, most: int) -> Iterator[str]:
    """The first members of each kind of change, masked."""
    for sign, rows in outbox.sample(warehouse, changes, most).items():
        for key, fields in rows:
            yield f"{sign} {mask.text(key)}  {masked(fields)}"


def masked(fields: Mapping[str, object]) -> str:
    """A member's fields as a sample shows them."""
    return "  ".join(f"{name}={mask.value(value)}" for name, value in fields.items())


def ends(shown: Shown, exit_code: bool) -> int:
    """The exit code that one sync asks for."""
    if shown.error:
        return shown.error.exit_code
    if not exit_code or shown.plan is None:
        return 0
    return shown.guard.exit_code if shown.guard else CHANGES if shown.plan.changed else 0


def tell(shown: Shown) -> None:
    """One sync's plan in words."""
    if shown.paused:
        output.say(f"{shown.sync} is paused")
    if shown.error:
        output.complain(f"{shown.sync} cannot be planned: {shown.error}")
    if shown.plan:
        source = [f"  source: {shown.source}"] if shown.source else []
        output.say(str(shown.plan), *source, *(f"    {line}" for line in shown.sample))
    if shown.guard:
        output.say(f"  its guard would stop it: {shown.guard}")


def data(shown: Shown) -> dict[str, object]:
    """One sync's plan as JSON holds it."""
    found: dict[str, object] = {"sync": shown.sync, "paused": shown.paused}
    if shown.plan:
        found |= numbers(shown.plan) | {"guard": output.problem(shown.guard) if shown.guard else None}
    if shown.source:
        found["source"] = age(shown.source)
    if shown.error:
        found["error"] = output.problem(shown.error)
    return found | ({"sample": shown.sample} if shown.sample else {})


def age(source: Source) -> dict[str, object]:
    """How new a source is, as JSON holds it."""
    newest = f"{source.newest.isoformat()}Z" if source.newest else None
    return {"table": source.fresh.table, "column": source.fresh.column, "newest": newest}


def numbers(plan: Plan) -> dict[str, object]:
    """A plan's counts as JSON holds them."""
    return {"list": plan.sync.shown_list, "counts": plan.counts, **{name: getattr(plan, name) for name in COUNTS}}


def close(shown: Sequence[Shown], names: Sequence[str]) -> Iterator[str]:
    """The sum, and the command that sends it, or as much of it as no guard would stop."""
    plans = [each.plan for each in shown if each.plan]
    added, updated, removed = (sum(getattr(plan, name) for plan in plans) for name in ("added", "updated", "removed"))
    if not plans:
        return
    yield f"\nPlan: {added:,} to add, {updated:,} to update, {removed:,} to remove. Nothing was sent."
    if any(each.plan.changed or each.plan.refreshed for each in shown if each.plan and not each.guard):
        yield f"To send it: audiences sync {' '.join(names) or '--all'}"
