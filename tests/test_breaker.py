"""A host that is down: how often it is called, and what the account's other calls and syncs learn from it."""

from __future__ import annotations

from contextlib import suppress

import httpx
import pytest
import structlog.testing

from audiences.errors import AudienceError, BatchRefused, DeliveryError, Unanswered
from driven import Driven, client
from world import World


class Down:
    """A host that fails, one way or another, until it is up; it remembers each attempt."""

    def __init__(self, *how):
        self.how, self.attempts, self.up = how, 0, False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        how = self.how[self.attempts % len(self.how)]
        self.attempts += 1
        if self.up:
            return httpx.Response(200, json={})
        if isinstance(how, int):
            return httpx.Response(how)
        raise how("no words")


DOWN = [(httpx.ConnectError,), (httpx.ConnectTimeout,), (httpx.ReadTimeout,), (503,), (500, httpx.ReadError)]


@pytest.mark.parametrize("how", DOWN)
def test_a_host_that_is_down_is_not_hammered(how):
    """
    After three calls in a row that failed to the last try, each call is tried once, without a wait, and says so.
    """
    clock, far = Driven(), Down(*how)
    line = client(clock, far)
    kinds, attempts = [], []

    with structlog.testing.capture_logs() as events:
        for _ in range(6):
            before, began = far.attempts, clock()
            with pytest.raises(DeliveryError) as caught:
                line.post("/members")
            kinds.append(type(caught.value))
            attempts.append((far.attempts - before, clock() > began, "tried once" in str(caught.value)))

    assert attempts == [(5, True, False)] * 3 + [(1, False, True)] * 3
    assert len(set(kinds)) == 1
    assert [event for event in events if event["event"] == "http.down"] == [
        {"event": "http.down", "host": "api.example.com", "calls": 3, "log_level": "warning"}
    ]


@pytest.mark.parametrize("says", [200, 404, 429, 422, 501])
def test_a_host_that_answers_again_is_trusted_again(says):
    """
    The first answer of its own, whatever it is, gives a call all its tries back.
    """
    clock, far = Driven(), Down(503)
    line = client(clock, far)

    def call() -> int:
        before = far.attempts
        with suppress(AudienceError, BatchRefused):
            line.post("/members")
        return far.attempts - before

    down = [call() for _ in range(4)]
    far.how = (says,)
    call()
    far.how = (503,)

    assert (down, call()) == ([5, 5, 5, 1], 5)


def test_a_certificate_is_no_outage():
    """
    A call that cannot be made says nothing of whether its host is up.
    """
    clock, far = Driven(), Down(503)

    def strange(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("CERTIFICATE_VERIFY_FAILED")

    said = [strange] * 3
    line = client(clock, lambda request: (said.pop() if said else far)(request))
    for _ in range(4):
        with pytest.raises(DeliveryError):
            line.post("/members")

    assert far.attempts == 5


def test_a_host_of_the_same_account_that_is_up_is_no_worse_off():
    """
    What is known of one host says nothing of another.
    """
    clock = Driven()
    down, up = Down(503), Down(503, 503, 200)
    line = client(clock, lambda request: (down if request.url.host == "api.example.com" else up)(request))
    for _ in range(4):
        with pytest.raises(Unanswered):
            line.post("/members")

    assert line.post("https://query.example.com/").status_code == 200


def test_the_syncs_of_a_run_know_of_a_host_that_is_down(tmp_path):
    """
    Five audiences to a host that is down: three of them try as usual, the others once each; all fail, none is lost,
    and the next run, with the host up again, delivers all.
    """
    world, clock = World(tmp_path), Driven()
    text = (world.folder / "audiences" / "team.sql").read_text()
    for number in range(4):
        (world.folder / "audiences" / f"crew{number}.sql").write_text(text.replace('"L"', f'"M{number}"'))
    world.people((1, "ada@example.com"))
    far = Down(httpx.ConnectError)
    run = {"transport": httpx.MockTransport(far), "sleep": clock.sleep, "clock": clock}

    first, attempts = world.results(**run), far.attempts
    far.up = True
    second = world.results(**run)

    assert [result.outcome for result in first] == ["failed"] * 5
    assert attempts == 3 * 5 + 2
    assert [result.outcome for result in second] == ["delivered"] * 5
