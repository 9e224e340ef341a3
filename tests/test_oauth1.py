"""OAuth 1.0a: signatures as the RFC and a provider publish them, made anew for each attempt."""

from __future__ import annotations

import base64
import hmac
import re
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiences import Limits, OAuth1, http
from audiences.errors import CredentialsRefused

ACCOUNT = {
    "client_key": "not-a-real-key",
    "client_secret": "not-a-real-secret",
    "token": "not-a-real-token",
    "token_secret": "not-a-real-other",
}
PART = re.compile(r'(\w+)="([^"]*)"')


def written(text):
    return quote(text, safe="-._~")


def signature(verb, url, parameters, secrets, digest="sha1"):
    """RFC 5849, 3.4.1 and 3.4.2, in as many words: what our requests are held against."""
    parts = urlsplit(url)
    pairs = sorted((written(n), written(v)) for n, v in [*parse_qsl(parts.query, keep_blank_values=True), *parameters])
    base = "&".join(
        (verb, written(f"{parts.scheme}://{parts.netloc}{parts.path}"), written("&".join(f"{n}={v}" for n, v in pairs)))
    )
    key = "&".join(map(written, secrets))
    return base64.b64encode(hmac.digest(key.encode(), base.encode(), digest)).decode()


def oauth(request):
    """The parameters of a request's Authorization header."""
    scheme, _, rest = request.headers["authorization"].partition(" ")
    assert scheme == "OAuth"
    return {name: unquote(value) for name, value in PART.findall(rest)}


def sent(auth, *arguments, far=lambda request: httpx.Response(200), reach=(), **more):
    """The attempts that one call came to."""
    seen = []

    def end(request):
        seen.append(request)
        return far(request)

    client = http.client(
        {"auth": auth, **dict(reach)}, Limits(1), transport=httpx.MockTransport(end), sleep=lambda seconds: None
    )
    try:
        client.request(*arguments, **more)
    except CredentialsRefused:
        seen.append("refused")
    return seen


def test_the_example_of_the_rfc():
    """
    The measure itself is right: it gives the signature that RFC 5849 prints in 1.2.

    https://www.rfc-editor.org/rfc/rfc5849#section-1.2 (read 2026-11)
    """
    parameters = {
        "oauth_consumer_key": "dpf43f3p2l4k3l03",
        "oauth_token": "nnch734d00sl2jdk",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "137131202",
        "oauth_nonce": "chapoH",
    }
    url = "http://photos.example.net/photos?file=vacation.jpg&size=original"
    found = signature("GET", url, parameters.items(), ("kd94hf93k423kf44", "pfkkdhi9sl3r4s00"))

    assert found == "MdpQcU8iPSUjWoN/UDMsK2sui9I="


@pytest.mark.parametrize(
    ("version", "published"), [("1", "tnnArxj06cWHq44gCs1OSKk/jLY="), ("1.1", "hCtSmYh+iHYCEqBWrE7C7hYmtUk=")]
)
def test_the_example_of_a_provider(version, published):
    """
    Our request carries the signature that X, then Twitter, published for this very call to two versions of its API.

    https://developer.x.com/en/docs/authentication/oauth-1-0a/creating-a-signature (read 2026-11)
    """
    auth = OAuth1(
        client_key="xvz1evFS4wEEPTGEFPHBog",
        client_secret="kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
        token="370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb",
        token_secret="LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
        now=lambda: 1318622958.7,
        nonce=lambda: "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg",
    )
    url = f"https://api.twitter.com/{version}/statuses/update.json?include_entities=true"
    [request] = sent(auth, "POST", url, data={"status": "Hello Ladies + Gentlemen, a signed OAuth request!"})

    assert oauth(request)["oauth_signature"] == published


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)
PAIRS = st.lists(st.tuples(WORDS.filter(bool), WORDS), max_size=4)


@pytest.mark.parametrize(("method", "digest"), [("HMAC-SHA1", "sha1"), ("HMAC-SHA256", "sha256")])
@given(query=PAIRS, form=PAIRS)
def test_what_is_signed_is_what_is_sent(method, digest, query, form):
    """
    Whatever stands in query and form, repeated names too, the signature is the one of the request as it went out.
    """
    auth = OAuth1(**ACCOUNT, method=method)
    body = "&".join(f"{written(n)}={written(v)}" for n, v in form)
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    [request] = sent(auth, "POST", "https://api.example.com/a b/ü", params=query, content=body, headers=headers)
    said = oauth(request)
    claimed = said.pop("oauth_signature")
    parameters = [*said.items(), *parse_qsl(request.content.decode(), keep_blank_values=True)]

    assert said["oauth_signature_method"] == method
    assert claimed == signature(
        "POST", str(request.url), parameters, (ACCOUNT["client_secret"], ACCOUNT["token_secret"]), digest
    )


def test_a_body_that_is_no_form_is_not_signed():
    """
    JSON stays out of the signature, as the RFC says, and goes out as it is.
    """
    auth = OAuth1(**ACCOUNT)
    [request] = sent(auth, "POST", "https://api.example.com/users?name=x", json=[{"operation_type": "Update"}])
    said = oauth(request)
    claimed = said.pop("oauth_signature")

    assert request.content == b'[{"operation_type":"Update"}]'
    assert claimed == signature(
        "POST", str(request.url), said.items(), (ACCOUNT["client_secret"], ACCOUNT["token_secret"])
    )
    names = ("consumer_key", "nonce", "signature_method", "timestamp", "token", "version")
    assert said.keys() == {f"oauth_{name}" for name in names}


def test_each_attempt_is_signed_anew():
    """
    A provider refuses a nonce that it has seen: another attempt has another one, and its own time.
    """
    answers, times = iter([503, 503, 200]), iter([5.0, 6.0, 7.0])
    auth = OAuth1(**ACCOUNT, now=lambda: next(times))
    requests = sent(auth, "POST", "https://api.example.com/", far=lambda request: httpx.Response(next(answers)))

    assert [oauth(request)["oauth_timestamp"] for request in requests] == ["5", "6", "7"]
    assert len({oauth(request)["oauth_nonce"] for request in requests}) == 3


def test_a_connectors_own_signature_stays():
    """
    What a connector signs for itself is sent beside it.
    """
    extensions = {"sign": lambda body: {"x-digest": str(len(body))}}
    [request] = sent(OAuth1(**ACCOUNT), "POST", "https://api.example.com/", content=b"four", extensions=extensions)

    assert request.headers["x-digest"] == "4"
    assert oauth(request)["oauth_token"] == ACCOUNT["token"]


def test_a_401_is_a_refusal_at_once():
    """
    There is nothing to renew.
    """
    seen = sent(OAuth1(**ACCOUNT), "GET", "https://api.example.com/", far=lambda request: httpx.Response(401))

    assert len(seen) == 2
    assert seen[1] == "refused"
