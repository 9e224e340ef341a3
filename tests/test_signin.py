"""Sign-in that expires: one token for many calls, renewed in time and once on a 401; no failure of it is a batch's."""

from __future__ import annotations

import threading

import httpx
import pytest

from audiences import ClientCredentials, Limits, http
from audiences.errors import (
    BatchRefused,
    CredentialsRefused,
    Deferred,
    DefinitionError,
    DeliveryError,
    LeaseLost,
    Unanswered,
)
from audiences.http.signin import Desk
from login import SECRET, Clock, Provider, answering, credentials, kept, line, refresh


@pytest.fixture
def clock():
    return Clock()


def test_one_token_serves_many_calls(clock):
    """
    The first call fetches a token, the others use it; each carries it, and no answer leads back to it.
    """
    provider = Provider()
    client = line(clock, provider, credentials(clock))
    answers = [client.post("/lists", json={"email": "ada@example.com"}) for _ in range(3)]

    assert len(provider.asked) == 1
    assert [call.headers["authorization"] for call in provider.calls] == ["Bearer not-a-real-access-1"] * 3
    assert [answer.history for answer in answers] == [[], [], []]
    assert provider.calls[0].content == b'{"email":"ada@example.com"}'


@pytest.mark.parametrize(("lasts", "used"), [(3600, 3539), ("3600", 3539), (100, 89)])
def test_a_token_is_renewed_before_it_ends(clock, lasts, used):
    """
    Up to a minute, or a tenth of its life, before its end it is used; from then on there is a new one.
    """
    provider = Provider(expires_in=lasts)
    client = line(clock, provider, credentials(clock))
    client.get("/")
    clock.seconds += used
    client.get("/")
    assert len(provider.asked) == 1

    clock.seconds += 1
    client.get("/")
    assert len(provider.asked) == 2
    assert len(provider.calls) == 3


@pytest.mark.parametrize("lasts", [None, "soon", [], "inf"])
def test_a_token_that_does_not_say_when_it_ends(clock, lasts):
    """
    It is used until the provider no longer takes it.
    """
    provider = Provider(expires_in=lasts)
    client = line(clock, provider, credentials(clock))
    client.get("/")
    clock.seconds += 10**7
    client.get("/")
    assert len(provider.asked) == 1

    provider.good = set()
    assert client.get("/").status_code == 200
    assert len(provider.asked) == 2


def test_a_401_renews_once(clock):
    """
    A token that the provider no longer takes is renewed, and the very same call is made again: nothing is in doubt.
    """
    provider = Provider()
    client = line(clock, provider, credentials(clock), repeatable=False)
    client.get("/")
    provider.good = set()
    with http.watching() as trace:
        answer = client.post("/lists", json={"n": 1}, headers={"idempotency-key": "one"})

    assert answer.status_code == 200
    assert not trace.unanswered
    assert [call.content for call in provider.calls[1:]] == [b'{"n":1}'] * 2
    assert [call.headers["idempotency-key"] for call in provider.calls[1:]] == ["one", "one"]
    assert provider.calls[2].headers["authorization"] == "Bearer not-a-real-access-2"


def test_a_second_401_is_a_refusal(clock):
    """
    Where the new token is not taken either, the credentials count as refused: two calls, two tokens, no more.
    """
    provider = Provider()
    provider.api = lambda request: httpx.Response(401)

    with pytest.raises(CredentialsRefused, match=r"api\.example\.com answered 401"):
        line(clock, provider, credentials(clock)).get("/")
    assert (len(provider.calls), len(provider.asked)) == (2, 2)


@pytest.mark.parametrize("status", [400, 403, 404, 422])
def test_no_other_answer_renews(clock, status):
    """
    Only a 401 says that a token may have ended.
    """
    provider = Provider()
    provider.api = lambda request: httpx.Response(status)

    with pytest.raises((BatchRefused, DeliveryError)):
        line(clock, provider, credentials(clock)).get("/")
    assert (len(provider.calls), len(provider.asked)) == (1, 1)


class Counted:
    """A lock that tells when so many have come to it."""

    def __init__(self, many):
        self.lock, self.left, self.all_came = threading.Lock(), many, threading.Event()

    def __enter__(self):
        self.left -= 1
        if not self.left:
            self.all_came.set()
        self.lock.acquire()

    def __exit__(self, *_):
        self.lock.release()


