"""Ranges of places say the same as the places themselves."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from audiences import ranges

places = st.sets(st.integers(0, 60))
spans = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)).map(lambda pair: (pair[0], sum(pair))))


def listed(found):
    return [place for lo, hi in found for place in range(lo, hi + 1)]


def named(found):
    return set(listed(found))


@given(spans)
def test_joined_ranges_are_the_fewest(found):
    """
    The same places, in order, no two ranges touching.
    """
    joined = ranges.joined(found)

    assert named(joined) == named(found)
    assert all(left[1] + 1 < right[0] for left, right in itertools.pairwise(joined))
    assert all(lo <= hi for lo, hi in joined)


@given(places | st.builds(range, st.integers(0, 60), st.integers(0, 60), st.integers(1, 3)))
def test_ranges_of_places(found):
    """
    Places become ranges and ranges places again, also where they are known as one range, or with steps between.
    """
    assert listed(ranges.of(found)) == sorted(found)


@given(spans, st.integers(0, 70))
def test_what_is_missing_below(found, below):
    """
    What is missing and what is there make up all below; nothing at or above it is missing.
    """
    missing = ranges.missing(found, below)

    assert named(missing) == set(range(below)) - named(found)
    assert ranges.joined(missing) == missing


@given(spans, spans)
def test_what_is_left_without_others(found, others):
    """
    The places that only the first have, in order.
    """
    left = ranges.without(ranges.joined(found), others)

    assert listed(left) == sorted(named(found) - named(others))


@given(spans, st.integers(1, 5), st.integers(1, 20))
def test_chunks_hold_all(found, size, rows):
    """
    Chunks of at most `size` ranges and `rows` places, in order, name each place as often as it was named.
    """
    chunks = list(ranges.chunks(found, size, rows))

    assert [place for chunk in chunks for place in listed(chunk)] == listed(found)
    assert all(0 < len(chunk) <= size for chunk in chunks)
    assert all(0 < len(listed(chunk)) <= rows for chunk in chunks)
