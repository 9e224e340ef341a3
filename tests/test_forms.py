"""Every form of the rules for identifiers, said in SQL as in Python: what is compared is what is sent."""

from __future__ import annotations

import random
import unicodedata

import pytest

from audiences.warehouse import literal
from engines import EVERY, started
from scale import times
from test_normal import RULES

REGIONS = (None, "DE", "US", "GB", "IT", "RU", "HU", "BR")
PARTS = [
    *" \t\u00a0\u202f.@+-'()/0149aAéßÄ正’",
    "(0)",
    "@gmail.com",
    "@googlemail.com",
    "+49",
    "+1",
    "00",
    "011",
    "810",
]
PARTS += ["301234567", "8005550100", "94025-1234", "sha256:", "ab" * 32, "\u0301", "🎈"]


@pytest.fixture(scope="module", params=list(EVERY))
def warehouse(request):
    engine = started(request, request.param)
    with engine.warehouse(engine.alone()) as warehouse:
        yield warehouse


def texts(seed, count):
    """Texts of parts that a rule knows, some with letters that have no case: engines change that in their own way."""
    chance = random.Random(seed)
    letters = (chr(n) for n in range(1, 0x3000))
    plain = [each for each in letters if each.lower() == each.upper() and unicodedata.category(each) != "Cn"]
    for _ in range(count):
        known = "".join(chance.choices(PARTS, k=chance.randint(0, 6)))
        yield known if chance.random() < 0.8 else known + "".join(chance.choices(plain, k=3))


@pytest.mark.parametrize("name", RULES)
def test_sql_and_python_write_one_form(warehouse, name):
    """
    Of any text the warehouse makes the form that the worker makes, in each country that a rule may be of.
    """
    writes_one_form(warehouse, name)


def writes_one_form(warehouse, name):
    rule = RULES[name]
    found = sorted({*texts(name, times(200, 20_000, 400))})
    values = ", ".join(f"({n}, {literal(text)})" for n, text in enumerate(found))

    for region in REGIONS if rule.region else REGIONS[:1]:
        form = rule.within(region).form
        rows = warehouse.run(f"select {form.sql('v.text')} from (values {values}) as v(n, text) order by n")
        assert [row for (row,) in rows] == [form.of(text) for text in found], region


def test_a_warehouse_that_knows_no_unicode_is_found_out(warehouse):
    """
    Letters outside a to z are lowered by both engines here as Python does it.
    """
    [(found,)] = warehouse.run("select lower('ÄÉØŁČÑЖΩ')")

    assert found == "äéøłčñжω"