def together(clients):
    """Let each of them make a call at once; the statuses of the answers."""
    done = []
    threads = [threading.Thread(target=lambda c=c: done.append(c.get("/").status_code)) for c in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


def shared(clock, far, desk):
    """Eight calls' clients: two syncs of one account, four lines each."""
    limits = Limits(10, concurrency=4)
    return [line(clock, far, kept(credentials(clock), desk), limits=limits) for _ in "ab"] * 4


def test_threads_that_need_a_token_at_once_fetch_it_once(clock):
    """
    The first token is fetched while seven others wait for it; all eight use it.
    """
    provider, desk = Provider(), Desk()
    desk.lock = Counted(8)

    def far(request):
        if request.url.host == "login.example.com":
            assert desk.lock.all_came.wait(10)
        return provider(request)

    assert together(shared(clock, far, desk)) == [200] * 8
    assert len(provider.asked) == 1


def test_threads_whose_token_is_refused_at_once_renew_it_once(clock):
    """
    Eight calls are answered with 401 before any of them can renew: one renews, the others use what it got.
    """
    provider, desk, refused = Provider(), Desk(), threading.Barrier(8, timeout=30)

    def far(request):
        answer = provider(request)
        if answer.status_code == 401:
            refused.wait(10)
        return answer

    clients = shared(clock, far, desk)
    clients[0].get("/")
    provider.good = set()

    assert together(clients) == [200] * 8
    assert len(provider.asked) == 2


REFUSED = [
    (
        credentials,
        401,
        "invalid_client",
        "look these up at the provider and export CRM_CLIENT_ID and CRM_CLIENT_SECRET",
    ),
    (credentials, 400, "unauthorized_client", "export CRM_CLIENT_ID and CRM_CLIENT_SECRET"),
    (refresh, 400, "invalid_grant", "get it anew at the provider and export CRM_REFRESH_TOKEN"),
    (refresh, 400, "invalid_client", "export CRM_CLIENT_ID and CRM_CLIENT_SECRET"),
    (refresh, 401, None, "export CRM_CLIENT_ID and CRM_CLIENT_SECRET"),
    (refresh, 200, "not-a-real-code", "look at CRM_CLIENT_ID and CRM_CLIENT_SECRET and CRM_REFRESH_TOKEN"),
]


@pytest.mark.parametrize(("auth", "status", "code", "do"), REFUSED)
def test_a_sign_in_that_is_refused_names_the_setting(clock, auth, status, code, do):
    """
    The error says which variable to renew, and nothing that the provider said but its code; nothing was sent.
    """
    provider = Provider()
    body = {"error": code, "error_description": "not-a-real-word of ada@example.com", "access_token": None}
    provider.refuses = answering(status, body)

    with pytest.raises(CredentialsRefused, match=do) as refused:
        line(clock, provider, kept(auth(clock))).post("/lists")
    assert refused.value.what.startswith(f"login.example.com answered {status} to the sign-in")
    assert "nothing of the batch was sent" in refused.value.what
    assert refused.value.__cause__ is refused.value.__context__ is None
    assert (len(provider.asked), provider.calls) == (1, [])


@pytest.mark.parametrize(
    "refuses",
    [
        answering(200, {"token_type": "Bearer"}),
        answering(200, ["access_token"]),
        answering(200, {"access_token": "not-a-real-\nheader"}),
        answering(200, {"access_token": "not-a-real-é"}),
        lambda: httpx.Response(200, text="<html>not-a-real-page"),
        answering(404),
        answering(302, location="https://elsewhere.example.com/not-a-real-path"),
        answering(400, {"error": "invalid_scope"}),
    ],
)
def test_an_address_that_gives_no_token(clock, refuses):
    """
    What is no token endpoint, or is asked for something that it does not know, is an error of set-up.
    """
    provider = Provider()
    provider.refuses = refuses

    with pytest.raises(DeliveryError, match="check the address of the token endpoint") as failed:
        line(clock, provider, credentials(clock)).post("/lists")
    assert type(failed.value) is DeliveryError
    assert (len(provider.asked), provider.calls) == (1, [])


def dying(kind):
    def answer():
        raise kind("not-a-real-word")

    return answer


@pytest.mark.parametrize("repeatable", [True, False])
@pytest.mark.parametrize(
    ("refuses", "words"),
    [
        (answering(503), "answered 503 to the sign-in, again and again"),
        (answering(429), "answered 429 to the sign-in, again and again"),
        (dying(httpx.ReadTimeout), "does not answer the sign-in"),
        (dying(httpx.ReadError), "does not answer the sign-in"),
    ],
)
def test_a_sign_in_without_an_answer_leaves_nothing_in_doubt(clock, refuses, words, repeatable):
    """
    It is tried five times, also for a connector whose verbs may not be; then it is deferred: nothing was sent.
    """
    provider = Provider()
    provider.refuses = refuses
    with http.watching() as trace, pytest.raises(Deferred, match=words) as failed:
        line(clock, provider, credentials(clock), repeatable=repeatable).post("/lists")

    assert "login.example.com" in failed.value.what
    assert "nothing of the batch was sent" in failed.value.what
    assert failed.value.__cause__ is failed.value.__context__ is None
    assert not trace.unanswered
    assert (len(provider.asked), len(clock.waits), provider.calls) == (5, 4, [])


def test_an_endless_answer_to_the_sign_in_leaves_nothing_in_doubt(clock):
    """
    More than 10 MiB of an answer are not read; it was the sign-in's, so nothing of the batch was sent.
    """
    provider = Provider()
    provider.refuses = lambda: httpx.Response(200, content=b" " * (10 * 2**20 + 1))

    with http.watching() as trace, pytest.raises(Deferred, match="does not answer the sign-in"):
        line(clock, provider, credentials(clock)).post("/lists")
    assert not trace.unanswered


def test_a_sign_in_that_recovers(clock):
    """
    An endpoint that is down for a moment costs a wait, as long as it asks for.
    """
    provider = Provider()

    def once():
        provider.refuses = None
        return httpx.Response(503, headers={"retry-after": "7"})

    provider.refuses = once

    assert line(clock, provider, credentials(clock)).get("/").status_code == 200
    assert sum(clock.waits) >= 7


def test_a_batch_without_an_answer_stays_in_doubt(clock):
    """
    Only the sign-in's failures are kept apart: a call of the batch that is not answered counts as ever.
    """
    provider = Provider()
    provider.api = lambda request: httpx.Response(503)

    with http.watching() as trace, pytest.raises(Unanswered):
        line(clock, provider, credentials(clock)).post("/lists")
    assert trace.unanswered


def test_the_lease_is_asked_before_a_sign_in(clock):
    """
    A worker whose lease is gone signs in nowhere.
    """
    provider = Provider()

    def lease(seconds):
        raise LeaseLost("gone", do="nothing")

    with pytest.raises(LeaseLost):
        line(clock, provider, credentials(clock), lease=lease).get("/")
    assert provider.asked == []


def test_a_sign_in_takes_its_turn(clock):
    """
    A call for a token counts towards the account's pace.
    """
    provider = Provider()
    line(clock, provider, credentials(clock), limits=Limits(10, per_second=2)).get("/")

    assert clock.waits == [pytest.approx(0.52)]


@pytest.mark.parametrize(
    "url", ["http://login.example.com/t", "login.example.com", "https://", "", "https://x:not-a-real-port/"]
)
def test_secrets_travel_over_https_alone(url):
    """
    An address that anybody on the way could listen to is refused; on this machine it is not.
    """
    with pytest.raises(DefinitionError, match="token endpoint"):
        ClientCredentials(url, client_id="me", client_secret=SECRET)
    ClientCredentials("http://127.0.0.1:1/t", client_id="me", client_secret=SECRET)


def test_an_account_is_known_by_its_credentials(clock):
    """
    Syncs of the same credentials share a token; those of any other have one of their own. Nothing of them shows.
    """
    names = [
        credentials(clock).account,
        credentials(clock, scope="x").account,
        credentials(clock, extra={"a": "b"}).account,
        refresh(clock).account,
        refresh(clock, refresh_token="not-a-real-r9").account,
        refresh(clock, client_secret="not-a-real-other").account,
    ]

    assert len(set(names)) == len(names)
    assert credentials(clock).account == names[0]
    assert not [name for name in names if "not-a-real" in name]
