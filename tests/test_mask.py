"""People taken out of what is shown."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audiences import mask

LONG = "not-a-real-" + "9f86d081884c7d659a2feaa0c55ad015"


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("ada@example.com is no valid address", "… is no valid address"),
        ('{"email": "ada@example.com", "error": "opted out"}', '{"email": "…", "error": "opted out"}'),
        ("<ada.o'neil+news@example.co.uk>: blocked", "<…>: blocked"),
        ("GET /members?email=ada%40example.com: 404", "GET /members?email=…: 404"),
        ("call +43 (660) 123-45 67 or 06601234567", "call +… or …"),
        ("born 1980-02-03, code 30", "born …, code 30"),
        (f"key {LONG} refused", "key … refused"),
        ("INVALID_EMAIL: contact_already_exists_in_list", "INVALID_EMAIL: contact_already_exists_in_list"),
        ("contactAlreadyExistsInList", "contactAlreadyExistsInList"),
        ("QWxhZGRpbjpvcGVuIHNlc2FtZQ", "…"),
        ("two\r\n\tlines \x1b[31mred", "two lines [31mred"),
        ("", ""),
    ],
)
def test_whoever_it_is_a_person_is_hidden_and_the_sense_stays(words, shown):
    """
    Addresses, telephone numbers, dates of birth and secrets go; what went wrong stays readable.
    """
    assert mask.text(words) == shown


@pytest.mark.parametrize(
    ("words", "values", "shown"),
    [
        ("ADA lives in Zürich", ["Ada", "zürich"], "… lives in …"),
        ("Mrs Lovelace is unknown", ["Ada Lovelace"], "Mrs … is unknown"),
        ("mailbox ada.l is full", ["ada.l@example.com"], "mailbox … is full"),
        ("customer 4711 is on no list", [4711], "customer … is on no list"),
        (r"name Z\u00f6e is too short", ["Zöe"], "name … is too short"),
        ("no member Z%C3%B6e", ["Zöe"], "no member …"),
        ("no member Z%C3%B6e%2FEva", ["Zöe/Eva"], "no member …"),
        ("GET /Z%C3%B6e/Eva", ["Zöe/Eva"], "GET /…"),
        ("tags red, blue", [["red"], {"a": "blue"}], "tags …, …"),
        ("broken \ud801 Ada", ["\ud801Ada"], "broken …"),
        ("STRASSE 5", ["straße"], "… 5"),
        ("AnnAnna", ["Ann", "Anna"], "…"),
        ("ok at 5: true, None", ["ok", 5, True, None, ""], "ok at 5: true, None"),
        ("the field must be a number", ["the best field must win, a number of us say"], "the field must be a number"),
    ],
)
def test_a_members_own_values_are_hidden_wherever_they_stand(words, values, shown):
    """
    In any case, whole or in parts, as JSON or in a URL; not where they are too short, or prose, to name anyone.
    """
    assert mask.text(words, values) == shown


def test_words_are_bounded():
    """
    At most 300 characters are kept, and a cut shows.
    """
    shown = mask.text("word " * 1000)

    assert (len(shown), shown[-1]) == (300, "…")


def test_a_megabyte_is_masked_in_one_go():
    """
    A page of nonsense instead of a reason does not hold the worker up: the work is linear in it.
    """
    shown = mask.text("ab1" * 100_000 + " 1" * 100_000 + "-@" * 1000, ["Ada Lovelace", "b1a" * 30])

    assert len(shown) <= 300


values = st.text(min_size=3) | st.integers(min_value=100) | st.emails() | st.floats(allow_nan=False)


@given(st.text(), values, st.text(), st.sampled_from([str, str.upper, str.lower, str.swapcase]))
@example("a", "a…b", "b", str)
@example("x" * 298, "x…", "", str)
@settings(deadline=None)
def test_a_value_given_never_survives(before, value, after, case):
    """
    Whatever stands around it and in whatever case, a member's value of three characters and more is not in the text.
    """
    shown = mask.text(f"{before}{case(str(value))}{after}", [value])

    assert len(str(value).strip()) < 3 or str(value).casefold() not in shown.casefold() or shown == "…"


@given(st.text(), st.text(min_size=3), st.sampled_from([quote, json.dumps]))
@settings(deadline=None)
def test_a_value_written_otherwise_does_not_survive(around, value, written):
    """
    Nor does it survive as JSON or a URL writes it.
    """
    form = written(value).removeprefix('"').removesuffix('"') if written is json.dumps else written(value)

    shown = mask.text(f"{around} {form} {around}", [value])

    assert len(form.strip()) < 3 or form.casefold() not in shown.casefold()


@given(st.text(), st.emails(), st.text())
@settings(deadline=None)
def test_no_address_survives(before, address, after):
    """
    An address is hidden although nobody gave it.
    """
    assert address.casefold() not in mask.text(f"{before} {address} {after}").casefold()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("ada@example.com", "a…@e….com"),
        (" grace@mail.example.co.uk", "g…@m….uk"),
        ("a@localhost", "…@l…"),
        ("Ada", "A…"),
        ("A", "…"),
        ("@", "…"),
        ("", "…"),
        ("\x1b[31m", "…"),
        (None, "NULL"),
        (True, "true"),
        (9, "9"),
        (-42, "-42"),
        (9.5, "9.5"),
        (100, "100"),
        (Decimal("1234.56"), "~1200"),
        (436601234567, "~4.4e+11"),
        (10**400, "…"),
        (float("nan"), "~nan"),
        (date(1980, 2, 3), "1980-…"),
        (datetime(2026, 2, 3, tzinfo=UTC), "2026-…"),
        (["a", "b"], "[…2]"),
        ({"a": 1}, "[…1]"),
        (b"x", "…"),
    ],
)
def test_a_sample_shows_what_kind_of_value_it_is(value, shown):
    """
    Scores, flags and gaps can be judged; addresses, names, numbers of telephones and birthdays cannot be read.
    """
    assert mask.value(value) == shown


@given(
    st.text(st.characters(exclude_characters="…"), min_size=1) | st.emails() | st.dates() | st.integers(min_value=1000)
)
@settings(deadline=None)
def test_a_value_is_not_in_its_mask(value):
    """
    No text, date or long number can be read off its mask; a number of round thousands is its own rounding.
    """
    shown = mask.value(value)

    assert str(value) not in shown or (isinstance(value, int) and float(f"{value:.2g}") == value)
