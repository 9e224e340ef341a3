"""A vendor's own specification (OpenAPI 3.0), and all in a call that is not as it says.

It is read more strictly than most vendors write it: an object whose properties are listed takes no others, a query has
no parameter that nobody names, and what is read-only is not sent. So a misspelt field is a fault, as it is to whoever
waits for its effect.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx
import orjson

from openapi import Schemas, text_as

JSON = re.compile(r"application/([\w.-]+\+)?json")
FORM = "application/x-www-form-urlencoded"
METHODS = ("get", "put", "post", "delete", "patch")


@dataclass(frozen=True)
class Operation:
    """One thing that an API does. name: method and path as the vendor writes them."""

    name: str
    method: str
    path: re.Pattern[str]
    said: Mapping[str, Any]
    schemas: Schemas

    @cached_property
    def body(self) -> Mapping[str, Any]:
        """Media type -> schema of the request's body; none where it takes no body."""
        found = self.schemas.seen(self.said.get("requestBody", {})).get("content", {})
        return {media: each.get("schema", {}) for media, each in found.items()}

    @property
    def parameters(self) -> list[Mapping[str, Any]]:
        return [self.schemas.seen(each) for each in self.said["parameters"]]


@dataclass(frozen=True)
class Specification:
    """Several documents as one: what an account of the vendor's can do."""

    operations: Sequence[Operation]

    def found(self, request: httpx.Request) -> list[Operation]:
        """The operations that a request may mean: those with the fewest blanks in their path.

        More than one only where the vendor tells operations on one address apart by a #fragment, which never travels,
        and the connector's own address has none.
        """
        meant, mark = _address(request), f"#{request.url.fragment}"
        same = [each for each in self.operations if each.method == request.method and each.path.fullmatch(meant)]
        fewest = min((each.path.groups for each in same), default=0)
        found = [each for each in same if each.path.groups == fewest]
        return [each for each in found if each.name.endswith(mark)] if request.url.fragment else found

    def faults(self, request: httpx.Request) -> list[str]:
        """What in a request is not as specified; nothing where it is valid."""
        operations = self.found(request)
        if not operations:
            return [f"the specification has no {request.method} {_address(request)}"]
        first = operations[0]
        told = [*_placed(first, request), *_queried(operations, request), *_headed(first, request)]
        return [f"{first.name}: {each}" for each in [*told, *_secured(first, request), *_carried(operations, request)]]

    def signing(self, request: httpx.Request) -> set[str]:
        """The headers, in lower case, that may hold a key of the vendor's own to sign in with."""
        keys = (key for each in self.found(request) for key in _keys(each))
        return {key["name"].lower() for key in keys if key["type"] == "apiKey" and key["in"] == "header"}

    def untrue(self, request: httpx.Request, answer: httpx.Response) -> list[str]:
        """What in an answer the vendor would not have said: a status, a media type or a body of its own."""
        operation = self.found(request)[0]
        answers = operation.said["responses"]
        known = answers.get(str(answer.status_code)) or answers.get("default")
        if known is None:
            return [f"{operation.name}: answers no {answer.status_code}"]
        content = operation.schemas.seen(known).get("content", {})
        media = answer.headers.get("content-type", "").partition(";")[0]
        if not content or not answer.content:
            return [] if not content and not answer.content else [f"{operation.name}: a body where none is, or none"]
        described = content.get(media) or content.get("*/*")
        if described is None:
            return [f"{operation.name}: answers no {media or 'nameless body'}"]
        whole = operation.schemas.faults(described.get("schema", {}), _read(media, answer.content), asked=False)
        return [f"{operation.name} {answer.status_code}: {each}" for each in whole]


def read(document: Mapping[str, Any], servers: Sequence[str] = ()) -> list[Operation]:
    """The operations of one document; servers: its addresses, where the document does not tell them as they are."""
    schemas = Schemas(document)
    bases = "|".join(_server(each) for each in [*({"url": url} for url in servers)] or document["servers"])
    return [
        Operation(
            f"{method.upper()} {path}",
            method.upper(),
            re.compile(f"(?:{bases}){_template(path.partition('#')[0].rstrip('/'))}"),
            {**said, "parameters": [*operations.get("parameters", ()), *said.get("parameters", ())]}
            | {"security": said.get("security", document.get("security", []))},
            schemas,
        )
        for path, operations in document["paths"].items()
        for method, said in operations.items()
        if method in METHODS
    ]


def _server(server: Mapping[str, Any]) -> str:
    known = {name: each.get("enum", ()) for name, each in server.get("variables", {}).items()}
    parts = re.split(r"\{(\w+)\}", server["url"].rstrip("/"))
    return "".join(
        (f"(?:{'|'.join(map(re.escape, known.get(part, ()))) or '[^/.]+'})" if number % 2 else re.escape(part))
        for number, part in enumerate(parts)
    )


def _address(request: httpx.Request) -> str:
    """All of it before the query."""
    return str(request.url.copy_with(query=None, fragment=None)).rstrip("/")


