"""What a host's headers tell of the calls that are left, scheme by scheme."""

from __future__ import annotations

import json
from datetime import timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audiences.http.told import Left, Window, quotas
from driven import START

EPOCH = {"x-ratelimit-remaining": "3", "x-ratelimit-reset": str(int(START.timestamp()) + 30)}
HUBSPOT = ("max", "remaining", "interval-milliseconds")
LATER = {"date": format_datetime(START + timedelta(seconds=20), usegmt=True)}
IN_TWO = {"estimated_time_to_regain_access": 2}


def used(**shares):
    """What Meta tells of one kind of calls, beside another that is hardly used."""
    return json.dumps({"1": [{"type": "ads_management", "call_count": 1}, {"type": "custom_audience", **shares}]})


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "30"}, [Left(3, 30)]),
        (EPOCH, [Left(3, 30)]),
        ({**EPOCH, **LATER}, [Left(3, 10)]),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "30"}, [Left(0, 30)]),
        ({"ratelimit-limit": "9", "ratelimit-remaining": "8", "ratelimit-reset": "1"}, [Left(8, 1)]),
        ({"ratelimit": '"default";r=50;t=30'}, [Left(50, 30)]),
        ({"ratelimit": '"a";r=50;t=30, "b";t=3;r=1'}, [Left(50, 30), Left(1, 3)]),
        (
            {"ratelimit": "limit=100, remaining=50, reset=5", "ratelimit-policy": "100;w=60"},
            [Window(100, 60), Left(50, 5)],
        ),
        ({"ratelimit-policy": '"a";q=10;w=1,"b";q=100;w=60;pk=:cHNk:'}, [Window(10, 1), Window(100, 60)]),
        ({"ratelimit-policy": '"a";q=9;w=1;qu="content-bytes"', "ratelimit": '"a";r=1;t=1'}, []),
        ({"ratelimit-policy": '"a";q=9;w=1;qu="requests"'}, [Window(9, 1)]),
        ({"max": "9", "remaining": "8", "interval-milliseconds": "10000"}, [Window(9, 10, 8)]),
        ({"max": "9", "remaining": "8"}, []),
        ({"x-ratelimit-remaining": "3"}, []),
        ({"x-ratelimit-remaining": "-3", "x-ratelimit-reset": "30"}, []),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "1767225600000"}, []),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "9" * 400}, []),
        ({"x-ratelimit-remaining": "9" * 400, "x-ratelimit-reset": "9"}, []),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": "0"}, []),
        ({"ratelimit": '"default";r=50', "ratelimit-policy": '"default";q=50'}, []),
        ({"ratelimit-policy": '"a";q=0;w=1'}, []),
        ({"x-business-use-case-usage": used(call_count=99, total_time=100, **IN_TWO)}, [Left(0, 120)]),
        ({"x-business-use-case-usage": used(call_count=99, **IN_TWO)}, []),
        ({"x-business-use-case-usage": used(total_cputime=100)}, []),
        ({"x-business-use-case-usage": '{"1": [7]}'}, []),
        ({"x-business-use-case-usage": "[" * 2000}, []),
    ],
)
def test_what_headers_tell(headers, told):
    """
    Each scheme is read as its page says; what lacks a part, or is no number that makes sense, tells nothing.
    """
    named = {f"x-hubspot-ratelimit-{name}" if name in HUBSPOT else name: value for name, value in headers.items()}

    assert list(quotas(httpx.Response(200, headers=named), lambda: START)) == told


NAMES = ["x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit", "ratelimit-policy", "ratelimit-reset", "date"]
NAMES += ["x-hubspot-ratelimit-max", "x-hubspot-ratelimit-remaining", "x-hubspot-ratelimit-interval-milliseconds"]


@given(
    st.dictionaries(st.sampled_from(NAMES), st.text(max_size=40) | st.from_regex(r'["a-z]{0,3}(;[rtqw]=\d{1,20}){0,3}'))
)
@settings(deadline=None)
def test_any_header_is_read_without_a_fault(headers):
    """
    Whatever a host writes there, it tells of calls for a time that can be waited for, or nothing.
    """
    answer = httpx.Response(200, headers={name: value.encode() for name, value in headers.items()})

    assert all(0 < quota.seconds <= 31 * 86400 for quota in quotas(answer, lambda: START))
