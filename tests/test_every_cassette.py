"""Each recorded exchange replays through the whole client, says what it was recorded against, and holds nobody."""

from __future__ import annotations

import hashlib
import json
import re

import httpx
import pytest
import yaml
from vcr.errors import CannotOverwriteExistingCassetteException

import record
import story
from audiences import Category, connectors
from test_every_connector import FILES, Clock, sandbox_of

TAPES = {path.stem: tape for path in FILES if (tape := record.cassettes(path) / f"{path.stem}.yaml").is_file()}
WHOM = r"tests/sandboxes/(\w+)\.py, served on loopback|[\w.-]+(?: and [\w.-]+)* \(live\)"
HEAD = rf"# Recorded \d{{4}}-\d\d-\d\d against (?:{WHOM})\."
PARTS = re.compile(r"[A-Za-z0-9+_=\-]{16,}")

every_tape = pytest.mark.parametrize("name", TAPES)


def replayed(name, folder, other=None):
    """Tell the story with the tape in the place of the network; other: whom it is about instead of the first person."""
    module, [path] = sandbox_of(path_of(name)), [path_of(name)]
    sandbox, clock = story.sandbox_with(module, record.first(module)), Clock()
    sandbox.member = {1: other or sandbox.member(1), 2: sandbox.member(2)}.__getitem__
    with record.taped(TAPES[name], "none") as tape:
        where = story.account(sandbox, folder)
        told = story.remote(path, sandbox.options, sandbox, where, sleep=clock.sleep, clock=clock)
        story.Story(told, sandbox).short()
    return tape


def path_of(name):
    return next(path for path in FILES if path.stem == name)


@every_tape
def test_every_recorded_exchange_replays(name, tmp_path):
    """
    The connector says today what it said then, word for word, and every answer is heard.
    """
    tape = replayed(name, tmp_path)

    assert len(tape) > 0
    assert tape.all_played


@every_tape
def test_another_story_does_not_replay(name, tmp_path):
    """
    A body that is not the recorded one finds no answer: what a connector sends cannot change unseen.
    """
    other = sandbox_of(path_of(name)).Sandbox().member(7)

    try:
        replayed(name, tmp_path, other)
    except CannotOverwriteExistingCassetteException:
        heard = False
    else:
        heard = True

    assert not heard


@every_tape
def test_its_first_line_says_what_it_was_recorded_against(name):
    """
    A sandbox or the provider itself, and the day.
    """
    head, _, _ = TAPES[name].read_text("utf-8").partition("\n")

    found = re.fullmatch(HEAD, head)

    assert found
    assert found[1] in (name, None)


@every_tape
def test_it_holds_no_secret_and_no_person(name):
    """
    No header but a few that say something, no address outside example.com, and nothing that looks like a key, but for
    what the sandbox invents: its account, and the hashes of its people's addresses.
    """
    text = TAPES[name].read_text("utf-8")
    sandbox = story.sandbox_with(sandbox_of(path_of(name)), record.first(sandbox_of(path_of(name))))
    invented = {*map(str, sandbox.settings.values()), *hashes(sandbox)}

    told = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["interactions"]
    headers = {header.lower() for each in told for part in each.values() for header in part["headers"]}
    keys = {part for part in PARTS.findall(text) if secretive(part)}

    assert headers <= record.KEPT
    assert not record.ADDRESS.findall(text)
    assert not keys - invented


def hashes(sandbox):
    addresses = [value for n in (1, 2) for value in sandbox.member(n).values() if "@" in str(value)]
    return {hashlib.new(kind, each.encode()).hexdigest() for kind in ("md5", "sha256") for each in addresses}


def secretive(part):
    """Whether a run of characters looks like a key: digits among letters, no words, and not the form of a UUID."""
    if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", part):
        return False
    return bool(re.search(r"\d", part) and re.search(r"[a-zA-Z]", part)) and not re.search(r"[a-z]{4,}", part)


@every_tape
def test_a_tape_of_a_sandbox_is_as_it_would_be_today(name, tmp_path):
    """
    Recorded anew, through a real socket and TLS, it is the same but for the day.
    """
    if "(live)" in TAPES[name].read_text("utf-8").partition("\n")[0]:
        return

    today = record.record(name, {}, live=False, folder=tmp_path).read_text("utf-8")

    assert today.partition("\n")[2] == TAPES[name].read_text("utf-8").partition("\n")[2]


def test_a_live_tape_keeps_nothing_of_the_account(tmp_path, monkeypatch):
    """
    Recorded with an account of one's own, the sandbox's settings stand in the place of the real ones, and whoever is
    named in an answer is gone.
    """
    module = sandbox_of(path_of("mixpanel"))
    sandbox = story.sandbox_with(module, record.first(module))
    own = {name: f"own-{name.lower()}" for name in sandbox.settings} | {"MIXPANEL_REGION": "eu"}
    own["MIXPANEL_PROJECT_ID"] = "7777777"
    for variable, value in own.items():
        monkeypatch.setenv(variable, value)

    def provider(request):
        """The sandbox under another token, which names its owner."""
        content = request.content.replace(b"own-mixpanel_token", b"not-a-real-token")
        headers = {"content-type": request.headers["content-type"]}
        answer = sandbox(httpx.Request(request.method, request.url, headers=headers, content=content))
        return httpx.Response(200, json={**json.loads(answer.content), "owner": "someone@elsewhere.org"})

    with record.served(provider):
        file = record.record("mixpanel", {}, live=True, folder=tmp_path)
    text, kept = (each.read_text("utf-8") for each in (file, TAPES["mixpanel"]))

    assert re.match(r"# Recorded \S+ against api-eu\.mixpanel\.com \(live\)\.\n", text)
    assert "own-" not in text
    assert "elsewhere" not in text
    assert "not-a-real-token" in text
    assert text.count("- request:") == kept.count("- request:")


def test_every_vendor_has_a_tape():
    """
    Each connector that ships and speaks to one vendor has its cassette, and no cassette is left over.
    """
    shipped = [path for path in FILES if path.parent == connectors.shipped("connectors")]
    found = {path.stem: connectors.find(path.stem, [path.parent]) for path in shipped}
    kept = {tape.stem for tape in record.cassettes(shipped[0]).glob("*")}

    assert {name for name, cls in found.items() if cls.category is not Category.ANY} == kept
