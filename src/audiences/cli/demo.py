"""`audiences demo`: the main job, on real purchase histories."""

from __future__ import annotations

import click

from audiences.cli import output
from audiences.demo import story


@click.command("demo")
def command() -> None:
    """Evaluate twelve audiences, deliver them over real HTTP, let a day pass, and deliver only the difference."""
    story.tell(output.say)
