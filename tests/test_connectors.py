"""Finding connectors by presence, and reading their accounts."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest

from audiences import connectors
from audiences.errors import DefinitionError

GOOD = """
from pathlib import Path
from typing import Literal

from pydantic import SecretStr, field_validator, model_validator

from audiences import Connector, Limits, Receipt


class Postbox(Connector):
    limits = Limits(batch=500)

    class Settings(Connector.Settings):
        api_key: SecretStr
        region: Literal["us", "eu"] = "eu"
        folder: Path = Path("lists")
        tags: tuple[str, ...] = ()
        number: int = 0

        @field_validator("number", mode="before")
        @classmethod
        def whole(cls, value):
            return int(value)

    @classmethod
    def reach(cls, settings):
        return {}

    def upsert(self, list_id, members):
        return Receipt.of(members)

    def remove(self, list_id, members):
        return Receipt.of(members)
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "connectors").mkdir()
    return tmp_path


@pytest.fixture
def write(project):
    """Write connectors/postbox.py and look for it."""

    def write(text, name="postbox"):
        (project / "connectors" / f"{name}.py").write_text(text, encoding="utf-8")
        return connectors.find(name, connectors.folders(project))

    return write


def account(write, project, **variables):
    return connectors.settings("postbox", write(GOOD), project)


def refused(write, text):
    """What is said of a file that is no connector."""
    with pytest.raises(DefinitionError) as error:
        write(text)
    return str(error.value)


def test_a_file_is_found_by_its_presence(write, project):
    """
    connectors/postbox.py is the connector `postbox`, beside those that ship.
    """
    assert write(GOOD).__name__ == "Postbox"
    assert {"file", "postbox", "webhook"} <= {*connectors.names(connectors.folders(project))}


def test_a_projects_own_file_comes_first(write):
    """
    A project changes a connector that ships by a file of the same name.
    """
    assert write(GOOD, "webhook").__name__ == "Postbox"


def test_the_shipped_folders_are_there():
    """
    In a checkout what ships stands at its root.
    """
    assert connectors.shipped("connectors") == Path(__file__).parent.parent / "connectors"
    assert connectors.shipped("audiences").name == "audiences"


def test_what_ships_is_found_inside_an_installed_package(tmp_path, monkeypatch):
    """
    In a wheel what ships lies beside the code.
    """
    (tmp_path / "shipped" / "connectors").mkdir(parents=True)
    monkeypatch.setattr(connectors, "__file__", str(tmp_path / "connectors.py"))

    assert connectors.shipped("connectors") == tmp_path / "shipped" / "connectors"


@pytest.mark.parametrize(("name", "near"), [("webhok", "the nearest is 'webhook'"), ("zzz", "there is no connector")])
def test_an_unknown_name_gets_the_nearest_and_the_list(project, name, near):
    """
    Who misspells a connector is told which there are, and where to write one.
    """
    with pytest.raises(DefinitionError) as error:
        connectors.find(name, connectors.folders(project))

    assert near in str(error.value)
    assert f"use one of: {', '.join(connectors.names(connectors.folders(project)))}; or write" in str(error.value)


@pytest.mark.parametrize("name", ["../secret", "_base", "", ".", "sub/inner"])
def test_a_name_reaches_nothing_outside_its_folders(project, name):
    """
    A name is looked up among the files that are there; it is never a path.
    """
    for path in ("secret.py", "connectors/_base.py", "connectors/sub/inner.py"):
        (project / path).parent.mkdir(exist_ok=True)
        (project / path).write_text("raise SystemExit")

    with pytest.raises(DefinitionError, match="there is no connector"):
        connectors.find(name, connectors.folders(project))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import nothing_like_it", "ModuleNotFoundError"),
        ("int('not-a-real-key')", "ValueError"),
        ("raise SystemExit('not-a-real-key')", "SystemExit"),
        ("def broken(:", "SyntaxError"),
        ("(lambda: {}['not-a-real-key'])()", "KeyError"),
    ],
)
def test_a_file_that_does_not_load_is_named_by_line(write, line, said):
    """
    The error names the file, the line and the kind of error, and none of its values.
    """
    words = refused(write, f'"""Broken."""\n\n{line}\n')

    assert f"postbox.py:3 cannot be loaded ({said})" in words
    assert "not-a-real" not in words


def test_a_file_that_is_no_text_is_named(project):
    """
    A file with a NUL byte is an error in words.
    """
    (project / "connectors" / "postbox.py").write_bytes(b"\0")

    with pytest.raises(DefinitionError, match=r"postbox\.py:1 cannot be loaded"):
        connectors.find("postbox", connectors.folders(project))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("from audiences import Connector\n", "defines 0 connectors"),
        (GOOD + "\nclass Other(Postbox):\n    pass\n", "defines 2 connectors, Postbox, Other"),
    ],
)
def test_a_file_has_exactly_one_connector(write, text, said):
    """
    What a file only imports does not count; none or several of its own are refused by name.
    """
    assert said in refused(write, text)


@pytest.mark.parametrize(
    ("cut", "said"), [("    def remove", "has no remove"), ("    limits = Limits(batch=500)", "has no limits")]
)
def test_a_connector_is_whole(write, cut, said):
    """
    A verb or a limit that is missing is named before anything is sent.
    """
    assert said in refused(write, GOOD.replace(cut, cut.replace("remove", "removed").replace("limits =", "limit =")))


