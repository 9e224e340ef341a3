"""`audiences connectors`: the connectors that are there, and one of them with all that it needs."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema

from audiences import connectors
from audiences.cli import output
from audiences.connector import Connector
from audiences.errors import DefinitionError
from audiences.hashed import Hashed

MISTAKE = 2  # the exit code
OPTIONAL = ("prepare", "replaced", "flush", "outcome", "members", "check")  # verbs that a connector may lack
KINDS = {"string": "text", "integer": "whole number", "object": "table"}  # JSON Schema's words in ours
HEADINGS = ("connector", "category", "identified by", "verbs", "limits", "proof", "")


@click.command("connectors", cls=output.Speaking)
@click.argument("name", required=False)
@output.as_json
@click.pass_obj
def command(folder: Path, name: str | None, as_json: bool) -> int:
    """The connectors that ship and the project's own; of NAME its set-up, settings and options. Shows no value.

    Proof is what a connector's calls were held against: the vendor's published specification, its own client library
    (sdk), or its documentation; "unstated" where its author says nothing. One that is experimental has to be asked for.
    """
    if name:
        cls = connectors.find(name, connectors.folders(folder))
        output.document(manual(name, cls, folder)) if as_json else output.say(*page(name, cls, folder))
        return 0
    found, errors = there(folder)
    code = MISTAKE if errors else 0
    if as_json:
        told = [facts(each, cls, folder) for each, cls in found.items()]
        output.document({"connectors": told, "errors": output.problems(errors), "exit": code})
    else:
        output.say(*table([row(each, cls, folder) for each, cls in found.items()]))
    return code


def there(folder: Path) -> tuple[dict[str, type[Connector]], list[DefinitionError]]:
    """The connectors that work, by name; what is wrong with the others is told on stderr."""
    found: dict[str, type[Connector]] = {}
    errors: list[DefinitionError] = []
    places = connectors.folders(folder)
    for name in connectors.names(places):
        try:
            found[name] = connectors.find(name, places)
        except DefinitionError as error:
            output.complain(error)
            errors.append(error)
    return found, errors


def facts(name: str, cls: type[Connector], folder: Path) -> dict[str, object]:
    """What a connector says of itself, as JSON holds it. per_second and bytes are null where nothing bounds them."""
    limits = cls.limits
    return {
        "name": name,
        "category": str(cls.category),
        "proof": str(cls.proof),
        "own": _own(name, folder),
        "identified_by": sorted(cls.identified_by),
        "chosen": _chosen(cls),
        "verbs": verbs(cls),
        "limits": {**asdict(limits), "per_second": None if limits.per_second == float("inf") else limits.per_second},
    }


def verbs(cls: type[Connector]) -> list[str]:
    """What a connector can do, the two that all can first."""
    return ["upsert", "remove", *(verb for verb in OPTIONAL if _writes(cls, verb))]


def row(name: str, cls: type[Connector], folder: Path) -> tuple[str, ...]:
    """A connector as a line of the table."""
    own = "the project's own" if _own(name, folder) else ""
    return name, cls.category, _identifiers(cls), ", ".join(verbs(cls)), _pace(cls), cls.proof, own


def table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Lines in columns, below their headings."""
    lines = [HEADINGS, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()


def manual(name: str, cls: type[Connector], folder: Path) -> dict[str, object]:
    """All of one connector, as JSON holds it."""
    prefix = f"{name.upper()}_"
    settings = [{"variable": f"{prefix}{each.pop('name').upper()}", **each} for each in fields(cls.Settings)]
    return {**facts(name, cls, folder), "manual": _said(cls), "settings": settings, "options": fields(cls.Options)}


def page(name: str, cls: type[Connector], folder: Path) -> Iterator[str]:
    """All of one connector, for people."""
    yield from (f"{name}: {cls.category}, proof: {cls.proof}", "", _said(cls), "")
    yield f"Verbs          {', '.join(verbs(cls))}"
    yield f"Limits         {_pace(cls)}"
    yield f"Identified by  {_identifiers(cls)}"
    told = manual(name, cls, folder)
    for key, where in (
        ("settings", "from the environment, .env or a mounted file"),
        ("options", "written in a sync's section"),
    ):
        yield from ("", f"{key.capitalize()}, {where}:")
        yield from _columns(told[key]) or ["  none"]


def fields(model: type[BaseModel]) -> list[dict[str, Any]]:
    """The fields of a model: name, type, whether it must be there, what holds where it is not, what it means."""
    try:
        known = model.model_json_schema()
    except PydanticInvalidForJsonSchema:  # a type that only Python knows
        known = {}
    defs, each = known.get("$defs", {}), known.get("properties", {})
    return [
        {
            "name": name,
            "type": kind(each.get(field.alias or name, {}), defs),
            "required": field.is_required(),
            "default": each.get(field.alias or name, {}).get("default"),
            "about": field.description,
        }
        for name, field in model.model_fields.items()
    ]


def kind(schema: Mapping[str, Any], defs: Mapping[str, Any]) -> str:
    """What a value has to be, in words, from its JSON Schema."""
    match schema:
        case {"$ref": reference}:
            return kind(defs[reference.rpartition("/")[2]], defs)
        case {"const": value}:
            return str(value)
        case {"enum": values}:
            return " | ".join(map(str, values))
        case {"anyOf": choices}:
            return " | ".join(kind(each, defs) for each in choices if each != {"type": "null"})
        case {"format": "password"}:
            return "secret"
        case {"format": form}:
            return str(form)
        case {"type": "array"}:
            return f"list of {kind(schema.get('items', {}), defs)}"
        case {"type": name}:
            return KINDS.get(name, str(name))
    return "value"


def _columns(told: Any) -> list[str]:
    """Settings or options as lines: a secret's default is not shown, and there is no place for a value."""
    rows = [
        (
            f"  {each.get('variable', each.get('name'))}",
            "required" if each["required"] else _otherwise(each),
            each["type"],
            each["about"] or "",
        )
        for each in told
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _otherwise(told: Mapping[str, Any]) -> str:
    return "optional" if told["default"] in (None, "", []) or told["type"] == "secret" else f"or {told['default']}"


def _identifiers(cls: type[Connector]) -> str:
    if issubclass(cls, Hashed):
        return ", ".join(" + ".join(kind.needed) for kind in cls.kinds.values())
    if cls.identified_by:
        return ", ".join(sorted(cls.identified_by))
    return "as the sync says" if _chosen(cls) else "the key"


def _chosen(cls: type[Connector]) -> bool:
    """Whether the sync has a say in what identifies a member."""
    return next(base for base in cls.__mro__ if "identify" in vars(base)) is not Connector


def _pace(cls: type[Connector]) -> str:
    limits = cls.limits
    parts = [f"{limits.batch:,} a batch", f"{limits.concurrency} at once" if limits.concurrency > 1 else ""]
    parts.append("" if limits.per_second == float("inf") else f"{limits.per_second:g} calls a second")
    parts += [f"{most:,} calls in {seconds:g} s" for most, seconds in limits.windows]
    parts.append(f"{limits.bytes:,} bytes" if limits.bytes else "")
    return ", ".join(filter(None, parts))


def _writes(cls: type[Connector], verb: str) -> bool:
    return getattr(cls, verb, None) is not getattr(Connector, verb, None)


def _own(name: str, folder: Path) -> bool:
    """Whether the project's own file is the connector: in a checkout, what ships stands in such a folder too."""
    mine, shipped = ((place / f"{name}.py").resolve() for place in connectors.folders(folder))
    return mine.is_file() and mine != shipped


def _said(cls: type[Connector]) -> str:
    return inspect.cleandoc(sys.modules[cls.__module__].__doc__ or "It says nothing of itself.")
