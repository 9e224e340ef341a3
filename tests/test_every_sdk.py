"""Each request that a connector makes is the one that the vendor's own SDK sends for the same call, where there is one.

What the SDKs sent is in tests/sdk/, and what may differ in tests/sdks.toml; nothing here knows a connector by name.
"""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import httpx
import orjson
import pytest

import captured
import story
from audiences import Proof, connectors
from scale import THOROUGH
from test_every_connector import FILES, sandbox_of
from test_every_request import like

HOUSE = Path(__file__).parent.parent
OUTSIDE = dict(os.environ)  # as it is for whoever runs the tests: to fetch may take authorities of their own
FOLDER = HOUSE / "tests" / "sdk"
PATHS = {path.stem: path for path in FILES}
HELD = sorted(PATHS.keys() & captured.FILES.keys())
SHORT = 10_000  # bytes; the SDKs are asked to send two people, and no full batch

every_sdk = pytest.mark.parametrize("name", HELD)


@cache
def spoken(name: str) -> list[tuple[str | None, httpx.Request]]:
    """(call, request) of all that a connector says in the long story, in all of its ways."""
    module, told = sandbox_of(PATHS[name]), []
    with TemporaryDirectory() as folder:
        for way in getattr(module, "options", ({},)):
            told += story.recorded(PATHS[name], way, story.sandbox_with(module, way), Path(folder), [None])
    calls = [*(each["call"] for each in captured.of(name)["requests"]), *captured.NAMED[name].get("beyond", ())]
    return [(captured.meant(calls, request), request) for request, _ in told]


@cache
def compared(name: str) -> list[tuple[dict, httpx.Request | None]]:
    """(request of the SDK, the connector's that is most like it) of each call that the connector makes, too."""
    found = []
    for each in captured.of(name)["requests"]:
        same = [made for call, made in spoken(name) if call == each["call"] and len(made.content) < SHORT]
        found.append((each, min(same, key=lambda made: len(captured.unnamed(name, each, made)), default=None)))
    return found


@every_sdk
def test_the_same_call_is_the_same_request(name):
    """
    Method, address, query, sign-in, media type and body of what an SDK sends: the connector says it, too, but for
    differences that are named with their reason.
    """
    faults = [fault for each, made in compared(name) for fault in captured.unnamed(name, each, made)]

    assert compared(name)
    assert not faults, "\n".join(faults)


@every_sdk
def test_every_call_is_seen_of_the_sdk_or_named(name):
    """
    A connector makes no call but those that its vendor's SDK was seen to make, and those that the list names as beyond.
    """
    unseen = {f"{made.method} {made.url}" for call, made in spoken(name) if call is None}

    assert not unseen, "have the SDK send it in tests/sdk, or name it as beyond in tests/sdks.toml"


@every_sdk
def test_no_name_is_sent_that_the_sdk_does_not_send(name):
    """
    Whatever the story, a request has no parameter, and its body at the top no field, that the SDK was not seen to send
    with the same call.
    """
    seen, beyond = set(), captured.NAMED[name].get("beyond", ())
    for each in captured.of(name)["requests"]:
        seen |= {(each["call"], told) for told in captured.names(*captured.told_by(name, each)[1:])}
    named = " ".join(captured.NAMED[name].get("unlike", ()))

    made = {
        (call, told)
        for call, request in spoken(name)
        for told in captured.names(request.url.params.multi_items(), captured.body_of(request))
    }

    assert not {(call, told) for call, told in made - seen if call not in beyond and told not in named}


@every_sdk
def test_no_line_outlives_its_reason(name):
    """
    Each difference that is named is there, and each call that is named as beyond the SDK is made.
    """
    unlike = [fault for each, made in compared(name) for fault in captured.unlike(name, each, made)]

    for known in captured.NAMED[name].get("unlike", {}):
        assert any(fault.endswith(known) for fault in unlike), f"nothing is so: {known}"
    assert captured.NAMED[name].get("beyond", {}).keys() <= {call for call, _ in spoken(name)}


