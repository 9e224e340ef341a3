"""What an answer says of waiting: whether it may pass, how long the host asks to wait, and how many calls it leaves."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import orjson

from audiences.http.wire import SIGN_IN, Around

PASSING = frozenset({408, 425, 429}) | frozenset(range(500, 600)) - {501, 505}  # statuses that may pass by waiting

# Seconds to wait, or the date until which.
# https://www.rfc-editor.org/rfc/rfc9110#name-retry-after; the second: https://www.braze.com/docs/api/api_limits
AFTER = ("retry-after", "x-ratelimit-retry-after")

# Calls left, and when they are all there again: a moment (Unix time), or seconds from now; their size tells which.
COUNTED = (
    # https://developers.intercom.com/docs/references/rest-api/errors/rate-limiting, https://www.braze.com/docs/api/api_limits
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    # https://docs.x.com/x-ads-api/fundamentals/rate-limiting
    ("x-rate-limit-remaining", "x-rate-limit-reset"),
    # https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-06,
    # https://resend.com/docs/api-reference/rate-limit, https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling
    ("ratelimit-remaining", "ratelimit-reset"),
)
# The most calls in any so many milliseconds, and how many of them are left.
ROLLING = (
    # https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
    ("x-hubspot-ratelimit-max", "x-hubspot-ratelimit-remaining", "x-hubspot-ratelimit-interval-milliseconds"),
)
# `"name";r=50;t=30` and `"name";q=100;w=60`; in older drafts `limit=100, remaining=50, reset=30` and `100;w=60`.
# https://datatracker.ietf.org/doc/html/draft-ietf-httpapi-ratelimit-headers-10, …-07
LEFT, POLICY = "ratelimit", "ratelimit-policy"
# JSON: shares used of what is allowed, in percent, by account and kind of call, and the minutes until calls are let in.
# https://developers.facebook.com/docs/graph-api/overview/rate-limiting
USAGE, REGAINED = "x-business-use-case-usage", "estimated_time_to_regain_access"
SHARES = ("call_count", "total_cputime", "total_time")

EPOCH = 1e9  # from here on a number of seconds is a moment
FURTHEST = 31 * 86400.0  # seconds; nobody counts calls, or asks to wait, for longer than a month: it is something else
_NUMBER = re.compile(r"\s*\d{1,400}(\.\d+)?\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Left:
    """So many calls more in the next so many seconds."""

    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Window:
    """At most so many calls in any so many seconds; `left` of them are unused now, where that is told."""

    most: int
    seconds: float
    left: int | None = None


def asked(answer: httpx.Response, now: Callable[[], datetime]) -> float:
    """The seconds that an answer asks to wait, by its Retry-After or the provider's own word, whichever is longer.

    Never more than a month: what says so means something else, and nobody could use the account again. A date is taken
    by the host's own clock where the answer tells it, so that a wrong clock here undercuts nothing.
    """
    said = answer.extensions.get("passes_in") or 0.0
    after = (_after(answer.headers[name], answer, now) for name in AFTER if name in answer.headers)
    return min(FURTHEST, max(said if said < math.inf else 0.0, *after, 0.0))


def passing(answer: httpx.Response) -> bool:
    """Whether waiting may change this answer: by the provider's own word, or else by what HTTP says of its status."""
    said = answer.extensions.get("passes_in")
    return answer.status_code in PASSING if said is None else said < math.inf


def quotas(answer: httpx.Response, now: Callable[[], datetime]) -> Iterator[Left | Window]:
    """What an answer's headers tell of the calls that it leaves. What cannot be read tells nothing."""
    headers = dict(answer.headers)  # by names in small letters; httpx goes through all of them for each that is asked
    for counted, reset in COUNTED:
        calls, when = _number(headers.get(counted)), _number(headers.get(reset))
        if calls is not None and when is not None:
            yield from _left(calls, when if when < EPOCH else when - _theirs(answer, now).timestamp())
    for names in ROLLING:
        most, calls, length = (_number(headers.get(name)) for name in names)
        if most is not None and calls is not None and length is not None:
            yield from _window(most, length / 1000, int(calls))
    if LEFT in headers or POLICY in headers:
        yield from _drafted(_items(headers.get(LEFT, "")), _items(headers.get(POLICY, "")))
    if USAGE in headers:
        yield from _used(headers[USAGE])


