"""What the vendors' own SDKs send for the calls that a connector makes, and all in which its requests are unlike them.

tests/sdk/NAME.py has the SDK make the calls, `make sdk` writes what it sent to tests/sdk/NAME.json, and tests/sdks.toml
names what may differ, what no SDK sends, and the vendors that have none.
"""

from __future__ import annotations

import json
import re
import tomllib
from base64 import b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx

from test_every_connector import ROOTS

LISTS = [file for root in ROOTS if (file := root / "tests" / "sdks.toml").is_file()]
NAMED = {name: each for file in LISTS for name, each in tomllib.loads(file.read_text("utf-8")).items()}
FILES = {file.stem: file for root in ROOTS for file in sorted(root.glob("tests/sdk/*.json"))}
FORM = "application/x-www-form-urlencoded"


@cache
def of(name: str) -> Mapping[str, Any]:
    """{sdk, version, requests: [{call, method, url, headers, body}]} of a connector, as `make sdk` has written it."""
    return json.loads(FILES[name].read_text("utf-8"))


def meant(calls: Sequence[str], request: httpx.Request) -> str | None:
    """Which of the calls, each a method and a path with {blanks}, a request is: the one with the fewest blanks."""
    made = f"{request.method} {_place(request)}"
    found = [each for each in calls if re.fullmatch(re.sub(r"\\\{[^}]+\}", "[^/]+", re.escape(each)), made)]
    return min(found, key=lambda each: each.count("{"), default=None)


def unlike(name: str, sent: Mapping[str, Any], here: httpx.Request | None) -> list[str]:
    """All in a request of a connector's that is not as the SDK sent it; None: it makes none of that call."""
    if here is None:
        return [f"{sent['call']}: it is not made here"]
    there, query, body = told_by(name, sent)
    told = [*_addressed(there, here), *_queried(query, here.url.params.multi_items()), *_headed(there, here, body)]
    return [f"{sent['call']}: {each}" for each in [*told, *_carried(body, body_of(here), "the body")]]


def told_by(name: str, sent: Mapping[str, Any]) -> tuple[httpx.Request, list[tuple[str, str]], Any]:
    """What an SDK sent: without its body, the parameters, the body's value."""
    there = httpx.Request(sent["method"], sent["url"], headers=sent["headers"])
    query, body = there.url.params.multi_items(), sent["body"]
    if (token := NAMED[name].get("token")) and token in there.url.params:
        there.headers["authorization"] = f"Bearer {there.url.params[token]}"
        query = [each for each in query if each[0] != token]
    if _media(there) == FORM:
        body = dict(parse_qsl(body, keep_blank_values=True))
        body |= {each: json.loads(body[each]) for each in NAMED[name].get("json", ()) if each in body}
        if field := NAMED[name].get("field"):
            query, body = [*query, *((k, v) for k, v in body.items() if k != field)], json.loads(body[field])
    return there, query, body


def names(query: Iterable[tuple[str, str]], body: object) -> set[str]:
    """Of the parameters, and of what the body has at its top."""
    return {f"the query has {name}" for name, _ in query} | {
        f"the body has .{name}" for name in (body if isinstance(body, dict) else ())
    }


def unnamed(name: str, sent: Mapping[str, Any], here: httpx.Request | None) -> list[str]:
    """The same, but for what tests/sdks.toml names, for one call or for any."""
    known = NAMED[name].get("unlike", {}).keys()
    return [each for each in unlike(name, sent, here) if not {each, each.partition(": ")[2]} & known]


def body_of(request: httpx.Request) -> Any:
    """What a request carries: of a form its fields, else the JSON or the text; None where there is nothing."""
    text = request.content.decode()
    if _media(request) == FORM:
        return dict(parse_qsl(text, keep_blank_values=True))
    return json.loads(text) if "json" in _media(request) and text else text or None


def _place(request: httpx.Request) -> str:
    return request.url.raw_path.decode().partition("?")[0]


def _addressed(there: httpx.Request, here: httpx.Request) -> Iterator[str]:
    """Method, host and path; each part of it as it is meant, since @ may be written as it is or as %40."""
    if there.method != here.method:
        yield f"the method is {there.method} there, {here.method} here"
    if (there.url.scheme, there.url.host) != (here.url.scheme, here.url.host):
        yield f"the host is {there.url.host} there, {here.url.host} here"
    if [*map(unquote, _place(there).split("/"))] != [*map(unquote, _place(here).split("/"))]:
        yield f"the path is {_place(there)} there, {_place(here)} here"


def _queried(there: Sequence[tuple[str, str]], here: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield from (f"the query has {name}={value} there" for name, value in there if (name, value) not in here)
    yield from (f"the query has {name}={value} here" for name, value in here if (name, value) not in there)


def _headed(there: httpx.Request, here: httpx.Request, body: object) -> Iterator[str]:
    """The headers of the SDK that are others here; the media type counts where there is something of that type."""
    if body and _media(there) and _media(there) != _media(here):
        yield f"the body is {_media(there)} there, {_media(here) or 'nothing'} here"
    for name in [each for each in there.headers if each not in ("content-length", "content-type", "host")]:
        if there.headers[name] != here.headers.get(name):
            yield f"the header {name} is {_shown(there, name)} there, {_shown(here, name)} here"


def _media(request: httpx.Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0]


def _shown(request: httpx.Request, name: str) -> str:
    """A header as a person reads it."""
    kind, _, rest = request.headers.get(name, "nothing").partition(" ")
    return f"{kind} {b64decode(rest).decode()}" if kind == "Basic" else f"{kind} {rest}".strip()


def _carried(there: object, here: object, place: str) -> Iterator[str]:
    """Where two bodies are not the same; one place for all items of a list."""
    if isinstance(there, dict) and isinstance(here, dict):
        yield from (f"{place} has .{name} there" for name in there.keys() - here.keys())
        yield from (f"{place} has .{name} here" for name in here.keys() - there.keys())
        for name in there.keys() & here.keys():
            yield from _carried(there[name], here[name], f"{place}.{name}")
    elif isinstance(there, list) and isinstance(here, list):
        if len(there) != len(here):
            yield f"{place} has {len(there)} items there, {len(here)} here"
        for one, other in zip(there, here, strict=False):
            yield from _carried(one, other, f"{place}[]")
    elif type(there) is not type(here) and str(there) == str(here):
        yield f"{place} is of type {type(there).__name__} there, {type(here).__name__} here"
    elif type(there) is not type(here) or there != here:
        yield f"{place} is {json.dumps(there)} there, {json.dumps(here)} here"
