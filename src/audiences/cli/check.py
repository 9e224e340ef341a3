"""`audiences check`: every definition read, and with --warehouse its columns asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from audiences import compare
from audiences.audience import Audience
from audiences.cli import output
from audiences.cli.session import Chosen, Session
from audiences.errors import AudienceError
from audiences.project import Binding
from audiences.warehouse import Warehouse

MISTAKE = 2  # the exit code


@click.command("check", cls=output.Speaking)
@click.option(
    "--warehouse", is_flag=True, help="Also ask the warehouse for each query's columns and types; it runs no query."
)
@output.as_json
@click.pass_obj
def command(folder: Path, warehouse: bool, as_json: bool) -> int:
    """Read every definition and say what is wrong, naming file, line and remedy. Needs no warehouse and no network."""
    session = Session(folder)
    chosen = session.chosen()
    errors: list[AudienceError] = list(chosen.errors)
    columns: dict[str, Mapping[str, str]] = {}
    if warehouse:
        with session.warehouse() as opened:
            for audience, bindings in chosen.audiences:
                try:
                    columns[audience.name] = asked(opened, audience, bindings)
                except AudienceError as error:
                    output.complain(f"{audience.name}: {error}")
                    errors.append(error)
    code = MISTAKE if errors else 0
    if as_json:
        document(chosen, columns, errors, code)
    else:
        words(chosen, columns, len(errors))
    return code


def asked(warehouse: Warehouse, audience: Audience, bindings: Sequence[Binding]) -> Mapping[str, str]:
    """Column -> type, as the warehouse plans the query. Raises AudienceError where it cannot, or misses a column."""
    types = warehouse.described(audience.select)
    for binding in bindings:
        compare.terms(audience, binding, types, "")
    return types


def words(chosen: Chosen, columns: Mapping[str, Mapping[str, str]], mistakes: int) -> None:
    """What was read, for people."""
    for name, types in columns.items():
        output.say(f"{name}: {', '.join(f'{column} {kind}' for column, kind in types.items())}")
    syncs = sum(len(bindings) for _, bindings in chosen.audiences)
    read = f"{output.count(len(chosen.audiences), 'audience')} with {output.count(syncs, 'sync')} read"
    output.say(f"{read}; {output.count(mistakes, 'mistake') if mistakes else 'no mistakes'}.")


def document(
    chosen: Chosen, columns: Mapping[str, Mapping[str, str]], errors: Sequence[AudienceError], code: int
) -> None:
    """What was read, for machines."""
    audiences = {
        audience.name: {"syncs": [each.sync.name for each in bindings], "columns": columns.get(audience.name)}
        for audience, bindings in chosen.audiences
    }
    output.document({"audiences": audiences, "errors": output.problems(errors), "exit": code})
