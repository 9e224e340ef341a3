"""A false provider with a token endpoint, and what it takes to sign in to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from urllib.parse import parse_qsl

import httpx

from audiences import ClientCredentials, Limits, RefreshToken, http
from audiences.http.signin import Desk, Forgetful

URL = "https://login.example.com/oauth/token?tenant=not-a-real-tenant"
SECRET = "not-a-real-secret"


class Clock:
    def __init__(self):
        self.seconds, self.waits = 1000.0, []

    def __call__(self):
        return self.seconds

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.seconds += seconds


class Provider:
    """A token endpoint and an API. It accepts the tokens in `good`; each new one is not-a-real-access-1, -2 …

    says: more fields of each token answer; refuses: an answer to the next calls for a token, or an error to raise
    """

    def __init__(self, **says):
        self.says, self.good = {"token_type": "Bearer", "expires_in": 3600, **says}, set()
        self.refuses: Callable | None = None
        self.api: Callable = lambda request: httpx.Response(200, json={})
        self.asked: list[httpx.Request] = []
        self.calls: list[httpx.Request] = []
        self.lock = threading.Lock()

    def __call__(self, request):
        with self.lock:
            if request.url.host == "login.example.com":
                return self.token(request)
            self.calls.append(request)
            if request.headers["authorization"].rpartition(" ")[2] not in self.good:
                return httpx.Response(401)
            return self.api(request)

    def token(self, request):
        self.asked.append(request)
        if self.refuses:
            return self.refuses()
        name = f"not-a-real-access-{len(self.asked)}"
        self.good = {name}
        return httpx.Response(200, json={"access_token": name, **self.says})

    @property
    def form(self):
        return dict(parse_qsl(self.asked[-1].content.decode(), keep_blank_values=True))


def line(clock, provider, auth, **options):
    reach = {"base_url": "https://api.example.com", "auth": auth}
    limits = options.pop("limits", Limits(batch=10))
    transport = httpx.MockTransport(provider)
    return http.client(reach, limits, transport=transport, sleep=clock.sleep, clock=clock, **options)


def credentials(clock, **more):
    return ClientCredentials(URL, client_id="me", client_secret=SECRET, clock=clock, **more)


def refresh(clock, **more):
    given = {"client_id": "me", "client_secret": SECRET, "refresh_token": "not-a-real-r0", **more}
    return RefreshToken(URL, clock=clock, **given)


def answering(status, body=None, **headers):
    return lambda: httpx.Response(status, json=body, headers=headers)


def kept(auth, desk=None, store=None, section="crm"):
    auth.kept(section, desk or Desk(), store or Forgetful())
    return auth
