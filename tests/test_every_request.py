"""Each request that a connector makes is valid by the vendor's own published specification, and so are the answers of
its sandbox. Which files those are: tests/specifications.toml. Nothing here knows a connector by name.

A connector whose proof is "specification" is held to its vendor's by being named there. One that makes calls beyond it
is held to it in the others.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import orjson
import pytest

import captured
import specified
import story
from audiences import Proof, connectors
from audiences.http.wire import SIGN_IN
from test_every_connector import FILES, VALUES, sandbox_of

HELD = {path.stem: path for path in FILES if path.stem in specified.NAMED}


@cache
def ways_of(name: str) -> tuple[dict, ...]:
    """The options of a sync that a connector's sandbox tries."""
    return getattr(sandbox_of(HELD[name]), "options", ({},))


every_connector = pytest.mark.parametrize("name", HELD)
excused = pytest.mark.parametrize("name", [name for name in HELD if specified.NAMED[name].get("unlike")])
every_way = pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param(name, orjson.dumps(options).decode(), id="-".join([name, *map(str, options.values())]))
        for name in HELD
        for options in ways_of(name)
    ],
)


@cache
def everything(name: str, options: str) -> list[tuple[httpx.Request, httpx.Response]]:
    """What a connector and its sandbox say to each other in the long story, once for all tests."""
    path = HELD[name]
    assert sandbox_of(path), f"{path.name} has no sandbox"
    sandbox = story.sandbox_with(sandbox_of(path), way := orjson.loads(options))
    with TemporaryDirectory() as folder:
        return story.recorded(path, way, sandbox, Path(folder), VALUES)


@cache
def calls(name: str, options: str) -> list[tuple[httpx.Request, httpx.Response]]:
    """The same, but for sign-ins, which are as RFC 6749 has them, and for calls that are not in the vendor's files."""
    told = [each for each in everything(name, options) if SIGN_IN not in each[0].extensions]
    return [each for each in told if not beyond(name, each[0])]


def beyond(name: str, request: httpx.Request) -> str | None:
    """The line that says why a call is not in the vendor's files; None: it has to be there."""
    return captured.meant([*specified.NAMED[name].get("beyond", ())], request)


def unexcused(name: str, complaints: set[str]) -> set[str]:
    """Those that no line of the list begins."""
    return {each for each in complaints if not each.startswith(tuple(specified.NAMED[name].get("unlike", ())))}


@cache
def invalid(name: str, options: str) -> set[str]:
    """What in a connector's requests is not as specified."""
    specification = specified.of(name)
    return {each for request, _ in calls(name, options) for each in specification.faults(request)}


@cache
def untrue(name: str, options: str) -> set[str]:
    """What in the answers to them is not."""
    specification = specified.of(name)
    return {each for told in calls(name, options) for each in specification.untrue(*told)}


def exchanged(name: str) -> list[tuple[httpx.Request, httpx.Response]]:
    """A connector's story, in all of its ways."""
    return [each for options in ways_of(name) for each in calls(name, orjson.dumps(options).decode())]


def spoken(name: str) -> list[httpx.Request]:
    """Its requests alone."""
    return [request for request, _ in exchanged(name)]


def shortest(name: str) -> dict[str, httpx.Request]:
    """One request of each call, the one with the least to read."""
    specification = specified.of(name)
    by_length = sorted(spoken(name), key=lambda request: -len(request.content))
    return {specification.found(each)[0].name: each for each in by_length}


def like(request: httpx.Request, **other) -> httpx.Request:
    """The same request, but for these parts."""
    kept = {name: value for name, value in request.headers.items() if name not in ("content-length", "host")}
    parts = {"method": request.method, "url": request.url, "content": request.content, **other}
    return httpx.Request(parts.pop("method"), parts.pop("url"), **parts | {"headers": kept | other.get("headers", {})})


def altered(body: object, place: list[str], how: str) -> object:
    """A body with one fault at a place: a misspelt name, a number where a text was, an object where a list was."""
    other = {"number": 7, "object": {}}
    if not place:
        return other[how]
    *above, last = place
    part = body
    for step in above:
        part = part[int(step) if isinstance(part, list) else step]
    last = int(last) if isinstance(part, list) else last
    if how == "misspelt":
        part[f"{last}x"] = part.pop(last)
    else:
        part[last] = other[how]
    return body


@every_way
def test_every_request_is_valid(name, options):
    """
    Path, query, headers, sign-in, media type and body of every call are as the vendor specifies them.
    """
    faults = invalid(name, options)

    assert calls(name, options)
    assert not unexcused(name, faults), "\n".join(sorted(faults))


@every_way
def test_every_answer_is_one_that_the_vendor_gives(name, options):
    """
    A sandbox answers with statuses and bodies as the vendor specifies them, so that it proves something.
    """
    strange = unexcused(name, untrue(name, options))

    assert not strange, "\n".join(sorted(strange))


