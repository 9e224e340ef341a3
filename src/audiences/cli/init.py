"""`audiences init`: a new project folder that works at once."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from audiences.cli import output
from audiences.demo import starter


@click.command("init")
@click.argument("folder", type=click.Path(path_type=Path))
@click.pass_obj
def command(project: Path, folder: Path) -> None:
    """Make FOLDER a project that works at once: two audiences, a small warehouse, and a .env to change."""
    new = project / folder
    output.say(*(f"wrote {path}" for path in starter.write(new)))
    output.say("", "Next:", f"  cd {shlex.quote(str(new))}", "  audiences plan", "  audiences sync --all")
