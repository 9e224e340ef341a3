"""Our rules beside the vendors' own functions, on random text: tests/normalisers/*.json holds what those made of it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from audiences.normal import BLANKS
from test_normal import RULES

TOLD = {path.stem: json.loads(path.read_text("utf-8")) for path in Path(__file__).parent.glob("normalisers/*.json")}
CASES = [(name, rule) for name, told in TOLD.items() for rule in told["written"]]

# Where we differ on purpose, as docs/identifiers.md says: texts of which a vendor's client makes something else.
LETTERS = re.compile(r"[^\x00-\x7f]")
OTHERWISE = {
    "EMAIL_META": re.compile(f"[{BLANKS}]".replace(" \t\n\r\x0b", "")),  # their client leaves these around an address
    "PHONE_DIGITS": re.compile(r"\(0\)"),
    "PHONE_PLUS": re.compile(r"\(0\)"),  # and a zero that is not dialled from abroad in a number
    "NAME_META": LETTERS,
    "CITY": LETTERS,
    "STATE": LETTERS,
    "POSTCODE_META": re.compile(r"-|\s"),
}


def ours(rule, text):
    try:
        return RULES[rule].of(text), RULES[rule].sent(text)
    except ValueError:
        return None


@pytest.mark.parametrize(("name", "rule"), CASES, ids=[rule for _, rule in CASES])
def test_what_is_sent_is_what_the_vendors_own_client_sends(name, rule):
    """
    A text comes to what the vendor's function makes of it, or is refused; what that refuses, we refuse.
    """
    rows = TOLD[name]["written"][rule].items()
    same = 0

    for text, theirs in rows:
        if (found := ours(rule, text)) is None:
            continue
        excused = rule in OTHERWISE and OTHERWISE[rule].search(text)
        like = theirs is not None and (found[0] == theirs or found[1].startswith(theirs))
        assert like or excused, f"{text!r} is {found[0]!r} here, and {theirs!r} there"
        same += like
    assert same >= 5, "too few texts that both take: look at tests/normalise.py"


@pytest.mark.parametrize("rule", [rule for rule in OTHERWISE if rule != "EMAIL_META"])
def test_we_differ_only_where_we_say_so(rule):
    """
    Each difference that is excused is one that there is.
    """
    rows = next(told["written"][rule] for told in TOLD.values() if rule in told["written"])
    parted = [text for text, theirs in rows.items() if (found := ours(rule, text)) and found[1][:16] != theirs]

    assert parted
