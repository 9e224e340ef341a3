"""A discovery document of Google's as OpenAPI 3.0, as far as its own calls go.

https://developers.google.com/discovery/v1/reference/apis, and of errors, https://google.aip.dev/193 (read 2026-11)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

JSON = "application/json"
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "status"],
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "status": {"type": "string"},
                "details": {"type": "array", "items": {"type": "object", "required": ["@type"]}},
            },
        }
    },
}


def raised(document: Mapping[str, Any]) -> dict[str, Any]:
    """Servers, paths, schemas and sign-in in their places of OpenAPI 3.0; its revision is its version."""
    paths: dict[str, dict[str, Any]] = {}
    for method in _methods(document):
        paths.setdefault(f"/{method['flatPath']}", {})[method["httpMethod"].lower()] = _operation(document, method)
    return {
        "info": {"title": document["title"], "version": document["revision"]},
        "servers": [{"url": document["rootUrl"] + document["servicePath"]}],
        "paths": paths,
        "components": {
            "schemas": _referring(document["schemas"]),
            "securitySchemes": {"oauth2": {"type": "oauth2"}},
        },
    }


def _methods(part: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for resource in part.get("resources", {}).values():
        yield from resource.get("methods", {}).values()
        yield from _methods(resource)


def _operation(document: Mapping[str, Any], method: Mapping[str, Any]) -> dict[str, Any]:
    # What a flat path has in the place of a parameter that spans several of its parts is named nowhere else.
    asked = {name: each for name, each in method.get("parameters", {}).items() if each["location"] != "path"}
    request = {"requestBody": {"required": True, "content": _content(method["request"])}} if "request" in method else {}
    return {
        **request,
        "parameters": [_parameter(name, each) for name, each in {**document["parameters"], **asked}.items()],
        "responses": {
            "200": {"content": _content(method["response"])},
            "default": {"content": {JSON: {"schema": ERROR}}},
        },
        "security": [{"oauth2": method["scopes"]}],
    }


def _parameter(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    schema = {key: value for key, value in said.items() if key in ("type", "enum", "pattern", "items")}
    return {"name": name, "in": said["location"], "required": said.get("required", False), "schema": schema}


def _content(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {JSON: {"schema": _referring(schema)}}


def _referring(part: Any) -> Any:
    """The same, with each reference by its place in the document."""
    if isinstance(part, Mapping):
        return {
            name: f"#/components/schemas/{each}" if name == "$ref" and isinstance(each, str) else _referring(each)
            for name, each in part.items()
        }
    return [_referring(each) for each in part] if isinstance(part, list) else part
