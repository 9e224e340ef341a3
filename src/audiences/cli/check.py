"""`audiences check`: every definition read; with --warehouse its columns asked for, with --connectors its accounts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from audiences import compare, fresh
from audiences.alerts.ways import ways
from audiences.audience import Audience
from audiences.cli import accounts, output
from audiences.cli.accounts import Account
from audiences.cli.session import Chosen, Session
from audiences.errors import AudienceError, DefinitionError
from audiences.project import Binding
from audiences.warehouse import Warehouse

MISTAKE = 2  # the exit code


@click.command("check", cls=output.Speaking)
@click.option(
    "--warehouse",
    is_flag=True,
    help="Also ask the warehouse for each query's columns and types, and its source's; it runs no query.",
)
@click.option(
    "--connectors",
    is_flag=True,
    help="Also try the account of each section: one call that needs its credentials and changes nothing.",
)
@output.as_json
@click.pass_obj
def command(folder: Path, warehouse: bool, connectors: bool, as_json: bool) -> int:
    """Read every definition and say what is wrong, naming file, line and remedy. Needs no warehouse and no network."""
    session = Session(folder)
    chosen = session.chosen()
    columns, mistakes = described(session, chosen) if warehouse else ({}, [])
    mistakes += alerting(session)
    found = spoken(session, chosen) if connectors else []
    session.lasting()
    errors = [*chosen.errors, *mistakes, *(each.error for each in found if each.error)]
    code = chosen.worst([*(MISTAKE for _ in mistakes), *(each.error.exit_code for each in found if each.error)])
    if as_json:
        told = {"connectors": [accounts.data(each) for each in found]} if connectors else {}
        output.document({"audiences": data(chosen, columns), **told, "errors": output.problems(errors), "exit": code})
    else:
        accounts.words(found)
        words(chosen, columns, len(chosen.errors) + len(mistakes), sum(each.error is not None for each in found))
    return code


def described(session: Session, chosen: Chosen) -> tuple[dict[str, Mapping[str, str]], list[AudienceError]]:
    """Audience -> its columns and their types; and what the warehouse cannot plan, told on stderr."""
    columns: dict[str, Mapping[str, str]] = {}
    errors: list[AudienceError] = []
    with session.warehouse() as opened:
        for audience, bindings in chosen.audiences:
            try:
                columns[audience.name] = asked(opened, audience, bindings)
            except AudienceError as error:
                output.complain(f"{audience.name}: {error}")
                errors.append(error)
    return columns, errors


def alerting(session: Session) -> list[AudienceError]:
    """What is wrong with the ways by which alerts are told, told on stderr."""
    try:
        ways(session.settings)
    except DefinitionError as error:
        output.complain(error)
        return [error]
    return []


def spoken(session: Session, chosen: Chosen) -> list[Account]:
    """Each account that the project uses, asked; what is wrong with it told on stderr."""
    bindings = [binding for _, bindings in chosen.audiences for binding in bindings]
    found: list[Account] = []
    for account in accounts.look(session, bindings):
        accounts.complain(account)
        found.append(account)
    return found


def asked(warehouse: Warehouse, audience: Audience, bindings: Sequence[Binding]) -> Mapping[str, str]:
    """Column -> type, as the warehouse plans the query. Raises AudienceError where it cannot, or misses a column."""
    types = warehouse.described(audience.select)
    for binding in bindings:
        found = compare.asked(warehouse, audience, binding, audience.select, types)
        warehouse.words.key(found.key, found.types)
    if audience.fresh:
        fresh.check(warehouse, audience.fresh)
    return types


def words(chosen: Chosen, columns: Mapping[str, Mapping[str, str]], mistakes: int, failed: int) -> None:
    """What was read, for people."""
    for name, types in columns.items():
        output.say(f"{name}: {', '.join(f'{column} {kind}' for column, kind in types.items())}")
    syncs = sum(len(bindings) for _, bindings in chosen.audiences)
    read = f"{output.count(len(chosen.audiences), 'audience')} with {output.count(syncs, 'sync')} read"
    accounts = f"; {output.count(failed, 'account')} failed" if failed else ""
    output.say(f"{read}; {output.count(mistakes, 'mistake') if mistakes else 'no mistakes'}{accounts}.")


def data(chosen: Chosen, columns: Mapping[str, Mapping[str, str]]) -> dict[str, object]:
    """What was read, as JSON holds it."""
    return {
        audience.name: {"syncs": [each.sync.name for each in bindings], "columns": columns.get(audience.name)}
        for audience, bindings in chosen.audiences
    }
