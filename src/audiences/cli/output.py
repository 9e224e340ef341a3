"""What a command says: words for people or one JSON document for machines on stdout, errors on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from audiences.errors import AudienceError

as_json = click.option("--json", "as_json", is_flag=True, help="For machines: one JSON document instead of words.")


class Speaking(click.Command):
    """A command with `--json`: what ends it early is a document too, beside the words on stderr."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AudienceError as error:
            if ctx.params["as_json"]:
                document({"errors": problems([error]), "exit": error.exit_code})
            raise


def say(*lines: str) -> None:
    """Print on stdout. Once the reader has gone, as with `| head`, nothing is printed and the work goes on."""
    try:
        for line in lines:
            click.echo(line)
    except BrokenPipeError:
        # As https://docs.python.org/3/library/signal.html#note-on-sigpipe advises (read 2026-11).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(what: object) -> None:
    """Print on stderr."""
    click.echo(f"error: {what}", err=True)


def warn(what: str, *, do: str) -> None:
    """Print on stderr what goes on, and will not go well."""
    click.echo(f"warning: {what}\n  do: {do}", err=True)


def document(content: Mapping[str, object]) -> None:
    """Print a JSON document on stdout."""
    say(json.dumps(content))


def problem(error: AudienceError) -> dict[str, str]:
    """An error as JSON holds it."""
    return {"what": error.what, "do": error.do}


def problems(errors: Sequence[AudienceError]) -> list[dict[str, str]]:
    """Errors as JSON holds them."""
    return [problem(error) for error in errors]


def count(number: int, thing: str) -> str:
    """So many things: `1 sync`, `2,000 syncs`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
