"""The header as JSON Schema, for editors and for programs that write definitions."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, create_model
from pydantic.json_schema import models_json_schema

from audiences.keys import Header, SyncKeys

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def header(options: Mapping[str, type[BaseModel]]) -> dict[str, object]:
    """The schema of a header, as read from TOML.

    options: connector -> its `Options`; a section of that name holds these beside the keys of every sync, no others
    """
    sections = {name: create_model(f"{name}_section", __base__=(SyncKeys, own)) for name, own in options.items()}
    models: list[type[BaseModel]] = [Header, *sections.values()]
    names, whole = models_json_schema([(model, "validation") for model in models])
    parts = whole["$defs"]
    top = parts.pop(names[Header, "validation"]["$ref"].rpartition("/")[2])
    top["properties"]["sync"]["properties"] = {name: names[model, "validation"] for name, model in sections.items()}
    return {"$schema": DRAFT, **top, "title": "The header of an audience file", "$defs": parts}
