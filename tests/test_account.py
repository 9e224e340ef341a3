"""Sign-in inside a sync: a token that ends on the way, and a refresh token that outlives the worker."""

from __future__ import annotations

import threading
from contextlib import nullcontext

import httpx
import pytest
from click.testing import CliRunner

from audiences import cli, http
from audiences.account import Stored
from audiences.errors import CredentialsRefused, Deferred, WarehouseError
from audiences.state import State, tokens
from login import Clock, Provider, answering, line, refresh
from states import layout_1, rows
from world import World

CONNECTOR = """
import os
from pydantic import SecretStr
from audiences import ClientCredentials, Limits, RefreshToken
from audiences.connectors import find, shipped

class Signed(find("webhook", [shipped("connectors")])):
    limits = Limits(batch=2, concurrency={concurrency})

    class Settings(find("webhook", [shipped("connectors")]).Settings):
        client_id: str
        client_secret: SecretStr
        refresh_token: SecretStr

    @classmethod
    def reach(cls, settings):
        return {{"auth": {auth}}}
"""
CHECK = """
    def check(self):
        self.http.get("https://hooks.example.com/whoami")
"""
CREDENTIALS = """ClientCredentials(
    "https://login.example.com/token", client_id=settings.client_id,
    client_secret=settings.client_secret.get_secret_value())"""
REFRESH = """RefreshToken(
    "https://login.example.com/token", client_id=settings.client_id,
    client_secret=settings.client_secret.get_secret_value(),
    refresh_token=settings.refresh_token.get_secret_value())"""


class Rotating(Provider):
    """A provider that exchanges its refresh token at each renewal and ends the old one."""

    def __init__(self, receiver):
        super().__init__()
        self.current = "not-a-real-r0"
        self.api = receiver
        self.seen = []  # what the state held when each call of the API arrived

    def token(self, request):
        if "refresh_token=" in request.content.decode():
            if f"refresh_token={self.current}" not in request.content.decode():
                self.asked.append(request)
                return httpx.Response(400, json={"error": "invalid_grant"})
            self.current = self.says["refresh_token"] = f"not-a-real-r{len(self.asked) + 1}"
        return super().token(request)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    (tmp_path / "connectors").mkdir()
    with (tmp_path / ".env").open("a") as env:
        env.write("WEBHOOK_CLIENT_ID=me\nWEBHOOK_CLIENT_SECRET=not-a-real-secret\n")
        env.write("WEBHOOK_REFRESH_TOKEN=not-a-real-r0\n")
    world.people(*((n, f"p{n}@x") for n in range(12)))
    return world


def signs_in(world, auth, concurrency=1):
    text = CONNECTOR.format(auth=auth, concurrency=concurrency)
    (world.folder / "connectors" / "webhook.py").write_text(text)
    return Rotating(world.receiver)


def synced(world, provider):
    return world.sync(transport=httpx.MockTransport(provider))


def kept(world):
    return dict(rows(f"sqlite:///{world.state_file}", "select name, value from token"))


@pytest.mark.parametrize("auth", [CREDENTIALS, REFRESH], ids=["credentials", "refresh"])
@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_token_that_ends_in_the_middle_of_a_sync(world, auth, concurrency):
    """
    After two batches the provider takes the token no longer: everyone is delivered once, and nobody is in doubt.
    """
    provider = signs_in(world, auth, concurrency)

    def api(request):
        answer = world.receiver(request)
        if len(world.receiver.calls) == 2:
            provider.good = set()
        return answer

    provider.api = api
    result = synced(world, provider)

    assert (result.outcome, result.delivered) == ("delivered", 12)
    assert len(provider.asked) == 2
    assert sorted(member["key"] for member in world.receiver.sent("upsert")) == sorted(str(n) for n in range(12))
    assert {sure for _, _, sure in world.ledger()} == {True}


def test_syncs_of_one_account_share_a_token(world):
    """
    Two syncs of one account, one after the other in one worker, sign in once.
    """
    provider = signs_in(world, CREDENTIALS)
    text = (world.folder / "audiences" / "team.sql").read_text()
    (world.folder / "audiences" / "crew.sql").write_text(text.replace('list = "L"', 'list = "M"'))
    results = world.results(transport=httpx.MockTransport(provider))

    assert [result.outcome for result in results] == ["delivered", "delivered"]
    assert len(provider.asked) == 1


def test_an_exchanged_token_survives_a_restart(world):
    """
    The next worker goes on from the token that the provider gave last, which was kept before it was used.
    """
    provider = signs_in(world, REFRESH)
    provider.api = lambda request: (provider.seen.append(kept(world)["refresh_token"]), world.receiver(request))[1]
    synced(world, provider)
    world.people((1, "other@x"))
    second = world.sync(transport=httpx.MockTransport(provider), force=True)

    assert second.outcome == "delivered"
    assert provider.form["refresh_token"] == "not-a-real-r1"
    assert kept(world)["refresh_token"] == provider.current == "not-a-real-r2"
    assert provider.seen[0] == "not-a-real-r1"
    assert provider.seen[-1] == "not-a-real-r2"


def test_two_sections_of_one_account_go_on_from_each_other(world):
    """
    Two sections may name one account, for one audience with two lists: a token that one has exchanged serves the other.
    """
    provider = signs_in(world, REFRESH)
    env = world.folder / ".env"
    env.write_text(env.read_text() + env.read_text().replace("WEBHOOK_", "SECOND_"))
    text = (world.folder / "audiences" / "team.sql").read_text()
    second = text.replace("[sync.webhook]", '[sync.second]\n-- connector = "webhook"').replace('"L"', '"M"')
    (world.folder / "audiences" / "crew.sql").write_text(second)
    results = [world.results([name], transport=httpx.MockTransport(provider), force=True) for name in ("team", "crew")]
    world.people((1, "other@x"))
    results.append(world.results(["team"], transport=httpx.MockTransport(provider), force=True))

    assert [result.outcome for [result] in results] == ["delivered"] * 3
    assert (len(provider.asked), kept(world)["refresh_token"]) == (3, provider.current)


