"""docs/identifiers.md: its table is what the rules do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import page
from audiences import Hashed, connectors
from test_normal import RULES

TABLE = (Path(__file__).parent.parent / "docs" / "identifiers.md").read_text("utf-8").partition("## The rules")[2]
ROW = re.compile(r"^\| `(\w+)` \| [^|]+ \| `([^`]+)` → `([^`]+)` \| (hash|plain) \| [^|]+ \|$", re.MULTILINE)
ROWS = {name: rest for name, *rest in ROW.findall(TABLE)}
ADS = [name for name in connectors.names([page.SHIPPED]) if issubclass(connectors.find(name, [page.SHIPPED]), Hashed)]


def test_every_rule_has_a_row():
    """
    No rule without a row that says what it does and where that is from, and no row without its rule.
    """
    assert ROWS.keys() == RULES.keys()


@pytest.mark.parametrize("name", ROWS)
def test_a_row_says_what_the_rule_does(name):
    """
    The example comes to what the row says, and is sent as it says.
    """
    value, expected, how = ROWS[name]

    assert RULES[name].of(value) == expected
    assert RULES[name].hashed == (how == "hash")


@pytest.mark.parametrize("name", ADS)
def test_a_connector_shows_its_rules(name):
    """
    The list of connectors names the rule of each field that identifies someone there.
    """
    section = page.text().partition(f"## `{name}`\n")[2].partition("\n## ")[0]
    fields = {field for kind in connectors.find(name, [page.SHIPPED]).kinds.values() for field in kind.fields}

    assert {field for field in fields if f"`{field}` by [`" not in section} == set()
