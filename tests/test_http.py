"""The client: what it sends again, how long it waits, and what each answer comes to. On a driven clock."""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from audiences import http
from audiences.connector import Limits
from audiences.errors import (
    AudienceError,
    BatchRefused,
    CredentialsRefused,
    Deferred,
    DefinitionError,
    DeliveryError,
    LeaseLost,
    Unanswered,
)
from audiences.http.told import asked

HOST = "https://api.example.com"
SECRET = "not-a-real-token"
START = datetime(2026, 1, 1, tzinfo=UTC)
Reply = httpx.Response | BaseException


@dataclass
class Clock:
    """A clock that only waiting moves."""

    seconds: float = 0.0
    waits: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


class Host:
    """A host that gives these answers in turn, the last one for ever, and remembers when it was called."""

    def __init__(self, clock: Clock, *replies: Callable[[], Reply] | int):
        self.clock, self.replies = clock, list(replies)
        self.calls: list[float] = []
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(self.clock())
        self.requests.append(request)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        answer = httpx.Response(reply) if isinstance(reply, int) else reply()
        if isinstance(answer, BaseException):
            raise answer
        return answer


def throttled(status: int = 429, after: str = "", **headers: str) -> Callable[[], httpx.Response]:
    return lambda: httpx.Response(status, headers={"retry-after": after} if after else {}, **headers)


def failing(kind: type[BaseException], words: str = f"{HOST}/{SECRET} ada@example.com") -> Callable[[], BaseException]:
    return lambda: kind(words)


@pytest.fixture
def clock():
    return Clock()


def client(clock: Clock, host: Callable[[httpx.Request], httpx.Response], **options: Any) -> http.Client:
    limits = options.pop("limits", Limits(batch=100))
    reach = options.pop("reach", {"base_url": f"{HOST}/{SECRET}/"})
    transport = httpx.MockTransport(host)
    return http.client(reach, limits, transport=transport, sleep=clock.sleep, clock=clock, now=clock.now, **options)


def post(clock: Clock, host: Host, **options: Any) -> httpx.Response:
    return client(clock, host, **options).post("members?token=" + SECRET, json={"email": "ada@example.com"})


def chained(error: BaseException) -> Iterator[BaseException]:
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
        yield error


PASSING = [408, 425, 429, 500, 502, 503, 504, 507, 520, 529]
SENT = [httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteTimeout, httpx.WriteError]
NEVER_SENT = [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError]


@pytest.mark.parametrize("first", [*PASSING, *map(failing, SENT), *map(failing, NEVER_SENT)])
def test_what_may_pass_is_tried_again(clock, first):
    """
    A failure that may pass is followed by a second try, with the same words.
    """
    host = Host(clock, first, 200)

    assert post(clock, host).status_code == 200
    assert [request.content for request in host.requests] == [b'{"email":"ada@example.com"}'] * 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 422, 301, 302, 307, 501, 505])
def test_what_cannot_pass_is_not_tried_again(clock, status):
    """
    An answer that waiting does not change is taken at its first word.
    """
    host = Host(clock, status)

    with pytest.raises((AudienceError, BatchRefused)):
        post(clock, host)

    assert len(host.calls) == 1


def test_tries_are_bounded_and_spread(clock):
    """
    There are five tries, each wait about twice the one before, none exact: clients do not come back in step.
    """
    host = Host(clock, 503)

    with pytest.raises(Unanswered):
        post(clock, host)

    assert len(host.calls) == 5
    assert all(low <= wait <= 2 * low for low, wait in zip([0.5, 1, 2, 4], clock.waits, strict=True))
    assert len({wait / low for low, wait in zip([0.5, 1, 2, 4], clock.waits, strict=True)}) > 1


def test_a_body_that_can_be_read_once_is_tried_again_whole(clock):
    """
    A streamed body is sent again from its start.
    """
    host = Host(clock, 503, 200)

    client(clock, host).post("members", content=iter([b"one ", b"two"]))

    assert [request.content for request in host.requests] == [b"one two"] * 2


