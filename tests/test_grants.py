"""The ways to an access token, as the RFCs write them: what is asked for, with which proof, and what is remembered."""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from audiences import ClientCredentials, ServiceAccount
from audiences.errors import DefinitionError
from audiences.http.signin import Forgetful
from login import SECRET, URL, Clock, Provider, credentials, kept, line, refresh

KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


@pytest.fixture
def clock():
    return Clock()


def test_client_credentials_in_the_header(clock):
    """
    RFC 6749, 4.4 and 2.3.1: name and secret are form-encoded, then joined; scope and further fields are in the form.
    """
    provider = Provider()
    auth = ClientCredentials(
        URL, client_id="a b", client_secret="s:%é", scope="lists.read lists.write", extra={"audience": "x"}
    )
    line(clock, provider, auth).get("/")

    assert provider.form == {
        "grant_type": "client_credentials",
        "scope": "lists.read lists.write",
        "audience": "x",
    }
    basic = base64.b64decode(provider.asked[0].headers["authorization"].removeprefix("Basic ")).decode()
    assert basic == "a+b:s%3A%25%C3%A9"
    assert str(provider.asked[0].url) == URL


def test_client_credentials_in_the_body(clock):
    """
    Where a provider reads the body alone, both are there and no header is.
    """
    provider = Provider()
    line(clock, provider, credentials(clock, client_auth="body")).get("/")

    assert provider.form == {"grant_type": "client_credentials", "client_id": "me", "client_secret": SECRET}
    assert "authorization" not in provider.asked[0].headers


def test_another_scheme(clock):
    """
    A provider that wants another first word than Bearer gets it.
    """
    provider = Provider()
    line(clock, provider, credentials(clock, scheme="Zoho-oauthtoken")).get("/")

    assert provider.calls[0].headers["authorization"] == "Zoho-oauthtoken not-a-real-access-1"


class Kept(Forgetful):
    """A store that tells when it is used."""

    def __init__(self, told):
        super().__init__()
        self.told = told

    @contextmanager
    def alone(self):
        self.told.append("alone")
        yield
        self.told.append("done")

    def save(self, values):
        self.told.append(f"save {values['refresh_token']}")
        super().save(values)


def test_an_exchanged_refresh_token_is_kept_before_the_access_token_is_used(clock):
    """
    RFC 6749, 6: the new one is stored first; the next renewal uses it.
    """
    told = []
    provider = Provider(refresh_token="not-a-real-r1")
    provider.api = lambda request: (told.append("call"), httpx.Response(200))[1]
    client = line(clock, provider, kept(refresh(clock), store=Kept(told)))
    client.get("/")
    assert told == ["alone", "save not-a-real-r1", "done", "call"]
    assert provider.form == {"grant_type": "refresh_token", "refresh_token": "not-a-real-r0"}

    clock.seconds += 3600
    client.get("/")
    assert provider.form["refresh_token"] == "not-a-real-r1"
    assert told[4:] == ["alone", "done", "call"]


def test_a_public_client_only_names_itself(clock):
    """
    A client that the provider gave no secret sends its name in the form.
    """
    provider = Provider()
    line(clock, provider, refresh(clock, client_secret="")).get("/")

    assert provider.form == {"grant_type": "refresh_token", "refresh_token": "not-a-real-r0", "client_id": "me"}
    assert "authorization" not in provider.asked[0].headers


def test_a_new_setting_wins_over_what_was_kept(clock):
    """
    What was exchanged counts as long as the setting is the one that it came from.
    """
    store, provider = Forgetful(), Provider(refresh_token="not-a-real-r1")
    line(clock, provider, kept(refresh(clock), store=store)).get("/")
    used = []
    for setting in ("not-a-real-r0", "not-a-real-new", "not-a-real-new", "not-a-real-r0"):
        provider.says["refresh_token"] = "not-a-real-r2"
        line(clock, provider, kept(refresh(clock, refresh_token=setting), store=store)).get("/")
        used.append(provider.form["refresh_token"])

    assert used == ["not-a-real-r1", "not-a-real-new", "not-a-real-r2", "not-a-real-r0"]
    assert "not-a-real-new" not in store.values.values()


def test_a_service_account_signs_an_assertion(clock):
    """
    RFC 7523: the provider's public key verifies it; it says who, for whom, where and for how long.
    """
    provider = Provider()
    key = {
        "type": "service_account",
        "client_email": "worker@project.example.com",
        "private_key": PEM,
        "private_key_id": "k1",
        "token_uri": URL,
    }
    auth = ServiceAccount.google(json.dumps(key), scope="https://example.com/auth/lists", subject="me", now=lambda: 5e9)
    line(clock, provider, auth).get("/")
    sent = provider.form["assertion"]
    read = jwt.decode(sent, KEY.public_key(), ["RS256"], audience=URL, options={"verify_iat": False})

    assert provider.form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert read == {
        "iss": "worker@project.example.com",
        "sub": "me",
        "scope": "https://example.com/auth/lists",
        "aud": URL,
        "iat": 5_000_000_000,
        "exp": 5_000_000_180,
    }
    assert jwt.get_unverified_header(sent) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}


def test_an_assertion_in_other_words(clock):
    """
    A provider that wants an audience of its own and no key's name gets them; a key on one line is read.
    """
    provider = Provider()
    one_line = PEM.replace("\n", "\\n")
    auth = ServiceAccount(URL, issuer="app", private_key=one_line, audience="https://login.example.com")
    line(clock, provider, auth).get("/")
    read = jwt.decode(provider.form["assertion"], KEY.public_key(), ["RS256"], audience="https://login.example.com")

    assert read["iss"] == "app"
    assert read.keys() == {"iss", "aud", "iat", "exp"}


@pytest.mark.parametrize("key", ["", "not-a-real-key", PEM[:200], PEM.replace("PRIVATE", "PUBLIC")])
def test_a_private_key_that_is_none(key):
    """
    A misspelt key is found at once, and nothing of it is shown.
    """
    with pytest.raises(DefinitionError, match="no RSA key in PEM") as wrong:
        ServiceAccount(URL, issuer="app", private_key=key)
    assert wrong.value.__context__ is None


@pytest.mark.parametrize("key", ["", "not-a-real-key", "[]", '"text"', '{"client_email": "a"}'])
def test_a_key_file_that_is_none(key):
    """
    What is no key file is refused in words.
    """
    with pytest.raises(DefinitionError, match="not the JSON of a key file") as wrong:
        ServiceAccount.google(key, scope="x")
    assert wrong.value.__context__ is None