def test_a_new_setting_ends_what_was_kept(world):
    """
    A refused token names its variable; exported anew, the new one wins over what the state holds.
    """
    provider = signs_in(world, REFRESH)
    synced(world, provider)
    provider.current = "not-a-real-new"
    world.people((1, "other@x"), *((n, f"p{n}@x") for n in range(2, 12)))
    failed = synced(world, provider)
    env = world.folder / ".env"
    env.write_text(env.read_text().replace("not-a-real-r0", "not-a-real-new"))
    mended = synced(world, provider)

    assert isinstance(failed.error, CredentialsRefused)
    assert "export WEBHOOK_REFRESH_TOKEN" in failed.error.do
    assert mended.outcome == "delivered"


def test_a_sign_in_that_fails_leaves_the_sync_as_it_was(world):
    """
    Where the token endpoint is down, the run is deferred: nobody is in the ledger, and the next run delivers all.
    """
    provider = signs_in(world, CREDENTIALS)
    provider.refuses = answering(503)
    down = synced(world, provider)
    assert isinstance(down.error, Deferred)
    assert world.ledger() == set()

    provider.refuses = None
    assert synced(world, provider).delivered == 12


def test_no_token_is_in_the_warehouse(world):
    """
    What a sign-in keeps is in the state database alone.
    """
    synced(world, signs_in(world, REFRESH))

    assert b"not-a-real" not in world.warehouse_file.read_bytes()


def test_two_workers_never_use_one_refresh_token_twice(state_url):
    """
    Six workers, each with a state connection and a client of its own, renew at once: each goes on from the other's.
    """
    provider, start, done, clock = (
        Rotating(lambda request: httpx.Response(200)),
        threading.Barrier(6, timeout=30),
        [],
        Clock(),
    )
    provider.good = All()

    def work():
        state = State(state_url)
        auth = refresh(clock)
        auth.kept("crm", auth.desk, Stored(lambda: state, "crm", lambda seconds: None, "crm"))
        start.wait()
        try:
            done.append(line(clock, provider, auth).get("/").status_code)
        except Deferred:
            done.append("deferred")
        state.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(done) == 6
    assert set(done) <= {200, "deferred"}
    assert len(provider.asked) == done.count(200) >= 1
    assert rows(state_url, "select value from token where name = 'refresh_token'") == [(provider.current,)]


def test_a_worker_that_signs_in_for_long_is_not_waited_for_for_ever(state_url):
    """
    After about a minute the other worker defers its run; given back, the right to renew is free.
    """
    state, waits = State(state_url), []
    mine, other = Stored(lambda: state, "crm", waits.append, "crm"), Stored(lambda: state, "crm", waits.append, "crm")
    with mine.alone():
        with pytest.raises(Deferred, match="another worker is signing in to crm"), other.alone():
            pytest.fail("the block must not be entered")
        assert sum(waits) == 60
    with other.alone():
        pass
    state.close()


class All(set):
    """Every token is good, whatever is assigned."""

    def __contains__(self, name):
        return True


@pytest.mark.parametrize(("away", "kept"), [(3, True), (99, False)])
def test_a_token_is_kept_though_the_state_is_away_for_a_moment(state_url, away, kept):
    """
    What a provider has exchanged is lost with the process: keeping it is tried for a minute, then the error stands.
    """
    state, waits = State(state_url), []

    def found():
        if len(waits) < away:
            raise WarehouseError("away", do="wait")
        return state

    with nullcontext() if kept else pytest.raises(WarehouseError):
        Stored(found, "crm", waits.append, "crm").save({"refresh_token": "not-a-real-r1"})

    assert tokens.load(state, "crm") == ({"refresh_token": "not-a-real-r1"} if kept else {})
    assert sum(waits) == min(away, 60)
    state.close()


def test_an_old_state_gets_the_table_for_it(state_url):
    """
    A state database of release 0.1.0 keeps an exchanged token once it is opened.
    """
    state = State(layout_1(state_url))
    Stored(lambda: state, "crm", lambda seconds: None, "crm").save({"refresh_token": "not-a-real-r1"})
    found = tokens.load(state, "crm")
    state.close()

    assert found == {"refresh_token": "not-a-real-r1"}


@pytest.fixture
def network(monkeypatch):
    """The provider that stands in for the network, where a command makes its own client."""

    def stands(provider):
        monkeypatch.setattr(http, "_network", lambda reach, lines: [httpx.MockTransport(provider)] * lines)

    return stands


def test_a_check_keeps_what_it_exchanges(world, network):
    """
    Whoever only tries an account exchanges its refresh token too: the next run goes on from the new one.
    """
    provider = signs_in(world, REFRESH)
    file = world.folder / "connectors" / "webhook.py"
    file.write_text(file.read_text() + CHECK)
    network(provider)
    receives = provider.api
    provider.api = lambda request: httpx.Response(200) if request.method == "GET" else receives(request)
    with (world.folder / ".env").open("a") as env:
        env.write("AUDIENCES_STATE_URL=sqlite:///state/s.sqlite\n")
    words = ["-C", str(world.folder), "check", "--connectors"]
    answer = CliRunner().invoke(cli.root, words, standalone_mode=False)
    result = synced(world, provider)

    assert answer.return_value == 0, answer.output
    assert "webhook  ok" in answer.output
    assert (len(provider.asked), result.outcome) == (2, "delivered")
    assert kept(world)["refresh_token"] == "not-a-real-r2"
