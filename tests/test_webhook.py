"""The connector `webhook`: what it sends, how it signs, and what it makes of an answer."""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from hashlib import sha256

import httpx
import pytest

from audiences import BatchRefused, Member, Unanswered
from audiences.errors import AudienceError, DefinitionError
from dialogue import first, fixtures

SECRET = "whsec_bm90LWEtcmVhbC1zZWNyZXQtYnV0LWxvbmc="
PEOPLE = [Member("7", {"email": "ada@example.com", "score": 3}, 40), Member("9", {"email": "zoë@example.com"}, 41)]


dialogue, far, speak = fixtures("webhook", send=("email", "score"))


@pytest.mark.parametrize("verb", ["upsert", "remove"])
def test_the_body_is_as_documented(dialogue, speak, verb):
    """
    One POST to the URL, as JSON: verb, list, and each member with key and fields.
    """
    getattr(speak(), verb)("Detractors", PEOPLE)

    [call] = dialogue.requests
    assert (call.method, str(call.url)) == ("POST", dialogue.far.settings["WEBHOOK_URL"])
    assert call.headers["content-type"] == "application/json"
    assert json.loads(call.content) == {
        "verb": verb,
        "list": "Detractors",
        "members": [
            {"key": "7", "fields": {"email": "ada@example.com", "score": 3}},
            {"key": "9", "fields": {"email": "zoë@example.com"}},
        ],
    }


def test_the_signature_is_as_the_standard_says(dialogue, speak):
    """
    Id, time and body, signed step by step as the algorithm's RFC says, give the same signature.
    """
    begun = int(time.time())

    speak().upsert("Detractors", PEOPLE)

    sent = dialogue.requests[0].headers
    signed = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + dialogue.requests[0].content
    version, _, signature = sent["webhook-signature"].partition(",")
    assert version == "v1"
    assert signature == signed_by_hand(b64decode(SECRET.removeprefix("whsec_")), signed)
    assert begun <= int(sent["webhook-timestamp"]) <= time.time()


def signed_by_hand(key, content):
    """The base64 of HMAC-SHA256 as RFC 2104 spells it out, without the module that the connector uses."""
    padded = key.ljust(64, b"\0")
    inner = sha256(bytes(byte ^ 0x36 for byte in padded) + content).digest()
    return b64encode(sha256(bytes(byte ^ 0x5C for byte in padded) + inner).digest()).decode()


def test_the_signature_of_a_known_message(dialogue, speak, monkeypatch):
    """
    A fixed id, time and body have the signature that Standard Webhooks' own library gives (standardwebhooks 1.1.0).
    """
    monkeypatch.setattr(time, "time", lambda: 1700000000.9)

    speak(first(httpx.Response(204)), outbox="msg").remove("L", [Member("1", {}, 5)])

    assert dialogue.requests[0].content == b'{"verb":"remove","list":"L","members":[{"key":"1","fields":{}}]}'
    assert dialogue.requests[0].headers["webhook-timestamp"] == "1700000000"
    assert dialogue.requests[0].headers["webhook-signature"] == "v1,/xg4yYg+c2jwngsBXgnWfjLEcF6zAktUtqnnwgn9cz4="


def test_a_delivery_is_named_by_its_outbox_and_range(dialogue, speak):
    """
    `webhook-id` and `Idempotency-Key` say which rows of which outbox these are.
    """
    speak(outbox="shop-detractors-12").upsert("Detractors", PEOPLE)

    assert dialogue.requests[0].headers["webhook-id"] == "shop-detractors-12-40-41"
    assert dialogue.requests[0].headers["idempotency-key"] == "shop-detractors-12-40-41"


def test_add_remove_and_add_again_are_three_deliveries(speak):
    """
    A receiver that drops what it has seen still ends with the member on the list, though the first and third are equal.
    """
    seen, present = set(), set()

    def receiver(request):
        if request.headers["webhook-id"] not in seen:
            seen.add(request.headers["webhook-id"])
            (present.add if json.loads(request.content)["verb"] == "upsert" else present.discard)("7")
        return httpx.Response(204)

    for run, verb in enumerate(["upsert", "remove", "upsert"]):
        getattr(speak(receiver, outbox=f"shop-detractors-{run}"), verb)("Detractors", PEOPLE[:1])

    assert len(seen) == 3
    assert present == {"7"}


def test_another_attempt_has_the_same_name(dialogue, speak):
    """
    What is tried again after a 503 is told by its name from something new.
    """
    speak(first(httpx.Response(503))).upsert("Detractors", PEOPLE)

    assert len(dialogue.requests) == 2
    assert len({call.headers["webhook-id"] for call in dialogue.requests}) == 1


@pytest.mark.parametrize(
    "body", ["", "ok", "<p>Thanks", "{}", '{"rejected": {}}', '{"rejected": null}', '{"rejected": []}', '{"id": 1}']
)
def test_success_without_a_rejection_accepts_all(speak, body):
    """
    Any 2xx is enough: a receiver need not know what a receipt is.
    """
    assert speak(first(httpx.Response(202, text=body))).upsert("Detractors", PEOPLE).accepted == {"7", "9"}


