"""The command line. Each command is loaded when it is called, so that `--help` answers at once."""

from __future__ import annotations

import importlib
import sys
from io import TextIOWrapper
from pathlib import Path

import click

from audiences.cli import output
from audiences.errors import AudienceError

COMMANDS = {  # name -> its line in the help; the room of that name holds it
    "check": "Read every definition, without a warehouse; say what is wrong.",
    "plan": "Show what a sync would change. Nothing is sent or written.",
    "sync": "Deliver what has changed.",
    "serve": "Run each audience on its schedule, until it is told to stop.",
    "status": "Each sync: its list, its last run, who is refused.",
    "alert": "Try the ways by which alerts are told.",
    "history": "The runs of a sync: their numbers, and the commit of its file.",
    "run": "One run: what ran, what it planned, what became of it.",
    "why": "One member: when and why they came onto a list, or off it.",
    "show": "One audience: header, SQL as it will run, size, a masked sample.",
    "refused": "Members that a destination refused, and why.",
    "retry": "Send refused members again now, not when their time has come.",
    "resolve": "Say what became of members that were sent without an answer.",
    "forget": "Forget who a sync has listed; removes nobody anywhere.",
    "connectors": "The connectors: what each can do, needs, and was held against.",
    "init": "Make a new project folder that works at once.",
    "demo": "Move real customers into lists, twice, with a day between.",
    "schema": "The JSON Schema of an audience's header.",
}
ENDS = (  # exit codes, the first that holds
    ("2", "a mistake in a command, definition or setting; the others still ran"),
    ("1", "something failed"),
    ("3", "a guard stopped a sync, because it would change too much"),
    ("5", "not now: stopped, held elsewhere, or a host asks to wait; run it again"),
    ("4", "delivered, but some were newly refused or set aside, or not removed"),
    ("0", "everything wanted was delivered"),
    ("130", "left at once at a second Ctrl-C, or after the grace; nothing is lost"),
    ("143", "the same for SIGTERM"),
)


class Commands(click.Group):
    """The group of all commands, none of which is loaded before it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"audiences.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))
        with formatter.section("Exit codes, the first that holds"):
            formatter.write_dl(ENDS)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "-C",
    "--project",
    type=click.Path(path_type=Path, file_okay=False),
    default=".",
    help="The project's folder, with audiences/ and perhaps .env and connectors/ in it (default: this one).",
)
@click.version_option(package_name="audiences", message="%(prog)s %(version)s")
@click.pass_context
def root(ctx: click.Context, project: Path) -> None:
    """Keep lists in other people's systems equal to what SQL files in git say."""
    ctx.obj = project


def main() -> None:
    """The entry point: a user's mistake reads as two lines, never as a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without arrows still gets the words
    sys.exit(ended())


def ended() -> int:
    """Run the command that was typed; its exit code."""
    try:
        return int(root.main(prog_name="audiences", standalone_mode=False) or 0)
    except AudienceError as error:
        output.complain(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        click.echo("stopped; nothing more was done", err=True)
        return 130
    except Exception as error:
        # Its words may hold a person or a secret, as those of any library: the places it came through must do.
        from audiences import log

        output.complain(f"audiences has a defect:\n{log.told((type(error), error, error.__traceback__))}")
        return 1