def alterations(made):
    """A request, each time with another fault."""
    yield like(made, method="TRACE")
    yield like(made, url=made.url.copy_with(path=f"{made.url.path}/of/nowhere"))
    yield like(made, url=made.url.copy_with(host="api.example.com"))
    yield like(made, url=made.url.copy_merge_params({"misspelt": "1"}))
    yield from (like(made, url=made.url.copy_set_param(name, "other")) for name in made.url.params)
    yield from (like(made, headers={name: "other"}) for name in ("authorization", "api-key") if name in made.headers)
    if made.content:
        yield like(made, headers={"content-type": "text/csv"})


@every_sdk
def test_an_altered_call_is_caught(name):
    """
    Another method, path, host, parameter or key than the SDK's is a difference that no line of the list names.
    """
    for each, made in compared(name):
        for other in alterations(made) if made else ():
            assert captured.unnamed(name, each, other), f"{other.method} {other.url} {other.headers}"


def altered_bodies(body):
    """A body, each time with another fault: a name misspelt, a value that is another, an item too many."""
    if isinstance(body, dict):
        for name, value in body.items():
            rest = {other: each for other, each in body.items() if other != name}
            yield {**rest, f"{name}x": value}
            yield from ({**rest, name: other} for other in altered_bodies(value))
    elif isinstance(body, list):
        yield [*body, None]
        for n, value in enumerate(body):
            yield from ([*body[:n], other, *body[n + 1 :]] for other in altered_bodies(value))
    else:
        yield "another" if body != "another" else None


@every_sdk
def test_an_altered_body_is_caught(name):
    """
    Each name of a field misspelt, each value another, each list longer: none passes as what the SDK sends.
    """
    for each, made in compared(name):
        for body in altered_bodies(captured.body_of(made)) if made and made.content else ():
            content = urlencode(body) if captured.FORM in made.headers["content-type"] else orjson.dumps(body)

            assert captured.unnamed(name, each, like(made, content=content)), body


def test_every_connector_is_held_or_says_why_not():
    """
    Each has what its vendor's SDK sent, or a line that says why there is none; and those with the proof "sdk" are those
    all of whose calls the SDK makes, where no specification proves as much, and which are no experiment.
    """
    found = {name: connectors.find(name, [path.parent]).proof for name, path in PATHS.items()}
    whole = {name for name in HELD if not captured.NAMED[name].get("beyond")}

    assert {name for name in found if "none" not in captured.NAMED.get(name, {"none": ""})} == {*HELD}
    assert {name for name, proof in found.items() if proof is Proof.SDK} == {
        name for name in whole if found[name] not in (Proof.SPECIFICATION, Proof.EXPERIMENTAL)
    }


@every_sdk
def test_what_was_sent_is_of_the_version_that_is_locked(name):
    """
    The script, the lock and what was sent speak of one version of the SDK.
    """
    script, lock, kept = ((FOLDER / f"{name}.{end}").read_text("utf-8") for end in ("py", "lock", "json"))
    [pin] = re.findall(r'^# dependencies = \["([\w=.-]+)"\]$', script, re.MULTILINE)
    said = orjson.loads(kept)

    assert pin == f"{said['sdk']}=={said['version']}", "run make sdk"
    assert f"{pin} \\\n" in lock, "run make lock"


@pytest.mark.skipif(not THOROUGH, reason="fetches each SDK and makes an environment of it; `make thorough` does")
def test_the_sdks_send_today_what_they_sent(tmp_path):
    """
    Sent anew, by the SDKs as they are locked, each request is the one that is kept.
    """
    subprocess.run(["make", "--silent", "sdk", f"SENT={tmp_path}"], cwd=HOUSE, env=OUTSIDE, check=True)

    assert {file.name: file.read_text() for file in tmp_path.glob("*")} == {
        file.name: file.read_text() for file in FOLDER.glob("*.json")
    }
