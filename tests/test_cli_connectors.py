"""`audiences connectors`, `check --connectors`, which tries their accounts, and the word `experimental`."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from pydantic import ConfigDict

from audiences import Connector, connectors
from audiences.cli.connectors import facts, fields, kind
from prompt import Project
from world import SECRET

PIGEON = '''"""Pigeon mailing lists.

Set-up: PIGEON_API_KEY, PIGEON_PORT.
"""

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from audiences import *


class Pigeon(Connector):
    identified_by = frozenset({{"email"}})
    limits = Limits(batch=500, concurrency=2, per_second=10, windows=((150, 60),))
    category = Category.EMAIL
    proof = Proof.{proof}

    class Settings(Connector.Settings):
        api_key: SecretStr
        port: int
        other_key: SecretStr = SecretStr("not-a-real-default")

    class Options(Connector.Options):
        new: Annotated[Literal["refuse", "add"], Field(description="what becomes of strangers")] = "refuse"
        folder_id: str

    @classmethod
    def reach(cls, settings):
        key = settings.api_key.get_secret_value()
        return {{"base_url": f"http://127.0.0.1:{{settings.port}}", "auth": ("any", key)}}

    def check(self):
        {check}

    def upsert(self, list_id, members):
        return Receipt.of(members)

    def remove(self, list_id, members):
        return Receipt.of(members)
'''


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


def pigeon(project, proof="DOCUMENTATION", check='self.http.get("/ping")', port=1, section="pigeon", more=""):
    """Let the project have a connector `pigeon` of its own, and an audience that goes there."""
    (project.folder / "connectors").mkdir(exist_ok=True)
    (project.folder / "connectors" / "pigeon.py").write_text(PIGEON.format(proof=proof, check=check))
    with (project.folder / ".env").open("a") as file:
        file.write(f"{section.upper()}_API_KEY=not-a-real-key\n{section.upper()}_PORT={port}\n")
    project.audience("birds", section, 'folder_id = "7"\n' + more)


@pytest.fixture
def answering():
    """A provider on loopback that answers each call with this status, and remembers the calls."""

    class Provider(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.calls.append((self.path, self.headers["authorization"]))
            self.send_response(self.server.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        server.status, server.calls = 200, []
        Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()
        yield server
        server.shutdown()


def test_every_connector_is_listed(project):
    """
    A line for each connector that ships or is the project's own: kind, identifiers, verbs, limits, proof.
    """
    pigeon(project)

    ended = project.types("connectors")

    lines = {line.split()[0]: " ".join(line.split()) for line in ended.out.splitlines()}
    assert ended.code == 0
    assert {"file", "webhook", "pigeon"} <= lines.keys()
    assert lines["pigeon"].split()[1:3] == ["email", "email"]
    assert "upsert, remove, check" in lines["pigeon"]
    assert "500 a batch, 2 at once, 10 calls a second, 150 calls in 60 s documentation" in lines["pigeon"]
    assert "own" not in lines["webhook"]


def test_the_list_is_json_too(project):
    """
    `--json` tells the same to machines.
    """
    pigeon(project)

    told = project.types("connectors", "--json").told

    [found] = [each for each in told["connectors"] if each["name"] == "pigeon"]
    assert found == {
        "name": "pigeon",
        "category": "email",
        "proof": "documentation",
        "own": True,
        "identified_by": ["email"],
        "chosen": False,
        "verbs": ["upsert", "remove", "check"],
        "limits": {"batch": 500, "concurrency": 2, "per_second": 10, "windows": [[150, 60]], "bytes": None},
    }
    assert told["exit"] == 0


def test_a_connector_that_says_nothing_looks_unproved(project):
    """
    A connector of one's own needs no word on proof, and then has none.
    """
    project.odd("proof = Proof.UNSTATED")
    pigeon(project)
    path = project.folder / "connectors" / "pigeon.py"
    path.write_text(path.read_text().replace("    category = Category.EMAIL\n    proof = Proof.DOCUMENTATION\n", ""))

    told = project.types("connectors", "--json").told["connectors"]

    assert [(each["category"], each["proof"]) for each in told if each["name"] == "pigeon"] == [("any", "unstated")]
    assert project.types("check").code == 0


def test_a_broken_connector_hides_no_other(project):
    """
    2: a file that is no connector is told with its remedy; the others are listed.
    """
    (project.folder / "connectors").mkdir()
    (project.folder / "connectors" / "broken.py").write_text("import nothing_like_it\n")

    ended = project.types("connectors")

    assert ended.code == 2
    assert "broken.py:1 cannot be loaded (ModuleNotFoundError)\n  do: " in ended.err
    assert "webhook" in ended.out


def test_one_connector_tells_all_that_it_needs(project):
    """
    Set-up, each variable as it is exported, each option with its meaning; and no value, nor a secret's default.
    """
    pigeon(project)

    ended = project.types("connectors", "pigeon", PIGEON_PORT="8123")

    assert ended.code == 0
    assert "Set-up: PIGEON_API_KEY, PIGEON_PORT.\n" in ended.out
    assert (
        "Settings, from the environment, .env or a mounted file:\n  PIGEON_API_KEY    required  secret\n" in ended.out
    )
    assert "  PIGEON_PORT       required  whole number\n" in ended.out
    assert "  PIGEON_OTHER_KEY  optional  secret\n" in ended.out
    assert "  new        or refuse  refuse | add  what becomes of strangers\n" in ended.out
    assert "  folder_id  required   text\n" in ended.out
    assert "not-a-real" not in ended.out
    assert "8123" not in ended.out


def test_one_connector_is_json_too(project):
    """
    The same as one document.
    """
    told = project.types("connectors", "file", "--json").told

    assert told["settings"][0] == {
        "variable": "FILE_FOLDER",
        "type": "path",
        "required": True,
        "default": None,
        "about": None,
    }
    assert [each["name"] for each in told["options"]] == ["identify", "format"]
    assert told["manual"].startswith("Lists as files")


def test_what_ships_is_nobodys_own():
    """
    In a checkout, where the folder of what ships is also the project's, a connector that ships is no one's own.
    """
    house = Path(__file__).parent.parent

    assert not facts("webhook", connectors.find("webhook", [house / "connectors"]), house)["own"]


def test_a_misspelt_name_gets_the_nearest(project):
    """
    2: who asks for a connector that is not there is told which are.
    """
    ended = project.types("connectors", "webhok")

    assert (ended.code, ended.out) == (2, "")
    assert "there is no connector 'webhok'; the nearest is 'webhook'" in ended.err


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/$defs/K"}, "a | b"),
        ({"const": "one"}, "one"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "whole number"),
        ({"type": "array", "items": {"type": "string"}}, "list of text"),
        ({"type": "object"}, "table"),
        ({"type": "boolean"}, "boolean"),
        ({}, "value"),
    ],
)
def test_a_type_is_told_in_words(schema, words):
    """
    What a value has to be reads as people say it.
    """
    assert kind(schema, {"K": {"enum": ["a", "b"]}}) == words


def test_a_type_that_only_python_knows_is_a_value(project):
    """
    A setting that JSON Schema cannot describe is still listed.
    """

    class Odd(Connector.Options):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        thing: Project

    assert fields(Odd) == [{"name": "thing", "type": "value", "required": True, "default": None, "about": None}]


def test_check_tries_each_account(project, answering):
    """
    One call that changes nothing, with the account's credentials, for each section in use; what has none is said so.
    """
    pigeon(project, port=answering.server_port)
    project.audience("more", "webhook")
    variables = {"WEBHOOK_URL": "https://hook.example.com/", "WEBHOOK_SECRET": SECRET}

    ended = project.types("check", "--connectors", **variables)

    assert ended.code == 0
    assert ended.out.splitlines()[:3] == [
        "file     ok",
        "pigeon   ok",
        "webhook  not asked: with these settings, which fit, webhook has no call that changes nothing",
    ]
    assert answering.calls == [("/ping", "Basic YW55Om5vdC1hLXJlYWwta2V5")]


def test_an_account_that_cannot_be_tried_is_no_mistake(project):
    """
    A connector that has a harmless call, but none with these settings, is not asked, and that is said.
    """
    pigeon(project, check="raise NotImplementedError")

    ended = project.types("check", "--connectors")

    assert ended.code == 0
    assert "pigeon  not asked: with these settings, which fit, pigeon has no call that changes nothing\n" in ended.out


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (401, 1, "it refuses the account's credentials, or what they may do\n  do: check the account's settings"),
        (404, 1, "answered 404 to GET\n  do: check the list, and the address"),
        (400, 1, "the provider refuses a call that changes nothing: answered 400 without a word\n  do: look in"),
    ],
)
def test_what_a_provider_refuses_is_said_with_the_way_out(project, answering, status, code, said):
    """
    1: credentials or addresses that a provider refuses are told by section, on stderr; other accounts are tried.
    """
    answering.status = status
    pigeon(project, port=answering.server_port, section="pigeon_eu", more='connector = "pigeon"')

    ended, machine = (project.types("check", "--connectors", *words) for words in ((), ("--json",)))

    assert ended.code == machine.told["exit"] == code
    assert "error: pigeon_eu: " in ended.err
    assert said in ended.err
    assert "pigeon_eu  failed\n" in ended.out
    assert ended.out.endswith("; no mistakes; 1 account failed.\n")
    assert "file       ok\n" in ended.out
    assert [each["error"] is None for each in machine.told["connectors"]] == [True, False]


def test_a_missing_variable_is_said_before_any_call(project, answering):
    """
    2: a setting that is missing is named as it is exported, and no call is made.
    """
    pigeon(project, port=answering.server_port)

    ended = project.types("check", "--connectors", PIGEON_EU_API_KEY="x")
    bare = (project.folder / ".env").read_text().replace("PIGEON_API_KEY=not-a-real-key\n", "")
    (project.folder / ".env").write_text(bare)
    calls = len(answering.calls)
    missing = project.types("check", "--connectors")

    assert (ended.code, missing.code) == (0, 2)
    assert "error: pigeon is not set up: PIGEON_API_KEY is missing\n  do: export PIGEON_API_KEY" in missing.err
    assert len(answering.calls) == calls


def test_a_host_that_cannot_be_reached_is_said(project, monkeypatch):
    """
    1: where nobody listens, the host is named, after tries that take no longer than someone at a terminal waits.
    """
    monkeypatch.setattr("audiences.http.retry.FIRST", 0.001)
    pigeon(project, port=1)

    ended = project.types("check", "--connectors")

    assert ended.code == 1
    assert "error: pigeon: 127.0.0.1:1 cannot be reached (ConnectError); nothing was sent\n" in ended.err
    assert "  do: check the host" in ended.err


def test_a_fault_of_the_connector_is_said_by_its_line(project):
    """
    1: an exception of the connector's own is its class and its line; its words could hold a secret.
    """
    pigeon(project, check="raise KeyError(self.settings.api_key.get_secret_value())")

    ended = project.types("check", "--connectors")

    assert ended.code == 1
    assert "error: pigeon: the connector Pigeon fails with KeyError (pigeon.py:" in ended.err


def test_a_folder_that_cannot_be_made_is_said(project):
    """
    `file` tries its folder: one that cannot be written is named.
    """
    ended = project.types("check", "--connectors", FILE_FOLDER="/dev/null/lists")

    assert ended.code == 1
    assert "error: file: /dev/null/lists: Not a directory" in ended.err


def test_check_touches_no_list(project):
    """
    The folder of `file` is there afterwards, with nothing in it.
    """
    project.types("check", "--connectors")

    assert list((project.folder / "lists").iterdir()) == []


def test_an_experimental_connector_has_to_be_asked_for(project):
    """
    2: what is experimental is used only by a section that says so; the error is at the section, with the way out.
    """
    pigeon(project, proof="EXPERIMENTAL")

    ended = project.types("check")

    assert ended.code == 2
    assert "birds.sql:" in ended.err
    assert "uses pigeon, which is experimental" in ended.err
    assert "write experimental = true in the section" in ended.err


@pytest.mark.parametrize("proof", ["EXPERIMENTAL", "SDK"])
def test_whoever_asks_for_it_gets_it(project, proof):
    """
    With `experimental = true` it is read as any other; and so it stays once the connector is proved.
    """
    pigeon(project, proof=proof, more="experimental = true")

    assert project.types("check").code == 0


def test_a_misspelt_experimental_gets_its_hint(project):
    """
    `experimantal` is told which key was meant; the JSON Schema of the header has it.
    """
    pigeon(project, proof="SDK", more="experimantal = true")

    assert "unknown key: sync.pigeon.experimantal\n  do: did you mean experimental?" in project.types("check").err
    assert '"experimental"' in project.types("schema").out
