"""Secrets as mounted files: found by the name of their variable, and read anew by the next run once exchanged."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path

import duckdb
import httpx
import pytest
from sqlalchemy.engine import make_url

from audiences import connectors, settings
from audiences.cli.serve import Office
from audiences.cli.session import Session
from audiences.cli.signals import Signals
from audiences.errors import DefinitionError
from audiences.state import State
from states import rows
from world import World

WEBHOOK = connectors.find("webhook", [connectors.shipped("connectors")])
FIRST, SECOND = ("whsec_" + b64encode(f"not-a-real-secret-of-anyone-{number}".encode()).decode() for number in (1, 2))


class Mounted:
    """A folder of secrets as Kubernetes mounts it: links to files in a folder that is exchanged as a whole."""

    def __init__(self, folder: Path, **values: str):
        self.folder, self.number = folder, 0
        folder.mkdir()
        self.exchange(**values)

    def exchange(self, **values: str) -> None:
        self.number += 1
        inside = self.folder / f"..{self.number}"
        inside.mkdir()
        for name, value in values.items():
            (inside / name).write_text(f"{value}\n")
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(Path("..data") / name)
        (self.folder / "..new").symlink_to(inside.name)
        (self.folder / "..new").rename(self.folder / "..data")


@pytest.fixture
def world(tmp_path):
    """A world whose .env holds no secret."""
    made = World(tmp_path)
    made.people((1, "a@x"))
    (tmp_path / ".env").write_text("WEBHOOK_URL=http://127.0.0.1:9/in\nAUDIENCES_STATE_URL=sqlite:///state/s.sqlite\n")
    return made


@pytest.fixture
def mounted(tmp_path, monkeypatch):
    """Gives a folder of secrets these files, and names it."""

    def mount(**values):
        monkeypatch.setenv("AUDIENCES_SECRETS", str(tmp_path / "secrets"))
        return Mounted(tmp_path / "secrets", **values)

    return mount


def signed_with(secret: str, request: httpx.Request) -> bool:
    """Whether a request of `webhook` carries the signature that this secret gives."""
    told = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.content
    mac = hmac.new(b64decode(secret.removeprefix("whsec_")), told, sha256)
    return request.headers["webhook-signature"] == "v1," + b64encode(mac.digest()).decode()


def test_the_next_run_uses_an_exchanged_secret(world, mounted):
    """
    An account's secret that is exchanged while the worker stays is what its next run signs with.
    """
    secrets, requests = mounted(WEBHOOK_SECRET=FIRST), []

    def far(request):
        requests.append(request)
        return httpx.Response(200, json={})

    world.sync(transport=httpx.MockTransport(far))
    secrets.exchange(WEBHOOK_SECRET=SECOND)
    world.people((1, "a@x"), (2, "b@x"))
    world.sync(transport=httpx.MockTransport(far))

    assert [signed_with(FIRST, each) for each in requests] == [True, False]
    assert [signed_with(SECOND, each) for each in requests] == [False, True]


def test_the_next_turn_opens_the_warehouse_as_it_is_set_then(world, mounted):
    """
    `serve` reads the warehouse's URL, and so its password, before each turn.
    """
    files = [str(world.warehouse_file), str(world.folder / "other.duckdb")]
    duckdb.connect(files[1]).close()
    secrets = mounted(AUDIENCES_WAREHOUSE_URL=f"duckdb:///{files[0]}")
    session, found = Session(world.folder), []
    with Signals(session.settings.grace) as signals, session.state() as state:
        office = Office(session, state, signals)
        for file in files:
            secrets.exchange(AUDIENCES_WAREHOUSE_URL=f"duckdb:///{file}")
            with office.hired() as worker:
                found.append(worker.warehouse.url.database)

    assert found == files


def test_the_state_database_is_met_with_the_password_of_the_moment(postgres):
    """
    A connection that is opened later signs in as the settings say then, to the database that it was.
    """
    first, second = (make_url(postgres).set(username=name) for name in ("tester", "second"))
    rows(first, "create role second superuser login")
    told = [first]
    state = State(first, again=lambda: told[-1])
    told.append(second.set(database="postgres"))
    state.engine.dispose()
    with state.begin() as connection:
        found = connection.exec_driver_sql("select current_user, current_database()").one()
    state.close()
    rows(first, "drop role second")

    assert tuple(found) == ("second", first.database)


@pytest.mark.parametrize(
    ("variable", "line", "found"), [("", "", "file"), ("", "env", "env"), ("variable", "env", "variable")]
)
def test_files_are_asked_last(world, mounted, monkeypatch, variable, line, found):
    """
    The environment wins over .env, and .env over a mounted file; a file's last line break is none of it.
    """
    mounted(WEBHOOK_URL="https://file.example.com", WEBHOOK_SECRET=FIRST)
    (world.folder / ".env").write_text(f"WEBHOOK_URL=https://{line}.example.com\n" if line else "")
    if variable:
        monkeypatch.setenv("WEBHOOK_URL", f"https://{variable}.example.com")

    read = connectors.settings("webhook", WEBHOOK, world.folder)

    assert read.url.get_secret_value().rstrip("/") == f"https://{found}.example.com"


def test_secrets_are_found_where_docker_mounts_them(world, tmp_path, monkeypatch):
    """
    Without AUDIENCES_SECRETS, /run/secrets is asked where there is one.
    """
    Mounted(tmp_path / "run", AUDIENCES_STATE_URL="sqlite:///elsewhere.sqlite")
    (world.folder / ".env").unlink()
    before = settings.read(world.folder).state_url
    monkeypatch.setattr(settings, "SECRETS", tmp_path / "run")

    assert (before, settings.read(world.folder).state_url) == ("", "sqlite:///elsewhere.sqlite")


def test_a_folder_that_is_not_there_is_said(world, monkeypatch):
    """
    Where AUDIENCES_SECRETS names no folder, nothing is read from elsewhere in its place.
    """
    monkeypatch.setenv("AUDIENCES_SECRETS", "/nowhere")

    with pytest.raises(
        DefinitionError, match="AUDIENCES_SECRETS: /nowhere is no folder\n  do: mount the secrets there"
    ):
        settings.read(world.folder)


def test_a_file_that_cannot_be_read_shows_nothing(world, mounted):
    """
    A secret in another encoding is an error that names the folder, and nothing of what is in it.
    """
    secrets = mounted(WEBHOOK_SECRET=FIRST)
    (secrets.folder / "..data" / "WEBHOOK_SECRET").write_bytes(b"not-a-real-\xff")

    said = r"/\.env or a file in .*/secrets cannot be read \(UnicodeDecodeError\)"
    with pytest.raises(DefinitionError, match=said):
        connectors.settings("webhook", WEBHOOK, world.folder)
    (secrets.folder / "..data" / "WEBHOOK_SECRET").rename(secrets.folder / "AUDIENCES_STATE_URL")
    (world.folder / ".env").unlink()
    with pytest.raises(DefinitionError, match=said):
        settings.read(world.folder)
