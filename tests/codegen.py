"""The files from which Meta makes its SDKs, as OpenAPI 3.0: the edges of one node of its graph, and what each is told.

A file has a node's own calls (#get, #update, #delete), its edges (method, endpoint, params), and the fields of what is
read. Types are names; of an Object it says no more. What all edges have in common is not in the files, but on the page
on reading: fields, limit and after.
https://github.com/facebook/facebook-business-sdk-codegen, https://developers.facebook.com/docs/graph-api/results
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

NODES = {"AdAccount": "act_{account}", "CustomAudience": "{audience}"}
TYPES = {"string": "string", "bool": "boolean", "int": "integer", "unsigned int": "integer", "float": "number"}
TYPES |= {"Object": "object", "map": "object"}
MEDIA = ("application/json", "application/x-www-form-urlencoded")
EVERYWHERE = [
    {"name": "fields", "type": "string"},
    {"name": "limit", "type": "int"},
    {"name": "after", "type": "string"},
]
ITEM = re.compile(r"list<(.+)>")


def raised(document: Mapping[str, Any], node: str) -> dict[str, Any]:
    """The document of a node, by its name. Where the graph is, it does not tell."""
    fields = {each["name"]: schema(each["type"]) for each in document["fields"]}
    paths: dict[str, dict[str, Any]] = {}
    for each in document["apis"]:
        path = f"/{NODES[node]}" + (f"/{each['endpoint']}" if "endpoint" in each else "")
        paths.setdefault(path, {})[each["method"].lower()] = _operation(each, fields)
    token = {"type": "http", "scheme": "bearer"}
    proof = {"type": "apiKey", "in": "query", "name": "appsecret_proof"}
    return {
        "info": {"version": "none"},
        "components": {"securitySchemes": {"token": token, "proof": proof}},
        "security": [{"token": []}, {"token": [], "proof": []}],
        "paths": paths,
    }


def schema(kind: str) -> dict[str, Any]:
    """A type of Meta's; one with a name of its own is a text where it is an enumeration, else anything."""
    if listed := ITEM.fullmatch(kind):
        return {"type": "array", "items": schema(listed[1])}
    if kind in TYPES or kind.startswith("map<"):
        return {"type": TYPES.get(kind, "object")}
    return {"type": "string"} if kind.islower() or "_enum" in kind else {}


def _operation(said: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    reads = said["method"] == "GET"
    params = {each["name"]: each for each in [*said["params"], *(EVERYWHERE if reads else ())]}
    told: dict[str, Any] = {"responses": {"200": {"content": {MEDIA[0]: {"schema": _answer(said, fields)}}}}}
    if reads:
        told["parameters"] = [
            {"name": name, "in": "query", "explode": False, "schema": schema(each["type"])}
            for name, each in params.items()
        ]
        return told
    properties = {name: schema(each["type"]) for name, each in params.items()}
    needed = [name for name, each in params.items() if each.get("required")]
    body = {"type": "object", "properties": properties, "required": needed}
    return told | {"requestBody": {"content": {media: {"schema": body} for media in MEDIA}}}


def _answer(said: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """What is read is a node or a page of them; what a change is answered the files do not say."""
    if said["method"] != "GET":
        return {"type": "object"}
    if "endpoint" not in said:
        return {"type": "object", "properties": dict(fields)}
    page = {"data": {"type": "array", "items": {"type": "object"}}, "paging": {"type": "object"}}
    return {"type": "object", "properties": page, "required": ["data"]}