@pytest.mark.parametrize("first", [408, 500, 502, 503, 504, *map(failing, SENT)])
def test_what_may_have_been_applied_is_not_repeated_for_a_connector_that_cannot(clock, first):
    """
    Where verbs are not repeatable, a call that may have been applied is sent once.
    """
    host = Host(clock, first, 200)

    with pytest.raises(Unanswered):
        post(clock, host, repeatable=False)

    assert len(host.calls) == 1


@pytest.mark.parametrize("first", [425, 429, *map(failing, NEVER_SENT)])
def test_what_was_surely_not_applied_is_repeated_for_every_connector(clock, first):
    """
    A call that never left, or that the host turned away for now, is sent again whatever the connector says.
    """
    host = Host(clock, first, 200)

    assert post(clock, host, repeatable=False).status_code == 200


@pytest.mark.parametrize("call", [{"method": "GET"}, {"method": "POST", "extensions": {"reads": True}}])
def test_reading_may_always_be_repeated(clock, call):
    """
    A GET changes nothing, nor does a POST that is said to: it is sent again whatever the connector says of its verbs.
    """
    host = Host(clock, 503, failing(httpx.ReadTimeout), 200)

    assert client(clock, host, repeatable=False).request(url="lists", **call).status_code == 200


@pytest.mark.parametrize("status", [429, 503, 500])
@pytest.mark.parametrize("after", ["30", " 30 ", "30.0", "date"])
def test_retry_after_is_never_undercut(clock, status, after):
    """
    What a host asks for, in seconds or as a date, is waited for.
    """
    words = format_datetime(START + timedelta(seconds=30), usegmt=True) if after == "date" else after
    host = Host(clock, throttled(status, words), 200)

    post(clock, host)

    assert host.calls[1] >= 30


def test_retry_after_by_another_name_is_not_undercut_either(clock):
    """
    Braze tells it as X-RateLimit-Retry-After; of two, the longer one counts.
    """
    headers = {"x-ratelimit-retry-after": "40", "retry-after": "3"}
    host = Host(clock, lambda: httpx.Response(429, headers=headers), 200)

    post(clock, host)

    assert host.calls[1] >= 40


def test_a_date_is_read_by_the_hosts_own_clock(clock):
    """
    A host whose clock is an hour off is not called early: its own Date header tells what its Retry-After means.
    """
    theirs = START - timedelta(hours=1)
    headers = {"date": format_datetime(theirs, usegmt=True)}
    headers["retry-after"] = format_datetime(theirs + timedelta(seconds=40), usegmt=True)
    host = Host(clock, lambda: httpx.Response(429, headers=headers), 200)

    post(clock, host)

    assert 40 <= host.calls[1] <= 42


@pytest.mark.parametrize(
    "after", ["soon", "-5", "", "²", "1e9", "Thu, 99 Foo 2026", "Wed, 31 Dec 2025 00:00:00 GMT", "NaN", "٣", "1 2"]
)
def test_a_retry_after_that_says_nothing_is_no_wait_of_its_own(clock, after):
    """
    Garbage, a negative number and a date in the past leave the usual wait.
    """
    host = Host(clock, lambda: httpx.Response(429, headers={"retry-after": after.encode()}), 200)

    post(clock, host)

    assert 0.5 <= clock.seconds <= 1


@given(st.text(max_size=60) | st.from_regex(r"[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} [\d:+-]{1,20}"))
@settings(deadline=None)
def test_any_retry_after_is_read_without_a_fault(words):
    """
    Whatever a host writes there, the answer is a number of seconds that is not negative.
    """
    answer = httpx.Response(429, headers={"retry-after": words.encode()})

    assert asked(answer, lambda: START) >= 0


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Wed, 31 Dec 2025 23:00:00 GMT", 0),
        ("Thu, 01 Jan 2026 00:01:00 -0000", 60),
        ("Thu, 01 Jan 2026 01:01:00 +0100", 60),
        ("Fri, 31 Dec 99999999999 23:59:59 GMT", 0),
    ],
)
def test_a_date_is_seconds_from_now(words, seconds):
    """
    A date in any zone is a number of seconds; one that is over, or that no calendar has, is none.
    """
    answer = httpx.Response(429, headers={"retry-after": words})

    assert asked(answer, lambda: START) == seconds