def test_a_connector_with_tickets_says_how_long_a_job_lasts(write):
    """
    Without that, a batch whose ticket was lost could be sent again while the provider still works on it.
    """
    asked = indent("\ndef outcome(self, ticket, members):\n    return None\n", "    ")

    assert "not how long a job of the provider's takes at most" in refused(write, GOOD + asked)


def test_an_account_is_read_from_the_environment(write, project, monkeypatch):
    """
    The section's name in capitals, then the field's; a second account of one connector has a section of its own.
    """
    monkeypatch.setenv("POSTBOX_EU_API_KEY", "not-a-real-key")

    read = connectors.settings("postbox_eu", write(GOOD), project)

    assert read.api_key.get_secret_value() == "not-a-real-key"


def test_the_environment_wins_over_the_projects_file(write, project, monkeypatch):
    """
    What .env says holds where the environment says nothing, or only an empty word.
    """
    (project / ".env").write_text("POSTBOX_API_KEY=from-file\nPOSTBOX_REGION=us\nOTHER=1\n")
    monkeypatch.setenv("POSTBOX_API_KEY", "not-a-real-key")
    monkeypatch.setenv("POSTBOX_REGION", "")

    read = account(write, project)

    assert (read.api_key.get_secret_value(), read.region) == ("not-a-real-key", "us")


@pytest.mark.parametrize("given", ["lists", "./lists", None])
def test_a_relative_path_starts_at_the_project(write, project, monkeypatch, given):
    """
    A path in a setting means the same wherever the worker is started.
    """
    monkeypatch.setenv("POSTBOX_API_KEY", "not-a-real-key")
    if given:
        monkeypatch.setenv("POSTBOX_FOLDER", given)

    assert account(write, project).folder == project / "lists"


def test_an_absolute_path_stays(write, project, monkeypatch):
    """
    A path that starts at the root is taken as it is.
    """
    monkeypatch.setenv("POSTBOX_API_KEY", "not-a-real-key")
    monkeypatch.setenv("POSTBOX_FOLDER", "/srv/lists")

    assert account(write, project).folder == Path("/srv/lists")


def test_what_is_missing_is_named_as_it_is_exported(write, project):
    """
    The error says which variable to set, and where.
    """
    with pytest.raises(DefinitionError) as error:
        account(write, project)

    assert "POSTBOX_API_KEY is missing" in error.value.what
    assert error.value.do == "export POSTBOX_API_KEY, or write it in the project's .env"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("POSTBOX_REGION", "not-a-real-region", "POSTBOX_REGION is invalid: Input should be 'us' or 'eu'"),
        ("POSTBOX_NUMBER", "not-a-real-number", "POSTBOX_NUMBER is invalid"),
        ("POSTBOX_TAGS", "not-a-real-tag", "a setting of postbox is not written as JSON"),
    ],
)
def test_what_is_invalid_is_named_without_its_value(write, project, monkeypatch, variable, value, said):
    """
    The error names the variable and what it should be; what it is stays out of it, whoever wrote the words.
    """
    monkeypatch.setenv("POSTBOX_API_KEY", "not-a-real-key")
    monkeypatch.setenv(variable, value)

    with pytest.raises(DefinitionError) as error:
        account(write, project)
    assert said in str(error.value)
    assert variable in str(error.value)
    assert value not in str(error.value)


def test_a_rule_over_several_settings_is_told_in_its_own_words(write, project, monkeypatch):
    """
    Where no single variable is wrong, the connector's own sentence stands, unless it repeats a value.
    """
    words = "a key of the eu is no key of the us"
    rule = f"\n@model_validator(mode='after')\ndef rule(self):\n    raise ValueError({words!r})\n"
    monkeypatch.setenv("POSTBOX_API_KEY", "not-a-real-key")
    cls = write(
        GOOD.replace("    @classmethod\n    def reach", indent(rule, " " * 8) + "\n    @classmethod\n    def reach")
    )

    with pytest.raises(DefinitionError, match=r"POSTBOX_… is invalid: a key of the eu is no key of the us"):
        connectors.settings("postbox", cls, project)


def test_words_that_quote_a_part_of_a_value_are_left_out(write, project, monkeypatch):
    """
    An exception that repeats a word of what it got is not passed on.
    """
    monkeypatch.setenv("POSTBOX_API_KEY", "not-a-real-key")
    monkeypatch.setenv("POSTBOX_NUMBER", "12 0123456789abcdef")
    cls = write(GOOD.replace("return int(value)", "raise ValueError(f'what is {value[3:]}?')"))

    with pytest.raises(DefinitionError) as error:
        connectors.settings("postbox", cls, project)
    assert "POSTBOX_NUMBER is invalid\n" in str(error.value)


def test_an_env_file_that_is_no_text_is_said_so(write, project):
    """
    A .env in another encoding is an error in words that shows nothing of it.
    """
    (project / ".env").write_bytes(b"POSTBOX_API_KEY=\xff\xfe")

    with pytest.raises(DefinitionError, match="make it a UTF-8 file"):
        account(write, project)
