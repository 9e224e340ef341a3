"""`audiences schema`: the header, for editors and for machines."""

from __future__ import annotations

import json
from pathlib import Path

import click

from audiences import connectors, schema
from audiences.cli import output


@click.command("schema")
@click.pass_obj
def command(folder: Path) -> None:
    """Print the JSON Schema of an audience's header, with the options of the connectors that this project has."""
    places = connectors.folders(folder)
    options = {name: connectors.find(name, places).Options for name in connectors.names(places)}
    output.say(json.dumps(schema.header(options), indent=2))