@pytest.mark.parametrize("after", ["901", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_wait_beyond_patience_is_deferred_at_once(clock, after):
    """
    A host that asks for more than this run's patience is left for the next run: nobody sits it out.
    """
    host = Host(clock, throttled(after=after))

    with pytest.raises(Deferred, match=r"900 s at most\n.*AUDIENCES_PATIENCE"):
        post(clock, host)

    assert (clock.waits, len(host.calls)) == ([], 1)


def test_waits_of_one_call_add_up_to_patience(clock):
    """
    Three waits of 400 s are more than 900 s of patience: the third is not begun.
    """
    host = Host(clock, throttled(after="400"))

    with pytest.raises(Deferred):
        post(clock, host)

    assert len(host.calls) == 3
    assert clock.seconds == 800


def test_each_call_has_patience_of_its_own(clock):
    """
    A call that waited long does not shorten the patience for the next.
    """
    wait = throttled(after="800")
    line = client(clock, Host(clock, wait, 200, wait, 200))

    assert [line.post("members").status_code for _ in range(2)] == [200, 200]


@pytest.mark.parametrize("after", ["", "0", "0.5"])
def test_a_host_that_throttles_to_the_end_defers(clock, after):
    """
    429 at every try, and no word on when to come back, leaves the rest for the next run.
    """
    host = Host(clock, throttled(after=after))

    with pytest.raises(Deferred, match="429 again and again"):
        post(clock, host)

    assert len(host.calls) == 5


def test_a_host_that_says_when_to_come_back_is_come_back_to(clock):
    """
    A call turned away forty times with a time to come back has not failed: it is made again while there is patience.
    """
    host = Host(clock, *[throttled(after="20")] * 40, 200)

    assert post(clock, host).status_code == 200
    assert host.calls == [20 * call for call in range(41)]
    with pytest.raises(Deferred, match="903 s in all; this run waits 900 s"):
        post(clock, Host(clock, throttled(after="7")))


def test_a_host_that_is_in_trouble_is_not_waited_for_so_long(clock):
    """
    Nobody knows what became of a call that got 503: it is tried five times, whatever its Retry-After.
    """
    host = Host(clock, throttled(503, "20"))

    with pytest.raises(Unanswered):
        post(clock, host)

    assert len(host.calls) == 5


def of_provider(answer: httpx.Response) -> float | None:
    """A provider's own word: 477 passes, 423 after 2 s, and a quota not before midnight."""
    if b"quota" in answer.content:
        return math.inf
    return {423: 2.0, 477: 0.0}.get(answer.status_code)


@pytest.mark.parametrize(
    ("first", "seconds"), [(throttled(477, "30"), 30), (throttled(423), 2), (throttled(423, "9"), 9)]
)
def test_a_provider_may_say_that_its_own_status_passes(clock, first, seconds):
    """
    What HTTP does not say of an answer, the connector may: it is tried again, and neither pause is undercut.
    """
    host = Host(clock, first, 200)

    assert post(clock, host, passes_in=of_provider).status_code == 200
    assert seconds <= host.calls[1] < seconds + 1


def test_a_status_that_passes_by_the_providers_word_defers_at_the_end(clock):
    """
    Where it does not pass in time, the rest is left for the next run; without that word it is an error at once.
    """
    with pytest.raises(Deferred, match="477 again and again"):
        post(clock, Host(clock, 477), passes_in=of_provider)
    with pytest.raises(DeliveryError, match="answered 477") as unknown:
        post(clock, Host(clock, 477))

    assert not isinstance(unknown.value, Deferred)


@pytest.mark.parametrize("status", [429, 403])
def test_a_quota_that_is_used_up_is_not_waited_for(clock, status):
    """
    An answer of which the connector knows that it will not change soon defers the sync at its first word, also where
    its status says something else to others.
    """
    host = Host(clock, throttled(status, text="quota"))

    with (
        http.watching() as trace,
        pytest.raises(Deferred, match=f"{status}: a quota is used up, for longer than a run waits"),
    ):
        post(clock, host, passes_in=of_provider)

    assert (clock.waits, len(host.calls), trace.unanswered) == ([], 1, False)


def test_the_providers_word_is_asked_of_failures_alone(clock):
    """
    An answer that is a success is no failure that may pass, whatever a connector would say of it.
    """
    host = Host(clock, throttled(200, text="quota"))

    assert post(clock, host, passes_in=of_provider).text == "quota"


@pytest.mark.parametrize(
    ("status", "error"), [(401, CredentialsRefused), (422, BatchRefused), (404, DeliveryError), (500, Unanswered)]
)
def test_an_answer_has_the_status_that_its_provider_means(clock, status, error):
    """
    A failure that the body alone tells of, in an answer of 200, is the error of the status that the connector names.
    """
    host = Host(clock, throttled(200, text="failed"))

    with http.watching() as trace, pytest.raises(error):
        post(clock, host, means=lambda answer: status)

    assert (trace.applied, trace.unanswered) == (False, status == 500)


def test_a_throttle_in_a_success_is_waited_for(clock):
    """
    Where the body says that there were too many calls the call is made again, after the pause that the connector knows.
    """
    host = Host(clock, throttled(200, text="slowly"), throttled(200, text="done"))
    means = {"means": lambda answer: 429 if answer.text == "slowly" else answer.status_code}

    assert post(clock, host, passes_in=lambda answer: 300.0, **means).text == "done"
    assert len(host.calls) == 2
    assert host.calls[1] >= 300


def test_one_threads_pause_holds_all_threads(clock):
    """
    After a Retry-After no call of the same client starts early, whichever thread makes it.
    """
    host = Host(clock, throttled(after="60"), 200)
    line = client(clock, host, patience=50)
    with pytest.raises(Deferred):
        line.post("members")

    with pytest.raises(Deferred):  # the pause still holds, and is longer than there is patience for
        line.post("members")
    clock.seconds = 59
    line.post("members")

    assert host.calls == [0, 60]


def test_pace_is_kept(clock):
    """
    At ten calls a second, calls start a tenth of a second apart, and four hundredths in all for how they arrive.
    """
    host = Host(clock, 200)
    line = client(clock, host, limits=Limits(batch=1, per_second=10))

    for _ in range(21):
        line.post("members")

    assert host.calls == pytest.approx([0.104 * call for call in range(21)])


def test_a_host_that_asks_for_less_than_its_pace_gets_its_pace(clock):
    """
    An answer that asks for no wait, or a short one, does not quicken the pace.
    """
    host = Host(clock, 429, throttled(after="1"), 200)

    post(clock, host, limits=Limits(batch=1, per_second=0.1))

    assert host.calls == [0, 10.04, 20.08]


def test_pace_is_kept_by_all_threads_together():
    """
    Four threads share one rate, and tries after a failure count.
    """
    clock = Clock()
    lock = threading.Lock()

    def sleep(seconds: float) -> None:
        with lock:
            clock.sleep(seconds)

    host = Host(clock, 503, 200)
    limits = Limits(batch=1, concurrency=4, per_second=5)
    line = http.client(
        {"base_url": HOST}, limits, transport=httpx.MockTransport(host), sleep=sleep, clock=clock, now=clock.now
    )
    threads = [threading.Thread(target=lambda: [line.post("members") for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    starts = sorted(host.calls)
    assert len(starts) == 21
    assert all(later - earlier >= 0.2 - 1e-9 for earlier, later in itertools.pairwise(starts))


def test_waiting_is_told_without_the_address(clock):
    """
    Retries and pauses are logged with host, reason and seconds, and nothing else of the call.
    """
    host = Host(clock, failing(httpx.ReadTimeout), throttled(after="5"), 200)
    line = client(clock, host)

    with structlog.testing.capture_logs() as events:
        line.post(f"members/{SECRET}", json={"email": "ada@example.com"})
    clock.seconds, host.replies = 100, [throttled(after="5"), 200]
    with structlog.testing.capture_logs() as paused:
        with pytest.raises(BatchRefused):
            client(clock, Host(clock, 422)).post("members")
        line.post("members")

    assert [(event["event"], event["why"], event["attempt"]) for event in events] == [
        ("http.retry", "ReadTimeout", 1),
        ("http.retry", "429", 1),
    ]
    assert {key for event in events + paused for key in event} == {
        "event", "host", "why", "attempt", "wait", "log_level",
    }  # fmt: skip
    assert SECRET not in str(events + paused)


def test_a_pause_of_the_pace_is_told(clock):
    """
    A wait of a second or more for one's turn is logged: a slow run explains itself.
    """
    line = client(clock, Host(clock, 200), limits=Limits(batch=1, per_second=0.1))
    line.post("members")

    with structlog.testing.capture_logs() as events:
        line.post("members")

    assert events == [{"event": "http.wait", "host": "api.example.com", "wait": 10.04, "log_level": "info"}]


def test_the_lease_is_asked_before_every_attempt_and_after_every_wait(clock):
    """
    Each attempt first asks whether the lease lasts as long as an attempt may; the answer is as fresh as can be.
    """
    asked_at: list[tuple[float, float]] = []
    host = Host(clock, 503, throttled(after="50"), 200)

    post(clock, host, lease=lambda seconds: asked_at.append((clock(), seconds)), limits=Limits(1, per_second=0.1))

    assert asked_at == [(call, http.TOTAL) for call in host.calls]
    assert len(host.calls) == 3


def test_without_the_lease_nothing_is_sent(clock):
    """
    A lease that ends during a wait ends the call: the next attempt does not leave.
    """

    def lease(seconds: float) -> None:
        if clock() + seconds > 40 + http.TOTAL:
            raise LeaseLost("another worker has this sync", do="nothing")

    host = Host(clock, throttled(after="50"))

    with http.watching() as trace, pytest.raises(LeaseLost):
        post(clock, host, lease=lease)

    assert host.calls == [0]
    assert not trace.unanswered


@pytest.mark.parametrize("first", [408, 500, 501, 503, 505, *map(failing, SENT), failing(KeyboardInterrupt)])
def test_an_attempt_without_an_answer_is_remembered(clock, first):
    """
    Where any attempt may have been applied unseen, the trace says so, even when a later one was answered.
    """
    host = Host(clock, first, 200)

    with http.watching() as trace, suppress(Unanswered, KeyboardInterrupt):
        post(clock, host)

    assert trace.unanswered


@pytest.mark.parametrize("first", [200, 503, failing(httpx.ReadTimeout)])
@pytest.mark.parametrize("look", [("GET", {}), ("POST", {"reads": True})], ids=["GET", "reads"])
def test_a_look_leaves_no_doubt(clock, first, look):
    """
    A call that changes nobody, by its method or by the connector's word, may be answered or not.
    """
    method, extensions = look

    with http.watching() as trace:
        client(clock, Host(clock, first, 200)).request(method, "members", extensions=extensions)

    assert (trace.applied, trace.unanswered) == (False, False)


@pytest.mark.parametrize("first", [200, 425, 429, *map(failing, NEVER_SENT)])
def test_an_attempt_that_surely_did_nothing_leaves_no_doubt(clock, first):
    """
    A call that never left, or was turned away for now, leaves no doubt behind.
    """
    with http.watching() as trace:
        post(clock, Host(clock, first, 200))

    assert not trace.unanswered


def test_traces_within_traces(clock):
    """
    An outer trace knows of the calls watched inside it; a trace knows nothing of the calls after it.
    """
    line = client(clock, Host(clock, 200, 503, 200))

    with http.watching() as outer:
        with http.watching() as before:
            line.post("members")
        with http.watching() as inner:
            line.post("members")

    assert (before.unanswered, inner.unanswered, outer.unanswered) == (False, True, True)


MEANINGS = {
    400: BatchRefused, 413: BatchRefused, 422: BatchRefused, 401: CredentialsRefused, 403: CredentialsRefused,
    425: Deferred, 429: Deferred, 408: Unanswered, 500: Unanswered, 501: Unanswered, 503: Unanswered,
    301: DeliveryError, 302: DeliveryError, 304: DeliveryError, 308: DeliveryError,
    402: DeliveryError, 404: DeliveryError, 405: DeliveryError, 409: DeliveryError, 410: DeliveryError,
}  # fmt: skip


@pytest.mark.parametrize(("status", "meaning"), MEANINGS.items())
def test_each_answer_has_one_meaning(clock, status, meaning):
    """
    An answer that is no success is one kind of error; it names host and status, never path, query, header or body.
    """
    body = {"email": "ada@example.com", "token": SECRET}
    headers = {"location": f"https://elsewhere.example.com/{SECRET}", "x-token": SECRET}
    host = Host(clock, lambda: httpx.Response(status, json=body, headers=headers))

    with pytest.raises(meaning) as caught:
        post(clock, host, reach={"base_url": HOST, "headers": {"authorization": SECRET}})

    assert type(caught.value) is meaning
    assert SECRET not in str(caught.value)
    assert "elsewhere" not in str(caught.value)
    assert meaning is BatchRefused or f"api.example.com answered {status}" in str(caught.value)
    assert not list(chained(caught.value))


@pytest.mark.parametrize(
    ("kind", "meaning"),
    [(kind, Unanswered) for kind in [*SENT, httpx.DecodingError]]
    + [(kind, DeliveryError) for kind in [*NEVER_SENT, httpx.UnsupportedProtocol, httpx.LocalProtocolError]],
)
def test_no_answer_has_one_meaning(clock, kind, meaning):
    """
    What may have been applied is Unanswered; what never left is a DeliveryError. No exception of httpx hangs on it.
    """
    with pytest.raises(meaning, match=rf"api\.example\.com.*{kind.__name__}") as caught:
        post(clock, Host(clock, failing(kind)))

    assert type(caught.value) is meaning
    assert ("nothing was sent" in str(caught.value)) is (meaning is DeliveryError)
    assert SECRET not in str(caught.value)
    assert not list(chained(caught.value))


def test_a_certificate_that_cannot_be_verified_is_no_weather(clock):
    """
    A bad certificate is told as such and is not tried five times.
    """
    host = Host(clock, failing(httpx.ConnectError, "[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"))

    with pytest.raises(DeliveryError, match=r"certificate of api\.example\.com"):
        post(clock, host)

    assert len(host.calls) == 1


def test_an_answer_that_a_verb_wants_to_read_is_given_to_it(clock):
    """
    What `expect` names is returned at once, throttling too.
    """
    host = Host(clock, 404, 429)
    line = client(clock, host)

    answers = [line.post("members", extensions={"expect": {404, 429}}).status_code for _ in range(2)]

    assert answers == [404, 429]
    assert clock.waits == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "answered 422 without a word"),
        (b"no\r\n\tsuch   list", "no such list"),
        (b"x" * 900, "x" * 500),
        (b"\x00\x1b[31mred\xff\xfe", "[31mred\ufffd\ufffd"),
        ("Größe fehlt".encode("utf-16"), None),
    ],
)
def test_a_refusals_words_fit_on_a_line(clock, body, reason):
    """
    The reason is the answer's text, at most 500 characters of it, on one line and fit for a terminal, whatever came.
    """
    with pytest.raises(BatchRefused) as caught:
        post(clock, Host(clock, lambda: httpx.Response(422, content=body)))

    assert caught.value.reason.isprintable()
    assert reason in (None, caught.value.reason)


def test_sign_in_that_expired_is_renewed(clock):
    """
    An httpx.Auth sees the 401 before it becomes an error, and its own calls are paced and tried again too.
    """

    class Renewing(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:
            answer = yield request
            if answer.status_code == 401:
                token = yield httpx.Request("POST", f"{HOST}/token")
                request.headers["authorization"] = token.json()
                yield request

    host = Host(clock, 401, 503, lambda: httpx.Response(200, json=SECRET), 200)

    post(clock, host, reach={"base_url": HOST, "auth": Renewing()})

    assert [request.url.path for request in host.requests] == ["/members", "/token", "/token", "/members"]
    assert host.requests[3].headers["authorization"] == SECRET


@pytest.mark.parametrize(
    "reach",
    [
        {"base_url": "https://exa mple.com\x00"},
        {"base_url": HOST, "headers": {"authorization": f"“{SECRET}”"}},
        {"base_url": HOST, "verify": False},
        {"base_url": HOST, "proxy": "http://proxy.example.com"},
        {"base_url": HOST, "follow_redirects": True},
    ],
)
def test_a_reach_that_cannot_be_used_is_refused_at_once(clock, reach):
    """
    Settings that make no address or header, and a connector that would go round the worker, are told in words.
    """
    with pytest.raises(DefinitionError) as caught:
        client(clock, Host(clock, 200), reach=reach)

    assert SECRET not in str(caught.value)
    assert not list(chained(caught.value))


def test_a_body_larger_than_the_provider_takes_is_not_sent(clock):
    """
    What is declared as the largest body still goes; one byte more is a refusal of the batch, without a call.
    """
    host = Host(clock, 200)
    line = client(clock, host, limits=Limits(1, bytes=10))

    line.post("members", content=b"x" * 10)
    with pytest.raises(BatchRefused) as caught:
        line.post("members", content=b"x" * 11)

    assert caught.value.reason == "it makes a body of 11 bytes, and the provider takes 10"
    assert len(host.calls) == 1


@pytest.mark.parametrize("first", [429, 503, failing(httpx.ConnectError), failing(httpx.ReadTimeout), 401, 302, 404])
def test_credentials_in_an_address_are_told_nowhere(clock, first):
    """
    A password in an address travels as a header; neither the log nor an error nor the request's own line shows it.
    """
    host = Host(clock, first)

    with structlog.testing.capture_logs() as events, pytest.raises(AudienceError) as caught:
        post(clock, host, reach={"base_url": f"https://worker:{SECRET}@api.example.com/"})

    assert SECRET not in f"{caught.value} {events}"
    assert not list(chained(caught.value))
    assert host.requests[0].headers["authorization"].startswith("Basic ")


def test_a_redirect_is_not_followed_even_where_a_call_asks_for_it(clock):
    """
    No call leaves for a host that the settings do not name.
    """
    host = Host(clock, lambda: httpx.Response(307, headers={"location": "https://elsewhere.example.com/"}))

    with pytest.raises(DeliveryError, match="redirect"):
        client(clock, host).post("members", follow_redirects=True)

    assert len(host.calls) == 1


def test_a_body_that_leaves_slowly_is_stopped(clock):
    """
    A request of which a piece leaves now and then is given up when the time is up, not finished after it.
    """
    written = 0

    class Slow(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            nonlocal written
            for piece in request.stream:
                clock.seconds += 0.4 * http.TOTAL
                written += len(piece)
            return httpx.Response(200)

    line = http.client(
        {"base_url": HOST}, Limits(1), transport=Slow(), sleep=clock.sleep, clock=clock, repeatable=False
    )

    with pytest.raises(Unanswered, match="WriteTimeout"):
        line.post("members", content=b"x" * 2**20)

    assert written == 3 * 64 * 2**10


def test_time_spent_sending_is_not_left_for_reading(clock):
    """
    Once a request is written, the answer may take what is left of the time, and at most half a minute; connecting and
    each write are bounded, too.
    """
    allowed: list[float] = []
    others: list[dict[str, float]] = []

    class Telling(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            clock.seconds += (http.TOTAL - 15) * len(allowed)
            b"".join(request.stream)
            allowed.append(request.extensions["timeout"]["read"])
            others.append({name: request.extensions["timeout"][name] for name in ("connect", "write", "pool")})
            return httpx.Response(200)

    line = http.client({"base_url": HOST}, Limits(1), transport=Telling(), sleep=clock.sleep, clock=clock)

    for _ in range(2):
        line.post("members", content=b"x")

    assert allowed == [30, 15]
    assert others == [{"connect": 10, "write": 30, "pool": http.TOTAL}] * 2


def test_each_attempt_is_signed_anew():
    """
    The headers that `sign` gives belong to one attempt: the next one has its own.
    """
    seen = []
    answers = iter((httpx.Response(503), httpx.Response(200)))

    def far(request):
        seen.append((request.headers["signature"], request.content))
        return next(answers)

    count = iter("12")
    line = http.client({}, Limits(batch=1), transport=httpx.MockTransport(far), sleep=lambda seconds: None)
    line.post("https://api.example.com/", content=b"x", extensions={"sign": lambda body: {"signature": next(count)}})

    assert seen == [("1", b"x"), ("2", b"x")]