class Meant(Around):
    """Give an answer the status that the provider means by it, so that all above hear one language."""

    def __init__(self, inner: httpx.BaseTransport, means: Callable[[httpx.Response], int]):
        super().__init__(inner)
        self.means = means

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.inner.handle_request(request)
        if SIGN_IN not in request.extensions:
            answer.status_code = self.means(answer)
        return answer


class Judged(Around):
    """Keep with each answer that is no success the provider's word on when it may be another."""

    def __init__(self, inner: httpx.BaseTransport, passes_in: Callable[[httpx.Response], float | None]):
        super().__init__(inner)
        self.passes_in = passes_in

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.inner.handle_request(request)
        if not (answer.is_success or SIGN_IN in request.extensions):
            answer.extensions["passes_in"] = self.passes_in(answer)
        return answer


def _after(words: str, answer: httpx.Response, now: Callable[[], datetime]) -> float:
    seconds = _number(words)
    if seconds is not None:
        return seconds
    until = _date(words)
    return max(0.0, (until - _theirs(answer, now)).total_seconds()) if until else 0.0


def _theirs(answer: httpx.Response, now: Callable[[], datetime]) -> datetime:
    """Now, by the host's own clock where it tells it."""
    return _date(answer.headers.get("date", "")) or now()


def _date(words: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(words)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _number(words: str | None) -> float | None:
    return float(words) if words and _NUMBER.fullmatch(words) else None


def _left(calls: float, seconds: float) -> Iterator[Left]:
    if 0 < seconds <= FURTHEST and calls < math.inf:
        yield Left(int(calls), seconds)


def _window(most: float, seconds: float, left: int | None = None) -> Iterator[Window]:
    if 0 < seconds <= FURTHEST and 1 <= most < math.inf:
        yield Window(int(most), seconds, left)


def _drafted(
    left: Mapping[str, Mapping[str, str]], policies: Mapping[str, Mapping[str, str]]
) -> Iterator[Left | Window]:
    """What the fields of the drafts tell. A policy that counts anything but calls tells nothing of them."""
    others = {name for name, said in policies.items() if said.get("qu", '"requests"').strip('"') != "requests"}
    for name, said in policies.items():
        most, seconds = _number(said.get("q", name)), _number(said.get("w"))
        if name not in others and most is not None and seconds is not None:
            yield from _window(most, seconds)
    old = {name: said[""] for name, said in left.items() if "" in said}
    for name, said in [*left.items(), ("", {"r": old.get("remaining", ""), "t": old.get("reset", "")})]:
        calls, seconds = _number(said.get("r")), _number(said.get("t"))
        if name not in others and calls is not None and seconds is not None:
            yield from _left(calls, seconds)


def _used(words: str) -> Iterator[Left]:
    """No call is left where any share is used up. Shares below that tell nothing of a number of calls."""
    with suppress(AttributeError, TypeError, ValueError):
        for kinds in orjson.loads(words).values():
            for each in kinds:
                if max(float(each.get(share, 0)) for share in SHARES) >= 100:
                    yield from _left(0, 60 * float(each.get(REGAINED, 0)))


def _items(words: str) -> dict[str, dict[str, str]]:
    """The items of a list with their parameters; of one that is a name with a value, the value as the parameter ""."""
    found: dict[str, dict[str, str]] = {}
    for item in words.lower().split(","):
        name, *more = (part.strip() for part in item.split(";"))
        name, _, value = name.partition("=")
        found[name] = {part.partition("=")[0]: part.partition("=")[2] for part in more}
        found[name] |= {"": value} if value else {}
    return found