@every_connector
def test_an_altered_answer_is_caught(name):
    """
    Of every answer that has a body: another media type, or a body that is no JSON object.
    """
    specification = specified.of(name)
    told = {specification.found(each)[0].name: (each, answer) for each, answer in exchanged(name) if answer.is_success}
    bodies = [(request, answer) for request, answer in told.values() if answer.content]

    for request, answer in bodies:
        strange = httpx.Response(answer.status_code, content=b"a;b", headers={"content-type": "text/csv"})
        empty = httpx.Response(answer.status_code, json=[1])

        assert specification.untrue(request, strange)
        assert specification.untrue(request, empty)
    assert bodies


@excused
def test_no_excuse_outlives_its_reason(name):
    """
    Each line that says where a sandbox may answer, or a connector ask, otherwise is still needed.
    """
    ways = [orjson.dumps(options).decode() for options in ways_of(name)]

    found = {each for way in ways for each in invalid(name, way) | untrue(name, way)}

    for known in specified.NAMED[name]["unlike"]:
        assert any(each.startswith(known) for each in found), known


@every_connector
def test_what_is_beyond_the_files_is_asked_and_not_in_them(name):
    """
    Each line that names a call as beyond the vendor's files is of one that is made, and that they do not have.
    """
    specification = specified.of(name)

    told = [each for options in ways_of(name) for each, _ in everything(name, orjson.dumps(options).decode())]
    over = [each for each in told if beyond(name, each)]

    assert {beyond(name, each) for each in over} == {*specified.NAMED[name].get("beyond", ())}
    assert not [each.url for each in over if specification.found(each)]


@every_connector
@pytest.mark.parametrize("how", ["misspelt", "number", "object"])
def test_an_altered_body_is_caught(name, how):
    """
    A misspelt field, a number for a text, an object for a list: none passes as a request that the vendor takes.
    """
    specification, where = specified.of(name), specified.NAMED[name]["altered"][how]
    request = next(each for each in spoken(name) if specification.found(each)[0].name == where["call"])
    body = altered(orjson.loads(request.content), where["place"], how)

    faults = specification.faults(like(request, content=orjson.dumps(body)))

    assert not specification.faults(request)
    assert len(faults) >= 1


@every_connector
@pytest.mark.parametrize(
    ("words", "alter"),
    [
        ("unknown misspelt", lambda request: like(request, url=request.url.copy_merge_params({"misspelt": "1"}))),
        ("has no TRACE", lambda request: like(request, method="TRACE")),
        ("has no", lambda request: like(request, url=request.url.copy_with(path=f"{request.url.path}/of/nowhere"))),
        ("has no", lambda request: like(request, url=request.url.copy_with(host="api.example.com"))),
        ("takes no body", lambda request: like(request, content=b"a;b", headers={"content-type": "text/csv"})),
    ],
    ids=["query", "method", "path", "host", "body"],
)
def test_an_altered_call_is_caught(name, words, alter):
    """
    Of every call: a parameter that the vendor does not know, another method, path, host or media type.
    """
    specification = specified.of(name)
    asked = shortest(name)

    faults = {call: specification.faults(alter(request)) for call, request in asked.items()}

    assert faults
    assert not [call for call, found in faults.items() if words not in "".join(found)]


@every_connector
def test_a_call_that_is_not_signed_in_is_caught(name):
    """
    Wherever the vendor asks for credentials, a call without them is none that it takes.
    """
    specification = specified.of(name)
    asked = shortest(name).values()

    for request in [each for each in asked if all(specification.found(each)[0].said["security"] or [{}])]:
        signing = {"authorization", *specification.signing(request)}
        headers = {name: value for name, value in request.headers.items() if name not in signing}
        bare = httpx.Request(request.method, request.url, headers=headers, content=request.content)

        assert "not signed in" in "".join(specification.faults(bare))


def test_whoever_is_held_to_a_specification_says_so():
    """
    The connectors with the proof "specification" are those that are named beside a vendor's files and make no call that
    is not in them, and no others.
    """
    found = {path.stem: connectors.find(path.stem, [path.parent]) for path in FILES}

    whole = {name for name, each in specified.NAMED.items() if "beyond" not in each}
    assert {name for name, cls in found.items() if cls.proof is Proof.SPECIFICATION} == whole


@every_connector
def test_a_public_clone_is_told_how_to_get_the_files(name, tmp_path):
    """
    Where there is no folder of specifications, the test is skipped with each file's source and the variable to export.
    """
    told = specified.wanted(name)

    assert specified.folder(tmp_path / "deep" / "clone", None) is None
    assert all(each["file"] in told and each["source"] in told for each in specified.NAMED[name]["files"])
    assert "export AUDIENCES_SPECIFICATIONS=" in told


@every_connector
def test_a_file_that_is_missing_or_another_fails(name, tmp_path):
    """
    Where the folder is there, a named file that is not in it, or not the one that was read, is an error and no skip.
    """
    with pytest.raises(AssertionError, match="is missing"):
        specified.load(name, tmp_path)
    for each in specified.NAMED[name]["files"]:
        (tmp_path / each["file"]).parent.mkdir(exist_ok=True)
        (tmp_path / each["file"]).write_text("{}")

    with pytest.raises(AssertionError, match="is not the file that was read"):
        specified.load(name, tmp_path)
