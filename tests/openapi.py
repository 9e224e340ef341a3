"""The schemas of an OpenAPI 3.0 document as JSON Schema, closed: what is not listed is not taken."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

# What the two have in common. https://spec.openapis.org/oas/v3.0.3#schema-object (read 2026-11)
SAME = ("enum", "maxLength", "minLength", "pattern", "maximum", "minimum", "multipleOf", "maxItems", "minItems")
SAME += ("uniqueItems", "maxProperties", "minProperties", "required", "type")
MOST = 300  # characters of a fault's words, which repeat the value
SEVERAL = ("allOf", "anyOf", "oneOf")


@dataclass(frozen=True, eq=False)
class Schemas:
    """What a document's schemas take. Each is turned when it is first asked for: documents have megabytes."""

    document: Mapping[str, Any]
    judges: dict[str, Draft202012Validator] = field(default_factory=dict)

    def seen(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        """A part of the document, or what it refers to."""
        while "$ref" in part:
            part = self._at(part["$ref"])
        return part

    def faults(self, schema: Mapping[str, Any], value: object, *, asked: bool = True) -> list[str]:
        """What is wrong with a value; asked: whether it is sent, so that nothing unlisted or read-only may be in it."""
        mark = f"{asked}{json.dumps(schema)}"
        if mark not in self.judges:
            self.judges[mark] = Draft202012Validator(_Turned(self, asked).root(schema))
        found = {_place(each): each.message[:MOST] for each in _telling(self.judges[mark], value)}
        return [f"{place}: {words}" for place, words in found.items()]

    def _at(self, reference: str) -> Mapping[str, Any]:
        part: Any = self.document
        for name in reference.removeprefix("#/").split("/"):
            part = part[name.replace("~1", "/").replace("~0", "~")]
        return part

    def form(self, schema: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, object]:
        """The values that a form's texts stand for."""
        listed = self.seen(schema).get("properties", {})
        return {name: text_as(self.seen(listed.get(name, {})), text) for name, text in texts.items()}


def text_as(schema: Mapping[str, Any], text: str) -> object:
    """The value that a text in an address or a form stands for; the text itself where it stands for none."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    kinds = {"integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}
    return value if isinstance(value, kinds.get(schema.get("type", ""), ())) else text


def _place(fault: ValidationError) -> str:
    """Where in the value; one place for all items of a list."""
    return "".join("[]" if isinstance(part, int) else f".{part}" for part in fault.absolute_path)


def _telling(judge: Draft202012Validator, value: object) -> list[ValidationError]:
    """The faults, each where it is deepest: an item that fits no kind is told by the kind that it is nearest to."""
    return [best_match([each]) for each in judge.iter_errors(value)]


@dataclass
class _Turned:
    """One schema with all that it refers to. defs: those, by reference; a second time, open, for use inside allOf."""

    schemas: Schemas
    asked: bool
    defs: dict[str, object] = field(default_factory=dict)

    def root(self, schema: Mapping[str, Any]) -> dict[str, object]:
        return {**self.turn(schema, self.asked), "$defs": self.defs}

    def turn(self, schema: Mapping[str, Any], close: bool) -> dict[str, object]:
        if "$ref" in schema:
            return self._refer(schema["$ref"], close)
        turned = {name: schema[name] for name in SAME if name in schema} | self._parts(schema)
        several = [name for name in SEVERAL if name in schema]
        # Beside others a part cannot be closed by itself: it would refuse what its neighbours list.
        own = bool(schema.get("properties")) or "allOf" in schema
        for name in several:
            turned[name] = [self.turn(each, close and not own) for each in schema[name]]
        if close and own and "additionalProperties" not in schema:
            turned["unevaluatedProperties"] = False
        for low, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            if schema.get(exclusive) is True and low in turned:
                turned[exclusive] = turned.pop(low)
        return _or_null(turned) if schema.get("nullable") else turned

    def _parts(self, schema: Mapping[str, Any]) -> dict[str, object]:
        turned: dict[str, object] = {}
        if "items" in schema:
            turned["items"] = self.turn(schema["items"], self.asked)
        if isinstance(more := schema.get("additionalProperties"), Mapping):
            turned["additionalProperties"] = self.turn(more, self.asked)
        elif more is not None:
            turned["additionalProperties"] = more
        if listed := schema.get("properties"):
            kept = {name: each for name, each in listed.items() if not (self.asked and self._settled(each))}
            turned["properties"] = {name: self.turn(each, self.asked) for name, each in kept.items()}
            turned["required"] = [name for name in schema.get("required", ()) if name in kept or name not in listed]
        if patterns := schema.get("patternProperties"):  # of 3.1
            turned["patternProperties"] = {name: self.turn(each, self.asked) for name, each in patterns.items()}
        if "not" in schema:
            turned["not"] = self.turn(schema["not"], False)
        return turned

    def _settled(self, schema: Mapping[str, Any]) -> bool:
        """Whether a property is the vendor's to set."""
        return bool(self.schemas.seen(schema).get("readOnly"))

    def _refer(self, reference: str, close: bool) -> dict[str, object]:
        name = reference.replace("/", ".").lstrip("#.") + ("" if close else ".open")
        if name not in self.defs:
            self.defs[name] = {}  # a schema that refers to itself finds this, and it is filled below
            self.defs[name] = self.turn(self.schemas.seen({"$ref": reference}), close)
        return {"$ref": f"#/$defs/{name}"}


def _or_null(turned: dict[str, object]) -> dict[str, object]:
    return {"anyOf": [turned, {"type": "null"}]}