def _template(path: str) -> str:
    parts = re.split(r"\{([^}]+)\}", path)
    return "".join("([^/]+)" if number % 2 else re.escape(part) for number, part in enumerate(parts))


def _placed(operation: Operation, request: httpx.Request) -> Iterator[str]:
    """The blanks of the path."""
    names = re.findall(r"\{([^}]+)\}", operation.name)
    known = {each["name"]: each for each in operation.parameters if each["in"] == "path"}
    for name, value in zip(names, operation.path.fullmatch(_address(request)).groups(), strict=True):
        schema = known.get(name, {}).get("schema", {})
        for fault in operation.schemas.faults(schema, text_as(schema, unquote(value))):
            yield f"the path's {name}: {fault}"


def _queried(operations: Sequence[Operation], request: httpx.Request) -> Iterator[str]:
    known = {p["name"]: (each, p) for each in operations for p in each.parameters if p["in"] == "query"}
    given = request.url.params
    for name in known.keys() - given.keys():
        if known[name][1].get("required"):
            yield f"the query lacks {name}"
    keys = {key["name"] for each in operations for key in _keys(each) if key.get("in") == "query"}
    for name in given:
        if name in known:
            operation, parameter = known[name]
            value = _value(parameter, given.get_list(name))
            faults = operation.schemas.faults(parameter.get("schema", {}), value)
            yield from (f"the query's {name}{each}" for each in faults)
        elif name not in keys:
            yield f"the query has an unknown {name}"


def _value(parameter: Mapping[str, Any], texts: Sequence[str]) -> object:
    """What a parameter stands for. A list is written as its name several times, or once with commas."""
    schema = parameter.get("schema", {})
    if schema.get("type") != "array":
        return text_as(schema, texts[0]) if len(texts) == 1 else list(texts)
    parts = texts if parameter.get("explode", True) else [each for text in texts for each in text.split(",")]
    return [text_as(schema.get("items", {}), part) for part in parts]


def _headed(operation: Operation, request: httpx.Request) -> Iterator[str]:
    for each in operation.parameters:
        if each["in"] != "header" or each["name"].lower() in ("accept", "content-type", "authorization"):
            continue  # which OpenAPI 3.0 says to ignore here
        value, schema = request.headers.get(each["name"]), each.get("schema", {})
        if value is None and each.get("required"):
            yield f"the header {each['name']} is missing"
        elif value is not None:
            yield from (
                f"{each['name']}: {fault}" for fault in operation.schemas.faults(schema, text_as(schema, value))
            )


def _keys(operation: Operation) -> list[Mapping[str, Any]]:
    """The ways to sign in that an operation takes."""
    known = operation.schemas.document.get("components", {}).get("securitySchemes", {})
    return [known[name] for choice in operation.said["security"] for name in choice]


def _secured(operation: Operation, request: httpx.Request) -> Iterator[str]:
    choices = operation.said["security"]
    known = operation.schemas.document.get("components", {}).get("securitySchemes", {})
    if choices and not any(all(_signs(known[name], request) for name in choice) for choice in choices):
        yield f"it is not signed in by any of: {', '.join('+'.join(choice) for choice in choices)}"


def _signs(scheme: Mapping[str, Any], request: httpx.Request) -> bool:
    kind, _, rest = request.headers.get("authorization", "").partition(" ")
    match scheme["type"], scheme.get("scheme", "").lower():
        case "apiKey", _:
            places = {"header": request.headers, "query": request.url.params}
            return scheme["name"] in places.get(scheme["in"], ())
        case "http", "basic":
            return kind == "Basic" and b":" in b64decode(rest)
        case _:
            return kind == "Bearer" and bool(rest)


def _carried(operations: Sequence[Operation], request: httpx.Request) -> Iterator[str]:
    """The body: valid by one of the operations, or each of its items by one, where it is a list of several kinds."""
    first = operations[0]
    media = request.headers.get("content-type", "").partition(";")[0]
    if not request.content:
        if first.schemas.seen(first.said.get("requestBody", {})).get("required"):
            yield "the body is missing"
        return
    schemas = [each.body[media] for each in operations if media in each.body]
    if not schemas:
        yield f"it takes no body of the type {media!r}" if first.body else "it takes no body"
        return
    schema = _either(schemas)
    try:
        content = _read(media, request.content)
    except ValueError:
        yield f"the body is no {media}"
        return
    if media == FORM:
        content = first.schemas.form(schema, content)
    yield from (f"the body{each}" for each in first.schemas.faults(schema, content))


def _either(schemas: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of one, itself. Of several, a list whose items are each as one of them says: a batch of unlike updates."""
    if len(schemas) == 1:
        return schemas[0]
    lists = [each for each in schemas if each.get("type") == "array"]
    return {"type": "array", "minItems": 1, "items": {"anyOf": [each["items"] for each in lists]}}


def _read(media: str, content: bytes) -> Any:
    if JSON.fullmatch(media):
        return orjson.loads(content)
    if media == FORM:
        return dict(parse_qsl(content.decode(), keep_blank_values=True, strict_parsing=True))
    return content.decode()
