"""The normal form of an identifier: one rule, said in Python and in SQL."""

from __future__ import annotations

import unicodedata

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiences import identity
from audiences.identity import Form
from scale import times

# Letters that DuckDB lowers otherwise than Python: İ loses its dot, and Σ at a word's end is no ς.
OTHERWISE = "İΣ"
# DuckDB's text holds no NUL in a literal, and a surrogate is no character.
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=OTHERWISE + "\0"))
near = st.text(st.sampled_from([" ", "\t", "\u00a0", "A", "a", "Ä", "ß", "ẞ", "ſ", "K", "@", "."]), max_size=6)
FORMS = (Form.EXACT, Form.CASELESS)
values = st.one_of(st.none(), text, near)
often = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@pytest.fixture(scope="module")
def engine():
    with duckdb.connect() as connection:
        yield connection


def in_sql(engine, forms, rows):
    """The identifiers of many rows, as the engine forms them."""
    columns = [f"c{n}" for n in range(len(forms))]
    expression = identity.ident_sql(columns, list(forms))
    picked = ", ".join(f"x[{n + 1}] as c{n}" for n in range(len(forms)))
    return [
        found
        for (found,) in engine.execute(
            f"select {expression} from (select n, {picked} from (select unnest(?) as x, unnest(?) as n)) order by n",
            [rows, list(range(len(rows)))],
        ).fetchall()
    ]


@settings(max_examples=times(150, 5_000), **often)
@given(st.lists(st.tuples(values), min_size=1, max_size=20), st.sampled_from(FORMS))
def test_one_field_has_one_form(engine, rows, form):
    """
    Python and SQL form the same identifier of any text, and none of nothing.
    """
    expected = [identity.ident({"a": row[0]}, {"a": form}) for row in rows]

    assert in_sql(engine, [form], [list(row) for row in rows]) == expected


@settings(max_examples=times(150, 5_000), **often)
@given(st.lists(st.tuples(values, values), min_size=1, max_size=20))
def test_several_fields_have_one_form(engine, rows):
    """
    The same for identifiers of two fields.
    """
    forms = {"a": Form.CASELESS, "b": Form.EXACT}
    expected = [identity.ident({"a": a, "b": b}, forms) for a, b in rows]

    assert in_sql(engine, list(forms.values()), [list(row) for row in rows]) == expected


def test_no_other_letter_is_lowered_otherwise(engine):
    """
    Of all letters, alone and at the end of a word, Python and DuckDB part at the ones that are named above.
    """
    cased = ("Lu", "Ll", "Lt", "Lm", "Nl", "So")  # no other kind of character has a case
    letters = [chr(n) for n in range(0x110000) if unicodedata.category(chr(n)) in cased]
    rows = [word for letter in letters for word in (letter, f"a{letter}")]
    found = in_sql(engine, [Form.CASELESS], [[row] for row in rows])
    parted = {row[-1] for row, name in zip(rows, found, strict=True) if name != (Form.CASELESS.of(row) or None)}

    assert parted <= set(OTHERWISE)


def test_case_and_blanks_do_not_count_and_other_blanks_do():
    """
    Blanks around it and upper case are no difference; tabs are, for engines trim them differently.
    """
    assert Form.CASELESS.of("  A@X ") == Form.CASELESS.of("a@x")
    assert Form.CASELESS.of("\ta@x") != Form.CASELESS.of("a@x")
    assert Form.EXACT.of("A ") != Form.EXACT.of("a")


@pytest.mark.parametrize("fields", [{}, {"a": None}, {"a": "", "b": None}, {"a": "  "}])
def test_nothing_identifies_nobody(fields):
    """
    Without a value there is no identifier.
    """
    assert identity.ident(fields, {"a": Form.CASELESS, "b": Form.EXACT}) is None


def test_parts_do_not_run_into_each_other():
    """
    (ab, c) is not (a, bc).
    """
    forms = {"a": Form.EXACT, "b": Form.EXACT}

    assert identity.ident({"a": "ab", "b": "c"}, forms) != identity.ident({"a": "a", "b": "bc"}, forms)


def test_a_number_is_known_by_its_text():
    """
    A value that is no text identifies as its text does.
    """
    assert identity.ident({"a": 17}, {"a": Form.EXACT}) == "17"
    assert str(Form.EXACT) == "exact"
