"""`audiences alert`: try the ways by which alerts are told."""

from __future__ import annotations

import time
from pathlib import Path

import click

from audiences.alerts.alert import Alert
from audiences.alerts.ways import ways
from audiences.cli import output
from audiences.cli.session import Chosen, Session
from audiences.errors import AudienceError, DefinitionError


@click.command("alert")
@click.option("--test", is_flag=True, help="Send one notice by each way that is set up, and say what became of it.")
@click.pass_obj
def command(folder: Path, test: bool) -> int:
    """Try the ways by which alerts are told: AUDIENCES_ALERT_SLACK, …_EMAIL, …_WEBHOOK.

    Alerts themselves are told by `serve` while it runs, and by `sync` at its end. What has been told is not touched.
    """
    if not test:
        raise click.UsageError("say --test: it sends one notice by each way that is set up")
    found = ways(Session(folder).settings)
    if not found:
        raise DefinitionError(
            "no way to tell alerts is set up", do="export AUDIENCES_ALERT_SLACK, AUDIENCES_ALERT_EMAIL or …_WEBHOOK"
        )
    what = "this is a test: alerts come this way"
    notice = Alert("audiences", "test", "test", what, "nothing", "", "", time.time())
    codes = []
    for way in found:
        try:
            output.say(f"{way.name}: {way.tell([notice])}")
        except AudienceError as error:
            output.complain(f"{way.name}: {error}")
            codes.append(error.exit_code)
    return Chosen((), ()).worst(codes)