def test_some_are_rejected_by_key(speak):
    """
    The keys in `rejected` are refused with the receiver's reason, the others accepted.
    """
    receipt = speak(first(httpx.Response(200, json={"rejected": {"9": "unknown domain"}}))).upsert("Detractors", PEOPLE)

    assert receipt.accepted == {"7"}
    assert receipt.rejected == {"9": "unknown domain"}


def test_a_rejection_without_words_has_a_reason_still(speak):
    """
    A null for a reason is a rejection all the same.
    """
    remote = speak(first(httpx.Response(200, json={"rejected": {"9": None}})))

    assert remote.upsert("Detractors", PEOPLE).rejected == {"9": "no reason given"}


@pytest.mark.parametrize(
    "body",
    ['"ok"', "[]", "true", "null", '{"rejected": "9"}', '{"rejected": ["9"]}', '{"rejected": {"8": "a stranger"}}'],
)
def test_an_answer_that_cannot_be_understood_is_a_doubt(speak, body):
    """
    JSON that does not say who is rejected may have been applied or not; the error says what to answer instead.
    """
    with pytest.raises(Unanswered, match="let it answer with no body, or with") as error:
        speak(first(httpx.Response(200, text=body))).upsert("Detractors", PEOPLE)
    assert "stranger" not in str(error.value)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_batch_refused_as_a_whole_comes_with_the_receivers_words(speak, status):
    """
    The reason is what the receiver said.
    """
    with pytest.raises(BatchRefused) as refused:
        speak(first(httpx.Response(status, text="score must be text"))).upsert("Detractors", PEOPLE)

    assert refused.value.reason == "score must be text"


def test_a_value_that_json_cannot_hold_spoils_its_batch_only(dialogue, speak):
    """
    It is a BatchRefused, before anything is sent: the worker finds the culprit, and the others go.
    """
    with pytest.raises(BatchRefused, match="refused"):
        speak().upsert("Detractors", [Member("1", {"score": 2**64})])
    assert not dialogue.requests


@pytest.mark.parametrize(
    "url",
    [
        "https://receiver.example.com",
        "https://receiver.example.com:8443/a?b=c",
        " https://receiver.example.com/a\n",
        "http://127.0.0.1:8000/a",
        "http://127.9.8.7/",
        "http://[::1]:8000",
        "http://localhost:8000",
    ],
)
def test_https_and_loopback_are_fine(dialogue, url):
    """
    https anywhere; http to this machine.
    """
    assert dialogue.account(WEBHOOK_URL=url).url.get_secret_value().startswith(url.strip())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://receiver.example.com/not-a-real-token", "it must be https"),
        ("http://10.0.0.1/not-a-real-token", "it must be https"),
        ("http://127.0.0.1.example.com/not-a-real-token", "it must be https"),
        ("http://localhost.example.com/not-a-real-token", "it must be https"),
        ("https://ada:not-a-real-word@receiver.example.com", "user name or password"),
        ("http://localhost@receiver.example.com", "user name or password"),
        ("ftp://receiver.example.com/not-a-real-token", "must start with https"),
        ("receiver.example.com/not-a-real-token", "must start with https"),
        ("https:///not-a-real-token", "must start with https"),
        ("https://receiver.example.com:not-a-real-port", "not a URL"),
    ],
)
def test_an_unsafe_url_is_refused_and_not_shown(dialogue, url, said):
    """
    People go only where nobody listens in; the error says what is wrong, and shows nothing of the address.
    """
    with pytest.raises(DefinitionError) as error:
        dialogue.account(WEBHOOK_URL=url)

    assert "WEBHOOK_URL is invalid: it" in str(error.value)
    assert said in str(error.value)
    assert "example.com" not in str(error.value)
    assert "not-a-real" not in str(error.value)


@pytest.mark.parametrize(
    "secret",
    [
        "not-a-real-secret",
        "whsec_c2hvcnQ=",
        "whsec_not base64 at all, but long enough",
        SECRET.removeprefix("whsec_"),
        "whsec_" + b64encode(b"x" * 65).decode(),
        "whsec_é",
    ],
)
def test_a_weak_secret_is_refused_and_not_shown(dialogue, secret):
    """
    A secret is 24 to 64 bytes in base64 behind `whsec_`, as the standard asks.
    """
    with pytest.raises(DefinitionError) as error:
        dialogue.account(WEBHOOK_SECRET=secret)

    assert "WEBHOOK_SECRET is invalid: it must be whsec_ and the base64" in str(error.value)
    assert secret not in str(error.value)


def test_no_error_shows_where_it_was_sent(speak):
    """
    A URL may hold a token: what is said of a failed call names the host at most.
    """
    with pytest.raises(AudienceError) as error:
        speak(first(httpx.Response(404))).upsert("Detractors", PEOPLE)
    assert "/hook" not in str(error.value)
