"""A vendor's Swagger 2.0 document as OpenAPI 3.0, as far as the two differ. What it refers to stays where it is.

https://swagger.io/specification/v2/ (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

METHODS = ("get", "put", "post", "delete", "patch")
AROUND = ("name", "in", "required", "description", "collectionFormat")  # of a parameter; all else is its schema
JSON = ("application/json",)  # where a document names no media type


def raised(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with servers, request bodies, contents and security schemes in their places of OpenAPI 3.0."""
    base = f"{document['host']}{document.get('basePath', '')}".rstrip("/")
    return {
        **document,
        "servers": [{"url": f"{scheme}://{base}"} for scheme in document.get("schemes", ("https",))],
        "components": {"securitySchemes": document.get("securityDefinitions", {})},
        "paths": {
            path: {method: _operation(document, said) for method, said in said.items() if method in METHODS}
            for path, said in document["paths"].items()
        },
    }


def _operation(document: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    parameters = said.get("parameters", ())
    takes, gives = (said.get(name) or document.get(name) or JSON for name in ("consumes", "produces"))
    bodies = [
        {"required": each.get("required", False), "content": {media: {"schema": each["schema"]} for media in takes}}
        for each in parameters
        if each["in"] == "body"
    ]
    return {
        **said,
        **({"requestBody": bodies[0]} if bodies else {}),
        "parameters": [_parameter(each) for each in parameters if each["in"] != "body"],
        "responses": {
            status: {"content": {media: {"schema": each["schema"]} for media in gives}} if "schema" in each else {}
            for status, each in said["responses"].items()
        },
    }


def _parameter(said: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: said[name] for name in AROUND if name in said}
    schema = {name: value for name, value in said.items() if name not in AROUND}
    return {**kept, "schema": schema, "explode": said.get("collectionFormat") == "multi"}
